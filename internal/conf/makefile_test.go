package conf

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// TestMakefile runs make in a tinydns directory with an rsync that only writes
// down what it is asked for, and fails for one host.
func TestMakefile(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Fatal("make is needed")
	}
	bin := testbin.Dir(t, "tinydns-data")
	dir := t.TempDir()
	fake := t.TempDir()
	put := func(fn, content string, mode os.FileMode) {
		if err := os.WriteFile(fn, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(fake, "rsync"), "#!/bin/sh\necho \"$@\" >>"+fake+"/log\ncase \"$*\" in *bad:*) exit 12;; esac\n", 0o755)
	put(dir+"/Makefile", tinydnsMakefile(bin), 0o644)
	put(dir+"/data", "+a.test:192.0.2.1\n", 0o644)
	run := func() (string, error) {
		cmd := exec.Command("make")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+fake+":"+os.Getenv("PATH"), "MAKEFLAGS=", "MFLAGS=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	sent := func() string {
		b, _ := os.ReadFile(fake + "/log")
		os.Remove(fake + "/log")
		return string(b)
	}

	// no secondaries, with and without the file: it compiles as ever
	for range 2 {
		if out, err := run(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if _, err := os.Stat(dir + "/data.cdb"); err != nil {
			t.Fatal(err)
		}
		if s := sent(); s != "" {
			t.Errorf("something was sent: %s", s)
		}
		os.Remove(dir + "/data.cdb")
		put(dir+"/secondaries", "", 0o644)
	}

	put(dir+"/secondaries", "# comment\n\ntinydns@bad note\ntinydns@good\nlast", 0o644)
	out, err := run()
	if err == nil || !strings.Contains(out, "make: unable to send data.cdb to tinydns@bad\n") || !strings.Contains(out, "111") {
		t.Errorf("%v: %s", err, out)
	}
	s := sent()
	for _, host := range []string{"tinydns@bad:", "tinydns@good:", "last:"} {
		if !strings.Contains(s, " data.cdb "+host+"data.cdb\n") {
			t.Errorf("not sent to %s: %s", host, s)
		}
	}
	// the next make tries again, although data.cdb is new enough
	put(dir+"/secondaries", "tinydns@good\n", 0o644)
	if out, err := run(); err != nil || !strings.Contains(sent(), "tinydns@good:") {
		t.Errorf("%v: %s", err, out)
	}

	// what does not compile is not sent
	put(dir+"/data", "?\n", 0o644)
	future := filepath.Join(dir, "data")
	if st, err := os.Stat(dir + "/data.cdb"); err == nil {
		when := st.ModTime().Add(2e9)
		os.Chtimes(future, when, when)
	}
	if out, err := run(); err == nil || sent() != "" {
		t.Errorf("bad data: %v %s", err, out)
	}
}
