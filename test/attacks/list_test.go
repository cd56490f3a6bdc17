package attacks

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// ghostTTL is what the root's delegation of ghost lives for, seconds.
const ghostTTL = 2

var attacks = []attack{
	{name: "NXNSAttack: a delegation to 20 names of the victim", questions: 10, ask: func(i int) string { return fmt.Sprintf("q%d.sub%d.attacker", i, i) },
		evil: func(l *lab, q *query) {
			q.start(0)
			l.k++
			cut := dnsname.Skip(q.name, dnsname.Labels(q.name)-2).Text()
			for i := range 20 {
				q.ns(cut, fmt.Sprintf("n%d.r%d.victim", i, l.k))
			}
		}, limit: resolver.DefaultLimits.NSLookups + 6},
	{name: "CAMP: every name leads to delegations and aliases", questions: 5, ask: func(i int) string { return fmt.Sprintf("w%d.x.y.z.attacker", i) },
		evil: func(l *lab, q *query) {
			l.k++
			if l.k%3 == 0 {
				q.start(wire.BitAA)
				q.b.RR(wire.Answer, q.raw, dns.TypeCNAME, dns.ClassIN, 0, n(fmt.Sprintf("a%d.b%d.c%d.attacker", l.k, l.k, l.k)))
				return
			}
			q.start(0)
			for i := range 10 {
				q.ns(q.name.Text(), fmt.Sprintf("n%d.m%d.o%d.attacker", i, l.k, l.k))
			}
		}, limit: resolver.DefaultLimits.Sends},
	{name: "iDNS: each server is named in the next zone", questions: 10, ask: func(i int) string { return fmt.Sprintf("www.z%d.attacker", 1000*i+1) },
		evil: func(l *lab, q *query) {
			var i int
			for p := q.name; p[0] != 0; p = dnsname.Parent(p) {
				fmt.Sscanf(p.Text(), "z%d.attacker", &i)
			}
			q.start(0).ns(fmt.Sprintf("z%d.attacker", i), fmt.Sprintf("ns.z%d.attacker", i+1))
		}, limit: 2*resolver.DefaultLimits.Depth + 4},
	{name: "TsuNAME: servers named in each other's zones", questions: 30, ask: func(i int) string { return fmt.Sprintf("r%d.a%d.attacker", i, i%3) },
		evil: func(l *lab, q *query) {
			var i int
			for p := q.name; p[0] != 0; p = dnsname.Parent(p) {
				fmt.Sscanf(p.Text(), "a%d.attacker", &i)
			}
			q.start(0).ns(fmt.Sprintf("a%d.attacker", i), fmt.Sprintf("ns.a%d.attacker", (i+1)%3))
		}, limit: 12},
	{name: "aliases without end", questions: 10, ask: func(i int) string { return fmt.Sprintf("c%d.attacker", 1000*i) },
		evil: func(l *lab, q *query) {
			l.k++
			q.start(wire.BitAA)
			q.b.RR(wire.Answer, q.raw, dns.TypeCNAME, dns.ClassIN, 60, n(fmt.Sprintf("k%d.attacker", l.k)))
		}, limit: resolver.DefaultLimits.Hops + 4},
	{name: "a maze: eight aliases in each answer, tangled", questions: 10, ask: func(i int) string { return fmt.Sprintf("m%d.attacker", 1000*i) },
		evil: func(l *lab, q *query) {
			q.start(wire.BitAA)
			l.k++
			at := q.raw
			for i := range 8 {
				next := n(fmt.Sprintf("t%d.u%d.attacker", (i*5+3)%8, l.k))
				q.b.RR(wire.Answer, at, dns.TypeCNAME, dns.ClassIN, 60, next)
				at = next
			}
			q.b.RR(wire.Answer, at, dns.TypeCNAME, dns.ClassIN, 60, n(fmt.Sprintf("t%d.u%d.attacker", 3, l.k+1)))
		}, limit: resolver.DefaultLimits.Aliases + 4},
	{name: "glue that points to the resolver itself and to nowhere", questions: 10, atOnce: true, ask: func(i int) string { return fmt.Sprintf("www.s%d.attacker", i) },
		evil: func(l *lab, q *query) {
			cut := dnsname.Skip(q.name, dnsname.Labels(q.name)-2).Text()
			q.start(0).ns(cut, "ns."+cut).ns(cut, "nt."+cut)
			for _, a := range [][]byte{l.self, {127, 0, 0, 1}, {0, 0, 0, 0}, {127, 255, 255, 255}} {
				q.b.RR(wire.Additional, n("ns."+cut), dns.TypeA, dns.ClassIN, 3600, a)
			}
			q.b.RR(wire.Additional, n("nt."+cut), dns.TypeA, dns.ClassIN, 3600, []byte(l.self))
		}, limit: 8},
	{name: "huge RRsets: 3,500 addresses over TCP", questions: 5, ask: func(i int) string { return fmt.Sprintf("huge%d.attacker", i) },
		evil: func(l *lab, q *query) {
			q.start(wire.BitAA)
			if !q.tcp {
				q.start(wire.BitAA | wire.BitTC)
				return
			}
			for i := range 3500 {
				q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 60, []byte{10, 0, byte(i >> 8), byte(i)})
			}
		}, limit: 6},
	{name: "TC over UDP, and TC again over TCP", questions: 5, atOnce: true, ask: func(i int) string { return fmt.Sprintf("tc%d.attacker", i) },
		evil: func(l *lab, q *query) { q.start(wire.BitAA | wire.BitTC) }, limit: 16},
	{name: "TC over UDP, silence over TCP", questions: 5, atOnce: true, ask: func(i int) string { return fmt.Sprintf("ts%d.attacker", i) },
		evil: func(l *lab, q *query) {
			q.start(wire.BitAA | wire.BitTC)
			q.none = q.tcp
		}, limit: 16},
	{name: "fragments: a server made to send them (path MTU)", questions: 5, ask: func(i int) string { return fmt.Sprintf("f%d.victim", i) },
		victim: func(l *lab, q *query) {
			l.size = max(l.size, q.edns.UDPSize)
			q.start(wire.BitAA)
			if q.typ != dns.TypeA {
				return
			}
			// whose first fragment is the server's and whose second is the
			// forger's: 66; over TCP there is only the truth
			last := byte(66)
			if q.tcp {
				last = 1
			}
			for i := range 120 {
				q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 60, []byte{192, 0, byte(2 + i), last})
			}
		}, limit: 6, after: func(l *lab, server string) (string, bool) {
			r, _ := ask(server, "f0.victim", dns.TypeA, []byte{}, 5*time.Second)
			believed := l.byTCP == 0 || r.a[3] == 66
			return fmt.Sprintf("%d bytes asked for, fragments believed: %v", l.size, believed), believed
		}},
	{name: "Kaminsky: 200 forged answers, right port, before the true one", questions: 20, ask: func(i int) string { return fmt.Sprintf("kaminskykaminskykaminsky%d.victim", i) },
		victim: func(l *lab, q *query) {
			if !q.tcp {
				for range 200 {
					f := &query{raw: q.raw, typ: q.typ, id: q.id ^ uint16(1+rand.IntN(65535))}
					l.poison(f)
					q.send(f.b.Finish())
				}
			}
			q.nx("victim")
		}, limit: 6, after: poisoned},
	{name: "forged answers with port and ID right, the name in lower case", questions: 10, ask: func(i int) string { return fmt.Sprintf("lowercaselowercaselowercase%d.victim", i) },
		victim: func(l *lab, q *query) {
			if !q.tcp {
				f := &query{raw: []byte(q.name), typ: q.typ, id: q.id}
				l.poison(f)
				q.send(f.b.Finish())
			}
			q.nx("victim")
		}, limit: 8, after: func(l *lab, server string) (string, bool) {
			r, _ := ask(server, "lowercaselowercaselowercase3.victim", dns.TypeA, nil, 5*time.Second)
			what, won := poisoned(l, server)
			if r.a == [4]byte{6, 6, 6, 6} {
				return "believed", true
			}
			return what, won
		}},
	{name: "birthday: 100 equal questions at once, a slow server", questions: 100, atOnce: true, ask: func(i int) string { return "birthday.victim" },
		victim: slow, limit: 1, after: outAtOnce},
	{name: "birthday, CVE-2008-4392: SOA", questions: 100, atOnce: true, typ: dns.TypeSOA, ask: func(i int) string { return "soa.victim" },
		victim: slow, limit: 1, after: outAtOnce},
	{name: "RebirthDay: equal questions with 100 client subnets", questions: 100, atOnce: true, ask: func(i int) string { return "rebirth.victim" },
		options: func(i int) []byte { // RFC 7871, section 6: IPv4, /24
			return []byte{0, 8, 0, 7, 0, 1, 24, 0, 198, byte(i), 100}
		},
		victim: slow, limit: 1, after: outAtOnce},
	{name: "ports and IDs to be foreseen (CVE-2025-40780)", questions: 300, ask: func(i int) string { return fmt.Sprintf("p%d.victim", i) },
		victim: func(l *lab, q *query) {
			if !q.tcp {
				l.ports, l.ids = append(l.ports, q.port), append(l.ids, q.id)
			}
			q.nx("victim")
		}, limit: 3, after: foreseeable},
	{name: "out of bailiwick (CVE-2025-40778): www.victim in answers", questions: 10, ask: func(i int) string { return fmt.Sprintf("bailiwick%d.attacker", i) },
		evil: func(l *lab, q *query) {
			q.start(wire.BitAA)
			switch l.k++; l.k % 3 {
			case 0:
				q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 60, []byte{1, 1, 1, 1})
			case 1:
				q.b.RR(wire.Answer, q.raw, dns.TypeCNAME, dns.ClassIN, 60, n("www.victim"))
			}
			l.poisonRecords(q)
		}, limit: 5, after: poisoned},
	{name: "ghost domain (CVE-2012-1191): the zone renews its own NS", questions: 8, ask: func(i int) string { return fmt.Sprintf("g%d.ghost", i) },
		evil: func(l *lab, q *query) {
			// each answer names other servers, for a day (the variant of 2022)
			l.k++
			q.start(wire.BitAA)
			q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 1, []byte{1, 1, 1, 1})
			ns := fmt.Sprintf("ns%d.ghost", l.k)
			q.b.RR(wire.Authority, n("ghost"), dns.TypeNS, dns.ClassIN, 86400, n(ns))
			q.b.RR(wire.Additional, n(ns), dns.TypeA, dns.ClassIN, 86400, []byte{127, 1, 0, 66})
		}, limit: 4, after: func(l *lab, server string) (string, bool) { return haunted(l, server, "%d.ghost") }},
	{name: "phoenix domain (2022): a delegation below the revoked one", questions: 8, ask: func(i int) string { return fmt.Sprintf("g%d.bird.ghost", i) },
		evil: func(l *lab, q *query) {
			if q.name.Text() == "ghost" || q.name.Text() == "bird.ghost" && l.k == 0 {
				l.k++
				q.start(0).ns("bird.ghost", "ns.bird.ghost").a("ns.bird.ghost", 66)
				return
			}
			q.start(wire.BitAA)
			if q.typ == dns.TypeA {
				q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 1, []byte{1, 1, 1, 1})
			}
			q.b.RR(wire.Authority, n("bird.ghost"), dns.TypeNS, dns.ClassIN, 86400, n("ns.bird.ghost"))
			q.b.RR(wire.Additional, n("ns.bird.ghost"), dns.TypeA, dns.ClassIN, 86400, []byte{127, 1, 0, 66})
		}, limit: 4, after: func(l *lab, server string) (string, bool) { return haunted(l, server, "%d.bird.ghost") }},
	// the last, since it leaves the victim's server behind as dead
	{name: "water torture: random names, the victim is silent", questions: 20, ask: func(i int) string { return fmt.Sprintf("r%d.victim", i) },
		atOnce: true, victim: func(l *lab, q *query) { q.none = true }, limit: 13},
}

