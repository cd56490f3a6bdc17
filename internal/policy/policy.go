// Package policy stands between clients and the resolver's engine: response
// policy zones (package rpz) and DNS64 (package dns64). It has the engine's
// methods and is a Front to it. Without zones and prefixes it passes all
// through.
//
// Policy is applied to what would have been answered, after validation: what is
// bogus stays SERVFAIL, whatever a zone says of addresses in it.
package policy

import (
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dns64"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
	"bulkhead/internal/rpz"
	"bulkhead/internal/wire"
)

// Config is what an administrator decides.
type Config struct {
	Zones []*rpz.Zone    // in order of precedence
	DNS64 []dns64.Prefix // each gives an address for each IPv4 address
}

// Active reports whether there is anything to do.
func (c *Config) Active() bool { return len(c.Zones) > 0 || len(c.DNS64) > 0 }

// maxPending bounds the questions that wait for a second one.
const maxPending = 8192

// synthTTL caps the TTL of synthesised records when the negative answer has no
// SOA, in seconds (RFC 6147, section 5.1.7).
const synthTTL = 600

// Layer is an engine with policy.
type Layer struct {
	*resolver.Engine
	cfg     *Config
	cache   resolver.Cache
	next    resolver.Front
	now     resolver.Time
	pending map[uint64]*pending
	queue   []resolver.Question
	entry   resolver.Entry
	note    Note
}

// pending is a question of which a second one has been asked.
type pending struct {
	q     resolver.Question // the client's
	kind  uint8
	keep  resolver.Answer // what there was so far
	ttl   uint32
	stops int // how often it may be taken up again
}

const (
	followAlias   uint8 = iota // keep holds the alias, the second answer what it leads to
	followA                    // keep holds the answer without AAAA, the second one A
	followTargetA              // the same, but keep leads to another name by a policy's alias: the second answer has its A
)

// Note hears of what decided the answer of an explained question: "policy" and
// the zone, or "dns64" and none.
type Note func(what string, zone dnsname.Name, why string)

// New makes an engine with policy in front. note may be nil.
func New(cfg *resolver.Config, pol *Config, cache resolver.Cache, net resolver.Net, front resolver.Front,
	events resolver.Events, rng resolver.Rand, note Note) *Layer {
	if pol == nil {
		pol = &Config{}
	}
	l := &Layer{cfg: pol, cache: cache, next: front, pending: map[uint64]*pending{}, note: note}
	l.Engine = resolver.New(l.stopping(cfg), cache, net, l, events, rng)
	return l
}

// SetConfig replaces the engine's configuration.
func (l *Layer) SetConfig(now resolver.Time, cfg *resolver.Config) {
	l.Engine.SetConfig(now, l.stopping(cfg))
}

// stopping makes the engine stop at aliases that lead to a name with a rule of
// its own: what is not to be answered need not be asked. It answers for
// ipv4only.arpa if it makes AAAA.
func (l *Layer) stopping(cfg *resolver.Config) *resolver.Config {
	c := *cfg
	c.DNS64 = len(l.cfg.DNS64) > 0
	c.Stop = func(name []byte) bool {
		for i, z := range l.cfg.Zones {
			if r := z.QName(dnsname.Name(name)); r != nil {
				return r.Action != rpz.PassThru && !l.later(i)
			}
		}
		return false
	}
	return &c
}

// SetPolicy replaces the policy.
func (l *Layer) SetPolicy(pol *Config) {
	if pol == nil {
		pol = &Config{}
	}
	l.cfg = pol
}

