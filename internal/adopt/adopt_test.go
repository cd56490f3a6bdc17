package adopt

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// service makes a service directory as dnscache-conf of 1.05 made it.
func service(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for f, text := range map[string]string{
		"run":            "#!/bin/sh\nexec 2>&1\nexec <seed\nexec envdir ./env sh -c '\n  exec envuidgid Gdnscache softlimit -o250 -d \"$DATALIMIT\" /usr/local/bin/dnscache\n'\n",
		"log/run":        "#!/bin/sh\nexec setuidgid Gdnslog multilog t ./main\n",
		"root/servers/@": "198.41.0.4\n128.9.0.107\n192.33.4.12\n",
	} {
		fn := filepath.Join(dir, f)
		os.MkdirAll(filepath.Dir(fn), 0o755)
		mode := os.FileMode(0o755)
		if strings.HasPrefix(f, "root") {
			mode = 0o644
		}
		if err := os.WriteFile(fn, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bindir has empty programs.
func bindir(t *testing.T, names ...string) string {
	t.Helper()
	d := t.TempDir()
	for _, n := range names {
		os.WriteFile(filepath.Join(d, n), nil, 0o755)
	}
	return d
}

func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		st, _ := os.Lstat(p)
		b.WriteString(strings.TrimPrefix(p, dir) + " " + st.Mode().String())
		if !d.IsDir() {
			text, _ := os.ReadFile(p)
			b.Write(text)
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String()
}

func TestCache(t *testing.T) {
	dir, bin := service(t), bindir(t, "dnscache")
	before := snapshot(t, dir)
	p, err := Look(dir, bin)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p.Show(&out)
	want := "+  exec envuidgid Gdnscache softlimit -o250 " + bin + "/dnscache\n"
	for _, s := range []string{
		"-  exec envuidgid Gdnscache softlimit -o250 -d \"$DATALIMIT\" /usr/local/bin/dnscache\n", want,
		"# root servers: 1 addresses are former ones, 11 are missing\n", "-128.9.0.107\n", "+202.12.27.33\n", " exec <seed\n",
	} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("diff lacks %q:\n%s", s, out.String())
		}
	}
	if snapshot(t, dir) != before {
		t.Fatal("looking changed something")
	}
	if err := p.Apply(&out); err != nil {
		t.Fatal(err)
	}
	run, _ := os.ReadFile(filepath.Join(dir, "run"))
	if !strings.Contains(string(run), want[1:]) {
		t.Errorf("run: %s", run)
	}
	if st, _ := os.Stat(filepath.Join(dir, "run")); st.Mode().Perm() != 0o755 {
		t.Errorf("mode %v", st.Mode())
	}
	again, err := Look(dir, bin)
	if err != nil || len(again.Changes) > 0 {
		t.Errorf("a second look finds %d changes, %v", len(again.Changes), err)
	}
	if err := Undo(&out, dir); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("undo left\n%s\nwant\n%s", after, before)
	}
}

func TestScripts(t *testing.T) {
	bin := bindir(t, "tinydns", "axfrdns", "tcpserver", "tinydns-data", "setuidgid")
	for _, c := range []struct{ in, out string }{
		{"exec envuidgid x envdir ./env softlimit -d300000 /usr/local/bin/tinydns\n", "exec envuidgid x envdir ./env softlimit " + bin + "/tinydns\n"},
		{"exec softlimit -m 2000000 -o10 tinydns\n", "exec softlimit -o10 tinydns\n"},
		{"exec softlimit -a999 -c0 -s 5 -f100 foo\n", "exec softlimit -c0 -f100 foo\n"},
		{"exec softlimit -d100 \\\n -o20 \\\n /usr/bin/tinydns\n", "exec softlimit \\\n -o20 \\\n " + bin + "/tinydns\n"},
		{"exec /usr/local/bin/mine -d 300\n", "exec /usr/local/bin/mine -d 300\n"},
		{"data.cdb: data\n\t/usr/local/bin/tinydns-data\n", "data.cdb: data\n\t" + bin + "/tinydns-data\n"},
		{"exec /command/setuidgid a /usr/local/bin/svscan\n", "exec " + bin + "/setuidgid a /usr/local/bin/svscan\n"},
		{"#!/bin/sh\nexec tcpserver -d 53 x\n", "#!/bin/sh\nexec tcpserver -d 53 x\n"},
	} {
		p := &Plan{}
		got, why := p.script([]byte(c.in), bin)
		if string(got) != c.out {
			t.Errorf("%q: %q, want %q", c.in, got, c.out)
		}
		if (c.in == c.out) != (len(why) == 0) {
			t.Errorf("%q: reasons %q", c.in, why)
		}
	}
	p := &Plan{}
	p.script([]byte("/usr/local/bin/svscan"), bin)
	if len(p.Problems) != 1 {
		t.Errorf("a program that is not there: %q", p.Problems)
	}
}

func TestOwnServersStay(t *testing.T) {
	dir := service(t)
	os.WriteFile(filepath.Join(dir, "root/servers/@"), []byte("10.1.2.3\n128.9.0.107\n"), 0o644)
	p, err := Look(dir, bindir(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Changes {
		if c.File == "root/servers/@" {
			t.Error("a list that is not the root's was changed")
		}
	}
}

func TestDamagedData(t *testing.T) {
	dir := service(t)
	os.WriteFile(filepath.Join(dir, "root/data.cdb"), []byte("short"), 0o644)
	p, err := Look(dir, bindir(t))
	if err != nil || len(p.Problems) == 0 {
		t.Fatalf("%v %v", p, err)
	}
	if _, err := Look(t.TempDir(), ""); err == nil {
		t.Error("an empty folder passes for a service")
	}
}

func TestPresentRoots(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testbin.Root(), "internal/conf/dnsroots.global"))
	if err != nil || string(b) != presentRoots {
		t.Errorf("presentRoots and internal/conf/dnsroots.global differ (%v)", err)
	}
}
