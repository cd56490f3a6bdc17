package validator

import (
	"encoding/binary"
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
)

// run is one call of Validate.
type run struct {
	v    *Validator
	m    *resolver.Message
	f    resolver.Fetched
	b    *dnssec.Budget
	need *resolver.Need
	wait bool // need is set: nothing further can be decided

	badProof dnssec.Reason // why an NSEC or NSEC3 record did not verify
}

// The links that need no table.
var (
	noAnchor = &link{kind: linkNone, reason: dnssec.ReasonNoAnchor}
	negative = &link{kind: linkInsecure, reason: dnssec.ReasonNTA}
	private  = &link{kind: linkInsecure, reason: dnssec.ReasonPrivate}
)

// chain walks from the nearest anchor down to name and gives the state of the
// zone that name belongs to: linkSecure with its keys, linkInsecure, linkBogus
// or linkNone. nil with r.wait set: something has to be fetched first.
func (r *run) chain(name dnsname.Name) *link {
	top, why := r.v.anchorOf(name)
	switch why {
	case dnssec.ReasonNoAnchor:
		return noAnchor
	case dnssec.ReasonNTA:
		return negative
	}
	cur := r.v.get(top)
	if cur == nil || cur.kind == linkNoCut || cur.kind == linkNoName {
		if cur = r.prime(top); cur == nil {
			return nil
		}
	} else {
		r.known(top, cur)
	}
	for k := dnsname.Labels(name) - dnsname.Labels(top) - 1; k >= 0 && cur.kind == linkSecure; k-- {
		next := dnsname.Skip(name, k)
		l := r.v.get(next)
		if l == nil {
			if l = r.cut(cur, next); l == nil {
				return nil
			}
		} else {
			r.known(next, l)
		}
		switch l.kind {
		case linkNoCut:
			if r.v.private[next] {
				return private
			}
		case linkNoName:
			if r.v.privateAt(name, next, true) {
				return private
			}
			return cur
		default:
			cur = l
		}
	}
	return cur
}

// known explains a link that was made for an earlier question.
func (r *run) known(name dnsname.Name, l *link) {
	if r.v.cfg.Explain == nil || l.kind == linkNoCut || l.kind == linkNoName {
		return
	}
	r.step(Step{Name: name, Type: dns.TypeDNSKEY, What: "keys of the zone, known", Status: l.state(), Reason: l.reason,
		KeyTag: l.tag, Alg: l.alg, Inception: l.inception, Expiration: l.expiration})
}

// fetch gives what has been fetched for a name and a type: nil and r.wait when
// it has yet to be, nil without when it can not be had. The message under
// validation serves if it is about the very same.
func (r *run) fetch(name dnsname.Name, t dns.Type) *resolver.Message {
	if r.m.QType == t && dnsname.Equal(r.m.QName, name) {
		return r.m
	}
	m, ok := r.f.Lookup([]byte(name), t)
	if !ok {
		r.want(name, t)
	}
	return m
}

// rejected is what was asked for again last, and why: where nobody has better,
// that stays the reason.
type rejected struct {
	name dnsname.Name
	typ  dns.Type
	why  dnssec.Reason
}

// reason is why the data of this name were rejected; otherwise, if they were
// not.
func (b *rejected) reason(name dnsname.Name, t dns.Type, otherwise dnssec.Reason) dnssec.Reason {
	if b.typ == t && b.why != dnssec.ReasonNone && dnsname.Equal(b.name, name) {
		return b.why
	}
	return otherwise
}

func (r *run) want(name dnsname.Name, t dns.Type) {
	r.need.Len = copy(r.need.Name[:], name)
	r.need.Type = t
	r.wait = true
}

// again is called when what was fetched is bogus: another server may have
// better. It reports whether to wait for that.
func (r *run) again(name dnsname.Name, t dns.Type, why dnssec.Reason) bool {
	if r.m.QType == t && dnsname.Equal(r.m.QName, name) {
		return false
	}
	r.v.rejected = rejected{name, t, why}
	if f, ok := r.f.(resolver.Rejecter); ok && f.Reject([]byte(name), t) {
		r.want(name, t)
	}
	return r.wait
}

