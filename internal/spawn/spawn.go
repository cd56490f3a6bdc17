// Package spawn forks a child that writes a few prepared lines under its own
// process id before it runs a program, or ends without running any. That is
// what tcpserver's log needs: the "pid" line comes from the process that will
// be the program, before the program can say anything itself; and a denied
// connection has a process and an exit status like any other (compat:
// ucspi-tcp.md sections 2 and 13).
//
// os/exec can do neither. So the fork is made here, by hand: after clone(2) the
// child is one thread of a Go process, in our memory or a copy of it, and must not
// allocate, take a lock, grow its stack or be preempted. It therefore runs one function without
// stack checks, on data that Spawn prepared, with all signals blocked, and
// makes nothing but raw system calls.
package spawn

import (
	"strings"
	"syscall"
	"unsafe"

	"bulkhead/internal/errtext"
	"bulkhead/internal/spawn/nofile"
)

// Plan is what the child does, in this order.
type Plan struct {
	Stdio   int      // descriptor that becomes 0 and 1
	Say     []Line   // written to descriptor 2
	NoDelay bool     // TCP_NODELAY on Stdio
	KillOpt bool     // remove IP options (source routes) from Stdio
	Banner  []byte   // written to Stdio after the first line
	Fail    string   // what comes before ": reason" when the program does not run
	BadBan  string   // the same when the banner can not be written
	Files   []string // candidates for the program, in order; none: the child ends with Exit
	FD      int      // execveat this descriptor instead, when Files is empty and FD > 0
	Argv    []string
	Env     []string
	Exit    int // exit code when there is nothing to run
}

// Line is text around the child's process id; After alone when Plain.
type Line struct {
	Before, After string
	Plain         bool
}

const (
	maxLines   = 4   // lines a child can say
	lineRoom   = 32  // bytes for a process id and padding
	maxErrno   = 134 // errno values known on Linux
	exitTemp   = 111 // exit code when the program can not be run
	fileLimits = 64  // candidates tried, elements of PATH
)

// raw is the plan in the form the child can use: addresses and lengths only.
type raw struct {
	stdio           uintptr
	nodelay, killop bool
	before, after   [maxLines]unsafe.Pointer
	nbefore, nafter [maxLines]uintptr
	plain           [maxLines]bool
	lines           int
	banner          unsafe.Pointer
	nbanner         uintptr
	badban, fail    unsafe.Pointer
	nbadban, nfail  uintptr
	files           [fileLimits]unsafe.Pointer
	nfiles          int
	fd              uintptr
	argv, env       unsafe.Pointer
	exit            uintptr
	out             unsafe.Pointer // buffer for one line
	nout            uintptr
	empty           unsafe.Pointer
	mask            uint64    // of signals, before all were blocked
	clone           cloneArgs // zero: a plain fork
}

// errors holds ": reason\n" of every errno, where the child can read it.
var (
	errAddr [maxErrno]unsafe.Pointer
	errLen  [maxErrno]uintptr
	errKeep [maxErrno][]byte
)

func init() {
	for i := range errKeep {
		errKeep[i] = []byte(": " + errtext.Of(syscall.Errno(i)) + "\n")
		errAddr[i] = unsafe.Pointer(&errKeep[i][0])
		errLen[i] = uintptr(len(errKeep[i]))
	}
}