// Ask resolves a question, or answers it by policy.
func (l *Layer) Ask(now resolver.Time, q *resolver.Question) {
	l.now = now
	if !l.cfg.Active() {
		l.Engine.Ask(now, q)
		return
	}
	name := dnsname.Name(q.Name).Lower()
	if r, i := l.before(q, name); r != nil && !l.later(i) && !through(q, r) {
		l.apply(q, &resolver.Answer{}, r, name, 0)
	} else if target, ok := l.reverse(q, name); ok {
		a := resolver.Answer{Sec: resolver.Insecure, RRs: []resolver.RRset{alias(name, target, synthTTL)}}
		l.follow(q, &a, target, maxStops)
	} else {
		l.Engine.Ask(now, q)
	}
	l.flush()
}

// Deliver, Failed and Expire are the engine's, with what follows from them.
func (l *Layer) Deliver(now resolver.Time, token resolver.Token, msg []byte) {
	l.now = now
	l.Engine.Deliver(now, token, msg)
	l.flush()
}

// Failed: see Deliver.
func (l *Layer) Failed(now resolver.Time, token resolver.Token) {
	l.now = now
	l.Engine.Failed(now, token)
	l.flush()
}

// Expire: see Deliver.
func (l *Layer) Expire(now resolver.Time) {
	l.now = now
	l.Engine.Expire(now)
	l.flush()
}

// Abandon forgets a client.
func (l *Layer) Abandon(ticket uint64) {
	delete(l.pending, ticket)
	l.Engine.Abandon(ticket)
}

// flush asks the second questions: an engine must not be asked from within
// Done.
func (l *Layer) flush() {
	for len(l.queue) > 0 {
		q := l.queue[0]
		l.queue = l.queue[1:]
		if l.pending[q.Ticket] != nil {
			l.Engine.Ask(l.now, &q)
		}
	}
	l.queue = nil
}

// through reports whether a rule lets a question pass as if there was no
// policy: PASSTHRU, and TCP-ONLY over TCP.
func through(q *resolver.Question, r *rpz.Rule) bool {
	return r.Action == rpz.PassThru || r.Action == rpz.TCPOnly && q.TCP
}

// before finds the first rule that the question alone decides, and the index of
// its zone.
func (l *Layer) before(q *resolver.Question, name dnsname.Name) (*rpz.Rule, int) {
	for i, z := range l.cfg.Zones {
		if q.Client.IsValid() {
			if r := z.Addr(rpz.ClientIP, q.Client); r != nil {
				return r, i
			}
		}
		if r := z.QName(name); r != nil {
			return r, i
		}
	}
	return nil, 0
}

// later reports whether a zone before i has rules that only the answer can
// decide: these come first.
func (l *Layer) later(i int) bool {
	for _, z := range l.cfg.Zones[:i] {
		if z.Has(rpz.IP) || z.Has(rpz.NSDName) || z.Has(rpz.NSIP) {
			return true
		}
	}
	return false
}

// Done implements resolver.Front.
func (l *Layer) Done(q *resolver.Question, a *resolver.Answer) {
	if p := l.pending[q.Ticket]; p != nil { // even if there is no policy any more
		delete(l.pending, q.Ticket)
		l.second(p, a)
		return
	}
	if !l.cfg.Active() {
		l.next.Done(q, a)
		return
	}
	if len(l.cfg.Zones) > 0 {
		if r, name, at := l.match(q, a); r != nil && !through(q, r) {
			l.apply(q, a, r, name, at)
			return
		} else if r != nil {
			l.noteRule(q, r)
		}
		if a.Stopped {
			// this client is let through
			l.follow(q, a, lastName(q, a), maxStops)
			return
		}
	}
	l.sixtyFour(q, a, followA)
}

