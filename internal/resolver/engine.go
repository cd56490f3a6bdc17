package resolver

import (
	"net/netip"
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
)

// Engine resolves. It belongs to one goroutine; see the package comment.
type Engine struct {
	cfg    *Config
	zones  map[dnsname.Name]*Zone
	limits Limits
	cache  Cache
	net    Net
	front  Front
	ev     Events
	rng    Rand
	secret [4]uint64

	since     int64 // second in which cfg came
	now       Time
	timers    timerHeap
	servers   serverTable
	whole     wholeTable
	roots     map[uint64]*root     // questions in work, by hash; further ones by next
	exchanges map[uint64]*exchange // questions out, likewise
	sends     map[Token]*send
	tickets   map[uint64]*root // who waits for what
	lastToken Token
	nRoots    int
	nTasks    int
	motion    uint64
	priming   bool // the root's servers are being asked for
	hints     bool // the root's configured servers only tell who serves it
	primed    bool // Prime was called
	needPrime bool
	nextPrime Time

	runq []*task
	dead []*root // finished, to be recycled when nobody is in the middle of them

	freeRoots     []*root
	freeTasks     []*task
	freeExchanges []*exchange
	freeSends     []*send

	// scratch space, valid during one call
	name    [dns.MaxName]byte
	out     Answer
	outBuf  []byte
	entry   Entry
	old     Entry
	event   Event
	in      parser
	pack    []byte
	query   []byte
	options []byte
	proof   []byte
	last    netip.AddrPort
	closed  []*exchange
}

// New makes an engine. events may be nil.
func New(cfg *Config, cache Cache, net Net, front Front, events Events, rng Rand) *Engine {
	e := &Engine{cache: cache, net: net, front: front, ev: events, rng: rng,
		roots: make(map[uint64]*root), exchanges: make(map[uint64]*exchange), sends: make(map[Token]*send),
		tickets: make(map[uint64]*root)}
	for i := range e.secret {
		e.secret[i] = rng.Uint64()
	}
	e.SetConfig(0, cfg)
	return e
}

// SetConfig replaces what the administrator decides. What is in work goes on;
// the cache is kept, but for failures.
func (e *Engine) SetConfig(now Time, cfg *Config) {
	e.cfg, e.since = cfg, now.Seconds()
	e.limits = cfg.Limits.withDefaults()
	e.zones = make(map[dnsname.Name]*Zone, len(cfg.Zones))
	for i := range cfg.Zones {
		z := &cfg.Zones[i]
		if old := e.zones[z.Name]; old == nil || z.Forward {
			e.zones[z.Name] = z // root/forward/ZONE goes before servers/ZONE
		}
	}
	e.hints = false
	if z := e.zones[dnsname.Root]; z != nil && !z.Forward && !cfg.ForwardOnly {
		// Priming brings addresses, not ports: a root on another port is
		// somebody's own and stays as it is configured.
		e.hints = !slices.ContainsFunc(z.Servers, func(s netip.AddrPort) bool { return s.Port() != dns.Port && s.Port() != 0 })
	}
}

// root is one question in work, for one client or many.
type root struct {
	e        *Engine
	hash     uint64
	next     *root // of equal hash
	name     [dns.MaxName]byte
	nameLen  int
	typ      dns.Type
	cd       bool
	refresh  bool // nobody asked: prefetch, priming
	primer   bool
	finished bool
	stale    bool // stale data were given already
	nsFailed int  // names of servers that led nowhere
	waiters  []waiter
	budget   Budget
	tasks    []*task
	fetched  []fetched
	arena    []byte
	deadline timer
	wait     timer // serve-stale's
}

type waiter struct {
	q    Question
	name [dns.MaxName]byte
}

// fetched is a message that a validator needed.
type fetched struct {
	name     []byte
	typ      dns.Type
	m        *Message
	from     netip.AddrPort   // who said so; invalid: the cache
	avoid    []netip.AddrPort // whose answers were rejected
	rejected int              // how often
	open     bool             // rejected, not fetched again yet
}

func (r *root) qname() []byte { return r.name[:r.nameLen] }

// Lookup implements Fetched.
func (r *root) Lookup(name []byte, t dns.Type) (*Message, bool) {
	for i := range r.fetched {
		if f := &r.fetched[i]; !f.open && f.typ == t && string(f.name) == string(name) {
			return f.m, true
		}
	}
	return nil, false
}

