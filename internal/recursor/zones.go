package recursor

import (
	"slices"
	"sync/atomic"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
)

// ownZones are the names, but the root's, that have servers of their own in
// root/servers or root/forward, in wire form, lower case, one behind the other,
// in order.
//
// What the cache knows of names at or below one says nothing once the zone has
// come or gone: somebody else said it. Most of all that there is no such name,
// which may hold for hours.
func ownZones(c *resolver.Config) (list []byte) {
	var names []dnsname.Name
	for _, z := range c.Zones {
		if z.Name != dnsname.Root {
			names = append(names, z.Name)
		}
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		list = append(list, n...)
	}
	return list
}

// zoneSet is a set of names.
type zoneSet map[dnsname.Name]bool

// changedZones are the zones in one of two lists, not in both. A list that is
// none, as from a file, ends where it is not.
func changedZones(a, b []byte) zoneSet {
	z := zoneSet{}
	for _, list := range [][]byte{a, b} {
		for len(list) > 0 {
			n, ok := dnsname.Scan(list)
			if !ok {
				break
			}
			if name := dnsname.Name(list[:n]); z[name] {
				delete(z, name)
			} else {
				z[name] = true
			}
			list = list[n:]
		}
	}
	return z
}

// has reports whether name, in lower case, is one of the zones or below one.
func (z zoneSet) has(name []byte) bool {
	for ; name[0] != 0; name = dnsname.Parent(name) {
		if z[dnsname.Name(name)] {
			return true
		}
	}
	return false
}

// moved are zones that came or went a moment ago. Resolutions that began before
// must not bring back what has been forgotten, so nothing is kept for these zones
// until they are over.
type moved struct {
	zones zoneSet
	till  uint32 // Unix time in seconds
}

// moving gives a store the zones to keep nothing of.
type moving = atomic.Pointer[moved]

// useZones takes over the zones of a new configuration, before the workers do.
func (s *Server) useZones(c *resolver.Config) {
	list := ownZones(c)
	old := s.zones.Swap(&list)
	z := changedZones(*old, list)
	if len(z) == 0 {
		return
	}
	now := wall()
	if m := s.moved.Load(); m != nil && m.till > now {
		for name := range m.zones {
			z[name] = true
		}
	}
	s.moved.Store(&moved{z, now + uint32(resolver.DefaultLimits.Time/resolver.Second) + 1})
	s.cache.RemoveIf(z.has)
}