// match finds the rule for an answer: the name it is about, and how many RRsets
// of the alias chain stand before it.
func (l *Layer) match(q *resolver.Question, a *resolver.Answer) (*rpz.Rule, dnsname.Name, int) {
	type hop struct {
		name dnsname.Name
		at   int
	}
	name := dnsname.Name(q.Name).Lower()
	hops := []hop{{name, 0}}
	for i := range a.RRs {
		s := &a.RRs[i]
		if s.Section == wire.Answer && s.Type == dns.TypeCNAME && q.Type != dns.TypeCNAME &&
			dnsname.Equal(s.Owner, hops[len(hops)-1].name) {
			if target, _, ok := s.Records.Next(); ok && dnsname.Valid(target) {
				hops = append(hops, hop{dnsname.Name(target).Lower(), i + 1})
			}
		}
	}
	last := hops[len(hops)-1]
	good := a.RCode == dns.RCodeSuccess || a.RCode == dns.RCodeNXDomain
	for _, z := range l.cfg.Zones {
		if q.Client.IsValid() {
			if r := z.Addr(rpz.ClientIP, q.Client); r != nil {
				return r, name, 0
			}
		}
		for _, h := range hops {
			if r := z.QName(h.name); r != nil {
				return r, h.name, h.at
			}
		}
		if !good {
			continue // no answer, or a bogus one, has no addresses to judge
		}
		if z.Has(rpz.IP) {
			for i := range a.RRs {
				s := &a.RRs[i]
				if s.Section != wire.Answer {
					continue
				}
				for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
					if ip, ok := address(s.Type, data); ok {
						if r := z.Addr(rpz.IP, ip); r != nil {
							return r, last.name, last.at
						}
					}
				}
			}
		}
		if z.Has(rpz.NSDName) || z.Has(rpz.NSIP) {
			for _, h := range hops {
				if r := l.servers(z, h.name); r != nil {
					return r, h.name, h.at
				}
			}
		}
	}
	return nil, "", 0
}

// servers looks at the delegations above name that the cache knows: those the
// answer came through.
func (l *Layer) servers(z *rpz.Zone, name dnsname.Name) *rpz.Rule {
	var byIP *rpz.Rule
	for n := []byte(name); n[0] != 0; n = dnsname.Parent(n) {
		if !l.cache.Get(&l.entry, resolver.KindDelegation, 0, n) {
			continue
		}
		var names []dnsname.Name
		for data, rest, ok := l.entry.Records.Next(); ok; data, rest, ok = rest.Next() {
			names = append(names, dnsname.Name(data).Lower())
		}
		for _, ns := range names {
			if r := z.Server(ns); r != nil {
				return r
			}
		}
		if !z.Has(rpz.NSIP) || byIP != nil {
			continue
		}
		for _, ip, rest, ok := resolver.Glue(l.entry.Proof); ok; _, ip, rest, ok = resolver.Glue(rest) {
			if r := z.Addr(rpz.NSIP, ip); r != nil && byIP == nil {
				byIP = r
			}
		}
		for _, ns := range names {
			for _, t := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
				if byIP != nil || !l.cache.Get(&l.entry, resolver.KindRRset, t, []byte(ns)) {
					continue
				}
				for data, rest, ok := l.entry.Records.Next(); ok; data, rest, ok = rest.Next() {
					if ip, ok := address(t, data); ok && byIP == nil {
						byIP = z.Addr(rpz.NSIP, ip)
					}
				}
			}
		}
	}
	return byIP
}

func address(t dns.Type, data []byte) (netip.Addr, bool) {
	switch {
	case t == dns.TypeA && len(data) == 4:
		return netip.AddrFrom4([4]byte(data)), true
	case t == dns.TypeAAAA && len(data) == 16:
		return netip.AddrFrom16([16]byte(data)), true
	}
	return netip.Addr{}, false
}

