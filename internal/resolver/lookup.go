package resolver

import (
	"encoding/binary"
	"math"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// found says what the cache knows of a name and a type.
type found uint8

const (
	foundNothing found = iota
	foundRRset
	foundNoData
	foundNXDomain
	foundCNAME
	foundDNAME
	foundFailure
)

// anyOrder is what a question for ANY gets of the cache: the first of these
// alone (compat: djbdns.md, section 10.4; a subset is right by RFC 8482).
var anyOrder = [...]dns.Type{dns.TypeCNAME, dns.TypeNS, dns.TypePTR, dns.TypeMX, dns.TypeA}

// lookup finds what the cache knows; e.entry is the entry, and owner its name:
// name itself or, for DNAME and the NXDOMAIN cut of RFC 8020, one above.
func (e *Engine) lookup(name []byte, t dns.Type) (f found, typ dns.Type, owner []byte) {
	now := e.now.Seconds()
	if t == dns.TypeANY {
		for _, typ := range anyOrder {
			if e.cache.Get(&e.entry, KindRRset, typ, name) && e.entry.Expires > now && len(e.entry.Records) > 0 {
				return foundRRset, typ, name
			}
		}
	} else {
		if e.cache.Get(&e.entry, KindRRset, t, name) && e.entry.Expires > now {
			if len(e.entry.Records) == 0 {
				return foundNoData, t, name
			}
			return foundRRset, t, name
		}
		// DS is the parent's: an alias that the child's side has there says
		// nothing about it
		if t != dns.TypeCNAME && t != dns.TypeDS && e.cache.Get(&e.entry, KindRRset, dns.TypeCNAME, name) &&
			e.entry.Expires > now && len(e.entry.Records) > 0 {
			return foundCNAME, dns.TypeCNAME, name
		}
	}
	if e.cache.Get(&e.entry, KindNXDomain, 0, name) && e.entry.Expires > now {
		return foundNXDomain, 0, name
	}
	// Above: DNAME (RFC 6672) and names that do not exist (RFC 8020). What a
	// configured zone is concerned with is not decided by what lies above it.
	for p := name; p[0] != 0 && e.zones[dnsname.Name(p)] == nil; {
		p = dnsname.Parent(p)
		if p[0] == 0 {
			break
		}
		if e.cache.Get(&e.entry, KindNXDomain, 0, p) && e.entry.Expires > now {
			return foundNXDomain, 0, p
		}
		if e.cache.Get(&e.entry, KindRRset, dns.TypeDNAME, p) && e.entry.Expires > now && len(e.entry.Records) > 0 {
			return foundDNAME, dns.TypeDNAME, p
		}
	}
	if e.failed(&e.entry, t, name) {
		return foundFailure, t, name
	}
	return foundNothing, 0, nil
}

// failed reports whether a question failed a moment ago (RFC 9520). What failed
// before the configuration came may not fail by it: a negative trust anchor, a
// server that was mended.
func (e *Engine) failed(entry *Entry, t dns.Type, name []byte) bool {
	return e.cache.Get(entry, KindFailure, t, name) && entry.Expires > e.now.Seconds() &&
		entry.Expires-int64(entry.TTL) > e.since
}

// mustCheck reports whether an entry of this status has to be validated before
// a client may have it.
func (e *Engine) mustCheck(name []byte, sec Security, cd bool) bool {
	return !cd && sec.Open() && e.covers(name)
}

// covers reports whether what is said of name has to be validated.
func (e *Engine) covers(name []byte) bool {
	return e.cfg.Validator != nil && e.cfg.Validator.Covers(e.now, name)
}

// fast answers from local knowledge and the cache alone, without allocating.
// When it can not, it has started the work itself if the cache led part of the
// way, or gives false.
func (e *Engine) fast(q *Question, name []byte) bool {
	a := &e.out
	*a = Answer{RRs: a.RRs[:0], Sec: Secure}
	e.outBuf = e.outBuf[:0]
	cur := name
	var prefetch bool
	for aliases := 0; ; aliases++ {
		if e.special(cur, q.Type, a) {
			if e.isStats(cur) {
				e.emit(Event{Kind: EventStats, Question: q})
			}
			a.Sec = min(a.Sec, Insecure)
			e.emit(Event{Kind: EventLocal, Question: q, Type: q.Type, Name: cur})
			e.front.Done(q, a)
			return true
		}
		f, typ, owner := e.lookup(cur, q.Type)
		if f == foundFailure {
			code := dns.EDE(e.entry.Code - 1)
			if q.CD && (*root)(nil).bogus(code) {
				return e.begin(q, name, cur, a)
			}
			if e.cfg.ServeStale > 0 && !q.CD && e.staleFor(name, q.Type) {
				a.AD = a.Sec == Secure
				e.emit(Event{Kind: EventStale, Question: q, Type: q.Type, Name: name})
				e.front.Done(q, a)
				return true
			}
			*a = Answer{RCode: dns.RCodeServFail, EDE: true, Code: dns.EDECachedError, RRs: a.RRs[:0],
				Text: "failed a moment ago"}
			if (*root)(nil).bogus(code) {
				a.Code, a.Text, a.Sec = code, "bogus a moment ago", Bogus
			}
			e.front.Done(q, a)
			return true
		}
		if f == foundNothing || e.mustCheck(owner, e.entry.Sec, q.CD) {
			return e.begin(q, name, cur, a)
		}
		if e.cfg.Prefetch && e.entry.TTL >= minPrefetchTTL &&
			(e.entry.Expires-e.now.Seconds())*prefetchPart <= int64(e.entry.TTL) {
			prefetch = true
		}
		a.Sec = min(a.Sec, e.entry.Sec)
		e.emitCached(q, f, typ, cur)
		switch f {
		case foundRRset, foundNoData, foundNXDomain:
			e.addEntry(a, f, typ, owner)
			a.AD = a.Sec == Secure && !q.CD
			e.front.Done(q, a)
			if prefetch {
				e.refresh(name, q.Type)
				e.run()
			}
			return true
		}
		e.addEntry(a, f, typ, owner)
		target, ok := e.follow(a, f, cur, owner)
		if !ok {
			a.RCode = dns.RCodeYXDomain
			e.front.Done(q, a)
			return true
		}
		cur = target
		a.Stopped = e.stops(cur)
		if a.Stopped || f == foundDNAME && q.Type == dns.TypeCNAME {
			a.AD = a.Sec == Secure && !q.CD
			e.front.Done(q, a)
			return true
		}
		if aliases == e.limits.Aliases {
			*a = Answer{RCode: dns.RCodeServFail, EDE: true, Code: dns.EDEOther, Text: budgetText("aliases"), RRs: a.RRs[:0]}
			e.front.Done(q, a)
			return true
		}
	}
}

const (
	minPrefetchTTL = 10 // seconds; below, an entry is hardly kept at all
	prefetchPart   = 10 // the last tenth of its life; unbound the same
)

// begin starts the work for q from cur on, where the cache had no more to say;
// a holds the alias chain so far.
func (e *Engine) begin(q *Question, name, cur []byte, a *Answer) bool {
	if len(a.RRs) == 0 {
		return false
	}
	h := e.hash(name, uint64(q.Type), b2u(q.CD))
	for r := e.roots[h]; r != nil; r = r.next {
		if r.typ == q.Type && r.cd == q.CD && !r.primer && string(r.qname()) == string(name) {
			return false
		}
	}
	if e.nRoots >= maxRoots || e.nTasks >= maxTasks {
		return false
	}
	r := e.newRoot(h, name, q.Type, q.CD)
	r.join(q)
	if e.cfg.ServeStale > 0 {
		e.timers.set(&r.wait, e.now+e.cfg.staleWait())
	}
	t := e.newTask(r, nil, modeClient, cur, q.Type)
	t.sec = a.Sec
	for i := range a.RRs {
		t.rrs = append(t.rrs, r.keepRRset(&a.RRs[i]))
		if a.RRs[i].Type == dns.TypeCNAME && !r.budget.alias() {
			r.fail(dns.EDEOther, "")
			break
		}
	}
	e.run()
	return true
}

func (e *Engine) emitCached(q *Question, f found, typ dns.Type, name []byte) {
	if e.ev == nil {
		return
	}
	switch f {
	case foundNXDomain:
		e.emit(Event{Kind: EventCachedNXDomain, Question: q, Name: name})
	case foundCNAME, foundDNAME:
		target, _, _ := e.entry.Records.Next()
		e.emit(Event{Kind: EventCachedCNAME, Question: q, Name: name, Target: target})
	default:
		e.emit(Event{Kind: EventCached, Question: q, Type: typ, Name: name})
	}
}

// scratch copies b to where it lives until the answer is given.
func (e *Engine) scratch(b []byte) []byte {
	n := len(e.outBuf)
	e.outBuf = append(e.outBuf, b...)
	return e.outBuf[n:len(e.outBuf):len(e.outBuf)]
}

// addEntry adds e.entry to an answer.
func (e *Engine) addEntry(a *Answer, f found, typ dns.Type, owner []byte) {
	left := e.entry.Expires - e.now.Seconds()
	ttl := uint32(max(left, 0))
	switch f {
	case foundRRset, foundCNAME, foundDNAME:
		a.RRs = append(a.RRs, RRset{Section: wire.Answer, Owner: e.scratch(owner), Type: typ, TTL: ttl,
			Records: e.scratch(e.entry.Records), Sigs: e.scratch(e.entry.Sigs), Sec: e.entry.Sec})
	case foundNXDomain:
		a.RCode = dns.RCodeNXDomain
	}
	if len(e.entry.Proof) > 0 {
		a.RRs = AppendProof(a.RRs, e.scratch(e.entry.Proof), ttl, e.entry.Sec)
	}
}

// follow gives the next name of an alias chain whose CNAME or DNAME was added
// to a last. For DNAME it adds the CNAME that follows from it (RFC 6672,
// section 3.1). False: the new name is too long (YXDOMAIN, the same, 2.2).
func (e *Engine) follow(a *Answer, f found, cur, owner []byte) (next []byte, ok bool) {
	// proofs may stand behind it
	i := len(a.RRs) - 1
	for a.RRs[i].Section != wire.Answer {
		i--
	}
	target, _, ok := a.RRs[i].Records.Next()
	if !ok || !dnsname.Valid(target) {
		return nil, false
	}
	if f == foundCNAME {
		return e.scratch(dnsname.Lower(e.scratch(target))), true
	}
	next, ok = e.synthesise(cur, owner, target)
	if !ok {
		return nil, false
	}
	set := RRset{Section: wire.Answer, Owner: e.scratch(cur), Type: dns.TypeCNAME, TTL: a.RRs[i].TTL, Sec: a.RRs[i].Sec}
	n := len(e.outBuf)
	e.outBuf = AppendPacked(e.outBuf, next)
	set.Records = e.outBuf[n:len(e.outBuf):len(e.outBuf)]
	a.RRs = append(a.RRs, set)
	return next, true
}

// synthesise replaces the suffix owner of cur by target, in lower case.
func (e *Engine) synthesise(cur, owner, target []byte) ([]byte, bool) {
	prefix := len(cur) - len(owner)
	if prefix+len(target) > dns.MaxName {
		return nil, false
	}
	n := len(e.outBuf)
	e.outBuf = append(e.outBuf, cur[:prefix]...)
	e.outBuf = dnsname.AppendLower(e.outBuf, target)
	return e.outBuf[n:len(e.outBuf):len(e.outBuf)], true
}

// AppendRRset appends s to a proof. An RRset too large to be kept is left out
// and gives false.
func AppendRRset(dst []byte, s *RRset) ([]byte, bool) {
	if len(s.Records) > 0xFFFF || len(s.Sigs) > 0xFFFF {
		return dst, false
	}
	dst = append(dst, s.Owner...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(s.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s.Records)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s.Sigs)))
	dst = append(dst, s.Records...)
	return append(dst, s.Sigs...), true
}

