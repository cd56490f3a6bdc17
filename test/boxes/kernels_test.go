package boxes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"bulkhead/internal/boxes"
	"bulkhead/internal/testbin"

	"golang.org/x/sys/unix"
)

// A box must not cost more than this many stops of all threads: each waits
// until every thread has had a processor, so they are what a start costs on a
// busy machine.
const (
	stopsIDs      = 3  // groups, gid, uid
	stopsLandlock = 1  // before version 8 of its interface, which asks once for all threads
	stopsCaps     = 1  // the inheritable ones that Begin used
	stopsNoNew    = 1  // where no filter brings it along, or Landlock wants it before
	stopsBounding = 41 // one a capability, where Begin could not help
)

// TestStops counts them in each program.
func TestStops(t *testing.T) {
	testbin.NeedRoot(t)
	bin := buildTagged(t)
	count := func(name string, w work, env ...string) int {
		_, _, out := try(t, bin, name, w, append(env, "BOXLANDLOCK=7")...)
		_, n, _ := strings.Cut(out, "\nstops ")
		n, _, _ = strings.Cut(n, "\n")
		v, err := strconv.Atoi(n)
		if err != nil {
			t.Fatalf("%s: no count: %s", name, out)
		}
		return v
	}
	for name, d := range boxes.All {
		want := stopsNoNew + stopsLandlock // by a user, who has no capabilities
		if !d.User {
			want = stopsIDs + stopsLandlock + stopsCaps
			if d.Late {
				want += stopsNoNew // its filter comes later
			}
		}
		if d.Exec {
			want -= stopsLandlock
		}
		if d.Calls == "" && !d.User {
			want += stopsNoNew
		}
		if got := count(name, works[name][0]); got != want {
			t.Errorf("%s: %d stops, want %d", name, got, want)
		}
	}
	// one process a connection: no exec, no bounding set, nothing left to clear
	if got := count("axfrdns", works["axfrdns"][1]); got != stopsIDs+stopsLandlock {
		t.Errorf("axfrdns for one connection: %d stops, want %d", got, stopsIDs+stopsLandlock)
	}
}

// TestLandlockVersions shows the programs each version of Landlock's interface
// that there has been. From the first on, all that a declaration refuses must
// be refused; without any, a program says so and the other walls stand.
func TestLandlockVersions(t *testing.T) {
	testbin.NeedRoot(t)
	bin := buildTagged(t)
	const newest = 8
	for _, name := range []string{"tinydns", "dnscache", "axfr-get", "dnsip", "multilog"} {
		ok := permitted(boxes.All[name])
		for v := range newest + 1 {
			res, _, out := try(t, bin, name, works[name][0], fmt.Sprintf("BOXLANDLOCK=%d", v))
			if told := strings.Contains(out, "landlock (not in this kernel or not enabled)"); told != (v == 0) {
				t.Errorf("%s, version %d: %s", name, v, out)
			}
			for a, r := range res {
				if r == "SUCCEEDED" && !ok[a] && (v > 0 || !onlyLandlock(name, a)) {
					t.Errorf("%s, version %d: %s: succeeded, against the declaration", name, v, a)
				}
			}
		}
	}
}

// onlyLandlock says which attempts nothing else refuses: a tool has no root of
// its own, and a filter of system calls knows no names of files.
func onlyLandlock(name, attempt string) bool {
	return boxes.All[name].User && (strings.HasPrefix(attempt, "read ") || attempt == "write into ROOT" || attempt == "fchdir out of chroot")
}

