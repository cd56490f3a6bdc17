package sandbox

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"

	"golang.org/x/sys/unix"
)

// dropIDs gives up root for good: capability bounding set, groups, gid, uid,
// in this order because each step needs what the next one takes away.
func dropIDs(d Decl) error {
	gid, err := id("GID")
	if err != nil {
		return err
	}
	if !d.Brief {
		if err := dropBoundingSet(); err != nil {
			return prog.Fatal("unable to drop capabilities", err)
		}
	}
	stops += 3
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return prog.Fatal("unable to setgid", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return prog.Fatal("unable to setgid", err)
	}
	uid, err := id("UID")
	if err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return prog.Fatal("unable to setuid", err)
	}
	// Verified, not believed: a return to root must be refused. One thread
	// asks, as bare system calls: the program ends if it succeeds.
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETUID, 0, 0, 0); e == 0 || os.Geteuid() != uid || os.Getegid() != gid {
		return prog.Fatal("unable to setuid", syscall.EPERM)
	}
	return nil
}

// maxID is the largest user or group id; 2^32-1 means "no change" to the
// kernel (setuid(2)).
const maxID = 1<<32 - 2

// id reads $UID or $GID. A server never runs as root: 0, empty and what is no
// number are errors, where 1.05 took them as 0 (docs/differences.md).
func id(name string) (int, error) {
	v, err := env.Require(name)
	if err != nil {
		return 0, err
	}
	n, used := scan.Number(v)
	if used == 0 || used != len(v) || len(v) > 10 || n == 0 || n > maxID {
		return 0, prog.Fatal("$"+name+" must be a number above 0, not \""+v+"\": a server does not run as root", nil)
	}
	return int(n), nil
}

// lastCapability bounds the loop over the kernel's capabilities; Linux 6.18
// has 41 (linux/capability.h), the set is 64 bits wide.
const lastCapability = 63

// Begin empties the capability bounding set of a program that root starts, at
// the price of one exec. Each thread has a set of its own and the kernel
// removes one of its 41 members a call: on all threads of a running Go program
// that is 41 stops, each of which waits until every thread has had a processor,
// and on a busy machine they take a hundred milliseconds. So one thread does
// it, then runs the program again: the kernel ends the other threads, and the
// new ones come from that one. What the start still has to do as root it does
// with the inheritable capabilities, which exec gives to a root without a
// bounding set (capabilities(7), "Capabilities and execution of programs by
// root"); dropCapabilities takes them in the end.
//
// A long-running server calls it before anything else. Where it does not
// succeed (no /proc, other rules for root), Enter makes the 41 stops.
func Begin() {
	if os.Geteuid() != 0 || noBoundingSet() {
		return
	}
	path, err := os.Executable() // not /proc/self/exe, which would name the process "exe"
	if bits, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_GET_SECUREBITS, 0, 0); e != 0 || bits != 0 || err != nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	caps, e := capabilities()
	if e != 0 {
		return
	}
	uneven = true
	for i := range caps.sets {
		caps.sets[i].Inheritable = caps.sets[i].Permitted
	}
	if _, _, e := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&caps.hdr)), uintptr(unsafe.Pointer(&caps.sets)), 0); e != 0 {
		return
	}
	for c := uintptr(0); c <= lastCapability; c++ {
		syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
	}
	if noBoundingSet() { // or the exec would come here again and again
		syscall.Exec(path, os.Args, os.Environ())
	}
}

// uneven says that Begin has changed one thread and not run the program again.
var uneven bool

// noBoundingSet says whether this thread's bounding set is empty.
func noBoundingSet() bool {
	for c := uintptr(0); c <= lastCapability; c++ {
		in, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_CAPBSET_READ, c, 0)
		if e != 0 { // beyond what this kernel knows
			return c > 0
		}
		if in != 0 {
			return false
		}
	}
	return true
}

// dropBoundingSet empties the set of all threads where Begin did not. What a
// container or a unit has taken away already costs nothing.
func dropBoundingSet() error {
	if noBoundingSet() && !uneven {
		return nil
	}
	for c := uintptr(0); c <= lastCapability; c++ {
		e := allThreads(syscall.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if e == syscall.EINVAL { // beyond what this kernel knows
			return nil
		}
		if e != 0 {
			return e
		}
	}
	return nil
}

// capSets is the argument of capget and capset: 64 bits in two halves
// (linux/capability.h, version 3).
type capSets struct {
	hdr  unix.CapUserHeader
	sets [2]unix.CapUserData
}

// keptCaps are the capabilities that the box leaves; here because allThreads
// takes its address as a number, which the stack would not keep.
var keptCaps capSets

// capabilities gives those of this thread.
func capabilities() (c capSets, e syscall.Errno) {
	c.hdr.Version = unix.LINUX_CAPABILITY_VERSION_3
	_, _, e = syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&c.hdr)), uintptr(unsafe.Pointer(&c.sets)), 0)
	return c, e
}

// dropCapabilities empties the effective, permitted, inheritable and with them
// the ambient sets of all threads. After a change of uid they may be empty
// already, which is asked first. A tool that root runs to write a file keeps
// root's way past the permissions of its folder; Landlock says which folder.
func dropCapabilities(d Decl) error {
	keptCaps.hdr.Version = unix.LINUX_CAPABILITY_VERSION_3
	if d.User && len(d.Write) > 0 && os.Geteuid() == 0 {
		keptCaps.sets[0].Effective = 1 << unix.CAP_DAC_OVERRIDE
		keptCaps.sets[0].Permitted = 1 << unix.CAP_DAC_OVERRIDE
	}
	// What one thread has, all have.
	if have, e := capabilities(); e == 0 && have.sets == keptCaps.sets && !uneven {
		return nil
	}
	e := allThreads(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&keptCaps.hdr)), uintptr(unsafe.Pointer(&keptCaps.sets)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

func noNewPrivs() error {
	e := allThreads(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// stops counts how often all threads were stopped to change them together: the
// price of a box (docs/performance.md), held by a test.
var stops int

// allThreads makes a system call on every thread of the program. What fails on
// the first stops no other. An address among the arguments is that of a
// package's variable.
func allThreads(nr, a, b, c, d, f uintptr) syscall.Errno {
	_, _, e := syscall.AllThreadsSyscall6(nr, a, b, c, d, f, 0)
	if e == 0 {
		stops++
	}
	return e
}

// setLimits lowers what can be lowered without harm: no core files, which
// could hold keys; no ptrace by processes of the same uid; as many descriptors
// as declared. Failures are no wall lost: each only adds to the others.
func setLimits(d Decl) {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if d.Files != 0 {
		var r unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil && d.Files < r.Max {
			r.Max = d.Files
			r.Cur = min(r.Cur, r.Max)
			unix.Setrlimit(unix.RLIMIT_NOFILE, &r)
		}
	}
}