// AppendProof unpacks a proof into RRsets of the authority section that point
// into it. What is malformed ends it.
func AppendProof(dst []RRset, proof []byte, ttl uint32, sec Security) []RRset {
	for len(proof) > 0 {
		n, ok := dnsname.Scan(proof)
		if !ok || len(proof) < n+6 {
			return dst
		}
		t := dns.Type(binary.BigEndian.Uint16(proof[n:]))
		r := n + 6 + int(binary.BigEndian.Uint16(proof[n+2:]))
		s := r + int(binary.BigEndian.Uint16(proof[n+4:]))
		if len(proof) < s {
			return dst
		}
		dst = append(dst, RRset{Section: wire.Authority, Owner: proof[:n:n], Type: t, TTL: ttl,
			Records: proof[n+6 : r : r], Sigs: proof[r:s:s], Sec: sec})
		proof = proof[s:]
	}
	return dst
}

// staleFor fills e.out with expired data, if they are not too old (RFC 8767,
// section 5).
func (e *Engine) staleFor(name []byte, t dns.Type) bool {
	a := &e.out
	*a = Answer{RRs: a.RRs[:0], Sec: Secure, Stale: true, EDE: true, Code: dns.EDEStaleAnswer}
	e.outBuf = e.outBuf[:0]
	limit := e.now.Seconds() - int64(e.cfg.ServeStale)
	cur := name
	for aliases := 0; aliases <= e.limits.Aliases; aliases++ {
		// What was learnt last counts: a name that has become an alias, or is
		// gone, has not its old address back.
		f, kind, owner, typ := foundNothing, KindRRset, cur, t
		learnt := int64(math.MinInt64)
		consider := func(k Kind, as dns.Type, what found) {
			if !e.cache.Get(&e.entry, k, as, cur) || e.entry.Expires <= limit || e.entry.Sec == Bogus {
				return
			}
			if k == KindRRset && len(e.entry.Records) == 0 {
				if what == foundCNAME {
					return
				}
				what = foundNoData
			}
			if at := e.entry.Expires - int64(e.entry.TTL); at > learnt {
				f, kind, typ, learnt = what, k, as, at
			}
		}
		consider(KindRRset, t, foundRRset)
		if t != dns.TypeCNAME {
			consider(KindRRset, dns.TypeCNAME, foundCNAME)
		}
		consider(KindNXDomain, 0, foundNXDomain)
		if f == foundNothing || !e.cache.Get(&e.entry, kind, typ, cur) {
			return false
		}
		if f == foundNXDomain {
			typ = t
			a.Code = dns.EDEStaleNXDomain
		}
		if e.entry.Sec.Open() && e.covers(cur) {
			return false
		}
		a.Sec = min(a.Sec, e.entry.Sec)
		at := len(a.RRs)
		e.addEntry(a, f, typ, owner)
		for i := at; i < len(a.RRs); i++ {
			if a.RRs[i].TTL == 0 {
				a.RRs[i].TTL = e.cfg.staleTTL()
			}
			if !signedAt(&a.RRs[i], uint32(e.now.Seconds())) {
				a.Sec = min(a.Sec, Insecure) // RFC 4035, section 3.2.3: no AD
			}
		}
		if f != foundCNAME {
			return true
		}
		if cur, _ = e.follow(a, f, cur, owner); cur == nil {
			return false
		}
	}
	return false
}