// bogus makes and remembers a broken link. What was not the zone's fault is
// not remembered.
func (r *run) bogus(name dnsname.Name, why dnssec.Reason) *link {
	l := &link{kind: linkBogus, reason: why}
	if why != dnssec.ReasonBudget && why != dnssec.ReasonUnreachable {
		r.v.put(name, l, bogusTTL)
	}
	return l
}

// prime makes the first link: the DNSKEY RRset of an anchor's zone (RFC 4035,
// section 5).
func (r *run) prime(name dnsname.Name) *link {
	a := r.v.anchors[name]
	return r.keys(name, a.ds, a.keys, maxLinkTTL)
}

// keys makes the link of a zone from its DNSKEY RRset and what vouches for it.
func (r *run) keys(name dnsname.Name, ds [][]byte, anchors []*dnssec.Key, ttl uint32) *link {
	m := r.fetch(name, dns.TypeDNSKEY)
	if r.wait {
		return nil
	}
	var set dnssec.RRset
	if m == nil || !find(&set, m.Answer, name, dns.TypeDNSKEY) {
		if m != nil && r.again(name, dns.TypeDNSKEY, dnssec.ReasonNoDNSKEY) {
			return nil
		}
		l := r.bogus(name, r.v.rejected.reason(name, dns.TypeDNSKEY, dnssec.ReasonNoDNSKEY))
		r.step(Step{Name: name, Type: dns.TypeDNSKEY, What: "keys of the zone", Status: dnssec.Bogus, Reason: l.reason})
		return l
	}
	k := r.v.ver.VerifyKeys(r.v.cfg.Policy, &set, ds, anchors, uint32(r.v.now), r.b)
	r.step(Step{Name: name, Type: dns.TypeDNSKEY, What: "keys of the zone", Status: k.Status, Reason: k.Reason,
		KeyTag: k.KeyTag, Alg: k.Alg, Inception: k.Inception, Expiration: k.Expiration})
	switch k.Status {
	case dnssec.Secure:
		l := &link{kind: linkSecure, zone: k.Zone, keys: k.Keys, tag: k.KeyTag, alg: k.Alg, inception: k.Inception, expiration: k.Expiration}
		r.v.put(name, l, min(ttl, k.TTL))
		return l
	case dnssec.Insecure:
		l := &link{kind: linkInsecure, reason: k.Reason}
		r.v.put(name, l, min(ttl, k.TTL))
		return l
	}
	if k.Reason != dnssec.ReasonBudget && r.again(name, dns.TypeDNSKEY, k.Reason) {
		return nil
	}
	return r.bogus(name, k.Reason)
}

