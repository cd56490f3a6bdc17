package sandbox

import (
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights over files (linux/landlock.h).
const (
	fileRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeRights = readRights | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REFER
)

// What each version of the interface can refuse (Documentation/userspace-api/
// landlock.rst, "Previous limitations"). What a kernel does not know can not be
// asked for, so the walls are as high as the kernel allows.
const (
	fsRights1 = 1<<13 - 1 // files and folders, since Linux 5.13
	fsRights2 = 1<<14 - 1 // and moving between folders, 5.19
	fsRights3 = 1<<15 - 1 // and truncating, 6.2
	fsRights5 = 1<<16 - 1 // and ioctl of devices, 6.10
	netSince  = 4         // binding and connecting TCP sockets, 6.7
	// Since 6.12 signals and abstract sockets can be kept inside; before 6.15
	// that kept threads from each other's signals too, which Go needs.
	scopeSince = 7
	tsyncSince = 8 // one call for all threads
)

const (
	scopeAll = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	netAll   = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
)

// ruleNetPort is LANDLOCK_RULE_NET_PORT, netPortAttr its argument, struct
// landlock_net_port_attr; package unix has neither.
const ruleNetPort = 2

type netPortAttr struct{ access, port uint64 }

const errNoLandlock = textError("not in this kernel or not enabled")

// restrictFiles raises the Landlock wall: the declared files and nothing else;
// no TCP port but the declared ones; no signal to, no abstract socket of, a
// process outside.
func restrictFiles(d Decl) error {
	v, _, e := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	abi := simulated(int(v))
	if e != 0 || abi < 1 {
		return errNoLandlock
	}
	if d.Exec {
		// What it starts inherits the rules and needs files we know nothing of.
		return nil
	}
	var attr unix.LandlockRulesetAttr
	size := unsafe.Offsetof(attr.Handled_access_net)
	attr.Handled_access_fs = [...]uint64{1: fsRights1, fsRights2, fsRights3, fsRights3, fsRights5}[min(abi, 5)]
	if abi >= netSince {
		size = unsafe.Offsetof(attr.Scoped)
		attr.Handled_access_net = netAll
		if has(d.Sockets, "tcp") && len(d.Ports) == 0 {
			attr.Handled_access_net = 0 // to any port, from any address of its own
		}
	}
	if abi >= scopeSince {
		size = unsafe.Offsetof(attr.Quiet_access_fs)
		attr.Scoped = scopeAll
	}
	set, _, e := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return e
	}
	defer syscall.Close(int(set))
	for _, p := range d.Read {
		if err := allowPath(set, p, readRights&attr.Handled_access_fs); err != nil {
			return err
		}
	}
	for _, fd := range d.Folders {
		if e := allowBelow(set, fd, readRights&attr.Handled_access_fs); e != 0 {
			return e
		}
	}
	for _, p := range d.Write {
		if err := allowPath(set, p, writeRights&attr.Handled_access_fs); err != nil {
			return err
		}
	}
	if attr.Handled_access_net&unix.LANDLOCK_ACCESS_NET_CONNECT_TCP != 0 {
		for _, p := range d.Ports {
			rule := netPortAttr{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(p)}
			if _, _, e := syscall.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, ruleNetPort, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); e != 0 {
				return e
			}
		}
	}
	if e = restrictSelf(set, abi); e == syscall.EPERM {
		// not root: the kernel wants no_new_privs before
		if err := noNewPrivs(); err != nil {
			return err
		}
		e = restrictSelf(set, abi)
	}
	if e != 0 {
		return e
	}
	return nil
}

func restrictSelf(set uintptr, abi int) syscall.Errno {
	if abi >= tsyncSince {
		_, _, e := syscall.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, unix.LANDLOCK_RESTRICT_SELF_TSYNC, 0)
		return e
	}
	return allThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0, 0, 0)
}

// allowPath grants rights below p. A relative file counts as its folder,
// because it may be replaced by rename and rules hold to inodes; an absolute
// one stands for itself. What does not exist is granted nothing.
func allowPath(set uintptr, p string, rights uint64) error {
	st, err := os.Stat(p)
	if !filepath.IsAbs(p) && (err != nil || !st.IsDir()) {
		p = filepath.Dir(p)
		st, err = os.Stat(p)
	}
	if err != nil {
		return nil
	}
	if !st.IsDir() {
		rights &= fileRights // the kernel refuses others for a file
	}
	fd, err := syscall.Open(p, unix.O_PATH|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	if e := allowBelow(set, fd, rights); e != 0 {
		return e
	}
	return nil
}

// allowBelow grants rights below the file or folder open as fd.
func allowBelow(set uintptr, fd int, rights uint64) syscall.Errno {
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, e := syscall.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	return e
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
