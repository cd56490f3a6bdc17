package daemontools

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/logdir"
	"bulkhead/internal/logscript"
	"bulkhead/internal/posix"
	"bulkhead/internal/service"
	"bulkhead/internal/svstatus"
	"bulkhead/internal/testbin"
)

// The test program plays multilog and supervise itself when it is started with
// crashEnv (and a server: replace_test.go): it then kills itself with signal 9 right before the system call of
// that number, counted over all that change something (posix.Step).
const (
	crashEnv = "BULKHEAD_TEST_CRASH_AT"
	roleEnv  = "BULKHEAD_TEST_ROLE"
)

func init() {
	role := os.Getenv(roleEnv)
	if role == "" || service.IsStub() {
		return
	}
	at, _ := strconv.Atoi(os.Getenv(crashEnv))
	os.Unsetenv(roleEnv)
	os.Unsetenv(crashEnv)
	n := 0
	posix.Step = func(string) {
		if n++; n == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	switch role {
	case "echo":
		echo()
	case "multilog":
		syscall.Umask(0o022)
		l, err := logdir.New(logscript.Parse(os.Args[1:]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(111)
		}
		l.Run()
	case "supervise":
		if err := service.Run(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(111)
		}
	}
	os.Exit(0)
}

// crashing runs a role that dies at step at; ended reports that it came to its
// own end before.
func crashing(t *testing.T, role string, at int, dir string, input []byte, args ...string) (ended bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), roleEnv+"="+role, crashEnv+"="+strconv.Itoa(at))
	if input != nil {
		in := filepath.Join(t.TempDir(), "in") // a file, so that reads are the same each time
		if err := os.WriteFile(in, input, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.Stdin = f
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		return false
	}
	if err != nil {
		t.Fatalf("step %d: %v %s", at, err, stderr.Bytes())
	}
	return true
}

// content gives all bytes of a log directory in order: old logs by label, then
// what is on its way to become one, then current. The same file under two
// names counts once. Between processor and archive the log is there twice, as
// previous and processed; it counts once as well.
func content(t *testing.T, dir string) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "@") {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	processed := filepath.Join(dir, "processed")
	if fi, err := os.Stat(processed); err == nil && fi.Mode()&0o100 != 0 {
		names = append(names, "processed")
	} else {
		names = append(names, "previous")
	}
	names = append(names, "current")
	var out []byte
	seen := map[uint64]bool{}
	for _, n := range names {
		fi, err := os.Stat(filepath.Join(dir, n))
		if err != nil {
			continue
		}
		ino := fi.Sys().(*syscall.Stat_t).Ino
		if seen[ino] {
			continue
		}
		seen[ino] = true
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err == nil {
				b, err = io.ReadAll(z)
			}
			if err != nil {
				t.Fatalf("%s is not whole: %v", n, err)
			}
		}
		out = append(out, b...)
	}
	return out
}

// TestMultilogCrash kills multilog before each of its steps, then kills the one
// that takes over before each of its first steps too, then lets a third one
// finish. Whatever was in the files stays there, once and in order.
func TestMultilogCrash(t *testing.T) {
	var before, after bytes.Buffer
	for i := range 700 {
		fmt.Fprintf(&before, "line %d before the crash\n", i)
	}
	after.WriteString("the line after\n")
	for _, c := range []struct {
		name   string
		script []string
	}{
		{"plain", []string{"s4096", "n99", "./log"}},
		{"processor", []string{"s4096", "n99", "!cat; echo state >&5", "./log"}},
		{"gzip", []string{"s4096", "n99", "ws.gz", "./log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := 0
			for at := 1; ; at++ {
				dir := t.TempDir()
				log := filepath.Join(dir, "log")
				if crashing(t, "multilog", at, dir, before.Bytes(), c.script...) {
					if got := content(t, log); !bytes.Equal(got, before.Bytes()) {
						t.Fatalf("without a crash %d bytes of %d arrived", len(got), before.Len())
					}
					break
				}
				steps++
				// A second crash at one of the successor's steps, a different
				// one each time around, then a third process to the end.
				left := content(t, log)
				if !bytes.HasPrefix(before.Bytes(), left) {
					t.Fatalf("step %d: what is left is no beginning of the input", at)
				}
				crashing(t, "multilog", 1+at%9, dir, []byte{}, c.script...)
				if got := content(t, log); !bytes.Equal(got, left) {
					t.Fatalf("steps %d, %d: %d bytes became %d", at, 1+at%9, len(left), len(got))
				}
				if !crashing(t, "multilog", 0, dir, after.Bytes(), c.script...) {
					t.Fatal("the last one was killed")
				}
				if got, want := content(t, log), append(left, after.Bytes()...); !bytes.Equal(got, want) {
					t.Fatalf("step %d: %d bytes after all, want %d", at, len(got), len(want))
				}
				for _, f := range []string{"previous", "processed", "newstate"} {
					if _, err := os.Stat(filepath.Join(log, f)); err == nil {
						t.Errorf("step %d: %s stays behind", at, f)
					}
				}
			}
			if steps < 30 {
				t.Errorf("only %d steps were tried", steps)
			}
			t.Log(steps, "steps")
		})
	}
}

