package recursor

import (
	"net/netip"
	"strconv"
	"time"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/explain"
	"bulkhead/internal/rdata"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
	"bulkhead/internal/wire"
)

// traceTicket marks the questions of explanations among the tickets.
const traceTicket = 1 << 63

// maxSteps is how many steps an explanation shows: some 20 for each of the
// packets that a question's budget allows.
const maxSteps = 2000

// tracer collects what happens for one question.
type tracer struct {
	doc   explain.Document
	start resolver.Time
	name  []byte // lower case
	typ   dns.Type
	seen  []dnsname.Name // names whose steps of validation belong here
	out   chan []byte
	next  *tracer // waiting for its turn
	fresh bool
	// level is that of the question last put to a zone's servers; levels those
	// of what was sent to each server, which what it says belongs to
	level  int
	levels map[netip.AddrPort]int
}

// startTrace begins an explanation, one after another.
func (w *worker) startTrace(name []byte, t dns.Type, fresh bool, out chan []byte) {
	tr := &tracer{name: dnsname.Lower(name), typ: t, out: out, fresh: fresh, levels: map[netip.AddrPort]int{}}
	tr.doc.Name, tr.doc.Type, tr.doc.Cost = dnsname.Name(tr.name).Text(), t.String(), map[string]uint64{}
	if w.trace != nil {
		last := w.trace
		for last.next != nil {
			last = last.next
		}
		last.next = tr
		return
	}
	w.trace = tr
	w.runTrace(tr)
}

func (w *worker) runTrace(tr *tracer) {
	tr.start = w.now
	tr.seen = append(tr.seen, dnsname.Name(tr.name))
	tr.doc.Before = w.entries(tr)
	if tr.fresh {
		w.s.cache.Remove(w.s.cache.MakeKey(cache.KindRRset, tr.typ, tr.name))
		w.s.cache.Remove(w.s.cache.MakeKey(cache.KindRRset, dns.TypeCNAME, tr.name))
		w.s.cache.Remove(w.s.cache.MakeKey(cache.KindFailure, tr.typ, tr.name))
		w.s.cache.Remove(w.s.cache.MakeKey(cache.KindNXDomain, 0, tr.name))
	}
	q := resolver.Question{Name: tr.name, Type: tr.typ, DO: true, Ticket: traceTicket, Trace: true, Client: netip.IPv4Unspecified()}
	w.guard(func() { w.eng.Ask(w.now, &q) })
}

// endTrace gives what there is; the client has waited long enough.
func (w *worker) endTrace(out chan []byte) {
	none := explain.Answer{RCode: "none yet", Status: resolver.Unchecked.String()}
	if tr := w.trace; tr != nil && tr.out == out {
		w.eng.Abandon(traceTicket)
		none.At = tr.ms(w.clock.read())
		tr.doc.Answer = none
		w.finishTrace()
		return
	}
	for tr := w.trace; tr != nil; tr = tr.next {
		if q := tr.next; q != nil && q.out == out { // its turn has not come
			tr.next = q.next
			q.doc.Answer = none
			out <- q.doc.Append(nil)
			return
		}
	}
}

func (w *worker) finishTrace() {
	tr := w.trace
	tr.doc.After = w.entries(tr)
	tr.doc.Cost["milliseconds"] = uint64(tr.doc.Answer.At)
	tr.out <- tr.doc.Append(nil)
	// The next has the place from now on, so that nobody comes between, but
	// begins outside of the engine's call.
	next := tr.next
	if w.trace = next; next != nil {
		go w.call(func(w *worker) {
			if w.trace == next {
				w.runTrace(next)
			}
		})
	}
}

func (tr *tracer) ms(now resolver.Time) float64 { return float64(now-tr.start) / 1e6 }

func (tr *tracer) add(s explain.Step) {
	if len(tr.doc.Steps) >= maxSteps {
		tr.doc.Dropped++
		return
	}
	tr.doc.Steps = append(tr.doc.Steps, s)
}

// eventWords are the names of events: where the log has a word, that one.
var eventWords = map[resolver.EventKind]string{
	resolver.EventTx: "tx", resolver.EventCached: "cached", resolver.EventCachedCNAME: "cached cname",
	resolver.EventCachedNS: "cached ns", resolver.EventCachedNXDomain: "cached nxdomain", resolver.EventRR: "rr",
	resolver.EventNXDomain: "nxdomain", resolver.EventNoData: "nodata", resolver.EventLame: "lame",
	resolver.EventServFail: "servfail", resolver.EventAccept: "accept", resolver.EventDrop: "drop",
	resolver.EventChoose: "choose", resolver.EventTimeout: "timeout", resolver.EventRetry: "retry",
	resolver.EventStale: "stale", resolver.EventPrefetch: "prefetch", resolver.EventSecurity: "security",
	resolver.EventBudget: "budget", resolver.EventMinimised: "minimised", resolver.EventJoined: "joined",
	resolver.EventLocal: "local",
}

