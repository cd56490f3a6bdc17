package golden

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// Random lists, compiled by Debian's rbldns-data and by ours: the same files,
// message and exit code. No line begins as an IPv6 address of ours would.
func TestListDifferential(t *testing.T) {
	theirs := testbin.Peer(t, "usr/sbin/rbldns-data")
	ours := filepath.Join(testbin.Dir(t, "rbldns-data"), "rbldns-data")
	r := rand.New(rand.NewPCG(21, 22))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	address := func() string {
		return pick("1.2.3.4", "192.0.2."+strconv.Itoa(r.IntN(300)), "1.2.3", "1.2", "1", "1.2.3.", "1.2.3.4.5", "01.02.03.04", "256.257.258.259", "1..2.3", "1.2.3.4x", "4294967297.1.1.1", "0.0.0.0")
	}
	exits := map[int]int{}
	a, b := t.TempDir(), t.TempDir()
	for i := range 250 {
		var data bytes.Buffer
		for range r.IntN(8) {
			switch r.IntN(12) {
			case 0, 1:
				data.WriteString(":" + pick("", "127.0.0.2", "127.0.0.2", address(), " 1.2.3.4") + pick(":", ":", ":", "") + pick("", "x", "Blocked $", "a:b\\072", "\xe9\x00", strings.Repeat("long", 300)))
			case 2:
				data.WriteString(pick("#x", "", " ", "\t", "#"))
			case 3:
				if r.IntN(3) == 0 {
					data.WriteString(pick("-1.2.3.4", "/8", "x", ".1", "\x00", "?"))
				}
			default:
				data.WriteString(address())
				if r.IntN(3) > 0 {
					data.WriteString("/" + pick("0", "1", "8", "24", "31", "32", "33", "", "x", "24x", "-1", "4294967320", " 24"))
				}
			}
			data.WriteString(pick("", "", "", " ", "\t ", "\r", "\x00"))
			data.WriteString("\n")
		}
		text := data.Bytes()
		if r.IntN(3) == 0 {
			text = bytes.TrimSuffix(text, []byte("\n"))
		}
		type result struct {
			exit               int
			stderr, files, cdb string
		}
		compile := func(dir, program string, env []string) (x result) {
			for _, f := range []string{"data.cdb", "data.tmp"} {
				os.Remove(filepath.Join(dir, f))
			}
			os.WriteFile(filepath.Join(dir, "data"), text, 0o644)
			cmd := exec.Command(program)
			var e bytes.Buffer
			cmd.Dir, cmd.Env, cmd.Stderr = dir, env, &e
			cmd.Run()
			x.exit, x.stderr = cmd.ProcessState.ExitCode(), e.String()
			list, _ := os.ReadDir(dir)
			for _, f := range list {
				x.files += f.Name() + " "
			}
			raw, _ := os.ReadFile(filepath.Join(dir, "data.cdb"))
			x.cdb = string(raw)
			return x
		}
		want, got := compile(a, theirs, testbin.PeerEnv()), compile(b, ours, os.Environ())
		if want != got {
			t.Fatalf("file %d %q\n1.05 %d %q %s%d bytes\nours %d %q %s%d bytes", i, text, want.exit, want.stderr, want.files, len(want.cdb), got.exit, got.stderr, got.files, len(got.cdb))
		}
		exits[want.exit]++
	}
	if exits[0] < 60 || exits[111] < 60 {
		t.Errorf("exit codes %v: the generator proves too little", exits)
	}
}
