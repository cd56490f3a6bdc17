package validator

import (
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
)

// result is what is known of a message so far: the lowest status of its parts
// and why.
type result struct {
	status dnssec.Status
	reason dnssec.Reason
	name   dnsname.Name
	typ    dns.Type
}

func (s *result) add(status dnssec.Status, why dnssec.Reason, name dnsname.Name, t dns.Type) {
	// Indeterminate is the zero of Status but better than Bogus.
	rank := func(s dnssec.Status) int {
		switch s {
		case dnssec.Bogus:
			return 0
		case dnssec.Indeterminate:
			return 1
		}
		return int(s)
	}
	if rank(status) < rank(s.status) {
		*s = result{status, why, name, t}
	}
}

// Validate implements resolver.Validator.
func (v *Validator) Validate(now resolver.Time, m *resolver.Message, f resolver.Fetched, b *resolver.Budget, need *resolver.Need) (resolver.Verdict, bool) {
	v.now = now.Seconds()
	r := &run{v: v, m: m, f: f, b: &b.Crypto, need: need}
	res, wait := r.message()
	if wait {
		return resolver.Verdict{}, true
	}
	if res.status == dnssec.Secure && (m.QType == dns.TypeA || m.QType == dns.TypeAAAA) {
		if tag, is, ok := dnssec.Sentinel(m.QName); ok && v.rootTrusts(tag) != is {
			// RFC 8509, section 3: SERVFAIL, whatever was answered
			return resolver.Verdict{Sec: resolver.Bogus, Code: dns.EDEDNSSECBogus, Text: "root key sentinel"}, false
		}
	}
	out := resolver.Verdict{Sec: security(res.status)}
	if res.status == dnssec.Bogus || res.reason == dnssec.ReasonUnsupportedAlgorithm ||
		res.reason == dnssec.ReasonUnsupportedDigest || res.reason == dnssec.ReasonIterations || res.reason == dnssec.ReasonUnsupportedKey {
		out.Code = res.reason.EDE()
		out.Text = res.reason.String()
		if res.name != "" {
			out.Text += ": " + res.name.Text() + " " + res.typ.String()
		}
	}
	r.step(Step{Name: dnsname.Name(m.QName), Type: m.QType, What: "verdict", Status: res.status, Reason: res.reason})
	return out, false
}

// rootTrusts reports whether a key with this tag is a trust anchor of the root.
func (v *Validator) rootTrusts(tag uint16) bool {
	a := v.anchors[dnsname.Root]
	if a == nil {
		return false
	}
	for _, k := range a.keys {
		if k.Tag == tag {
			return true
		}
	}
	for _, d := range a.ds {
		if ds, ok := dnssec.ParseDS(d); ok && ds.KeyTag == tag {
			return true
		}
	}
	return false
}

// zoneFor is FINDKEY for one RRset: the state of the zone that it says has
// signed it, or, without a credible signer, of the zone its owner is in.
//
// A signer counts only between the owner and the nearest anchor above it: a
// signature naming an insecure zone above an island of security must not make
// the island insecure.
func (r *run) zoneFor(owner dnsname.Name, t dns.Type, signer dnsname.Name) *link {
	at := owner
	if t == dns.TypeDS && owner != dnsname.Root {
		at = dnsname.Parent(owner) // DS belongs to the parent's side
	}
	if signer != "" {
		if top, why := r.v.anchorOf(at); why == dnssec.ReasonNone && dnsname.IsBelow(signer, top) {
			l := r.chain(signer)
			if l == nil || l.kind != linkSecure || l.zone == signer {
				return l
			}
			// the signer is no zone: judge by the owner
		}
	}
	return r.chain(at)
}

// state turns a link that is not secure into a status.
func (l *link) state() dnssec.Status {
	switch l.kind {
	case linkInsecure:
		return dnssec.Insecure
	case linkBogus:
		return dnssec.Bogus
	case linkNone:
		return dnssec.Indeterminate
	}
	return dnssec.Secure
}

