package resolver

import (
	"encoding/binary"
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// exchange puts one question to the servers of one zone until one answers
// well. All tasks that want the same of the same zone share it: a second
// identical question is never out (CVE-2008-4392; RFC 5452, section 5).
//
//	ask -> wait -> (timeout: ask another, keep listening)
//	            -> (useless response: ask another)
//	            -> (truncated, suspicious: the same server by TCP)
//	            -> (no EDNS: the same server without)
//	            -> answered | no server left
type exchange struct {
	e        *Engine
	hash     uint64
	next     *exchange
	name     [dns.MaxName]byte
	nameLen  int
	zone     [dns.MaxName]byte
	zoneLen  int
	zoneHash uint64
	typ      dns.Type
	forward  bool
	minimal  bool // a question of QNAME minimisation: the first trouble ends it
	own      bool // not shared: some servers are to be avoided
	waiters  []*task
	cands    []candidate
	sends    []*send
	attempts int
	recLame  int // candidate whose recursive answer is the last resort, plus one
	timer    timer
	lingered bool
	done     bool
	lastErr  dns.EDE
}

type candidate struct {
	addr   netip.AddrPort
	tries  uint8
	out    bool // not to be asked again
	tcp    bool // ask by TCP
	plain  bool // ask without EDNS
	useRec bool // accept a recursive server's answer
	cookie bool // asked again for BADCOOKIE already
}

// send is one packet that is out.
type send struct {
	token    Token
	x        *exchange
	cand     int
	at       Time
	id       uint16
	tcp      bool
	edns     bool
	cased    bool // random letter case was used
	late     bool // its time is over, others were asked; an answer is still welcome
	mismatch uint8
	name     [dns.MaxName]byte // as sent
}

func (x *exchange) qname() []byte    { return x.name[:x.nameLen] }
func (x *exchange) zoneName() []byte { return x.zone[:x.zoneLen] }

// question is the client question that events belong to.
func (x *exchange) question() *Question {
	if len(x.waiters) == 0 {
		return nil
	}
	return x.waiters[0].r.first()
}

// exchange lets t join or start the exchange for its present question with
// the servers in t.addrs from t.asked on.
func (e *Engine) exchange(t *task, name []byte, typ dns.Type, addrs []netip.AddrPort, minimal bool) {
	var flags uint64
	if t.forward {
		flags = 1
	}
	zh := e.hash(t.zoneName(), 0, flags)
	h := e.hash(name, uint64(typ), zh)
	share := len(t.avoid) == 0 || string(t.avoidIn) != string(t.zoneName())
	if share {
		for x := e.exchanges[h]; x != nil; x = x.next {
			if x.typ == typ && x.forward == t.forward && !x.own && string(x.qname()) == string(name) &&
				string(x.zoneName()) == string(t.zoneName()) && len(x.waiters) < maxJoined {
				x.waiters = append(x.waiters, t)
				t.x = x
				x.minimal = x.minimal && minimal
				e.emit(Event{Kind: EventJoined, Question: t.r.first(), Level: t.level, Type: typ, Name: name})
				return
			}
		}
	}
	var x *exchange
	if n := len(e.freeExchanges); n > 0 {
		x = e.freeExchanges[n-1]
		e.freeExchanges = e.freeExchanges[:n-1]
	} else {
		x = &exchange{e: e}
		x.timer.x = x
	}
	x.hash, x.zoneHash, x.typ, x.forward, x.minimal, x.own = h, zh, typ, t.forward, minimal, !share
	x.nameLen = copy(x.name[:], name)
	x.zoneLen = copy(x.zone[:], t.zoneName())
	x.next = e.exchanges[h]
	e.exchanges[h] = x
	x.waiters = append(x.waiters, t)
	t.x = x
	for _, a := range addrs {
		c := candidate{addr: a, useRec: t.recTried && a == t.recLame}
		if !share {
			for _, v := range t.avoid {
				c.out = c.out || v == a
			}
		}
		s := e.servers.get(e.now, a)
		if s.isLame(e.now, lameKey(zh, typ)) {
			c.out = true
			x.lastErr = dns.EDENotAuthoritative
		}
		x.cands = append(x.cands, c)
	}
	x.ask()
}

// choose picks the next candidate: the fastest and those near it are equal.
// -1: none is left.
func (x *exchange) choose() int {
	e := x.e
	best := Time(-1)
	// everyone once before anyone twice
	least := uint8(255)
	for i := range x.cands {
		if c := &x.cands[i]; !c.out && c.tries < least {
			least = c.tries
		}
	}
	if least >= maxTries {
		return -1
	}
	for i := range x.cands {
		c := &x.cands[i]
		if c.out || c.tries != least {
			continue
		}
		v := e.servers.get(e.now, c.addr)
		if v.resting(e.now) || v.deadTill > e.now && c.tries > 0 {
			continue
		}
		if s := v.score(e.now); best < 0 || s < best {
			best = s
		}
	}
	if best < 0 {
		return -1
	}
	band := best + pickBand
	probe := x.attempts == 0 && e.rng.Uint64()%probeOdds == 0
	n, pick := uint64(0), -1
	for i := range x.cands {
		c := &x.cands[i]
		if c.out || c.tries != least {
			continue
		}
		v := e.servers.get(e.now, c.addr)
		if v.resting(e.now) || v.deadTill > e.now && c.tries > 0 {
			continue
		}
		s := v.score(e.now)
		if s <= band || probe && s < 500*Second {
			n++
			if e.rng.Uint64()%n == 0 {
				pick = i
			}
		}
	}
	return pick
}

// ask sends to the next candidate, or gives up.
func (x *exchange) ask() {
	e := x.e
	for {
		if x.attempts >= maxAttempts {
			x.giveUp()
			return
		}
		i := x.choose()
		if i < 0 {
			if k := x.recLame - 1; k >= 0 && x.more() {
				// others first that are known by name only
				for _, t := range x.waiters {
					t.recLame = x.cands[k].addr
				}
				x.giveUp()
				return
			} else if k >= 0 {
				// a recursive server's answer is better than none
				x.recLame = 0
				x.cands[k].out, x.cands[k].useRec, x.cands[k].tries = false, true, 0
				continue
			}
			if x.waiting() > 0 {
				return // late answers may still come; the timer runs
			}
			if x.linger() {
				return
			}
			x.giveUp()
			return
		}
		x.cands[i].tries++
		if x.sendTo(i) {
			return
		}
		if x.done {
			return
		}
		e.emit(Event{Kind: EventDrop, Question: x.question(), Server: x.cands[i].addr, Reason: "unable to send"})
		x.cands[i].out = true
		x.lastErr = dns.EDENetworkError
	}
}

// linger waits once more for what is out, when nobody is left to ask: a path
// that was quick may have become slow, or the machine itself. Not for a server
// that was known to be dead and got one packet to see whether it is back, nor
// where the question may be put otherwise or to others.
func (x *exchange) linger() bool {
	if x.lingered || x.minimal || len(x.sends) == 0 || x.attempts < maxTries || x.more() {
		return false
	}
	x.lingered = true
	x.e.timers.set(&x.timer, x.e.now+lastTimeout)
	return true
}

// waiting counts packets whose time is not over.
func (x *exchange) waiting() int {
	n := 0
	for _, s := range x.sends {
		if !s.late {
			n++
		}
	}
	return n
}

// pay takes a packet from the budget of the first who waits; those who can not
// pay leave.
func (x *exchange) pay() bool {
	for len(x.waiters) > 0 {
		t := x.waiters[0]
		if t.r.budget.send() {
			return true
		}
		x.waiters = x.waiters[1:]
		t.x = nil
		t.failed(dns.EDEOther, "budget spent")
	}
	x.close()
	return false
}

// sendTo builds the question for a candidate and sends it.
func (x *exchange) sendTo(i int) bool {
	e := x.e
	if !x.pay() {
		return false
	}
	c := &x.cands[i]
	v := e.servers.get(e.now, c.addr)
	var s *send
	if n := len(e.freeSends); n > 0 {
		s = e.freeSends[n-1]
		e.freeSends = e.freeSends[:n-1]
	} else {
		s = new(send)
	}
	e.lastToken++
	r := e.rng.Uint64()
	*s = send{token: e.lastToken, x: x, cand: i, at: e.now, id: uint16(r), tcp: c.tcp,
		edns: !c.plain && v.noEDNS <= e.now}
	name := s.name[:copy(s.name[:], x.qname())]
	if e.cfg.Case0x20 && v.noCase <= e.now && !x.forward {
		s.cased = e.randomCase(name)
	}
	bits := uint16(0)
	if x.forward {
		bits |= wire.BitRD
		if e.cfg.Validator != nil {
			bits |= wire.BitCD // RFC 6840, section 5.9: we check ourselves
		}
	}
	q := e.query[:0]
	q = binary.BigEndian.AppendUint16(q, s.id)
	q = binary.BigEndian.AppendUint16(q, bits)
	q = append(q, 0, 1, 0, 0, 0, 0, 0, byte(b2u(s.edns)))
	q = append(q, name...)
	q = binary.BigEndian.AppendUint16(q, uint16(x.typ))
	q = append(q, 0, byte(dns.ClassIN))
	if s.edns {
		// RFC 6891, section 6.1.2; RFC 7873, section 5.2
		cookie := e.clientCookie(c.addr)
		// DO is set even if nothing is validated here: a client may validate
		// (RFC 3225; RFC 4035, section 3.2.1).
		const do = 0x80
		q = append(q, 0, 0, byte(dns.TypeOPT), byte(udpSize>>8), byte(udpSize&0xFF), 0, 0, do, 0)
		n := 12 + int(v.cookieN)
		q = append(q, 0, byte(n), 0, dns.OptCookie, 0, byte(n-4))
		q = append(q, cookie[:]...)
		q = append(q, v.cookie[:v.cookieN]...)
	}
	e.query = q
	if v.deadTill > e.now {
		v.probeAt = e.now + probeTime
	}
	if len(x.sends) >= maxOpen {
		oldest := x.sends[0]
		for _, o := range x.sends {
			if o.token < oldest.token {
				oldest = o
			}
		}
		x.drop(oldest, true)
	}
	e.sends[s.token] = s
	x.sends = append(x.sends, s)
	x.attempts++
	var ok bool
	if s.tcp {
		ok = e.net.SendTCP(c.addr, q, s.token)
	} else {
		ok = e.net.SendUDP(c.addr, q, s.token)
	}
	if !ok {
		x.drop(s, false)
		return false
	}
	if e.ev != nil {
		how := "UDP"
		switch {
		case s.tcp:
			how = "TCP"
		case !s.edns:
			how = "UDP, no EDNS"
		case v.deadTill > e.now:
			how = "UDP, to see whether it is back"
		case v.srtt == 0:
			how = "UDP, never asked before"
		}
		e.emit(Event{Kind: EventChoose, Question: x.question(), Type: x.typ, Name: x.qname(), Control: x.zoneName(), Server: c.addr,
			RTT: v.srtt, Reason: how})
	}
	wait := tcpTimeout
	if !s.tcp {
		wait = v.timeout()
	}
	e.timers.set(&x.timer, e.now+wait)
	return true
}

// randomCase changes letters at random (draft-vixie-dnsext-dns0x20): that
// many bits more for a forger to guess. False: there are no letters.
func (e *Engine) randomCase(name []byte) bool {
	var r uint64
	any := false
	bits := 0
	for i, c := range name {
		if c >= 'a' && c <= 'z' {
			if bits == 0 {
				r, bits = e.rng.Uint64(), 64
			}
			if r&1 != 0 {
				name[i] = c - 'a' + 'A'
			}
			r >>= 1
			bits--
			any = true
		}
	}
	return any
}

// drop forgets a packet that is out.
func (x *exchange) drop(s *send, cancel bool) {
	e := x.e
	if cancel {
		e.net.Cancel(s.token)
	}
	delete(e.sends, s.token)
	for i, v := range x.sends {
		if v == s {
			last := len(x.sends) - 1
			x.sends[i] = x.sends[last]
			x.sends[last] = nil
			x.sends = x.sends[:last]
			break
		}
	}
	e.freeSends = append(e.freeSends, s)
}

// timeout is called when the newest packet's time is over.
func (x *exchange) timeout() {
	e := x.e
	for i := 0; i < len(x.sends); i++ {
		s := x.sends[i]
		if s.late {
			continue
		}
		s.late = true
		x.lastErr = dns.EDENoReachableAuthority
		v := e.servers.get(e.now, x.cands[s.cand].addr)
		v.timedOut(e.now)
		e.emit(Event{Kind: EventTimeout, Question: x.question(), Server: x.cands[s.cand].addr, RTT: e.now - s.at})
		if s.tcp {
			x.cands[s.cand].out = true
			x.drop(s, true)
			i--
		}
	}
	if x.minimal && x.attempts >= maxTries {
		x.giveUp()
		return
	}
	x.ask()
}

// more reports whether a task that waits knows of servers by name that it has
// not looked up.
func (x *exchange) more() bool {
	for _, t := range x.waiters {
		if t.recLame.IsValid() || t.r.nsFailed >= maxNSFailures {
			continue
		}
		for i := range t.ns {
			if v := &t.ns[i]; !v.known && v.tried == 0 {
				return true
			}
		}
	}
	return false
}

// giveUp tells all who wait that no server helped.
func (x *exchange) giveUp() {
	if x.done {
		return
	}
	code := x.lastErr
	if code == 0 {
		code = dns.EDENoReachableAuthority
	}
	ws := x.waiters // nobody joins an exchange that is closed
	x.waiters = ws[:0]
	for _, t := range ws {
		t.x = nil
	}
	x.close()
	for _, t := range ws {
		t.unanswered(code)
	}
}

// close ends an exchange for which nobody waits any more.
func (x *exchange) close() {
	if x.done {
		return
	}
	x.done = true
	e := x.e
	e.timers.stop(&x.timer)
	for len(x.sends) > 0 {
		x.drop(x.sends[0], true)
	}
	p := e.exchanges[x.hash]
	if p == x {
		if x.next == nil {
			delete(e.exchanges, x.hash)
		} else {
			e.exchanges[x.hash] = x.next
		}
	} else {
		for p.next != x {
			p = p.next
		}
		p.next = x.next
	}
	e.closed = append(e.closed, x)
}

// leave takes a task out of its exchange; the last one closes it.
func (t *task) leave() {
	x := t.x
	if x == nil {
		return
	}
	t.x = nil
	for i, v := range x.waiters {
		if v == t {
			x.waiters = append(x.waiters[:i], x.waiters[i+1:]...)
			break
		}
	}
	if len(x.waiters) == 0 {
		x.close()
	}
}

// Failed tells that a packet could not be delivered or its connection broke.
func (e *Engine) Failed(now Time, token Token) {
	e.now = now
	s := e.sends[token]
	if s == nil {
		return
	}
	x := s.x
	x.lastErr = dns.EDENetworkError
	x.cands[s.cand].out = true
	e.servers.get(now, x.cands[s.cand].addr).timedOut(now)
	e.emit(Event{Kind: EventDrop, Question: x.question(), Server: x.cands[s.cand].addr, Reason: "network error"})
	late := s.late
	x.drop(s, true)
	if !late {
		x.ask()
	}
	e.run()
}

// Deliver hands in a packet that came for a token. Whatever it holds, a wrong
// one costs its sender a guess and us nothing but the look.
func (e *Engine) Deliver(now Time, token Token, msg []byte) {
	e.now = now
	s := e.sends[token]
	if s == nil {
		return
	}
	x := s.x
	x.receive(s, msg)
	e.run()
}

// matches checks that msg answers s: RFC 5452, section 9.1, and QR.
func (s *send) matches(msg []byte) (ok, caseWrong bool) {
	h, good := wire.ParseHeader(msg)
	if !good || h.ID != s.id || h.Bits&wire.BitQR == 0 || h.Opcode() != dns.OpcodeQuery {
		return false, false
	}
	if h.QDCount == 0 && h.RCode() != dns.RCodeSuccess && h.RCode() != dns.RCodeNXDomain {
		return true, false // RFC 8906: some errors come without the question
	}
	l := len(s.x.qname())
	if h.QDCount != 1 || len(msg) < dns.HeaderLen+l+4 {
		return false, false
	}
	name, rest := msg[dns.HeaderLen:dns.HeaderLen+l], msg[dns.HeaderLen+l:]
	if dns.Type(binary.BigEndian.Uint16(rest)) != s.x.typ || dns.Class(binary.BigEndian.Uint16(rest[2:])) != dns.ClassIN {
		return false, false
	}
	if string(name) == string(s.name[:l]) {
		return true, false
	}
	if !dnsname.Equal(name, s.name[:l]) {
		return false, false
	}
	return !s.cased || s.tcp, true
}

func (x *exchange) receive(s *send, msg []byte) {
	e := x.e
	c := &x.cands[s.cand]
	payer := x.waiters[0].r
	if !payer.budget.bytes(len(msg)) {
		t := x.waiters[0]
		t.leave()
		t.failed(dns.EDEOther, "budget spent")
		if x.done {
			return
		}
	}
	ok, caseWrong := s.matches(msg)
	if !ok {
		if caseWrong {
			x.again(s, "letter case not kept", func() { c.tcp = true })
			return
		}
		s.mismatch++
		e.emit(Event{Kind: EventDrop, Question: x.question(), Server: c.addr, Reason: "answers no question of ours"})
		if s.tcp {
			x.useless(s, dns.EDENetworkError)
		} else if s.mismatch >= maxMismatch {
			x.again(s, "flood of wrong answers", func() { c.tcp = true })
		}
		return
	}
	v := e.servers.get(e.now, c.addr)
	if caseWrong {
		v.noCase = e.now + ednsRetry
	}
	if !s.tcp {
		v.answered(e.now - s.at)
	} else {
		v.fails = 0
	}
	h, _ := wire.ParseHeader(msg)
	if h.Bits&wire.BitTC != 0 {
		// what a truncated message holds is not used: RFC 2181, section 9
		if s.tcp {
			x.useless(s, dns.EDENetworkError)
			return
		}
		x.again(s, "truncated", func() { c.tcp = true })
		return
	}
	rcode := h.RCode()
	if s.edns {
		opt, err := e.edns(msg)
		if err == nil && opt.Present {
			rcode |= dns.RCode(opt.Ext) << 4
			if bad := e.takeCookie(v, opt.Options); bad {
				// RFC 7873, section 5.3: not from him whom we asked
				e.emit(Event{Kind: EventDrop, Question: x.question(), Server: c.addr, Reason: "wrong cookie"})
				if s.tcp {
					x.useless(s, dns.EDENetworkError)
				}
				return
			}
			if rcode == dns.RCodeBadCookie {
				if !c.cookie && v.cookieN > 0 {
					c.cookie = true
					x.again(s, "new cookie", func() {})
				} else if !s.tcp {
					x.again(s, "cookie refused", func() { c.tcp = true })
				} else {
					x.useless(s, dns.EDENetworkError)
				}
				return
			}
		} else if err == nil && v.cookieN > 0 && !s.tcp {
			// one who knows cookies would have sent one: perhaps a forger
			v.cookieN = 0
			x.again(s, "cookie missing", func() { c.tcp = true })
			return
		}
		if (rcode == dns.RCodeFormErr || rcode == dns.RCodeNotImp || rcode == dns.RCodeBadVers) && !c.plain {
			// RFC 6891, section 7
			if !opt.Present {
				v.noEDNS = e.now + ednsRetry
			}
			x.again(s, "no EDNS", func() { c.plain = true })
			return
		}
	}
	switch rcode {
	case dns.RCodeSuccess, dns.RCodeNXDomain, dns.RCodeYXDomain:
	default:
		// REFUSED is no Prohibited to our client (RFC 8914, sections 4.19, 4.23)
		e.emit(Event{Kind: EventDrop, Question: x.question(), Server: c.addr, Reason: rcode.String()})
		x.useless(s, dns.EDENoReachableAuthority)
		return
	}
	w := e.accept(msg, x.qname(), x.typ, x.zoneName(), x.forward)
	if w.class == classRecLame && c.useRec {
		w = e.acceptRecursive(w)
	}
	switch w.class {
	case classBad:
		e.emit(Event{Kind: EventDrop, Question: x.question(), Server: c.addr, Reason: w.why})
		x.useless(s, dns.EDEInvalidData)
		return
	case classLame:
		e.emit(Event{Kind: EventLame, Question: x.question(), Server: c.addr, Control: x.zoneName(), Target: w.cut, Reason: w.why})
		if !x.minimal {
			// only what was asked in full counts
			v.setLame(e.now, lameKey(x.zoneHash, x.typ))
		}
		x.useless(s, dns.EDENotAuthoritative)
		return
	case classRecLame:
		// other servers first; then this answer is better than none
		if !x.minimal && (x.otherThan(s.cand) || x.more()) {
			x.recLame = s.cand + 1
			e.emit(Event{Kind: EventDrop, Question: x.question(), Server: c.addr, Reason: w.why})
			x.useless(s, dns.EDENotAuthoritative)
			return
		}
		w = e.acceptRecursive(w)
		if w.class == classBad {
			x.useless(s, dns.EDENotAuthoritative)
			return
		}
	}
	from := c.addr
	e.storeOwnNS(x, w)
	if e.ev != nil {
		e.logRecords(x, from)
	}
	ws := x.waiters // nobody joins an exchange that is closed
	x.waiters = ws[:0]
	for _, t := range ws {
		t.x = nil
	}
	q := (*Question)(nil)
	if len(ws) > 0 {
		q = ws[0].r.first()
	}
	e.logOutcome(q, x, w, from)
	e.last = from
	x.close()
	for _, t := range ws {
		if t.state != stateDone && !t.r.finished {
			t.respond(w, from)
		}
	}
}

// storeOwnNS keeps the NS RRset by which a zone names its own servers (RFC
// 2181, section 5.4.1: authority section of an authoritative answer). No
// delegation is made of it.
func (e *Engine) storeOwnNS(x *exchange, w *response) {
	if !w.aa || x.forward || w.class == classReferral {
		return
	}
	p := &e.in
	for i := range p.groups {
		g := &p.groups[i]
		if g.section == wire.Authority && g.typ == dns.TypeNS && g.first >= 0 && string(p.names[g.owner]) == string(x.zoneName()) {
			if g.n > maxNSNames {
				return
			}
			s := p.set(g, RankAuthAuthority)
			e.put(&s, s.Owner, dns.TypeNS, Unchecked, nil)
			return
		}
	}
}

// acceptRecursive turns what a recursive server said into what it says.
func (e *Engine) acceptRecursive(w *response) *response {
	switch {
	case len(w.msg.Answer) > 0:
		w.class = classAnswer
		last := w.msg.Answer[len(w.msg.Answer)-1]
		if last.Type == dns.TypeCNAME && w.msg.QType != dns.TypeCNAME {
			w.class = classAlias
		}
	case w.rcode == dns.RCodeNXDomain:
		w.class = classNXDomain
	default:
		w.class = classNoData
	}
	return w
}

// otherThan reports whether a candidate besides i can still be asked.
func (x *exchange) otherThan(i int) bool {
	for k := range x.cands {
		if c := &x.cands[k]; k != i && !c.out && c.tries < maxTries {
			return true
		}
	}
	return false
}

// logOutcome emits the lines nxdomain, nodata, stats, in the old program's
// order.
func (e *Engine) logOutcome(q *Question, x *exchange, w *response, from netip.AddrPort) {
	if e.ev == nil {
		return
	}
	switch w.class {
	case classNXDomain:
		if len(w.msg.Answer) > 0 && e.cache.Get(&e.entry, KindNXDomain, 0, w.final) && e.entry.Expires > e.now.Seconds() {
			// the old program looked for the alias's target in the cache first
			e.emit(Event{Kind: EventCachedNXDomain, Question: q, Name: w.final})
			return
		}
		if w.negTTL > 0 {
			e.motion += uint64(22 + len(w.final))
		}
		e.emit(Event{Kind: EventNXDomain, Question: q, Server: from, TTL: w.negTTL, Name: w.final})
	case classNoData:
		if w.soa {
			e.emit(Event{Kind: EventNoData, Question: q, Server: from, TTL: w.negTTL, Type: x.typ, Name: w.final})
			if w.negTTL > 0 {
				e.motion += uint64(22 + len(w.final))
			}
		}
		e.emit(Event{Kind: EventStats, Question: q})
	case classAlias:
	case classAnswer:
		if len(w.msg.Answer) > 1 && w.msg.Answer[0].Type == dns.TypeCNAME && w.msg.QType != dns.TypeCNAME && w.msg.QType != dns.TypeANY {
			return
		}
		e.emit(Event{Kind: EventStats, Question: q})
	default:
		e.emit(Event{Kind: EventStats, Question: q})
	}
}

// edns finds the OPT record.
func (e *Engine) edns(msg []byte) (wire.EDNS, error) {
	c, err := wire.Parse(msg)
	if err == nil {
		err = c.SkipQuestions()
	}
	if err != nil {
		return wire.EDNS{}, err
	}
	return wire.FindEDNS(&c)
}

// takeCookie keeps the server's cookie; true if ours in it is wrong.
func (e *Engine) takeCookie(v *server, options []byte) (bad bool) {
	for {
		code, data, rest, ok := wire.NextOption(options)
		if !ok {
			return false
		}
		options = rest
		if code != dns.OptCookie {
			continue
		}
		ours := e.clientCookie(v.addr)
		if len(data) < 8 || string(data[:8]) != string(ours[:]) {
			return true
		}
		if n := len(data) - 8; n >= 8 && n <= len(v.cookie) {
			v.cookieN = uint8(copy(v.cookie[:], data[8:]))
		}
		return false
	}
}

// again asks the same server another way.
func (x *exchange) again(s *send, why string, change func()) {
	e := x.e
	i := s.cand
	x.drop(s, true)
	change()
	e.emit(Event{Kind: EventRetry, Question: x.question(), Server: x.cands[i].addr, Reason: why})
	if x.attempts >= maxAttempts || !x.sendTo(i) {
		if !x.done {
			x.cands[i].out = true
			x.ask()
		}
	}
}

// useless takes a server out of this exchange and asks the next.
func (x *exchange) useless(s *send, code dns.EDE) {
	x.lastErr = code
	x.cands[s.cand].out = true
	late := s.late
	x.drop(s, true)
	if x.minimal {
		x.giveUp()
		return
	}
	if !late {
		x.ask()
	} else if len(x.sends) == 0 {
		x.ask()
	}
}
