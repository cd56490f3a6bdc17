package auth

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"
)

// rr is a record chosen for an answer.
type rr struct {
	typ  dns.Type
	ttl  uint32
	data []byte
}

// target is a name whose addresses are additional data.
type target struct {
	name []byte // in the letter case of the record it stands in
	must bool   // glue that a referral may not lack (RFC 9471, section 3)
}

// emptyTXT is what a TXT record without any string is served as: one empty
// string, the least that there may be (RFC 1035, section 3.3.14). data.cdb has
// no bytes there, as in 1.05.
var emptyTXT = []byte{0}

// gather collects the visible records of a type, or all for type ANY, in file
// order into a.set, each RRset with one ttl, the smallest (RFC 2181, section
// 5.2). alias also takes CNAMEs. It reports whether any were found.
func (a *Answerer) gather(n zindex.Node, t dns.Type, alias bool) bool {
	a.set = a.set[:0]
	a.exists = false
	for i, k := 0, a.data.Count(n); i < k; i++ {
		ref := a.data.Record(n, i)
		rt := ref.Type()
		take := rt == t || t == dns.TypeANY || alias && rt == dns.TypeCNAME
		if !take && (a.exists || ref.Flags() == 0) {
			a.exists = true
			continue
		}
		ttl, ok := a.visible(ref)
		if !ok {
			continue
		}
		a.exists = true
		if !take || rt == dns.TypeSOA && a.has(dns.TypeSOA) {
			continue // a second SOA is never used
		}
		data := a.rec.Data
		if len(data) == 0 && rt == dns.TypeTXT {
			data = emptyTXT
		}
		a.set = append(a.set, rr{rt, ttl, data})
	}
	if len(a.set) > 1 {
		a.oneTTL()
	}
	return len(a.set) > 0
}

func (a *Answerer) has(t dns.Type) bool {
	for i := range a.set {
		if a.set[i].typ == t {
			return true
		}
	}
	return false
}

// oneTTL gives all records of a type the smallest of their ttls. RRSIGs are
// sets by the type they cover (RFC 4034, section 3), and a second NSEC at a
// name is another zone's (RFC 4035, section 2.3), so they keep theirs.
func (a *Answerer) oneTTL() {
	set := a.set
	for i := range set {
		t := set[i].typ
		if t == dns.TypeRRSIG || t == dns.TypeNSEC {
			continue
		}
		seen := false
		for j := i - 1; j >= 0 && !seen; j-- {
			if seen = set[j].typ == t; seen {
				break
			}
			if i-j > 64 { // far apart: ANY of a very large name; treat as new
				break
			}
		}
		if seen {
			continue
		}
		low := set[i].ttl
		for j := i + 1; j < len(set); j++ {
			if set[j].typ == t {
				low = min(low, set[j].ttl)
			}
		}
		for j := i; j < len(set); j++ {
			if set[j].typ == t {
				set[j].ttl = low
			}
		}
	}
}

// rrset answers from the records at a node: p's own, or the wildcard that
// covers it. found says that the node has a visible record of whatever type.
func (a *Answerer) rrset(p *place, n zindex.Node) (found bool, st state) {
	q := a.q
	a.hasNS = false
	if !a.gather(n, q.Type, true) {
		return a.exists, stNoData
	}
	if q.Type == dns.TypeNSEC || q.Type == dns.TypeRRSIG || q.Type == dns.TypeANY {
		if n.Has(zindex.FlagStruct) && p.labels == p.zone.Labels && !a.own(p) {
			return true, stNoData
		}
		// These alone may stand beside a CNAME (RFC 4034, section 2.5), so who
		// asks for them wants no alias.
		if q.Type != dns.TypeANY && a.has(q.Type) {
			a.only(q.Type)
		}
	}
	if q.Type == dns.TypeANY && !q.TCP {
		a.minimal()
	}
	// The answer's order is that of the file, but 4-byte A records come last
	// (compat: djbdns.md section 5.3), and addresses in random order.
	a.shuffle()
	alias, direct, have := false, q.Type == dns.TypeANY, uint8(0)
	for pass := 0; pass < 2; pass++ {
		for i := range a.set {
			r := &a.set[i]
			if (r.typ == dns.TypeA && len(r.data) == 4) != (pass == 1) {
				continue
			}
			if !a.b.RR(wire.Answer, p.name, r.typ, dns.ClassIN, r.ttl, r.data) {
				return true, stFull
			}
			switch {
			case r.typ == q.Type:
				direct = true
			case r.typ == dns.TypeCNAME && !alias:
				alias, a.alias = true, r.data
			}
			a.hasNS = a.hasNS || r.typ == dns.TypeNS
			have |= addressBit(r.typ)
			a.addTarget(r, nil)
		}
	}
	if q.DO && n.Has(zindex.FlagSigs) && q.Type != dns.TypeRRSIG {
		for i := range a.set {
			first := true
			for j := range a.set[:i] {
				first = first && a.set[j].typ != a.set[i].typ
			}
			if t := a.set[i].typ; first && t != dns.TypeRRSIG && !a.sigs(p, wire.Answer, n, p.name, t, 1<<31) {
				return true, stFull
			}
			if i > 0 && a.set[i].typ == q.Type && a.set[0].typ == q.Type {
				break
			}
		}
	}
	if have != 0 {
		a.done = append(a.done, done{p.name, have})
	}
	if alias && !direct {
		return true, stAlias
	}
	return true, stAnswer
}

