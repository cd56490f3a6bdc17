package sim

import (
	"encoding/binary"
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// outcome is what is true of a name and type: the answer section and RCODE.
type outcome struct {
	rcode dns.RCode
	rrs   []record
	loop  bool // an alias loop, or a chain too long: SERVFAIL is right
	zones []*zone
	names []dnsname.Name // of the alias chain
}

type record struct {
	owner dnsname.Name
	typ   dns.Type
	data  []byte
}

// zoneOf finds the zone that has authority for name, as the parents say at
// this moment.
func (w *world) zoneOf(name dnsname.Name) *zone {
	z := w.root
next:
	for {
		for n := name; len(n) > len(z.name); n = dnsname.Parent(n) {
			if k := z.byName[n]; k != nil && k.removed == 0 {
				z = k
				continue next
			}
		}
		return z
	}
}

// local answers from one zone's data, without following aliases out of it.
func (z *zone) local(name dnsname.Name, t dns.Type) (rcode dns.RCode, found *rrset, alias dnsname.Name, dname dnsname.Name) {
	if s, ok := z.sets[setKey{name, t}]; ok {
		return 0, &s, "", ""
	}
	if s, ok := z.sets[setKey{name, dns.TypeCNAME}]; ok {
		return 0, &s, dnsname.Name(s.data[0]), ""
	}
	for n := dnsname.Parent(name); len(n) > len(z.name); n = dnsname.Parent(n) {
		if s, ok := z.sets[setKey{n, dns.TypeDNAME}]; ok {
			to, ok := dnsname.Join(dnsname.Name(string(name[:len(name)-len(n)])+"\x00"), dnsname.Name(s.data[0]))
			if !ok {
				return dns.RCodeYXDomain, nil, "", ""
			}
			return 0, &s, to, n
		}
	}
	if z.exists(name) {
		return 0, nil, "", ""
	}
	// RFC 4592: the wildcard below the closest encloser
	for n := dnsname.Parent(name); len(n) >= len(z.name); n = dnsname.Parent(n) {
		if s, ok := z.sets[setKey{label("*", n), t}]; ok {
			return 0, &s, "", ""
		}
		if z.exists(label("*", n)) {
			return 0, nil, "", ""
		}
		if z.exists(n) || n[0] == 0 {
			break
		}
	}
	return dns.RCodeNXDomain, nil, "", ""
}

func (z *zone) exists(name dnsname.Name) bool {
	if !z.names[name] {
		return false
	}
	// names that were there for a removed delegation alone are gone
	for _, k := range z.kids {
		if k.removed != 0 && dnsname.IsBelow(k.name, name) {
			for s := range z.sets {
				if dnsname.IsBelow(s.name, name) {
					return true
				}
			}
			for _, o := range z.kids {
				if o.removed == 0 && dnsname.IsBelow(o.name, name) {
					return true
				}
			}
			return false
		}
	}
	return true
}

// truth follows everything to its end.
func (w *world) truth(name dnsname.Name, t dns.Type) (o outcome) {
	for range 17 {
		z := w.zoneOf(name)
		o.zones, o.names = append(o.zones, z), append(o.names, name)
		rcode, set, alias, dname := z.local(name, t)
		o.rcode = rcode
		if set == nil {
			return o
		}
		switch {
		case dname != "":
			o.rrs = append(o.rrs, record{dname, dns.TypeDNAME, set.data[0]}, record{name, dns.TypeCNAME, []byte(alias)})
		case alias != "" && t != dns.TypeCNAME:
			o.rrs = append(o.rrs, record{name, dns.TypeCNAME, set.data[0]})
		default:
			for _, d := range set.data {
				o.rrs = append(o.rrs, record{name, t, d})
			}
			return o
		}
		name = alias
	}
	o.loop = true
	return o
}

// serve gives a server's responses to a question: packets with the delay of
// each in milliseconds.
func (w *world) serve(s *server, q []byte, tcp bool) (out []timed) {
	c, err := wire.Parse(q)
	if err != nil {
		return nil
	}
	raw, t, class, err := c.Question(nil)
	if err != nil {
		return nil
	}
	edns, err := wire.FindEDNS(&c)
	if err != nil {
		return nil
	}
	echo := raw
	if s.vice == keepsNoCase {
		echo = dnsname.Lower(append([]byte(nil), raw...))
	}
	name := dnsname.Name(raw).Lower()
	id := c.Header.ID
	max := 512
	if edns.Present {
		max = int(edns.UDPSize)
	}
	if tcp {
		max = 65535
	}
	var b wire.Builder
	fail := func(rcode dns.RCode) []timed {
		b.Reset(nil, max, id, wire.BitQR|uint16(rcode))
		b.Question(echo, t, class)
		return []timed{{s.delay, b.Finish()}}
	}
	switch s.vice {
	case dead:
		return nil
	case lossy:
		if !tcp && w.odds(3) {
			return nil
		}
	case refuses:
		return fail(dns.RCodeRefused)
	case fails:
		return fail(dns.RCodeServFail)
	case noEDNS:
		if edns.Present {
			return fail(dns.RCodeFormErr)
		}
	case babbles:
		n := w.pick(600)
		junk := make([]byte, n)
		for i := range junk {
			junk[i] = byte(w.rng.Uint32())
		}
		if w.odds(2) && n > len(q) {
			copy(junk, q)
			binary.BigEndian.PutUint16(junk[2:], wire.BitQR|uint16(w.rng.Uint32())&0x07ff)
			binary.BigEndian.PutUint16(junk[6:], uint16(1+w.pick(0xFFFF))) // an answer that is not there
		}
		return []timed{{s.delay, junk}}
	case truncates:
		if !tcp {
			b.Reset(nil, max, id, wire.BitQR|wire.BitTC|wire.BitAA)
			b.Question(echo, t, class)
			return []timed{{s.delay, b.Finish()}}
		}
	}
	var options []byte
	if s.vice == wantsCookie && edns.Present {
		var cookie []byte
		for code, data, rest, ok := wire.NextOption(edns.Options); ok; code, data, rest, ok = wire.NextOption(rest) {
			if code == dns.OptCookie {
				cookie = data
			}
		}
		if len(cookie) >= 8 {
			options = wire.AppendOption(options, dns.OptCookie, string(cookie[:8])+"serverco")
			if !tcp && string(cookie[8:]) != "serverco" {
				b.Reset(nil, max, id, wire.BitQR|uint16(dns.RCodeBadCookie&15))
				b.Question(echo, t, class)
				b.OPT(1232, dns.RCodeBadCookie, false, options)
				return []timed{{s.delay, b.Finish()}}
			}
		}
	}
	var z *zone
	for n := name; ; n = dnsname.Parent(n) {
		if z = s.zones[n]; z != nil || n[0] == 0 {
			break
		}
	}
	if z == nil {
		return fail(dns.RCodeRefused)
	}
	if s.vice == upward {
		b.Reset(nil, max, id, wire.BitQR)
		b.Question(echo, t, class)
		for _, ns := range w.root.ns {
			b.RR(wire.Authority, []byte(dnsname.Root), dns.TypeNS, dns.ClassIN, 3600, []byte(ns.name))
		}
		return []timed{{s.delay, b.Finish()}}
	}
	msg := w.answer(&b, s, z, name, echo, t, id, max, edns.Present, options)
	if s.vice == floods && !tcp {
		for range 3 {
			forged := w.forge(echo, t, id^uint16(1+w.pick(0xFFFF)))
			out = append(out, timed{s.delay / 2, forged})
		}
	}
	return append(out, timed{s.delay, msg})
}

type timed struct {
	delay int64
	msg   []byte
}

// forge makes a wrong answer that would poison whoever believes it.
func (w *world) forge(echo []byte, t dns.Type, id uint16) []byte {
	var b wire.Builder
	b.Reset(nil, 512, id, wire.BitQR|wire.BitAA)
	b.Question(echo, t, dns.ClassIN)
	b.RR(wire.Answer, echo, dns.TypeA, dns.ClassIN, 86400, poisonAddr)
	return b.Finish()
}

// answer is what an authoritative server of zone z says (RFC 1034, section
// 4.3.2).
func (w *world) answer(b *wire.Builder, s *server, z *zone, name dnsname.Name, echo []byte, t dns.Type, id uint16, max int, opt bool, options []byte) []byte {
	bits := uint16(wire.BitQR | wire.BitAA)
	if s.vice == recursive {
		bits = wire.BitQR | wire.BitRA
	}
	b.Reset(nil, max, id, bits)
	b.Question(echo, t, dns.ClassIN)
	if opt {
		b.SetMax(max - 11 - len(options))
	}
	// a cut between the zone and the name?
	for n := name; len(n) > len(z.name); n = dnsname.Parent(n) {
		k := z.byName[n]
		if k == nil || k.removed != 0 {
			continue
		}
		// nearest to the zone counts
		for m := dnsname.Parent(n); len(m) > len(z.name); m = dnsname.Parent(m) {
			if o := z.byName[m]; o != nil && o.removed == 0 {
				k = o
			}
		}
		if t == dns.TypeDS && k.name == name {
			break
		}
		b.SetBits(wire.BitQR)
		for _, ns := range k.ns {
			b.RR(wire.Authority, []byte(k.name), dns.TypeNS, dns.ClassIN, k.nsTTL, []byte(ns.name))
		}
		for _, ns := range k.ns {
			if !ns.glue {
				continue
			}
			for _, a := range ns.addrs {
				b.RR(wire.Additional, []byte(ns.name), typeOf(a), dns.ClassIN, k.nsTTL, a.AsSlice())
			}
		}
		w.unasked(b, s)
		return w.finish(b, max, opt, options)
	}
	cur := name
	for range 8 {
		rcode, set, alias, dname := z.local(cur, t)
		if set == nil {
			b.SetBits(b.Bits() | uint16(rcode))
			soa := z.sets[setKey{z.name, dns.TypeSOA}]
			b.RR(wire.Authority, []byte(z.name), dns.TypeSOA, dns.ClassIN, soa.ttl, soa.data[0])
			break
		}
		if dname != "" {
			b.RR(wire.Answer, []byte(dname), dns.TypeDNAME, dns.ClassIN, set.ttl, set.data[0])
			b.RR(wire.Answer, []byte(cur), dns.TypeCNAME, dns.ClassIN, set.ttl, []byte(alias))
		} else if alias != "" && t != dns.TypeCNAME {
			b.RR(wire.Answer, []byte(cur), dns.TypeCNAME, dns.ClassIN, set.ttl, set.data[0])
		} else {
			for _, d := range set.data {
				b.RR(wire.Answer, []byte(cur), t, dns.ClassIN, set.ttl, d)
			}
			break
		}
		if w.zoneOf(alias) != z || !dnsname.IsBelow(alias, z.name) {
			break
		}
		cur = alias
	}
	if w.odds(3) {
		for _, ns := range z.ns {
			b.RR(wire.Authority, []byte(z.name), dns.TypeNS, dns.ClassIN, 86400, []byte(ns.name))
		}
	}
	w.unasked(b, s)
	return w.finish(b, max, opt, options)
}

func typeOf(a netip.Addr) dns.Type {
	if a.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// unasked adds what a liar adds.
func (w *world) unasked(b *wire.Builder, s *server) {
	if s.vice != pads {
		return
	}
	victim := w.zones[w.pick(len(w.zones))]
	for dnsname.IsBelow(victim.name, anyZone(s)) {
		// what lies in its own zones it may say what it likes about
		if victim = victim.parent; victim == nil {
			return
		}
	}
	www := label("www", victim.name)
	if b.Count(wire.Additional) == 0 {
		b.RR(wire.Authority, []byte(victim.name), dns.TypeNS, dns.ClassIN, 86400, []byte(www))
	}
	b.RR(wire.Additional, []byte(www), dns.TypeA, dns.ClassIN, 86400, poisonAddr)
}

func anyZone(s *server) dnsname.Name {
	best := dnsname.Name("")
	for n := range s.zones {
		if best == "" || n < best {
			best = n
		}
	}
	return best
}

func (w *world) finish(b *wire.Builder, max int, opt bool, options []byte) []byte {
	if b.Full() {
		bits := b.Bits()
		b.SetBits(bits | wire.BitTC)
	}
	if opt {
		b.SetMax(max)
		b.OPT(1232, 0, false, options)
	}
	return b.Finish()
}
