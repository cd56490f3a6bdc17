// Package trace follows the delegations that lead to a name, from given root
// servers, asking every server of every zone on the way without recursion: the
// work of dnstrace (compat: djbdns.md section 12.2). It decides; who sends the
// questions is the caller's business.
//
//	trace.go    tables, tasks and events
//	chain.go    the DNSSEC chain along the way
//	svg.go      the picture
//
// Three tables grow: addresses (name, IP), name servers (zone, server) and
// wanted questions (name, type). A task exists for each wanted question, each
// zone that contains its name and each address of a server of that zone.
package trace

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/show"
	"bulkhead/internal/wire"
)

const (
	// MaxTasks bounds the questions of one run: what hostile servers make up
	// grows without end. The public tree's widest paths need a few hundred.
	MaxTasks = 5000
	// maxEntries bounds each of the tables, for the same reason: an entry is
	// compared with those of the others.
	maxEntries = 5000
	// MaxRecords bounds the records looked at in one answer.
	MaxRecords = 2000
	// slow is when a server is called slow (compat: djbdns.md section 12.2).
	slow = time.Second
)

// Question is one task: a question for one server of one zone.
type Question struct {
	Name dnsname.Name
	Type dns.Type
	Zone dnsname.Name // whose server is asked ("control")
	IP   netip.Addr
}

// Ask sends one question, without recursion, and gives the answer, why there
// is none, and how long it took.
type Ask func(q Question) (msg []byte, took time.Duration, err error)

// Trace is one run.
type Trace struct {
	Ask     Ask
	Emit    func(line string)      // an output line, without newline
	Tell    func(asked, tasks int) // progress; may be nil
	ErrText func(error) string     // words for an error of Ask
	IPv6    bool                   // servers' IPv6 addresses count too
	DNSSEC  bool                   // DS and DNSKEY of every zone on the way are wanted

	addrs   table[addr]
	ips     map[dnsname.Name][]netip.Addr // addrs by name
	servers table[server]
	wanted  table[want]
	tasks   []Question
	have    map[Question]bool
	cut     bool // MaxTasks was reached

	zones map[dnsname.Name]*Zone
	order []dnsname.Name
	sets  map[setKey]*signedSet
}

type addr struct {
	name dnsname.Name
	ip   netip.Addr
}
type server struct{ zone, name dnsname.Name }
type want struct {
	name dnsname.Name
	typ  dns.Type
}

// table is a list without duplicates, of at most maxEntries.
type table[T comparable] struct {
	list []T
	set  map[T]bool
}

func (t *table[T]) add(v T) bool {
	if t.set[v] || len(t.list) >= maxEntries {
		return false
	}
	if t.set == nil {
		t.set = map[T]bool{}
	}
	t.set[v] = true
	t.list = append(t.list, v)
	return true
}

// Run traces name and type from the root servers.
func (t *Trace) Run(typ dns.Type, name dnsname.Name, roots []netip.Addr) {
	t.have = map[Question]bool{}
	t.ips = map[dnsname.Name][]netip.Addr{}
	t.zones = map[dnsname.Name]*Zone{}
	t.sets = map[setKey]*signedSet{}
	const start = "0:.:.:start:"
	t.addServer(dnsname.Root, dnsname.Root)
	for _, ip := range roots {
		t.addAddress(dnsname.Root, ip)
	}
	name = name.Lower()
	t.want(name, typ)
	if t.DNSSEC {
		t.want(dnsname.Root, dns.TypeDNSKEY)
	}
	if len(t.tasks) == 0 { // nothing to ask, nothing to tell
		return
	}
	t.Emit(start + "NS:.:.")
	for _, ip := range roots {
		t.Emit(start + addressEvent(dnsname.Root, ip))
	}
	for i := 0; i < len(t.tasks); i++ {
		if t.Tell != nil {
			t.Tell(i, len(t.tasks))
		}
		t.do(t.tasks[i])
	}
	if t.cut {
		t.Emit(start + "ALERT:more than " + strconv.Itoa(MaxTasks) + " questions; the rest is not asked")
	}
}

func (t *Trace) addAddress(name dnsname.Name, ip netip.Addr) {
	if !t.addrs.add(addr{name, ip}) {
		return
	}
	t.ips[name] = append(t.ips[name], ip)
	for _, s := range t.servers.list {
		if s.name == name {
			t.tasksFor(s.zone, ip)
		}
	}
}

