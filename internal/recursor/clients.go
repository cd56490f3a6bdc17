package recursor

import (
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// query is a client's question at work.
type query struct {
	q      resolver.Question
	name   [dns.MaxName]byte
	active bool
	tcp    bool
	panics uint8
	gen    uint32
	next   int32 // younger, prev older: UDP questions only
	prev   int32
	place  int32 // in worker.queries
	conn   int32 // TCP: which connection, and its generation
	cgen   uint32
	lst    int32 // UDP: which listener
	sa     sockaddr
	local  localAddr
	from   netip.AddrPort
	asked  asked
}

// asked is what a query said besides its question.
type asked struct {
	id        uint16
	bits      uint16
	class     dns.Class
	edns      wire.EDNS // Options point into the packet: not to be kept
	max       int       // bytes the answer may have
	nsid      bool
	cookie    []byte // the client's, in the packet or in keep
	badCookie bool   // what came with it is not ours
	keep      [8]byte
	rcode     dns.RCode // not 0: answer this, ask nobody
	drop      bool      // say nothing
	// transfer: it is refused for its type, which the log shows
	transfer bool
}

// maxGen keeps tickets of clients away from the marks of explanations and probes
// (traceTicket, rollTicket), whatever the number of questions.
const maxGen = 1<<30 - 1

func ticketOf(place int32, gen uint32) uint64 { return uint64(gen)<<32 | uint64(uint32(place)) }

// query gives the active question of a ticket.
func (w *worker) query(ticket uint64) *query {
	i := uint32(ticket)
	if i >= uint32(len(w.queries)) {
		return nil
	}
	q := w.queries[i]
	if !q.active || q.gen != uint32(ticket>>32) {
		return nil
	}
	return q
}

// newQuery takes a place; nil when all are taken by better ones.
func (w *worker) newQuery(from netip.AddrPort, tcp bool) *query {
	c := w.clients.get(from.Addr())
	if c == nil || int(c.active) >= w.share(c) {
		return nil
	}
	if len(w.free) == 0 {
		if !w.evict() {
			return nil
		}
		// evicting may have moved clients; this one exists, look again
		if c = w.clients.get(from.Addr()); c == nil {
			return nil
		}
	}
	i := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	if int(i) == len(w.queries) {
		// the first time that so many are at work: places are taken from below
		w.queries = append(w.queries, &query{place: i})
	}
	q := w.queries[i]
	q.gen = (q.gen + 1) & maxGen
	q.active, q.tcp, q.panics, q.from = true, tcp, 0, from
	if c.active++; c.active == 1 {
		w.clients.asking++
	}
	if tcp {
		return q
	}
	w.udp++
	q.prev, q.next = w.newest, -1
	if w.newest >= 0 {
		w.queries[w.newest].next = i
	} else {
		w.oldest = i
	}
	w.newest = i
	return q
}

// share is how many questions one client prefix may have at work: all while
// half of the places are free, then an equal part of them.
func (w *worker) share(c *clientState) int {
	if len(w.free) > maxQueries/2 {
		return maxQueries
	}
	return max(minShare, maxQueries/max(1, w.clients.asking))
}

// minShare is what everybody may have at work even in the worst case.
const minShare = 8

// evict drops the oldest UDP question, as 1.05 does at its limit of 200; of
// the oldest few it takes one whose client has the most.
func (w *worker) evict() bool {
	const look = 16
	var worst *query
	most := int32(-1)
	i := w.oldest
	for n := 0; i >= 0 && n < look; n++ {
		q := w.queries[i]
		if c := w.clients.find(q.from.Addr()); c != nil && c.active > most {
			worst, most = q, c.active
		}
		i = q.next
	}
	if worst == nil {
		return false
	}
	w.log.Drop(worst.q.Serial, errTimedOut)
	// the engine is not told: it would have to search for the client, and its
	// answer finds a ticket that no longer counts
	w.release(worst)
	return true
}

// release gives a question's place back.
func (w *worker) release(q *query) {
	q.active = false
	if c := w.clients.find(q.from.Addr()); c != nil {
		if c.active--; c.active == 0 {
			w.clients.asking--
		}
	}
	if !q.tcp {
		w.udp--
		if q.prev >= 0 {
			w.queries[q.prev].next = q.next
		} else {
			w.oldest = q.next
		}
		if q.next >= 0 {
			w.queries[q.next].prev = q.prev
		} else {
			w.newest = q.prev
		}
	}
	w.free = append(w.free, q.place)
}

// clientTable counts what each client prefix has at work. An IPv4 client is an
// address, an IPv6 client a /56, what one household gets (RFC 6177).
type clientTable struct {
	m      map[netip.Prefix]*clientState
	asking int // those with questions at work
}

type clientState struct {
	active int32
}

// maxClients bounds the table: an IPv6 client has 2^72 prefixes to play with,
// if ip/ lets them all in.
const maxClients = 16384

const (
	bits4 = 32
	bits6 = 56
)

func (t *clientTable) init() { t.m = make(map[netip.Prefix]*clientState) }

func clientPrefix(a netip.Addr) netip.Prefix {
	n := bits4
	if a.Is6() {
		n = bits6
	}
	p, _ := a.Prefix(n)
	return p
}

func (t *clientTable) find(a netip.Addr) *clientState { return t.m[clientPrefix(a)] }

// get finds or makes the state of a client; nil when the table is full of busy
// ones.
func (t *clientTable) get(a netip.Addr) *clientState {
	p := clientPrefix(a)
	c := t.m[p]
	if c == nil {
		if len(t.m) >= maxClients {
			t.sweep()
			if len(t.m) >= maxClients {
				return nil
			}
		}
		c = new(clientState)
		t.m[p] = c
	}
	return c
}

// sweep forgets clients with nothing at work.
func (t *clientTable) sweep() {
	if len(t.m)-t.asking < maxClients/2 {
		return
	}
	for p, c := range t.m {
		if c.active == 0 {
			delete(t.m, p)
		}
	}
}
