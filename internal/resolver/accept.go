package resolver

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// class is what a response turns out to be (RFC 1034, section 5.3.3, step 4).
type class uint8

const (
	classBad      class = iota // malformed, or of no use: another server is asked
	classLame                  // the server does not serve the zone
	classRecLame               // it recurses instead of serving, or says nothing: a last resort
	classAnswer                // holds what was asked for, at the end of an alias chain perhaps
	classAlias                 // the alias chain leads elsewhere
	classNoData                // RFC 2308, section 2.2
	classNXDomain              // RFC 2308, section 2.1
	classReferral              // a zone cut nearer to the name
)

// response is what is believed of a message. Its slices are the parser's.
type response struct {
	class  class
	rcode  dns.RCode
	aa     bool
	msg    Message
	final  []byte // the name at the end of the alias chain, lower case
	cut    []byte // classReferral: the zone below
	ns     Packed // its servers' names
	glue   []byte // their addresses, see appendGlue
	nsTTL  uint32
	negTTL uint32 // classNoData, classNXDomain: RFC 2308, section 5
	soa    bool   // they have a SOA
	why    string
}

// record is one resource record of a message.
type record struct {
	section wire.Section
	typ     dns.Type
	ttl     uint32
	owner   uint16 // index into names
	data    []byte // uncompressed
	in      bool   // within the bailiwick
	next    int    // record of the same RRset, -1 none
	pos     int
}

type group struct {
	section wire.Section
	typ     dns.Type
	owner   uint16
	ttl     uint32
	first   int // records
	last    int
	sigs    int // RRSIG records covering typ
	lastSig int
	n       int
}

// parser takes messages apart. It is reused: nothing of a message is valid
// after the next.
type parser struct {
	buf    []byte
	names  [][]byte
	recs   []record
	groups []group
	order  []int
	resp   response
}

func (p *parser) own(b []byte) []byte {
	n := len(p.buf)
	p.buf = append(p.buf, b...)
	return p.buf[n:len(p.buf):len(p.buf)]
}

// name gives the index of a name, each different one being kept once.
func (p *parser) intern(name []byte) uint16 {
	// most records have the owner of the one before or of the question
	for i := len(p.names) - 1; i >= 0 && i >= len(p.names)-maxInternScan; i-- {
		if string(p.names[i]) == string(name) {
			return uint16(i)
		}
	}
	p.names = append(p.names, p.own(name))
	return uint16(len(p.names) - 1)
}

// maxInternScan bounds the search for a name already seen. A name kept twice
// costs memory, and splits an RRset whose records stand so far apart.
const maxInternScan = 64

// inBailiwick reports whether servers of zone may speak of name: it is zone or
// below, and root/servers gives no other zone in between (compat: djbdns.md,
// section 10.4, step 3).
func (e *Engine) inBailiwick(name, zone []byte) bool {
	if !dnsname.IsBelow(name, zone) {
		return false
	}
	if len(e.zones) <= 1 {
		return true
	}
	for ; len(name) > len(zone); name = dnsname.Parent(name) {
		if e.zones[dnsname.Name(name)] != nil {
			return false
		}
	}
	return true
}

// parentSide reports whether a record belongs to the parent's side of a zone cut
// at its owner: what a server of zone may say of the name whose DS was asked
// for, though root/servers gives that name servers of its own (RFC 4035,
// section 3.1.4.1).
func parentSide(t dns.Type, data []byte) bool {
	if t == dns.TypeRRSIG && len(data) >= 18 {
		t = dns.Type(binary.BigEndian.Uint16(data))
	}
	return t == dns.TypeDS || t == dns.TypeNSEC
}

