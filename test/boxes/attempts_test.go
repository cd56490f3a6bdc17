// Package boxes proves the compartments: it builds every program that declares
// a box with the tag boxtest, under which the program, once inside its box,
// tries all that a box must refuse (internal/sandbox/attempt_boxtest.go), and
// compares what succeeded with what was declared. From the same table it makes
// docs/compartments.md.
package boxes

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"bulkhead/internal/boxes"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/testbin"
)

// Ids without an account or a process of their own.
const uid, gid = "61950", "61951"

// environment holds everything any boxed program asks for; each takes what it
// needs.
func environment(root string, port int) []string {
	return append(os.Environ(), "ROOT="+root, "UID="+uid, "GID="+gid, "IP=127.0.0.1", fmt.Sprintf("PORT=%d", port),
		"IPSEND=127.0.0.1", "CACHESIZE=1000000", "BASE=rbl.example", "LOG=1")
}

// permitted says which attempts a declaration allows to succeed. All others
// must be refused.
func permitted(d sandbox.Decl) map[string]bool {
	p := map[string]bool{}
	sockets := strings.Join(d.Sockets, " ")
	p["make UDP socket"] = strings.Contains(sockets, "udp")
	p["make TCP socket"] = strings.Contains(sockets, "tcp")
	p["make unix socket"] = strings.Contains(sockets, "unix")
	p["write into ROOT"] = len(d.Write) > 0
	for _, c := range sandbox.CallList(d) {
		switch c {
		case "connect":
			// to any port only if the declaration names none
			p["connect out by TCP"] = p["make TCP socket"] && len(d.Ports) == 0
		}
	}
	return p
}

// taggedDir is where the programs with the attempts compiled in lie, once
// tagged has built them.
var taggedDir string