// apply answers by rule r for name, which the first at RRsets of a lead to.
func (l *Layer) apply(q *resolver.Question, a *resolver.Answer, r *rpz.Rule, name dnsname.Name, at int) {
	l.noteRule(q, r)
	out := resolver.Answer{Sec: resolver.Insecure, EDE: true, Code: dns.EDEBlocked, Text: "policy zone " + r.Zone.Text()}
	for i := range a.RRs[:at] {
		if a.RRs[i].Section == wire.Answer {
			out.RRs = append(out.RRs, clone(&a.RRs[i]))
		}
	}
	before := len(out.RRs)
	switch r.Action {
	case rpz.NXDomain:
		out.RCode = dns.RCodeNXDomain
	case rpz.Drop:
		out.Drop = true
	case rpz.TCPOnly:
		out.Truncate, out.EDE, out.RRs = true, false, nil
	case rpz.Data:
		out.Code = dns.EDEForgedAnswer
		var target dnsname.Name
		for _, rec := range r.Records {
			switch {
			case rec.Type == dns.TypeCNAME && q.Type != dns.TypeCNAME && q.Type != dns.TypeANY:
				target = dnsname.Name(rec.Data).Lower()
				if dnsname.IsWildcard(target) {
					// section 3.5: *.x stands for the name itself below x
					t, ok := dnsname.Join(name, dnsname.Parent(target))
					if !ok {
						out.RCode = dns.RCodeYXDomain
						break
					}
					target = t
				}
				out.RRs = append(out.RRs, alias(name, target, rec.TTL))
			case rec.Type == q.Type || q.Type == dns.TypeANY:
				out.RRs = addRecord(out.RRs, name, rec)
			}
		}
		if target != "" && out.RCode == 0 {
			l.follow(q, &out, target, maxStops)
			return
		}
		if q.Type == dns.TypeAAAA && len(l.cfg.DNS64) > 0 && out.RCode == 0 && len(out.RRs) == before && !(q.CD && q.DO) {
			// DNS64 of what the policy has put there
			made := out
			for _, rec := range r.Records {
				if rec.Type == dns.TypeA {
					made.RRs = addRecord(made.RRs, name, rec)
				}
			}
			if sixtyFour, ok := l.synthesise(&made, synthTTL); ok {
				out.RRs = sixtyFour.RRs
			}
		}
	}
	l.next.Done(q, &out)
}

func (l *Layer) noteRule(q *resolver.Question, r *rpz.Rule) {
	if q.Trace && l.note != nil {
		l.note("policy", r.Zone, r.Trigger.String()+" rule "+r.Owner.Text()+": "+r.Action.String())
	}
}

func addRecord(rrs []resolver.RRset, name dnsname.Name, rec rpz.Record) []resolver.RRset {
	for i := range rrs {
		if s := &rrs[i]; s.Type == rec.Type && dnsname.Equal(s.Owner, name) {
			s.Records = resolver.AppendPacked(s.Records, rec.Data)
			return rrs
		}
	}
	return append(rrs, resolver.RRset{Section: wire.Answer, Owner: []byte(name), Type: rec.Type, TTL: rec.TTL,
		Records: resolver.AppendPacked(nil, rec.Data), Sec: resolver.Insecure})
}

func alias(name, target dnsname.Name, ttl uint32) resolver.RRset {
	return resolver.RRset{Section: wire.Answer, Owner: []byte(name), Type: dns.TypeCNAME, TTL: ttl,
		Records: resolver.AppendPacked(nil, []byte(target)), Sec: resolver.Insecure}
}

// follow asks where an alias leads, without policy for the second time.
func (l *Layer) follow(q *resolver.Question, a *resolver.Answer, target dnsname.Name, stops int) {
	l.ask(q, followAlias, a, target, q.Type, 0)
	if p := l.pending[q.Ticket]; p != nil {
		p.stops = stops
	}
}

// maxStops is how often one answer is taken up again where a rule that does not
// apply had stopped it: the engine's limit of aliases.
const maxStops = 16

// lastName is where the aliases of an answer lead.
func lastName(q *resolver.Question, a *resolver.Answer) dnsname.Name {
	name := dnsname.Name(q.Name).Lower()
	for i := range a.RRs {
		s := &a.RRs[i]
		if s.Section == wire.Answer && s.Type == dns.TypeCNAME && dnsname.Equal(s.Owner, name) {
			if target, _, ok := s.Records.Next(); ok && dnsname.Valid(target) {
				name = dnsname.Name(target).Lower()
			}
		}
	}
	return name
}

