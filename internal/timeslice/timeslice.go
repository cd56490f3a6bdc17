// Package timeslice asks the kernel for short turns on the processor.
//
// A server that sleeps between questions waits, when one comes, for the turn of
// whoever computes on its processor to end: 3 ms and more with the kernel's
// default (Documentation/scheduler/sched-eevdf.rst). Since Linux 6.12 a thread
// may ask for turns of another length; who asks for shorter ones comes first
// when it wakes. Its share of the processor stays what its nice value says, so
// nobody starves. A program that computes while a server may share its
// processor does well to ask, too: then the server never waits for long, even
// when it has something to do all the time.
package timeslice

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Serving is for threads that answer: the shortest turn that the kernel
	// gives (kernel/sched/syscalls.c clamps to 0.1 to 100 ms).
	Serving = 100 * time.Microsecond

	// Computing is for threads beside those: a quarter of the 2 ms within which
	// a server answers even while its data are compiled.
	Computing = 500 * time.Microsecond
)

// Ask asks for all threads that the process has; those that they start inherit
// it. Older kernels, and policies that know no turns, say no, which changes
// nothing, so there is no error.
func Ask(turn time.Duration) {
	for range 2 { // the second time for threads that others have started meanwhile
		ask(turn)
	}
}

func ask(turn time.Duration) {
	d, err := os.Open("/proc/self/task")
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, s := range names {
		tid, err := strconv.Atoi(s)
		if err != nil {
			continue
		}
		// the other values stay: a nice value must not be raised, nor lowered
		a, err := unix.SchedGetAttr(tid, 0)
		if err != nil || a.Policy != unix.SCHED_NORMAL && a.Policy != unix.SCHED_BATCH {
			continue
		}
		a.Runtime = uint64(turn)
		unix.SchedSetAttr(tid, a, 0)
	}
}
