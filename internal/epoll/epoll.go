// Package epoll waits for events the way a thread with a loop of its own
// should: at the least cost to a server that is neither busy nor idle.
package epoll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brief is how long Wait sleeps without Go's scheduler knowing, in
// milliseconds. A call the scheduler knows of costs a busy thread little, but
// when it sleeps for more than 20 us the runtime's watchdog takes the thread's
// processor away, gives it back after, and keeps looking every 20 us: half of
// all processor time of a resolver whose servers are 10 ms away (64 us a
// question; 38 without it). Below 10 ms, the age at which the watchdog
// interrupts a goroutine that seems to run.
const brief = 4

// Wait is epoll_wait(2); ms is -1 for ever, 0 for not at all. It sets events
// and gives their number. A signal ends it with none.
//
// It is for a thread of its own (runtime.LockOSThread): during the first
// milliseconds no other goroutine gets this one's processor, and where
// GOMAXPROCS is no more than the number of such threads the others wait for
// the watchdog to interrupt, some 10 ms. The garbage collector interrupts by
// itself, again and again until it has the thread.
func Wait(ep int, events []unix.EpollEvent, ms int) (int, error) {
	if n, e := raw(ep, events, 0); n > 0 || ms == 0 || e != 0 && e != unix.EINTR {
		return result(n, e)
	}
	first := brief
	if ms > 0 && ms < brief {
		first = ms
	}
	if n, e := raw(ep, events, first); n > 0 || first == ms || e != 0 {
		return result(n, e)
	}
	if ms > 0 {
		ms -= first
	}
	n, err := unix.EpollWait(ep, events, ms)
	if err == unix.EINTR {
		return 0, nil
	}
	return n, err
}

func result(n int, e syscall.Errno) (int, error) {
	if e == 0 || e == unix.EINTR {
		return n, nil
	}
	return 0, e
}

func raw(ep int, events []unix.EpollEvent, ms int) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}
