package recursor_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// differs lists the steps of the recorded scenarios of 1.05 in which the real
// program differs on purpose, by the rule of docs/differences.md that says why.
var differs = []struct{ rule, steps string }{
	{"smallest-ttl", "basic 4, basic 5, basic 34, basic 35"},
	{"negative-soa", "basic 16, basic 17, basic 18, basic 19, basic 20, basic 54, forwardonly 4, forwardonly 5, forwardonly 6, forwardonly 7, forwardonly 8"},
	{"additional-is-no-answer", "basic 25, basic 45"},
	{"parents-ns-is-no-answer", "basic 26, basic 27"},
	{"soa-is-cached", "basic 29"},
	{"loops-fail", "basic 47"},
	{"glueless-depth", "glueless 1, glueless 2"},
	{"failures-are-cached", "glueless 4"},
	{"motion", "glueless 3"},
	{"truncated-counts", "basic 37"},
	{"refused-aloud", "basic 58, basic 59, basic 62, basic 65, basic 67, basic 68, basic 72"},
	{"cd-is-copied", "basic 64"},
	{"edns", "basic 66"},
}

// mayDiffer are steps whose TTLs depend on how long the steps before took: the
// recorded program waited where ours answers.
var mayDiffer = map[string]bool{"basic 57": true, "basic 61": true, "basic 71": true}

// TestGolden plays the fixtures recorded from 1.05 against the real program,
// with their own player. Each step is as recorded, or a rule explains it.
func TestGolden(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	rules := map[string]string{}
	for _, d := range differs {
		for _, s := range strings.Split(d.steps, ", ") {
			rules[s] = d.rule
		}
	}
	cmd := exec.Command(testbin.Shared(t, "compat/fx-run"), "-v", testbin.Shared(t, "compat/golden"), "dnscache")
	cmd.Env = append(os.Environ(), "PATH="+testbin.Dir(t, "dnscache")+":"+os.Getenv("PATH"))
	out, _ := cmd.CombinedOutput() // it ends with an error when steps differ
	fail := regexp.MustCompile(`^FAIL dnscache: .*/(\w+)\.scenario step (\d+) `)
	seen := map[string]bool{}
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		m := fail.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		s := m[1] + " " + m[2]
		seen[s] = true
		if rules[s] == "" && !mayDiffer[s] {
			sc.Scan()
			got := sc.Text()
			sc.Scan()
			t.Errorf("%s differs and no rule says why:\n%s\n%s", s, got, sc.Text())
		}
	}
	total := regexp.MustCompile(`(?m)^dnscache +(\d+) passed, (\d+) failed$`).FindSubmatch(out)
	if total == nil || string(total[1]) == "0" {
		t.Fatalf("the player did not finish:\n%s", out)
	}
	for s, rule := range rules {
		if !seen[s] {
			t.Errorf("%s is as recorded; rule %s explains nothing there", s, rule)
		}
	}
	t.Logf("%s as recorded, %s explained by %d rules", total[1], total[2], len(differs))
}

// TestStartup starts the program in the recorded environments.
func TestStartup(t *testing.T) {
	testbin.NeedRoot(t)
	text, err := os.ReadFile(testbin.Shared(t, "compat/golden/startup/startup.cases"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(testbin.Dir(t, "dnscache"), "dnscache")
	n := 0
	for _, block := range strings.Split(string(text), "\n\n") {
		if !strings.Contains("\n"+block, "\nprogram: dnscache\n") {
			continue
		}
		n++
		dir := t.TempDir()
		os.Chmod(dir, 0o700) // as the fixtures say: readable by root only
		var env []string
		var want, exit, id string
		for _, line := range strings.Split(block, "\n") {
			key, v, _ := strings.Cut(line, ": ")
			switch key {
			case "case":
				id = v
			case "env":
				env = append(env, strings.ReplaceAll(v, "<dir>", dir))
			case "stderr":
				want += v + "\n"
			case "exit":
				exit = v
			}
		}
		// a network of its own: port 53 is free there
		cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up; exec env -i "$@"`, "sh")
		cmd.Args = append(cmd.Args, append(env, program)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		cmd.Run()
		got := strings.ReplaceAll(stderr.String(), dir, "<dir>")
		if code := cmd.ProcessState.ExitCode(); exit != "111" || code != 111 || got != want {
			t.Errorf("case %s: exit %d, %q; want %s, %q", id, code, got, exit, want)
		}
	}
	if n == 0 {
		t.Fatal("no cases")
	}
}
