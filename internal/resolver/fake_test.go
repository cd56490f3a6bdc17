package resolver

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// fake is a small network for tests: servers are functions, time is virtual.
type fake struct {
	t       testing.TB
	e       *Engine
	cache   *MapCache
	now     Time
	servers map[string]func(q *asked)
	queue   fakeQueue
	seq     int
	gone    map[Token]bool
	sends   int
	tcp     int
	to      map[string]int // packets by server
	log     []string       // "name type server"
	ids     []uint16
	names   []string
	answers map[uint64]*Answer
	msgs    map[uint64][]byte
	ticket  uint64
	raw     []byte
}

// asked is a question at a server.
type asked struct {
	f     *fake
	name  dnsname.Name // lower case
	raw   []byte       // as asked
	typ   dns.Type
	id    uint16
	tcp   bool
	token Token
	msg   []byte
	b     wire.Builder
	bits  uint16
	ready bool
}

type fakeEvent struct {
	at  Time
	seq int
	f   func()
}
type fakeQueue []fakeEvent

func (h fakeQueue) Len() int { return len(h) }
func (h fakeQueue) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h fakeQueue) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *fakeQueue) Push(x any)   { *h = append(*h, x.(fakeEvent)) }
func (h *fakeQueue) Pop() any     { o := *h; x := o[len(o)-1]; *h = o[:len(o)-1]; return x }

func n(text string) dnsname.Name {
	v, err := dnsname.ParseDot(text)
	if err != nil {
		panic(err)
	}
	return v
}

func ip(text string) []byte { a := netip.MustParseAddr(text); return a.AsSlice() }

// newFake makes a network whose root is at 192.0.2.1.
func newFake(t testing.TB, change ...func(*Config)) *fake {
	f := &fake{t: t, cache: NewMapCache(), now: 1_700_000_000 * Second, servers: map[string]func(*asked){}, gone: map[Token]bool{},
		to: map[string]int{}, answers: map[uint64]*Answer{}, msgs: map[uint64][]byte{}}
	cfg := &Config{Zones: []Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}}},
		IPv4: true, IPv6: true, Case0x20: true, LocalZones: true}
	for _, c := range change {
		c(cfg)
	}
	f.e = New(cfg, f.cache, f, f, nil, rand.New(rand.NewChaCha8([32]byte{7})))
	return f
}

func (f *fake) SendUDP(to netip.AddrPort, msg []byte, token Token) bool {
	return f.send(to, msg, token, false)
}
func (f *fake) SendTCP(to netip.AddrPort, msg []byte, token Token) bool {
	return f.send(to, msg, token, true)
}
func (f *fake) Cancel(token Token) { f.gone[token] = true }

func (f *fake) after(d Time, do func()) {
	f.seq++
	heap.Push(&f.queue, fakeEvent{f.now + d, f.seq, do})
}

