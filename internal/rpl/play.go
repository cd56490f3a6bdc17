package rpl

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dns64"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/policy"
	"bulkhead/internal/resolver"
	"bulkhead/internal/rpz"
	"bulkhead/internal/virtual"
	"bulkhead/internal/wire"
)

// Config is what a scenario wants of the resolver.
type Config struct {
	Hints      []string
	RootName   dnsname.Name
	Stubs      map[string][]string
	Forwards   map[string][]string
	Anchors    []RR
	Negative   []dnsname.Name
	When       string // val-override-date or -timestamp
	QMin       bool
	IPv4, IPv6 bool
	Options    map[string]string
	Needs      map[string]bool
	RPZ        []policyFile
	DNS64      bool
}

// policyFile is a response policy zone: the file is one of the scenario's.
type policyFile struct{ zone, file string }

func yes(v string) bool {
	switch strings.ToLower(strings.Trim(v, `"'`)) {
	case "yes", "true", "on", "1":
		return true
	}
	return false
}

// harmless options change nothing about what a right answer is, or are not
// the resolver's matter.
var harmless = map[string]bool{}

func init() {
	for _, k := range strings.Fields(`target-fetch-policy trust-anchor-signaling fake-sha1 minimal-responses
		iter-scrub-promiscuous ede rrset-roundrobin log-time-ascii log-servfail log-queries log-replies verbosity
		aggressive-nsec harden-referral-path val-log-level num-queries-per-thread msg-cache-size msg-cache-slabs
		rrset-cache-size harden-below-nxdomain harden-dnssec-stripped harden-unknown-additional harden-unverified-glue
		discard-timeout outbound-msg-retry max-global-quota val-max-restart max-query-restarts directory
		val-nsec3-keysize-iterations iter-scrub-ns iter-scrub-cname edns-buffer-size rpz-log rpz-log-name root-hints
		do-not-query-localhost harden-glue stub-prime infra-cache-min-rtt stub-name val-clean-additional prefetch-key
		unwanted-reply-threshold ede-serve-expired force-ipv6 access-control`) {
		harmless[k] = true
	}
}

// config reads the CONFIG part.
func (sc *Scenario) config() (*Config, error) {
	c := &Config{RootName: "\x01k\x0croot-servers\x03net\x00", Stubs: map[string][]string{}, Forwards: map[string][]string{},
		IPv4: true, IPv6: true, Options: map[string]string{}, Needs: map[string]bool{}}
	type zone struct {
		section, name, file string
		addrs               []string
	}
	zones := map[int]*zone{}
	var order []int
	for _, o := range sc.Options {
		val := ""
		if len(o.Values) > 0 {
			val = strings.Trim(o.Values[0], `"'`)
		}
		switch o.Section {
		case "stub-zone", "forward-zone", "fwd-zone", "rpz":
			z := zones[o.Number]
			if z == nil {
				z = &zone{section: o.Section}
				zones[o.Number] = z
				order = append(order, o.Number)
			}
			switch o.Key {
			case "name":
				z.name = val
			case "stub-addr", "forward-addr":
				z.addrs = append(z.addrs, val)
			case "zonefile":
				z.file = val
			case "stub-prime":
			default:
				if val != "no" && !harmless[o.Key] {
					c.Needs[o.Key] = true
				}
			}
			continue
		case "server":
		case "remote-control":
			continue
		default:
			c.Needs[o.Section] = true
			continue
		}
		c.Options[o.Key] = val
		switch o.Key {
		case "qname-minimisation", "query-minimization":
			c.QMin = yes(val)
		case "do-ip6":
			c.IPv6 = yes(val)
		case "do-ip4":
			c.IPv4 = yes(val)
		case "stub-addr":
			c.Hints = append(c.Hints, val)
		case "stub-name":
			n, err := dnsname.ParseMaster(val, dnsname.Root)
			if err != nil {
				return nil, err
			}
			c.RootName = n
		case "forward-addr":
			c.Forwards["."] = []string{val}
		case "trust-anchor":
			rr, err := parseAnchor(strings.Trim(strings.Join(o.Values, " "), `"' `))
			if err != nil {
				return nil, err
			}
			c.Anchors = append(c.Anchors, rr)
		case "domain-insecure":
			n, err := dnsname.ParseMaster(val, dnsname.Root)
			if err != nil {
				return nil, err
			}
			c.Negative = append(c.Negative, n)
		case "val-override-date", "val-override-timestamp":
			c.When = val
		case "features":
			for _, f := range strings.Split(strings.Join(o.Values, " "), ";") {
				k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
				switch strings.TrimSpace(k) {
				case "":
				case "min_ttl":
					c.Options["cache-min-ttl"] = strings.TrimSpace(v)
				case "max_ttl":
					c.Options["cache-max-ttl"] = strings.TrimSpace(v)
				default:
					c.Needs["feature "+k] = true
				}
			}
		case "feature-list":
			c.Needs["feature of one resolver"] = true
		case "serve-expired", "prefetch", "dns64-prefix":
		case "module-config":
			for _, m := range strings.Fields(strings.Join(o.Values, " ")) {
				switch strings.Trim(m, `"`) {
				case "dns64":
					c.DNS64 = true
				case "subnetcache", "ipsecmod", "python", "cachedb", "ipset", "dynlib":
					c.Needs[m] = true
				}
			}
		default:
			if !harmless[o.Key] && !strings.HasPrefix(o.Key, "serve-expired-") && !strings.HasPrefix(o.Key, "cache-") {
				c.Needs[o.Key] = true
			}
		}
	}
	for _, n := range order {
		z := zones[n]
		name := strings.TrimSuffix(z.name, ".") + "."
		switch {
		case z.section == "rpz":
			c.RPZ = append(c.RPZ, policyFile{name, z.file})
		case z.section == "stub-zone" && name == ".":
			c.Hints = append(c.Hints, z.addrs...)
		case z.section == "stub-zone":
			c.Stubs[name] = append(c.Stubs[name], z.addrs...)
		default:
			c.Forwards[name] = append(c.Forwards[name], z.addrs...)
		}
	}
	return c, nil
}