// read splits a message into groups of records. ds is the name whose DS was
// asked for, nil with other questions. False: malformed.
func (e *Engine) read(msg, zone, ds []byte) bool {
	p := &e.in
	p.buf, p.names, p.recs, p.groups = p.buf[:0], p.names[:0], p.recs[:0], p.groups[:0]
	c, err := wire.Parse(msg)
	if err != nil || c.SkipQuestions() != nil {
		return false
	}
	var rr wire.RR
	var tmp [dns.MaxName]byte
	for {
		ok, err := c.Next(&rr)
		if err != nil {
			return false
		}
		if !ok {
			break
		}
		if rr.Type == dns.TypeOPT || rr.Class != dns.ClassIN || rr.Type.IsMeta() {
			continue
		}
		if len(p.recs) == maxRecords {
			return false
		}
		if rr.Type == dns.TypeA && rr.Len != 4 || rr.Type == dns.TypeAAAA && rr.Len != 16 {
			continue // one address gone wrong does not spoil the others
		}
		name, _, err := wire.AppendName(tmp[:0], msg, rr.Owner)
		if err != nil {
			return false
		}
		dnsname.Lower(name)
		owner := p.intern(name)
		n := len(p.buf)
		p.buf, err = rdata.AppendUncompressed(p.buf, msg, rr.Type, rr.Data, rr.Len)
		if err != nil {
			return false
		}
		data := p.buf[n:len(p.buf):len(p.buf)]
		r := record{section: rr.Section, typ: rr.Type, ttl: e.ttl(rr.TTL), owner: owner, data: data, next: -1,
			pos: len(p.recs), in: e.inBailiwick(p.names[owner], zone)}
		if !r.in && len(ds) > len(zone) && string(p.names[owner]) == string(ds) && parentSide(r.typ, data) {
			r.in = e.inBailiwick(dnsname.Parent(ds), zone)
		}
		p.recs = append(p.recs, r)
	}
	p.group()
	return true
}

// ttl applies the limits on what servers say.
func (e *Engine) ttl(v uint32) uint32 {
	if v > nonsenseTTL {
		v = 0
	}
	limit := uint32(DefaultMaxTTL)
	if e.cfg.MaxTTL != 0 {
		limit = e.cfg.MaxTTL
	}
	return max(min(v, limit), min(e.cfg.MinTTL, limit))
}

// group puts the records of the bailiwick into RRsets, signatures beside what
// they cover. All records of an RRset get the smallest TTL (RFC 2181, section
// 5.2); repeated ones count once (section 5).
func (p *parser) group() {
	for i := range p.recs {
		r := &p.recs[i]
		if !r.in {
			continue
		}
		t := r.typ
		if t == dns.TypeRRSIG {
			if len(r.data) < 18 {
				continue
			}
			t = dns.Type(binary.BigEndian.Uint16(r.data))
		}
		g := p.find(r.section, t, r.owner)
		if g == nil {
			p.groups = append(p.groups, group{section: r.section, typ: t, owner: r.owner, ttl: r.ttl,
				first: -1, last: -1, sigs: -1, lastSig: -1})
			g = &p.groups[len(p.groups)-1]
		}
		first, last := &g.first, &g.last
		if r.typ == dns.TypeRRSIG {
			first, last = &g.sigs, &g.lastSig
		} else {
			if g.n < maxDuplicateCheck && p.has(g.first, r.data) {
				continue
			}
			g.n++
		}
		g.ttl = min(g.ttl, r.ttl)
		if *last < 0 {
			*first = i
		} else {
			p.recs[*last].next = i
		}
		*last = i
	}
}

// maxDuplicateCheck: beyond so many records in an RRset duplicates are let
// through; looking for them is quadratic.
const maxDuplicateCheck = 64

func (p *parser) has(i int, data []byte) bool {
	for ; i >= 0; i = p.recs[i].next {
		if bytes.Equal(p.recs[i].data, data) {
			return true
		}
	}
	return false
}

func (p *parser) find(s wire.Section, t dns.Type, owner uint16) *group {
	for i := len(p.groups) - 1; i >= 0 && i >= len(p.groups)-maxInternScan; i-- {
		if g := &p.groups[i]; g.typ == t && g.owner == owner && g.section == s {
			return g
		}
	}
	return nil
}