// minimal reduces the answer to type ANY over UDP to the first RRset that is
// no denial or signature (RFC 8482, section 4.1).
func (a *Answerer) minimal() {
	t := a.set[0].typ
	for i := range a.set {
		if x := a.set[i].typ; x != dns.TypeRRSIG && x != dns.TypeNSEC {
			t = x
			break
		}
	}
	a.only(t)
}

// own leaves out of a.set what stands at a zone's apex but is the parent's: DS,
// the NSEC of the cut, and the signatures over them (RFC 4035, sections 2.3 to
// 2.6). data.cdb keeps both under one key. It reports whether anything is left.
func (a *Answerer) own(p *place) bool {
	n := 0
	for i := range a.set {
		r := &a.set[i]
		switch r.typ {
		case dns.TypeNSEC:
			if !zindex.ApexNSEC(r.data) {
				continue
			}
		case dns.TypeRRSIG:
			if !a.signedBy(r.data, &p.zone) {
				continue
			}
		case dns.TypeDS:
			if a.q.Type != dns.TypeDS && a.servesParent(p) {
				continue
			}
		}
		a.set[n] = *r
		n++
	}
	a.set = a.set[:n]
	return n > 0
}

// signedBy reports whether a signature is a zone's own (RFC 4034, section
// 3.1.7: the signer's name follows 18 bytes). A malformed one counts as such.
func (a *Answerer) signedBy(sig []byte, zone *zindex.Struct) bool {
	return len(sig) < 19 || dnsname.Equal(sig[18:18+max(1, nameLen(sig[18:]))], a.data.Name(zone))
}

// signed reports whether a zone is signed. The signatures at the apex of one
// without a chain may be the parent's, over DS and NSEC.
func (a *Answerer) signed(zone *zindex.Struct) bool {
	if !zone.Node.Has(zindex.FlagSigs) || zone.Flags&(zindex.StructNSEC|zindex.StructNSEC3) != 0 {
		return zone.Node.Has(zindex.FlagSigs)
	}
	var r zindex.Record
	for i, k := 0, a.data.Count(zone.Node); i < k; i++ {
		if ref := a.data.Record(zone.Node, i); ref.Type() == dns.TypeRRSIG {
			if a.data.Load(ref, &r); a.signedBy(r.Data, zone) {
				return true
			}
		}
	}
	return false
}

// servesParent reports whether the zone above p's is ours, too.
func (a *Answerer) servesParent(p *place) bool {
	up := place{}
	a.authority(&up, p.zone.Parent)
	return up.zoneID != 0 && up.stopID == 0
}

// only leaves the records of one type in a.set.
func (a *Answerer) only(t dns.Type) {
	n := 0
	for i := range a.set {
		if a.set[i].typ == t {
			a.set[n] = a.set[i]
			n++
		}
	}
	a.set = a.set[:n]
}

