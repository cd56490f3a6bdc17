// Stress is a program for the test TestRuntimeCalls: inside a box that allows
// the Go runtime's system calls and no others, it works the runtime hard:
// garbage collection, thousands of goroutines, threads that come and go,
// timers, preemption, stack growth, file and pipe traffic.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

var box = sandbox.Decl{Program: "stress", User: true, Calls: "read close"}

func main() { prog.Main("stress", run) }

func run(args []string) error {
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	os.Stdout.WriteString("in the box\n")
	debug.SetGCPercent(5)
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for time.Now().Before(end) {
				round(i)
			}
		})
	}
	wg.Wait()
	debug.FreeOSMemory()
	os.Stdout.WriteString("done\n")
	return nil
}

var sink [8][]byte

func round(n int) {
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			sink[n] = make([]byte, 1000*(i+1))
			deep(200)
			time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
		})
	}
	// a locked goroutine that ends takes its thread with it
	wg.Go(func() {
		runtime.LockOSThread()
		sink[n] = make([]byte, 1<<20)
	})
	// a loop that only preemption by signal can stop
	wg.Go(func() {
		x := 0
		for i := range 2_000_000 {
			x += i
		}
		if x == 1 {
			os.Stdout.WriteString("never\n")
		}
	})
	runtime.GC()
	wg.Wait()
}

// deep grows the stack.
func deep(n int) int {
	var pad [64]int
	if n == 0 {
		return pad[0]
	}
	return deep(n-1) + pad[n%64]
}
