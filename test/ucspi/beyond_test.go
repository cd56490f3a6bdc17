package ucspi

import (
	"os"
	"strings"
	"testing"
)

func TestBeyondTheOriginal(t *testing.T) {
	out := inNamespace(t, os.Environ(), "beyond.sh", binaries(t))
	const results = 27
	if n := strings.Count("\n"+out, "\nok "); n != results || strings.Contains(out, "not ok") {
		t.Errorf("%d of %d:\n%s", n, results, out)
	}
}
