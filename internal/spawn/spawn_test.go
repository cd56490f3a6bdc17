package spawn

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"bulkhead/internal/spawn/nofile"
)

// run carries a plan out with a socket pair as Stdio; it gives what came over
// the socket and to descriptor 2, and how the child ended.
func run(t *testing.T, p Plan) (out, log string, w syscall.WaitStatus, pid int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := syscall.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(saved)
	syscall.Dup3(int(wr.Fd()), 2, 0)
	p.Stdio = fds[1]
	pid, err = Spawn(&p)
	syscall.Dup3(saved, 2, 0)
	syscall.Close(saved)
	wr.Close()
	syscall.Close(fds[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, &w, 0, nil); err != nil {
		t.Fatal(err)
	}
	out = drain(fds[0])
	syscall.Close(fds[0])
	log = drain(int(r.Fd()))
	r.Close()
	return out, log, w, pid
}

func drain(fd int) string {
	var b strings.Builder
	var buf [4096]byte
	for {
		n, err := syscall.Read(fd, buf[:])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return b.String()
		}
		b.Write(buf[:n])
	}
}

func TestProgram(t *testing.T) {
	out, log, w, pid := run(t, Plan{
		Say:   []Line{{Before: "pid ", After: " begins\n"}, {Before: "ok ", After: " goes on\n"}},
		Files: []string{"/nonexistent/sh", "/bin/sh"}, Argv: []string{"sh", "-c", "echo $$ $A; ulimit -n; grep SigBlk /proc/self/status; echo err >&2; exit 3"},
		Env: []string{"A=b", "PATH=/usr/bin:/bin"}, Banner: []byte("banner\n"),
	})
	n := strconv.Itoa(pid)
	want := "banner\n" + n + " b\n" + strconv.FormatUint(nofile.Start[0], 10) + "\nSigBlk:\t0000000000000000\n"
	if out != want {
		t.Errorf("output %q, want %q", out, want)
	}
	if want := "pid " + n + " begins\nok " + n + " goes on\nerr\n"; log != want {
		t.Errorf("log %q, want %q", log, want)
	}
	if w.ExitStatus() != 3 {
		t.Errorf("status %v", w)
	}
}

// Programs get the limit that we were started with, not what package syscall
// has raised it to before any code of ours runs.
func TestLimitIsTheFirst(t *testing.T) {
	const soft = 77
	if os.Getenv("SPAWN_TEST_LIMIT") != "" {
		out, _, _, _ := run(t, Plan{Files: []string{"/bin/sh"}, Argv: []string{"sh", "-c", "ulimit -Sn; ulimit -Hn"}})
		var now syscall.Rlimit
		syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now)
		if want := fmt.Sprintf("%d\n%d\n", soft, now.Max); out != want || now.Cur <= soft {
			t.Errorf("a program gets %q, want %q; ours is %d", out, want, now.Cur)
		}
		return
	}
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("ulimit -Sn %d; exec \"$0\" -test.run=^TestLimitIsTheFirst$ -test.v", soft), os.Args[0])
	cmd.Env = append(os.Environ(), "SPAWN_TEST_LIMIT=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNothingToRun(t *testing.T) {
	out, log, w, pid := run(t, Plan{Say: []Line{{Before: "deny ", After: "\n"}}, Banner: []byte("b"), Exit: 100})
	if out != "b" || log != "deny "+strconv.Itoa(pid)+"\n" || w.ExitStatus() != 100 {
		t.Errorf("%q, %q, %v", out, log, w)
	}
}

func TestCanNotRun(t *testing.T) {
	for _, c := range []struct{ files, want string }{
		{"/nonexistent", "x: file does not exist\n"}, {"/etc/passwd", "x: access denied\n"}, {"/nonexistent /etc/passwd /nonexistent", "x: access denied\n"},
		{"/", "x: access denied\n"},
	} {
		_, log, w, _ := run(t, Plan{Say: []Line{{Plain: true}}, Files: strings.Fields(c.files), Argv: []string{"x"}, Fail: "x"})
		if log != c.want || w.ExitStatus() != exitTemp {
			t.Errorf("%s: %q, %v", c.files, log, w)
		}
	}
}

func TestSelf(t *testing.T) {
	fd, err := syscall.Open("/bin/sh", syscall.O_CLOEXEC|0o10000000, 0) // O_PATH
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	out, _, w, _ := run(t, Plan{Say: []Line{{Plain: true}}, FD: fd, Argv: []string{"sh", "-c", "echo $0", "name"}})
	if out != "name\n" || w != 0 {
		t.Errorf("%q, %v", out, w)
	}
}

// Many children while the garbage collector works.
func TestMany(t *testing.T) {
	stop := make(chan bool)
	go func() {
		var keep [][]byte
		for {
			select {
			case <-stop:
				return
			default:
				if keep = append(keep, make([]byte, 1<<12)); len(keep) > 1000 {
					keep = nil
				}
			}
		}
	}()
	for range 300 {
		out, _, w, _ := run(t, Plan{Say: []Line{{Plain: true}}, Files: []string{"/bin/echo"}, Argv: []string{"echo", "x"}})
		if out != "x\n" || w != 0 {
			t.Fatalf("%q, %v", out, w)
		}
	}
	close(stop)
}