// look finds a group with records by the owner's name.
func (p *parser) look(s wire.Section, t dns.Type, owner []byte) *group {
	for i := range p.groups {
		if g := &p.groups[i]; g.section == s && g.typ == t && g.first >= 0 && string(p.names[g.owner]) == string(owner) {
			return g
		}
	}
	return nil
}

// set makes the RRset of a group.
func (p *parser) set(g *group, rank Rank) RRset {
	s := RRset{Section: g.section, Owner: p.names[g.owner], Type: g.typ, TTL: g.ttl, Rank: rank}
	n := len(p.buf)
	for i := g.first; i >= 0; i = p.recs[i].next {
		p.buf = AppendPacked(p.buf, p.recs[i].data)
	}
	m := len(p.buf)
	for i := g.sigs; i >= 0; i = p.recs[i].next {
		p.buf = AppendPacked(p.buf, p.recs[i].data)
	}
	s.Records, s.Sigs = p.buf[n:m:m], p.buf[m:len(p.buf):len(p.buf)]
	return s
}

// accept decides what msg, which answers a question for name and t put to a
// server of zone, means and what of it is believed.
func (e *Engine) accept(msg, name []byte, t dns.Type, zone []byte, forward bool) *response {
	p := &e.in
	w := &p.resp
	*w = response{msg: Message{QType: t, Answer: w.msg.Answer[:0], Authority: w.msg.Authority[:0]}}
	h, _ := wire.ParseHeader(msg)
	w.rcode, w.aa = h.RCode(), h.Bits&wire.BitAA != 0
	var ds []byte
	if t == dns.TypeDS {
		ds = name
	}
	if !e.read(msg, zone, ds) {
		w.why = "malformed"
		return w
	}
	w.msg.QName, w.msg.Zone, w.msg.RCode = p.own(name), p.own(zone), w.rcode
	answerRank, authorityRank := RankAnswer, RankAuthority
	if w.aa {
		answerRank, authorityRank = RankAuthAnswer, RankAuthAuthority
	}

	// the alias chain
	cur := w.msg.QName
	aliases := 0
	found := false
	for aliases <= maxChain {
		if t == dns.TypeANY {
			for i := range p.groups {
				if g := &p.groups[i]; g.section == wire.Answer && g.first >= 0 && string(p.names[g.owner]) == string(cur) {
					w.msg.Answer = append(w.msg.Answer, p.set(g, answerRank))
					found = true
				}
			}
			break
		}
		if t == dns.TypeRRSIG {
			// signatures alone: those of all types at the name
			found = p.allSignatures(w, cur, answerRank)
			break
		}
		if g := p.look(wire.Answer, t, cur); g != nil && (t != dns.TypeCNAME || p.dname(cur) == nil) {
			w.msg.Answer = append(w.msg.Answer, p.set(g, answerRank))
			found = true
			break
		}
		if g := p.dname(cur); g != nil {
			set := p.set(g, answerRank)
			target, _, _ := set.Records.Next()
			owner := p.names[g.owner]
			if len(cur)-len(owner)+len(target) > dns.MaxName {
				// RFC 6672, section 2.2
				w.msg.Answer = append(w.msg.Answer, set)
				w.class, w.rcode, w.final = classAnswer, dns.RCodeYXDomain, cur
				w.msg.RCode = w.rcode
				return w
			}
			n := len(p.buf)
			p.buf = append(append(p.buf, cur[:len(cur)-len(owner)]...), target...)
			next := dnsname.Lower(p.buf[n:len(p.buf):len(p.buf)])
			n = len(p.buf)
			p.buf = AppendPacked(p.buf, next)
			w.msg.Answer = append(w.msg.Answer, set, RRset{Section: wire.Answer, Owner: cur, Type: dns.TypeCNAME,
				TTL: set.TTL, Records: p.buf[n:len(p.buf):len(p.buf)], Rank: answerRank})
			if t == dns.TypeCNAME {
				found = true
				break
			}
			cur = next
			aliases++
		} else if g := p.look(wire.Answer, dns.TypeCNAME, cur); g != nil && t != dns.TypeCNAME {
			set := p.set(g, answerRank)
			// of several the last wins (compat: djbdns.md, section 10.4,
			// step 1); RFC 2181, section 10.1, allows but one
			for _, rest, ok := set.Records.Next(); ok && len(rest) > 0; _, rest, ok = rest.Next() {
				set.Records = rest
			}
			target, _, ok := set.Records.Next()
			if !ok {
				break
			}
			w.msg.Answer = append(w.msg.Answer, set)
			cur = dnsname.Lower(p.own(target))
			aliases++
		} else {
			break
		}
		if !e.inBailiwick(cur, zone) {
			w.final, w.class = cur, classAlias
			p.proofs(w, authorityRank)
			w.msg.RCode = dns.RCodeSuccess
			return w
		}
	}
	w.final = cur
	recLame := !w.aa && !forward && h.Bits&wire.BitRA != 0

	switch {
	case found:
		w.class = classAnswer
		p.proofs(w, authorityRank)
		if e.ignored(w) {
			w.class, w.why = classBad, "an address of IGNOREIP"
			return w
		}
		if recLame {
			w.class, w.why = classRecLame, "recursive server"
		}
		return w
	case aliases > maxChain:
		w.class = classAlias
		p.proofs(w, authorityRank)
		return w
	}

	if w.rcode == dns.RCodeYXDomain {
		w.why = "YXDOMAIN without DNAME"
		return w
	}
	soa := p.negative(cur, zone)
	if w.rcode == dns.RCodeNXDomain {
		if aliases > 0 && soa == nil {
			// nothing says that the last name is meant
			w.class, w.msg.RCode = classAlias, dns.RCodeSuccess
			p.proofs(w, authorityRank)
			return w
		}
		w.class = classNXDomain
		p.setNegative(e, w, soa)
		p.proofs(w, authorityRank)
		if recLame {
			w.class, w.why = classRecLame, "recursive server"
		}
		return w
	}

	if soa == nil && !forward {
		if g := p.referral(cur, zone); g != nil {
			if aliases > 0 {
				w.class = classAlias
				p.proofs(w, authorityRank)
				return w
			}
			w.class, w.cut = classReferral, p.names[g.owner]
			set := p.set(g, authorityRank)
			w.ns, w.nsTTL = set.Records, set.TTL
			p.glue(e, w)
			p.proofs(w, RankAuthAuthority)
			return w
		}
	}
	if soa == nil && forward && aliases == 0 {
		for i := range p.recs {
			if r := &p.recs[i]; r.section == wire.Authority && r.typ == dns.TypeNS && !r.in {
				w.why = "refers upwards, though it was asked to recurse"
				return w
			}
		}
	}
	if aliases > 0 {
		if soa == nil {
			w.class = classAlias
		} else {
			w.class = classNoData
			p.setNegative(e, w, soa)
		}
		p.proofs(w, authorityRank)
		return w
	}
	if soa == nil && !forward {
		// an upward or sideways referral, whatever AA says
		for i := range p.recs {
			if r := &p.recs[i]; r.section == wire.Authority && r.typ == dns.TypeNS &&
				!(w.aa && string(p.names[r.owner]) == string(zone)) {
				w.class, w.cut = classLame, p.names[r.owner]
				w.why = "refers upwards"
				return w
			}
		}
		// nothing at all from one who does not claim to know
		if recLame {
			w.class, w.why = classRecLame, "recursive server"
			return w
		}
		if !w.aa && p.alien() {
			w.why = "no answer, only what is not its business"
			w.class = classLame
			w.cut = rootName
			return w
		}
	}
	w.class = classNoData
	p.setNegative(e, w, soa)
	p.proofs(w, authorityRank)
	if recLame {
		w.class, w.why = classRecLame, "recursive server"
	}
	if len(p.recs) == 0 && !forward {
		// Servers that have lost a zone say so in this way too: others may
		// know better (RFC 2308, section 2.2, type 3, gives no proof at all).
		w.class, w.why = classRecLame, "says nothing at all"
	}
	return w
}