func (t *Trace) addServer(zone, name dnsname.Name) {
	if !t.servers.add(server{zone, name}) {
		return
	}
	for _, ip := range t.ips[name] {
		t.tasksFor(zone, ip)
	}
}

// tasksFor makes the tasks of a server that has just become known.
func (t *Trace) tasksFor(zone dnsname.Name, ip netip.Addr) {
	for _, w := range t.wanted.list {
		if t.cut {
			return
		}
		t.task(w, zone, ip)
	}
}

func (t *Trace) want(name dnsname.Name, typ dns.Type) {
	w := want{name, typ}
	if t.cut || !t.wanted.add(w) {
		return
	}
	for _, s := range t.servers.list {
		for _, ip := range t.ips[s.name] {
			t.task(w, s.zone, ip)
		}
	}
}

func (t *Trace) task(w want, zone dnsname.Name, ip netip.Addr) {
	q := Question{w.name, w.typ, zone, ip}
	if !dnsname.IsBelow(w.name, zone) || t.have[q] {
		return
	}
	switch w.typ {
	case dns.TypeDNSKEY: // of each zone's own servers
		if w.name != zone {
			return
		}
	case dns.TypeDS: // of the parent's servers
		if w.name == zone {
			return
		}
	default:
		if w.name == dnsname.Root { // never asked
			return
		}
	}
	if len(t.tasks) >= MaxTasks {
		t.cut = true
		return
	}
	t.have[q] = true
	t.tasks = append(t.tasks, q)
}

// record is what one answer says, copied out of the packet.
type record struct {
	rr     wire.RR
	owner  dnsname.Name
	target dnsname.Name // of NS and CNAME
}

// do asks one question and draws the conclusions.
func (t *Trace) do(q Question) {
	prefix := strconv.Itoa(int(q.Type)) + ":" + q.Name.Text() + ":" + q.Zone.Text() + ":" + ipText(q.IP) + ":"
	say := func(event string) { t.Emit(prefix + event) }
	say("tx")
	msg, took, err := t.Ask(q)
	v := t.visit(q, took)
	if err != nil { // how long that took is not told
		v.Failure = t.ErrText(err)
		say("ALERT:query failed; " + v.Failure)
		return
	}
	if took > slow {
		say("ALERT:took more than 1 second")
	}
	defer t.builtins(q, say)
	malformed := func(err error) {
		v.Failure = "answer malformed"
		say("ALERT:unable to parse response packet; " + t.ErrText(err))
	}
	recs, h, err := parse(msg)
	if err != nil {
		malformed(err)
		return
	}
	var out, soa bool
	var cname, referral dnsname.Name
	for _, r := range recs {
		if r.rr.Class != dns.ClassIN && r.rr.Section == wire.Answer {
			continue
		}
		switch r.rr.Section {
		case wire.Answer:
			if r.owner != q.Name {
				break
			}
			if r.rr.Type == q.Type || q.Type == dns.TypeANY {
				out = true
			} else if r.rr.Type == dns.TypeCNAME {
				cname = r.target
			}
		case wire.Authority:
			if r.rr.Type == dns.TypeSOA {
				soa = true
			} else if r.rr.Type == dns.TypeNS {
				referral = r.owner
			}
		}
	}
	nx := h.RCode() == dns.RCodeNXDomain
	if cname == "" && !nx && !out && referral != "" && !soa &&
		(referral == q.Zone || !dnsname.IsBelow(referral, q.Zone)) {
		v.Lame = true
		say("ALERT:lame server; refers to " + referral.Text())
		return
	}
	t.learn(q, msg, recs, say)
	switch {
	case cname != "":
		say("CNAME:" + cname.Text())
		t.want(cname, q.Type)
	case nx:
		say("NXDOMAIN")
	case out:
		for i := range recs {
			r := &recs[i]
			if r.rr.Section == wire.Answer && r.owner == q.Name && (r.rr.Type == q.Type || q.Type == dns.TypeANY) {
				text, err := show.Record(nil, msg, &r.rr, show.Readable)
				if err != nil {
					malformed(err)
					return
				}
				say("answer:" + string(text))
			}
		}
	case soa || referral == "":
		say("NODATA")
	default:
		say("see:" + referral.Text())
	}
}

