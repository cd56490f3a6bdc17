package golden

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bulkhead/internal/testbin"
)

// Random data files and commands, put to Debian's tinydns-edit and to ours: the
// same file, mode, message and exit code.
func TestEditDifferential(t *testing.T) {
	old := testbin.Peer(t, "usr/sbin/tinydns-edit")
	now := filepath.Join(testbin.Dir(t, "tinydns-edit"), "tinydns-edit")
	mask := syscall.Umask(0o022)
	defer syscall.Umask(mask)
	r := rand.New(rand.NewPCG(17, 18))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	names := []string{"a.test", "A.TEST", "a.test.", ".a..test", "b.test", "", ".", "\\141.test", "x.a.test", "\\052.test", "*.test", "a\\.test", "a\\072b.test", "back\\",
		strings.Repeat("l", 63) + ".test", strings.Repeat("l", 64) + ".test", strings.Repeat("abcdefg.", 40) + "test", "a b", "é.test"}
	ips := []string{"192.0.2.1", "192.0.2.2", "192.0.2.257", "192.0.2", "", "1.2.3.4junk", "01.002.3.4", "abc", "1.2.3.4.5", "-1.2.3.4", "4294967296.2.3.4"}
	a, b := t.TempDir(), t.TempDir()
	kinds := map[string]int{}
	for round := range 400 {
		var data strings.Builder
		for range r.IntN(12) {
			switch r.IntN(8) {
			case 0:
				fmt.Fprintf(&data, "%s%s\n", pick("#", "-", "", "?", " "), pick(names...))
			case 1, 2:
				letter := string(rune('a' + r.IntN(26)))
				if r.IntN(3) == 0 {
					letter = pick("", "A", "ab", "a.ns.a.test", "b.ns.a.test.", "C.NS.A.TEST", "a.mx.a.test", "other.example")
				}
				fmt.Fprintf(&data, "%s%s:%s:%s:%s\n", pick(".", "&"), pick(names...), pick(ips...), letter, pick("", "60", "0", "x", "5000000000", "7x"))
			case 3, 4:
				fmt.Fprintf(&data, "@%s:%s:%s:%s:%s\n", pick(names...), pick(ips...), pick("a", "b", "", "a.mx.a.test", "B.MX.a.test"), pick("", "5"), pick("", "60", "0", "x"))
			case 5:
				for c := 'a'; c <= 'z'; c++ { // every letter is used up
					fmt.Fprintf(&data, "%s%s:1.2.3.4:%c\n", pick(".", "&", "@"), pick(names[:3]...), c)
				}
			default:
				fmt.Fprintf(&data, "%s%s:%s:%s\n", pick("=", "+"), pick(names...), pick(ips...), pick("", "60"))
			}
		}
		text := data.String()
		if r.IntN(4) == 0 {
			text = strings.TrimSuffix(text, "\n")
		}
		mode := os.FileMode([]uint32{0o644, 0o600, 0o664, 0o755, 0o444}[r.IntN(5)])
		in := pick("data", "data", "data", "missing")
		args := []string{in, pick("data.new", "data.new", "data.new", "no/where"), "add", pick("ns", "childns", "host", "alias", "mx", "host", "cname", "NS"), pick(names...), pick(ips...)}
		switch r.IntN(12) {
		case 0:
			args = args[:r.IntN(len(args))]
		case 1:
			args[2] = pick("del", "ADD", "")
		case 2:
			args = append(args, "more")
		}
		type result struct {
			exit        int
			stderr, out string
			mode        os.FileMode
		}
		run := func(dir, program string) (x result) {
			os.WriteFile(filepath.Join(dir, "data"), []byte(text), 0o644)
			os.Chmod(filepath.Join(dir, "data"), mode)
			os.Remove(filepath.Join(dir, "data.new"))
			cmd := exec.Command(program, args...)
			var e bytes.Buffer
			cmd.Dir, cmd.Stderr, cmd.Env = dir, &e, testbin.PeerEnv()
			cmd.Run()
			x.exit, x.stderr = cmd.ProcessState.ExitCode(), e.String()
			for _, n := range []string{"data", "data.new"} {
				if raw, err := os.ReadFile(filepath.Join(dir, n)); err == nil {
					x.out += n + "\n" + string(raw)
				}
			}
			if st, err := os.Stat(filepath.Join(dir, "data")); err == nil {
				x.mode = st.Mode()
			}
			return x
		}
		want, got := run(a, old), run(b, now)
		if want != got {
			t.Fatalf("round %d %q\n1.05 %+v\nours %+v\ndata %q", round, args, want, got, text)
		}
		kinds[fmt.Sprint(want.exit)]++
	}
	if kinds["0"] < 40 || kinds["100"] < 40 || kinds["111"] < 10 {
		t.Errorf("exit codes %v", kinds)
	}
}