func parseAnchor(text string) (RR, error) {
	p := &parser{origin: dnsname.Root, ttl: 3600}
	return p.rr(strip(text, ";", false), false)
}

func addrPort(a string) (netip.AddrPort, error) {
	host, port, has := strings.Cut(a, "@")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n := uint64(dns.Port)
	if has {
		if n, err = strconv.ParseUint(port, 10, 16); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// Result is how a scenario went.
type Result struct {
	Skip   string   // why it was not played
	Fail   string   // what was wrong, "" if all was right
	Sends  int      // questions the resolver sent
	Unseen []string // questions no entry answers
	EDE    []string // extended errors other than the scenario names

	questions, packets int
}

// left counts what the engine still had in work a minute after the last step.
func (r *Result) left() (questions, packets int) { return r.questions, r.packets }

// Player plays scenarios.
type Player struct {
	Trace io.Writer // nil: silent
	// AsWritten: servers say only what is scripted.
	AsWritten bool
	// Validator makes the validator of a scenario whose zones have been signed
	// anew; nil plays without validation.
	Validator func(anchors []RR, negative []dnsname.Name) resolver.Validator
	// NewCache makes the cache; nil means resolver.MapCache.
	NewCache func(now func() resolver.Time) resolver.Cache
}

// the time at which every scenario begins: signatures are made around it
const startTime = resolver.Time(1_767_225_600) * resolver.Second // 2026-01-01

type world struct {
	virtual.Time
	p       *Player
	sc      *Scenario
	cfg     *Config
	e       *policy.Layer
	step    int
	clients []*client
	helpful bool
	autoAA  bool
	hold    bool
	held    []*upstream
	nsNames map[dnsname.Name]bool
	addrs   map[dnsname.Name][]RR
	used    map[*Step]bool
	res     *Result
	check   *Step
	checked bool
}

type client struct {
	step   *Step
	query  []byte
	answer []byte
	got    bool
	tcp    bool
}

// upstream is a question of the resolver to a scripted server.
type upstream struct {
	q     *message
	raw   []byte
	to    netip.Addr
	tcp   bool
	token resolver.Token
}

const roundTrip = 2 * resolver.Millisecond

// SendUDP and the others make the world a resolver.Net.
func (w *world) SendUDP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	return w.send(to, msg, token, false)
}

func (w *world) SendTCP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	return w.send(to, msg, token, true)
}