// cut makes the link from a proven zone to name, which is one label longer than
// a name known to belong to that zone: is there a zone cut, and is it signed?
func (r *run) cut(parent *link, name dnsname.Name) *link {
	if l := r.atHand(parent, name); l != nil {
		return l
	}
	m := r.fetch(name, dns.TypeDS)
	if r.wait {
		return nil
	}
	if m == nil {
		why := r.v.rejected.reason(name, dns.TypeDS, dnssec.ReasonUnreachable)
		r.step(Step{Name: name, Type: dns.TypeDS, What: "delegation", Status: dnssec.Bogus, Reason: why})
		return r.bogus(name, why)
	}
	fail := func(why dnssec.Reason) *link {
		r.step(Step{Name: name, Type: dns.TypeDS, What: "delegation", Status: dnssec.Bogus, Reason: why})
		if why != dnssec.ReasonBudget && r.again(name, dns.TypeDS, why) {
			return nil
		}
		return r.bogus(name, why)
	}
	var set dnssec.RRset
	if find(&set, m.Answer, name, dns.TypeDS) {
		usable, why := r.v.cfg.Policy.Usable(set.Data)
		if len(usable) > 0 {
			// What is waited for comes before what is paid for.
			if r.fetch(name, dns.TypeDNSKEY); r.wait {
				return nil
			}
		}
		d := r.verify(&set, parent)
		if d.Status != dnssec.Secure {
			return fail(d.Reason)
		}
		r.step(Step{Name: name, Type: dns.TypeDS, What: "delegation", Status: d.Status, KeyTag: d.KeyTag, Alg: d.Alg,
			Inception: d.Inception, Expiration: d.Expiration})
		if len(usable) == 0 {
			l := &link{kind: linkInsecure, reason: why}
			r.v.put(name, l, d.TTL)
			r.step(Step{Name: name, Type: dns.TypeDS, What: "delegation", Status: dnssec.Insecure, Reason: why})
			return l
		}
		return r.keys(name, set.Data, nil, d.TTL)
	}
	// An alias stands here, or above here: then there is no cut.
	for i := range m.Answer {
		s := &m.Answer[i]
		if s.Type == dns.TypeCNAME && dnsname.Equal(s.Owner, name) ||
			s.Type == dns.TypeDNAME && len(s.Owner) < len(name) && dnsname.IsBelow(name, s.Owner) {
			load(&set, s)
			d := r.verify(&set, parent)
			if d.Status == dnssec.Secure && d.Wildcard {
				// A wildcard's CNAME replayed at a zone cut must not hide it.
				den, _ := r.denial(m.Authority, parent)
				if p := den.Wildcard(name, int(d.Labels), r.b); p.Status != dnssec.Secure {
					return fail(r.denialReason(p.Reason, m.Authority))
				}
			}
			if d.Status != dnssec.Secure {
				return fail(d.Reason)
			}
			l := &link{kind: linkNoCut}
			r.v.put(name, l, d.TTL)
			return l
		}
	}
	den, ttl := r.denial(m.Authority, parent)
	if r.b.BadSigs == 0 || r.b.Sigs == 0 {
		return fail(dnssec.ReasonBudget)
	}
	what, p := den.NoDS(name, r.b)
	if l := r.without(name, what, p, ttl); l != nil {
		return l
	}
	return fail(r.denialReason(p.Reason, m.Authority))
}

// denialReason says more than that a proof is missing, where some record of it
// is there.
func (r *run) denialReason(why dnssec.Reason, sets []resolver.RRset) dnssec.Reason {
	switch {
	case why != dnssec.ReasonNoDenial:
		return why
	case r.badProof != dnssec.ReasonNone:
		return r.badProof
	case hasDenials(sets):
		return dnssec.ReasonBadDenial
	}
	return why
}

// without makes and keeps the link that a proof of the absence of DS gives; nil
// if it proves nothing.
func (r *run) without(name dnsname.Name, what dnssec.Delegation, p dnssec.Proof, ttl uint32) *link {
	var l *link
	switch what {
	case dnssec.DelegationInsecure:
		why := p.Reason
		if why == dnssec.ReasonNone {
			why = dnssec.ReasonDelegation
		}
		l = &link{kind: linkInsecure, reason: why}
		r.step(Step{Name: name, Type: dns.TypeDS, What: "delegation without DS", Status: dnssec.Insecure, Reason: why})
	case dnssec.NoDelegation:
		l = &link{kind: linkNoCut}
	case dnssec.NoName:
		l = &link{kind: linkNoName}
	default:
		return nil
	}
	r.v.put(name, l, ttl)
	return l
}

