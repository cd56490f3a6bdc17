package sandbox

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runtimeCalls are what the Go runtime itself may do at any time after start:
// scheduling, timers and its poller, memory, signals, threads, messages on
// standard error, random numbers. The poller itself is made before the filter (startPoller);
// the watch on the number of usable processors is off (go.mod, updatemaxprocs).
// restart_syscall, which resumes a sleep after SIGSTOP and SIGCONT, is left out:
// refused, the sleep just ends early, which the runtime allows for. The test
// TestRuntimeCalls finds each of them in use under stress.
const runtimeCalls = "futex epoll_pwait epoll_ctl read nanosleep sched_yield madvise mmap munmap " +
	"rt_sigreturn rt_sigprocmask sigaltstack gettid getpid tgkill " +
	"clone exit exit_group write prctl getrandom"

// guard is a condition on one argument of a call: it is allowed only if the
// argument & mask == want. The lower 32 bits are compared: every guarded
// argument is an int to the kernel, or has no meaning above bit 31.
type guard struct {
	arg        int
	mask, want uint32
}

// guards narrows calls that could do more than their use here. A call may
// stand several times: all must hold.
func guards(d Decl) map[string][]guard {
	g := map[string][]guard{
		// threads, never processes
		"clone": {{arg: 0, mask: unix.CLONE_THREAD, want: unix.CLONE_THREAD}},
		// no memory that is executable: what is injected does not run
		"mmap":     {{arg: 2, mask: unix.PROT_EXEC, want: 0}},
		"mprotect": {{arg: 2, mask: unix.PROT_EXEC, want: 0}},
		// the runtime names its memory areas; nothing else
		"prctl": {{arg: 0, mask: ^uint32(0), want: unix.PR_SET_VMA}},
		// signals to itself only (the runtime preempts its threads so)
		"tgkill": {{arg: 0, mask: ^uint32(0), want: uint32(os.Getpid())}},
		"kill":   {{arg: 0, mask: ^uint32(0), want: uint32(os.Getpid())}},
	}
	if len(d.Write) == 0 {
		g["openat"] = []guard{{arg: 2, want: 0,
			mask: unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND}}
	}
	if has(d.Sockets, "unix") {
		// families whose number has bits 0, 1 and 3 only: AF_UNIX is 1; what
		// else that lets through (AX.25, X.25, ROSE) is gone from most
		// kernels. Netlink, packet and crypto sockets have other bits.
		g["socket"] = []guard{{arg: 0, mask: ^uint32(0xB), want: 0}}
	} else {
		// AF_INET is 2 and AF_INET6 is 10: alike but for bit 3
		g["socket"] = []guard{{arg: 0, mask: ^uint32(8), want: unix.AF_INET}}
	}
	if !has(d.Sockets, "tcp") {
		g["socket"] = append(g["socket"], guard{arg: 1, mask: 0xF, want: unix.SOCK_DGRAM})
	} else if !has(d.Sockets, "udp") {
		g["socket"] = append(g["socket"], guard{arg: 1, mask: 0xF, want: unix.SOCK_STREAM})
	}
	return g
}

// Offsets into struct seccomp_data (linux/seccomp.h), bytes.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16 // 8 bytes each; the lower half comes first on little-endian machines
)

const errNoFilter = textError("no list of system calls for this kind of processor")

// filterCalls installs the seccomp filter on all threads and no_new_privs,
// without which a user may have no filter: the kernel gives other threads both
// (seccomp(2), SECCOMP_FILTER_FLAG_TSYNC). Calls that are not allowed fail with
// EPERM, so that an attempt is refused and the server lives; calls of another
// architecture kill.
func filterCalls(d Decl) error {
	if len(callNumbers) == 0 {
		return errNoFilter
	}
	if withoutSeccomp() {
		return syscall.ENOSYS
	}
	startPoller()
	prog, err := assemble(d)
	if err != nil {
		return err
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	defer runtime.KeepAlive(prog)
	// The two calls must be one thread's. A goroutine may move between them,
	// if seldom; then the kernel says EACCES, and the next try has both.
	for range maxMoves {
		if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
			return e
		}
		r, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
			unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
		switch {
		case e == syscall.EACCES:
			continue
		case e != 0:
			return e
		case r != 0:
			return textError("a thread has another filter")
		}
		return nil
	}
	return syscall.EACCES
}

// maxMoves is how often a goroutine may change threads between two calls in a
// row before that counts as an error.
const maxMoves = 10

// startPoller makes the runtime create its epoll and event descriptors, which
// it does at the first timer, so that the filter need not allow creating them.
func startPoller() { time.Sleep(time.Nanosecond) }

// CallList gives the names a program may call, its own first: they are the
// frequent ones and stand first in the filter. No name stands twice.
func CallList(d Decl) []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range strings.Fields(d.Calls + " " + runtimeCalls) {
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

// Classic BPF instructions that the filter needs (linux/bpf_common.h).
func load(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}
func and(mask uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask}
}
func ret(verdict uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: verdict}
}

// jumpEqual skips yes or no instructions.
func jumpEqual(v uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: v}
}

// jumpBelow skips no instruction if the number is below v, else skip.
func jumpBelow(v uint32, skip int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jt: uint8(skip), K: v}
}

// maxSkip is how many instructions a conditional jump can skip (linux/filter.h).
const maxSkip = 255

const deny = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)

// systemCall is a call's name and its number on this processor.
type systemCall struct {
	name string
	nr   uint32
}

// number finds a call in callNumbers. A table that is searched from its start
// costs a short-lived program less than a map that it fills when it starts.
func number(name string) (uint32, bool) {
	for i := range callNumbers {
		if callNumbers[i].name == name {
			return callNumbers[i].nr, true
		}
	}
	return 0, false
}

// assemble makes the filter: the calls by number in a binary tree, because the
// kernel runs it once for every number when it is installed, to learn which
// calls need no look at their arguments.
func assemble(d Decl) ([]unix.SockFilter, error) {
	ins := []unix.SockFilter{
		load(dataArch),
		jumpEqual(auditArch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		load(dataNr),
	}
	var list []systemCall
	for _, name := range CallList(d) {
		nr, ok := number(name)
		if !ok {
			if noSuchCall[name] { // exists on other processors only
				continue
			}
			return nil, textError("unknown system call " + name)
		}
		list = append(list, systemCall{name, nr})
	}
	slices.SortFunc(list, func(a, b systemCall) int { return int(a.nr) - int(b.nr) })
	return tree(ins, list, guards(d))
}

// tree appends the instructions that decide about the calls of list. Every path
// through them ends in a verdict.
func tree(ins []unix.SockFilter, list []systemCall, g map[string][]guard) ([]unix.SockFilter, error) {
	if len(list) == 1 {
		ins = append(ins, jumpEqual(list[0].nr, 1, 0), ret(deny))
		for _, c := range g[list[0].name] {
			ins = append(ins, load(dataArgs+8*uint32(c.arg)), and(c.mask), jumpEqual(c.want, 1, 0), ret(deny))
		}
		return append(ins, ret(unix.SECCOMP_RET_ALLOW)), nil
	}
	middle := len(list) / 2
	at := len(ins)
	ins, err := tree(append(ins, unix.SockFilter{}), list[:middle], g)
	if err != nil {
		return nil, err
	}
	skip := len(ins) - at - 1
	if skip > maxSkip {
		return nil, textError("too many system calls for a filter")
	}
	ins[at] = jumpBelow(list[middle].nr, skip)
	return tree(ins, list[middle:], g)
}