func (w *worker) traceEvent(ev *resolver.Event) {
	tr := w.trace
	word := eventWords[ev.Kind]
	if word == "" {
		return
	}
	s := explain.Step{At: tr.ms(w.clock.read()), Level: ev.Level, What: word, TTL: ev.TTL, RTT: float64(ev.RTT) / 1e6, Reason: ev.Reason}
	switch ev.Kind {
	case resolver.EventTx, resolver.EventMinimised:
		tr.level = ev.Level
	case resolver.EventChoose: // follows one of those, or comes again
		if _, again := tr.levels[ev.Server]; !again || len(tr.doc.Steps) > 0 && tr.doc.Steps[len(tr.doc.Steps)-1].Server == "" {
			tr.levels[ev.Server] = tr.level
		}
	}
	if l, ok := tr.levels[ev.Server]; ok && s.Level == 0 {
		s.Level = l
	}
	if ev.Type != 0 {
		s.Type = ev.Type.String()
	}
	s.Name, s.Zone, s.Target = text0(ev.Name), text0(ev.Control), text0(ev.Target)
	if ev.Server.IsValid() {
		s.Server = serverText(ev.Server)
	}
	for _, a := range ev.Servers {
		s.Servers = append(s.Servers, serverText(a))
	}
	if ev.Kind == resolver.EventRR && len(ev.Data) > 0 {
		s.Data = string(rdata.AppendText(nil, ev.Type, ev.Data))
	}
	c := tr.doc.Cost
	switch ev.Kind {
	case resolver.EventChoose:
		c["packets sent"]++
	case resolver.EventTx:
		if n := dnsname.Name(ev.Name); !tr.has(n) {
			tr.seen = append(tr.seen, n)
		}
		c["names asked"] = uint64(len(tr.seen))
		c["levels"] = max(c["levels"], uint64(ev.Level)+1)
	case resolver.EventTimeout:
		c["timeouts"]++
	case resolver.EventRR:
		c["records seen"]++
	}
	tr.add(s)
}

// notePolicy is told what policy did with the explained question.
func (w *worker) notePolicy(what string, zone dnsname.Name, why string) {
	if tr := w.trace; tr != nil {
		tr.add(explain.Step{At: tr.ms(w.clock.read()), What: what, Zone: text0([]byte(zone)), Reason: why})
	}
}

func (tr *tracer) has(n dnsname.Name) bool {
	for _, s := range tr.seen {
		if s == n {
			return true
		}
	}
	return len(tr.seen) >= maxSteps
}

// step is told every step of validation on this thread; those on the way to a
// name of the explained question are shown.
func (w *worker) step(v validator.Step) {
	tr := w.trace
	if tr == nil {
		return
	}
	for _, n := range tr.seen {
		if dnsname.IsBelow(n, v.Name) || dnsname.IsBelow(v.Name, n) {
			why := v.What + ", " + v.Status.String()
			if v.Reason != 0 {
				why += ": " + v.Reason.String()
			}
			if v.KeyTag != 0 {
				why += " (key " + strconv.Itoa(int(v.KeyTag)) + " " + v.Alg.String() + ", valid " +
					date(v.Inception) + " to " + date(v.Expiration) + ")"
			}
			tr.add(explain.Step{At: tr.ms(w.clock.read()), Level: 1, What: "validate", Type: v.Type.String(), Name: v.Name.Text(), Reason: why})
			return
		}
	}
}

// date writes a signature time as zone files do (RFC 4034, section 3.2), and as
// they are read until 2106.
func date(t uint32) string { return time.Unix(int64(t), 0).UTC().Format("20060102150405") }

func text0(n []byte) string {
	if len(n) == 0 || !dnsname.Valid(n) {
		return ""
	}
	return dnsname.Name(n).Text()
}

func serverText(a netip.AddrPort) string {
	if a.Port() == dns.Port {
		return a.Addr().String()
	}
	return a.Addr().String() + "@" + strconv.Itoa(int(a.Port()))
}

// traced takes the answer of an explained question.
func (w *worker) traced(_ *resolver.Question, a *resolver.Answer) {
	tr := w.trace
	if tr == nil {
		return
	}
	d := &tr.doc
	d.Answer = explain.Answer{RCode: a.RCode.String(), Status: a.Sec.String(), AD: a.AD, Stale: a.Stale, At: tr.ms(w.clock.read())}
	if a.EDE {
		d.Answer.EDE = strconv.Itoa(int(a.Code)) + ": " + a.Text
	}
	for i := range a.RRs {
		s := &a.RRs[i]
		section := "answer"
		if s.Section != wire.Answer {
			section = "authority"
		}
		for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
			d.Records = append(d.Records, explain.Record{Section: section, Name: text0(s.Owner), TTL: s.TTL, Type: s.Type.String(),
				Data: string(rdata.AppendText(nil, s.Type, data)), Status: s.Sec.String()})
		}
	}
	w.finishTrace()
}

// entries lists what the cache has for the name, and the delegations above.
func (w *worker) entries(tr *tracer) (out []explain.Entry) {
	var e cache.Entry
	look := func(kind cache.Kind, t dns.Type, name []byte, word string) {
		if !w.s.cache.Peek(w.s.cache.MakeKey(kind, t, name), &e) {
			return
		}
		x := explain.Entry{Kind: word, Name: text0(name), Rank: resolver.Rank(e.Rank).String(), Status: resolver.Security(e.Sec).String(),
			TTL: e.TTL, Left: int64(e.Expire) - w.now.Seconds(), Bytes: e.Size(), Asked: int(e.Freq)}
		if kind == cache.KindRRset {
			x.Type = t.String()
			if len(e.Records) == 0 {
				x.Kind = "nodata"
			}
		}
		out = append(out, x)
	}
	look(cache.KindRRset, tr.typ, tr.name, "rrset")
	if tr.typ != dns.TypeCNAME {
		look(cache.KindRRset, dns.TypeCNAME, tr.name, "rrset")
	}
	look(cache.KindFailure, tr.typ, tr.name, "failure")
	for n := tr.name; ; n = dnsname.Parent(n) {
		look(cache.KindNXDomain, 0, n, "nxdomain")
		look(cache.KindDelegation, 0, n, "delegation")
		if n[0] == 0 {
			return out
		}
	}
}