// atHand makes the link to name from proofs that were seen in other answers:
// what says that there is no DS need not be asked for (RFC 8198). nil: ask.
func (r *run) atHand(parent *link, name dnsname.Name) *link {
	if r.m.QType == dns.TypeDS && dnsname.Equal(r.m.QName, name) {
		return nil
	}
	if _, asked := r.f.Lookup([]byte(name), dns.TypeDS); asked {
		return nil
	}
	r.v.agg.mu.Lock()
	defer r.v.agg.mu.Unlock()
	z := r.v.agg.zones[parent.zone]
	if z == nil {
		return nil
	}
	d := &dnssec.Denial{Zone: parent.zone}
	used := z.gather(d, name, parent.zone, r.v.now)
	if d.Empty() {
		return nil
	}
	ttl := int64(maxLinkTTL)
	for _, e := range used {
		ttl = min(ttl, e.expires-r.v.now)
	}
	b := dnssec.NewBudget()
	b.Blocks = maxAggBlocks
	what, p := d.NoDS(name, &b)
	return r.without(name, what, p, uint32(ttl))
}

// hasDenials reports whether there are NSEC or NSEC3 records among sets.
func hasDenials(sets []resolver.RRset) bool {
	for i := range sets {
		if t := sets[i].Type; t == dns.TypeNSEC || t == dns.TypeNSEC3 {
			return true
		}
	}
	return false
}

// verify checks set with the keys of a linkSecure.
func (r *run) verify(set *dnssec.RRset, zone *link) dnssec.Verdict {
	return r.v.ver.Verify(set, zone.zone, zone.keys, uint32(r.v.now), r.b)
}

// denial gathers the proof records among sets that the zone signed, and the
// shortest time that one of them may be kept.
func (r *run) denial(sets []resolver.RRset, zone *link) (*dnssec.Denial, uint32) {
	d := &dnssec.Denial{Zone: zone.zone}
	ttl := uint32(maxLinkTTL)
	// RFC 9077, section 3: no longer than the zone's negative answers
	limit := uint32(maxLinkTTL)
	for i := range sets {
		if s := &sets[i]; s.Type == dns.TypeSOA && dnsname.Equal(s.Owner, zone.zone) {
			if data, _, ok := s.Records.Next(); ok && len(data) >= 22 {
				limit = min(s.TTL, binary.BigEndian.Uint32(data[len(data)-4:]))
			}
		}
	}
	var set dnssec.RRset
	n := 0
	for i := range sets {
		s := &sets[i]
		if s.Type != dns.TypeNSEC && s.Type != dns.TypeNSEC3 {
			continue
		}
		if n++; n > dnssec.MaxDenialRecords {
			break
		}
		load(&set, s)
		got := r.verify(&set, zone)
		if got.Status == dnssec.Bogus {
			r.badProof = got.Reason
		}
		if got.Status == dnssec.Secure {
			s.Sec = resolver.Secure
			s.TTL = min(s.TTL, got.TTL)
			ttl = min(ttl, got.TTL)
			r.v.agg.learn(zone.zone, s, r.v.now, min(got.TTL, limit))
			// the proof keeps what it points to: set is used again
			d.Add(&dnssec.RRset{Name: set.Name, Type: set.Type, Data: set.Data})
			set.Data = nil
		}
	}
	return d, ttl
}

func (r *run) step(s Step) { r.v.explain(s) }

// find loads the RRset of a name and a type; false if there is none.
func find(dst *dnssec.RRset, sets []resolver.RRset, name dnsname.Name, t dns.Type) bool {
	for i := range sets {
		if sets[i].Type == t && dnsname.Equal(sets[i].Owner, name) {
			load(dst, &sets[i])
			return true
		}
	}
	return false
}

// load turns an RRset of a message into one that dnssec understands. The data
// are not copied.
func load(dst *dnssec.RRset, s *resolver.RRset) {
	dst.Name, dst.Type, dst.TTL = dnsname.Name(s.Owner), s.Type, s.TTL
	dst.Data = slices.Grow(dst.Data[:0], s.Records.Count())
	dst.Sigs = slices.Grow(dst.Sigs[:0], s.Sigs.Count())
	for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
		dst.Data = append(dst.Data, data)
	}
	for data, rest, ok := s.Sigs.Next(); ok; data, rest, ok = rest.Next() {
		dst.Sigs = append(dst.Sigs, data)
	}
}