// Reject implements Rejecter.
func (r *root) Reject(name []byte, t dns.Type) bool {
	for i := range r.fetched {
		f := &r.fetched[i]
		if f.open || f.typ != t || string(f.name) != string(name) {
			continue
		}
		if f.rejected >= maxBogus || r.budget.spent != "" || f.m == nil {
			return false
		}
		f.rejected++
		f.open = true
		if f.from.IsValid() {
			f.avoid = append(f.avoid, f.from)
		}
		r.e.cache.Delete(KindRRset, t, name)
		return true
	}
	return false
}

// keep copies b to where it lives as long as the question.
func (r *root) keep(b []byte) []byte {
	n := len(r.arena)
	r.arena = append(r.arena, b...)
	return r.arena[n:len(r.arena):len(r.arena)]
}

// Ask resolves a question; Front.Done gives the answer, now or later.
func (e *Engine) Ask(now Time, q *Question) {
	e.now = now
	name := dnsname.AppendLower(e.name[:0], q.Name)
	if !q.Fresh && e.fast(q, name) {
		return
	}
	h := e.hash(name, uint64(q.Type), b2u(q.CD))
	for r := e.roots[h]; r != nil; r = r.next {
		if r.typ == q.Type && r.cd == q.CD && !r.primer && string(r.qname()) == string(name) {
			if len(r.waiters) >= maxJoined {
				e.refuse(q, "too many clients ask this")
				return
			}
			// Others have waited in vain already (RFC 8767, section 5). When the
			// work fails, stale data are not looked for a second time.
			if r.stale && e.staleFor(name, q.Type) {
				e.emit(Event{Kind: EventStale, Question: q, Type: q.Type, Name: name})
				e.out.AD = e.out.Sec == Secure
				e.front.Done(q, &e.out)
				return
			}
			e.emit(Event{Kind: EventJoined, Question: q, Type: q.Type, Name: name})
			r.join(q)
			if !r.stale && e.cfg.ServeStale > 0 && r.wait.pos == 0 {
				e.timers.set(&r.wait, now+e.cfg.staleWait())
			}
			return
		}
	}
	if e.nRoots >= maxRoots || e.nTasks >= maxTasks {
		e.refuse(q, "too many questions at once")
		return
	}
	r := e.newRoot(h, name, q.Type, q.CD)
	r.join(q)
	if e.cfg.ServeStale > 0 {
		e.timers.set(&r.wait, now+e.cfg.staleWait())
	}
	e.newTask(r, nil, modeClient, name, q.Type)
	e.run()
}

// Abandon forgets a client; the work for it goes on, for the cache's sake.
func (e *Engine) Abandon(ticket uint64) {
	r := e.tickets[ticket]
	if r == nil {
		return
	}
	delete(e.tickets, ticket)
	for i := range r.waiters {
		if r.waiters[i].q.Ticket == ticket {
			r.waiters[i] = r.waiters[len(r.waiters)-1]
			r.waiters = r.waiters[:len(r.waiters)-1]
			return
		}
	}
}

// Prime asks the servers of root/servers/@ who serves the root (RFC 9609). The
// engine does so again by itself when that is past its time.
func (e *Engine) Prime(now Time) {
	e.now = now
	if e.priming || !e.hints {
		return
	}
	e.primed, e.nextPrime = true, now+primeEvery
	if t := e.cfg.Priming; t != nil && !t.take(now, primeEvery) {
		return // another engine does, or did a moment ago
	}
	e.priming = true
	r := e.newRoot(e.hash(rootName, uint64(dns.TypeNS), 2), rootName, dns.TypeNS, true)
	r.refresh, r.primer = true, true
	e.newTask(r, nil, modePrime, rootName, dns.TypeNS)
	e.run()
}

var rootName = []byte{0}

// refresh resolves a question that nobody waits for.
func (e *Engine) refresh(name []byte, t dns.Type) {
	h := e.hash(name, uint64(t), 0)
	for r := e.roots[h]; r != nil; r = r.next {
		if r.typ == t && !r.cd && string(r.qname()) == string(name) {
			return
		}
	}
	if e.nRoots >= maxRoots || e.nTasks >= maxTasks {
		return
	}
	if e.failed(&e.old, t, name) {
		return // it failed a moment ago (RFC 9520); the data are still good
	}
	e.emit(Event{Kind: EventPrefetch, Type: t, Name: name})
	r := e.newRoot(h, name, t, false)
	r.refresh = true
	e.newTask(r, nil, modeClient, name, t).fresh = true
}

