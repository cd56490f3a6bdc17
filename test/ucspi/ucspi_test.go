// Package ucspi compares our ucspi-tcp programs with the originals: one script
// of cases runs with each, and the transcripts must be the same.
package ucspi

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

var programs = []string{"argv0", "tcprules", "tcprulescheck", "tcpclient", "tcpserver", "recordio",
	"fixcrio", "addcr", "delcr", "rblsmtpd", "mconnect-io", "tinydns", "tinydns-data"}

// binaries gives a folder with our programs and scripts.
func binaries(t *testing.T) string {
	t.Helper()
	from := testbin.Dir(t, programs...)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	for _, p := range programs {
		if err := os.Symlink(filepath.Join(from, p), filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	scripts := filepath.Join(testbin.Root(), "cmd", "ucspi-scripts")
	list, err := os.ReadDir(scripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := os.Symlink(filepath.Join(scripts, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inNamespace runs a script of this folder in a network namespace of its own.
func inNamespace(t *testing.T, env []string, script string, args ...string) string {
	t.Helper()
	testbin.NeedRoot(t)
	s, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755) // programs start as other users
	}
	cmd := exec.Command("unshare", append([]string{"-n", "sh", s}, args...)...)
	cmd.Dir = dir
	cmd.Env = env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	return out.String()
}

// split takes a transcript apart into its cases.
func split(transcript string) (names []string, cases map[string]string) {
	cases = map[string]string{}
	for _, part := range strings.Split("\n"+transcript, "\n== ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		for cases[name] != "" {
			name += " (again)"
		}
		names = append(names, name)
		cases[name] = body
	}
	return names, cases
}

func TestSameAsOriginal(t *testing.T) {
	testbin.NeedRoot(t)
	peer := filepath.Dir(testbin.Peer(t, "usr/bin/tcpserver"))
	ours := binaries(t)
	names, want := split(inNamespace(t, testbin.PeerEnv(), "cases.sh", peer, ours))
	_, got := split(inNamespace(t, os.Environ(), "cases.sh", ours, ours))
	if len(names) < 25 {
		t.Fatalf("only %d cases ran", len(names))
	}
	// A program may find its client gone, or not, as the processes happen to run.
	noise := regexp.MustCompile(`(?m)^(/bin/)?sh: .*(I/O error|Broken pipe)$`)
	for _, n := range names {
		w := strings.TrimSpace(noise.ReplaceAllString(want[n], ""))
		g := strings.TrimSpace(noise.ReplaceAllString(got[n], ""))
		if w != g {
			t.Errorf("case %q\n--- original\n%s\n--- ours\n%s", n, diff(w, g), diff(g, w))
		}
	}
	t.Logf("%d cases", len(names))
}

// diff gives the lines of a that b does not have at the same place, with their
// numbers.
func diff(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for i, l := range x {
		if i >= len(y) || y[i] != l {
			out = append(out, l)
		}
		if len(out) == 12 {
			return strings.Join(append(out, "..."), "\n")
		}
	}
	return strings.Join(out, "\n")
}