// Spawn makes the child and gives its process id.
func Spawn(p *Plan) (pid int, err error) {
	addr := func(s string) (unsafe.Pointer, uintptr) {
		if s == "" {
			return nil, 0
		}
		return unsafe.Pointer(unsafe.StringData(s)), uintptr(len(s))
	}
	r := new(raw)
	r.stdio, r.nodelay, r.killop = uintptr(p.Stdio), p.NoDelay, p.KillOpt
	room := lineRoom
	for _, l := range p.Say {
		if r.lines == maxLines {
			return 0, syscall.E2BIG
		}
		r.before[r.lines], r.nbefore[r.lines] = addr(l.Before)
		r.after[r.lines], r.nafter[r.lines] = addr(l.After)
		r.plain[r.lines] = l.Plain
		r.lines++
		room = max(room, lineRoom+len(l.Before)+len(l.After))
	}
	if len(p.Banner) > 0 {
		r.banner, r.nbanner = addr(string(p.Banner))
	}
	r.fail, r.nfail = addr(p.Fail)
	r.badban, r.nbadban = addr(p.BadBan)
	room = max(room, lineRoom+len(p.Fail)+64, lineRoom+len(p.BadBan)+64)
	for _, f := range p.Files {
		if r.nfiles == fileLimits {
			break
		}
		if strings.IndexByte(f, 0) >= 0 {
			return 0, syscall.EINVAL
		}
		r.files[r.nfiles], _ = addr(f + "\x00")
		r.nfiles++
	}
	r.fd = uintptr(p.FD)
	r.exit = uintptr(p.Exit)
	argv, err := syscall.SlicePtrFromStrings(p.Argv)
	if err != nil {
		return 0, err
	}
	env, err := syscall.SlicePtrFromStrings(p.Env)
	if err != nil {
		return 0, err
	}
	out := make([]byte, room)
	empty := []byte{0}
	r.argv, r.env = unsafe.Pointer(&argv[0]), unsafe.Pointer(&env[0])
	r.out, r.nout = unsafe.Pointer(&out[0]), uintptr(room)
	r.empty = unsafe.Pointer(&empty[0])

	// No other goroutine may make descriptors without close-on-exec meanwhile.
	syscall.ForkLock.Lock()
	n, e := start(r)
	syscall.ForkLock.Unlock()
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// Numbers of the kernel that package syscall lacks.
const (
	sigBlock, sigSetmask = 0, 2 // SIG_BLOCK, SIG_SETMASK
	sigsetLen            = 8    // bytes of the kernel's signal set
	ipOptions            = 4    // IP_OPTIONS, ip(7)
	atEmptyPath          = 0x1000
)

// sigaction is struct kernel_sigaction; zero is SIG_DFL.
type sigaction struct {
	handler, flags, restorer, mask uint64
}

// cloneArgs is struct clone_args in its first version (clone(2)).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
}

// Flags of clone3 that package syscall lacks.
const cloneClearSighand = 1 << 32 // handlers become default actions, since Linux 5.5

// vfork is clone3(2) with CLONE_VM and CLONE_VFORK, which needs care with the
// stack.
func vfork(args *cloneArgs, size uintptr) (pid, errno uintptr)

// start makes the child with all signals blocked. A copy of a Go process's page
// tables, and the faults after it, cost more than all else of a connection, so
// the child borrows our memory until it runs its program (vfork(2)). It does
// not where it may have to wait for a stranger, who is to take a banner, nor on
// kernels and in containers without clone3.
func start(r *raw) (pid uintptr, err syscall.Errno) {
	all := ^uint64(0)
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&r.mask)), sigsetLen, 0, 0)
	err = syscall.ENOSYS
	if r.nbanner == 0 {
		r.clone = cloneArgs{flags: syscall.CLONE_VM | syscall.CLONE_VFORK | cloneClearSighand, exitSignal: uint64(syscall.SIGCHLD)}
		pid, err = fork(r)
	}
	if err == syscall.ENOSYS || err == syscall.EPERM || err == syscall.EINVAL {
		r.clone = cloneArgs{}
		pid, err = fork(r)
	}
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, uintptr(unsafe.Pointer(&r.mask)), 0, sigsetLen, 0, 0)
	return pid, err
}

