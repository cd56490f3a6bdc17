package resolver

import (
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// mode is what a task is for.
type mode uint8

const (
	modeClient  mode = iota // a client's question: follow aliases, validate
	modeAddress             // a name server's address: no aliases (RFC 2181, section 10.3)
	modeMessage             // DS or DNSKEY for the validator: the message as it is
	modePrime               // who serves the root
)

// state is what a task does next when it is woken.
type state uint8

const (
	stateStart    state = iota // look into the cache
	stateCut                   // find the nearest zone whose servers are known
	stateServers               // collect their addresses, ask
	stateWait                  // an exchange is out
	stateAddress               // a child task looks for a server's address
	stateValidate              // ask the validator about t.msg
	stateKeys                  // a child task fetches what the validator needs
	stateDone
)

// task resolves one name and type:
//
//	start -> cut -> servers -> wait -> validate -> done
//	  ^              | ^        |        |  ^
//	  |              v |        |        v  |
//	  |            address      |       keys
//	  +---- alias --------------+
//	         cut <-- referral --+
type task struct {
	r       *root
	parent  *task
	level   int
	mode    mode
	state   state
	queued  bool
	fresh   bool // do not look into the cache first
	x       *exchange
	nameBuf [dns.MaxName]byte
	nameLen int
	typ     dns.Type
	origin  []byte // modeClient: the name of the question

	// the zone whose servers are asked
	zoneBuf  [dns.MaxName]byte
	zoneLen  int
	forward  bool
	cached   bool  // its delegation came from the cache
	expires  int64 // lifetime of its delegation, Unix time in seconds
	bound    int64 // what a delegation below may have at most
	fixed    bool  // from root/servers
	ns       []nsName
	addrs    []netip.AddrPort
	asked    int // addrs before this have been given to an exchange
	retried  bool
	own      bool             // the zone's own NS records were taken
	glued    bool             // addresses from the servers' own delegations were taken
	logged   bool             // the tx line of this zone was given
	learnt   int64            // when the delegation came, Unix time in seconds
	result   []netip.AddrPort // modeAddress: what was found
	avoid    []netip.AddrPort // servers whose data were bogus ...
	avoidIn  []byte           // ... of this zone
	lookup   int              // ns whose address a child looks for
	lookupTy dns.Type
	hopeless bool           // modeAddress: no other type of this name will help
	above    []byte         // modeAddress: the zone whose servers can not be asked, only those above
	aliases  int            // modeAddress: followed so far
	recLame  netip.AddrPort // who gave an answer that is the last resort
	recTried bool           // it was asked again for it
	lastCode dns.EDE

	// QNAME minimisation
	minLabels int // labels of the name that is asked now, 0: the whole name
	minCount  int
	noMin     bool
	probe     bool // t.msg says that a name above does not exist
	descend   bool // DS: look for the zone cuts above the name
	descended bool

	// what came
	msg     *Message
	w       responseKeep
	from    netip.AddrPort
	rrs     []RRset // answer so far
	sec     Security
	child   *task
	need    Need
	verdict Verdict
	tries   int // after bogus data
	stopped bool
}

// responseKeep is what of a response outlives it, besides its message.
type responseKeep struct {
	class  class
	final  []byte
	negTTL uint32
	soa    bool
	cached bool // it came from the cache
}

type nsName struct {
	name  []byte
	known bool  // addresses were had with the delegation or the cache
	tried uint8 // bit 0: A, bit 1: AAAA looked up
}

func (t *task) name() []byte     { return t.nameBuf[:t.nameLen] }
func (t *task) zoneName() []byte { return t.zoneBuf[:t.zoneLen] }

func (t *task) reset() {
	*t = task{ns: t.ns[:0], addrs: t.addrs[:0], avoid: t.avoid[:0], rrs: t.rrs[:0], result: t.result[:0]}
}

func (e *Engine) newTask(r *root, parent *task, m mode, name []byte, typ dns.Type) *task {
	var t *task
	if n := len(e.freeTasks); n > 0 {
		t = e.freeTasks[n-1]
		e.freeTasks = e.freeTasks[:n-1]
	} else {
		t = new(task)
	}
	t.r, t.parent, t.mode, t.typ, t.sec = r, parent, m, typ, Secure
	if parent != nil {
		t.level = parent.level + 1
	} else {
		t.fresh = true // Ask has looked
	}
	t.nameLen = copy(t.nameBuf[:], name)
	r.tasks = append(r.tasks, t)
	e.nTasks++
	e.wake(t)
	return t
}

func (t *task) step() {
	for {
		before := t.state
		switch t.state {
		case stateStart:
			t.start()
		case stateCut:
			t.findCut()
		case stateServers:
			t.servers()
		case stateAddress:
			t.gotAddress()
		case stateValidate:
			t.validate()
		case stateKeys:
			t.gotKeys()
		default:
			return
		}
		if t.state == before || t.state == stateWait || t.state == stateDone || t.r.finished || t.child != nil {
			return
		}
	}
}

// start looks at local names and the cache.
func (t *task) start() {
	e, r := t.r.e, t.r
	if t.fresh {
		t.fresh = false
		t.state = stateCut
		return
	}
	name := t.name()
	a := &e.out
	*a = Answer{RRs: a.RRs[:0], Sec: Secure}
	e.outBuf = e.outBuf[:0]
	if t.mode != modeMessage && e.special(name, t.typ, a) {
		t.sec = min(t.sec, Insecure)
		e.emit(Event{Kind: EventLocal, Question: r.first(), Level: t.level, Type: t.typ, Name: name})
		t.localAnswer(a)
		return
	}
	f, typ, owner := e.lookup(name, t.typ)
	if f != foundNothing && f != foundFailure {
		e.emitCached(r.first(), f, typ, name)
	}
	switch t.mode {
	case modeAddress:
		t.cachedAddress(f)
		return
	case modeMessage:
		if f == foundNothing && t.typ == dns.TypeDS {
			// an alias that the parent's zone has signed shows that there is no cut
			f, typ, owner = e.lookup(name, dns.TypeCNAME)
		}
		if f == foundRRset || f == foundNoData || f == foundCNAME {
			t.msg = t.cachedMessage(f, typ, owner)
			t.done()
			return
		}
		t.state = stateCut
		return
	}
	switch f {
	case foundNothing:
		t.state = stateCut
		return
	case foundFailure:
		code := dns.EDE(e.entry.Code - 1)
		if r.cd && r.bogus(code) {
			t.state = stateCut
			return
		}
		t.failed(code, "failed a moment ago")
		return
	}
	if e.mustCheck(owner, e.entry.Sec, r.cd) {
		t.msg = t.cachedMessage(f, typ, owner)
		t.w = responseKeep{final: r.keep(owner), cached: true}
		switch f {
		case foundRRset:
			t.w.class = classAnswer
		case foundNoData:
			t.w.class = classNoData
		case foundNXDomain:
			t.w.class = classNXDomain
		case foundDNAME:
			// the CNAME that follows from it has to be in the message
			i := len(t.msg.Answer) - 1
			target, _, ok := t.msg.Answer[i].Records.Next()
			if !ok {
				t.state = stateCut
				return
			}
			next, ok := e.synthesise(name, owner, target)
			if !ok {
				t.state = stateCut
				return
			}
			next = r.keep(next)
			t.msg.Answer = append(t.msg.Answer, RRset{Section: wire.Answer, Owner: r.keep(name), Type: dns.TypeCNAME,
				TTL: t.msg.Answer[i].TTL, Records: r.keep(e.packed(next))})
			t.w.class, t.w.final = classAlias, next
			if t.typ == dns.TypeCNAME {
				t.w.class = classAnswer
			}
		case foundCNAME:
			target, _, _ := t.msg.Answer[0].Records.Next()
			t.w.class, t.w.final = classAlias, r.keep(dnsname.Lower(e.scratch(target)))
		}
		t.state = stateValidate
		return
	}
	t.sec = min(t.sec, e.entry.Sec)
	e.addEntry(a, f, typ, owner)
	if f == foundCNAME || f == foundDNAME {
		next, ok := e.follow(a, f, name, owner)
		if !ok {
			a.RCode = dns.RCodeYXDomain
			t.localAnswer(a)
			return
		}
		if f == foundDNAME && t.typ == dns.TypeCNAME {
			t.localAnswer(a)
			return
		}
		for i := range a.RRs {
			t.rrs = append(t.rrs, r.keepRRset(&a.RRs[i]))
		}
		t.alias(next)
		return
	}
	t.localAnswer(a)
}

// localAnswer ends a task with what special names or the cache gave.
func (t *task) localAnswer(a *Answer) {
	if t.mode == modeAddress {
		for i := range a.RRs {
			t.takeAddresses(&a.RRs[i])
		}
		t.done()
		return
	}
	for i := range a.RRs {
		t.rrs = append(t.rrs, t.r.keepRRset(&a.RRs[i]))
	}
	t.answer(a.RCode)
}

// alias goes on with another name.
func (t *task) alias(next []byte) {
	r := t.r
	if !r.budget.alias() {
		t.failed(dns.EDEOther, "budget spent")
		return
	}
	t.nameLen = copy(t.nameBuf[:], next)
	if t.mode == modeClient && r.e.stops(t.name()) {
		t.stopped = true
		t.answer(dns.RCodeSuccess)
		return
	}
	t.fresh = false
	t.noMin, t.minLabels, t.minCount = t.above != nil, 0, 0
	t.descend, t.descended = false, false
	t.recLame, t.recTried = netip.AddrPort{}, false
	t.avoid = t.avoid[:0]
	t.tries = 0
	t.retried = false
	t.from = netip.AddrPort{}
	t.state = stateStart
	r.e.wake(t)
}

// answer ends a client's task.
func (t *task) answer(rcode dns.RCode) {
	r := t.r
	e := r.e
	t.state = stateDone
	if t.parent != nil {
		t.done()
		return
	}
	e.out = Answer{RCode: rcode, Sec: t.sec, RRs: append(e.out.RRs[:0], t.rrs...), Stopped: t.stopped}
	if t.verdict.Code != 0 && t.sec != Secure {
		e.out.EDE, e.out.Code, e.out.Text = true, t.verdict.Code, t.verdict.Text
	}
	e.finish(r, &e.out)
}

// done ends a task and wakes the one that waits for it.
func (t *task) done() {
	t.state = stateDone
	if t.parent != nil {
		t.r.e.wake(t.parent)
		return
	}
	if t.mode == modePrime {
		t.r.e.finish(t.r, &t.r.e.out)
	}
}

// failed ends a task without an answer.
func (t *task) failed(code dns.EDE, text string) {
	t.state = stateDone
	t.msg = nil
	t.hopeless = true
	t.lastCode = code
	if t.parent != nil {
		t.r.e.wake(t.parent)
		return
	}
	t.r.fail(code, text)
}

// keepRRset copies an RRset to where it lives as long as the question.
func (r *root) keepRRset(s *RRset) RRset {
	c := *s
	c.Owner, c.Records, c.Sigs = r.keep(s.Owner), r.keep(s.Records), r.keep(s.Sigs)
	return c
}

// keepMessage copies a message likewise.
func (r *root) keepMessage(m *Message) *Message {
	c := &Message{QName: r.keep(m.QName), QType: m.QType, Zone: r.keep(m.Zone), RCode: m.RCode}
	if n := len(m.Answer) + len(m.Authority); n > 0 {
		sets := make([]RRset, 0, n)
		for i := range m.Answer {
			sets = append(sets, r.keepRRset(&m.Answer[i]))
		}
		for i := range m.Authority {
			sets = append(sets, r.keepRRset(&m.Authority[i]))
		}
		k := len(m.Answer)
		c.Answer, c.Authority = sets[:k:k], sets[k:]
	}
	return c
}

// cachedMessage makes a message of e.entry.
func (t *task) cachedMessage(f found, typ dns.Type, owner []byte) *Message {
	e, r := t.r.e, t.r
	m := &Message{QName: r.keep(t.name()), QType: t.typ}
	ttl := uint32(max(e.entry.Expires-e.now.Seconds(), 0))
	switch f {
	case foundRRset, foundCNAME, foundDNAME:
		m.Answer = []RRset{{Section: wire.Answer, Owner: r.keep(owner), Type: typ, TTL: ttl, Rank: e.entry.Rank,
			Records: r.keep(e.entry.Records), Sigs: r.keep(e.entry.Sigs)}}
	case foundNXDomain:
		m.RCode = dns.RCodeNXDomain
	}
	m.Authority = AppendProof(nil, r.keep(e.entry.Proof), ttl, Unchecked)
	return m
}

// cachedAddress ends an address task from the cache, if the cache knows.
func (t *task) cachedAddress(f found) {
	switch f {
	case foundRRset:
		e := t.r.e
		set := RRset{Type: t.typ, Records: e.entry.Records}
		t.takeAddresses(&set)
		t.done()
	case foundNothing:
		t.state = stateCut
	case foundCNAME:
		if target, _, ok := t.r.e.entry.Records.Next(); ok && dnsname.Valid(target) {
			t.addressAlias(dnsname.Lower(t.r.keep(target)))
			return
		}
		fallthrough
	default:
		t.hopeless = f != foundNoData
		t.done()
	}
}

// addressAlias follows an alias to a server's address. RFC 2181, section 10.3,
// wants none there; unbound and PowerDNS follow it, and so few that nothing is
// gained by a maze.
func (t *task) addressAlias(next []byte) {
	if t.aliases >= maxNSAliases || t.cycle(next, t.typ, t.above) {
		t.hopeless = true
		t.done()
		return
	}
	t.aliases++
	t.alias(next)
}

func (t *task) takeAddresses(s *RRset) {
	if s.Type != t.typ {
		return
	}
	for data, rest, ok := s.Records.Next(); ok && len(t.result) < maxGlueName; data, rest, ok = rest.Next() {
		if a, ok := address(s.Type, data); ok && t.r.e.mayAsk(a) {
			t.result = append(t.result, netip.AddrPortFrom(a, dns.Port))
		}
	}
}

// findCut finds the nearest zone at or above the name whose servers are known.
// For DS it lies above the name: DS is the parent's (RFC 4035, section 3.1.4.1).
func (t *task) findCut() {
	e := t.r.e
	if t.synthesised() {
		return
	}
	if !t.r.budget.name() {
		t.failed(dns.EDEOther, "budget spent")
		return
	}
	n := t.name()
	if t.typ == dns.TypeDS && n[0] != 0 {
		n = dnsname.Parent(n)
	}
	t.forward = false
	now := e.now.Seconds()
	var bestZone *Zone
	var bestName []byte
	for p := n; ; p = dnsname.Parent(p) {
		if z := e.zones[dnsname.Name(p)]; z != nil {
			// the root's servers are hints once it is known who serves it
			primed := p[0] == 0 && e.hints && t.mode != modePrime &&
				e.cache.Get(&e.entry, KindDelegation, 0, p) && e.entry.Expires > now && len(e.entry.Proof) > 0
			if primed {
				t.useEntry(p)
				if len(t.addrs) > 0 {
					return
				}
			}
			bestZone, bestName = z, p
			break
		}
		if !e.cfg.ForwardOnly && (t.above == nil || !dnsname.IsBelow(p, t.above)) &&
			e.cache.Get(&e.entry, KindDelegation, 0, p) && e.entry.Expires > now {
			t.useEntry(p)
			return
		}
		if p[0] == 0 {
			break
		}
	}
	if bestZone == nil {
		t.failed(dns.EDEOther, "no servers configured")
		return
	}
	if bestName[0] == 0 && t.mode != modePrime && e.primed && e.now >= e.nextPrime {
		e.needPrime = true // what priming had brought is past its time
	}
	t.setZone(bestName)
	t.fixed = true
	t.forward = bestZone.Forward || e.cfg.ForwardOnly && len(bestName) == 1
	t.expires, t.bound = 0, 0
	for _, a := range bestZone.Servers {
		if len(t.addrs) < maxServers && e.mayAsk(a.Addr()) {
			t.addrs = append(t.addrs, a)
		}
	}
	t.state = stateServers
}

func (t *task) setZone(zone []byte) {
	t.zoneLen = copy(t.zoneBuf[:], zone)
	t.ns, t.addrs, t.asked = t.ns[:0], t.addrs[:0], 0
	t.fixed, t.forward, t.cached, t.own, t.glued, t.logged = false, false, false, false, false, false
	t.minLabels = 0
}

// useEntry takes the delegation in e.entry.
func (t *task) useEntry(zone []byte) {
	e := t.r.e
	t.setZone(zone)
	t.cached = true
	t.expires = e.entry.Expires
	t.learnt = e.entry.Expires - int64(e.entry.TTL)
	t.bound = e.entry.Expires
	if zone[0] == 0 {
		t.bound = 0 // the root has no parent that could take it away
	}
	t.delegation(e.entry.Records, e.entry.Proof, true)
	t.state = stateServers
}

// delegation fills ns and addrs.
func (t *task) delegation(names Packed, glue []byte, log bool) {
	e, r := t.r.e, t.r
	for name, rest, ok := names.Next(); ok && len(t.ns) < maxNSNames; name, rest, ok = rest.Next() {
		if !dnsname.Valid(name) {
			continue
		}
		n := r.keep(name)
		dnsname.Lower(n)
		if log && t.zoneLen > 1 {
			e.emit(Event{Kind: EventCachedNS, Question: r.first(), Control: t.zoneName(), Target: n})
		}
		t.ns = append(t.ns, nsName{name: n})
	}
	// Where there are too many addresses neither family may fill all places:
	// one of the two may not work from here.
	var n, most [2]int // IPv4, IPv6
	for k, a, rest, ok := Glue(glue); ok; k, a, rest, ok = Glue(rest) {
		if k < len(t.ns) && e.mayAsk(a) {
			n[b2u(a.Is6())]++
		}
	}
	most = [2]int{max(maxServers/2, maxServers-n[1]), max(maxServers/2, maxServers-n[0])}
	for k, a, rest, ok := Glue(glue); ok; k, a, rest, ok = Glue(rest) {
		if f := b2u(a.Is6()); k < len(t.ns) && len(t.addrs) < maxServers && most[f] > 0 && e.mayAsk(a) {
			most[f]--
			t.ns[k].known = true
			t.addrs = append(t.addrs, netip.AddrPortFrom(a, dns.Port))
		}
	}
	// what has glue needs no look into the cache, but the log says it
	for i := range t.ns {
		n := &t.ns[i]
		if n.known {
			e.emit(Event{Kind: EventCached, Question: r.first(), Type: dns.TypeA, Name: n.name})
			continue
		}
		for _, typ := range addressTypes {
			if len(t.addrs) >= maxServers || !e.family(typ) {
				continue
			}
			if e.cache.Get(&e.entry, KindRRset, typ, n.name) && e.entry.Expires > e.now.Seconds() {
				n.tried |= triedBit(typ)
				for data, rest, ok := e.entry.Records.Next(); ok && len(t.addrs) < maxServers; data, rest, ok = rest.Next() {
					if a, ok := address(typ, data); ok && e.mayAsk(a) {
						if !n.known {
							n.known = true
							e.emit(Event{Kind: EventCached, Question: r.first(), Type: typ, Name: n.name})
						}
						t.addrs = append(t.addrs, netip.AddrPortFrom(a, dns.Port))
					}
				}
			}
		}
	}
}

var addressTypes = [...]dns.Type{dns.TypeA, dns.TypeAAAA}

func triedBit(t dns.Type) uint8 {
	if t == dns.TypeA {
		return 1
	}
	return 2
}

func (e *Engine) family(t dns.Type) bool {
	return t == dns.TypeA && e.cfg.IPv4 || t == dns.TypeAAAA && e.cfg.IPv6
}

// servers asks those whose addresses are known, or looks for one more.
func (t *task) servers() {
	e, r := t.r.e, t.r
	if t.asked < len(t.addrs) {
		name, typ, minimal := t.question()
		if !t.logged {
			// once for all steps of minimisation
			t.logged = true
			e.emit(Event{Kind: EventTx, Question: r.first(), Level: t.level, Type: t.typ, Name: t.name(), Control: t.zoneName(),
				Servers: t.addrs[t.asked:]})
		}
		if minimal {
			e.emit(Event{Kind: EventMinimised, Question: r.first(), Level: t.level, Type: typ, Name: name})
		}
		t.state = stateWait
		from := t.asked
		t.asked = len(t.addrs)
		e.exchange(t, name, typ, t.addrs[from:], minimal)
		return
	}
	// a server's name that has not been looked up: one at a time, so that a
	// delegation to many names costs no more than is needed (NXNSAttack)
	for {
		k, typ := t.pickName()
		if k < 0 {
			t.exhausted()
			return
		}
		t.ns[k].tried |= triedBit(typ)
		// Where the glue is missing without which the zone can not be asked
		// (RFC 9471), its parent may give the address when asked for it.
		var above []byte
		if len(t.addrs) == 0 && !t.fixed && dnsname.IsBelow(t.ns[k].name, t.zoneName()) {
			above = t.zoneName()
		}
		if t.cycle(t.ns[k].name, typ, above) {
			continue
		}
		if t.level+1 >= e.limits.Depth {
			if r.budget.spent == "" {
				r.budget.spent = "levels"
			}
			t.failed(dns.EDEOther, "budget spent")
			return
		}
		if !r.budget.nsLookup() {
			t.failed(dns.EDEOther, "budget spent")
			return
		}
		t.lookup, t.lookupTy = k, typ
		t.state = stateAddress
		t.child = e.newTask(r, t, modeAddress, t.ns[k].name, typ)
		if above != nil {
			t.child.above, t.child.noMin = r.keep(above), true
		}
		return
	}
}

// pickName chooses a server's name and type to look up, -1 for none: at
// random, A before AAAA of the same name.
func (t *task) pickName() (int, dns.Type) {
	e := t.r.e
	if t.r.nsFailed >= maxNSFailures {
		return -1, 0
	}
	for _, typ := range addressTypes {
		if !e.family(typ) {
			continue
		}
		n, pick := uint64(0), -1
		for i := range t.ns {
			v := &t.ns[i]
			if v.tried&triedBit(typ) != 0 || v.known && dnsname.IsBelow(v.name, t.zoneName()) {
				continue
			}
			if n++; e.rng.Uint64()%n == 0 {
				pick = i
			}
		}
		if pick >= 0 {
			return pick, typ
		}
	}
	return -1, 0
}

// cycle reports whether a question is already being worked on further down:
// servers that are named in each other's zones. To ask above a zone is another
// question than to ask the zone itself.
func (t *task) cycle(name []byte, typ dns.Type, above []byte) bool {
	for p := t; p != nil; p = p.parent {
		if above != nil && string(p.above) != string(above) {
			continue
		}
		if p.typ == typ && string(p.name()) == string(name) {
			return true
		}
		if p.state == stateAddress && p != t && p.lookupTy == typ && string(p.ns[p.lookup].name) == string(name) {
			return true
		}
	}
	return false
}

// gotAddress takes over what a child found.
func (t *task) gotAddress() {
	c := t.child
	if c == nil || c.state != stateDone {
		return
	}
	t.child = nil
	if len(c.result) == 0 {
		v := &t.ns[t.lookup]
		if c.hopeless {
			v.tried = 3 // no use in asking for the other family
		}
		if v.tried == 3 || v.tried|triedBit(dns.TypeA) == 3 && !t.r.e.cfg.IPv4 || v.tried|triedBit(dns.TypeAAAA) == 3 && !t.r.e.cfg.IPv6 {
			t.r.nsFailed++
		}
	}
	for _, a := range c.result {
		if len(t.addrs) < maxServers+maxGlueName && !t.has(a) {
			t.addrs = append(t.addrs, a)
		}
	}
	t.state = stateServers
}

// addGlue adds addresses that cached delegations have for the servers' names.
func (t *task) addGlue() (added bool) {
	e := t.r.e
	for i := range t.ns {
		name := t.ns[i].name
		for p := name; p[0] != 0; p = dnsname.Parent(p) {
			if !e.cache.Get(&e.entry, KindDelegation, 0, p) || e.entry.Expires <= e.now.Seconds() {
				continue
			}
			k := 0
			for n, rest, ok := e.entry.Records.Next(); ok; n, rest, ok = rest.Next() {
				if dnsname.Equal(n, name) {
					break
				}
				k++
			}
			for j, a, rest, ok := Glue(e.entry.Proof); ok; j, a, rest, ok = Glue(rest) {
				ap := netip.AddrPortFrom(a, dns.Port)
				if j == k && e.mayAsk(a) && len(t.addrs) < maxServers+maxGlueName && !t.has(ap) {
					t.addrs = append(t.addrs, ap)
					added = true
				}
			}
			break
		}
	}
	return added
}

// addNames adds names of servers that are not known yet.
func (t *task) addNames(names Packed) (added bool) {
next:
	for name, rest, ok := names.Next(); ok && len(t.ns) < 2*maxNSNames; name, rest, ok = rest.Next() {
		if !dnsname.Valid(name) {
			continue
		}
		for i := range t.ns {
			if dnsname.Equal(t.ns[i].name, name) {
				continue next
			}
		}
		t.ns = append(t.ns, nsName{name: dnsname.Lower(t.r.keep(name))})
		added = true
	}
	return added
}

func (t *task) has(a netip.AddrPort) bool {
	for _, v := range t.addrs {
		if v == a {
			return true
		}
	}
	return false
}

// renewAge is how old, in seconds, a delegation must be to be asked for again
// when none of its servers helps: younger, the parent would say the same.
const renewAge = 60

// exhausted is called when no server of the zone is left.
func (t *task) exhausted() {
	e := t.r.e
	if !t.own && !t.fixed && t.zoneLen > 1 {
		// The zone itself may name servers that the parent does not know of.
		// They help only as long as the parent's delegation lasts.
		t.own = true
		if e.cache.Get(&e.entry, KindRRset, dns.TypeNS, t.zoneName()) && e.entry.Expires > e.now.Seconds() && t.addNames(e.entry.Records) {
			t.state = stateServers
			e.wake(t)
			return
		}
	}
	if !t.glued {
		// What the servers' own zones say of their addresses did not help:
		// perhaps what their parents say does.
		t.glued = true
		if t.addGlue() {
			t.state = stateServers
			e.wake(t)
			return
		}
	}
	if t.cached && !t.retried && !t.fixed && len(t.avoid) == 0 && e.now.Seconds()-t.learnt >= renewAge {
		// The delegation may be out of date: ask the parent again, once.
		t.retried = true
		e.cache.Delete(KindDelegation, 0, t.zoneName())
		t.state = stateCut
		e.wake(t)
		return
	}
	if t.recLame.IsValid() && !t.recTried {
		// a recursive server's answer is better than none
		t.recTried = true
		t.addrs = append(t.addrs, t.recLame)
		t.asked = len(t.addrs) - 1
		t.state = stateServers
		e.wake(t)
		return
	}
	code := t.lastCode
	if code == 0 {
		code = dns.EDENoReachableAuthority
	}
	if t.verdict.Sec == Bogus && t.tries > 0 {
		t.failed(t.verdict.Code, t.verdict.Text)
		return
	}
	if code == dns.EDENotAuthoritative || t.asked == 0 {
		t.failed(code, lameReason)
		return
	}
	t.failed(code, "no server gave an answer of use")
}

// question is what to ask next: the name itself, or with QNAME minimisation
// one label more than the zone has (RFC 9156, section 2.3).
func (t *task) question() (name []byte, typ dns.Type, minimal bool) {
	e := t.r.e
	name = t.name()
	if (!e.cfg.QMin || t.noMin) && !t.descend || t.forward || t.mode == modePrime || t.minCount >= maxMinimise {
		t.minLabels = 0
		return name, t.typ, false
	}
	zone := dnsname.Labels(t.zoneName())
	full := dnsname.Labels(name)
	next := max(zone, t.minLabels) + 1
	if t.minCount >= minimiseOneLab {
		// spread the rest over the steps that are left
		left := maxMinimise - t.minCount
		next = max(next, next+(full-next)/left)
	}
	// a step known to end without a referral, because zone and child share
	// their servers or because there is no cut, need not be made again
	for next < full && e.whole.knows(e, t.zoneName(), dnsname.Skip(name, full-next)) {
		next++
	}
	if next >= full || t.typ == dns.TypeDS && next >= full-1 && full == zone+1 {
		t.minLabels = 0
		return name, t.typ, false
	}
	t.minLabels = next
	// RFC 9156, section 2.1: A hides the type best and is what servers know
	return dnsname.Skip(name, full-next), dns.TypeA, true
}

// unanswered is called by the exchange when no server helped.
func (t *task) unanswered(code dns.EDE) {
	t.lastCode = code
	if t.minLabels > 0 {
		// some servers can not cope with names they have no data for
		t.noMin, t.minLabels, t.descend = true, 0, false
		t.asked = 0
	}
	t.state = stateServers
	t.r.e.wake(t)
}

// respond takes a response that an exchange found good.
func (t *task) respond(w *response, from netip.AddrPort) {
	e, r := t.r.e, t.r
	t.from = from
	if w.class == classReferral {
		t.referral(w)
		return
	}
	if t.minLabels > 0 {
		t.minCount++
		if w.class == classNXDomain && t.mode == modeAddress {
			// RFC 8020; nobody but a name server's owner suffers if it is wrong
			e.store(w, Unchecked)
			t.hopeless = true
			t.done()
			return
		}
		if w.class == classNXDomain && t.mode == modeClient && w.soa && !r.cd && e.covers(w.msg.QName) {
			// a proof of it is believed (RFC 8020)
			t.msg = r.keepMessage(&w.msg)
			t.w = responseKeep{class: w.class, negTTL: w.negTTL, soa: true, final: r.keep(w.final)}
			t.probe = true
			t.minLabels = 0
			t.state = stateValidate
			e.wake(t)
			return
		}
		if w.class == classNoData && w.soa {
			e.whole.learn(e, t.zoneName(), w.msg.QName, w.negTTL)
		}
		if w.class == classNXDomain || w.class == classLame {
			// not believed without having asked for the name itself
			t.noMin, t.minLabels, t.descend = true, 0, false
		}
		t.asked = 0
		t.state = stateServers
		e.wake(t)
		return
	}
	if t.typ == dns.TypeDS && !t.descended && !t.forward && t.childSide(w) {
		t.descended, t.descend = true, true
		t.minCount = 0
		t.asked = 0
		t.state = stateServers
		e.wake(t)
		return
	}
	t.w = responseKeep{class: w.class, negTTL: w.negTTL, soa: w.soa}
	switch t.mode {
	case modeAddress:
		if t.above == nil { // the parent's word is good for reaching the zone, not for answers
			e.store(w, Unchecked)
		}
		if n := len(w.msg.Answer); w.class == classAnswer && n > 0 && n <= 1+maxNSAliases {
			t.takeAddresses(&w.msg.Answer[n-1])
		}
		if w.class == classAlias {
			t.addressAlias(r.keep(w.final))
			return
		}
		t.hopeless = w.class == classNXDomain
		t.done()
		return
	case modeMessage:
		t.msg = r.keepMessage(&w.msg)
		e.store(w, Unchecked)
		t.done()
		return
	case modePrime:
		t.primed(w)
		return
	}
	if !r.cd && e.covers(w.msg.QName) && t.typ != dns.TypeRRSIG {
		t.msg = r.keepMessage(&w.msg)
		t.w.final = r.keep(w.final)
		t.verdict = Verdict{}
		t.state = stateValidate
		e.wake(t)
		return
	}
	sec := Unchecked
	if e.cfg.Validator != nil && !r.cd && !e.covers(w.msg.QName) {
		sec = Indeterminate
	}
	e.store(w, sec)
	t.sec = min(t.sec, sec)
	t.conclude(&w.msg, w.class, w.final)
}

// childSide reports whether what came for a DS question may be the word of the
// child's side of the cut: of a server that has the child zone too, and a zone
// in between that is not known here (RFC 4035, section 3.1.4.1).
func (t *task) childSide(w *response) bool {
	if dnsname.Labels(t.name()) <= dnsname.Labels(t.zoneName())+1 {
		return false
	}
	switch w.class {
	case classNoData:
		for i := range w.msg.Authority {
			if s := &w.msg.Authority[i]; s.Type == dns.TypeSOA {
				return string(s.Owner) == string(t.name())
			}
		}
		return true
	case classAlias, classAnswer:
		s := &w.msg.Answer[0]
		if sig, _, ok := s.Sigs.Next(); ok && len(sig) > 18 {
			if n, ok := dnsname.Scan(sig[18:]); ok && dnsname.Equal(sig[18:18+n], t.zoneName()) {
				return false // the zone asked has signed it
			}
		}
		return s.Type == dns.TypeCNAME && string(s.Owner) == string(t.name())
	}
	return false
}

// stops reports whether a policy has an answer of its own for a name.
func (e *Engine) stops(name []byte) bool { return e.cfg.Stop != nil && e.cfg.Stop(name) }

// conclude adds what was found to the answer, and ends or follows the alias.
func (t *task) conclude(m *Message, c class, final []byte) {
	r := t.r
	if len(m.Answer) > 1 && t.typ != dns.TypeANY {
		// the old program took what follows an alias from the cache, where
		// the same packet had put it: its log says so
		for i := 1; i < len(m.Answer); i++ {
			s := &m.Answer[i]
			if s.Type == dns.TypeCNAME && t.typ != dns.TypeCNAME {
				target, _, _ := s.Records.Next()
				r.e.emit(Event{Kind: EventCachedCNAME, Question: r.first(), Name: s.Owner, Target: target})
			} else if s.Type == t.typ {
				r.e.emit(Event{Kind: EventCached, Question: r.first(), Type: s.Type, Name: s.Owner})
			}
		}
	}
	for i := range m.Answer {
		s := &m.Answer[i]
		if s.Type == dns.TypeCNAME && t.typ != dns.TypeCNAME && t.typ != dns.TypeANY && (c != classAlias || i < len(m.Answer)-1) {
			if !r.budget.alias() {
				t.failed(dns.EDEOther, "budget spent")
				return
			}
		}
		t.rrs = append(t.rrs, r.keepRRset(s))
	}
	for i := range m.Authority {
		t.rrs = append(t.rrs, r.keepRRset(&m.Authority[i]))
	}
	switch c {
	case classAlias:
		if !t.w.cached && !r.budget.hop() {
			t.failed(dns.EDEOther, "budget spent")
			return
		}
		t.alias(final)
	case classNXDomain:
		t.answer(dns.RCodeNXDomain)
	default:
		t.answer(m.RCode)
	}
}

// referral goes down to the zone that w names.
func (t *task) referral(w *response) {
	e, r := t.r.e, t.r
	if !r.budget.referral() {
		t.failed(dns.EDEOther, "budget spent")
		return
	}
	if t.typ == dns.TypeDS && string(w.cut) == string(t.name()) {
		// The server refers to the zone whose DS was asked for: it has no DS
		// to give, or gives it here.
		e.storeReferral(t, w)
		t.w = responseKeep{class: classNoData, final: r.keep(w.cut)}
		m := r.keepMessage(&w.msg)
		for i := range m.Authority {
			if s := &m.Authority[i]; s.Type == dns.TypeDS {
				s.Section = wire.Answer
				m.Answer = []RRset{*s}
				m.Authority = append(m.Authority[:i], m.Authority[i+1:]...)
				t.w.class = classAnswer
				break
			}
		}
		t.msg = m
		switch {
		case t.mode != modeClient:
			t.done()
		case !r.cd && e.covers(t.name()):
			t.state = stateValidate
			e.wake(t)
		default:
			t.conclude(m, t.w.class, t.w.final)
		}
		return
	}
	e.storeReferral(t, w)
	if t.above != nil && dnsname.IsBelow(w.cut, t.above) {
		t.gluedAddress(w)
		return
	}
	bound := t.bound
	expires := e.now.Seconds() + int64(w.nsTTL)
	if bound != 0 {
		expires = min(expires, bound)
	}
	cut, names, glue := r.keep(w.cut), Packed(r.keep(w.ns)), r.keep(w.glue)
	t.setZone(cut)
	t.expires, t.bound = expires, expires
	t.delegation(names, glue, false)
	t.noMin = t.above != nil
	t.state = stateServers
	e.wake(t)
}

// gluedAddress ends a task for the address of a server that is named in the
// zone it serves: the parent refers to that zone, this time with glue or again
// without.
func (t *task) gluedAddress(w *response) {
	e := t.r.e
	for k, a, rest, ok := Glue(w.glue); ok; k, a, rest, ok = Glue(rest) {
		i := 0
		for name, more, ok := w.ns.Next(); ok && i <= k; name, more, ok = more.Next() {
			if i == k && dnsname.Equal(name, t.name()) && e.mayAsk(a) && len(t.result) < maxGlueName {
				t.result = append(t.result, netip.AddrPortFrom(a, dns.Port))
			}
			i++
		}
	}
	t.hopeless = len(t.result) == 0 && len(w.glue) == 0
	t.done()
}

// storeReferral keeps a delegation, its lifetime bound to that of the zone it
// was learnt from: when the parent's parent takes that away, all below goes
// too (CVE-2012-1191, and the Phoenix domains of 2022).
func (e *Engine) storeReferral(t *task, w *response) {
	now := e.now.Seconds()
	expires := now + int64(w.nsTTL)
	if t.bound != 0 {
		expires = min(expires, t.bound)
	}
	if expires > now && len(w.ns)+len(w.glue) <= maxSetBytes {
		// RFC 2181 and CVE-2012-1191: an unexpired delegation of the same
		// servers is not prolonged
		if !e.sameDelegation(w) {
			e.entry = Entry{Kind: KindDelegation, Rank: RankAuthority, TTL: uint32(expires - now), Expires: expires,
				Records: w.ns, Proof: w.glue}
			e.cache.Put(w.cut, &e.entry)
		}
	}
	// DS, or the proof that there is none, goes with it
	var proof []byte
	ttl := w.nsTTL
	for i := range w.msg.Authority {
		s := &w.msg.Authority[i]
		if s.Type == dns.TypeDS {
			e.put(s, s.Owner, dns.TypeDS, Unchecked, nil)
			return
		}
		if s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3 {
			proof, _ = AppendRRset(proof, s)
			ttl = min(ttl, s.TTL)
		}
	}
	if len(proof) > 0 {
		e.entry = Entry{Kind: KindRRset, Type: dns.TypeDS, Rank: RankAuthAuthority, TTL: ttl, Expires: now + int64(ttl), Proof: proof}
		e.cache.Put(w.cut, &e.entry)
	}
}

func (e *Engine) sameDelegation(w *response) bool {
	old := &e.old
	return e.cache.Get(old, KindDelegation, 0, w.cut) && old.Expires > e.now.Seconds() &&
		string(old.Records) == string(w.ns) && string(old.Proof) == string(w.glue)
}

// primed takes the root's NS RRset (RFC 9609).
func (t *task) primed(w *response) {
	e := t.r.e
	if w.class == classAnswer && len(w.msg.Answer) == 1 && w.msg.Answer[0].Type == dns.TypeNS {
		s := &w.msg.Answer[0]
		w.ns = s.Records
		e.in.glue(e, w)
		if len(w.glue) > 0 && s.TTL > 0 {
			e.entry = Entry{Kind: KindDelegation, Rank: RankAuthAnswer, TTL: s.TTL, Expires: e.now.Seconds() + int64(s.TTL),
				Records: w.ns, Proof: w.glue}
			e.cache.Put(rootName, &e.entry)
		}
	}
	t.done()
}

// store puts what a response says into the cache, with this status.
func (e *Engine) store(w *response, sec Security) {
	e.storeMessage(&w.msg, w.class, w.final, w.negTTL, w.soa, sec)
}

func (e *Engine) storeMessage(m *Message, c class, final []byte, negTTL uint32, soa bool, sec Security) {
	if m.QType == dns.TypeRRSIG {
		return
	}
	proof := e.proof[:0]
	for i := range m.Authority {
		s := &m.Authority[i]
		if c != classNoData && c != classNXDomain && s.Type == dns.TypeSOA || s.Type == dns.TypeDS || s.Type == dns.TypeNS {
			continue
		}
		proof, _ = AppendRRset(proof, s)
	}
	e.proof = proof
	var prev *RRset
	for i := range m.Answer {
		s := &m.Answer[i]
		synthesised := s.Type == dns.TypeCNAME && prev != nil && prev.Type == dns.TypeDNAME && len(s.Sigs) == 0
		prev = s
		if synthesised {
			continue
		}
		p := proof
		if !wildcard(s) {
			p = nil
		}
		st := sec
		if s.Sec != Unchecked {
			st = s.Sec
		}
		e.put(s, s.Owner, s.Type, st, p)
	}
	if !soa || negTTL == 0 || len(proof) > maxSetBytes {
		return // RFC 2308, section 5: without SOA not to be cached
	}
	negTTL = m.absenceTTL(negTTL)
	if negTTL == 0 {
		return
	}
	if m.Absence != Unchecked {
		sec = m.Absence
	}
	e.entry = Entry{Kind: KindRRset, Type: m.QType, Rank: RankAuthAuthority, Sec: sec, TTL: negTTL,
		Expires: e.now.Seconds() + int64(negTTL), Proof: proof}
	switch c {
	case classNoData:
		e.cache.Put(final, &e.entry)
	case classNXDomain:
		e.entry.Kind, e.entry.Type = KindNXDomain, 0
		e.cache.Put(final, &e.entry)
	}
}

// absenceTTL is how long a negative answer may be kept: at most ttl, and no
// longer than each record that proves it, which validation has shortened to
// what is left of its signature (RFC 4035, section 5.3.3).
func (m *Message) absenceTTL(ttl uint32) uint32 {
	for i := range m.Authority {
		switch s := &m.Authority[i]; s.Type {
		case dns.TypeSOA, dns.TypeNSEC, dns.TypeNSEC3:
			ttl = min(ttl, s.TTL)
		}
	}
	return ttl
}

// wildcard reports whether an RRset was expanded from a wildcard: a signature
// has fewer labels than its owner (RFC 4035, section 5.3.4). One of several may
// be junk.
func wildcard(s *RRset) bool {
	for sig, rest, ok := s.Sigs.Next(); ok; sig, rest, ok = rest.Next() {
		if len(sig) > 3 && int(sig[3]) < dnsname.Labels(s.Owner) {
			return true
		}
	}
	return false
}

// put stores one RRset, unless better is there (RFC 2181, section 5.4.1).
func (e *Engine) put(s *RRset, owner []byte, t dns.Type, sec Security, proof []byte) {
	if s.TTL == 0 || len(s.Records) > maxSetBytes || len(proof) > maxSetBytes {
		return
	}
	now := e.now.Seconds()
	if s.Rank < RankAuthAnswer && e.cache.Get(&e.entry, KindRRset, t, owner) && e.entry.Expires > now && e.entry.Rank > s.Rank {
		return
	}
	e.entry = Entry{Kind: KindRRset, Type: t, Rank: s.Rank, Sec: sec, TTL: s.TTL, Expires: now + int64(s.TTL),
		Records: s.Records, Sigs: s.Sigs, Proof: proof}
	e.cache.Put(owner, &e.entry)
}

// validate asks the validator about t.msg.
func (t *task) validate() {
	e, r := t.r.e, t.r
	v, wait := e.cfg.Validator.Validate(e.now, t.msg, r, &r.budget, &t.need)
	if wait {
		name := t.need.Name[:t.need.Len]
		if t.cycle(name, t.need.Type, nil) || t.level+1 >= e.limits.Depth {
			v = Verdict{Sec: Bogus, Code: dns.EDEDNSSECIndeterminate, Text: "keys depend on themselves"}
		} else {
			t.state = stateKeys
			t.child = e.newTask(r, t, modeMessage, name, t.need.Type)
			for i := range r.fetched {
				if f := &r.fetched[i]; f.open && f.typ == t.need.Type && string(f.name) == string(name) {
					t.child.fresh = true
					t.child.avoid = append(t.child.avoid, f.avoid...)
					if f.m != nil {
						t.child.avoidIn = f.m.Zone
					}
				}
			}
			return
		}
	}
	if t.probe {
		t.probe = false
		if v.Sec != Secure || t.msg.RCode != dns.RCodeNXDomain {
			// ask for the name itself
			t.noMin = true
			t.asked = 0
			t.state = stateServers
			e.wake(t)
			return
		}
	}
	t.verdict = v
	e.emit(Event{Kind: EventSecurity, Question: r.first(), Level: t.level, Type: t.typ, Name: t.name(), Reason: v.Text})
	if v.Sec == Bogus {
		if t.shorten() {
			e.wake(t)
			return
		}
		if t.again() {
			return
		}
		t.failed(v.Code, v.Text)
		return
	}
	if t.w.class == classNXDomain && t.msg.RCode == dns.RCodeSuccess {
		t.w.class = classNoData // the proof says so
	}
	if t.w.cached {
		// its age stays what it was
		e.mark(t.msg, v.Sec)
	} else {
		e.storeMessage(t.msg, t.w.class, t.w.final, t.w.negTTL, t.w.soa, v.Sec)
	}
	t.sec = min(t.sec, v.Sec)
	t.conclude(t.msg, t.w.class, t.w.final)
}

// shorten keeps of a bogus message with aliases the first step only. Where that
// leads is then asked for by itself: some servers add what lies behind an alias
// without the proofs that go with it.
func (t *task) shorten() bool {
	m, r := t.msg, t.r
	if t.w.cached || t.typ == dns.TypeCNAME || t.typ == dns.TypeANY || len(m.Answer) == 0 || t.w.class == classAlias && len(m.Answer) == 1 {
		return false
	}
	n := 0
	if m.Answer[0].Type == dns.TypeDNAME && len(m.Answer) > 1 {
		n = 1
	}
	s := &m.Answer[n]
	if s.Type != dns.TypeCNAME || string(s.Owner) != string(t.name()) {
		return false
	}
	target, _, ok := s.Records.Next()
	if !ok || !dnsname.Valid(target) || t.w.class == classAlias && n+1 == len(m.Answer) {
		return false
	}
	m.Answer = m.Answer[:n+1]
	k := 0
	for i := range m.Authority {
		if m.Authority[i].Type != dns.TypeSOA { // there is no negative answer any more
			m.Authority[k] = m.Authority[i]
			k++
		}
	}
	m.Authority = m.Authority[:k]
	m.RCode = dns.RCodeSuccess
	t.w.class, t.w.final, t.w.soa, t.w.negTTL = classAlias, dnsname.Lower(r.keep(target)), false, 0
	t.state = stateValidate
	return true
}

// mark gives the cached RRsets of a message their status, and what validation
// has left of their time.
func (e *Engine) mark(m *Message, sec Security) {
	for i := range m.Answer {
		s := &m.Answer[i]
		if e.cache.Get(&e.entry, KindRRset, s.Type, s.Owner) && e.entry.Sec == Unchecked {
			e.remark(s.Owner, sec, s.TTL)
		}
	}
	if len(m.Answer) == 0 {
		switch {
		case m.RCode == dns.RCodeNXDomain && e.cache.Get(&e.entry, KindNXDomain, 0, m.QName):
			e.remark(m.QName, sec, m.absenceTTL(e.entry.TTL))
		case e.cache.Get(&e.entry, KindRRset, m.QType, m.QName) && len(e.entry.Records) == 0:
			e.remark(m.QName, sec, m.absenceTTL(e.entry.TTL))
		}
	}
}

// remark stores e.entry again with another status, for ttl seconds from now at
// most.
func (e *Engine) remark(owner []byte, sec Security, ttl uint32) {
	c := e.entry
	if over := c.Expires - e.now.Seconds() - int64(ttl); over > 0 {
		over = min(over, int64(c.TTL))
		c.Expires -= over
		c.TTL -= uint32(over)
	}
	e.pack = append(append(append(e.pack[:0], c.Records...), c.Sigs...), c.Proof...)
	a, b := len(c.Records), len(c.Records)+len(c.Sigs)
	c.Records, c.Sigs, c.Proof = Packed(e.pack[:a]), Packed(e.pack[a:b]), e.pack[b:]
	c.Sec = sec
	e.cache.Put(owner, &c)
}

// maxBogus is how many servers' data may be bogus before all are held to be:
// unbound val-max-restart 5.
const maxBogus = 5

// again asks other servers of the zone after bogus data: one of several may be
// out of date.
func (t *task) again() bool {
	if t.tries >= maxBogus || t.r.budget.spent != "" {
		return false
	}
	t.tries++
	if t.w.cached {
		// what is in the cache may be bad; ask anew
		t.w.cached = false
		t.avoid = t.avoid[:0]
		t.state = stateCut
		t.r.e.wake(t)
		return true
	}
	if !t.from.IsValid() {
		return false
	}
	t.avoid = append(t.avoid, t.from)
	t.avoidIn = t.msg.Zone
	t.asked = 0
	t.state = stateServers
	t.r.e.wake(t)
	return true
}

// gotKeys takes over what a child fetched for the validator.
func (t *task) gotKeys() {
	c := t.child
	if c == nil || c.state != stateDone {
		return
	}
	t.child = nil
	r := t.r
	t.state = stateValidate
	need := t.need.Name[:t.need.Len]
	for i := range r.fetched {
		if f := &r.fetched[i]; f.typ == t.need.Type && string(f.name) == string(need) {
			f.m, f.from, f.open = c.msg, c.from, false
			return
		}
	}
	r.fetched = append(r.fetched, fetched{name: r.keep(need), typ: t.need.Type, m: c.msg, from: c.from})
}

// synthesised answers a client's question from proofs at hand, if there are any
// (RFC 8198).
func (t *task) synthesised() bool {
	e, r := t.r.e, t.r
	v, ok := e.cfg.Validator.(Synthesizer)
	if !ok || r.cd || t.mode != modeClient || t.tries > 0 || r.refresh {
		return false
	}
	m := &Message{QName: r.keep(t.name()), QType: t.typ}
	if !v.Synthesize(e.now, m) {
		return false
	}
	e.emit(Event{Kind: EventSecurity, Question: r.first(), Level: t.level, Type: t.typ, Name: t.name(), Reason: "proofs at hand"})
	t.verdict = Verdict{Sec: Secure}
	c, final := classNoData, m.QName
	switch {
	case m.RCode == dns.RCodeNXDomain:
		c = classNXDomain
	case len(m.Answer) > 0:
		c = classAnswer
		if s := &m.Answer[0]; s.Type == dns.TypeCNAME && t.typ != dns.TypeCNAME {
			target, _, ok := s.Records.Next()
			if !ok || !dnsname.Valid(target) {
				return false
			}
			c, final = classAlias, dnsname.Lower(r.keep(target))
		}
	}
	t.conclude(m, c, final)
	return true
}
