package recursor

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strings"
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
	// zones have servers of their own in root/servers or root/forward, these in
	// order, or are answered without asking anybody.
	zones map[dnsname.Name][]netip.AddrPort
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

// ourselves stands for the servers of a zone that is answered here (LOCALZONES).
var ourselves = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), 0)}

func claimsOf(c *resolver.Config) claims {
	out := claims{zones: make(map[dnsname.Name][]netip.AddrPort, len(c.Zones))}
	for _, z := range c.Zones {
		if _, there := out.zones[z.Name]; there && !z.Forward {
			continue // root/forward goes before root/servers
		}
		servers := make([]netip.AddrPort, 0, len(z.Servers))
		for _, a := range z.Servers {
			servers = append(servers, netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port()))
		}
		slices.SortFunc(servers, netip.AddrPort.Compare)
		if servers = slices.Compact(servers); len(servers) > 0 {
			out.zones[z.Name] = servers[:min(len(servers), 255)]
		}
	}
	if c.LocalZones {
		for _, n := range resolver.LocalZones() {
			if out.zones[n] == nil {
				out.zones[n] = ourselves
			}
		}
	}
	if v, ok := c.Validator.(*validator.Validator); ok {
		out.anchors = keyIDs(v.Config().Anchors)
	}
	return out
}

// left names the file by which a zone that had servers would lose all of them: a
// slip of the pen, since who wants to be rid of a zone removes its file. The root
// must not lose its file either.
func (a claims) left(c *resolver.Config) (file string, ok bool) {
	root, now := false, claimsOf(c).zones
	for _, z := range c.Zones {
		root = root || z.Name == dnsname.Root
		if len(z.Servers) > 0 || a.zones[z.Name] == nil || now[z.Name] != nil {
			continue
		}
		dir, base := serversDir, "@"
		if z.Forward {
			dir = forwardDir
		}
		if z.Name != dnsname.Root {
			base = strings.TrimSuffix(z.Name.Text(), ".")
		}
		return dir + "/" + base, true
	}
	if !root && a.zones[dnsname.Root] != nil {
		return serversDir + "/@", true
	}
	return "", false
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

// changed gives the zones that came, went, or have no server in common, and the
// names whose anchors have no key in common. Servers that are replaced one after
// the other and keys that follow their zone (RFC 5011) always have. The root's
// servers are a zone's, too: a list without a common address is another tree.
func (a claims) changed(b claims) (zones, anchors nameSet) {
	zones, anchors = nameSet{}, nameSet{}
	for _, x := range [...][2]claims{{a, b}, {b, a}} {
		for n, servers := range x[0].zones {
			if !meet(servers, x[1].zones[n]) {
				zones[n] = true
			}
		}
		for n, ids := range x[0].anchors {
			if !meet(ids, x[1].anchors[n]) {
				anchors[n] = true
			}
		}
	}
	return zones, anchors
}

func meet[T comparable](a, b []T) bool {
	return slices.ContainsFunc(a, func(x T) bool { return slices.Contains(b, x) })
}

// append appends claims as the dump of the cache has them
// (docs/format-cache-dump.md).
func (c claims) append(dst []byte) []byte {
	for _, n := range slices.Sorted(maps.Keys(c.zones)) {
		dst = append(append(dst, n...), 0, byte(len(c.zones[n])))
		for _, a := range c.zones[n] {
			ip := a.Addr().As16()
			dst = binary.BigEndian.AppendUint16(append(dst, ip[:]...), a.Port())
		}
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
	c := claims{zones: map[dnsname.Name][]netip.AddrPort{}, anchors: map[dnsname.Name][]keyID{}}
	for len(b) > 0 {
		n, ok := dnsname.Scan(b)
		if !ok || n >= len(b) {
			break
		}
		name, ids := dnsname.Name(b[:n]), int(b[n])
		b = b[n+1:]
		if ids > 0 {
			if len(b) < 3*ids {
				break
			}
			for ; ids > 0; ids-- {
				c.anchors[name] = append(c.anchors[name], keyID{binary.BigEndian.Uint16(b), b[2]})
				b = b[3:]
			}
			continue
		}
		const server = 16 + 2 // bytes: address, port
		if len(b) < 1 || len(b) < 1+server*int(b[0]) {
			break
		}
		servers := int(b[0])
		for b = b[1:]; servers > 0; servers-- {
			a := netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), binary.BigEndian.Uint16(b[16:]))
			c.zones[name] = append(c.zones[name], a)
			b = b[server:]
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