func (e *Engine) newRoot(h uint64, name []byte, t dns.Type, cd bool) *root {
	var r *root
	if n := len(e.freeRoots); n > 0 {
		r = e.freeRoots[n-1]
		e.freeRoots = e.freeRoots[:n-1]
	} else {
		r = &root{e: e}
		r.deadline.r, r.wait.r = r, r
	}
	r.hash, r.typ, r.cd = h, t, cd
	r.nameLen = copy(r.name[:], name)
	r.budget = Budget{left: e.limits, Crypto: dnssec.NewBudget()}
	r.next = e.roots[h]
	e.roots[h] = r
	e.nRoots++
	e.timers.set(&r.deadline, e.now+e.limits.Time)
	return r
}

func (r *root) join(q *Question) {
	n := len(r.waiters)
	if n < cap(r.waiters) {
		r.waiters = r.waiters[:n+1]
	} else {
		r.waiters = append(r.waiters, waiter{})
	}
	w := &r.waiters[n]
	w.q = *q
	// the name is found again by waiter.question: w may move
	copy(w.name[:], q.Name)
	r.e.tickets[q.Ticket] = r
}

func (w *waiter) question() *Question {
	w.q.Name = w.name[:len(w.q.Name)]
	return &w.q
}

// first is the question that events belong to, nil when nobody waits.
func (r *root) first() *Question {
	if len(r.waiters) == 0 {
		return nil
	}
	return r.waiters[0].question()
}

// finish answers all who wait and ends the work.
func (e *Engine) finish(r *root, a *Answer) {
	if r.finished {
		return
	}
	r.finished = true
	e.timers.stop(&r.deadline)
	e.timers.stop(&r.wait)
	for _, t := range r.tasks {
		t.leave()
		t.state = stateDone
	}
	if r.primer {
		e.priming = false
	}
	p := e.roots[r.hash]
	if p == r {
		if r.next == nil {
			delete(e.roots, r.hash)
		} else {
			e.roots[r.hash] = r.next
		}
	} else {
		for p.next != r {
			p = p.next
		}
		p.next = r.next
	}
	e.nRoots--
	e.answer(r, a)
	e.dead = append(e.dead, r)
}

// answer gives a to all who wait.
func (e *Engine) answer(r *root, a *Answer) {
	for i := range r.waiters {
		q := r.waiters[i].question()
		// what YXDOMAIN says no signature covers
		a.AD = a.Sec == Secure && !q.CD && a.RCode != dns.RCodeYXDomain
		delete(e.tickets, q.Ticket)
		e.front.Done(q, a)
	}
	r.waiters = r.waiters[:0]
}

// recycle frees what finished roots own, once nobody is using it.
func (e *Engine) recycle() {
	for _, r := range e.dead {
		for i, t := range r.tasks {
			t.reset()
			e.freeTasks = append(e.freeTasks, t)
			r.tasks[i] = nil
		}
		e.nTasks -= len(r.tasks)
		*r = root{e: e, deadline: timer{r: r}, wait: timer{r: r}, tasks: r.tasks[:0], fetched: r.fetched[:0],
			waiters: r.waiters[:0], arena: r.arena[:0]}
		if cap(r.arena) > maxPooled {
			r.arena = nil
		}
		if cap(r.waiters) > 8 {
			r.waiters = nil
		}
		e.freeRoots = append(e.freeRoots, r)
	}
	clear(e.dead)
	e.dead = e.dead[:0]
	for _, x := range e.closed {
		ws, cs, ss := x.waiters[:0], x.cands[:0], x.sends[:0]
		if cap(ws) > 64 {
			ws = nil
		}
		*x = exchange{e: e, timer: timer{x: x}, waiters: ws, cands: cs, sends: ss}
		e.freeExchanges = append(e.freeExchanges, x)
	}
	clear(e.closed)
	e.closed = e.closed[:0]
}

// run lets tasks work until all wait for something.
func (e *Engine) run() {
	for i := 0; i < len(e.runq); i++ {
		t := e.runq[i]
		e.runq[i] = nil
		t.queued = false
		if t.state != stateDone && !t.r.finished {
			t.step()
		}
	}
	e.runq = e.runq[:0]
	e.recycle()
	if e.needPrime {
		e.needPrime = false
		e.Prime(e.now)
	}
}

