package sim

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sort"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/resolver"
	"bulkhead/internal/virtual"
	"bulkhead/internal/wire"
)

// Stats sums up runs.
type Stats struct {
	Questions, Right, Failed, Sends int
	MustSucceed                     int // questions whose way was healthy throughout
	MostSends                       int // for one question
	Zones, Servers                  int
	IDBits                          [16]int // how often each bit of an ID was set
}

type run struct {
	virtual.Time
	w     *world
	e     *resolver.Engine
	cache *resolver.MapCache
	sends int
	stats *Stats
	err   error

	waiting map[uint64]*asked
	ticket  uint64
}

type asked struct {
	name     dnsname.Name
	typ      dns.Type
	sends    int
	before   outcome
	healthy  bool
	alone    bool
	done     bool
	wasMoved bool
}

func (r *run) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
		r.Halt = true
	}
}

// SendUDP and SendTCP make a run a resolver.Net.
func (r *run) SendUDP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	return r.send(to, msg, token, false)
}

func (r *run) SendTCP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	return r.send(to, msg, token, true)
}

func (r *run) send(to netip.AddrPort, msg []byte, token resolver.Token, tcp bool) bool {
	r.sends++
	for i := range 16 {
		r.stats.IDBits[i] += int(msg[i/8] >> (i % 8) & 1)
	}
	s := r.w.servers[to.Addr()]
	if s == nil || to.Port() != 53 {
		return true // into the void
	}
	replies := r.w.serve(s, msg, tcp)
	if Trace != nil {
		c, _ := wire.Parse(msg)
		name, typ, _, _ := c.Question(nil)
		r.Say("> %d %v %v to %v (vice %d): %d replies", token,
			dnsname.Name(name), typ, to.Addr(), s.vice, len(replies))
	}
	for _, t := range replies {
		d := resolver.Time(t.delay) * resolver.Millisecond
		if tcp {
			d *= 2
		}
		r.Deliver(d, token, t.msg)
	}
	if s.vice == refuses && tcp {
		r.Fail(resolver.Millisecond, token)
	}
	return true
}

// Done judges an answer.
func (r *run) Done(q *resolver.Question, a *resolver.Answer) {
	k := r.waiting[q.Ticket]
	if k == nil || k.done {
		r.fail("answered twice: %v %v", dnsname.Name(q.Name), q.Type)
		return
	}
	k.done = true
	r.stats.Questions++
	if k.alone {
		used := r.sends - k.sends
		r.stats.MostSends = max(r.stats.MostSends, used)
		if used > resolver.DefaultLimits.Sends {
			r.fail("%v %v took %d packets", k.name, k.typ, used)
		}
	}
	var b wire.Builder
	p := resolver.Reply{ID: 1, Name: q.Name, Type: q.Type, Class: dns.ClassIN, RD: true, EDNS: true, Max: 65535}
	msg := resolver.AppendReply(nil, &b, &p, a)
	if bytes.Contains(msg, poisonAddr) {
		r.fail("%v %v: poisoned answer", k.name, k.typ)
		return
	}
	after := r.w.truth(k.name, k.typ)
	if a.RCode == dns.RCodeServFail {
		r.stats.Failed++
		if k.healthy && r.w.wayHealthy(&after) && !k.before.loop && !after.loop && k.name[1:5] != "loop" {
			r.fail("%v %v: SERVFAIL (%s), although all servers on the way work", k.name, k.typ, a.Text)
		}
		return
	}
	got := describe(a.RCode, answerRecords(a))
	if got == describe(after.rcode, after.rrs) || got == describe(k.before.rcode, k.before.rrs) {
		r.stats.Right++
		return
	}
	if r.past(k, got, a) {
		r.stats.Right++
		return
	}
	r.fail("%v %v: got %s, right is %s", k.name, k.typ, got, describe(after.rcode, after.rrs))
}

