package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bulkhead/internal/testbin"
)

// tool runs one of the three programs.
func tool(t *testing.T, dir, name string, stdin []byte, args ...string) (out string, stderr string, exit int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(testbin.Dir(t, "cdbmake", "cdbdump", "cdbget"), name), args...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestTools(t *testing.T) {
	dir := t.TempDir()
	const text = "+1,2:a->bc\n+0,0:->\n+3,4:a\nb->:\n->\n+1,1:a->x\n\n"
	if _, e, exit := tool(t, dir, "cdbmake", []byte(text), "f", "tmp"); exit != 0 || e != "" {
		t.Fatal(exit, e)
	}
	f, err := os.ReadFile(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/tmp"); err == nil {
		t.Error("tmp is left")
	}
	if out, e, exit := tool(t, dir, "cdbdump", f); out != text || e != "" || exit != 0 {
		t.Errorf("cdbdump: %q %q %d", out, e, exit)
	}
	for _, c := range []struct {
		args []string
		out  string
		exit int
	}{
		{[]string{"a"}, "bc", 0}, {[]string{"a", "1"}, "x", 0}, {[]string{"a", "2"}, "", 100}, {[]string{""}, "", 0},
		{[]string{"a\nb"}, ":\n->", 0}, {[]string{"b"}, "", 100},
	} {
		if out, e, exit := tool(t, dir, "cdbget", f, c.args...); out != c.out || exit != c.exit || e != "" {
			t.Errorf("cdbget %q: %q %q %d", c.args, out, e, exit)
		}
	}
	for _, c := range []struct {
		name   string
		stdin  string
		args   []string
		stderr string
		exit   int
	}{
		{"cdbmake", "", []string{"f"}, "cdbmake: usage: cdbmake f ftmp\n", 100},
		{"cdbmake", "+1,1:a->b\n", []string{"f", "tmp"}, "cdbmake: fatal: unable to read input: bad format\n", 111},
		{"cdbmake", "\n", []string{"f", "no/tmp"}, "cdbmake: fatal: unable to create no/tmp: file does not exist\n", 111},
		{"cdbmake", "\n", []string{"no/f", "tmp"}, "cdbmake: fatal: unable to rename tmp to no/f: file does not exist\n", 111},
		{"cdbdump", "short", nil, "cdbdump: fatal: unable to read input: format error\n", 111},
		{"cdbget", "short", []string{"a"}, "cdbget: fatal: unable to read input: format error\n", 111},
		{"cdbget", "", nil, "cdbget: usage: cdbget key [skip]\n", 100},
	} {
		if _, e, exit := tool(t, dir, c.name, []byte(c.stdin), c.args...); e != c.stderr || exit != c.exit {
			t.Errorf("%s %q: %q %d, want %q %d", c.name, c.args, e, exit, c.stderr, c.exit)
		}
	}
	if again, err := os.ReadFile(dir + "/f"); err != nil || !bytes.Equal(again, f) {
		t.Error("a failure changed f")
	}
}