func (w *world) send(to netip.AddrPort, msg []byte, token resolver.Token, tcp bool) bool {
	w.res.Sends++
	raw := append([]byte(nil), msg...)
	w.After(roundTrip/2, func() { w.serve(to.Addr(), raw, token, tcp) })
	return true
}

func (w *world) deliver(token resolver.Token, msg []byte, delay resolver.Time) {
	w.Deliver(roundTrip/2+delay, token, msg)
}

// serve answers a question as the scripted server at an address does.
func (w *world) serve(to netip.Addr, raw []byte, token resolver.Token, tcp bool) {
	if w.Cancelled(token) {
		return
	}
	q, err := parseMessage(raw)
	if err != nil || q.question == nil {
		w.Say("unparsable question")
		return
	}
	u := &upstream{q, raw, to, tcp, token}
	if w.check != nil && !w.checked && (w.check.Address == "" || sameIP(w.check.Address, to)) &&
		w.check.Entry.matchesQuery(q, tcp) {
		w.checked = true
		if w.check.Entry.adjusts("copy_id") {
			w.reply(w.check.Entry, u)
		} else {
			w.held = append(w.held, u)
		}
		return
	}
	e := w.find(q, to, tcp)
	if e == nil && w.sc.Deckard {
		e = w.oneShot(q)
	}
	if e != nil {
		w.Say("> %v %v to %v: entry at line %d", q.question.Name, q.question.Type, to, e.Line)
		w.reply(e, u)
		return
	}
	if w.hold {
		w.Say("> %v %v to %v: held", q.question.Name, q.question.Type, to)
		w.held = append(w.held, u)
		return
	}
	if w.helpful {
		if rrs, more, ok := w.glue(q); ok {
			w.Say("> %v %v to %v: known glue", q.question.Name, q.question.Type, to)
			w.deliver(token, build(q.id, 0x8400, 0, 0, q.question, [3][]RR{rrs, nil, more}, nil, q.edns.Present, q.edns.DO), 0)
			return
		}
		if sections, flags, ok := w.referral(q, to); ok {
			w.Say("> %v %v to %v: known referral", q.question.Name, q.question.Type, to)
			w.deliver(token, build(q.id, flags, 0, 0, q.question, sections, nil, q.edns.Present, q.edns.DO), 0)
			return
		}
	}
	w.Say("> %v %v to %v: not scripted, SERVFAIL", q.question.Name, q.question.Type, to)
	w.res.Unseen = append(w.res.Unseen, fmt.Sprintf("%v %v %v", q.question.Name, q.question.Type, to))
	w.deliver(token, build(q.id, 0x8000|q.flags&0x0110, q.opcode, dns.RCodeServFail, q.question, [3][]RR{}, nil,
		q.edns.Present, q.edns.DO), 0)
}

// maxTimeouts is how many TIMEOUT steps a scenario may have: each stands for a
// retry of unbound's, whose number and time are its own.
const maxTimeouts = 3

// clientAddr asks where a scenario names nobody.
var clientAddr = netip.MustParseAddr("127.0.0.1")

// tidy moves a signature that stands in another section than its records:
// unbound pairs them up regardless, real servers do not send that.
func (sc *Scenario) tidy() {
	type id struct {
		name dnsname.Name
		typ  dns.Type
	}
	covers := func(rr RR) (dns.Type, bool) {
		if rr.Type != dns.TypeRRSIG || len(rr.Data) < 2 {
			return 0, false
		}
		return dns.Type(rr.Data[0])<<8 | dns.Type(rr.Data[1]), true
	}
	for _, r := range sc.Ranges {
		for _, e := range r.Entries {
			home := map[id][]int{}
			for i, s := range e.Sections {
				for _, rr := range s {
					if rr.Type != dns.TypeRRSIG {
						home[id{rr.Name.Lower(), rr.Type}] = append(home[id{rr.Name.Lower(), rr.Type}], i)
					}
				}
			}
			var moved [3][]RR
			for i, s := range e.Sections {
				for _, rr := range s {
					to := i
					if t, ok := covers(rr); ok {
						if at := home[id{rr.Name.Lower(), t}]; len(at) > 0 && !slices.Contains(at, i) {
							to = at[0]
						}
					}
					moved[to] = append(moved[to], rr)
				}
			}
			e.Sections = moved
		}
	}
}