func (l *Layer) ask(q *resolver.Question, kind uint8, a *resolver.Answer, name dnsname.Name, t dns.Type, ttl uint32) {
	if len(l.pending) >= maxPending {
		l.next.Done(q, &resolver.Answer{RCode: dns.RCodeServFail, EDE: true, Code: dns.EDEOther, Text: "too many questions at once"})
		return
	}
	p := &pending{q: *q, kind: kind, keep: *a, ttl: ttl}
	p.q.Name = append([]byte(nil), q.Name...)
	p.keep.RRs = nil
	for i := range a.RRs {
		p.keep.RRs = append(p.keep.RRs, clone(&a.RRs[i]))
	}
	l.pending[q.Ticket] = p
	second := *q
	second.Name, second.Type = []byte(name), t
	l.queue = append(l.queue, second)
}

func clone(s *resolver.RRset) resolver.RRset {
	c := *s
	c.Owner = append([]byte(nil), s.Owner...)
	c.Records = append(resolver.Packed(nil), s.Records...)
	c.Sigs = append(resolver.Packed(nil), s.Sigs...)
	return c
}

// second puts two answers together.
func (l *Layer) second(p *pending, a *resolver.Answer) {
	out := p.keep
	switch p.kind {
	case followAlias:
		out.RCode = a.RCode
		out.RRs = append(out.RRs, a.RRs...)
		out.AD, out.Sec = false, min(out.Sec, resolver.Insecure)
		if a.RCode == dns.RCodeServFail {
			out = *a
		} else if a.Stopped && p.stops > 0 {
			l.follow(&p.q, &out, lastName(&p.q, &out), p.stops-1)
			return
		} else if out.RCode == dns.RCodeSuccess {
			l.sixtyFour(&p.q, &out, followTargetA)
			return
		}
	case followA:
		// what the addresses are made of is subject to policy as they are
		asked := p.q
		asked.Type = dns.TypeA
		if r, name, at := l.match(&asked, a); r != nil && !through(&p.q, r) {
			l.apply(&p.q, a, r, name, at)
			return
		}
		out = l.made(p, a, nil)
	case followTargetA:
		var chain []resolver.RRset
		for i := range p.keep.RRs {
			if s := &p.keep.RRs[i]; s.Section == wire.Answer {
				chain = append(chain, *s)
			}
		}
		out = l.made(p, a, chain)
	}
	l.next.Done(&p.q, &out)
}

// made gives what DNS64 makes of the A records of a, behind an alias chain that
// led there; what there was if it makes nothing.
func (l *Layer) made(p *pending, a *resolver.Answer, chain []resolver.RRset) resolver.Answer {
	out, ok := l.synthesise(a, p.ttl)
	if !ok {
		return p.keep
	}
	if p.q.Trace && l.note != nil {
		l.note("dns64", "", "there is no AAAA: made from A (RFC 6147)")
	}
	out.RRs = append(chain, out.RRs...)
	if chain != nil {
		out.EDE, out.Code, out.Text = p.keep.EDE, p.keep.Code, p.keep.Text
	}
	return out
}

// reverse is DNS64 for PTR: the name that stands for an address within a
// prefix.
func (l *Layer) reverse(q *resolver.Question, name dnsname.Name) (dnsname.Name, bool) {
	if q.Type != dns.TypePTR {
		return "", false
	}
	for _, p := range l.cfg.DNS64 {
		if n, ok := p.Reverse(name); ok {
			return n, true
		}
	}
	return "", false
}

