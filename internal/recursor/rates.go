package recursor

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"bulkhead/internal/resolver"
)

// rateTable knows how fast each client prefix asks (RATELIMIT). All threads
// share it: which of them a question comes to depends on the client's ports,
// which are the client's choice.
type rateTable struct {
	shards [rateShards]struct {
		mu sync.Mutex
		m  map[netip.Prefix]bucket
	}
}

// bucket is a token bucket.
type bucket struct {
	tokens float64 // questions it may ask at once
	last   resolver.Time
	told   resolver.Time // when the limit was logged last, 0 never
}

const (
	rateShards = 16
	// maxRates bounds a shard, with maxClients in all. When it is full somebody
	// is forgotten, anybody: who comes back may ask a second's worth at once.
	maxRates = maxClients / rateShards
)

// rateSeed makes the shards unknown to strangers.
var rateSeed = maphash.MakeSeed()

// take lets a client ask rate questions a second, a second's worth at once. If
// not, tell says whether to log it: once a second, whatever the flood.
func (t *rateTable) take(a netip.Addr, rate uint64, now resolver.Time) (ok, tell bool) {
	p := clientPrefix(a)
	s := &t.shards[maphash.Comparable(rateSeed, p)%rateShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.m[p]
	if !known {
		if s.m == nil {
			s.m = make(map[netip.Prefix]bucket)
		}
		if len(s.m) >= maxRates {
			for old := range s.m {
				delete(s.m, old)
				break
			}
		}
		b = bucket{tokens: float64(rate), last: now}
	}
	b.tokens = min(float64(rate), b.tokens+float64(max(now-b.last, 0))*float64(rate)/float64(resolver.Second))
	b.last = max(b.last, now) // threads read the clock each for itself
	if ok = b.tokens >= 1; ok {
		b.tokens--
	} else if tell = b.told == 0 || now-b.told >= resolver.Second; tell {
		b.told = now
	}
	s.m[p] = b
	return ok, tell
}

// mayAsk reports whether a client keeps to RATELIMIT.
func (w *worker) mayAsk(a netip.Addr) bool {
	rate := w.s.set.RateLimit
	if rate == 0 {
		return true
	}
	ok, tell := w.s.rates.take(a, rate, w.now)
	if tell {
		w.log.Limit(a, "questions a second")
	}
	return ok
}
