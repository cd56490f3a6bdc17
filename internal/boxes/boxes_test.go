package boxes

import (
	"os"
	"os/exec"
	"testing"

	"bulkhead/internal/sandbox"
)

//go:generate go run generate.go

// maxCalls is the most system calls a program may be allowed, the runtime's
// included (the project's own bar).
const maxCalls = 40

func TestGenerated(t *testing.T) {
	want, err := os.ReadFile("boxes.go")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "run", "generate.go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile("boxes.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("boxes.go was not up to date with cmd/*/box.go; it is now: commit it")
	}
}

func TestDeclarations(t *testing.T) {
	for name, b := range All {
		if b.Program != name {
			t.Errorf("cmd/%s/box.go: Program is %q", name, b.Program)
		}
		if b.Job == "" {
			t.Errorf("%s: no Job", name)
		}
		if n := len(sandbox.CallList(b)); b.Calls != "" && n > maxCalls {
			t.Errorf("%s: %d system calls allowed, at most %d", name, n, maxCalls)
		}
	}
}