func (r *run) message() (res result, wait bool) {
	m := r.m
	// INIT: what stands in for what. A CNAME below a DNAME in the same answer
	// carries no signature: it must be what the DNAME gives (RFC 6672, section
	// 5.3.1).
	// What answers neither the question nor a step of its aliases is dropped.
	made := make([]int, len(m.Answer)) // index+1 of the DNAME a CNAME is made from
	used := make([]bool, len(m.Answer))
	cur := dnsname.Name(m.QName).Lower()
	final, alias := false, false
	for range len(m.Answer) {
		i, dn := step(m, cur)
		if dn >= 0 {
			used[dn], alias = true, true
		}
		if i < 0 || used[i] {
			break
		}
		s := &m.Answer[i]
		used[i] = true
		if dn >= 0 && s.Type == dns.TypeCNAME && s.Sigs.Count() == 0 {
			made[i] = dn + 1
			target, _, _ := s.Records.Next()
			want, ok := substitute(cur, &m.Answer[dn])
			if !ok || !dnsname.Equal(want, target) || s.Records.Count() != 1 {
				return result{dnssec.Bogus, dnssec.ReasonAliasNotProved, cur, dns.TypeCNAME}, false
			}
		}
		if s.Type != dns.TypeCNAME || m.QType == dns.TypeCNAME || m.QType == dns.TypeANY {
			final = true
			for k := range m.Answer { // the rest of what ANY brought
				used[k] = used[k] || m.QType == dns.TypeANY && dnsname.Equal(m.Answer[k].Owner, cur)
			}
			break
		}
		alias = true
		target, _, _ := s.Records.Next()
		cur = dnsname.Name(target).Lower()
	}
	if final && m.RCode != dns.RCodeSuccess {
		return result{dnssec.Bogus, dnssec.ReasonNameExists, cur, m.QType}, false
	}
	for i := len(used) - 1; i >= 0; i-- {
		if !used[i] {
			m.Answer = slices.Delete(m.Answer, i, i+1)
			made = slices.Delete(made, i, i+1)
			for k := range made {
				if made[k] > i {
					made[k]--
				}
			}
		}
	}
	negative := !final && (!alias || m.RCode == dns.RCodeNXDomain || denies(m.Authority))

	// FINDKEY
	zones := make([]*link, len(m.Answer))
	var set dnssec.RRset
	for i := range m.Answer {
		if made[i] > 0 {
			continue
		}
		load(&set, &m.Answer[i])
		signer, _ := dnssec.SignerZone(&set)
		if zones[i] = r.zoneFor(set.Name.Lower(), set.Type, signer); r.wait {
			return res, true
		}
	}
	var below *link // the zone that denies
	if negative {
		signer := dnsname.Name("")
		for i := range m.Authority {
			s := &m.Authority[i]
			if s.Type == dns.TypeSOA || s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3 {
				load(&set, s)
				if n, ok := dnssec.SignerZone(&set); ok && dnsname.IsBelow(cur, n) &&
					!(m.QType == dns.TypeDS && n == cur && n != dnsname.Root) {
					signer = n
					break
				}
			}
		}
		if below = r.zoneFor(cur, m.QType, signer); r.wait {
			return res, true
		}
		if below.kind == linkBogus && below.reason == dnssec.ReasonNoDNSKEY && signer != "" {
			// The anchor's zone shows no keys, and one above it denies that the
			// name exists: by that zone's own chain, if it has one, it may be
			// right; without, nobody can tell.
			if top, _ := r.v.anchorOf(cur); top != "" && len(signer) < len(top) {
				if below = r.chain(signer); r.wait {
					return res, true
				}
			}
		}
	}

	// VALIDATE
	res.status = dnssec.Secure
	for i := range m.Answer {
		s := &m.Answer[i]
		if made[i] > 0 {
			continue
		}
		status, why := r.answer(s, zones[i])
		if r.wait {
			return res, true
		}
		s.Sec = security(status)
		res.add(status, why, dnsname.Name(s.Owner), s.Type)
	}
	for i := range m.Answer {
		if made[i] > 0 {
			m.Answer[i].Sec = m.Answer[made[i]-1].Sec
			m.Answer[i].TTL = min(m.Answer[i].TTL, m.Answer[made[i]-1].TTL)
		}
	}
	if negative {
		status, why := r.absence(cur, below)
		if status == dnssec.Bogus && why == dnssec.ReasonNoDenial && below.zone != cur {
			// No proof by the zone that signed the SOA: perhaps the name lies
			// below a cut that this zone proves to be insecure.
			if l := r.zoneFor(cur, m.QType, ""); r.wait {
				return res, true
			} else if l.kind == linkInsecure {
				status, why = dnssec.Insecure, l.reason
			}
		}
		m.Absence = security(status)
		res.add(status, why, cur, m.QType)
	} else if alias && !final && res.status == dnssec.Secure && len(m.Answer) > 0 {
		// Beside an alias there may stand what the zone says of the place where
		// the alias leads: kept for when that is asked.
		if l := zones[len(zones)-1]; l != nil && hasDenials(m.Authority) {
			r.denial(m.Authority, l)
		}
	}
	// FINISHED
	return res, false
}