// poison makes q a forged answer.
func (l *lab) poison(q *query) {
	q.start(wire.BitAA)
	q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 60, []byte{6, 6, 6, 6})
	l.poisonRecords(q)
}

// poisonRecords are those that would take www.victim, or all of victim.
func (l *lab) poisonRecords(q *query) {
	q.b.RR(wire.Answer, n("www.victim"), dns.TypeA, dns.ClassIN, 3600, []byte{6, 6, 6, 6})
	q.b.RR(wire.Authority, n("victim"), dns.TypeNS, dns.ClassIN, 86400, n("ns.attacker"))
	q.b.RR(wire.Authority, n("victim"), dns.TypeNS, dns.ClassIN, 86400, n("ns.victim"))
	q.b.RR(wire.Additional, n("ns.victim"), dns.TypeA, dns.ClassIN, 86400, []byte{127, 1, 0, 66})
	q.b.RR(wire.Additional, n("www.victim"), dns.TypeA, dns.ClassIN, 3600, []byte{6, 6, 6, 6})
}

func poisoned(l *lab, server string) (string, bool) {
	r, ok := ask(server, "www.victim", dns.TypeA, nil, 5*time.Second)
	switch {
	case !ok || r.a == [4]byte{}: // a denial of service at most
		return fmt.Sprintf("not poisoned, no answer (code %d)", r.rcode), false
	case r.a != [4]byte{192, 0, 2, 1}:
		return fmt.Sprintf("poisoned: %v", r.a), true
	}
	return "not poisoned", false
}

