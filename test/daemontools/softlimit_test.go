package daemontools

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	// What a Go program needs differs from start to start: one in 150 fails far
	// from every edge. So a limit is wrong if a start fails under it twice.
	again := false
	var starts func(flag byte, n int) bool
	starts = func(flag byte, n int) bool {
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
		case !again:
			again = true
			ok := starts(flag, n)
			again = false
			return ok
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
			starts(c.flag, hi+k*(hi/40))
		}
		for mb := 1000; c.limit > 1<<30 && mb < 1500; mb += 20 { // the second edge of address space
			starts(c.flag, mb<<20)
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
