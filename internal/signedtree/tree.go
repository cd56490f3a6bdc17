// Package signedtree makes small Internets of signed zones and answers for
// their servers, in memory, so that tests can ask, and forge, anything. For
// tests only.
package signedtree

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// Options say how a zone is signed. The zero value means: not at all.
type Options struct {
	Algorithm  dnssec.Algorithm // 0: unsigned
	NSEC3      *dnssec.NSEC3Params
	Bits       int   // RSA; 0 means 1024, the least that is checked
	DigestType uint8 // of the DS the parent gets; 0 means SHA-256
	NoDS       bool  // signed, but the parent does not know: an island
	OneKey     bool  // one key with SEP for everything
	Inception  uint32
	Expiration uint32

	// Edit, if not nil, changes the zone's unsigned RRsets before chains and
	// signatures are made; Forge the finished ones.
	Edit  func(z *Zone)
	Forge func(z *Zone)
}

// Zone is a zone and its keys.
type Zone struct {
	Name     dnsname.Name
	Opt      Options
	Addr     netip.Addr // of its server, ns.ZONE, in 198.18.0.0/16; the second one is in 198.19.0.0/16
	KSK, ZSK *dnssec.PrivateKey
	Sets     map[Key]*dnssec.RRset // signed where they ought to be
	DS       [][]byte              // for the parent
	nsec     []*dnssec.RRset       // in order of owners
	nsec3    []*dnssec.RRset
	names    map[dnsname.Name]bool // owners and empty non-terminals
	cuts     map[dnsname.Name]bool
}

// Key names an RRset.
type Key struct {
	Name dnsname.Name
	Type dns.Type
}

// Tree is a set of zones, by name.
type Tree struct {
	Zones map[dnsname.Name]*Zone
	Now   uint32
	next  uint16
}

// Name reads a name in presentation form; it panics when it is none.
func Name(s string) dnsname.Name {
	n, err := dnsname.ParseMaster(s, dnsname.Root)
	if err != nil {
		panic(s + ": " + err.Error())
	}
	return n.Lower()
}

// New makes an empty tree whose signatures are good around now.
func New(now uint32) *Tree {
	return &Tree{Zones: map[dnsname.Name]*Zone{}, Now: now}
}

// Add makes a zone of lines "OWNER TYPE DATA", owners and names in data being
// relative to the zone. SOA and NS are added if absent. Children come before
// parents: a parent's delegations "CHILD NS x" get the servers, addresses and
// DS of the zones already there.
func (t *Tree) Add(name string, opt Options, lines ...string) *Zone {
	z := &Zone{Name: Name(name), Opt: opt, Sets: map[Key]*dnssec.RRset{}, names: map[dnsname.Name]bool{}, cuts: map[dnsname.Name]bool{}}
	if z.Opt.Expiration == 0 {
		z.Opt.Inception, z.Opt.Expiration = t.Now-3600, t.Now+14*86400
	}
	t.next++
	z.Addr = netip.AddrFrom4([4]byte{198, 18, byte(t.next >> 8), byte(t.next)})
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		ty, ok := dns.ParseType(f[1])
		if !ok || len(f) != 3 {
			panic(line)
		}
		owner, err := dnsname.ParseMaster(f[0], z.Name)
		if err != nil {
			panic(line)
		}
		data, err := rdata.Parse(nil, ty, []byte(f[2]), z.Name)
		if err != nil {
			panic(line + ": " + err.Error())
		}
		z.add(owner.Lower(), ty, data)
	}
	if z.Sets[Key{z.Name, dns.TypeNS}] == nil {
		ns, _ := dnsname.Join(dnsname.Name("\x02ns\x00"), z.Name)
		z.add(z.Name, dns.TypeNS, []byte(ns))
		z.server(ns, z.Addr)
	}
	soa, _ := rdata.Parse(nil, dns.TypeSOA, []byte("ns hostmaster 1 3600 900 604800 300"), z.Name)
	if z.Sets[Key{z.Name, dns.TypeSOA}] == nil {
		z.add(z.Name, dns.TypeSOA, soa)
	}
	for k, s := range z.Sets {
		if k.Type == dns.TypeNS && k.Name != z.Name {
			z.cuts[k.Name] = true
			if c := t.Zones[k.Name]; c != nil {
				ns, _ := dnsname.Join(dnsname.Name("\x02ns\x00"), c.Name)
				s.Data = [][]byte{[]byte(ns)}
			}
		}
	}
	for _, cut := range slices.Sorted(maps.Keys(z.cuts)) {
		c := t.Zones[cut]
		if c == nil {
			continue
		}
		ns, _ := dnsname.Join(dnsname.Name("\x02ns\x00"), cut)
		delete(z.Sets, Key{ns, dns.TypeA})
		z.server(ns, c.Addr)
		for _, ds := range c.DS {
			if !c.Opt.NoDS {
				z.add(cut, dns.TypeDS, ds)
			}
		}
	}
	if z.Opt.Algorithm != 0 {
		z.makeKeys()
	}
	if opt.Edit != nil {
		opt.Edit(z)
	}
	z.finish()
	if opt.Forge != nil {
		opt.Forge(z)
	}
	t.Zones[z.Name] = z
	return z
}