func (f *fake) send(to netip.AddrPort, msg []byte, token Token, tcp bool) bool {
	c, err := wire.Parse(msg)
	if err != nil {
		f.t.Fatal(err)
	}
	raw, typ, _, err := c.Question(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.sends++
	if tcp {
		f.tcp++
	}
	q := &asked{f: f, name: dnsname.Name(raw).Lower(), raw: raw, typ: typ, id: c.Header.ID, tcp: tcp, token: token,
		msg: append([]byte(nil), msg...)}
	f.to[to.Addr().String()]++
	f.log = append(f.log, q.name.Text()+" "+typ.String()+" "+to.Addr().String())
	f.ids, f.names = append(f.ids, q.id), append(f.names, string(raw))
	if s := f.servers[to.Addr().String()]; s != nil {
		s(q)
	}
	return true
}

// start begins a response with these header bits besides QR.
func (q *asked) start(bits uint16) *asked {
	q.b.Reset(nil, 65535, q.id, wire.BitQR|bits)
	q.b.Question(q.raw, q.typ, dns.ClassIN)
	return q
}

func (q *asked) rr(s wire.Section, owner string, t dns.Type, ttl uint32, data []byte) *asked {
	q.b.RR(s, []byte(n(owner)), t, dns.ClassIN, ttl, data)
	return q
}
func (q *asked) an(owner string, t dns.Type, ttl uint32, data []byte) *asked {
	return q.rr(wire.Answer, owner, t, ttl, data)
}
func (q *asked) ns(zone, server string, ttl uint32) *asked {
	return q.rr(wire.Authority, zone, dns.TypeNS, ttl, []byte(n(server)))
}
func (q *asked) a(owner, addr string, ttl uint32) *asked {
	return q.rr(wire.Additional, owner, dns.TypeA, ttl, ip(addr))
}
func (q *asked) soa(zone string) *asked {
	d := append([]byte(n("ns."+zone)), n("hm."+zone)...)
	return q.rr(wire.Authority, zone, dns.TypeSOA, 60, append(d, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 60))
}

// send delivers the response after a millisecond.
func (q *asked) send() {
	msg := q.b.Finish()
	q.deliver(msg, Millisecond)
}

func (q *asked) deliver(msg []byte, d Time) {
	q.f.after(d, func() {
		if !q.f.gone[q.token] {
			q.f.e.Deliver(q.f.now, q.token, msg)
		}
	})
}

func (f *fake) Done(q *Question, a *Answer) {
	c := *a
	c.RRs = nil
	f.answers[q.Ticket] = &c
	var b wire.Builder
	p := Reply{ID: 1, Name: q.Name, Type: q.Type, Class: dns.ClassIN, RD: true, EDNS: true, DO: q.DO, Max: 65535}
	f.msgs[q.Ticket] = AppendReply(nil, &b, &p, a)
}

func (f *fake) step(end Time) bool {
	next, has := Time(0), false
	if len(f.queue) > 0 {
		next, has = f.queue[0].at, true
	}
	if at, ok := f.e.NextTimer(); ok && (!has || at < next) {
		if at > end {
			return false
		}
		f.now = max(f.now, at)
		f.e.Expire(f.now)
		return true
	}
	if !has || next > end {
		return false
	}
	ev := heap.Pop(&f.queue).(fakeEvent)
	f.now = max(f.now, ev.at)
	ev.f()
	return true
}

func (f *fake) wait(d Time) {
	end := f.now + d
	for f.step(end) {
	}
	f.now = end
}

// put asks without waiting.
func (f *fake) put(name string, t dns.Type) uint64 {
	f.ticket++
	f.e.Ask(f.now, &Question{Name: []byte(n(name)), Type: t, Ticket: f.ticket})
	return f.ticket
}

// ask asks and waits; the packets it took.
func (f *fake) ask(name string, t dns.Type) (*Answer, int) {
	before := f.sends
	k := f.put(name, t)
	end := f.now + 20*Second
	for f.answers[k] == nil && f.step(end) {
	}
	if f.answers[k] == nil {
		f.t.Fatalf("%s %v: no answer", name, t)
	}
	f.raw = f.msgs[k]
	return f.answers[k], f.sends - before
}

// has reports whether the last answer holds an address.
func (f *fake) has(addr string) bool { return strings.Contains(string(f.raw), string(ip(addr))) }

// cached looks for an address anywhere in the cache.
func (f *fake) cached(addr string) (where string) {
	f.cache.Each(func(name string, e *Entry) {
		if strings.Contains(string(e.Records)+string(e.Proof), string(ip(addr))) {
			where = dnsname.Name(name).Text() + " " + e.Type.String()
		}
	})
	return where
}

// refer is a server that delegates zones: name -> server name and address.
func refer(zone string, cuts map[string][2]string, ttl uint32) func(*asked) {
	return func(q *asked) {
		for cut, s := range cuts {
			if dnsname.IsBelow(q.name, n(cut)) {
				q.start(0).ns(cut, s[0], ttl).a(s[0], s[1], ttl).send()
				return
			}
		}
		q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa(zone).send()
	}
}