func sameIP(text string, a netip.Addr) bool {
	b, err := netip.ParseAddr(text)
	return err == nil && a == b
}

func (r *Range) covers(step int, to netip.Addr) bool {
	if step < r.Start || step > r.End {
		return false
	}
	if len(r.Addresses) == 0 {
		return true
	}
	for _, a := range r.Addresses {
		if a == to {
			return true
		}
	}
	return false
}

func (w *world) find(q *message, to netip.Addr, tcp bool) *Entry {
	n := len(w.sc.Ranges)
	for i := range n {
		r := w.sc.Ranges[i]
		if !w.sc.Deckard {
			r = w.sc.Ranges[n-1-i] // unbound's own player looks at the latest first
		}
		if r.covers(w.step, to) {
			for _, e := range r.Entries {
				if e.matchesQuery(q, tcp) {
					return e
				}
			}
		}
	}
	return nil
}

func (w *world) oneShot(q *message) *Entry {
	for _, s := range w.sc.Steps {
		if s.Kind == "REPLY" && s.Number >= w.step && !w.used[s] && s.Entry != nil && s.Entry.matchesQuery(q, false) {
			w.used[s] = true
			return s.Entry
		}
	}
	return nil
}

// glue gives addresses of name servers that the scenario mentions: scenarios
// were written for one resolver's habits.
func (w *world) glue(q *message) (rrs, more []RR, ok bool) {
	qq := q.question
	hints := func(t dns.Type) (out []RR) {
		for _, h := range w.cfg.Hints {
			a, err := addrPort(h)
			if err != nil {
				continue
			}
			b := a.Addr().AsSlice()
			if rt := dns.TypeA; len(b) == 4 && (t == 0 || t == rt) {
				out = append(out, RR{w.cfg.RootName, 86400, dns.ClassIN, rt, b})
			} else if rt := dns.TypeAAAA; len(b) == 16 && (t == 0 || t == rt) {
				out = append(out, RR{w.cfg.RootName, 86400, dns.ClassIN, rt, b})
			}
		}
		return out
	}
	if qq.Type == dns.TypeNS && qq.Name == dnsname.Root && len(w.cfg.Hints) > 0 {
		return []RR{{dnsname.Root, 86400, dns.ClassIN, dns.TypeNS, []byte(w.cfg.RootName)}}, hints(0), true
	}
	if qq.Type != dns.TypeA && qq.Type != dns.TypeAAAA {
		return nil, nil, false
	}
	name := qq.Name.Lower()
	if name == w.cfg.RootName.Lower() {
		return hints(qq.Type), nil, true
	}
	if w.nsNames == nil {
		w.nsNames, w.addrs = map[dnsname.Name]bool{}, map[dnsname.Name][]RR{}
		for _, r := range w.sc.Ranges {
			for _, e := range r.Entries {
				for _, s := range e.Sections {
					for _, rr := range s {
						switch {
						case rr.Data == nil || rr.Class != dns.ClassIN:
						case rr.Type == dns.TypeNS:
							w.nsNames[dnsname.Name(rr.Data).Lower()] = true
						case rr.Type == dns.TypeA || rr.Type == dns.TypeAAAA:
							n := rr.Name.Lower()
							known := false
							for _, o := range w.addrs[n] {
								known = known || o.Type == rr.Type && string(o.Data) == string(rr.Data)
							}
							if !known {
								w.addrs[n] = append(w.addrs[n], rr)
							}
						}
					}
				}
			}
		}
	}
	if !w.nsNames[name] || len(w.addrs[name]) == 0 {
		return nil, nil, false
	}
	for _, rr := range w.addrs[name] {
		if rr.Type == qq.Type {
			rrs = append(rrs, rr)
		}
	}
	return rrs, nil, true
}