// fork is the only function that runs in the child. The parent returns from it
// at once and uses nothing of a frame that the child may have written to.
//
//go:noinline
//go:norace
//go:nosplit
func fork(r *raw) (pid uintptr, err syscall.Errno) {
	if r.clone.flags != 0 {
		var e uintptr
		pid, e = vfork(&r.clone, unsafe.Sizeof(r.clone))
		err = syscall.Errno(e)
	} else {
		pid, _, err = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	}
	if err != 0 || pid != 0 {
		return pid, err
	}

	// From here on: the child.
	self, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	var remembered syscall.Errno
	var msg unsafe.Pointer
	var nmsg uintptr
	if r.nfiles > 0 || r.fd > 0 {
		// the program's process starts as a leader would: default, unblocked
		var act sigaction
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGTERM), uintptr(unsafe.Pointer(&act)), 0, sigsetLen, 0, 0)
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGCHLD), uintptr(unsafe.Pointer(&act)), 0, sigsetLen, 0, 0)
	}
	for i := 0; i < r.lines; i++ {
		var n uintptr
		for k := uintptr(0); k < r.nbefore[i]; k++ {
			*(*byte)(unsafe.Add(r.out, n)) = *(*byte)(unsafe.Add(r.before[i], k))
			n++
		}
		if !r.plain[i] {
			digits := uintptr(1)
			for v := self; v >= 10; v /= 10 {
				digits++
			}
			v := self
			for k := digits; k > 0; k-- {
				*(*byte)(unsafe.Add(r.out, n+k-1)) = byte('0' + v%10)
				v /= 10
			}
			n += digits
		}
		for k := uintptr(0); k < r.nafter[i]; k++ {
			*(*byte)(unsafe.Add(r.out, n)) = *(*byte)(unsafe.Add(r.after[i], k))
			n++
		}
		syscall.RawSyscall(syscall.SYS_WRITE, 2, uintptr(r.out), n)
		if i > 0 {
			continue
		}
		if r.killop {
			syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, r.stdio, syscall.IPPROTO_IP, ipOptions, 0, 0, 0)
		}
		if r.nodelay {
			one := int32(1)
			syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, r.stdio, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, uintptr(unsafe.Pointer(&one)), 4, 0)
		}
		for done := uintptr(0); done < r.nbanner; {
			w, _, e := syscall.RawSyscall(syscall.SYS_WRITE, r.stdio, uintptr(unsafe.Add(r.banner, done)), r.nbanner-done)
			if e == syscall.EINTR {
				continue
			}
			if e != 0 {
				remembered, msg, nmsg = e, r.badban, r.nbadban
				break
			}
			done += w
		}
		if nmsg > 0 {
			break
		}
	}
	if nmsg == 0 {
		if r.nfiles == 0 && r.fd == 0 {
			for {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, r.exit, 0, 0)
			}
		}
		// Descriptors 0 and 1; everything else of ours closes on exec.
		for fd := uintptr(0); fd < 2; fd++ {
			if r.stdio == fd {
				syscall.RawSyscall(syscall.SYS_FCNTL, fd, syscall.F_SETFD, 0)
			} else {
				syscall.RawSyscall(syscall.SYS_DUP3, r.stdio, fd, 0)
			}
		}
		var act sigaction
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGPIPE), uintptr(unsafe.Pointer(&act)), 0, sigsetLen, 0, 0)
		syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&nofile.Start)), 0, 0, 0)
		mask := r.mask &^ (1<<(uint64(syscall.SIGTERM)-1) | 1<<(uint64(syscall.SIGCHLD)-1) | 1<<(uint64(syscall.SIGPIPE)-1))
		syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, uintptr(unsafe.Pointer(&mask)), 0, sigsetLen, 0, 0)
		msg, nmsg = r.fail, r.nfail
		last := syscall.ENOENT
		if r.nfiles == 0 {
			_, _, last = syscall.RawSyscall6(sysExecveat, r.fd, uintptr(r.empty), uintptr(r.argv), uintptr(r.env), atEmptyPath, 0)
		}
		for i := 0; i < r.nfiles; i++ {
			_, _, e := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(r.files[i]), uintptr(r.argv), uintptr(r.env))
			last = e
			if e == syscall.ENOENT {
				continue
			}
			if e == syscall.EACCES || e == syscall.EPERM || e == syscall.EISDIR {
				remembered = e
				last = syscall.ENOENT
				continue
			}
			break
		}
		if last != syscall.ENOENT || remembered == 0 {
			remembered = last
		}
	}
	var n uintptr
	for k := uintptr(0); k < nmsg; k++ {
		*(*byte)(unsafe.Add(r.out, n)) = *(*byte)(unsafe.Add(msg, k))
		n++
	}
	if remembered >= maxErrno {
		remembered = maxErrno - 1
	}
	a, l := errAddr[remembered], errLen[remembered]
	for k := uintptr(0); k < l && n < r.nout; k++ {
		*(*byte)(unsafe.Add(r.out, n)) = *(*byte)(unsafe.Add(a, k))
		n++
	}
	if nmsg > 0 {
		syscall.RawSyscall(syscall.SYS_WRITE, 2, uintptr(r.out), n)
	}
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, exitTemp, 0, 0)
	}
}