func (e *Engine) wake(t *task) {
	if !t.queued {
		t.queued = true
		e.runq = append(e.runq, t)
	}
}

// Expire does what has come due by now.
func (e *Engine) Expire(now Time) {
	e.now = now
	for len(e.timers) > 0 && e.timers[0].at <= now {
		t := e.timers[0]
		e.timers.stop(t)
		switch {
		case t.x != nil:
			t.x.timeout()
		case t == &t.r.wait:
			e.serveStale(t.r)
		default:
			t.r.expired()
		}
		e.run()
	}
}

// NextTimer is when Expire has to be called at the latest; false: not at all.
func (e *Engine) NextTimer() (Time, bool) {
	if len(e.timers) == 0 {
		return 0, false
	}
	return e.timers[0].at, true
}

// InWork counts the questions and the packets that are out, for statistics
// and for tests that nothing is left behind.
func (e *Engine) InWork() (questions, packets int) { return e.nRoots, len(e.sends) }

func (r *root) expired() {
	if r.budget.spent == "" {
		r.budget.spent = "time"
	}
	r.fail(dns.EDENoReachableAuthority, "no answer in time")
}

// fail ends a question with SERVFAIL, or with stale data if there are any, and
// remembers the failure (RFC 9520).
func (r *root) fail(code dns.EDE, text string) {
	e := r.e
	if s := r.budget.spent; s != "" {
		e.emit(Event{Kind: EventBudget, Question: r.first(), Type: r.typ, Name: r.qname(), Reason: s})
		text = budgetText(s)
		code = dns.EDEOther
	}
	ttl := int64(failureTime)
	if code == dns.EDEDNSSECBogus || r.bogus(code) {
		ttl = bogusTime
	}
	// Bogus data are a failure to refresh like any other: what was good when it
	// came serves on. Who can forge could as well have kept the answer away.
	stale := !r.stale && len(r.waiters) > 0 && e.staleAnswer(r)
	if stale || r.stale {
		ttl = staleFailTime
	}
	if !r.primer {
		e.entry = Entry{Kind: KindFailure, Type: r.typ, Code: uint16(code) + 1, TTL: uint32(ttl),
			Expires: e.now.Seconds() + ttl}
		if !r.cd || !r.bogus(code) {
			e.cache.Put(r.qname(), &e.entry)
		}
	}
	if stale {
		e.answer(r, &e.out)
		e.finish(r, &e.out)
		return
	}
	e.emit(Event{Kind: EventServFail, Question: r.first(), Name: r.qname(), Reason: text})
	e.out = Answer{RCode: dns.RCodeServFail, EDE: true, Code: code, Text: text, RRs: e.out.RRs[:0]}
	if r.bogus(code) {
		e.out.Sec = Bogus
	}
	e.finish(r, &e.out)
}

// bogus reports whether code is one of validation's failures.
func (r *root) bogus(code dns.EDE) bool {
	return code >= dns.EDEDNSSECIndeterminate && code <= dns.EDENSECMissing && code != dns.EDEDNSSECIndeterminate ||
		code == dns.EDESignatureExpiredBeforeValid
}

// budgetText gives constant strings: no allocation, nothing to escape.
func budgetText(limit string) string {
	switch limit {
	case "packets sent":
		return "budget spent: packets sent"
	case "bytes received":
		return "budget spent: bytes received"
	case "names looked up":
		return "budget spent: names looked up"
	case "name server addresses":
		return "budget spent: name server addresses"
	case "aliases":
		return "budget spent: aliases"
	case "referrals":
		return "budget spent: referrals"
	case "levels":
		return "budget spent: levels of name servers"
	case "time":
		return "budget spent: time"
	}
	return "budget spent"
}

// refuse answers SERVFAIL without work.
func (e *Engine) refuse(q *Question, text string) {
	e.out = Answer{RCode: dns.RCodeServFail, EDE: true, Code: dns.EDENotReady, Text: text, RRs: e.out.RRs[:0]}
	e.front.Done(q, &e.out)
}

func (e *Engine) emit(ev Event) {
	if e.ev != nil {
		e.event = ev
		e.event.Motion = e.motion
		e.ev.Event(&e.event)
	}
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