// referral finds a scripted referral that holds for the name asked.
func (w *world) referral(q *message, to netip.Addr) (sections [3][]RR, flags uint16, ok bool) {
	qq := q.question
	var best *Entry
	var cut dnsname.Name
	for _, r := range w.sc.Ranges {
		if !r.covers(w.step, to) || len(r.Addresses) == 0 {
			continue
		}
		for _, e := range r.Entries {
			if len(e.Sections[0]) > 0 || e.RCode != 0 || e.IsHex || e.Flags&0x400 != 0 {
				continue
			}
			owners := map[dnsname.Name]bool{}
			soa := false
			for _, rr := range e.Sections[1] {
				if rr.Type == dns.TypeNS {
					owners[rr.Name.Lower()] = true
				}
				soa = soa || rr.Type == dns.TypeSOA
			}
			if len(owners) != 1 || soa {
				continue
			}
			for o := range owners {
				if o != dnsname.Root && dnsname.IsBelow(qq.Name, o) && (best == nil || dnsname.Labels(o) > dnsname.Labels(cut)) {
					best, cut = e, o
				}
			}
		}
	}
	if best == nil {
		return sections, 0, false
	}
	if qq.Type == dns.TypeDS && dnsname.Equal(qq.Name, cut) {
		var ds []RR
		for _, rr := range best.Sections[1] {
			if dnsname.Equal(rr.Name, cut) && (rr.Type == dns.TypeDS ||
				rr.Type == dns.TypeRRSIG && len(rr.Data) > 2 && rr.Data[1] == byte(dns.TypeDS)) {
				ds = append(ds, rr)
			}
		}
		return [3][]RR{ds, nil, nil}, 0x8400, len(ds) > 0
	}
	return best.Sections, 0x8000, true
}

// reply sends a scripted answer.
func (w *world) reply(e *Entry, u *upstream) {
	if e.adjusts("do_not_answer") {
		return
	}
	if e.IsHex {
		out := append([]byte(nil), e.Hex...)
		if len(out) >= 2 {
			copy(out, u.raw[:2])
		}
		w.deliver(u.token, out, 0)
		return
	}
	qq := u.q.question
	question := e.Question
	copyQuery := e.adjusts("copy_query")
	switch {
	case question == nil && !copyQuery:
	case copyQuery:
		question = qq
	case dnsname.Equal(question.Name, qq.Name):
		// the asker's spelling, and its type where the entry is for any
		c := RR{Name: qq.Name, Type: qq.Type, Class: qq.Class}
		if e.has("qtype") {
			c.Type = question.Type
		}
		question = &c
	}
	withOPT := u.q.edns.Present && e.RCode != dns.RCodeFormErr || e.HasEDNS
	flags := e.Flags
	if w.autoAA && flags&0x0480 == 0 {
		soa := false
		for _, rr := range e.Sections[1] {
			soa = soa || rr.Type == dns.TypeSOA
		}
		if len(e.Sections[0]) > 0 || soa {
			flags |= 0x400
		}
	}
	var delay resolver.Time
	for _, a := range e.Adjust {
		for _, k := range []string{"sleep=", "packet_sleep="} {
			if v, ok := strings.CutPrefix(a, k); ok {
				f, _ := strconv.ParseFloat(v, 64)
				delay += resolver.Time(f * 1e9)
			}
		}
	}
	out := build(u.q.id, flags, e.Opcode, e.RCode, question, e.Sections, e.EDNS, withOPT, u.q.edns.DO)
	limit := 512
	if u.q.edns.Present {
		limit = max(limit, int(u.q.edns.UDPSize))
	}
	if !u.tcp && len(out) > limit {
		out = build(u.q.id, flags|0x200, e.Opcode, e.RCode, question, [3][]RR{}, e.EDNS, withOPT, u.q.edns.DO)
	}
	w.deliver(u.token, out, delay)
}

// Done makes the world a resolver.Front.
func (w *world) Done(q *resolver.Question, a *resolver.Answer) {
	c := w.clients[q.Ticket]
	m, _ := parseMessage(c.query)
	p := resolver.Reply{ID: m.id, Name: q.Name, Type: q.Type, Class: m.question.Class, RD: m.flags&0x100 != 0,
		CD: m.flags&0x10 != 0, AD: m.flags&0x20 != 0, EDNS: m.edns.Present, DO: m.edns.DO, Max: 65535}
	var b wire.Builder
	c.answer = resolver.AppendReply(nil, &b, &p, a)
	c.got = true
}

