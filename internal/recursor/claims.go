package recursor

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync/atomic"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
)

// claims is what a configuration says of the names at and below some: who is
// asked for them, and by which keys they are believed. When that changes, what
// the cache knows of these names counts no more: somebody else said it, most of
// all that there is no such name, which holds for hours; or a stolen key did.
type claims struct {
	// zones, but the root, have servers of their own in root/servers or
	// root/forward.
	zones nameSet
	// anchors are the keys of each trust anchor, in order.
	anchors map[dnsname.Name][]keyID
}

// keyID tells keys apart, whether they are known as DS or as DNSKEY. Two keys of
// one algorithm may have one tag: then a change looks like none, once in 65,536.
type keyID struct {
	tag       uint16
	algorithm uint8
}

// nameSet is a set of names in lower case.
type nameSet map[dnsname.Name]bool

// has reports whether name, in lower case, is one of the set or below one.
func (z nameSet) has(name []byte) bool {
	for ; ; name = dnsname.Parent(name) {
		if z[dnsname.Name(name)] {
			return true
		}
		if name[0] == 0 {
			return false
		}
	}
}

func claimsOf(c *resolver.Config) claims {
	out := claims{zones: nameSet{}}
	for _, z := range c.Zones {
		if z.Name != dnsname.Root {
			out.zones[z.Name] = true
		}
	}
	if v, ok := c.Validator.(*validator.Validator); ok {
		out.anchors = keyIDs(v.Config().Anchors)
	}
	return out
}

func keyIDs(anchors []dnssec.Anchor) map[dnsname.Name][]keyID {
	out := make(map[dnsname.Name][]keyID, len(anchors))
	for _, a := range anchors {
		ids := []keyID{}
		for _, d := range a.DS {
			if len(d) > 2 { // RFC 4034, section 5.1: key tag, algorithm
				ids = append(ids, keyID{binary.BigEndian.Uint16(d), d[2]})
			}
		}
		for _, k := range a.Keys {
			if len(k) > 3 { // RFC 4034, section 2.1: flags, protocol, algorithm
				ids = append(ids, keyID{dnssec.KeyTag(k), k[3]})
			}
		}
		slices.SortFunc(ids, func(a, b keyID) int {
			return (int(a.tag)<<8 | int(a.algorithm)) - (int(b.tag)<<8 | int(b.algorithm))
		})
		if len(ids) > 0 {
			out[a.Name] = slices.Compact(ids)
		}
	}
	return out
}

// changed gives the zones that came or went, and the names whose anchors have no
// key in common: those that follow their zone (RFC 5011) always have.
func (a claims) changed(b claims) (zones, anchors nameSet) {
	zones, anchors = nameSet{}, nameSet{}
	for _, x := range [...][2]claims{{a, b}, {b, a}} {
		for n := range x[0].zones {
			if !x[1].zones[n] {
				zones[n] = true
			}
		}
		for n, ids := range x[0].anchors {
			if !slices.ContainsFunc(ids, func(k keyID) bool { return slices.Contains(x[1].anchors[n], k) }) {
				anchors[n] = true
			}
		}
	}
	return zones, anchors
}

// append appends claims as the dump of the cache has them
// (docs/format-cache-dump.md).
func (c claims) append(dst []byte) []byte {
	for _, n := range slices.Sorted(maps.Keys(c.zones)) {
		dst = append(append(dst, n...), 0)
	}
	for _, n := range slices.Sorted(maps.Keys(c.anchors)) {
		ids := c.anchors[n]
		ids = ids[:min(len(ids), 255)]
		dst = append(append(dst, n...), byte(len(ids)))
		for _, k := range ids {
			dst = append(binary.BigEndian.AppendUint16(dst, k.tag), k.algorithm)
		}
	}
	return dst
}

// parseClaims reads what append made, up to what is none.
func parseClaims(b []byte) claims {
	c := claims{zones: nameSet{}, anchors: map[dnsname.Name][]keyID{}}
	for len(b) > 0 {
		n, ok := dnsname.Scan(b)
		if !ok || n >= len(b) || len(b) < n+1+3*int(b[n]) {
			break
		}
		name, ids := dnsname.Name(b[:n]), int(b[n])
		b = b[n+1:]
		if ids == 0 {
			c.zones[name] = true
		}
		for ; ids > 0; ids-- {
			c.anchors[name] = append(c.anchors[name], keyID{binary.BigEndian.Uint16(b), b[2]})
			b = b[3:]
		}
	}
	return c
}

// moved are zones that came or went a moment ago. Resolutions that began before
// must not bring back what has been forgotten, so nothing is kept for these zones
// until they are over.
type moved struct {
	zones nameSet
	till  uint32 // Unix time in seconds
}

// moving gives a store the zones to keep nothing of.
type moving = atomic.Pointer[moved]

// claim takes over the claims of a new configuration, before the workers do.
// What it gives forgets, when they have, what does not hold any more.
func (s *Server) claim(c *resolver.Config) (forget func()) {
	now := claimsOf(c)
	zones, anchors := s.claims.Swap(&now).changed(now)
	if len(zones) > 0 {
		at := wall()
		m := &moved{maps.Clone(zones), at + uint32(resolver.DefaultLimits.Time/resolver.Second) + 1}
		if old := s.moved.Load(); old != nil && old.till > at {
			maps.Copy(m.zones, old.zones)
		}
		s.moved.Store(m)
	}
	return func() {
		maps.Copy(zones, anchors)
		if len(zones) > 0 {
			s.cache.RemoveIf(func(e *cache.Entry) bool { return zones.has(e.Name) })
		}
	}
}

// forgetOld forgets what an earlier run has left that this one would not have
// learnt, and gives the number of entries.
func (s *Server) forgetOld(then claims, c *resolver.Config) int {
	names, anchors := then.changed(*s.claims.Load())
	maps.Copy(names, anchors)
	most := c.MaxTTL
	if most == 0 {
		most = resolver.DefaultMaxTTL
	}
	if len(names) == 0 && len(c.IgnoreIP) == 0 && most >= resolver.DefaultMaxTTL {
		return 0
	}
	at := wall()
	return s.cache.RemoveIf(func(e *cache.Entry) bool {
		return names.has(e.Name) || e.Expire > at && e.Expire-at > most ||
			e.Kind == cache.KindRRset && (e.Type == dns.TypeA || e.Type == dns.TypeAAAA) && c.Ignores(e.Type, e.Records)
	})
}