// shuffle puts the addresses among a.set into random order, A and AAAA apart,
// and leaves at most a.Addresses of each.
func (a *Answerer) shuffle() {
	if len(a.set) < 2 {
		return
	}
	for _, t := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
		size := 4
		if t == dns.TypeAAAA {
			size = 16
		}
		is := func(r *rr) bool { return r.typ == t && len(r.data) == size }
		// Inside-out over the places that hold such records: the k-th swaps
		// with one of the k before it.
		a.places = a.places[:0]
		for i := range a.set {
			if !is(&a.set[i]) {
				continue
			}
			a.places = append(a.places, int32(i))
			j := a.places[a.Rand.Below(len(a.places))]
			a.set[i], a.set[j] = a.set[j], a.set[i]
		}
		if a.Addresses > 0 && len(a.places) > a.Addresses {
			n, seen := 0, 0
			for i := range a.set {
				if is(&a.set[i]) {
					if seen++; seen > a.Addresses {
						continue
					}
				}
				a.set[n] = a.set[i]
				n++
			}
			a.set = a.set[:n]
		}
	}
}

// sigs adds the signatures over the RRset of type covered at a node. Where
// parent and child meet at one name, only those of the zone that is answering
// count (RFC 4035, section 3.1.4.1). cap limits the ttl.
func (a *Answerer) sigs(p *place, sec wire.Section, n zindex.Node, owner []byte, covered dns.Type, cap uint32) bool {
	for i, k := 0, a.data.Count(n); i < k; i++ {
		ref := a.data.Record(n, i)
		if ref.Type() != dns.TypeRRSIG {
			continue
		}
		ttl, ok := a.visible(ref)
		d := a.rec.Data
		if !ok || len(d) < 19 || dns.Type(binary.BigEndian.Uint16(d)) != covered {
			continue
		}
		if n.Has(zindex.FlagStruct) && p.zoneID != 0 && !a.signedBy(d, &p.zone) {
			continue
		}
		if !a.b.RR(sec, owner, dns.TypeRRSIG, dns.ClassIN, min(ttl, cap), d) {
			return false
		}
	}
	return true
}

// soa adds the zone's SOA to the authority section of a negative answer, with
// the ttl that such an answer may be kept (RFC 2308, section 3).
func (a *Answerer) soa(p *place) bool {
	if !a.gather(p.zone.Node, dns.TypeSOA, false) {
		return true
	}
	r := &a.set[0]
	ttl := min(r.ttl, binary.BigEndian.Uint32(r.data[len(r.data)-4:]))
	owner := a.data.Name(&p.zone)
	return a.b.RR(wire.Authority, owner, dns.TypeSOA, dns.ClassIN, ttl, r.data) &&
		(!a.q.DO || a.sigs(p, wire.Authority, p.zone.Node, owner, dns.TypeSOA, ttl))
}

// positive adds authority and additional data to an answer. Both can be left
// out when there is no room for them, proofs can not.
func (a *Answerer) positive(p *place, haveNS bool) bool {
	b := &a.b
	m := b.Mark()
	n := len(a.targets)
	ok := true
	// Answers with signatures leave the name servers out: with their own
	// signatures they would be most of the message (RFC 4035, section 3.1.1,
	// asks for those of the records that are there).
	if !haveNS && !(a.q.DO && a.signed(&p.zone)) {
		ok = a.nameservers(p, &p.zone, nil)
	}
	if ok = ok && a.denials(); !ok {
		b.Rewind(m)
		a.targets = a.targets[:n]
		a.emitted = a.emitted[:0]
		return a.denials()
	}
	m = b.Mark()
	if !a.additional(false) {
		b.Rewind(m)
	}
	return true
}

// nameservers adds the NS RRset of s to the authority section. cut is the
// delegated name when this is a referral.
func (a *Answerer) nameservers(p *place, s *zindex.Struct, cut []byte) bool {
	a.gather(s.Node, dns.TypeNS, false)
	owner := a.data.Name(s)
	for i := range a.set {
		r := &a.set[i]
		if !a.b.RR(wire.Authority, owner, dns.TypeNS, dns.ClassIN, r.ttl, r.data) {
			return false
		}
		a.addTarget(r, cut)
	}
	return !a.q.DO || cut != nil || a.sigs(p, wire.Authority, s.Node, owner, dns.TypeNS, 1<<31)
}

// referral answers with the delegation at p.stop: NS, DS or the proof that
// there is none, and glue. Glue inside the delegated zone must be there or the
// answer is marked truncated (RFC 9471, section 3.1).
func (a *Answerer) referral(p *place) bool {
	b := &a.b
	cut := a.data.Name(&p.stop)
	if !a.nameservers(p, &p.stop, cut) {
		return false
	}
	if !a.ds(p, cut) || !a.denials() {
		return false
	}
	m := b.Mark()
	if a.additional(false) {
		return true
	}
	b.Rewind(m)
	a.done = a.done[:0]
	return a.additional(true)
}