// query lets a client ask.
func (w *world) query(s *Step) {
	e := s.Entry
	c := &client{step: s, tcp: e.has("tcp")}
	id := uint16(s.Number*7919 + 4711)
	if e.IsHex {
		return // garbage: what comes back is not looked at; the engine gets no questions of this kind
	}
	_, ede := e.value("ede")
	opt := e.DO || e.HasEDNS || ede || w.sc.Deckard
	c.query = build(id, e.Flags&^0x8000, e.Opcode, e.RCode, e.Question, e.Sections, e.EDNS, opt, e.DO)
	ticket := len(w.clients)
	w.clients = append(w.clients, c)
	w.Say("STEP %d QUERY %v %v", s.Number, e.Question.Name, e.Question.Type)
	from := clientAddr
	if s.Address != "" {
		if a, err := netip.ParseAddr(s.Address); err == nil {
			from = a
		}
	}
	w.e.Ask(w.Now, &resolver.Question{Name: []byte(e.Question.Name), Type: e.Question.Type, CD: e.Flags&0x10 != 0,
		DO: e.DO, Client: from, Ticket: uint64(ticket), Serial: uint64(ticket) + 1, TCP: c.tcp})
}

// patience is how long a client waits.
const patience = 15 * resolver.Second

func (w *world) checkAnswer(s *Step) string {
	deadline := w.Now + patience
	problem := ""
	for {
		for i, c := range w.clients {
			if c == nil || !c.got || c.answer == nil {
				continue
			}
			m, err := parseMessage(c.answer)
			if err != nil {
				return fmt.Sprintf("step %d: answer: %v", s.Number, err)
			}
			problem = s.Entry.check(m, false)
			if problem == "" {
				c.answer = nil
				if bad := s.Entry.check(m, true); bad != "" {
					w.res.EDE = append(w.res.EDE, fmt.Sprintf("step %d: %s", s.Number, bad))
				}
				return ""
			}
			open := 0
			for _, d := range w.clients {
				if d.answer != nil || !d.got {
					open++
				}
			}
			if open == 1 || w.only(s, i) {
				return fmt.Sprintf("step %d (line %d): %s", s.Number, s.Entry.Line, problem)
			}
		}
		waiting := 0
		for _, c := range w.clients {
			if !c.got {
				waiting++
			}
		}
		if waiting == 0 {
			return fmt.Sprintf("step %d: no question outstanding; %s", s.Number, problem)
		}
		before := waiting
		w.Run(deadline, func() bool {
			n := 0
			for _, c := range w.clients {
				if !c.got {
					n++
				}
			}
			return n < before
		})
		after := 0
		for _, c := range w.clients {
			if !c.got {
				after++
			}
		}
		if after == before {
			return fmt.Sprintf("step %d: no answer", s.Number)
		}
	}
}

func (w *world) only(s *Step, i int) bool {
	q := s.Entry.Question
	if q == nil {
		return false
	}
	same := func(c *client) bool {
		p := c.step.Entry.Question
		return (c.answer != nil || !c.got) && p != nil && dnsname.Equal(p.Name, q.Name) && p.Type == q.Type
	}
	for k, c := range w.clients {
		if same(c) != (k == i) && (c.answer != nil || !c.got) && same(c) {
			return false
		}
	}
	return same(w.clients[i])
}