// server adds both addresses of a zone's server.
func (z *Zone) server(ns dnsname.Name, a netip.Addr) {
	z.add(ns, dns.TypeA, a.AsSlice())
	z.add(ns, dns.TypeA, second(a).AsSlice())
}

func second(a netip.Addr) netip.Addr {
	b := a.As4()
	b[1]++
	return netip.AddrFrom4(b)
}

// Second is the zone's server's second address.
func (z *Zone) Second() netip.Addr { return second(z.Addr) }

func (z *Zone) add(owner dnsname.Name, ty dns.Type, data []byte) {
	k := Key{owner, ty}
	if z.Sets[k] == nil {
		z.Sets[k] = &dnssec.RRset{Name: owner, Type: ty, TTL: 300}
	}
	z.Sets[k].Data = append(z.Sets[k].Data, data)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (z *Zone) makeKeys() {
	bits := max(z.Opt.Bits, 1024)
	z.KSK = must(dnssec.Generate(rand.Reader, z.Opt.Algorithm, dnssec.FlagZone|dnssec.FlagSEP, bits))
	z.ZSK = z.KSK
	if !z.Opt.OneKey {
		z.ZSK = must(dnssec.Generate(rand.Reader, z.Opt.Algorithm, dnssec.FlagZone, bits))
		z.add(z.Name, dns.TypeDNSKEY, z.ZSK.Data)
	}
	z.add(z.Name, dns.TypeDNSKEY, z.KSK.Data)
	digest := z.Opt.DigestType
	if digest == 0 {
		digest = dnssec.DigestSHA256
	}
	ds, _ := z.KSK.Key.DS(z.Name, digest)
	z.DS = [][]byte{ds}
	if z.Opt.NSEC3 != nil {
		z.add(z.Name, dns.TypeNSEC3PARAM, z.Opt.NSEC3.AppendData(nil))
	}
}

// below reports whether name is hidden by a cut of the zone: glue.
func (z *Zone) below(name dnsname.Name) bool {
	for n := name; len(n) > len(z.Name); {
		n = dnsname.Parent(n)
		if z.cuts[n] {
			return true
		}
	}
	return false
}

func (z *Zone) finish() {
	types := map[dnsname.Name][]dns.Type{}
	for k := range z.Sets {
		if z.below(k.Name) {
			continue
		}
		types[k.Name] = append(types[k.Name], k.Type)
		for n := k.Name; ; n = dnsname.Parent(n) {
			z.names[n] = true
			if n == z.Name {
				break
			}
		}
	}
	if z.Opt.Algorithm == 0 {
		return
	}
	var nodes []dnssec.Node
	for n, ts := range types {
		node := dnssec.Node{Name: n, Types: ts}
		if z.cuts[n] {
			node.Unsigned = !slices.Contains(ts, dns.TypeDS)
			node.Types = slices.DeleteFunc(slices.Clone(ts), func(x dns.Type) bool { return x != dns.TypeNS && x != dns.TypeDS })
		}
		nodes = append(nodes, node)
	}
	var chain []dnssec.RRset
	if z.Opt.NSEC3 != nil {
		chain = dnssec.NSEC3Chain(z.Name, nodes, *z.Opt.NSEC3, 300)
	} else {
		chain = dnssec.NSECChain(z.Name, nodes, 300)
	}
	for i := range chain {
		s := &chain[i]
		if s.Type == dns.TypeNSEC {
			z.nsec = append(z.nsec, s)
			z.Sets[Key{s.Name, s.Type}] = s
		} else {
			z.nsec3 = append(z.nsec3, s)
		}
		z.Sign(s)
	}
	for k, s := range z.Sets {
		if z.below(k.Name) || z.cuts[k.Name] && k.Type != dns.TypeDS || len(s.Sigs) > 0 {
			continue
		}
		z.Sign(s)
	}
}

// Sign replaces the signatures of a set by a good one.
func (z *Zone) Sign(s *dnssec.RRset) {
	k := z.ZSK
	if s.Type == dns.TypeDNSKEY {
		k = z.KSK
	}
	s.Sigs = [][]byte{must(k.Sign(rand.Reader, s, z.Name, z.Opt.Inception, z.Opt.Expiration))}
}

// Anchor is a trust anchor for the zone.
func (z *Zone) Anchor() dnssec.Anchor { return dnssec.Anchor{Name: z.Name, DS: z.DS} }

// Answer is a server's response.
type Answer struct {
	RCode                         dns.RCode
	AA                            bool
	Answer, Authority, Additional []*dnssec.RRset
}

// At gives the zone whose server has an address.
func (t *Tree) At(a netip.Addr) *Zone {
	for _, z := range t.Zones {
		if z.Addr == a || z.Second() == a {
			return z
		}
	}
	return nil
}

// ZoneFor gives the zone that a resolver ends up asking for a question.
func (t *Tree) ZoneFor(name dnsname.Name, ty dns.Type) *Zone {
	n := name.Lower()
	if ty == dns.TypeDS && len(n) > 1 {
		n = dnsname.Parent(n)
	}
	for ; ; n = dnsname.Parent(n) {
		if z := t.Zones[n]; z != nil {
			return z
		}
		if n[0] == 0 {
			return nil
		}
	}
}

// Ask is the zone's authoritative answer with DO set. What is not below it is
// refused: glue with a changed address leads there.
func (z *Zone) Ask(name dnsname.Name, ty dns.Type) Answer {
	name = name.Lower()
	if !dnsname.IsBelow(name, z.Name) {
		return Answer{RCode: dns.RCodeRefused}
	}
	for n := name; len(n) > len(z.Name); n = dnsname.Parent(n) {
		// the highest cut counts
		if z.cuts[n] && !z.below(n) && !(n == name && ty == dns.TypeDS) {
			return z.referral(n)
		}
	}
	a := Answer{AA: true}
	for n := name; len(n) > len(z.Name); {
		n = dnsname.Parent(n)
		if s := z.Sets[Key{n, dns.TypeDNAME}]; s != nil && len(s.Data) == 1 {
			target, ok := dnsname.Join(name[:len(name)-len(n)]+"\x00", dnsname.Name(s.Data[0]))
			if !ok {
				a.RCode = dns.RCodeYXDomain
				a.Answer = []*dnssec.RRset{s}
				return a
			}
			a.Answer = []*dnssec.RRset{s, {Name: name, Type: dns.TypeCNAME, TTL: s.TTL, Data: [][]byte{[]byte(target)}}}
			return a
		}
	}
	if z.names[name] {
		z.node(&a, name, name, ty)
		return a
	}
	ce := dnsname.Parent(name)
	for !z.names[ce] {
		ce = dnsname.Parent(ce)
	}
	nc, _ := nextCloser(name, dnsname.Labels(ce))
	wild, ok := dnsname.Join(dnsname.Name("\x01*\x00"), ce)
	if ok && z.names[wild] {
		z.node(&a, wild, name, ty)
		if z.nsec3 != nil {
			if len(a.Answer) == 0 {
				z.add3(&a, ce, true)
			}
			z.add3(&a, nc, false)
		} else {
			z.addNSEC(&a, name)
		}
		return a
	}
	a.RCode = dns.RCodeNXDomain
	a.put(z.Sets[Key{z.Name, dns.TypeSOA}])
	if z.nsec3 != nil {
		z.add3(&a, ce, true)
		z.add3(&a, nc, false)
		z.add3(&a, wild, false)
	} else {
		z.addNSEC(&a, name)
		z.addNSEC(&a, wild)
	}
	return a
}

func nextCloser(name dnsname.Name, labels int) (dnsname.Name, bool) {
	n := dnsname.Labels(name)
	return dnsname.Skip(name, n-labels-1), n > labels
}

// node answers from the records at owner, shown under the name asked for.
func (z *Zone) node(a *Answer, owner, name dnsname.Name, ty dns.Type) {
	if ty == dns.TypeANY {
		for k, s := range z.Sets {
			if k.Name == owner && (owner == name || k.Type != dns.TypeNSEC) {
				c := *s
				c.Name = name
				a.Answer = append(a.Answer, &c)
			}
		}
		if len(a.Answer) > 0 {
			return
		}
	}
	s := z.Sets[Key{owner, ty}]
	if s == nil {
		s = z.Sets[Key{owner, dns.TypeCNAME}]
	}
	if s != nil {
		c := *s
		c.Name = name
		a.Answer = append(a.Answer, &c)
		return
	}
	a.put(z.Sets[Key{z.Name, dns.TypeSOA}])
	z.noDS(a, owner)
}

// noDS adds the proof of what types stand at a name that exists; under opt-out
// it may have no record of its own.
func (z *Zone) noDS(a *Answer, name dnsname.Name) {
	switch {
	case z.nsec3 == nil:
		z.addNSEC(a, name)
	case z.match3(name) != nil:
		z.add3(a, name, true)
	default:
		ce := dnsname.Parent(name)
		for z.match3(ce) == nil {
			ce = dnsname.Parent(ce)
		}
		z.add3(a, ce, true)
		nc, _ := nextCloser(name, dnsname.Labels(ce))
		z.add3(a, nc, false)
	}
}

func (z *Zone) referral(cut dnsname.Name) (a Answer) {
	a.put(z.Sets[Key{cut, dns.TypeNS}])
	if ds := z.Sets[Key{cut, dns.TypeDS}]; ds != nil {
		a.put(ds)
	} else {
		z.noDS(&a, cut)
	}
	for k, s := range z.Sets {
		if (k.Type == dns.TypeA || k.Type == dns.TypeAAAA) && dnsname.IsBelow(k.Name, cut) {
			a.Additional = append(a.Additional, s)
		}
	}
	return a
}

func (a *Answer) put(s *dnssec.RRset) {
	if s != nil && !slices.Contains(a.Authority, s) {
		a.Authority = append(a.Authority, s)
	}
}

// addNSEC adds the record that matches or covers name.
func (z *Zone) addNSEC(a *Answer, name dnsname.Name) {
	if len(z.nsec) == 0 {
		return
	}
	i, ok := slices.BinarySearchFunc(z.nsec, name, func(s *dnssec.RRset, n dnsname.Name) int { return dnsname.Compare(s.Name, n) })
	if !ok {
		i = (i + len(z.nsec) - 1) % len(z.nsec)
	}
	a.put(z.nsec[i])
}

func (z *Zone) match3(name dnsname.Name) *dnssec.RRset {
	h := dnssec.HashName(name, z.Opt.NSEC3.Salt, z.Opt.NSEC3.Iterations)
	owner := dnsname.Name(h.AppendLabel(nil)) + z.Name
	for _, s := range z.nsec3 {
		if s.Name == owner {
			return s
		}
	}
	return nil
}

// add3 adds the record that matches name, or the one that covers it.
func (z *Zone) add3(a *Answer, name dnsname.Name, match bool) {
	if s := z.match3(name); s != nil || match {
		a.put(s)
		return
	}
	h := dnssec.HashName(name, z.Opt.NSEC3.Salt, z.Opt.NSEC3.Iterations)
	owner := dnsname.Name(h.AppendLabel(nil)) + z.Name
	i, _ := slices.BinarySearchFunc(z.nsec3, owner, func(s *dnssec.RRset, n dnsname.Name) int { return strings.Compare(string(s.Name), string(n)) })
	a.put(z.nsec3[(i+len(z.nsec3)-1)%len(z.nsec3)])
}

// Wire gives the answer as a message.
func (a *Answer) Wire(id uint16, name dnsname.Name, ty dns.Type) []byte {
	var b wire.Builder
	bits := uint16(wire.BitQR) | uint16(a.RCode)
	if a.AA {
		bits |= wire.BitAA
	}
	b.Reset(nil, dns.MaxMessage, id, bits)
	b.Question([]byte(name), ty, dns.ClassIN)
	put(&b, wire.Answer, a.Answer)
	put(&b, wire.Authority, a.Authority)
	put(&b, wire.Additional, a.Additional)
	b.OPT(dns.EDNSUDPSize, 0, true, nil)
	return b.Finish()
}

func put(b *wire.Builder, sec wire.Section, sets []*dnssec.RRset) {
	for _, s := range sets {
		for _, d := range s.Data {
			b.RR(sec, []byte(s.Name), s.Type, dns.ClassIN, s.TTL, d)
		}
		for _, d := range s.Sigs {
			b.RR(sec, []byte(s.Name), dns.TypeRRSIG, dns.ClassIN, s.TTL, d)
		}
	}
}

// String shows an answer.
func (a Answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", a.RCode)
	for i, sets := range [][]*dnssec.RRset{a.Answer, a.Authority, a.Additional} {
		for _, s := range sets {
			for _, d := range s.Data {
				fmt.Fprintf(&b, "%s %s %s %s (%d signatures)\n", [...]string{"an", "ns", "ad"}[i], s.Name, s.Type, rdata.AppendText(nil, s.Type, d), len(s.Sigs))
			}
		}
	}
	return b.String()
}

// Lines makes n lines "PREFIXi A 192.0.2.x".
func Lines(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, prefix+strconv.Itoa(i)+" A 192.0.2."+strconv.Itoa(i%256))
	}
	return out
}
