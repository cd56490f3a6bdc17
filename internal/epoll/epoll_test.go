package epoll

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (ep, r, w int) {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: 7}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, p[0], &ev); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ep); unix.Close(p[0]); unix.Close(p[1]) })
	return ep, p[0], p[1]
}

func TestWait(t *testing.T) {
	ep, _, w := pair(t)
	evs := make([]unix.EpollEvent, 4)
	for _, ms := range []int{0, 1, brief, brief + 1} {
		if n, err := Wait(ep, evs, ms); n != 0 || err != nil {
			t.Errorf("nothing ready, %d ms: %d, %v", ms, n, err)
		}
	}
	unix.Write(w, []byte{1})
	for _, ms := range []int{0, 1, brief + 1, -1} {
		if n, err := Wait(ep, evs, ms); n != 1 || err != nil || evs[0].Fd != 7 {
			t.Errorf("one ready, %d ms: %d, %v, %v", ms, n, err, evs[0])
		}
	}
	if _, err := Wait(-1, evs, 1); err != unix.EBADF {
		t.Errorf("no such descriptor: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { Wait(ep, evs, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The garbage collector must not have to wait for the sleeper: here the
// sleeper ends only after a collection has run its full course.
func TestWaitLetsCollect(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	ep, _, w := pair(t)
	woken := make(chan int)
	go func() {
		runtime.LockOSThread()
		evs := make([]unix.EpollEvent, 1)
		for {
			if n, _ := Wait(ep, evs, -1); n > 0 {
				woken <- n
				return
			}
		}
	}()
	for range 20 {
		runtime.GC()
	}
	unix.Write(w, []byte{1})
	if <-woken != 1 {
		t.Error("not woken")
	}
}
