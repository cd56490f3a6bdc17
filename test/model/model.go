// Package model is a second, slow and simple tinydns, made to judge the first.
// Without any rules it answers as 1.05 did, following compat: djbdns.md
// sections 1.3 and 5 step by step over plain maps. Each rule is one difference
// from 1.05 that docs/differences.md names; with all rules the model says what
// our tinydns must answer.
//
// A difference between an old and a new answer is explained when the model
// gives the old one without rules and the new one with them. The rules that
// explain it are those whose absence would change the new answer.
package model

import (
	"bytes"
	"encoding/binary"
	"slices"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// Rule is a set of differences from 1.05.
type Rule uint32

const (
	RefusedOutside Rule = 1 << iota
	ClassRefused
	OpcodeEcho
	TruncatedCounts
	EmptyNonTerminal
	WildcardEncloser
	NegativeTTL
	OneTTL
	MinimalANY
	AliasChain
	DNAME
	Occluded
	DSAtParent
	MoreAdditional
	AllAddresses
	OptionalGlue
	NoTrimTCP
	NegativeSOA
	EmptyTXT
	BadAddress
	EDNS
	All = 1<<iota - 1
)

// Names are the rules' names in docs/differences.md.
var Names = []string{"refused-outside", "class-refused", "opcode-echo", "truncated-counts", "empty-non-terminal",
	"wildcard-encloser", "negative-ttl", "one-ttl", "minimal-any", "alias-chain", "dname", "occluded", "ds-at-parent",
	"more-additional", "all-addresses", "optional-glue", "no-trim-tcp", "negative-soa", "empty-txt", "bad-address", "edns"}

type rec struct {
	typ    dns.Type
	wild   bool
	hasLoc bool
	loc    [2]byte
	ttl    uint32
	time   uint64
	data   []byte
}

// Model answers from one data.cdb.
type Model struct {
	recs map[string][]rec
	locs map[string][]byte
}

// New reads a data.cdb.
func New(c []byte) (*Model, error) {
	m := &Model{recs: map[string][]rec{}, locs: map[string][]byte{}}
	err := cdb.Reader(c).Each(func(key, d []byte) error {
		if len(key) > 1 && key[0] == 0 {
			if m.locs[string(key)] == nil {
				m.locs[string(key)] = d
			}
			return nil
		}
		r := rec{typ: dns.Type(binary.BigEndian.Uint16(d)), wild: d[2] == '*' || d[2] == '+', hasLoc: d[2] == '>' || d[2] == '+'}
		d = d[3:]
		if r.hasLoc {
			r.loc, d = [2]byte(d), d[2:]
		}
		r.ttl, r.time, r.data = binary.BigEndian.Uint32(d), binary.BigEndian.Uint64(d[4:]), d[12:]
		m.recs[string(key)] = append(m.recs[string(key)], r)
		return nil
	})
	return m, err
}

// Query is one packet and who sent it.
type Query struct {
	Packet []byte
	Client [4]byte
	Now    uint64 // TAI64
	TCP    bool
}

type run struct {
	*Model
	rules Rule
	q     Query
	loc   [2]byte
	typ   dns.Type
	limit int
	tcp   bool
}

func (r *run) on(x Rule) bool { return r.rules&x != 0 }

func (m *Model) location(ip [4]byte) (loc [2]byte) {
	for n := 4; n >= 0; n-- {
		if d := m.locs["\x00%"+string(ip[:n])]; d != nil {
			if len(d) == 2 {
				loc = [2]byte(d)
			}
			return
		}
	}
	return
}

// shown gives the visible records of a key, their ttls adjusted.
func (r *run) shown(key []byte, wild bool) (out []rec) {
	for _, x := range r.recs[string(key)] {
		if x.wild != wild || x.hasLoc && x.loc != r.loc {
			continue
		}
		if x.time != 0 {
			if x.ttl == 0 {
				if x.time < r.q.Now {
					continue
				}
				x.ttl = uint32(min(max(x.time-r.q.Now, 2), 3600))
			} else if x.time >= r.q.Now {
				continue
			}
		}
		if x.typ == dns.TypeTXT && len(x.data) == 0 && r.on(EmptyTXT) {
			x.data = []byte{0}
		}
		out = append(out, x)
	}
	if r.on(OneTTL) {
		for i := range out {
			for _, y := range out {
				if y.typ == out[i].typ && y.typ != dns.TypeSOA && y.typ != dns.TypeNSEC && y.typ != dns.TypeRRSIG { // only the first SOA counts at all
					out[i].ttl = min(out[i].ttl, y.ttl)
				}
			}
		}
	}
	return out
}

func has(rs []rec, t dns.Type) bool {
	return slices.ContainsFunc(rs, func(x rec) bool { return x.typ == t })
}

func parents(name []byte) (out [][]byte) {
	for {
		out = append(out, name)
		if len(name) == 1 {
			return
		}
		name = dnsname.Parent(name)
	}
}

// Answer gives the answer to a packet under the given rules, nil for none, and
// the letter in the log.
func (m *Model) Answer(q Query, rules Rule) (msg []byte, mark byte) {
	var e wire.EDNS
	if c, err := wire.Parse(q.Packet); err == nil && c.SkipQuestions() == nil && rules&EDNS != 0 {
		e, _ = wire.FindEDNS(&c)
	}
	limit := 512
	if e.Present { // RFC 6891
		const opt = 11
		limit = min(max(int(e.UDPSize), 512), dns.EDNSUDPSize) - opt
	}
	if msg, mark = m.answerIn(q, rules, limit); msg == nil || !e.Present {
		return msg, mark
	}
	msg[11]++
	msg = append(msg, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0)
	if e.DO {
		msg[len(msg)-4] = 0x80
	}
	return msg, mark
}

func (m *Model) answerIn(q Query, rules Rule, limit int) (msg []byte, mark byte) {
	p := q.Packet
	if len(p) < 12 || len(p) > 512 && !q.TCP || p[2]&0x80 != 0 || p[4] != 0 || p[5] != 1 {
		return nil, '/'
	}
	qname, off, err := wire.AppendName(nil, p, 12)
	if err != nil || off+4 > len(p) {
		return nil, '/'
	}
	typ, class := dns.Type(binary.BigEndian.Uint16(p[off:])), dns.Class(binary.BigEndian.Uint16(p[off+2:]))
	bits := binary.BigEndian.Uint16(p[2:])
	id := binary.BigEndian.Uint16(p)
	r := &run{Model: m, rules: rules, q: q, loc: m.location(q.Client), typ: typ, limit: limit, tcp: q.TCP}
	var b wire.Builder
	head := func(f uint16) { b.Reset(nil, dns.MaxMessage, id, f); b.Question(qname, typ, class) }
	out := uint16(wire.BitQR) | bits&wire.BitRD
	if r.on(OpcodeEcho) {
		out |= bits & wire.MaskOpcode
	}
	if class != dns.ClassIN && class != dns.ClassANY {
		if r.on(ClassRefused) {
			head(out | uint16(dns.RCodeRefused))
		} else {
			head(0x8181)
		}
		return b.Finish(), 'C'
	}
	if class == dns.ClassIN {
		out |= wire.BitAA
	}
	if bits&(wire.MaskOpcode|wire.BitAA|wire.BitTC) != 0 || typ == dns.TypeAXFR {
		head(out | uint16(dns.RCodeNotImp))
		return b.Finish(), 'I'
	}
	if q.TCP {
		out |= wire.BitAA // for any class
	}
	out &^= wire.MaskOpcode
	head(out)
	lower := dnsname.Lower(bytes.Clone(qname))
	switch ok, found := r.answer(&b, lower); {
	case !found && r.on(RefusedOutside):
		head(out&^wire.BitAA | uint16(dns.RCodeRefused))
		return b.Finish(), '-'
	case !ok || !found:
		return nil, '-'
	}
	return r.cut(b.Finish(), off+4), '+'
}

// cut truncates as UDP servers do.
func (r *run) cut(msg []byte, question int) []byte {
	if len(msg) <= r.limit || r.tcp {
		return msg
	}
	question = 12
	for msg[question] != 0 {
		question += 1 + int(msg[question])
	}
	msg = msg[:question+5]
	msg[2] |= wire.BitTC >> 8
	if r.on(TruncatedCounts) {
		clear(msg[6:12])
	}
	return msg
}

type zoneAt struct {
	control []byte
	auth    bool // SOA there
}

// zone is step 1.
func (r *run) zone(name []byte) (z zoneAt, ok bool) {
	nearest := zoneAt{}
	var cut []byte // highest so far below the zone
	for _, c := range parents(name) {
		rs := r.shown(c, false)
		if !has(rs, dns.TypeNS) {
			continue
		}
		soa := has(rs, dns.TypeSOA)
		if nearest.control == nil {
			nearest = zoneAt{c, soa}
			if !r.on(Occluded) {
				return nearest, true
			}
		}
		if soa {
			if cut != nil {
				return zoneAt{cut, false}, true
			}
			return zoneAt{c, true}, true
		}
		cut = c
	}
	return nearest, nearest.control != nil
}

// enclosing gives the zone with an SOA that name lies in.
func (r *run) enclosing(name []byte) []byte {
	for _, c := range parents(name) {
		if rs := r.shown(c, false); has(rs, dns.TypeNS) && has(rs, dns.TypeSOA) {
			return c
		}
	}
	return nil
}

// dname finds the DNAME that redirects name inside zone control: the highest.
func (r *run) dname(name, apex []byte) (owner []byte, x rec) {
	for _, c := range parents(name)[1:] {
		if len(c) < len(apex) {
			break
		}
		for _, y := range r.shown(c, false) {
			if y.typ == dns.TypeDNAME {
				owner, x = c, y
				break
			}
		}
	}
	return
}

type result struct {
	z        zoneAt
	negative bool
	nx       bool
}

// answer is the algorithm of compat: djbdns.md section 5.3. ok is false where
// 1.05 gave no answer at all, found where the name is in no zone.
func (r *run) answer(b *wire.Builder, q []byte) (ok, found bool) {
	z, found := r.zone(q)
	if !found {
		return false, false
	}
	start := b.Mark()
	var answers []rec
	var owners [][]byte
	add := func(owner []byte, x rec) {
		answers, owners = append(answers, x), append(owners, owner)
	}
	name := q
	seen := map[string]bool{}
	nx, negative, yx := false, false, false
	for hop := 0; ; hop++ {
		if hop > 0 {
			nz, ok := r.zone(name)
			if !ok {
				break
			}
			nz = r.parentForDS(name, nz)
			if !nz.auth && !(r.on(DNAME) && r.redirected(name, nz)) {
				if r.enclosing(name) != nil { // a delegation of ours: it goes along
					z, negative, nx = nz, false, false
				}
				break
			}
			z = nz
		}
		z = r.parentForDS(name, z)
		if r.on(DNAME) {
			if apex := r.enclosing(z.control); apex != nil {
				if owner, d := r.dname(name, apex); owner != nil && (z.auth || len(owner) < len(z.control)) {
					z = zoneAt{apex, true}
					negative, nx = false, false
					there := false // a chain may pass one twice
					for i, x := range answers {
						there = there || x.typ == dns.TypeDNAME && string(owners[i]) == string(owner)
					}
					if !there {
						add(owner, d)
					}
					to := append(bytes.Clone(name[:len(name)-len(owner)]), d.data...)
					if len(to) > dns.MaxName {
						yx = true
						break
					}
					add(name, rec{typ: dns.TypeCNAME, ttl: d.ttl, data: to})
					seen[string(name)] = true
					name = dnsname.Lower(bytes.Clone(to))
					if r.typ == dns.TypeCNAME || seen[string(name)] || hop == 16 || !r.on(AliasChain) {
						break
					}
					continue
				}
			}
		}
		if !z.auth {
			return r.referral(b, z), true
		}
		rs, exists, nxdomain := r.match(name, z)
		direct := false
		var alias *rec
		var as []rec
		soa := false
		if r.on(DSAtParent) && string(name) == string(z.control) {
			rs = r.own(name, rs)
		}
		if r.typ == dns.TypeANY && r.on(MinimalANY) && !r.tcp && len(rs) > 0 {
			t := rs[0].typ
			for _, x := range rs {
				if x.typ != dns.TypeRRSIG && x.typ != dns.TypeNSEC {
					t = x.typ
					break
				}
			}
			rs = slices.DeleteFunc(slices.Clone(rs), func(x rec) bool { return x.typ != t })
		}
		if (r.typ == dns.TypeNSEC || r.typ == dns.TypeRRSIG) && r.on(AliasChain) && has(rs, r.typ) {
			rs = slices.DeleteFunc(slices.Clone(rs), func(x rec) bool { return x.typ != r.typ })
		}
		n := 0
		for _, x := range rs {
			if x.typ != r.typ && r.typ != dns.TypeANY && x.typ != dns.TypeCNAME {
				continue
			}
			if x.typ == dns.TypeSOA {
				if soa {
					continue
				}
				soa = true
			}
			n++
			direct = direct || x.typ == r.typ || r.typ == dns.TypeANY
			if x.typ == dns.TypeCNAME && alias == nil {
				alias = &x
			}
			if x.typ == dns.TypeA && len(x.data) == 4 {
				as = append(as, x)
				continue
			}
			add(name, x)
		}
		if len(as) > 8 && !r.on(AllAddresses) {
			as = as[:8]
		}
		for _, x := range as {
			if !r.on(OneTTL) {
				last := rs[len(rs)-1]
				for _, y := range rs {
					if y.typ == dns.TypeA && len(y.data) == 4 {
						last = y
					}
				}
				x.ttl = last.ttl
			}
			add(name, x)
		}
		negative, nx = n == 0, nxdomain
		_ = exists
		if alias == nil || direct || !r.on(AliasChain) {
			break
		}
		seen[string(name)] = true
		name = dnsname.Lower(bytes.Clone(alias.data))
		if seen[string(name)] || hop == 16 {
			break
		}
	}
	for i, x := range answers {
		if !b.RR(wire.Answer, owners[i], x.typ, dns.ClassIN, x.ttl, x.data) {
			return false, true
		}
	}
	if nx {
		b.SetBits(b.Bits() | wire.BitAA | uint16(dns.RCodeNXDomain)) // AA for class ANY too
	}
	if yx {
		b.SetBits(b.Bits() | uint16(dns.RCodeYXDomain))
		return true, true
	}
	afterAnswer := b.Mark()
	var auth []rec
	negative = negative || r.rules&AliasChain == 0 && len(answers) == 0
	if negative {
		for _, x := range r.shown(z.control, false) {
			if x.typ == dns.TypeSOA {
				if r.on(NegativeTTL) {
					x.ttl = min(x.ttl, binary.BigEndian.Uint32(x.data[len(x.data)-4:]))
				}
				auth = append(auth, x)
				break
			}
		}
	} else {
		inAnswer := false
		for i, x := range answers {
			inAnswer = inAnswer || x.typ == dns.TypeNS && string(owners[i]) == string(z.control)
		}
		if !inAnswer {
			for _, x := range r.shown(z.control, false) {
				if x.typ == dns.TypeNS {
					auth = append(auth, x)
				}
			}
		}
	}
	for _, x := range auth {
		b.RR(wire.Authority, z.control, x.typ, dns.ClassIN, x.ttl, x.data)
	}
	afterAuth := b.Mark()
	if r.additional(b, append(slices.Clone(answers), auth...), owners, nil, false) == failed {
		return false, true
	}
	limit := r.limit
	if r.tcp && r.on(NoTrimTCP) {
		limit = dns.MaxMessage
	}
	if b.Len() > limit {
		b.Rewind(afterAuth)
	}
	if b.Len() > limit {
		if negative && r.on(NegativeSOA) {
			return true, true // too long as it is: will be cut
		}
		b.Rewind(afterAnswer)
	}
	_ = start
	return true, true
}

// parentForDS gives the zone above when DS of a zone's apex or cut are asked.
func (r *run) parentForDS(name []byte, z zoneAt) zoneAt {
	if r.on(DSAtParent) && r.typ == dns.TypeDS && len(name) > 1 && len(z.control) == len(name) {
		if up, ok := r.zone(dnsname.Parent(name)); ok && up.auth {
			return up
		}
	}
	return z
}

// own is what of the records at a zone's apex is not the parent's: NSEC without
// SOA in its bitmap, signatures by another, DS if the parent is ours.
func (r *run) own(apex []byte, rs []rec) (out []rec) {
	for _, x := range rs {
		switch x.typ {
		case dns.TypeNSEC:
			n, _ := dnsname.Scan(x.data)
			if b := x.data[n:]; len(b) < 3 || b[0] != 0 || b[2]&2 == 0 {
				continue
			}
		case dns.TypeRRSIG:
			if len(x.data) > 18 {
				if n, _ := dnsname.Scan(x.data[18:]); !dnsname.Equal(x.data[18:18+max(1, n)], apex) {
					continue
				}
			}
		case dns.TypeDS:
			if up, ok := r.zone(dnsname.Parent(apex)); len(apex) > 1 && ok && up.auth && r.typ != dns.TypeDS {
				continue
			}
		}
		out = append(out, x)
	}
	return out
}

// redirected: a DNAME above the delegation takes name elsewhere.
func (r *run) redirected(name []byte, z zoneAt) bool {
	apex := r.enclosing(z.control)
	if apex == nil {
		return false
	}
	owner, _ := r.dname(name, apex)
	return owner != nil && len(owner) < len(z.control)
}

// match is step 3's search: the records that answer for name.
func (r *run) match(name []byte, z zoneAt) (rs []rec, exists, nxdomain bool) {
	if rs = r.shown(name, false); len(rs) > 0 {
		return rs, true, false
	}
	// A query for a literal "*": the wildcard records themselves.
	if dnsname.IsWildcard(name) && r.on(WildcardEncloser) {
		if rs = r.shown(name[2:], true); len(rs) > 0 {
			return rs, true, false
		}
	}
	if r.on(EmptyNonTerminal) && r.there(name) {
		return nil, true, false
	}
	for w := name; len(w) > len(z.control); {
		w = dnsname.Parent(w)
		if rs = r.shown(w, true); len(rs) > 0 {
			return rs, true, false
		}
		if r.on(WildcardEncloser) && r.on(EmptyNonTerminal) && r.there(append([]byte("\x01*"), w...)) {
			return nil, true, false // RFC 4592, section 4.9
		}
		if r.on(WildcardEncloser) && r.there(w) {
			break
		}
	}
	return nil, false, true
}

// there: a visible record at the name or below it.
func (r *run) there(name []byte) bool {
	for key := range r.recs {
		for _, wild := range []bool{false, true} {
			owner := key
			if wild {
				owner = "\x01*" + key
			}
			if dnsname.IsBelow(owner, name) && len(r.shown([]byte(key), wild)) > 0 {
				return true
			}
		}
	}
	return false
}

type verdict int

const (
	done verdict = iota
	failed
)

// additional is step 5.
func (r *run) additional(b *wire.Builder, rs []rec, owners [][]byte, cut []byte, must bool) verdict {
	type key struct {
		name string
		typ  dns.Type
	}
	have := map[key]bool{}
	for i, o := range owners {
		if rs[i].typ == dns.TypeA || rs[i].typ == dns.TypeAAAA {
			have[key{string(o), rs[i].typ}] = true
		}
	}
	for _, x := range rs {
		skip := -1
		switch x.typ {
		case dns.TypeNS:
			skip = 0
		case dns.TypeMX:
			skip = 2
		case dns.TypeSRV:
			if r.on(MoreAdditional) {
				skip = 6
			}
		case dns.TypeSVCB, dns.TypeHTTPS:
			if r.on(MoreAdditional) {
				skip = 2
			}
		}
		if skip < 0 || len(x.data) <= skip {
			continue
		}
		n, ok := dnsname.Scan(x.data[skip:])
		if !ok {
			continue
		}
		to := x.data[skip : skip+n]
		if must && !dnsname.IsBelow(to, cut) {
			continue
		}
		low := dnsname.Lower(bytes.Clone(to))
		types := []dns.Type{dns.TypeA}
		if r.on(MoreAdditional) {
			types = append(types, dns.TypeAAAA)
		}
		for _, t := range types {
			if have[key{string(low), t}] {
				continue
			}
			for _, y := range r.shown(low, false) {
				if y.typ != t {
					continue
				}
				size := 4
				if t == dns.TypeAAAA {
					size = 16
				}
				if len(y.data) < size {
					if t == dns.TypeA && !r.on(BadAddress) {
						return failed
					}
					continue
				}
				have[key{string(low), t}] = true
				b.RR(wire.Additional, to, t, dns.ClassIN, y.ttl, y.data[:size])
			}
		}
	}
	return done
}

// referral answers from a delegation.
func (r *run) referral(b *wire.Builder, z zoneAt) bool {
	b.SetBits(b.Bits() &^ wire.BitAA)
	var ns []rec
	for _, x := range r.shown(z.control, false) {
		if x.typ == dns.TypeNS {
			ns = append(ns, x)
			b.RR(wire.Authority, z.control, x.typ, dns.ClassIN, x.ttl, x.data)
		}
	}
	m := b.Mark()
	if r.additional(b, ns, nil, z.control, false) == failed {
		return false
	}
	if b.Len() > r.limit && r.on(OptionalGlue) && !r.tcp {
		b.Rewind(m)
		r.additional(b, ns, nil, z.control, true)
	}
	return true
}

// Explain says which rules make the new answer differ from the old one: those
// without which the model would not give new. ok is false if the model with
// all rules does not give new.
func (m *Model) Explain(q Query, same func(a, b []byte) bool, old, new []byte) (why []string, ok bool) {
	if got, _ := m.Answer(q, All); !same(got, new) {
		return nil, false
	}
	for i, name := range Names {
		if got, _ := m.Answer(q, All&^(1<<i)); !same(got, new) {
			why = append(why, name)
		}
	}
	return why, len(why) > 0 || same(old, new)
}
