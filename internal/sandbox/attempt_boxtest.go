//go:build boxtest

package sandbox

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempts plays a program that was taken over: with BOXTEST set it tries
// what a box must refuse, prints one line each, "attempt NAME: refused: why"
// or "attempt NAME: SUCCEEDED", and ends the process. It uses bare system
// calls, as injected code would. BOXTEST is the pid of a neighbour under the
// same uid.
func attempts(d Decl) {
	v := os.Getenv("BOXTEST")
	if v == "" {
		return
	}
	neighbour, _ := strconv.Atoi(v)
	for _, a := range attemptList(neighbour) {
		res := "SUCCEEDED"
		if e := a.try(); e != 0 {
			res = "refused: " + e.Error()
		}
		os.Stderr.WriteString("attempt " + a.name + ": " + res + "\n")
	}
	os.Stderr.WriteString("stops " + strconv.Itoa(stops) + "\nattempts done\n")
	os.Exit(0)
}

func recording() bool { return os.Getenv("BOXRECORD") != "" }

// simulated is what a kernel says whose interface of Landlock is of version
// BOXLANDLOCK; "0" has none.
func simulated(abi int) int {
	if n, err := strconv.Atoi(os.Getenv("BOXLANDLOCK")); err == nil {
		return min(abi, n)
	}
	return abi
}

// withoutSeccomp is a kernel that has no filters.
func withoutSeccomp() bool { return os.Getenv("BOXNOSECCOMP") != "" }

type attempt struct {
	name string
	try  func() syscall.Errno
}

func attemptList(neighbour int) []attempt {
	call := func(nr uintptr, args ...uintptr) syscall.Errno {
		var a [6]uintptr
		copy(a[:], args)
		_, _, e := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		return e
	}
	str := func(s string) uintptr { b := append([]byte(s), 0); return uintptr(unsafe.Pointer(&b[0])) }
	cwd := ^uintptr(99) // AT_FDCWD, -100
	loopback := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	loopback.Port = 9 << 8 // port 9, discard
	sa := uintptr(unsafe.Pointer(&loopback))
	return []attempt{
		{"read /etc/passwd", func() syscall.Errno { return call(unix.SYS_OPENAT, cwd, str("/etc/passwd"), unix.O_RDONLY) }},
		{"read above ROOT", func() syscall.Errno {
			return call(unix.SYS_OPENAT, cwd, str("../../../../../../../../etc/passwd"), unix.O_RDONLY)
		}},
		{"read /proc/self/mem", func() syscall.Errno { return call(unix.SYS_OPENAT, cwd, str("/proc/self/mem"), unix.O_RDONLY) }},
		{"write into ROOT", func() syscall.Errno {
			return call(unix.SYS_OPENAT, cwd, str("boxtest.tmp"), unix.O_WRONLY|unix.O_CREAT, 0o600)
		}},
		{"make UDP socket", func() syscall.Errno { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0) }},
		{"make TCP socket", func() syscall.Errno { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0) }},
		{"make unix socket", func() syscall.Errno { return call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0) }},
		{"make netlink socket", func() syscall.Errno { return call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 0) }},
		{"make raw socket", func() syscall.Errno { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
		{"connect out by TCP", func() syscall.Errno {
			fd, _, e := syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
			if e != 0 {
				return e
			}
			if e = call(unix.SYS_CONNECT, fd, sa, unix.SizeofSockaddrInet4); e == syscall.ECONNREFUSED {
				e = 0 // nobody listens there, but it was allowed to ask
			}
			return e
		}},
		{"listen on another port", func() syscall.Errno {
			fd, _, e := syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
			if e != 0 {
				return e
			}
			any := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}, Port: 0x5020}
			if e = call(unix.SYS_BIND, fd, uintptr(unsafe.Pointer(&any)), unix.SizeofSockaddrInet4); e != 0 {
				return e
			}
			return call(unix.SYS_LISTEN, fd, 1)
		}},
		{"exec /bin/sh", func() syscall.Errno {
			// In a child, lest success end this list: but making one may be
			// refused too, so both ways are tried.
			argv := []uintptr{str("/bin/sh"), str("-c"), str(":"), 0}
			return call(unix.SYS_EXECVE, argv[0], uintptr(unsafe.Pointer(&argv[0])), 0)
		}},
		{"fork", func() syscall.Errno {
			r, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
			if e == 0 && r == 0 {
				syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
			}
			return e
		}},
		{"ptrace a neighbour", func() syscall.Errno { return call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(neighbour), 0, 0) }},
		{"read a neighbour's memory", func() syscall.Errno {
			var b byte
			iov := unix.Iovec{Base: &b, Len: 1}
			p := uintptr(unsafe.Pointer(&iov))
			return call(unix.SYS_PROCESS_VM_READV, uintptr(neighbour), p, 1, p, 1, 0)
		}},
		{"signal a neighbour", func() syscall.Errno { return call(unix.SYS_KILL, uintptr(neighbour), 0) }},
		{"mount", func() syscall.Errno { return call(unix.SYS_MOUNT, str("none"), str("/"), str("tmpfs"), 0, 0) }},
		{"make a user namespace", func() syscall.Errno { return call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER) }},
		{"chroot again", func() syscall.Errno { return call(unix.SYS_CHROOT, str(".")) }},
		{"fchdir out of chroot", func() syscall.Errno {
			fd, _, e := syscall.RawSyscall6(unix.SYS_OPENAT, cwd, str("/"), unix.O_RDONLY|unix.O_DIRECTORY, 0, 0, 0)
			if e != 0 {
				return e
			}
			return call(unix.SYS_FCHDIR, fd)
		}},
		{"raise its limits", func() syscall.Errno {
			l := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
			return call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, uintptr(unsafe.Pointer(&l)), 0)
		}},
		{"setuid(0)", func() syscall.Errno { return call(unix.SYS_SETUID, 0) }},
		{"make memory executable", func() syscall.Errno {
			r, _, e := syscall.RawSyscall6(unix.SYS_MMAP, 0, 4096, unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
			if e == 0 {
				syscall.RawSyscall(unix.SYS_MUNMAP, r, 4096, 0)
			}
			return e
		}},
		{"load a bpf program", func() syscall.Errno { return call(unix.SYS_BPF, 0, 0, 0) }},
		{"set up io_uring", func() syscall.Errno {
			var p [120]byte // struct io_uring_params
			return call(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p[0])))
		}},
	}
}