// maxChain is how many aliases one message may bring; more are asked for anew,
// paid from the budget.
const maxChain = 16

// alien reports whether the message has records but none that were believed.
func (p *parser) alien() bool {
	for i := range p.recs {
		if p.recs[i].in || p.recs[i].section == wire.Additional {
			return false
		}
	}
	return len(p.recs) > 0
}

// allSignatures collects the RRSIG records of a name as if they were an RRset.
func (p *parser) allSignatures(w *response, cur []byte, rank Rank) bool {
	n := len(p.buf)
	ttl := uint32(DefaultMaxTTL)
	for i := range p.recs {
		if r := &p.recs[i]; r.section == wire.Answer && r.typ == dns.TypeRRSIG && string(p.names[r.owner]) == string(cur) {
			p.buf = AppendPacked(p.buf, r.data)
			ttl = min(ttl, r.ttl)
		}
	}
	if len(p.buf) == n {
		return false
	}
	w.msg.Answer = append(w.msg.Answer, RRset{Section: wire.Answer, Owner: cur, Type: dns.TypeRRSIG, TTL: ttl,
		Records: p.buf[n:len(p.buf):len(p.buf)], Rank: rank})
	return true
}

// dname finds a DNAME of an ancestor of name in the answer section.
func (p *parser) dname(name []byte) *group {
	for i := range p.groups {
		g := &p.groups[i]
		if g.typ == dns.TypeDNAME && g.section == wire.Answer && g.first >= 0 && len(p.names[g.owner]) < len(name) &&
			dnsname.IsBelow(name, p.names[g.owner]) {
			return g
		}
	}
	return nil
}

