package conf

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	"bulkhead/internal/testbin"
)

// The fixtures' accounts.
const (
	logUID = 61952
	logGID = 61953
)

type entry struct {
	kind, mode, owner string
	content           []string
}

type golden struct {
	program, exit  string
	args, stderr   []string
	globals, local string // "absent", or the content
	entries        map[string]*entry
}

func parseGolden(t *testing.T, fn string) golden {
	b, err := os.ReadFile(fn)
	if err != nil {
		t.Fatal(err)
	}
	g := golden{entries: map[string]*entry{}, globals: "absent", local: "absent"}
	var last *entry
	for _, line := range strings.Split(string(b), "\n") {
		k, v, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		v = strings.TrimPrefix(v, " ")
		switch k {
		case "program":
			g.program = v
		case "arg":
			g.args = append(g.args, v)
		case "exit":
			g.exit = v
		case "stderr":
			g.stderr = append(g.stderr, v)
		case "given":
			what, content, _ := strings.Cut(v, " ")
			content = strings.ReplaceAll(strings.Trim(content, "'"), `\n`, "\n")
			if what == rootsGlobal {
				g.globals = content
			} else {
				g.local = content
			}
		case "entry":
			f := strings.SplitN(v, " ", 4)
			last = &entry{kind: f[0], mode: f[1], owner: f[2]}
			g.entries[f[3]] = last
		case "content":
			last.content = append(last.content, v)
		}
	}
	return g
}

// deviations are the named rules by which a case may differ from 1.05: each
// turns what 1.05 writes into what is expected here (docs/differences.md).
var deviations = []struct {
	rule  string
	apply func(program string, entries map[string]*entry) bool
}{
	{"no softlimit -d", func(program string, entries map[string]*entry) bool {
		used := false
		for path, e := range entries {
			if !strings.HasSuffix(path, "/run") {
				continue
			}
			for i, l := range e.content {
				for _, cut := range []string{"softlimit -d250000 ", "softlimit -d300000 ", `-d "$DATALIMIT" `} {
					l = strings.Replace(l, cut, "", 1)
				}
				used = used || l != e.content[i]
				e.content[i] = l
			}
		}
		return used
	}},
	{"replication", func(program string, entries map[string]*entry) bool {
		if program != "tinydns-conf" || len(entries) == 0 {
			return false
		}
		entries["/fx/service/root/secondaries"] = &entry{"f", "0644", "root:root", nil}
		entries["/fx/service/root/Makefile"].content = strings.Split(strings.TrimSuffix(tinydnsMakefile(defaultBin), "\n"), "\n")
		return true
	}},
	{"IPv6 kinds", func(program string, entries map[string]*entry) bool {
		if program != "tinydns-conf" || len(entries) == 0 {
			return false
		}
		for _, kind := range []string{"host6", "alias6"} {
			e := *entries["/fx/service/root/add-host"]
			e.content = []string{e.content[0], strings.Replace(e.content[1], "add host", "add "+kind, 1)}
			entries["/fx/service/root/add-"+kind] = &e
		}
		return true
	}},
}