// past reports whether an answer was right before a removal or renumbering
// that the cache need not know of yet.
func (r *run) past(k *asked, got string, a *resolver.Answer) bool {
	w := r.w
	// what was said before may live for as long as its delegation did when the
	// change came, and then its own TTL
	const grace = 3660 + dataTTL + 60
	var undo []*zone
	var when []int64
	for _, z := range w.zones {
		if z.removed != 0 && w.now-z.removed <= grace {
			undo, when = append(undo, z), append(when, z.removed)
		}
	}
	if len(undo) == 0 || len(undo) > 6 {
		return false
	}
	ok := false
	for mask := 1; mask < 1<<len(undo) && !ok; mask++ {
		for i, z := range undo {
			z.removed = when[i]
			if mask>>i&1 != 0 {
				z.removed = 0
			}
		}
		o := w.truth(k.name, k.typ)
		ok = got == describe(o.rcode, o.rrs)
	}
	for _, z := range undo {
		z.removed = 0
	}
	then := r.w.truth(k.name, k.typ)
	for i, z := range undo {
		z.removed = when[i]
	}
	return ok || mixed(w, &then, a)
}

// mixed reports whether an answer is an alias chain from before, the target of
// which is gone now.
func mixed(w *world, then *outcome, a *resolver.Answer) bool {
	recs := answerRecords(a)
	if a.RCode != dns.RCodeNXDomain || len(recs) == 0 || recs[len(recs)-1].typ != dns.TypeCNAME {
		return false
	}
	old := map[string]bool{}
	for _, o := range then.rrs {
		old[describe(0, []record{o})] = true
	}
	for _, g := range recs {
		if !old[describe(0, []record{g})] {
			return false
		}
	}
	now := w.truth(dnsname.Name(recs[len(recs)-1].data).Lower(), dns.TypeA)
	return now.rcode == dns.RCodeNXDomain && len(now.rrs) == 0
}

// wayHealthy: all zones that a question touches are healthy.
func (w *world) wayHealthy(o *outcome) bool {
	for _, z := range o.zones {
		if !w.healthy(z, 3) {
			return false
		}
	}
	// a removed zone may live on in the cache, with servers that are sick
	for _, z := range w.zones {
		for _, n := range o.names {
			if z.removed != 0 && dnsname.IsBelow(n, z.name) {
				return false
			}
		}
	}
	return true
}

func answerRecords(a *resolver.Answer) (out []record) {
	for i := range a.RRs {
		s := &a.RRs[i]
		if s.Section != wire.Answer {
			continue
		}
		for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
			out = append(out, record{dnsname.Name(s.Owner), s.Type, data})
		}
	}
	return out
}

func describe(rcode dns.RCode, rrs []record) string {
	var lines []string
	for _, r := range rrs {
		lines = append(lines, fmt.Sprintf("%s %d %x", r.owner.Lower(), r.typ, rdata.AppendCanonical(nil, r.typ, r.data)))
	}
	sort.Strings(lines)
	return fmt.Sprintf("%d{%s}", rcode, strings.Join(lines, "; "))
}

// question draws what a client asks.
func (w *world) question() (dnsname.Name, dns.Type) {
	z := w.zones[w.pick(len(w.zones))]
	switch w.pick(14) {
	case 0:
		return z.name, dns.TypeA
	case 1:
		return label("www", z.name), dns.TypeAAAA
	case 2:
		return label("nowhere", label("no", z.name)), dns.TypeA
	case 3:
		return label("www", z.name), dns.TypeTXT
	case 4:
		return label("alias", z.name), dns.TypeA
	case 5:
		return label("chain", z.name), dns.TypeA
	case 6:
		return label(fmt.Sprintf("r%d", w.pick(1000)), label("wild", z.name)), dns.TypeA
	case 7:
		return label("ent", z.name), dns.TypeA
	case 8:
		return label("big", z.name), dns.TypeTXT
	case 9:
		return label("loop", z.name), dns.TypeA
	case 10:
		return label("www", label("dn", z.name)), dns.TypeA
	case 11:
		return label("mx", z.name), dns.TypeMX
	}
	return label("www", z.name), dns.TypeA
}

