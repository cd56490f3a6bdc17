package auth

import (
	"slices"

	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"
)

const (
	// maxChain bounds the aliases followed for one question. Chains longer
	// than 16 are not resolved by the common caches either (unbound: 11, BIND:
	// 16).
	maxChain = 16

	// maxTargets bounds the names for which additional data are looked up.
	// 1.05 had no limit but the packet's.
	maxTargets = 256
)

// Answerer makes answers. It is the working memory of one thread: buffers are
// kept from one question to the next, so that nothing is allocated.
type Answerer struct {
	Rand      Rand
	Addresses int // most A or AAAA records of one answer, chosen at random; 0: all

	data *Data
	q    *content.Question
	res  content.Result
	b    wire.Builder

	located bool
	loc     [2]byte
	scope   uint8
	rec     zindex.Record

	set     []rr
	exists  bool // gather met a visible record of any type
	hasNS   bool
	alias   []byte // target of the CNAME answered last
	places  []int32
	done    []done
	targets []target
	proofs  []proof
	dnames  []uint32 // in the answer
	emitted []uint32 // chain elements in the answer
	off     [dns.MaxLabels + 1]uint8
	names   [maxChain + 2][dns.MaxName + 2]byte
	wild    [dns.MaxName + 2]byte
	low     [dns.MaxName + 2]byte
	owner   [dns.MaxName + 2]byte
	nsec3s  nsec3State
	scratch []byte
	fast    fastState
}

// state is what looking at one name comes to, in the words of RFC 1034,
// section 4.3.2.
type state uint8

const (
	stRefused  state = iota // step 2: no zone of ours is an ancestor
	stReferral              // step 3b: a zone cut takes us out of our data
	stAnswer                // step 3a or 3c: records of the type asked for
	stAlias                 // step 3a: a CNAME, or a DNAME above; follow it
	stNoData                // the name exists, the type does not
	stNXDomain              // step 3c: the name does not exist
	stTooLong               // RFC 6672, section 2.2: a DNAME's result is no name
	stFull                  // does not fit
)

// place is where a name lies in the data.
type place struct {
	name     []byte
	labels   int
	node     zindex.Node // the name's own, if it is present
	zone     zindex.Struct
	zoneID   uint32
	stop     zindex.Struct // cut or DNAME above or at the name
	stopID   uint32
	encloser int // labels of the closest encloser, when absent
	encl     zindex.Node
}

// Answer appends the answer to q to dst. A nil answer means that none should
// be sent.
func (a *Answerer) Answer(dst []byte, d *Data, q *content.Question) ([]byte, content.Result) {
	a.data, a.q, a.located = d, q, false
	a.res = content.Result{Found: true}
	if msg, ok := a.fastAnswer(dst); ok {
		return msg, a.res
	}
	return a.fullAnswer(dst), a.res
}

func (a *Answerer) fullAnswer(dst []byte) []byte {
	q := a.q
	a.res = content.Result{Found: true}
	a.done, a.targets, a.proofs, a.emitted = a.done[:0], a.targets[:0], a.proofs[:0], a.emitted[:0]
	a.dnames = a.dnames[:0]
	b := &a.b
	q.Begin(b, dst)
	start := b.Mark()

	var p place
	var last place // the last place in a zone of ours
	name := q.Name
	var st state
	nsAtApex, away := false, false
	for hop := 0; ; hop++ {
		a.locate(&p, name)
		st = a.step(&p, hop > 0, &nsAtApex)
		if hop > 0 && (st == stRefused || st == stReferral) {
			// the alias leads out of our authority: what we have is the answer
			away = st == stReferral && p.zoneID != 0
			st = stAnswer
			break
		}
		last = p
		if st != stAlias {
			break
		}
		next := a.names[hop+1][:0]
		if next = a.follow(next, &p, name); next == nil {
			st = stTooLong
			break
		}
		if q.Type == dns.TypeCNAME || hop == maxChain {
			st = stAnswer
			break
		}
		for h := 0; h <= hop; h++ { // RFC 1034, section 3.6.2: a loop
			if n := a.names[h][:]; h > 0 && dnsname.Equal(n[:nameLen(n)], next) || h == 0 && dnsname.Equal(q.Name, next) {
				st = stAnswer
			}
		}
		if st == stAnswer {
			break
		}
		name = next
	}

	ok := true
	switch st {
	case stRefused:
		b.SetBits(b.Bits()&^wire.BitAA | uint16(dns.RCodeRefused))
		a.res = content.Result{RCode: dns.RCodeRefused, EDE: dns.EDENotAuthoritative}
		return b.Finish()
	case stTooLong:
		a.res.RCode = dns.RCodeYXDomain
		b.SetBits(b.Bits() | uint16(dns.RCodeYXDomain))
	case stNXDomain:
		a.res.RCode = dns.RCodeNXDomain
		b.SetBits(b.Bits() | wire.BitAA | uint16(dns.RCodeNXDomain)) // AA for class ANY too, as 1.05
		fallthrough
	case stNoData:
		ok = a.soa(&last) && a.denials()
	case stReferral:
		b.SetBits(b.Bits() &^ wire.BitAA)
		ok = a.referral(&p)
	case stAnswer:
		if away {
			ok = a.ledAway(&p)
		} else {
			ok = a.positive(&last, nsAtApex)
		}
	case stFull:
		ok = false
	}
	if !ok {
		b.Rewind(start)
		b.SetBits(b.Bits() | wire.BitTC)
	}
	return b.Finish()
}

