package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// result is all that a run leaves behind.
type result struct {
	exit   int
	stderr string
	files  string
	cdb    []byte
}

func compile(t *testing.T, program string, env []string, data []byte) result {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/data", data, 0o644); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1500000000, 0)
	os.Chtimes(dir+"/data", when, when)
	return runIn(t, program, env, dir)
}

func runIn(t *testing.T, program string, env []string, dir string) result {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Dir, cmd.Env = dir, env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	r := result{exit: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
	des, _ := os.ReadDir(dir)
	for _, de := range des {
		if de.Name() != "data.idx" { // our index, which the reference does not have
			r.files += de.Name() + " "
		}
	}
	r.cdb, _ = os.ReadFile(dir + "/data.cdb")
	return r
}

// odd makes random data files in which everything that the language gives a
// meaning, and much that it does not, comes up often.
type odd struct{ *rand.Rand }

func (o odd) pick(list ...string) string { return list[o.IntN(len(list))] }

func (o odd) name() string {
	var s string
	for range o.IntN(4) {
		s += o.pick("a", "b", "www", "Example", "test", "*", `\052`, `\056`, `x\.y`, `\8`, `\12`, `\400`, "", "-", "_", "\xff", " ", strings.Repeat("l", 60+o.IntN(6)), `\`)
		if o.IntN(8) > 0 {
			s += "."
		}
	}
	if o.IntN(50) == 0 {
		s += strings.Repeat("label.", 35+o.IntN(10))
	}
	return s + o.pick("", "test", ".", "example.test.", "in-addr.arpa")
}

func (o odd) ip() string {
	return o.pick("192.0.2.1", "10.0.0."+strconv.Itoa(o.IntN(999)), "", "1.2.3", "1.2.3.4x", " 1.2.3.4", "256.257.1.2", "01.02.03.04", "abc", "1..2.3", "99999999999999999999.1.1.1")
}

func (o odd) number() string {
	return o.pick("", "0", "1", "60", "86400", "4294967296", "4294967295", "12abc", "-5", " 60", "99999999999999999999", "65536")
}

func (o odd) tail() string {
	s := ":" + o.number()
	if o.IntN(3) == 0 {
		s += ":" + o.pick("", "4000000038af1379", "41", "ABCDEF", "40000000ffffffff0000", "zz", "4000000038AF1379")
		if o.IntN(2) == 0 {
			s += ":" + o.pick("", "ex", "x", "abc", "\x00\x00", "é")
		}
	}
	return s + o.pick("", "", "", "", ":", ":more:fields", " ", "\t", "\r")
}

func (o odd) text() string {
	return o.pick("", "text", `\072`, `\`, `a\`, `\8\9\777`, strings.Repeat("t", o.IntN(400)), "é\x00\xff", `\\072`)
}

func (o odd) line() string {
	switch o.IntN(14) {
	case 0:
		return "#" + o.text()
	case 1:
		return o.pick("", " ", "\t", "-x", "   \t ")
	case 2, 3:
		return o.pick("+", "=") + o.name() + ":" + o.ip() + o.tail()
	case 4, 5:
		return o.pick(".", "&") + o.name() + ":" + o.ip() + ":" + o.pick("", "a", "ns.x", ".", `a\`, `\056`, o.name()) + o.tail()
	case 6:
		return "@" + o.name() + ":" + o.ip() + ":" + o.pick("", "a", "mx.x", o.name()) + ":" + o.number() + o.tail()
	case 7:
		return "'" + o.name() + ":" + o.text() + o.tail()
	case 8:
		return o.pick("^", "C") + o.name() + ":" + o.name() + o.tail()
	case 9, 10:
		return ":" + o.name() + ":" + o.pick("1", "28", "33", "65281", "65537x", "16", "99", "255", "300 ") + ":" + o.text() + o.tail()
	case 11:
		return "Z" + o.name() + ":" + o.name() + ":" + o.name() + ":" + o.number() + ":" + o.number() + ":" + o.number() + ":" + o.number() + ":" + o.number() + o.tail()
	case 12:
		return "%" + o.pick("", "e", "ex", "exx") + ":" + o.pick("", "10", "10.0", "1.2.3.4", "1..2", ".1", "1.x", "1.2.3.4.5.6", "300.1", "x", "2001:db8::", "10.0.0.0/8")
	}
	// rarely something fatal
	if o.IntN(12) > 0 {
		return "#"
	}
	return o.pick("?", " +x:1.2.3.4", "\r", "\x00", "*", ":"+o.name()+":"+o.pick("0", "2", "5", "6", "12", "15", "252", "", "x", "65538")+":", "+"+strings.Repeat("x", 64)+":1.2.3.4", "z")
}

func (o odd) file() []byte {
	var b bytes.Buffer
	for range o.IntN(40) {
		b.WriteString(o.line())
		b.WriteByte('\n')
	}
	if o.IntN(4) == 0 {
		b.WriteString(o.line()) // no newline at the end
	}
	return b.Bytes()
}

// newer reports whether a file has lines that only we understand.
func newer(data []byte) bool {
	for _, l := range strings.Split(string(data), "\n") {
		if f := strings.Split(l, ":"); l != "" && (strings.IndexByte("36SN", l[0]) >= 0 || l[0] == '%' && len(f) > 1 && strings.HasPrefix(f[1], "[")) {
			return true
		} else if l != "" && l[0] == ':' && len(f) > 2 {
			if _, ok := dns.ParseType(f[2]); ok {
				return true
			}
		}
	}
	return false
}

// TestDifferential compiles random files with Debian's tinydns-data and with
// ours: messages, exit code, files and every byte must be the same. More with
// BULKHEAD_FILES=N.
func TestDifferential(t *testing.T) {
	theirs := testbin.Peer(t, "usr/sbin/tinydns-data")
	ours := filepath.Join(testbin.Dir(t, "tinydns-data"), "tinydns-data")
	n := 400
	if v := os.Getenv("BULKHEAD_FILES"); v != "" {
		n, _ = strconv.Atoi(v)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	good := 0
	for i := range n {
		o := odd{rand.New(rand.NewPCG(seed, uint64(i)))}
		data := o.file()
		if newer(data) {
			continue
		}
		want := compile(t, theirs, testbin.PeerEnv(), data)
		got := compile(t, ours, os.Environ(), data)
		if got.exit != want.exit || got.stderr != want.stderr || got.files != want.files || !bytes.Equal(got.cdb, want.cdb) {
			t.Fatalf("file %d:\n%q\nours   %d %q %s %d bytes\ntheirs %d %q %s %d bytes", i, data, got.exit, got.stderr, got.files, len(got.cdb), want.exit, want.stderr, want.files, len(want.cdb))
		}
		if want.exit == 0 {
			good++
		}
	}
	if good < n/4 {
		t.Errorf("only %d of %d files compile: the generator proves too little", good, n)
	}
}

// TestErrors plays the ways of failing that have fixtures.
func TestErrors(t *testing.T) {
	shared := testbin.Shared(t, "compat/golden/data-errors")
	cases, _ := filepath.Glob(shared + "/*.expect")
	if len(cases) < 25 {
		t.Fatalf("only %d cases", len(cases))
	}
	ours := filepath.Join(testbin.Dir(t, "tinydns-data"), "tinydns-data")
	for _, fn := range cases {
		name := strings.TrimSuffix(filepath.Base(fn), ".expect")
		b, err := os.ReadFile(fn)
		if err != nil {
			t.Fatal(err)
		}
		want := result{}
		for _, l := range strings.Split(string(b), "\n") {
			k, v, _ := strings.Cut(l, ": ")
			switch k {
			case "exit":
				want.exit, _ = strconv.Atoi(v)
			case "stderr":
				want.stderr += v + "\n"
			}
		}
		dir := t.TempDir()
		if data, err := os.ReadFile(strings.TrimSuffix(fn, "expect") + "data"); err == nil {
			os.WriteFile(dir+"/data", data, 0o644)
		} else if dirname, ok := strings.CutSuffix(name, "-is-a-directory"); ok {
			if dirname != "data" {
				os.WriteFile(dir+"/data", []byte("+a:1.2.3.4\n"), 0o644)
			}
			os.Mkdir(dir+"/"+dirname, 0o755)
		}
		got := runIn(t, ours, os.Environ(), dir)
		if got.exit != want.exit || got.stderr != want.stderr {
			t.Errorf("%s: %d %q, want %d %q", name, got.exit, got.stderr, want.exit, want.stderr)
		}
	}
}

// A file that does not compile leaves the old data.cdb as it was, byte and
// inode.
func TestOldOneStays(t *testing.T) {
	ours := filepath.Join(testbin.Dir(t, "tinydns-data"), "tinydns-data")
	dir := t.TempDir()
	os.WriteFile(dir+"/data", []byte("+a.test:192.0.2.1\n"), 0o644)
	if r := runIn(t, ours, os.Environ(), dir); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	before, _ := os.Stat(dir + "/data.cdb")
	old, _ := os.ReadFile(dir + "/data.cdb")
	for i, bad := range []string{"?", ":x:CAA:what", "3x:12"} {
		os.WriteFile(dir+"/data", []byte("+b.test:192.0.2.1\n\n"+bad+"\n"), 0o644)
		r := runIn(t, ours, os.Environ(), dir)
		if r.exit != 111 || !strings.Contains(r.stderr, "unable to parse data line 3: ") {
			t.Errorf("bad line %d: %d %q", i, r.exit, r.stderr)
		}
		after, err := os.Stat(dir + "/data.cdb")
		if err != nil || !os.SameFile(before, after) || !bytes.Equal(r.cdb, old) {
			t.Errorf("bad line %d: data.cdb changed", i)
		}
	}
}
