package resolver

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"bulkhead/internal/dns"
)

// server is what is known of one address of name servers.
type server struct {
	addr     netip.AddrPort
	srtt     Time // smoothed round-trip time, 0: never measured
	rttvar   Time
	fails    uint8 // timeouts in a row
	failing  Time  // when the first of these was
	deadTill Time  // hardly asked before this
	probeAt  Time  // a dead server is not asked before this
	dead     Time  // how long the last such time was
	since    Time  // when the measurements began
	noEDNS   Time  // without EDNS before this (RFC 6891, section 6.2.2)
	noCase   Time  // letter case is not kept before this
	cookie   [32]byte
	cookieN  uint8 // bytes of the server's cookie, 0 none (RFC 7873)
	lame     [maxLame]lameness
	used     bool // since the hand of the clock passed
}

type lameness struct {
	zone uint64 // hash
	till Time
}

// serverTable keeps at most maxInfra servers; the clock algorithm forgets.
type serverTable struct {
	byAddr map[netip.AddrPort]int
	all    []server
	hand   int
}

func (s *serverTable) get(now Time, addr netip.AddrPort) *server {
	if i, ok := s.byAddr[addr]; ok {
		v := &s.all[i]
		if now-v.since > infraTime && v.deadTill <= now {
			// RFC 7873, section 5.3, lets cookies live longer; a new one costs nothing
			*v = server{addr: addr, srtt: v.srtt, rttvar: v.rttvar, since: now, lame: v.lame}
		}
		v.used = true
		return v
	}
	if s.byAddr == nil {
		s.byAddr = make(map[netip.AddrPort]int)
	}
	i := len(s.all)
	if i < maxInfra {
		if i == cap(s.all) {
			// pointers into the slice are kept during one call only
			grown := make([]server, i, max(64, 2*i))
			copy(grown, s.all)
			s.all = grown
		}
		s.all = s.all[:i+1]
	} else {
		for s.all[s.hand].used {
			s.all[s.hand].used = false
			s.hand = (s.hand + 1) % maxInfra
		}
		i = s.hand
		s.hand = (s.hand + 1) % maxInfra
		delete(s.byAddr, s.all[i].addr)
	}
	s.all[i] = server{addr: addr, since: now, used: true}
	s.byAddr[addr] = i
	return &s.all[i]
}

// answered records a measurement (RFC 6298, section 2).
func (s *server) answered(rtt Time) {
	s.fails, s.deadTill, s.dead = 0, 0, 0
	if s.srtt == 0 {
		s.srtt, s.rttvar = max(rtt, 1), rtt/2
		return
	}
	d := s.srtt - rtt
	if d < 0 {
		d = -d
	}
	s.rttvar = (3*s.rttvar + d) / 4
	s.srtt = max((7*s.srtt+rtt)/8, 1)
}

// timedOut records that nothing came within what timeout said.
func (s *server) timedOut(now Time) {
	if s.fails == 0 {
		s.failing = now
	}
	s.fails = min(s.fails+1, 100)
	if s.fails >= maxTries && now-s.failing >= deadAfter {
		s.dead = min(max(2*s.dead, deadTime), maxDeadTime)
		s.deadTill = now + s.dead
	}
}

// timeout is how long to wait for this server before another is asked too.
func (s *server) timeout() Time {
	t := firstTimeout
	if s.srtt != 0 {
		t = s.srtt + max(4*s.rttvar, 10*Millisecond)
	}
	// the last try waits long: what the others asked for may still come, when a
	// path that was quick has become slow
	if s.fails >= maxTries-1 {
		return maxTimeout
	}
	return min(max(t, minTimeout)<<s.fails, maxTimeout)
}

// resting reports whether the server is dead and was tried a moment ago: a
// flood of questions for a dead zone costs a packet a second, not a packet each
// (RFC 9520, section 3).
func (s *server) resting(now Time) bool { return s.deadTill > now && s.probeAt > now }

// lameKey is a zone's in the memory of lameness. Some load balancers answer for
// A alone and refer upwards for all else: to be lame for one says nothing about
// the other (unbound the same).
func lameKey(zone uint64, t dns.Type) uint64 {
	if t == dns.TypeA {
		return zone
	}
	return ^zone
}

// isLame reports whether the server does not serve the zone of this hash.
func (s *server) isLame(now Time, zone uint64) bool {
	for i := range s.lame {
		if s.lame[i].zone == zone && s.lame[i].till > now {
			return true
		}
	}
	return false
}

func (s *server) setLame(now Time, zone uint64) {
	oldest := 0
	for i := range s.lame {
		if s.lame[i].zone == zone {
			oldest = i
			break
		}
		if s.lame[i].till < s.lame[oldest].till {
			oldest = i
		}
	}
	s.lame[oldest] = lameness{zone, now + lameTime}
}

// clientCookie is ours for a server: the same as long as the engine's secret
// is, different for every server (RFC 7873, section 4.1; RFC 9018, section 3).
func (e *Engine) clientCookie(addr netip.AddrPort) (c [8]byte) {
	b := addr.Addr().As16()
	h := mix(e.secret[0]^binary.LittleEndian.Uint64(b[:8]), e.secret[1])
	h = mix(h^binary.LittleEndian.Uint64(b[8:]), e.secret[2])
	h = mix(h^uint64(addr.Port()), e.secret[3])
	binary.LittleEndian.PutUint64(c[:], h)
	return c
}

// hash maps a name and two numbers to a table key, unpredictable without the
// engine's secret.
func (e *Engine) hash(name []byte, a, b uint64) uint64 {
	h := e.secret[0] ^ a ^ uint64(len(name))<<48
	for len(name) >= 8 {
		h = mix(h^binary.LittleEndian.Uint64(name), e.secret[1])
		name = name[8:]
	}
	var last uint64
	for _, c := range name {
		last = last<<8 | uint64(c)
	}
	return mix(mix(h^last, e.secret[1])^b, e.secret[2])
}

// mix is a 64 by 64 bit multiplication folded, as in wyhash.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xA0761D6478BD642F, b|1)
	return hi ^ lo
}

// pick chooses among candidates: those within a band of the fastest are equal,
// which spreads the load and leaves an attacker guessing; once in a while any
// other is asked to learn its time. Servers never asked count as fast, so that
// they are measured; dead ones come last.
const (
	pickBand  = 30 * Millisecond // among these a choice costs nobody anything noticeable
	probeOdds = 32               // one exchange in so many probes; costs one slow answer in that many
	unknownRT = 20 * Millisecond // assumed of a server never asked: it gets tried
)

func (s *server) score(now Time) Time {
	v := s.srtt
	if v == 0 {
		v = unknownRT
	}
	if s.fails > 0 {
		v += s.timeout()
	}
	if s.deadTill > now {
		v += 1000 * Second
	}
	return v
}