// proofs adds the SOA, NSEC and NSEC3 RRsets of the authority section, DS too.
func (p *parser) proofs(w *response, rank Rank) {
	for i := range p.groups {
		g := &p.groups[i]
		if g.section != wire.Authority || g.first < 0 {
			continue
		}
		switch g.typ {
		case dns.TypeNSEC, dns.TypeNSEC3:
		case dns.TypeSOA:
			if w.class == classReferral || w.class == classAnswer || w.class == classAlias {
				continue
			}
			if !dnsname.IsBelow(w.final, p.names[g.owner]) {
				continue
			}
		case dns.TypeDS:
			if w.class != classReferral || string(p.names[g.owner]) != string(w.cut) {
				continue
			}
		default:
			continue
		}
		s := p.set(g, rank)
		if g.typ == dns.TypeSOA && w.soa {
			s.TTL = min(s.TTL, w.negTTL) // RFC 2308, section 3
		}
		w.msg.Authority = append(w.msg.Authority, s)
	}
}

// negative finds the SOA of a negative answer: its owner is the name or above
// it, and within the zone asked (RFC 2308, section 2).
func (p *parser) negative(cur, zone []byte) *group {
	for i := range p.groups {
		g := &p.groups[i]
		if g.section == wire.Authority && g.typ == dns.TypeSOA && g.first >= 0 && dnsname.IsBelow(cur, p.names[g.owner]) {
			return g
		}
	}
	return nil
}

func (p *parser) setNegative(e *Engine, w *response, g *group) {
	if g == nil {
		return
	}
	data := p.recs[g.first].data
	if len(data) < 22 {
		return
	}
	w.soa = true
	minimum := binary.BigEndian.Uint32(data[len(data)-4:])
	w.negTTL = e.ttl(min(g.ttl, minimum, DefaultMaxNegativeTTL))
}

// referral finds the NS RRset of a zone cut that lies below zone and at or
// above cur. What points sideways or upwards is none.
func (p *parser) referral(cur, zone []byte) *group {
	for i := range p.groups {
		g := &p.groups[i]
		if g.section != wire.Authority || g.typ != dns.TypeNS || g.first < 0 {
			continue
		}
		if owner := p.names[g.owner]; len(owner) > len(zone) && dnsname.IsBelow(cur, owner) {
			return g
		}
	}
	return nil
}

