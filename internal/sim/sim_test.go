package sim

import (
	"flag"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "play this seed alone")
	seeds = flag.Uint64("seeds", 20000, "how many seeds to play")
	first = flag.Uint64("first", 1, "the first of them")
)

// TestSeeds plays many generated Internets. A failure prints its seed; play it
// again with -seed.
func TestSeeds(t *testing.T) {
	var total Stats
	if *seed != 0 {
		Trace = os.Stdout
		if err := Run(*seed, &total); err != nil {
			t.Errorf("seed %d: %v", *seed, err)
		}
		t.Logf("%+v", total)
		return
	}
	before := runtime.NumGoroutine()
	n := *seeds
	if testing.Short() {
		n = min(n, 500)
	}
	var next, failures atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var s Stats
			for {
				i := next.Add(1)
				if i > n || failures.Load() > 10 {
					break
				}
				if err := Run(*first+i-1, &s); err != nil {
					failures.Add(1)
					t.Errorf("seed %d: %v", *first+i-1, err)
				}
			}
			mu.Lock()
			total.add(&s)
			mu.Unlock()
		}()
	}
	wg.Wait()
	// the last ones may still be on their way out
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i == 1000 {
			t.Errorf("%d goroutines left", runtime.NumGoroutine()-before)
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d seeds, %d zones, %d servers: %d questions, %d right, %d SERVFAIL, %d had to succeed; %d packets, at most %d for one question",
		n, total.Zones, total.Servers, total.Questions, total.Right, total.Failed, total.MustSucceed, total.Sends, total.MostSends)
	if total.Right < total.Questions/2 {
		t.Error("fewer than half of the questions were answered: the worlds are too sick to prove anything")
	}
	if total.Sends > 10000 {
		for i, c := range total.IDBits {
			if p := float64(c) / float64(total.Sends); p < 0.48 || p > 0.52 {
				t.Errorf("bit %d of the IDs is set in %.3f of the packets", i, p)
			}
		}
	}
}

func (s *Stats) add(o *Stats) {
	s.Questions += o.Questions
	s.Right += o.Right
	s.Failed += o.Failed
	s.Sends += o.Sends
	s.MustSucceed += o.MustSucceed
	s.MostSends = max(s.MostSends, o.MostSends)
	s.Zones += o.Zones
	s.Servers += o.Servers
	for i := range s.IDBits {
		s.IDBits[i] += o.IDBits[i]
	}
}
