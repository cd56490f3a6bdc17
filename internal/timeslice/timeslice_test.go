package timeslice

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// What was asked for is what the kernel says, on all threads; nothing else has
// changed.
func TestAsk(t *testing.T) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Skip("no sched_getattr: ", err)
	}
	Ask(Serving)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip(err)
	}
	for _, x := range tasks {
		tid, _ := strconv.Atoi(x.Name())
		a, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			continue // ended meanwhile
		}
		if a.Policy != before.Policy || a.Nice != before.Nice {
			t.Errorf("thread %d: policy %d, nice %d; was %d and %d", tid, a.Policy, a.Nice, before.Policy, before.Nice)
		}
		if a.Runtime == 0 { // before 6.12 there is none
			continue
		}
		if a.Runtime != uint64(Serving) {
			t.Errorf("thread %d: %d ns", tid, a.Runtime)
		}
	}
}