// TestSuperviseCrash kills supervise before each of its steps: the status file
// is whole or absent, the lock is free at once, and the next supervise starts
// the service once.
func TestSuperviseCrash(t *testing.T) {
	bin := testbin.Dir(t, "supervise", "svc", "svok", "svstat")
	const most = 40 // far above the steps up to a running service
	var wg sync.WaitGroup
	slots := make(chan bool, 8)
	crashed := make([]bool, most+1)
	for at := 1; at <= most; at++ {
		dir := t.TempDir()
		run := "#!/bin/sh\necho $$ >> started\nexec sleep 1000\n"
		if err := os.WriteFile(filepath.Join(dir, "run"), []byte(run), 0o755); err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- true
			defer func() { <-slots }()
			crashed[at] = superviseCrash(t, bin, dir, at)
		}()
	}
	wg.Wait()
	n := 0
	for _, c := range crashed {
		if c {
			n++
		}
	}
	if n < 15 {
		t.Errorf("only %d steps were hit", n)
	}
	t.Log(n, "steps")
}

func superviseCrash(t *testing.T, bin, dir string, at int) (crashed bool) {
	self, _ := os.Executable()
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), roleEnv+"=supervise", crashEnv+"="+strconv.Itoa(at))
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return false
	}
	// Enough steps are gone through by "down, exit" for every number to be hit.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.Now().Add(60 * time.Second)
wait:
	for {
		select {
		case err := <-ended:
			crashed = err != nil
			break wait
		case <-time.After(50 * time.Millisecond):
			exec.Command(filepath.Join(bin, "svc"), "-dx", dir).Run()
		}
		if time.Now().After(deadline) {
			t.Errorf("step %d: supervise does not end", at)
			cmd.Process.Kill()
			return false
		}
	}
	killStarted(dir) // the service that the dead supervise may have left behind
	if b, err := os.ReadFile(filepath.Join(dir, "supervise/status")); err == nil {
		if _, err := svstatus.Parse(b); err != nil || len(b) != svstatus.Len {
			t.Errorf("step %d: status %x", at, b)
		}
	}
	os.Remove(filepath.Join(dir, "started"))
	next := exec.Command(filepath.Join(bin, "supervise"), dir)
	var stderr bytes.Buffer
	next.Stderr = &stderr
	if err := next.Start(); err != nil {
		t.Error(err)
		return crashed
	}
	for time.Now().Before(deadline) {
		if b, _ := os.ReadFile(filepath.Join(dir, "started")); len(b) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	exec.Command(filepath.Join(bin, "svc"), "-dx", dir).Run()
	if err := next.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("step %d: the next supervise: %v %s", at, err, stderr.Bytes())
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "started")); bytes.Count(b, []byte("\n")) != 1 {
		t.Errorf("step %d: the next supervise started %q", at, b)
	}
	killStarted(dir)
	return crashed
}

// killStarted ends every process whose working directory is dir, whether its
// run script has noted it yet or not.
func killStarted(dir string) {
	for pid := range processes() {
		if cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); err == nil && cwd == dir && pid > 1 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