// Trace shows what happens, if it is not nil.
var Trace io.Writer

// Run plays one seed; the error says what did not hold.
func Run(seed uint64, stats *Stats) (err error) {
	w := newWorld(seed)
	stats.Zones += len(w.zones)
	stats.Servers += len(w.servers)
	r := &run{w: w, cache: resolver.NewMapCache(), stats: stats, waiting: map[uint64]*asked{}}
	r.Now = 1_700_000_000 * resolver.Second
	r.Origin, r.Trace = r.Now, Trace
	w.start = r.Now.Seconds()
	r.Moved = func() { w.now = r.Now.Seconds() - w.start }
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	root := resolver.Zone{Name: dnsname.Root}
	for _, ns := range w.root.ns {
		for _, a := range ns.addrs {
			root.Servers = append(root.Servers, netip.AddrPortFrom(a, 53))
		}
	}
	cfg := &resolver.Config{Zones: []resolver.Zone{root}, QMin: w.odds(2), Case0x20: !w.odds(4), IPv4: true, IPv6: true,
		LocalZones: true, Prefetch: w.odds(4)}
	var ev resolver.Events
	if Trace != nil {
		ev = r
	}
	var c resolver.Cache = r.cache
	if w.odds(4) {
		c = newSmall(r, seed)
	}
	r.e = resolver.New(cfg, c, r, r, ev, rand.New(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), 1})))
	r.Engine = r.e
	r.e.Prime(r.Now)
	rounds := 12 + w.pick(20)
	for i := range rounds {
		n := 1
		if w.odds(3) {
			n = 2 + w.pick(8) // at once
		}
		for range n {
			name, typ := w.question()
			r.ticket++
			o := w.truth(name, typ)
			k := &asked{name: name, typ: typ, sends: r.sends, before: o, alone: n == 1 && !cfg.Prefetch}
			k.healthy = w.wayHealthy(&o)
			if k.healthy && !o.loop {
				stats.MustSucceed++
			}
			r.waiting[r.ticket] = k
			if Trace != nil {
				fmt.Fprintf(Trace, "ask %v %v healthy=%v\n", name, typ, k.healthy)
			}
			r.e.Ask(r.Now, &resolver.Question{Name: []byte(name), Type: typ, Ticket: r.ticket})
		}
		limit := r.Now + resolver.DefaultLimits.Time + resolver.Second
		r.Run(limit, func() bool {
			for _, k := range r.waiting {
				if !k.done {
					return false
				}
			}
			return true
		})
		for _, k := range r.waiting {
			if !k.done {
				r.fail("%v %v: never answered", k.name, k.typ)
			}
		}
		clear(r.waiting)
		if r.err != nil {
			return r.err
		}
		if i == rounds/2 && len(w.zones) > 4 {
			if z := w.zones[2+w.pick(len(w.zones)-2)]; w.odds(2) {
				z.removed = max(w.now, 1)
				if Trace != nil {
					fmt.Fprintf(Trace, "removed %v\n", z.name)
				}
			} else {
				w.renumber(z)
			}
		}
		if w.odds(3) {
			r.Run(r.Now+resolver.Time(w.pick(4000))*resolver.Second, nil)
		}
	}
	r.Run(r.Now+60*resolver.Second, nil)
	if q, p := r.e.InWork(); q+p > 0 {
		r.fail("%d questions and %d packets are left behind", q, p)
	}
	r.cache.Each(func(name string, e *resolver.Entry) {
		if bytes.Contains(e.Records, poisonAddr) || bytes.Contains(e.Proof, poisonAddr) {
			r.fail("poison in the cache: %v kind %d type %v", dnsname.Name(name), e.Kind, e.Type)
		}
	})
	stats.Sends += r.sends
	return r.err
}