func nameLen(n []byte) int {
	l, _ := dnsname.Scan(n)
	return l
}

// locate finds where name lies: its node or closest encloser, its zone, and
// what stands between the zone's apex and the name.
func (a *Answerer) locate(p *place, name []byte) {
	v := a.data.View
	*p = place{name: name}
	n := 0
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		a.off[n] = uint8(i)
		n++
	}
	p.labels = n
	ctx := uint32(0)
	if node, ok := v.Find(name, zindex.Hash(v.Seed(), name)); ok {
		p.node, ctx = node, node.Ctx
	} else {
		p.encl, p.encloser = v.Encloser(name, a.off[:n])
		ctx = p.encl.Ctx
	}
	a.authority(p, ctx)
	if a.q.Type == dns.TypeDS && p.zoneID != 0 && p.stopID == 0 && p.zone.Labels == n && n > 0 {
		// RFC 4035, section 3.1.4.1: DS belongs to the parent, if that is ours.
		up := place{}
		a.authority(&up, p.zone.Parent)
		if up.zoneID != 0 && up.stopID == 0 {
			p.zone, p.zoneID = up.zone, up.zoneID
		}
	}
}

// authority finds zone and cut for a name whose nearest structural entry is
// ctx.
func (a *Answerer) authority(p *place, ctx uint32) {
	v := a.data.View
	s := v.Struct(ctx)
	if s.Flags&zindex.StructDynamic == 0 {
		p.zoneID, p.stopID = s.Zone, s.Stop
	} else {
		p.zoneID, p.stopID = a.dynamicAuthority(ctx)
	}
	if p.zoneID == ctx {
		p.zone = s
	} else {
		p.zone = v.Struct(p.zoneID)
	}
	if p.stopID != 0 {
		p.stop = v.Struct(p.stopID)
	}
}

// dynamicAuthority is what the index does beforehand when nothing depends on
// time and client: from the name upwards to the nearest zone, then the highest
// cut below that. The loop ends at the root; no name has more structural
// ancestors than labels, whatever a damaged index says.
func (a *Answerer) dynamicAuthority(ctx uint32) (zone, stop uint32) {
	nearest := uint32(0)
	for n := 0; ctx != 0 && n <= dns.MaxLabels; n, ctx = n+1, a.data.Struct(ctx).Parent {
		s := a.data.Struct(ctx)
		ns, soa, dname := a.structure(&s)
		if ns && soa {
			return ctx, stop
		}
		if ns && nearest == 0 {
			nearest = ctx
		}
		if ns || dname {
			stop = ctx
		}
	}
	return 0, nearest
}

// structure says which structural records of s are visible.
func (a *Answerer) structure(s *zindex.Struct) (ns, soa, dname bool) {
	ns, soa, dname = s.Flags&zindex.StructNS != 0, s.Flags&zindex.StructSOA != 0, s.Flags&zindex.StructDNAME != 0
	if !s.Node.Has(zindex.FlagDynamic) {
		return
	}
	for i, n := 0, a.data.Count(s.Node); i < n; i++ {
		ref := a.data.Record(s.Node, i)
		var has *bool
		switch ref.Type() {
		case dns.TypeNS:
			has = &ns
		case dns.TypeSOA:
			has = &soa
		case dns.TypeDNAME:
			has = &dname
		default:
			continue
		}
		if !*has {
			_, *has = a.visible(ref)
		}
	}
	return
}

