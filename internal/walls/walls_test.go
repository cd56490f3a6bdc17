package walls

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/sandbox"
)

const whole = `Pid:	PID
Uid:	61950	61950	61950	61950
Gid:	61951	61951	61951	61951
Groups:	61951
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	0000000000000000
CapAmb:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
Seccomp_filters:	1
`

// fakeProc is a process of three threads; change breaks something in the last.
func fakeProc(t *testing.T, maps string, change ...string) string {
	t.Helper()
	proc := t.TempDir()
	put := func(name, text string) {
		p := filepath.Join(proc, "7", name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tid := range []string{"7", "8", "9"} {
		s := strings.Replace(whole, "PID", tid, 1)
		if tid == "9" {
			s = strings.NewReplacer(change...).Replace(s)
		}
		put("task/"+tid+"/status", s)
	}
	put("maps", maps)
	put("limits", "Limit Soft Limit Hard Limit Units\nMax core file size        0                    0                    bytes\n")
	if err := os.Symlink("/somewhere", filepath.Join(proc, "7", "root")); err != nil {
		t.Fatal(err)
	}
	return proc
}

// A wall stands only if it stands around every thread.
func TestOneThreadOutside(t *testing.T) {
	const marked = "7f00 ---p 0 00:01 5 /memfd:bulkhead-landlock (deleted)\n"
	const briefly = "7f00 ---p 0 00:01 5 /memfd:bulkhead-landlock-brief (deleted)\n"
	for _, c := range []struct {
		maps    string
		change  []string
		missing string
		none    string // not declared, not standing
	}{
		{maps: marked},
		{marked, []string{"Uid:\t61950", "Uid:\t0"}, "uid", ""},
		{marked, []string{"Gid:\t61951\t61951", "Gid:\t61951\t0"}, "gid", ""},
		{marked, []string{"Groups:\t61951", "Groups:\t4 61951"}, "groups", ""},
		{marked, []string{"Groups:\t61951", "Groups:\t4"}, "groups", ""},
		{marked, []string{"CapInh:\t0000000000000000", "CapInh:\t0000000000000001"}, "capabilities", ""},
		{marked, []string{"CapBnd:\t0000000000000000", "CapBnd:\t0000000000000400"}, "bounding set", ""},
		{briefly, []string{"CapBnd:\t0000000000000000", "CapBnd:\t0000000000000400"}, "", "bounding set"},
		{marked, []string{"NoNewPrivs:\t1", "NoNewPrivs:\t0"}, "no_new_privs", ""},
		{marked, []string{"Seccomp:\t2", "Seccomp:\t0"}, "seccomp", ""},
		{"", nil, "landlock", ""},
	} {
		list, err := Inspect(fakeProc(t, c.maps, c.change...), 7, sandbox.Decl{Program: "x", Calls: "read"})
		if err != nil {
			t.Fatal(err)
		}
		var missing, none string
		for _, w := range list {
			switch {
			case w.Stands:
			case w.Declared:
				missing += w.Name
				if len(c.change) > 0 && !strings.Contains(w.Detail, "(thread 9)") {
					t.Errorf("%s: does not name the thread: %s", w.Name, w.Detail)
				}
			default:
				none += w.Name
			}
		}
		if missing != c.missing || none != c.none {
			t.Errorf("%q: missing %q, none %q", c.change, missing, none)
		}
	}
	if _, err := Inspect(t.TempDir(), 7, sandbox.Decl{}); err != ErrGone {
		t.Errorf("%v", err)
	}
}
