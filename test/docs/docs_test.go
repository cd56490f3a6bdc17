// Package docs_test holds the documents to the programs: every command of the
// documents is run, every program has its manual page, every page is clean.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// programs gives the names of all that is installed.
func programs(t *testing.T) []string {
	t.Helper()
	dirs, err := os.ReadDir(filepath.Join(testbin.Root(), "cmd"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range dirs {
		if d.Name() == "ucspi-scripts" {
			files, _ := os.ReadDir(filepath.Join(testbin.Root(), "cmd", d.Name()))
			for _, f := range files {
				out = append(out, f.Name())
			}
			continue
		}
		out = append(out, d.Name())
	}
	return out
}

func TestEveryProgramHasAPage(t *testing.T) {
	for _, p := range programs(t) {
		pages, _ := filepath.Glob(filepath.Join(testbin.Root(), "man", p+".[1-8]"))
		if len(pages) != 1 {
			t.Errorf("%s has %d manual pages", p, len(pages))
		}
	}
}

func TestPagesAreClean(t *testing.T) {
	mandoc := testbin.Peer(t, "usr/bin/mandoc")
	pages, _ := filepath.Glob(filepath.Join(testbin.Root(), "man", "*.[1-8]"))
	if len(pages) < 50 {
		t.Fatalf("only %d pages", len(pages))
	}
	for _, p := range pages {
		cmd := exec.Command(mandoc, "-Tlint", "-Wwarning", p)
		cmd.Env = testbin.PeerEnv()
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(p), err, out)
		}
		text, _ := os.ReadFile(p)
		for _, h := range []string{".Sh NAME\n", ".Sh SYNOPSIS\n", ".Sh DESCRIPTION\n"} {
			if !strings.Contains(string(text), h) {
				t.Errorf("%s lacks %s", filepath.Base(p), strings.TrimSpace(h))
			}
		}
	}
}

// step is a command with its input and the output that the document shows.
type step struct {
	command, input, output string
	line                   int
}

// steps reads a document: in indented text "$ " begins a command, "> " its
// input, and what else follows is what it prints.
func steps(text string) []step {
	var out []step
	blank := ""
	for i, l := range strings.Split(text, "\n") {
		l, code := strings.CutPrefix(l, "    ")
		switch {
		case l == "" && len(out) > 0 && !strings.HasPrefix(out[len(out)-1].output, "\x00"):
			blank += "\n" // part of the output only if more follows
			continue
		case !code:
			if len(out) > 0 { // the output ends with the block
				out[len(out)-1].output = "\x00" + strings.TrimPrefix(out[len(out)-1].output, "\x00")
			}
		case strings.HasPrefix(l, "$ "):
			out = append(out, step{command: l[2:], line: i + 1})
		case strings.HasPrefix(l, "> ") && len(out) > 0:
			out[len(out)-1].input += l[2:] + "\n"
		case len(out) > 0 && !strings.HasPrefix(out[len(out)-1].output, "\x00"):
			out[len(out)-1].output += blank + l + "\n"
		}
		blank = ""
	}
	for i := range out {
		out[i].output = strings.TrimPrefix(out[i].output, "\x00")
	}
	return out
}

// TestCommands runs the documents whose commands need no other machine; those
// of article.md are run by test/story.
func TestCommands(t *testing.T) {
	bin := testbin.Dir(t, "bind-import", "djbdns-adopt", "tinydns-data", "tinydns-get", "tcprules", "tcprulescheck", "envdir", "tai64nlocal", "cdbmake", "cdbdump", "cdbget", "tinydns", "envuidgid", "softlimit")
	for _, doc := range []string{"from-bind.md", "from-djbdns.md", "cookbook.md"} {
		t.Run(doc, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(testbin.Root(), "docs", doc))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			all := steps(string(text))
			if len(all) < 5 {
				t.Fatalf("only %d commands", len(all))
			}
			for _, s := range all {
				cmd := exec.Command("sh", "-c", s.command)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C")
				cmd.Stdin = strings.NewReader(s.input)
				out, err := cmd.CombinedOutput()
				if got := string(out); strings.TrimRight(got, "\n") != strings.TrimRight(s.output, "\n") {
					t.Errorf("%s:%d: %s (%v)\nprints\n%s\nthe document says\n%s", doc, s.line, s.command, err, got, s.output)
				}
			}
		})
	}
}