// Play plays a scenario.
func (p *Player) Play(name string, sc *Scenario) *Result {
	res := &Result{}
	var w *world
	defer func() {
		if w != nil && w.e != nil {
			w.Run(w.Now+60*resolver.Second, nil)
			res.questions, res.packets = w.e.InWork()
		}
	}()
	cfg, err := sc.config()
	if err != nil {
		res.Skip = err.Error()
		return res
	}
	if sc.Blocker != "" {
		res.Skip = sc.Blocker
		return res
	}
	if !p.AsWritten {
		sc.tidy()
	}
	timeouts := 0
	for _, s := range sc.Steps {
		if s.Kind == "TIMEOUT" {
			timeouts++
		}
	}
	if timeouts > maxTimeouts {
		res.Skip = "counts another resolver's retries"
		return res
	}
	if len(cfg.Needs) > 0 {
		var n []string
		for k := range cfg.Needs {
			n = append(n, k)
		}
		sort.Strings(n)
		res.Skip = "needs " + strings.Join(n, ", ")
		return res
	}
	w = &world{p: p, sc: sc, cfg: cfg, res: res, used: map[*Step]bool{},
		Time: virtual.Time{Now: startTime, Origin: startTime, Trace: p.Trace}}
	if !sc.Deckard {
		for _, s := range sc.Steps {
			if s.Kind == "REPLY" || s.Kind == "TIMEOUT" || s.Kind == "CHECK_OUT_QUERY" {
				w.hold = true
			}
		}
	}
	w.helpful = !p.AsWritten && !w.hold && !lameRE(name)
	w.autoAA = !p.AsWritten && !lameRE(name) && len(cfg.Forwards) == 0
	rc := &resolver.Config{QMin: cfg.QMin, Case0x20: true, IPv4: cfg.IPv4, IPv6: cfg.IPv6, LocalZones: true}
	hints := cfg.Hints
	if f, ok := cfg.Forwards["."]; ok {
		rc.ForwardOnly = true
		hints = f
	}
	add := func(zone string, addrs []string, forward bool) error {
		n, err := dnsname.ParseMaster(zone, dnsname.Root)
		if err != nil {
			return err
		}
		z := resolver.Zone{Name: n.Lower(), Forward: forward}
		for _, a := range addrs {
			ap, err := addrPort(a)
			if err != nil {
				return err
			}
			z.Servers = append(z.Servers, ap)
		}
		rc.Zones = append(rc.Zones, z)
		return nil
	}
	err = add(".", hints, false)
	for _, m := range []map[string][]string{cfg.Stubs, cfg.Forwards} {
		var names []string
		for z := range m {
			if z != "." {
				names = append(names, z)
			}
		}
		sort.Strings(names)
		for _, z := range names {
			if err == nil {
				_, forward := cfg.Forwards[z]
				err = add(z, m[z], forward)
			}
		}
	}
	if err != nil {
		res.Skip = err.Error()
		return res
	}
	if yes(cfg.Options["serve-expired"]) {
		rc.ServeStale = number(cfg.Options["serve-expired-ttl"], 86400)
		rc.StaleTTL = number(cfg.Options["serve-expired-reply-ttl"], 30)
		rc.StaleWait = resolver.Time(number(cfg.Options["serve-expired-client-timeout"], 1800)) * resolver.Millisecond
	}
	rc.Prefetch = yes(cfg.Options["prefetch"])
	rc.MinTTL = number(cfg.Options["cache-min-ttl"], 0)
	rc.MaxTTL = number(cfg.Options["cache-max-ttl"], 0)
	if p.Validator != nil {
		anchors, err := sc.resign(cfg, w.Now.Seconds())
		if err != nil {
			res.Skip = err.Error()
			return res
		}
		if len(anchors) > 0 {
			rc.Validator = p.Validator(anchors, cfg.Negative)
		}
	}
	var cache resolver.Cache = resolver.NewMapCache()
	if p.NewCache != nil {
		cache = p.NewCache(func() resolver.Time { return w.Now })
	}
	pol := &policy.Config{}
	for _, f := range cfg.RPZ {
		origin, err := dnsname.ParseMaster(f.zone, dnsname.Root)
		if err != nil {
			res.Skip = err.Error()
			return res
		}
		z, err := rpz.Parse([]byte(sc.Files[f.file]), f.file, origin)
		if err != nil {
			res.Fail = err.Error()
			return res
		}
		pol.Zones = append(pol.Zones, z)
	}
	if cfg.DNS64 {
		text := cfg.Options["dns64-prefix"]
		if text == "" {
			text = "64:ff9b::/96"
		}
		x, err := dns64.Parse(text)
		if err != nil {
			res.Skip = err.Error()
			return res
		}
		pol.DNS64 = append(pol.DNS64, x)
	}
	w.e = policy.New(rc, pol, cache, w, w, w, rand.New(rand.NewPCG(1, uint64(len(name)))), nil)
	w.Engine = w.e
	if len(sc.Steps) > 0 {
		w.step = sc.Steps[0].Number
	}
	w.e.Prime(w.Now)
	w.Run(w.Now+resolver.Second/4, nil)
	for i, s := range sc.Steps {
		w.step = s.Number
		var next *Step
		if i+1 < len(sc.Steps) {
			next = sc.Steps[i+1]
		}
		switch s.Kind {
		case "QUERY":
			if !w.hold {
				// what goes on behind the answers before comes to its end
				w.Run(w.Now+50*resolver.Millisecond, nil)
			}
			if s.Entry == nil || s.Entry.Question == nil && !s.Entry.IsHex {
				res.Skip = "question without a question"
				return res
			}
			if s.Entry.Flags&0x100 == 0 && !s.Entry.IsHex {
				continue // RD=0 is refused before the engine: what checks it is left out too
			}
			if next != nil && !sc.Deckard {
				w.step = next.Number // unbound's player moves on before the question runs
			}
			if next != nil && next.Kind == "CHECK_OUT_QUERY" {
				w.check, w.checked = next, false
			}
			w.query(s)
			if next != nil && sc.Deckard && next.Kind == "CHECK_ANSWER" && !s.Entry.IsHex {
				// servers answer by the step of the question
				c := w.clients[len(w.clients)-1]
				w.Run(w.Now+resolver.Second, func() bool { return c.got })
			}
			if next != nil && (next.Kind == "QUERY" || next.Kind == "TIME_PASSES") {
				w.Run(w.Now+100*resolver.Millisecond, nil)
			}
		case "CHECK_ANSWER":
			if sc.snoops(i) {
				continue
			}
			if bad := w.checkAnswer(s); bad != "" {
				res.Fail = bad
				return res
			}
		case "TIME_PASSES":
			w.Run(w.Now+resolver.Time(s.Elapse*1e9), nil)
		case "CHECK_OUT_QUERY":
			if sc.Deckard {
				continue
			}
			if w.check != s {
				w.check, w.checked = s, false
				for k, u := range w.held {
					if s.Entry.matchesQuery(u.q, u.tcp) {
						w.checked = true
						if s.Entry.adjusts("copy_id") {
							w.held = append(w.held[:k], w.held[k+1:]...)
							w.reply(s.Entry, u)
						}
						break
					}
				}
			}
			w.Run(w.Now+6*resolver.Second, func() bool { return w.checked })
			if !w.checked {
				res.Fail = fmt.Sprintf("step %d: no such question was sent", s.Number)
				return res
			}
			w.check = nil
			if next != nil && next.Kind == "CHECK_OUT_QUERY" {
				w.check, w.checked = next, false
			}
		case "REPLY":
			if sc.Deckard {
				// given once, to the question that meets it
				w.Run(w.Now+2*resolver.Second, func() bool { return w.used[s] })
				continue
			}
			w.Run(w.Now+6*resolver.Second, func() bool { return len(w.held) > 0 })
			if len(w.held) == 0 {
				res.Fail = fmt.Sprintf("step %d: nothing to reply to", s.Number)
				return res
			}
			k := 0
			for i, u := range w.held {
				if q := s.Entry.Question; q == nil || dnsname.Equal(q.Name, u.q.question.Name) && q.Type == u.q.question.Type {
					k = i
					break
				}
			}
			u := w.held[k]
			w.held = append(w.held[:k], w.held[k+1:]...)
			if next != nil && next.Kind == "CHECK_OUT_QUERY" {
				w.check, w.checked = next, false
			}
			w.reply(s.Entry, u)
		case "TIMEOUT":
			if len(w.held) > 0 {
				w.held = w.held[1:]
			}
		case "NOTHING":
		case "TRAFFIC":
			w.Run(w.Now+200*resolver.Millisecond, nil)
		default:
			res.Skip = "step " + s.Kind
			return res
		}
	}
	return res
}

// snoops reports whether the CHECK_ANSWER at i is for a question with RD=0,
// which this resolver refuses.
func (sc *Scenario) snoops(i int) bool {
	e := sc.Steps[i].Entry
	if e == nil || e.Question == nil || e.Flags&0x100 != 0 {
		return false
	}
	for _, s := range sc.Steps[:i] {
		if s.Kind == "QUERY" && s.Entry != nil && s.Entry.Question != nil && s.Entry.Flags&0x100 == 0 &&
			dnsname.Equal(s.Entry.Question.Name, e.Question.Name) && s.Entry.Question.Type == e.Question.Type {
			return true
		}
	}
	return false
}

func lameRE(name string) bool {
	for _, s := range []string{"lame", "noaa", "refer", "badaa"} {
		if strings.Contains(name, s) {
			return true
		}
	}
	return false
}

func number(v string, otherwise uint32) uint32 {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return otherwise
	}
	return uint32(n)
}