// parse copies the records out, and checks all of them before anything is
// concluded from one.
func parse(msg []byte) ([]record, wire.Header, error) {
	c, err := wire.Parse(msg)
	if err != nil {
		return nil, wire.Header{}, err
	}
	if err := c.SkipQuestions(); err != nil {
		return nil, c.Header, err
	}
	var recs []record
	for len(recs) < MaxRecords {
		var r record
		ok, err := c.Next(&r.rr)
		if err != nil {
			return nil, c.Header, err
		}
		if !ok {
			break
		}
		owner, _, err := wire.AppendName(nil, msg, r.rr.Owner)
		if err != nil {
			return nil, c.Header, err
		}
		r.owner = dnsname.Name(dnsname.Lower(owner))
		switch r.rr.Type {
		case dns.TypeNS, dns.TypeCNAME:
			n, next, err := wire.AppendName(nil, msg, r.rr.Data)
			if err != nil || next != r.rr.Data+r.rr.Len {
				return nil, c.Header, wire.ErrFormat
			}
			r.target = dnsname.Name(dnsname.Lower(n))
		case dns.TypeA:
			if r.rr.Class == dns.ClassIN && r.rr.Len != 4 {
				return nil, c.Header, wire.ErrFormat
			}
		}
		recs = append(recs, r)
	}
	return recs, c.Header, nil
}

// learn takes the name servers and addresses out of all sections, as far as
// the server's zone may speak of them.
func (t *Trace) learn(q Question, msg []byte, recs []record, say func(string)) {
	for _, r := range recs {
		if r.rr.Class != dns.ClassIN || !dnsname.IsBelow(r.owner, q.Zone) {
			continue
		}
		data := r.rr.RData(msg)
		switch {
		case r.rr.Type == dns.TypeNS:
			say("NS:" + r.owner.Text() + ":" + r.target.Text())
			t.zone(r.owner, q.Zone)
			t.addServer(r.owner, r.target)
			t.want(r.target, dns.TypeA)
			if t.IPv6 {
				t.want(r.target, dns.TypeAAAA)
			}
			if t.DNSSEC {
				t.want(r.owner, dns.TypeDS)
				t.want(r.owner, dns.TypeDNSKEY)
			}
		case r.rr.Type == dns.TypeA, r.rr.Type == dns.TypeAAAA && t.IPv6 && r.rr.Len == 16:
			ip, _ := netip.AddrFromSlice(data)
			say(addressEvent(r.owner, ip))
			t.addAddress(r.owner, ip)
		}
	}
	if t.DNSSEC {
		t.collect(q, msg, recs)
	}
}

// builtins warns of names that caches answer by themselves.
func (t *Trace) builtins(q Question, say func(string)) {
	const localhost = dnsname.Name("\x09localhost\x00")
	if q.Name == localhost {
		ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		say("ALERT:some caches do not handle localhost internally")
		say(addressEvent(q.Name, ip))
		t.addAddress(q.Name, ip)
	}
	if ip, ok := quad(q.Name); ok {
		say("ALERT:some caches do not handle IP addresses internally")
		say(addressEvent(q.Name, ip))
		t.addAddress(q.Name, ip)
	}
}

// quad reads a name of exactly four numbers (compat: djbdns.md section 9.5).
func quad(n dnsname.Name) (netip.Addr, bool) {
	var ip [4]byte
	for i := range ip {
		l := int(n[0])
		if l < 1 || l > 3 || l > 1 && n[1] == '0' {
			return netip.Addr{}, false
		}
		v, err := strconv.ParseUint(string(n[1:1+l]), 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		ip[i] = byte(v)
		n = dnsname.Parent(n)
	}
	return netip.AddrFrom4(ip), n == dnsname.Root
}

// ipText shows an IPv6 address as 32 hex digits, as logs do: a colon would
// split the field.
func ipText(ip netip.Addr) string {
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	b := ip.As16()
	return hex.EncodeToString(b[:])
}

func addressEvent(name dnsname.Name, ip netip.Addr) string {
	word := "A:"
	if ip.Unmap().Is6() {
		word = "AAAA:"
	}
	return word + name.Text() + ":" + ipText(ip)
}
