package sandbox

import (
	"os"
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
	// Verified, not believed: a return to root must be refused.
	if syscall.Setuid(0) == nil || os.Geteuid() != uid || os.Getegid() != gid {
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

func dropBoundingSet() error {
	for c := uintptr(0); c <= lastCapability; c++ {
		// every thread has a set of its own
		_, _, e := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if e == syscall.EINVAL { // beyond what this kernel knows
			return nil
		}
		if e != 0 {
			return e
		}
	}
	return nil
}

// dropCapabilities empties the effective, permitted, inheritable and with them
// the ambient sets of all threads. After a change of uid they are empty
// already; started by another manager they may not be. A tool that root runs to
// write a file keeps root's way past the permissions of its folder; Landlock
// says which folder.
func dropCapabilities(d Decl) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var left [2]unix.CapUserData
	if d.User && len(d.Write) > 0 && os.Geteuid() == 0 {
		left[0].Effective = 1 << unix.CAP_DAC_OVERRIDE
		left[0].Permitted = 1 << unix.CAP_DAC_OVERRIDE
	}
	_, _, e := syscall.AllThreadsSyscall(syscall.SYS_CAPSET,
		uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&left[0])), 0)
	if e != 0 {
		return e
	}
	return nil
}

func noNewPrivs() error {
	_, _, e := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
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
