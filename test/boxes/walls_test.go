package boxes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/testbin"
	"bulkhead/internal/walls"
)

// start runs a real server until the test ends and gives its process.
func start(t *testing.T, name string, as func(*exec.Cmd)) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	p := prepare(t, works[name][0])
	cmd := exec.Command(filepath.Join(testbin.Dir(t, name, "compartments", "tinydns-data"), name), p.args...)
	cmd.Env, cmd.Dir = p.env, p.root
	if as != nil {
		as(cmd)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); r.Close() })
	log := new(bytes.Buffer)
	b := make([]byte, 4096)
	r.SetReadDeadline(time.Now().Add(30 * time.Second))
	for !strings.Contains(log.String(), "starting") {
		n, err := r.Read(b)
		log.Write(b[:n])
		if err != nil {
			t.Fatalf("%s did not start: %s", name, log)
		}
	}
	return cmd, log
}

func compartments(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(testbin.Dir(t, "compartments"), "compartments"), args...)
	b, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(b)
}

// Every server's walls stand, seen from outside.
func TestWallsStand(t *testing.T) {
	testbin.NeedRoot(t)
	for _, name := range []string{"tinydns", "walldns", "rbldns", "pickdns", "axfrdns", "dnscache"} {
		t.Run(name, func(t *testing.T) {
			cmd, log := start(t, name, nil)
			if strings.Contains(log.String(), "walls missing") {
				t.Errorf("%s", log)
			}
			pid := fmt.Sprint(cmd.Process.Pid)
			// dnscache says "starting" before its late wall rises
			deadline := time.Now().Add(20 * time.Second)
			for {
				code, out := compartments(t, pid)
				if code == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("exit %d\n%s", code, out)
				}
				time.Sleep(50 * time.Millisecond)
			}
			_, out := compartments(t, "-j", pid)
			var list []struct {
				Program string
				Walls   []walls.Wall
			}
			if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 || list[0].Program != name || len(list[0].Walls) < 8 {
				t.Errorf("JSON: %v\n%s", err, out)
			}
		})
	}
}

// Run by a user, a server says which walls it lacks, and compartments sees it
// too; REQUIRE makes the lack fatal.
func TestWallsMissing(t *testing.T) {
	testbin.NeedRoot(t)
	asUser := func(cmd *exec.Cmd) { cmd.SysProcAttr = credential() }
	cmd, log := start(t, "walldns", asUser)
	if !strings.Contains(log.String(), "walldns: warning: walls missing: chroot (not root), uid (not root)\n") {
		t.Errorf("not told: %s", log)
	}
	code, out := compartments(t, fmt.Sprint(cmd.Process.Pid))
	if code != 1 || !strings.Contains(out, "MISSING  chroot") {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, w := range []string{"landlock", "seccomp", "no_new_privs"} {
		if !strings.Contains(out, "stands   "+w) {
			t.Errorf("a user can have %s too:\n%s", w, out)
		}
	}
	p := prepare(t, works["walldns"][0])
	again := exec.Command(filepath.Join(testbin.Dir(t, "walldns"), "walldns"))
	again.Env, again.Dir = append(p.env, "REQUIRE=seccomp,chroot"), p.root
	asUser(again)
	b, _ := again.CombinedOutput()
	if again.ProcessState.ExitCode() != 111 || string(b) != "walldns: fatal: wall missing that $REQUIRE asks for: chroot: not root\n" {
		t.Errorf("exit %d: %s", again.ProcessState.ExitCode(), b)
	}
	// a slip would ask for nothing
	again = exec.Command(filepath.Join(testbin.Dir(t, "walldns"), "walldns"))
	again.Env, again.Dir = append(p.env, "REQUIRE=landlok"), p.root
	b, _ = again.CombinedOutput()
	if again.ProcessState.ExitCode() != 111 || !strings.HasPrefix(string(b), "walldns: fatal: unable to parse $REQUIRE: landlok: none of chroot, ") {
		t.Errorf("exit %d: %s", again.ProcessState.ExitCode(), b)
	}
}

func TestNoServerAsRoot(t *testing.T) {
	testbin.NeedRoot(t)
	p := prepare(t, works["walldns"][0])
	for _, bad := range []string{"UID=0", "GID=0", "UID=", "GID=x", "UID=1x", "GID=4294967295", "UID=00"} {
		cmd := exec.Command(filepath.Join(testbin.Dir(t, "walldns"), "walldns"))
		cmd.Env, cmd.Dir = append(p.env, bad), p.root
		b, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 111 || !strings.Contains(string(b), "a server does not run as root") {
			t.Errorf("%s: exit %d: %s", bad, cmd.ProcessState.ExitCode(), b)
		}
	}
}

func TestCompartmentsRefusals(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{nil, 100, "compartments: usage: compartments [ -j ] dir|pid ...\n"},
		{[]string{"/nonexistent"}, 111, "compartments: fatal: unable to read /nonexistent/supervise/status: file does not exist\n"},
		{[]string{"999999999"}, 111, "compartments: fatal: unable to inspect process 999999999: no such process\n"},
		{[]string{fmt.Sprint(os.Getpid())}, 111, "which declares no box\n"},
	} {
		if code, out := compartments(t, c.args...); code != c.code || !strings.HasSuffix(out, c.out) {
			t.Errorf("%v: exit %d: %s", c.args, code, out)
		}
	}
}