// step looks at one name, adds its records to the answer section, and says
// what came of it.
func (a *Answerer) step(p *place, chained bool, nsAtApex *bool) state {
	q := a.q
	if p.zoneID == 0 {
		if p.stopID != 0 {
			return stReferral
		}
		return stRefused
	}
	if _, _, dname := a.structure(&p.zone); dname && p.labels > p.zone.Labels {
		p.stop, p.stopID = p.zone, p.zoneID
		return a.dname(p)
	}
	if p.stopID != 0 {
		if ns, _, _ := a.structure(&p.stop); ns {
			if q.Type != dns.TypeDS || p.labels != p.stop.Labels {
				return stReferral
			}
		} else if p.labels > p.stop.Labels {
			return a.dname(p)
		}
	}
	if p.node.Exists() {
		found, st := a.rrset(p, p.node)
		if st != stNoData {
			if st == stAnswer && (q.Type == dns.TypeNS || q.Type == dns.TypeANY) && p.labels == p.zone.Labels {
				*nsAtApex = a.hasNS
			}
			return st
		}
		if found || p.node.Has(zindex.FlagBelow) && a.there(p.node) {
			a.prove(p, proveNoData)
			return stNoData
		}
		a.nearest(p, p.labels)
	} else if !a.there(p.encl) {
		a.nearest(p, p.encloser)
	}
	// RFC 4592, section 3.3.1: only "*" below the closest encloser counts.
	if p.encl.Has(zindex.FlagHasWild) {
		w := append(a.wild[:0], 1, '*')
		w = append(w, dnsname.Skip(p.name, p.labels-p.encloser)...)
		if node, ok := a.data.Find(w, zindex.Hash(a.data.Seed(), w)); ok {
			if found, st := a.rrset(p, node); st != stNoData {
				q.Same = w
				a.prove(p, proveWildcard)
				return st
			} else if found || node.Has(zindex.FlagBelow) && a.there(node) { // RFC 4592, section 4.9
				a.prove(p, proveWildcardNoData)
				return stNoData
			}
		}
	}
	a.prove(p, proveNXDomain)
	return stNXDomain
}

// there reports whether a name exists for this client now: it or a name below
// it has a visible record (RFC 4592, section 2.2.2; RFC 8020, section 2).
func (a *Answerer) there(n zindex.Node) bool {
	if !n.Has(zindex.FlagMaybe) {
		return n.Exists()
	}
	if !n.Has(zindex.FlagBelow) {
		for i, k := 0, a.data.Count(n); i < k; i++ {
			if _, ok := a.visible(a.data.Record(n, i)); ok {
				return true
			}
		}
		return false
	}
	seen, located := a.data.SeenByAll(n, a.q.Now)
	if seen || !located {
		return seen
	}
	return a.data.SeenFrom(n, a.location(), a.q.Now)
}

// nearest finds the closest encloser of p's name among those of fewer labels
// than absent. All of them are in the index, but some may have nothing to see
// for this client; all names above one that exists do, the zone's apex does,
// so halving finds it: at most zindex.MaxDepthProbe names are looked up.
func (a *Answerer) nearest(p *place, absent int) {
	p.node, p.encl, p.encloser = zindex.Node{}, p.zone.Node, p.zone.Labels
	for absent-p.encloser > 1 {
		mid := (p.encloser + absent) / 2
		s := dnsname.Skip(p.name, p.labels-mid)
		if n, ok := a.data.Find(s, zindex.Hash(a.data.Seed(), s)); ok && a.there(n) {
			p.encl, p.encloser = n, mid
		} else {
			absent = mid
		}
	}
}

// dname answers from a DNAME above the name: the record and the CNAME it
// comes to (RFC 6672, section 3.1).
func (a *Answerer) dname(p *place) state {
	owner := a.data.Name(&p.stop)
	if !a.gather(p.stop.Node, dns.TypeDNAME, false) {
		return stNXDomain
	}
	a.set = a.set[:1] // RFC 6672, section 2.4: one DNAME at a name
	r := &a.set[0]
	if !slices.Contains(a.dnames, p.stopID) { // a chain may pass one twice
		a.dnames = append(a.dnames, p.stopID)
		if !a.b.RR(wire.Answer, owner, dns.TypeDNAME, dns.ClassIN, r.ttl, r.data) {
			return stFull
		}
		if a.q.DO && !a.sigs(p, wire.Answer, p.stop.Node, owner, dns.TypeDNAME, 1<<31) {
			return stFull
		}
	}
	to, ok := a.substitute(a.low[:0], p)
	if ok && !a.b.RR(wire.Answer, p.name, dns.TypeCNAME, dns.ClassIN, r.ttl, to) {
		return stFull
	}
	a.alias = r.data
	return stAlias
}

// substitute replaces the DNAME's owner at the end of p.name by its target.
func (a *Answerer) substitute(dst []byte, p *place) ([]byte, bool) {
	to := a.set[0].data
	rel := len(p.name) - len(a.data.Name(&p.stop))
	if rel+len(to) > dns.MaxName {
		return nil, false
	}
	return append(append(dst, p.name[:rel]...), to...), true
}

// follow gives in dst the lower-case name that the alias just answered leads
// to, nil if it would be too long.
func (a *Answerer) follow(dst []byte, p *place, name []byte) []byte {
	if p.stopID != 0 && p.labels > p.stop.Labels {
		to, ok := a.substitute(dst, p)
		if !ok {
			return nil
		}
		return dnsname.Lower(to)
	}
	return dnsname.AppendLower(dst, a.alias)
}