var tagged = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "boxes")
	if err != nil {
		return "", err
	}
	taggedDir = dir
	os.Chmod(dir, 0o755)
	a := []string{"build", "-tags", "boxtest", "-o", dir + "/"}
	for name := range boxes.All {
		a = append(a, "bulkhead/cmd/"+name)
	}
	cmd := exec.Command("go", a...)
	cmd.Dir = testbin.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func buildTagged(t *testing.T) string {
	t.Helper()
	dir, err := tagged()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMain(m *testing.M) {
	if what := os.Getenv(kernelVar); what != "" {
		runUnder(what)
	}
	code := m.Run()
	os.RemoveAll(taggedDir)
	os.Exit(code)
}

func TestAttempts(t *testing.T) {
	testbin.NeedRoot(t)
	bin := buildTagged(t)
	results := map[string]map[string]string{}
	var order []string
	for name, box := range boxes.All {
		t.Run(name, func(t *testing.T) {
			res, names, _ := try(t, bin, name, works[name][0])
			results[name], order = res, names
			ok := permitted(box)
			for a, r := range res {
				succeeded := r == "SUCCEEDED"
				if succeeded && !ok[a] {
					t.Errorf("%s: succeeded, against the declaration", a)
				}
			}
			for a := range ok {
				if _, tried := res[a]; !tried {
					t.Errorf("%s was not tried", a)
				}
			}
		})
	}
	if !t.Failed() {
		compare(t, "docs/compartments.md", matrix(results, order))
	}
}

// try runs one program beside a neighbour of the same uid and gives the result
// of each attempt, and all that the program said.
func try(t *testing.T, bin, name string, w work, env ...string) (map[string]string, []string, string) {
	t.Helper()
	p := prepare(t, w)

	neighbour := exec.Command("sleep", "600")
	neighbour.SysProcAttr = credential()
	if err := neighbour.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { neighbour.Process.Kill(); neighbour.Wait() }()

	cmd := exec.Command("/bin/sh", append([]string{"-c", w.script(), "sh", filepath.Join(bin, name)}, p.args...)...)
	cmd.Env = append(append(p.env, fmt.Sprintf("BOXTEST=%d", neighbour.Process.Pid)), env...)
	cmd.Dir = p.root
	if boxes.All[name].User {
		cmd.SysProcAttr = credential()
	}
	cmd.Stdin = strings.NewReader(p.stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	res := map[string]string{}
	var names []string
	done := false
	for _, l := range strings.Split(out.String(), "\n") {
		if l == "attempts done" {
			done = true
		}
		if a, ok := strings.CutPrefix(l, "attempt "); ok {
			what, r, _ := strings.Cut(a, ": ")
			res[what] = r
			names = append(names, what)
		}
	}
	if !done {
		t.Fatalf("the attempts did not end: %v\n%s", err, out.String())
	}
	return res, names, out.String()
}

// emptyCDB is a database without records.
func emptyCDB() []byte {
	b := make([]byte, 2048)
	for i := 0; i < 256; i++ {
		b[8*i+1] = 8 // position 2048, little endian
	}
	return b
}

// matrix renders docs/compartments.md.
func matrix(results map[string]map[string]string, attempts []string) string {
	var names []string
	for n := range results {
		names = append(names, n)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("<!-- Made by `make compartments` from cmd/*/box.go and from attempts to break out. Do not edit. -->\n" +
		"# Compartments: what each program can reach\n\n" +
		"Every long-running program, and each that parses a stranger's bytes, gives up what it does not\n" +
		"need before it reads the first of them: chroot, a uid of its own, the capability bounding set,\n" +
		"new privileges, files (Landlock), system calls (seccomp). Each says once what it needs, in\n" +
		"`cmd/PROGRAM/box.go`; the walls, the systemd unit, this page and the manual's section follow from that.\n" +
		"`compartments DIR|PID` shows for a running service which walls stand.\n\n" +
		"## What is declared\n\n" +
		"| program | job | reads | writes | new sockets | starts programs | system calls |\n" +
		"| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, n := range names {
		d := boxes.All[n]
		job := d.Job
		if d.When != "" {
			job += " (walls only " + d.When + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d |\n", n, job, where(d, d.Read), where(d, d.Write),
			sockets(d), yes(d.Exec), len(sandbox.CallList(d)))
	}
	b.WriteString("\n## What a taken-over program reaches\n\n" +
		"Tried from inside each running program by `make test`, with bare system calls and beside a\n" +
		"neighbour of the same uid. A dot is refused; YES succeeded, as declared.\n\n| attempt |")
	for _, n := range names {
		b.WriteString(" " + n + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(names)) + "\n")
	for _, a := range attempts {
		b.WriteString("| " + a + " |")
		for _, n := range names {
			if results[n][a] == "SUCCEEDED" {
				b.WriteString(" YES |")
			} else {
				b.WriteString(" · |")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## System calls\n\nAllowed to every boxed program, for the Go runtime: " +
		strings.Join(sandbox.CallList(sandbox.Decl{}), " ") + ".\n\n| program | besides |\n| --- | --- |\n")
	for _, n := range names {
		fmt.Fprintf(&b, "| %s | %s |\n", n, boxes.All[n].Calls)
	}
	b.WriteString("\n## What has no box, and why\n\nA box is inherited by what a program starts: no program that runs another one on a user's behalf can\n" +
		"raise these walls around itself without raising them around the other.\n\n| programs | why | what they do instead |\n| --- | --- | --- |\n")
	for _, x := range unboxed {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Join(strings.Fields(x.programs), ", "), x.why, x.instead)
	}
	return b.String()
}

func where(b sandbox.Decl, files []string) string {
	if len(files) == 0 {
		return "nothing"
	}
	s := strings.Join(files, " ")
	if !b.User {
		s = strings.ReplaceAll(s, ".", "ROOT")
		if len(files) == 1 && files[0] != "." {
			s = "ROOT/" + files[0]
		}
	}
	return s
}

func sockets(d sandbox.Decl) string {
	if len(d.Sockets) == 0 {
		return "none"
	}
	s := strings.Join(d.Sockets, ", ")
	for i, p := range d.Ports {
		if i == 0 {
			s += " to port"
		}
		s += fmt.Sprintf(" %d", p)
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// compare checks a generated file, and writes it with UPDATE=1 (make
// compartments).
func compare(t *testing.T, file, want string) {
	t.Helper()
	p := filepath.Join(testbin.Root(), file)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(p, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(p)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the declarations and attempts give (%v); run: make compartments", file, err)
	}
}
