package service

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"bulkhead/internal/posix"
	"bulkhead/internal/supervisor"
)

// Bounds of TestRestartsAreFlat.
const (
	// rounds of restless restarts are made; the runtime's own tables have their
	// size after the first few.
	warmRounds, rounds = 3, 16
	// mostAllocs is how often one restart may allocate: 26 were counted, of
	// which fork and exec in package syscall make a third.
	mostAllocs = 32
	// mostBytes is how many bytes beyond the environment, which package syscall
	// copies each time, with a pointer for each variable.
	mostBytes = 1024
	// mostGrowth is how much more the heap may hold after all rounds, in bytes:
	// a leak of 32 bytes a restart is found.
	mostGrowth = 32 * rounds * restless
)

// TestRestartsAreFlat restarts a service over a thousand times in one
// supervise: garbage per restart is bounded, and collected in time, so that
// heap, descriptors and goroutines stay what they were.
func TestRestartsAreFlat(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	s := prepare(dir)
	s.throttle = 0
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	s.perform(s.machine.Begin())
	restart := func() {
		for before := s.starts; s.starts == before; s.reap() {
			fds := [...]posix.PollFd{{Fd: int32(s.sigRead), Events: posix.POLLIN}}
			if posix.Poll(fds[:], -1); fds[0].Revents != 0 {
				s.readSignals()
			}
		}
	}
	round := func(n int) {
		for range n {
			for restart(); s.starts%restless != 0; restart() {
			}
		}
	}
	round(warmRounds)
	var before, after runtime.MemStats
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	runtime.ReadMemStats(&before)
	round(rounds)
	runtime.ReadMemStats(&after)
	const n = rounds * restless
	env := uint64(0)
	for _, v := range s.env {
		env += uint64(len(v)) + 1 + 8
	}
	env += env / 4 // size classes of the allocator
	allocs, bytes := (after.Mallocs-before.Mallocs)/n, (after.TotalAlloc-before.TotalAlloc)/n
	t.Logf("%d restarts: %d allocations of %d bytes each, of them %d for the environment; heap %d, then %d; %d collections",
		n, allocs, bytes, env, before.HeapAlloc, after.HeapAlloc, after.NumGC-before.NumGC)
	if allocs > mostAllocs || bytes > env+mostBytes {
		t.Errorf("a restart makes %d allocations of %d bytes, want at most %d of %d", allocs, bytes, mostAllocs, env+mostBytes)
	}
	if after.HeapAlloc > before.HeapAlloc+mostGrowth {
		t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, after.HeapAlloc)
	}
	if got := after.NumGC - before.NumGC; got < rounds {
		t.Errorf("%d collections in %d rounds", got, rounds)
	}
	if f, g := descriptors(t), runtime.NumGoroutine(); f != files || g != goroutines {
		t.Errorf("%d descriptors and %d goroutines became %d and %d", files, goroutines, f, g)
	}
	s.event(supervisor.AskedToStop, supervisor.Death{})
	for s.machine.Phase != supervisor.Gone {
		s.reap()
		posix.Poll(nil, 1e6)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
