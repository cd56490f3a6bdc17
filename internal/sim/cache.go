package sim

import (
	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
)

// small is the real cache in a block so small that it forgets all the time:
// the engine may rely on nothing it has stored.
type small struct {
	c   *cache.Cache
	r   *run
	got cache.Entry
}

// smallSize holds the delegations of a few zones.
const smallSize = 128 << 10

func newSmall(r *run, seed uint64) *small {
	return &small{c: cache.New(make([]byte, smallSize), [2]uint64{seed, ^seed}, 0), r: r}
}

func (s *small) now() uint32 { return uint32(s.r.Now.Seconds()) }

// Get implements resolver.Cache.
func (s *small) Get(e *resolver.Entry, kind resolver.Kind, t dns.Type, name []byte) bool {
	if !s.c.Get(s.c.MakeKey(cache.Kind(kind), t, name), &s.got) {
		return false
	}
	g := &s.got
	*e = resolver.Entry{Kind: resolver.Kind(g.Kind), Type: g.Type, Rank: resolver.Rank(g.Rank), Sec: resolver.Security(g.Sec),
		Code: g.Code, TTL: g.TTL, Expires: int64(g.Expire), Records: g.Records, Sigs: g.Sigs, Proof: g.Proof}
	return true
}

// Put implements resolver.Cache.
func (s *small) Put(name []byte, e *resolver.Entry) {
	k := s.c.MakeKey(cache.Kind(e.Kind), e.Type, name)
	put := cache.Entry{Kind: k.Kind, Type: k.Type, Rank: uint8(e.Rank), Sec: uint8(e.Sec), Code: e.Code,
		TTL: e.TTL, Expire: uint32(e.Expires), Records: e.Records, Sigs: e.Sigs, Proof: e.Proof}
	if !s.c.Put(k, &put, s.now()) {
		s.c.Remove(k)
	}
	if st := s.c.Stats(); st.Size > smallSize || st.Used > smallSize {
		s.r.fail("the cache uses %d of %d bytes", st.Used, smallSize)
	}
}

// Delete implements resolver.Cache.
func (s *small) Delete(kind resolver.Kind, t dns.Type, name []byte) {
	s.c.Remove(s.c.MakeKey(cache.Kind(kind), t, name))
}