// TestGolden plays every case in a root of its own: what is below /fx
// afterwards must be what 1.05 leaves, but for the named rules.
func TestGolden(t *testing.T) {
	testbin.NeedRoot(t)
	cases, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "compat/golden/conf"), "*.case"))
	if len(cases) < 40 {
		t.Fatalf("only %d cases", len(cases))
	}
	var programs []string
	for _, p := range []string{"tinydns", "walldns", "rbldns", "pickdns", "axfrdns", "dnscache"} {
		programs = append(programs, p+"-conf")
	}
	bindir := testbin.Dir(t, programs...)
	count := map[string]int{}
	for _, fn := range cases {
		t.Run(filepath.Base(fn), func(t *testing.T) {
			g := parseGolden(t, fn)
			root := t.TempDir()
			for _, d := range []string{"fx", "etc", "usr/local/bin", "dev"} {
				if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write(t, root+"/etc/passwd", fmt.Sprintf("root:x:0:0::/:/bin/sh\nGdnslog:x:%d:%d::/:/bin/false\n", logUID, logGID))
			if g.globals != "absent" {
				write(t, root+rootsGlobal, g.globals)
			}
			if g.local != "absent" {
				write(t, root+rootsLocal, g.local)
			}
			b, err := os.ReadFile(filepath.Join(bindir, g.program))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+"/usr/local/bin/"+g.program, b, 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/usr/local/bin/"+g.program, g.args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
			cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/local/bin"}
			// exec.Command looked for the program outside the new root
			cmd.Path, cmd.Err = "/usr/local/bin/"+g.program, nil
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err = cmd.Run()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(cmd.ProcessState.ExitCode()); got != g.exit {
				t.Errorf("exit %s, want %s", got, g.exit)
			}
			want := ""
			for _, l := range g.stderr {
				want += l + "\n"
			}
			if stderr.String() != want {
				t.Errorf("stderr %q, want %q", stderr.String(), want)
			}
			for _, d := range deviations {
				if d.apply(g.program, g.entries) {
					count[d.rule]++
				}
			}
			compare(t, root, g.entries)
		})
	}
	t.Logf("cases explained by a rule: %v", count)
}

func write(t *testing.T, fn, content string) {
	if err := os.WriteFile(fn, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, root string, want map[string]*entry) {
	seen := map[string]bool{}
	err := filepath.WalkDir(root+"/fx", func(p string, de fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(p, root)
		if path == "/fx" {
			return nil
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(p, &st); err != nil {
			return err
		}
		kind := "f"
		if st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			kind = "d"
		}
		owner := fmt.Sprintf("%d:%d", st.Uid, st.Gid)
		switch owner {
		case "0:0":
			owner = "root:root"
		case fmt.Sprintf("%d:%d", logUID, logGID):
			owner = "Gdnslog:Gdnslog"
		}
		mode := fmt.Sprintf("%04o", st.Mode&0o7777)
		seen[path] = true
		w := want[path]
		if w == nil {
			t.Errorf("%s %s %s %s should not be there", kind, mode, owner, path)
			return nil
		}
		if mode = strings.TrimPrefix(mode, "0"); kind != w.kind || mode != strings.TrimPrefix(w.mode, "0") || owner != w.owner {
			t.Errorf("%s: %s %s %s, want %s %s %s", path, kind, mode, owner, w.kind, w.mode, w.owner)
		}
		if kind == "d" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if filepath.Base(path) == "seed" {
			if len(b) != seedLen || bytes.Count(b, b[:1]) > seedLen/2 {
				t.Errorf("%s: not %d random bytes", path, seedLen)
			}
			return nil
		}
		content := ""
		for _, l := range w.content {
			content += l + "\n"
		}
		if string(b) != content {
			t.Errorf("%s:\n%s\nwant:\n%s", path, b, content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for p := range want {
		if !seen[p] {
			missing = append(missing, p)
		}
	}
	sort.Strings(missing)
	for _, p := range missing {
		t.Errorf("%s is missing", p)
	}
}

// The paths in the files are those of the folder the program is in.
func TestOwnFolder(t *testing.T) {
	testbin.NeedRoot(t)
	bindir := testbin.Dir(t, "rbldns-conf")
	dir := filepath.Join(t.TempDir(), "service")
	out, err := exec.Command(filepath.Join(bindir, "rbldns-conf"), "root", "root", dir, "127.0.0.1", "x.test").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(dir + "/root/Makefile")
	real, _ := filepath.EvalSymlinks(bindir)
	if want := "data.cdb: data\n\t" + real + "/rbldns-data\n"; err != nil || string(b) != want {
		t.Errorf("Makefile %q, %v; want %q", b, err, want)
	}
}

// TestRoots compares the root list with the one of the compatibility notes.
func TestRoots(t *testing.T) {
	b, err := os.ReadFile("dnsroots.global")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(b))
	if len(lines) != 13 || lines[0] != "198.41.0.4" || lines[1] != "170.247.170.2" || lines[12] != "202.12.27.33" {
		t.Errorf("root list: %q", lines)
	}
}
