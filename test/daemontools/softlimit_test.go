package daemontools

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"bulkhead/internal/testbin"
)

// TestSoftlimitEdge looks for the smallest limit of each kind that softlimit
// lets a Go program have. There, above and below it, the program starts or
// softlimit says in one line that it can not; the runtime's crash page never
// shows.
func TestSoftlimitEdge(t *testing.T) {
	bin := testbin.Dir(t, "softlimit", "svok")
	t.Parallel()
	empty := t.TempDir()
	starts := func(flag byte, n int) bool {
		cmd := exec.Command(filepath.Join(bin, "softlimit"), "-"+string(flag), strconv.Itoa(n), filepath.Join(bin, "svok"), empty)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		cmd.Run()
		out := stderr.String()
		switch code := cmd.ProcessState.ExitCode(); {
		case code == 100 && out == "":
			return true
		case code == 111 && strings.HasPrefix(out, "softlimit: fatal: unable to run ") && strings.Count(out, "\n") == 1:
		default:
			t.Errorf("-%c %d: exit %d, %.200q", flag, n, code, out)
		}
		return false
	}
	for _, c := range []struct {
		flag       byte
		low, limit int // bytes: surely too little, surely enough
	}{{'d', 1 << 20, 1 << 30}, {'a', 1 << 24, 1 << 33}, {'m', 1 << 24, 1 << 33}, {'s', 1 << 12, 1 << 23}} {
		lo, hi := c.low, c.limit
		if starts(c.flag, lo) || !starts(c.flag, hi) {
			t.Errorf("-%c: no edge between %d and %d", c.flag, lo, hi)
			continue
		}
		for hi-lo > hi/64 {
			if mid := (lo + hi) / 2; starts(c.flag, mid) {
				hi = mid
			} else {
				lo = mid
			}
		}
		for k := -4; k <= 4; k++ {
			if n := hi + k*(hi/40); starts(c.flag, n) != (n >= hi) && (n < lo || n >= hi) {
				t.Errorf("-%c: an edge at %d, and %d is on the wrong side of it", c.flag, hi, n)
			}
		}
		for mb := 640; c.limit > 1<<30 && mb < 3000; mb += 20 { // where starts of one Go program differ
			if n := mb << 20; starts(c.flag, n) != (n >= hi) && (n < lo || n >= hi) {
				t.Errorf("-%c: an edge at %d, and %d is on the wrong side of it", c.flag, hi, n)
			}
		}
		t.Logf("-%c: from %d on", c.flag, hi)
	}
	// These let a Go program start whatever they are.
	for _, flag := range []byte("opcft") {
		for _, n := range []int{3, 8, 1000} {
			if flag == 't' && n == 3 || flag == 'p' && n < 1000 && os.Geteuid() != 0 {
				continue
			}
			if !starts(flag, n) {
				t.Errorf("-%c %d: does not start", flag, n)
			}
		}
	}
}

// TestSoftlimitSmall starts programs in C under limits that softlimit itself
// could not live under. None fails: between the limits and exec its runtime
// asks for nothing.
func TestSoftlimitSmall(t *testing.T) {
	bin := testbin.Dir(t, "softlimit")
	t.Parallel()
	const starts, atOnce = 1200, 6 // of 1500 starts up to ten failed before the runtime was brought to rest
	var group sync.WaitGroup
	for k := range atOnce {
		group.Go(func() {
			for i := range starts / atOnce {
				limit := []string{"-d1000000", "-m20000000"}[(i+k)%2]
				cmd := exec.Command(filepath.Join(bin, "softlimit"), limit, "-o", "40", "/bin/sh", "-c", "ulimit -n; exit 7")
				out, _ := cmd.CombinedOutput()
				if cmd.ProcessState.ExitCode() != 7 || string(out) != "40\n" {
					t.Errorf("%s: %v, %.300q", limit, cmd.ProcessState, out)
				}
			}
		})
	}
	group.Wait()
}

// TestSoftlimitNone looks at what is said when there is no program to run
// under limits that leave no room to say anything: the old ones are back.
func TestSoftlimitNone(t *testing.T) {
	bin := testbin.Dir(t, "softlimit")
	for _, c := range []struct{ program, want string }{
		{"nosuch", "softlimit: fatal: unable to run nosuch: file does not exist\n"},
		{"/etc/passwd", "softlimit: fatal: unable to run /etc/passwd: access denied\n"},
	} {
		cmd := exec.Command(filepath.Join(bin, "softlimit"), "-a100000", "-d1000", "-s1000", c.program)
		cmd.Env = []string{"PATH=/nonexistent:" + os.Getenv("PATH")}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 111 || string(out) != c.want {
			t.Errorf("%s: exit %d, %q, want %q", c.program, code, out, c.want)
		}
	}
}