// glue collects addresses of the referral's servers, and nothing else of the
// additional section: whatever stands there is believed only for reaching
// these servers, never for answers (RFC 2181, section 5.4.1).
func (p *parser) glue(e *Engine, w *response) {
	var taken [maxNSNames]int
	start := len(p.buf)
	out := p.buf
	for i := range p.recs {
		r := &p.recs[i]
		if r.section != wire.Additional || !r.in {
			continue
		}
		addr, ok := address(r.typ, r.data)
		if !ok {
			continue
		}
		k := 0
		for name, rest, ok := w.ns.Next(); ok && k < maxNSNames; name, rest, ok = rest.Next() {
			if dnsname.Equal(name, p.names[r.owner]) {
				if taken[k] < maxGlueName && e.mayAsk(addr) {
					taken[k]++
					out = appendGlue(out, k, addr)
				}
				break
			}
			k++
		}
	}
	p.buf = out
	w.glue = out[start:len(out):len(out)]
}

// address reads the data of an A or AAAA record.
func address(t dns.Type, data []byte) (netip.Addr, bool) {
	switch {
	case t == dns.TypeA && len(data) == 4:
		return netip.AddrFrom4([4]byte(data)), true
	case t == dns.TypeAAAA && len(data) == 16:
		return netip.AddrFrom16([16]byte(data)).Unmap(), true
	}
	return netip.Addr{}, false
}

// appendGlue packs one address of the server with this number in the NS
// RRset: number, length, address.
func appendGlue(dst []byte, ns int, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return append(append(dst, byte(ns), 4), b[:]...)
	}
	b := a.As16()
	return append(append(dst, byte(ns), 16), b[:]...)
}

// Glue splits the first address off those of a KindDelegation entry: ns is the
// number of its name in Records.
func Glue(p []byte) (ns int, a netip.Addr, rest []byte, ok bool) {
	if len(p) < 2 || len(p) < 2+int(p[1]) {
		return 0, a, nil, false
	}
	a, ok = netip.AddrFromSlice(p[2 : 2+int(p[1])])
	return int(p[0]), a, p[2+int(p[1]):], ok
}

// mayAsk leaves out addresses that can be nobody's name server.
func (e *Engine) mayAsk(a netip.Addr) bool {
	if a.IsUnspecified() || a.IsMulticast() || a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240) || a.Zone() != "" {
		return false
	}
	if a.Is4() {
		return e.cfg.IPv4
	}
	return e.cfg.IPv6
}

// ignored reports whether an answer has an address of IGNOREIP.
func (e *Engine) ignored(w *response) bool {
	for i := range w.msg.Answer {
		if s := &w.msg.Answer[i]; e.cfg.Ignores(s.Type, s.Records) {
			return true
		}
	}
	return false
}

// Ignores reports whether one of the records has an address of IGNOREIP.
func (c *Config) Ignores(t dns.Type, records Packed) bool {
	if len(c.IgnoreIP) == 0 {
		return false
	}
	for data, rest, ok := records.Next(); ok; data, rest, ok = rest.Next() {
		if a, ok := address(t, data); ok {
			for _, p := range c.IgnoreIP {
				if p.Contains(a) {
					return true
				}
			}
		}
	}
	return false
}

