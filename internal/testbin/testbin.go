// Package testbin gives tests the real binaries: those of $BULKHEAD_BIN, which
// `make test` has built, or else ones built on the spot into a folder of the
// test process. For tests only.
package testbin

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var (
	mu    sync.Mutex
	dir   string
	built = map[string]bool{}
)

// Root is the top folder of the source tree.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Dir gives a folder that holds the named programs.
func Dir(t testing.TB, programs ...string) string {
	t.Helper()
	d, err := Build(programs...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Build is Dir for use in TestMain.
func Build(programs ...string) (string, error) {
	if d := os.Getenv("BULKHEAD_BIN"); d != "" {
		return d, nil
	}
	mu.Lock()
	defer mu.Unlock()
	if dir == "" {
		d, err := os.MkdirTemp("", "bulkhead-bin-")
		if err != nil {
			return "", err
		}
		os.Chmod(d, 0o755) // programs start as other users
		dir = d
	}
	args := []string{"build", "-trimpath", "-o", dir + "/"}
	n := len(args)
	for _, p := range programs {
		if !built[p] {
			args = append(args, "bulkhead/cmd/"+p)
		}
	}
	if len(args) == n {
		return dir, nil
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{strings.TrimSpace(string(out)), err}
	}
	for _, p := range programs {
		built[p] = true
	}
	return dir, nil
}

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return "go build: " + e.err.Error() + "\n" + e.out }
