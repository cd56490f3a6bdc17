package boxes

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"bulkhead/internal/testbin"

	"golang.org/x/sys/unix"
)

// TestRuntimeCalls runs a program in the narrowest box there is and works the
// Go runtime hard inside it, while its processors are taken away and given
// back, and while signals arrive. The runtime throws when a call it needs is
// refused, so an upgrade of Go that needs another fails here.
func TestRuntimeCalls(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "stress"), "bulkhead/test/boxes/stress")
	build.Dir = testbin.Root()
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(filepath.Join(dir, "stress"), "3")
	cmd.Env = append(cmd.Environ(), "REQUIRE=landlock,seccomp,no_new_privs")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "in the box" {
		cmd.Wait()
		t.Fatalf("did not start: %s", stderr.String())
	}
	ended := make(chan bool)
	go func() {
		// until the program ends: one processor, all processors, SIGURG (which
		// the runtime sends itself), SIGWINCH (which it ignores)
		all, one := new(unix.CPUSet), new(unix.CPUSet)
		for i := range runtime.NumCPU() {
			all.Set(i)
		}
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			default:
			}
			one.Zero()
			one.Set(i % runtime.NumCPU())
			unix.SchedSetaffinity(cmd.Process.Pid, one)
			cmd.Process.Signal(syscall.SIGURG)
			unix.SchedSetaffinity(cmd.Process.Pid, all)
			cmd.Process.Signal(syscall.SIGWINCH)
			runtime.Gosched()
		}
	}()
	done := lines.Scan() && lines.Text() == "done"
	err = cmd.Wait()
	close(ended)
	if !done || err != nil {
		t.Fatalf("did not end well: %v\n%s", err, stderr.String())
	}
}