// log emits the rr lines of a response as the old program does: all records
// within the bailiwick, sorted by type, length of the owner, owner and
// position (compat: djbdns.md, section 10.4, step 3). It keeps the count of
// bytes that program would have put into its cache.
func (e *Engine) logRecords(x *exchange, from netip.AddrPort) {
	p := &e.in
	p.order = p.order[:0]
	for i := range p.recs {
		if p.recs[i].in {
			p.order = append(p.order, i)
		}
	}
	slices.SortFunc(p.order, func(i, j int) int {
		a, b := &p.recs[i], &p.recs[j]
		if c := cmp.Compare(a.typ, b.typ); c != 0 {
			return c
		}
		if a.owner != b.owner {
			x, y := p.names[a.owner], p.names[b.owner]
			if c := cmp.Compare(len(x), len(y)); c != 0 {
				return c
			}
			if c := bytes.Compare(x, y); c != 0 {
				return c
			}
		}
		return cmp.Compare(i, j)
	})
	q := x.question()
	if q != nil && q.Trace {
		e.explain(q, x, from)
	}
	for k := 0; k < len(p.order); {
		r := &p.recs[p.order[k]]
		n := 0
		ttl := r.ttl
		logged := true
		for ; k+n < len(p.order); n++ {
			s := &p.recs[p.order[k+n]]
			if s.typ != r.typ || s.owner != r.owner {
				break
			}
			ttl = min(ttl, s.ttl)
		}
		size := 22 + len(p.names[r.owner])
		for i := range n {
			s := &p.recs[p.order[k+i]]
			switch s.typ {
			case dns.TypeSOA:
				logged = s.section == wire.Answer
				size = 0
			case dns.TypeA, dns.TypeNS, dns.TypePTR, dns.TypeMX:
				size += len(s.data)
			case dns.TypeCNAME:
				size = 22 + len(p.names[r.owner]) + len(s.data)
			default:
				size += 2 + len(s.data)
			}
			if logged {
				e.emit(Event{Kind: EventRR, Question: q, Server: from, TTL: ttl, Type: s.typ, Name: p.names[s.owner],
					Control: x.zoneName(), Data: s.data})
			}
		}
		// of a zone's NS question the old program had the answer from the
		// parent: nothing would have moved
		if ttl > 0 && size > 0 && !(x.typ == dns.TypeNS && x.nameLen == x.zoneLen) {
			e.motion += uint64(size)
		}
		k += n
	}
}

// explain says of every record of a response what became of it, and by which
// rule.
func (e *Engine) explain(q *Question, x *exchange, from netip.AddrPort) {
	p := &e.in
	w := &p.resp
	among := func(sets []RRset, r *record) bool {
		for i := range sets {
			if s := &sets[i]; s.Section == r.section && string(s.Owner) == string(p.names[r.owner]) &&
				(s.Type == r.typ || r.typ == dns.TypeRRSIG && len(s.Sigs) > 0) {
				return true
			}
		}
		return false
	}
	for i := range p.recs {
		r := &p.recs[i]
		kind, why := EventDrop, "not what was asked for"
		switch {
		case !r.in:
			why = "outside the bailiwick of " + dnsname.Name(x.zoneName()).Text()
		case r.section == wire.Answer && among(w.msg.Answer, r):
			kind, why = EventAccept, "answers the question, or is an alias on the way"
		case r.section == wire.Authority && among(w.msg.Authority, r):
			kind, why = EventAccept, "proof of absence, SOA or DS"
		case w.class == classReferral && r.section == wire.Authority && r.typ == dns.TypeNS && string(p.names[r.owner]) == string(w.cut):
			kind, why = EventAccept, "delegation"
		case w.class == classReferral && r.section == wire.Additional:
			why = "address of no server of the delegation, or too many"
			for name, rest, ok := w.ns.Next(); ok; name, rest, ok = rest.Next() {
				if _, addr := address(r.typ, r.data); addr && dnsname.Equal(name, p.names[r.owner]) {
					kind, why = EventAccept, "address of a server of the delegation, for reaching it alone"
				}
			}
		case r.section == wire.Additional:
			why = "additional data are no answers (RFC 2181, section 5.4.1)"
		case r.section == wire.Authority && r.typ == dns.TypeNS:
			why = "names of servers without a delegation"
			if w.aa && string(p.names[r.owner]) == string(x.zoneName()) {
				kind, why = EventAccept, "the zone's own servers, should the parent's fail"
			}
		}
		e.emit(Event{Kind: kind, Question: q, Server: from, TTL: r.ttl, Type: r.typ, Name: p.names[r.owner],
			Control: x.zoneName(), Data: r.data, Reason: why})
	}
}