// ds adds what a referral says about the security of the delegated zone: DS
// with its signatures, or the proof that there is none (RFC 4035, section
// 3.1.4).
func (a *Answerer) ds(p *place, cut []byte) bool {
	if !a.q.DO || p.zoneID == 0 || !a.signed(&p.zone) {
		return true
	}
	if !a.gather(p.stop.Node, dns.TypeDS, false) {
		at := *p
		at.name, at.labels = cut, p.stop.Labels
		a.prove(&at, proveNoData)
		return true
	}
	for i := range a.set {
		if r := &a.set[i]; !a.b.RR(wire.Authority, cut, r.typ, dns.ClassIN, r.ttl, r.data) {
			return false
		}
	}
	return a.sigs(p, wire.Authority, p.stop.Node, cut, dns.TypeDS, 1<<31)
}

// ledAway ends an answer whose aliases lead to a delegation: the delegation
// goes along if there is room (RFC 1034, section 4.3.2, step 3b after 3a).
func (a *Answerer) ledAway(p *place) bool {
	b := &a.b
	m := b.Mark()
	n, proofs := len(a.targets), len(a.proofs)
	cut := a.data.Name(&p.stop)
	if !a.nameservers(p, &p.stop, cut) || !a.ds(p, cut) || !a.denials() {
		b.Rewind(m)
		a.targets, a.proofs, a.emitted = a.targets[:n], a.proofs[:proofs], a.emitted[:0]
		return a.denials()
	}
	if m = b.Mark(); !a.additional(false) {
		b.Rewind(m)
	}
	return true
}

// addTarget remembers the name in a record's data that additional data are
// wanted for: NS and MX (RFC 1035, section 3.3), SRV (RFC 2782), SVCB and
// HTTPS (RFC 9460, section 4.1).
func (a *Answerer) addTarget(r *rr, cut []byte) {
	skip := 0
	switch r.typ {
	case dns.TypeNS:
	case dns.TypeMX, dns.TypeSVCB, dns.TypeHTTPS:
		skip = 2
	case dns.TypeSRV:
		skip = 6
	default:
		return
	}
	if len(a.targets) == maxTargets || len(r.data) <= skip {
		return
	}
	n, ok := dnsname.Scan(r.data[skip:])
	if !ok {
		return
	}
	name := r.data[skip : skip+n]
	a.targets = append(a.targets, target{name, cut != nil && dnsname.IsBelow(name, cut)})
}

// done is a name whose addresses the answer has: those of have.
type done struct {
	name []byte
	have uint8
}

// addressBit is the bit of an address type in done.have.
func addressBit(t dns.Type) uint8 {
	switch t {
	case dns.TypeA:
		return 1
	case dns.TypeAAAA:
		return 2
	}
	return 0
}

// additional adds the addresses of the targets, in the order of the records
// that name them. must restricts it to glue that may not be left out.
func (a *Answerer) additional(must bool) bool {
	for i := range a.targets {
		t := &a.targets[i]
		if must && !t.must {
			continue
		}
		have := a.addressesOf(t.name)
		if have == 3 {
			continue
		}
		a.done = append(a.done, done{t.name, 3})
		name := dnsname.AppendLower(a.low[:0], t.name)
		n, ok := a.data.Find(name, zindex.Hash(a.data.Seed(), name))
		if !ok || n.Has(zindex.FlagENT) || n.Has(zindex.FlagWild) {
			continue // a wildcard is not the address of a host named "*"
		}
		for _, typ := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
			if have&addressBit(typ) != 0 || !a.gather(n, typ, false) {
				continue
			}
			size := 4
			if typ == dns.TypeAAAA {
				size = 16
			}
			for j := range a.set {
				r := &a.set[j]
				if len(r.data) < size {
					continue // no address
				}
				if !a.b.RR(wire.Additional, t.name, typ, dns.ClassIN, r.ttl, r.data[:size]) {
					return false
				}
			}
			if a.q.DO && n.Has(zindex.FlagSigs) && !a.sigs(&place{}, wire.Additional, n, t.name, typ, 1<<31) {
				return false
			}
		}
	}
	return true
}

// addressesOf gives the address types that the answer has of a name.
func (a *Answerer) addressesOf(name []byte) (have uint8) {
	for i := range a.done {
		if d := &a.done[i]; len(d.name) == len(name) && dnsname.Equal(d.name, name) {
			have |= d.have
		}
	}
	return have
}