// signedAt reports whether a signature of s is in time still, in seconds since
// 1970 modulo 2^32.
func signedAt(s *RRset, now uint32) bool {
	for sig, rest, ok := s.Sigs.Next(); ok; sig, rest, ok = rest.Next() {
		// RFC 4034, sections 3.1 and 3.1.5: behind type, algorithm, labels and
		// the original TTL; compared as RFC 1982 asks
		if len(sig) >= 12 && int32(binary.BigEndian.Uint32(sig[8:])-now) >= 0 {
			return true
		}
	}
	return false
}

// minStaleWait: who is to wait at all waits long enough for a server near by.
const minStaleWait = 10 * Millisecond

func (c *Config) staleWait() Time {
	if c.StaleWait == 0 {
		return 0
	}
	return max(c.StaleWait, minStaleWait)
}

func (c *Config) staleTTL() uint32 {
	if c.StaleTTL == 0 {
		return 30 // RFC 8767, section 4
	}
	return c.StaleTTL
}

// staleAnswer fills e.out for a question in work.
func (e *Engine) staleAnswer(r *root) bool {
	if e.cfg.ServeStale == 0 || r.cd || !e.staleFor(r.qname(), r.typ) {
		return false
	}
	e.emit(Event{Kind: EventStale, Question: r.first(), Type: r.typ, Name: r.qname()})
	return true
}

// serveStale is called when a client has waited long enough.
func (e *Engine) serveStale(r *root) {
	if len(r.waiters) > 0 && e.staleAnswer(r) {
		e.answer(r, &e.out)
		r.stale = true
	}
}
