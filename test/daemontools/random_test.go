package daemontools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/testbin"
)

// The random cases: what is typed, read and found on the disk is drawn from a
// fixed seed, done with Debian's program and with ours, and everything that a
// caller can see has to be the same. RANDOM_TRIALS makes it long.

// trial is one command line with what it reads and what lies around it.
type trial struct {
	args  []string
	stdin string
	env   []string
	files map[string]string // made before, in the working directory; a name with "/" at its end is a folder
	mode  map[string]os.FileMode
	held  string // a file on which another process has the lock
	fifo  string // a FIFO with a reader
}

func (tr trial) String() string {
	return fmt.Sprintf("%q env %q files %q held %q fifo %q stdin %.3000q", tr.args, tr.env, tr.files, tr.held, tr.fifo, tr.stdin)
}

// trialLimit is far above what a trial takes.
const trialLimit = time.Minute

// errSkip marks what Debian's program crashes on.
var errSkip = errors.New("the original crashed")

// outcome does the trial in a folder of its own and gives all that can be seen.
func (tr trial) outcome(t *testing.T, bin string, env []string) (string, error) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "") // one folder, removed at the end of the test
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	for name, text := range tr.files {
		f := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(f), 0o755)
		if strings.HasSuffix(name, "/") {
			os.MkdirAll(f, 0o755)
		} else if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if m, ok := tr.mode[name]; ok {
			os.Chmod(f, m)
		}
	}
	if tr.held != "" {
		f, err := os.OpenFile(filepath.Join(dir, tr.held), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	}
	if tr.fifo != "" {
		p := filepath.Join(dir, tr.fifo)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := syscall.Mkfifo(p, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Open(p, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
	}
	ctx, cancel := context.WithTimeout(context.Background(), trialLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, tr.args[0]), tr.args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(append(env, "PATH=/usr/bin:/bin", "LC_ALL=C"), tr.env...)
	cmd.Stdin = strings.NewReader(tr.stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v: does not end", tr)
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() && ws.Signal() == syscall.SIGSEGV {
		return "", errSkip
	}
	return fmt.Sprintf("exit %d\nout %q\nerr %q\n%s", cmd.ProcessState.ExitCode(), out.String(), oldLog.ReplaceAllString(errs.String(), "@LABEL"), tree(t, dir)), nil
}

var oldLog = regexp.MustCompile(`@4[0-9a-f]{23}`)

// tree lists a folder: names with labels made the same, modes, sizes, contents.
// Old logs come in their order.
func tree(t *testing.T, dir string) string {
	var b strings.Builder
	var names []string
	filepath.WalkDir(dir, func(p string, _ fs.DirEntry, _ error) error {
		names = append(names, p)
		return nil
	})
	sort.Strings(names)
	for _, p := range names[1:] {
		fi, err := os.Lstat(p)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, p)
		fmt.Fprintf(&b, "%s %v", oldLog.ReplaceAllString(rel, "@LABEL"), fi.Mode())
		if fi.Mode().IsRegular() {
			text, _ := os.ReadFile(p)
			fmt.Fprintf(&b, " %d %q", fi.Size(), oldLog.ReplaceAllString(string(text), "@LABEL"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// random does n trials of make with both and compares.
func random(t *testing.T, n int, make func(r *rand.Rand) trial, normal func(string) string) {
	debian := filepath.Dir(testbin.Peer(t, "usr/bin/supervise"))
	ours := testbin.Dir(t, programs...)
	t.Parallel()
	n = setting("RANDOM_TRIALS", n)
	r := rand.New(rand.NewSource(0x6d6f6f6e))
	skipped, bad := 0, 0
	for i := 0; i < n && bad < 3; i++ {
		tr := make(r)
		want, err := tr.outcome(t, debian, testbin.PeerEnv())
		if err == errSkip {
			skipped++
			continue
		}
		got, _ := tr.outcome(t, ours, testbin.PeerEnv())
		if normal != nil {
			want, got = normal(want), normal(got)
		}
		// both may stand in the environment of either
		bin := strings.NewReplacer(debian, "BIN", ours, "BIN")
		want, got = bin.Replace(want), bin.Replace(got)
		if got != want {
			bad++
			at := 0
			for at < min(len(want), len(got)) && want[at] == got[at] {
				at++
			}
			from := max(0, at-200)
			t.Errorf("trial %d: %.3000v\nDebian's:\n...%.500s\nours:\n...%.500s", i, tr, want[from:], got[from:])
		}
	}
	if skipped > n/2 {
		t.Errorf("%d of %d trials crashed the original", skipped, n)
	}
}

// pick gives one of the words.
func pick(r *rand.Rand, words ...string) string { return words[r.Intn(len(words))] }

// text is n bytes out of an alphabet.
func text(r *rand.Rand, n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.Intn(len(alphabet))]
	}
	return string(b)
}

func TestRandomMultilog(t *testing.T) {
	random(t, 60, func(r *rand.Rand) trial {
		tr := trial{args: []string{"multilog"}, files: map[string]string{}, mode: map[string]os.FileMode{}}
		for range r.Intn(9) {
			var w string
			switch r.Intn(12) {
			case 0, 1, 2, 3:
				w = pick(r, "+", "-") + text(r, r.Intn(6), "aab*** ")
			case 4:
				w = pick(r, "e", "extra")
			case 5:
				w = "=" + pick(r, "f1", "f2")
			case 6:
				w = "s" + pick(r, "4096", "5000", "0", "", "x", "6500junk", "99999999999")
			case 7:
				w = "n" + pick(r, "2", "3", "1", "0", "", "x", "5z")
			case 8:
				w = "!" + pick(r, "cat", "tr a b", "cat; echo more >&5; cat <&4")
			case 9:
				w = pick(r, "t", "", "junk", "?", "a")
			default:
				w = pick(r, "./d1", "./d2", "./d3")
			}
			if strings.HasPrefix(w, "./") && strings.Contains(strings.Join(tr.args, "\n")+"\n", w+"\n") {
				continue // the second would meet the lock of the first: see multilog-fatal
			}
			tr.args = append(tr.args, w)
		}
		if r.Intn(2) == 0 {
			tr.args = append(tr.args, "./d4")
		}
		if r.Intn(3) == 0 { // what an earlier one has left
			for _, f := range []string{"current", "previous", "processed", "state", "newstate", "@400000000000000000000001.s", "@400000000000000000000002.u"} {
				if r.Intn(2) == 0 {
					name := "d1/" + f
					tr.files[name] = text(r, r.Intn(3000), "abc\n")
					tr.mode[name] = []os.FileMode{0o644, 0o744}[r.Intn(2)]
				}
			}
		}
		var in strings.Builder
		for range r.Intn(60) {
			switch r.Intn(8) {
			case 0:
				in.WriteString(text(r, 190+r.Intn(20), "ab"))
			case 1:
				in.WriteString(text(r, 960+r.Intn(50), "ab "))
			case 2:
				in.WriteString(text(r, r.Intn(5000), "xy"))
			default:
				in.WriteString(text(r, r.Intn(8), "ab* \000"))
			}
			in.WriteString("\n")
		}
		if r.Intn(3) == 0 {
			in.WriteString(text(r, 1+r.Intn(1200), "ab"))
		}
		tr.stdin = in.String()
		return tr
	}, nil)
}

func TestRandomEnvdir(t *testing.T) {
	random(t, 60, func(r *rand.Rand) trial {
		tr := trial{args: []string{"envdir"}, files: map[string]string{"e/": ""}, env: []string{"KEPT=1", "GONE=2", "TWICE=1", "TWICE=2", "A=old"}}
		for range r.Intn(7) {
			name := pick(r, "A", "GONE", "TWICE", "B", ".dot", "lower", "PATH", "X Y")
			if name == "PATH" && r.Intn(4) > 0 {
				continue
			}
			tr.files["e/"+name] = pick(r, "", "\n", " ", "v", "value \t \n", "a\000b", "\r\n", "two\nlines", text(r, r.Intn(9), "ab \t\r\000\n"), text(r, 5000, "long "))
		}
		switch r.Intn(8) {
		case 0:
			tr.files["e/folder/"] = ""
		case 1:
			tr.args = append(tr.args, pick(r, "none", "--", "-x", ""), "env")
			return tr
		}
		tr.args = append(tr.args, "e", "env")
		if r.Intn(6) == 0 {
			tr.args = tr.args[:r.Intn(len(tr.args)-1)+1]
		}
		return tr
	}, func(s string) string { // the order of the folder is the file system's
		lines := strings.SplitN(s, "\n", 3)
		if i := strings.Index(lines[1], `"`); i >= 0 {
			vars := strings.Split(lines[1][i:], `\n`)
			sort.Strings(vars)
			lines[1] = strings.Join(vars, "\n")
		}
		return strings.Join(lines, "\n")
	})
}

func TestRandomSoftlimit(t *testing.T) {
	random(t, 50, func(r *rand.Rand) trial {
		tr := trial{args: []string{"softlimit"}}
		for range r.Intn(5) {
			letter := pick(r, "c", "f", "l", "o", "p", "r", "t", "d", "s", "a", "m", "z", ":", "-")
			value := pick(r, "100", "=", "64", "5000", "1x", "", "-1", "x", "99999999999", "18446744073709551616", "18446744073709551715", "007")
			switch letter {
			case "d", "s", "a", "m": // enough for sh, or no number at all
				value = pick(r, "200000000", "=", "300000000", "100000000", "1x", "9223372036854775807")
			case "f", "t", "p":
				value = pick(r, "100000", "=", "70000", "x", "99999999999999")
			case "o":
				value = pick(r, "64", "=", "100", "32", "40x", "9999999")
			}
			switch r.Intn(4) {
			case 0:
				tr.args = append(tr.args, "-"+letter, value)
			case 1:
				tr.args = append(tr.args, "-"+letter)
			default:
				tr.args = append(tr.args, "-"+letter+value)
			}
		}
		if r.Intn(5) == 0 {
			tr.args = append(tr.args, pick(r, "--", "-"))
		}
		if r.Intn(8) > 0 {
			tr.args = append(tr.args, "sh", "-c", "ulimit -a")
		}
		return tr
	}, nil)
}

func TestRandomSetlock(t *testing.T) {
	random(t, 50, func(r *rand.Rand) trial {
		tr := trial{args: []string{"setlock"}, files: map[string]string{"full": "data\n", "dir/": ""}}
		wait, ended := true, false
		for range r.Intn(4) {
			w := "-" + text(r, r.Intn(4), "nNxXnx")
			if r.Intn(12) == 0 {
				w = pick(r, "-q", "-nz", "--", "-", "-n-")
			}
			if !ended {
				for _, c := range w[1:] {
					if c == 'n' || c == 'N' {
						wait = c == 'N'
					}
				}
			}
			ended = ended || w == "--" || w == "-"
			tr.args = append(tr.args, w)
		}
		file := pick(r, "new", "full", "dir", "none/file", "busy", "")
		if file == "busy" {
			if wait || ended {
				file = "new" // would wait for ever
			} else {
				tr.held = file
			}
		}
		tr.args = append(tr.args, file)
		if r.Intn(8) > 0 {
			tr.args = append(tr.args, pick(r, "sh", "nosuch", "./full", "/"), "-c", "ls -l /proc/self/fd | grep -c full; exit 7")
		}
		return tr
	}, nil)
}

func TestRandomAccounts(t *testing.T) {
	testbin.NeedRoot(t)
	random(t, 60, func(r *rand.Rand) trial {
		tr := trial{args: []string{pick(r, "setuidgid", "envuidgid")}, env: []string{"UID=1", "X=2", "GID=3"}}
		for range r.Intn(2) {
			tr.args = append(tr.args, pick(r, "root", "nobody", "daemon", "bin", "", "0", "65534", "nosuch", "root:x", "roo", "roott", "nobody ", "-s", "--", "+root", "root\nnobody"))
		}
		if len(tr.args) == 1 && r.Intn(5) > 0 {
			tr.args = append(tr.args, pick(r, "root", "nobody", "daemon"))
		}
		if r.Intn(8) > 0 {
			tr.args = append(tr.args, pick(r, "sh", "sh", "sh", "nosuch", "/etc/passwd", "/"), "-c", "id; env | grep -v ^_ | grep -v -e PWD -e SHLVL | grep -E '^([UG]ID|X)='; grep -E '^(Uid|Gid|Groups|CapEff|SigBlk)' /proc/self/status")
		}
		return tr
	}, nil)
}

func TestRandomTai64nlocal(t *testing.T) {
	random(t, 80, func(r *rand.Rand) trial {
		tr := trial{args: []string{"tai64nlocal"}, env: []string{"TZ=" + pick(r, "UTC", "JST-9", "EST5EDT", "EST5EDT,M3.2.0,M11.1.0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30", "Europe/Berlin",
			"Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "", "foo/bar", "NZST-12NZDT,M9.5.0,M4.1.0/3", ":UTC", "EST5EDT4,M3.2.0/2,M11.1.0/2")}}
		var in strings.Builder
		for range 1 + r.Intn(8) {
			switch r.Intn(8) {
			case 0: // the original crashes on dates without a year, so not alone
				in.WriteString(" " + text(r, r.Intn(20), "@4 ab0"))
			case 1: // a label as it should be, of some time between 1970 and 2106
				fmt.Fprintf(&in, "@40000000%08x%08x", r.Uint32(), r.Uint32())
			case 2:
				fmt.Fprintf(&in, " @40000000%08x%08x", r.Uint32(), r.Uint32())
			case 3:
				fmt.Fprintf(&in, "@40000000%02x%06X%08x", r.Intn(256), r.Intn(1<<24), r.Uint32())
			case 4: // digits before it fall out of the register
				fmt.Fprintf(&in, "@%s40000000%08x%08x", text(r, r.Intn(40), "0123456789abcdef"), r.Uint32(), r.Uint32())
			default:
				fmt.Fprintf(&in, "@400000%010x%08x%s", 0x0fffffffff&r.Uint64()>>uint(4+r.Intn(30)), r.Uint32()%1000000000, pick(r, " text", "@", "g", ".", "", "\000"))
			}
			in.WriteString(pick(r, "\n", "\n", "\n", " x\n", "\n\n"))
		}
		tr.stdin = in.String()
		if r.Intn(4) == 0 {
			tr.stdin += "@40000000" // cut off
		}
		return tr
	}, nil)
}

// TestRandomStatus: what svstat, svok and svc say of folders that a supervise
// has left in any state.
func TestRandomStatus(t *testing.T) {
	seconds := regexp.MustCompile(`\d+ seconds`)
	random(t, 80, func(r *rand.Rand) trial {
		tr := trial{args: []string{pick(r, "svstat", "svstat", "svstat", "svok", "svc")}, files: map[string]string{"s/": ""}}
		if r.Intn(8) > 0 {
			tr.files["s/supervise/"] = ""
			b := make([]byte, r.Intn(26))
			if r.Intn(2) == 0 {
				b = make([]byte, 18)
			}
			r.Read(b)
			for i := 13; i < min(len(b), 16); i++ {
				b[i] = byte(r.Intn(2)) * b[i]
			}
			if len(b) > 17 {
				b[0], b[1], b[2], b[3] = 0x40, 0, 0, 0
				b[17] = "udo\000u"[r.Intn(5)]
				b[16] = byte(r.Intn(3))
				if r.Intn(2) == 0 {
					b[12], b[13], b[14], b[15] = 0, 0, 0, 0
				}
			}
			if r.Intn(8) > 0 {
				tr.files["s/supervise/status"] = string(b)
			}
			if r.Intn(4) > 0 {
				tr.fifo = "s/supervise/" + pick(r, "ok", "ok", "ok", "control")
			}
		}
		if r.Intn(2) == 0 {
			tr.files["s/down"] = ""
		}
		if tr.args[0] == "svc" {
			for range r.Intn(3) {
				tr.args = append(tr.args, "-"+text(r, r.Intn(4), "udopchaitkxy"))
			}
		}
		for range r.Intn(4) {
			tr.args = append(tr.args, pick(r, "s", "s", "s/", "./s", "none", "s/supervise/status", "", "--"))
		}
		return tr
	}, func(s string) string { return seconds.ReplaceAllString(s, "S seconds") })
}