// sixtyFour passes an answer on, or asks for A when it lacks AAAA (RFC 6147,
// section 5.1): followA, of the name that was asked for, or followTargetA, of
// the one where the answer leads.
func (l *Layer) sixtyFour(q *resolver.Question, a *resolver.Answer, kind uint8) {
	if len(l.cfg.DNS64) == 0 || q.Type != dns.TypeAAAA || q.CD && q.DO || a.Drop {
		// section 3, with CD and DO the client validates and wants the truth
		l.next.Done(q, a)
		return
	}
	ttl := uint32(synthTTL)
	good, excluded := 0, 0
	for i := range a.RRs {
		s := &a.RRs[i]
		switch {
		case s.Section == wire.Answer && s.Type == dns.TypeAAAA:
			for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
				if len(data) == 16 && dns64.Excluded([16]byte(data)) {
					excluded++
				} else {
					good++
				}
			}
		case s.Section == wire.Authority && s.Type == dns.TypeSOA:
			ttl = s.TTL
		}
	}
	switch {
	case good > 0 && excluded == 0, a.RCode == dns.RCodeNXDomain:
		l.next.Done(q, a)
	case good > 0: // section 5.1.4: the others alone
		out := *a
		out.AD, out.Sec, out.RRs = false, min(a.Sec, resolver.Insecure), nil
		for i := range a.RRs {
			s := clone(&a.RRs[i])
			if s.Type == dns.TypeAAAA {
				s.Records, s.Sigs = nil, nil
				for data, rest, ok := a.RRs[i].Records.Next(); ok; data, rest, ok = rest.Next() {
					if len(data) != 16 || !dns64.Excluded([16]byte(data)) {
						s.Records = resolver.AppendPacked(s.Records, data)
					}
				}
			}
			out.RRs = append(out.RRs, s)
		}
		l.next.Done(q, &out)
	case a.RCode == dns.RCodeSuccess, a.RCode == dns.RCodeServFail && !bogus(a):
		// section 5.1.2: other errors count as an empty answer; but what is
		// bogus stays so (section 5.5)
		name := dnsname.Name(q.Name)
		if kind == followTargetA {
			name = lastName(q, a)
		}
		l.ask(q, kind, a, name, dns.TypeA, ttl)
	default:
		l.next.Done(q, a)
	}
}

// bogus reports whether an answer failed because of what it held.
func bogus(a *resolver.Answer) bool {
	if a.Sec == resolver.Bogus && !a.EDE {
		return true
	}
	switch a.Code {
	case dns.EDEUnsupportedDNSKEYAlgorithm, dns.EDEUnsupportedDSDigest, dns.EDEDNSSECIndeterminate, dns.EDEDNSSECBogus,
		dns.EDESignatureExpired, dns.EDESignatureNotYetValid, dns.EDEDNSKEYMissing, dns.EDERRSIGsMissing,
		dns.EDENoZoneKeyBitSet, dns.EDENSECMissing, dns.EDESignatureExpiredBeforeValid, dns.EDEUnsupportedNSEC3Iterations:
		return a.EDE
	}
	return false
}

// synthesise makes AAAA records of an answer's A records (RFC 6147, section
// 5.1.7).
func (l *Layer) synthesise(a *resolver.Answer, ttl uint32) (resolver.Answer, bool) {
	if a.RCode != dns.RCodeSuccess {
		return resolver.Answer{}, false
	}
	out := resolver.Answer{Sec: resolver.Insecure}
	any := false
	for i := range a.RRs {
		s := &a.RRs[i]
		if s.Section != wire.Answer {
			continue
		}
		c := clone(s)
		if s.Type == dns.TypeA {
			c.Type, c.Records, c.Sigs, c.TTL = dns.TypeAAAA, nil, nil, min(s.TTL, ttl)
			for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
				if len(data) != 4 {
					continue
				}
				for _, p := range l.cfg.DNS64 {
					v := p.Embed([4]byte(data))
					c.Records = resolver.AppendPacked(c.Records, v[:])
					any = true
				}
			}
			if len(c.Records) == 0 {
				continue
			}
		}
		out.RRs = append(out.RRs, c)
	}
	return out, any
}