// TestOldKernels runs the programs as they are shipped on a kernel that answers
// as one without Landlock, without filters, or where no program may run another
// (as under a strict security module).
func TestOldKernels(t *testing.T) {
	testbin.NeedRoot(t)
	const noLandlock = "landlock (not in this kernel or not enabled)"
	const noFilter = "seccomp (function not implemented)"
	for _, c := range []struct {
		kernel  string
		lines   string
		missing []string
		named   []string
	}{
		{"landlock_create_ruleset=38", noLandlock, []string{"landlock"}, []string{"landlock"}},
		{"landlock_create_ruleset=95", noLandlock, []string{"landlock"}, []string{"landlock"}}, // built in, not enabled
		{"seccomp=38", noFilter, nil, []string{"seccomp"}},                                     // this test's own filter is seen from outside
		{"seccomp=38 landlock_create_ruleset=38", noLandlock + ", " + noFilter, []string{"landlock"}, []string{"landlock", "seccomp"}},
		{"execve=13", "", nil, nil},
	} {
		for _, name := range []string{"walldns", "axfrdns", "dnscache"} {
			cmd, log := start(t, name, under(c.kernel))
			lines, said := c.lines, log.String()
			if name == "dnscache" { // it raises its filter after its first line, and says so then
				lines, _, _ = strings.Cut(strings.TrimSuffix(lines, noFilter), ", ")
				said = strings.Replace(said, "dnscache: warning: walls missing: "+noFilter+"\n", "", 1)
			}
			if lines != "" && !strings.Contains(said, name+": warning: walls missing: "+lines+"\n") ||
				lines == "" && strings.Contains(said, "missing") {
				t.Errorf("%s, %s: %s", c.kernel, name, log)
			}
			_, out := compartments(t, fmt.Sprint(cmd.Process.Pid))
			var missing []string
			for _, l := range strings.Split(out, "\n") {
				if f := strings.Fields(l); len(f) > 1 && f[0] == "MISSING" {
					missing = append(missing, f[1])
				}
			}
			if fmt.Sprint(missing) != fmt.Sprint(c.missing) {
				t.Errorf("%s, %s:\n%s", c.kernel, name, out)
			}
			for _, w := range c.named {
				p := prepare(t, works[name][0])
				again := exec.Command(filepath.Join(testbin.Dir(t, name), name))
				again.Env, again.Dir = append(p.env, "REQUIRE="+w), p.root
				under(c.kernel)(again)
				b, _ := again.CombinedOutput()
				if again.ProcessState.ExitCode() != 111 || !strings.Contains(string(b), "fatal: wall missing that $REQUIRE asks for: "+w) {
					t.Errorf("%s, %s, REQUIRE=%s: exit %d: %s", c.kernel, name, w, again.ProcessState.ExitCode(), b)
				}
			}
		}
	}
}

// kernelVar makes this test's binary a program that runs another under a kernel
// where some system calls fail: "NAME=ERRNO ...".
const kernelVar = "BOXES_KERNEL"

// under lets a command run so.
func under(kernel string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		self, err := os.Executable()
		if err != nil {
			panic(err)
		}
		cmd.Args = append([]string{self, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = self
		cmd.Env = append(cmd.Env, kernelVar+"="+kernel)
	}
}

// runUnder is that program; execveat, not execve, so that execve may fail.
func runUnder(kernel string) {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for _, f := range strings.Fields(kernel) {
		name, errno, _ := strings.Cut(f, "=")
		nr := map[string]uint32{"seccomp": unix.SYS_SECCOMP, "landlock_create_ruleset": unix.SYS_LANDLOCK_CREATE_RULESET, "execve": unix.SYS_EXECVE}[name]
		e, _ := strconv.Atoi(errno)
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(e)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	os.Unsetenv(kernelVar)
	args := os.Args[1:]
	path, _ := unix.BytePtrFromString(args[0])
	argv, err1 := pointers(args)
	env, err2 := pointers(os.Environ())
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if e != 0 || err1 != nil || err2 != nil {
		fmt.Fprintln(os.Stderr, "no filter:", e, err1, err2)
		os.Exit(99)
	}
	_, _, e = unix.RawSyscall6(unix.SYS_EXECVEAT, 0, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])), 0, 0)
	fmt.Fprintln(os.Stderr, "no exec:", e)
	os.Exit(99)
}

func pointers(list []string) ([]*byte, error) {
	var out []*byte
	for _, s := range list {
		p, err := unix.BytePtrFromString(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return append(out, nil), nil
}