// slow leaves a forger 300 ms.
func slow(l *lab, q *query) {
	q.nx("victim")
	if strings.Count(q.name.Text(), ".") < 1 {
		return
	}
	l.out++
	l.most = max(l.most, l.out)
	q.wait, q.done = 300*time.Millisecond, func() { l.out-- }
}

// maxOpen is the resolver's limit of that name: tries an answer to which is
// still welcome.
const maxOpen = 3

func outAtOnce(l *lab, server string) (string, bool) {
	return fmt.Sprintf("%d out at once", l.most), l.most > maxOpen
}

// foreseeable looks for patterns: few values, a bit that is not random, steps.
func foreseeable(l *lab, server string) (string, bool) {
	bad := ""
	for _, x := range []struct {
		what string
		v    []uint16
	}{{"ports", l.ports}, {"IDs", l.ids}} {
		distinct := map[uint16]bool{}
		steps := map[uint16]int{}
		for i, v := range x.v {
			distinct[v] = true
			if i > 0 {
				steps[v-x.v[i-1]]++
			}
		}
		// of 300 random values 0.7 meet; 10 would be one run in 10^9
		if len(distinct) < len(x.v)-10 {
			bad += fmt.Sprintf(" %d different %s of %d", len(distinct), x.what, len(x.v))
		}
		for s, times := range steps {
			if times > 5 {
				bad += fmt.Sprintf(" %s in steps of %d", x.what, s)
			}
		}
		for bit := range 16 {
			set := 0
			for _, v := range x.v {
				set += int(v >> bit & 1)
			}
			// six deviations of a fair coin
			if mean := len(x.v) / 2; set < mean-6*9 || set > mean+6*9 {
				bad += fmt.Sprintf(" bit %d of %s set %d times of %d", bit, x.what, set, len(x.v))
			}
		}
	}
	if bad != "" {
		return "pattern:" + bad, true
	}
	return "no pattern", false
}

// haunted keeps asking while the root takes the delegation away, and once its
// time is over asks whether the zone is still there.
func haunted(l *lab, server, name string) (string, bool) {
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	i := 100
	for end := time.Now().Add((ghostTTL + 1) * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		ask(server, fmt.Sprintf("h"+name, i), dns.TypeA, nil, time.Second)
		ask(server, "ghost", dns.TypeNS, nil, time.Second)
		i++
	}
	r, ok := ask(server, fmt.Sprintf("h"+name, i), dns.TypeA, nil, 5*time.Second)
	if ok && r.a == [4]byte{1, 1, 1, 1} {
		return "still there after the parent's TTL", true
	}
	return "gone with the parent's delegation", false
}
