package recursor

import (
	"crypto/rand"
	"encoding/binary"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
)

// store is the common cache as one engine sees it.
type store struct {
	c     *cache.Cache
	moved *moving
	now   uint32
	got   cache.Entry
	put   cache.Entry
}

func (s *store) Get(e *resolver.Entry, kind resolver.Kind, t dns.Type, name []byte) bool {
	if !s.c.Get(s.c.MakeKey(cache.Kind(kind), t, name), &s.got) {
		return false
	}
	g := &s.got
	*e = resolver.Entry{Kind: resolver.Kind(g.Kind), Type: g.Type, Rank: resolver.Rank(g.Rank), Sec: resolver.Security(g.Sec),
		Code: g.Code, TTL: g.TTL, Expires: int64(g.Expire), Records: g.Records, Sigs: g.Sigs, Proof: g.Proof}
	return true
}

func (s *store) Put(name []byte, e *resolver.Entry) {
	if e.Expires > 1<<32-1 || e.Expires < 0 {
		return
	}
	if m := s.moved.Load(); m != nil && s.now < m.till && m.zones.has(name) {
		return
	}
	k := s.c.MakeKey(cache.Kind(e.Kind), e.Type, name)
	s.put = cache.Entry{Kind: k.Kind, Type: k.Type, Rank: uint8(e.Rank), Sec: uint8(e.Sec), Code: e.Code,
		TTL: e.TTL, Expire: uint32(e.Expires), Records: e.Records, Sigs: e.Sigs, Proof: e.Proof}
	if !s.c.Put(k, &s.put, s.now) {
		s.c.Remove(k) // what could not be replaced must not stay
	}
}

func (s *store) Delete(kind resolver.Kind, t dns.Type, name []byte) {
	s.c.Remove(s.c.MakeKey(cache.Kind(kind), t, name))
}

// random is the system's generator: Go's ChaCha8 would do, but message IDs and
// ports are what keeps forgers out, so they come from the kernel, in blocks.
type random struct{}

func (random) Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}