// step finds the RRset that answers for cur: of the type asked for, or an alias.
// dn is the index of a DNAME above cur, -1 without.
func step(m *resolver.Message, cur dnsname.Name) (i, dn int) {
	i, dn = -1, -1
	for k := range m.Answer {
		s := &m.Answer[k]
		switch {
		case dnsname.Equal(s.Owner, cur) && s.Type != dns.TypeCNAME && (s.Type == m.QType || m.QType == dns.TypeANY):
			return k, -1
		case dnsname.Equal(s.Owner, cur) && s.Type == dns.TypeCNAME:
			i = k
		case s.Type == dns.TypeDNAME && len(s.Owner) < len(cur) && dnsname.IsBelow(cur, s.Owner):
			dn = k
		}
	}
	return i, dn
}

// substitute is the name that a DNAME makes of cur (RFC 6672, section 2.2).
func substitute(cur dnsname.Name, dn *resolver.RRset) (dnsname.Name, bool) {
	target, _, ok := dn.Records.Next()
	if !ok || dn.Records.Count() != 1 {
		return "", false
	}
	prefix := cur[:len(cur)-len(dn.Owner)] + "\x00"
	return dnsname.Join(prefix, target)
}

// denies reports whether an authority section claims that something is absent.
func denies(sets []resolver.RRset) bool {
	for i := range sets {
		if sets[i].Type == dns.TypeSOA {
			return true
		}
	}
	return false
}

// answer is VALIDATE for one RRset of the answer section.
func (r *run) answer(s *resolver.RRset, zone *link) (dnssec.Status, dnssec.Reason) {
	if zone.kind != linkSecure {
		return zone.state(), zone.reason
	}
	var set dnssec.RRset
	load(&set, s)
	d := r.verify(&set, zone)
	st := Step{Name: set.Name, Type: set.Type, What: "signature", Status: d.Status, Reason: d.Reason, KeyTag: d.KeyTag,
		Alg: d.Alg, Inception: d.Inception, Expiration: d.Expiration}
	if d.Status == dnssec.Secure && d.Wildcard {
		st.What = "signature of a wildcard"
		den, ttl := r.denial(r.m.Authority, zone)
		d.TTL = min(d.TTL, ttl) // with the proof that goes with it
		if p := den.Wildcard(set.Name.Lower(), int(d.Labels), r.b); p.Status != dnssec.Secure {
			d.Status, d.Reason = p.Status, p.Reason
			if d.Status == dnssec.Bogus && (d.Reason == dnssec.ReasonNoDenial || d.Reason == dnssec.ReasonBadDenial) {
				d.Reason = dnssec.ReasonWildcardNotProved
			}
			st.Status, st.Reason = d.Status, d.Reason
		} else {
			r.v.agg.learnWildcard(zone.zone, s, int(d.Labels), r.v.now, d.TTL)
		}
	}
	r.step(st)
	if d.Status == dnssec.Secure {
		s.TTL = min(s.TTL, d.TTL)
	}
	return d.Status, d.Reason
}

// absence is VALIDATE for what the message says is not there.
func (r *run) absence(name dnsname.Name, zone *link) (dnssec.Status, dnssec.Reason) {
	if zone.kind != linkSecure {
		return zone.state(), zone.reason
	}
	var set dnssec.RRset
	for i := range r.m.Authority {
		s := &r.m.Authority[i]
		if s.Type != dns.TypeSOA || s.Sec == resolver.Secure {
			continue
		}
		load(&set, s)
		d := r.verify(&set, zone)
		if d.Status != dnssec.Secure {
			return d.Status, d.Reason
		}
		s.Sec = resolver.Secure
		s.TTL = min(s.TTL, d.TTL)
		r.v.agg.learn(zone.zone, s, r.v.now, s.TTL)
	}
	den, _ := r.denial(r.m.Authority, zone)
	var p dnssec.Proof
	what := "proof that the type is absent"
	if r.m.RCode == dns.RCodeNXDomain {
		what = "proof that the name is absent"
		p = den.NXDomain(name, r.b)
		if p.Status == dnssec.Bogus && len(den.NSEC) > 0 && len(r.m.Answer) == 0 {
			// Some servers answer NXDOMAIN for an empty non-terminal. What
			// their records prove is that the name exists and has no data:
			// that is the answer then (RFC 8020, section 3.1).
			if q := den.NoData(name, r.m.QType, r.b); q.Status == dnssec.Secure {
				p, r.m.RCode = q, dns.RCodeSuccess
			}
		}
	} else {
		p = den.NoData(name, r.m.QType, r.b)
	}
	switch {
	case p.Status != dnssec.Bogus:
	case r.b.BadSigs == 0 || r.b.Sigs == 0:
		p.Reason = dnssec.ReasonBudget
	default:
		p.Reason = r.denialReason(p.Reason, r.m.Authority)
	}
	r.step(Step{Name: name, Type: r.m.QType, What: what, Status: p.Status, Reason: p.Reason})
	return p.Status, p.Reason
}
