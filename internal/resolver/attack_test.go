package resolver

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

const (
	evil     = "203.0.113.66"
	rootAddr = "192.0.2.1"
)

// victim is a small honest zone: www.victim at 198.51.100.7.
func victim(f *fake) {
	f.servers[rootAddr] = refer(".", map[string][2]string{"victim": {"ns.victim", "198.51.100.1"}, "attacker": {"ns.attacker", evil}}, 3600)
	f.servers["198.51.100.1"] = func(q *asked) {
		if q.name == n("www.victim") && q.typ == dns.TypeA {
			q.start(wire.BitAA).an("www.victim", dns.TypeA, 300, ip("198.51.100.7")).send()
			return
		}
		q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa("victim").send()
	}
}

// Kaminsky, 2008: questions for names that do not exist, forged answers with
// NS records for the whole zone. Even a forger who guesses right (ID, port and
// letter case) gets one name, not the zone.
func TestKaminsky(t *testing.T) {
	f := newFake(t)
	victim(f)
	f.ask("www.victim", dns.TypeA)
	honest := f.servers["198.51.100.1"]
	forged := 0
	f.servers["198.51.100.1"] = func(q *asked) {
		if q.tcp {
			honest(q)
			return
		}
		for i := range 50 { // all arrive before the honest answer
			g := *q
			g.id = q.id + uint16(i) + 1
			g.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 86400, ip(evil)).ns("victim", "ns.attacker", 86400).a("ns.attacker", evil, 86400)
			g.deliver(g.b.Finish(), 0)
			forged++
		}
		honest(q)
	}
	most := 0
	for i := range 50 {
		a, cost := f.ask(fmt.Sprintf("r%d.victim", i), dns.TypeA)
		if a.RCode != dns.RCodeNXDomain {
			t.Fatalf("forged answer %d believed: %+v", i, a)
		}
		most = max(most, cost)
	}
	t.Logf("%d forged packets, %d sent for a question at most, %d of them by TCP", forged, most, f.tcp)
	if most > 2 {
		t.Errorf("%d packets for one question under forgery, want one by UDP and one by TCP", most)
	}
	// now the forger guesses right
	f.servers["198.51.100.1"] = func(q *asked) {
		q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 86400, ip(evil)).ns("victim", "ns.attacker", 86400).a("ns.attacker", evil, 86400).send()
	}
	f.ask("lucky.victim", dns.TypeA)
	f.servers["198.51.100.1"] = honest
	f.wait(301 * Second) // www has to be asked for again
	if _, cost := f.ask("www.victim", dns.TypeA); !f.has("198.51.100.7") || cost != 1 {
		t.Errorf("the zone was taken over by one lucky guess (%d packets)", cost)
	}
	if f.to[evil] > 0 {
		t.Errorf("%d questions went to the attacker", f.to[evil])
	}
}

// CVE-2008-4392: many identical questions at once must not make many identical
// guesses possible.
func TestBirthday(t *testing.T) {
	f := newFake(t)
	victim(f)
	f.ask("www.victim", dns.TypeA)
	f.wait(301 * Second)
	before := f.sends
	var tickets []uint64
	for range 500 {
		tickets = append(tickets, f.put("www.victim", dns.TypeA))
	}
	if out := f.sends - before; out != 1 {
		t.Errorf("%d identical questions are out, want 1", out)
	}
	f.wait(5 * Second)
	for _, k := range tickets {
		if f.answers[k] == nil || f.answers[k].RCode != 0 {
			t.Fatal("a client got no answer")
		}
	}
}

// CVE-2012-1191 and its successors: who lost a domain must not keep it alive
// in caches by refreshing NS, glue or delegations below.
func TestGhostDomains(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply func(q *asked)
		keep  []string // asked while the delegation lives
	}{
		{"NS in the authority section (2012)", func(q *asked) {
			q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 10, ip(evil)).ns("ghost", "ns.ghost", 86400).a("ns.ghost", evil, 86400).send()
		}, []string{"a.ghost", "b.ghost"}},
		{"NS asked for (2012)", func(q *asked) {
			if q.typ == dns.TypeNS {
				q.start(wire.BitAA).an("ghost", dns.TypeNS, 86400, []byte(n("ns.ghost"))).a("ns.ghost", evil, 86400).send()
				return
			}
			q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 86400, ip(evil)).send()
		}, []string{"ghost", "ns.ghost"}},
		{"a delegation below (Phoenix, 2022)", func(q *asked) {
			if dnsname.IsBelow(q.name, n("sub.ghost")) && len(q.name) > len(n("sub.ghost")) && q.f.to["203.0.113.67"] < 1000 {
				q.start(0).ns("sub.ghost", "ns.sub.ghost", 86400).a("ns.sub.ghost", "203.0.113.67", 86400).send()
				return
			}
			q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 10, ip(evil)).send()
		}, []string{"x.sub.ghost"}},
		{"a referral to itself (2025)", func(q *asked) {
			q.start(0).ns("ghost", "ns2.ghost", 86400).a("ns2.ghost", evil, 86400).send()
		}, []string{"a.ghost"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.servers[rootAddr] = refer(".", map[string][2]string{"ghost": {"ns.ghost", evil}}, 60)
			f.servers[evil] = c.reply
			f.servers["203.0.113.67"] = func(q *asked) {
				q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 10, ip(evil)).ns("sub.ghost", "ns.sub.ghost", 86400).send()
			}
			for _, k := range c.keep {
				f.ask(k, dns.TypeA)
				f.ask(k, dns.TypeNS)
			}
			// the parent takes it away; the ghost keeps being asked
			f.servers[rootAddr] = refer(".", nil, 60)
			for i := range 12 {
				f.wait(9 * Second)
				f.ask(fmt.Sprintf("r%d.ghost", i), dns.TypeA)
				f.ask(fmt.Sprintf("r%d.sub.ghost", i), dns.TypeA)
			}
			for _, name := range []string{"fresh.ghost", "fresh.sub.ghost"} {
				if a, _ := f.ask(name, dns.TypeA); a.RCode != dns.RCodeNXDomain {
					t.Errorf("%s lives on: rcode %d", name, a.RCode)
				}
			}
		})
	}
}

// CVE-2025-40778: records nobody asked for, in any section, from a server that
// has no say about them.
func TestOutOfBailiwick(t *testing.T) {
	f := newFake(t)
	victim(f)
	f.servers[evil] = func(q *asked) {
		q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 300, ip("203.0.113.1")).
			an("www.victim", dns.TypeA, 86400, ip(evil)).
			ns("victim", "ns.attacker", 86400).ns(".", "ns.attacker", 86400).
			a("ns.attacker", evil, 86400).a("ns.victim", evil, 86400).a("www.victim", evil, 86400).send()
	}
	for i := range 5 {
		f.ask(fmt.Sprintf("x%d.attacker", i), dns.TypeA)
	}
	if _, _ = f.ask("www.victim", dns.TypeA); !f.has("198.51.100.7") || f.has(evil) {
		t.Error("www.victim is poisoned")
	}
	f.cache.Each(func(name string, e *Entry) {
		if e.Kind != KindDelegation && dnsname.IsBelow(name, n("victim")) && strings.Contains(string(e.Records), string(ip(evil))) {
			t.Errorf("%v is in the cache with the attacker's address", dnsname.Name(name))
		}
		if e.Kind == KindDelegation && dnsname.Name(name) == n("victim") && strings.Contains(string(e.Proof), string(ip(evil))) {
			t.Error("the delegation of victim has the attacker's address")
		}
	})
}

// NXNSAttack (CVE-2020-12662): a delegation to many names of a victim's zone.
func TestNXNS(t *testing.T) {
	f := newFake(t)
	victim(f)
	f.servers[evil] = func(q *asked) {
		q.start(0)
		for i := range 500 {
			q.ns("sub.attacker", fmt.Sprintf("n%d.%s.victim", i, q.name.Text()[:3]), 3600)
		}
		q.send()
	}
	a, cost := f.ask("one.sub.attacker", dns.TypeA)
	t.Logf("%d packets, %d of them to the victim (500 NS names)", cost, f.to["198.51.100.1"])
	if a.RCode != dns.RCodeServFail || !a.EDE {
		t.Errorf("answer %+v", a)
	}
	if v := f.to["198.51.100.1"]; v > DefaultLimits.NSLookups {
		t.Errorf("%d packets to the victim, limit %d", v, DefaultLimits.NSLookups)
	}
}

// CAMP (CVE-2024-8508 and kin): every name leads to several delegations and
// aliases, each of them to more.
func TestCAMP(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = refer(".", map[string][2]string{"attacker": {"ns.attacker", evil}}, 3600)
	k := 0
	f.servers[evil] = func(q *asked) {
		k++
		if k%3 == 0 {
			q.start(wire.BitAA).an(q.name.Text(), dns.TypeCNAME, 0, []byte(n(fmt.Sprintf("a%d.b%d.c%d.attacker", k, k, k)))).send()
			return
		}
		q.start(0)
		cut := q.name.Text()
		for i := range 10 {
			q.ns(cut, fmt.Sprintf("n%d.m%d.o%d.attacker", i, k, k), 1)
		}
		q.send()
	}
	a, cost := f.ask("w.x.y.z.attacker", dns.TypeA)
	t.Logf("%d packets; %s", cost, a.Text)
	if a.RCode != dns.RCodeServFail || cost > DefaultLimits.Sends {
		t.Errorf("%d packets, rcode %d", cost, a.RCode)
	}
}

// TsuNAME (2021) and iDNS: zones whose servers are named in each other.
func TestTsuNAME(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) {
		for _, c := range [][2]string{{"a", "b"}, {"b", "a"}} {
			if dnsname.IsBelow(q.name, n(c[0])) {
				q.start(0).ns(c[0], "ns1."+c[1], 3600).ns(c[0], "ns2."+c[1], 3600).send()
				return
			}
		}
		q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa(".").send()
	}
	a, cost := f.ask("www.a", dns.TypeA)
	_, second := f.ask("www.a", dns.TypeA)
	t.Logf("%d packets, then %d for the same question", cost, second)
	if a.RCode != dns.RCodeServFail || cost > 12 || second != 0 {
		t.Errorf("rcode %d, %d packets, then %d", a.RCode, cost, second)
	}
	total := 0
	for i := range 100 {
		_, c := f.ask(fmt.Sprintf("r%d.a", i), dns.TypeA)
		total += c
	}
	t.Logf("%.2f packets a question for 100 other names there", float64(total)/100)
	if total > 400 {
		t.Errorf("%d packets for 100 questions", total)
	}
}

// iDNS (2024): each delegation's server is one level deeper in the next zone.
func TestIDNS(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = refer(".", map[string][2]string{"attacker": {"ns.attacker", evil}}, 3600)
	f.servers[evil] = func(q *asked) {
		var i int
		for p := q.name; p[0] != 0; p = dnsname.Parent(p) {
			fmt.Sscanf(p.Text(), "z%d.attacker", &i)
		}
		q.start(0).ns(fmt.Sprintf("z%d.attacker", i), fmt.Sprintf("ns.z%d.attacker", i+1), 3600).send()
	}
	a, cost := f.ask("www.z1.attacker", dns.TypeA)
	t.Logf("%d packets; %s", cost, a.Text)
	if a.RCode != dns.RCodeServFail || cost > 20 {
		t.Errorf("rcode %d, %d packets", a.RCode, cost)
	}
}

// Water torture: random names of a zone whose servers are down.
func TestWaterTorture(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) {
		q.start(0).ns("victim", "ns1.victim", 3600).ns("victim", "ns2.victim", 3600).
			a("ns1.victim", "198.51.100.1", 3600).a("ns2.victim", "198.51.100.2", 3600).send()
	}
	total, most := 0, 0
	for i := range 300 {
		a, cost := f.ask(fmt.Sprintf("r%d.victim", i), dns.TypeA)
		if a.RCode != dns.RCodeServFail {
			t.Fatal(a.RCode)
		}
		total += cost
		most = max(most, cost)
	}
	t.Logf("%.2f packets a question, %d at most", float64(total)/300, most)
	if most > maxAttempts+1 {
		t.Errorf("%d packets for one question", most)
	}
}

// Aliases without end, each in another zone.
func TestAliasMaze(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = refer(".", map[string][2]string{"attacker": {"ns.attacker", evil}}, 3600)
	k := 0
	f.servers[evil] = func(q *asked) {
		k++
		q.start(wire.BitAA).an(q.name.Text(), dns.TypeCNAME, 60, []byte(n(fmt.Sprintf("c%d.attacker", k)))).send()
	}
	a, cost := f.ask("www.attacker", dns.TypeA)
	t.Logf("%d packets; %s", cost, a.Text)
	if a.RCode != dns.RCodeServFail || a.Text != budgetText("aliases") || cost > DefaultLimits.Hops+3 {
		t.Errorf("%d packets: %+v", cost, a)
	}
	// a whole maze in one message
	f.servers[evil] = func(q *asked) {
		q.start(wire.BitAA)
		for i := range 200 {
			from := fmt.Sprintf("m%d.attacker", i)
			if i == 0 {
				from = q.name.Text()
			}
			q.an(from, dns.TypeCNAME, 60, []byte(n(fmt.Sprintf("m%d.attacker", i+1))))
		}
		q.send()
	}
	if a, cost = f.ask("maze.attacker", dns.TypeA); a.RCode != dns.RCodeServFail || cost > 3 {
		t.Errorf("%d packets: %+v", cost, a)
	}
}

// Truncation games: TC by UDP and by TCP, and answers over several fragments
// are never asked for.
func TestTruncation(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = refer(".", map[string][2]string{"attacker": {"ns.attacker", evil}}, 3600)
	f.servers[evil] = func(q *asked) { q.start(wire.BitAA|wire.BitTC).an(q.name.Text(), dns.TypeA, 60, ip(evil)).send() }
	a, cost := f.ask("www.attacker", dns.TypeA)
	t.Logf("%d packets, %d by TCP", cost, f.tcp)
	if cost > 8 {
		t.Errorf("%d packets", cost)
	}
	if a.RCode == 0 && f.tcp == 0 {
		t.Error("a truncated answer was believed")
	}
}

// We announce 1232 bytes and no client subnet (RebirthDay, 2025: ECS splits
// identical questions into many).
func TestWhatIsSent(t *testing.T) {
	f := newFake(t)
	var opt wire.EDNS
	f.servers[rootAddr] = func(q *asked) {
		c, _ := wire.Parse(q.msg)
		c.SkipQuestions()
		opt, _ = wire.FindEDNS(&c)
		q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa(".").send()
	}
	f.ask("x", dns.TypeA)
	if !opt.Present || opt.UDPSize != 1232 {
		t.Errorf("EDNS %+v", opt)
	}
	for code, _, rest, ok := wire.NextOption(opt.Options); ok; code, _, rest, ok = wire.NextOption(rest) {
		if code != dns.OptCookie {
			t.Errorf("option %d is sent", code)
		}
	}
}

// CVE-2025-40780 is about predictable IDs and ports. Ports are the network's;
// IDs and letter case come from the generator, all bits of it.
func TestUnpredictable(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) {
		q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa(".").send()
	}
	const questions = 4000
	for i := range questions {
		f.ask(fmt.Sprintf("abcdefgh%d", i), dns.TypeA)
	}
	var bit [16]int
	var upper [8]int
	seen := map[uint16]int{}
	steps := map[uint16]int{}
	for i, id := range f.ids {
		for k := range bit {
			bit[k] += int(id >> k & 1)
		}
		seen[id]++
		if i > 0 {
			steps[id-f.ids[i-1]]++
		}
		for k := range upper {
			if c := f.names[i][1+k]; c >= 'A' && c <= 'Z' {
				upper[k]++
			}
		}
	}
	// 4000 fair coins: 6 standard deviations are 190
	for k, c := range bit {
		if c < questions/2-190 || c > questions/2+190 {
			t.Errorf("bit %d of the ID is set %d times of %d", k, c, questions)
		}
	}
	for k, c := range upper {
		if c < questions/2-190 || c > questions/2+190 {
			t.Errorf("letter %d is upper case %d times of %d", k, c, questions)
		}
	}
	for s, c := range steps {
		if c > 10 {
			t.Errorf("the next ID is %d higher %d times", s, c)
		}
	}
	if len(seen) < 3700 {
		t.Errorf("only %d different IDs", len(seen))
	}
}

// Glue that leads nowhere: ourselves, everybody, nobody.
func TestSelfPointingGlue(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) {
		q.start(0)
		for i := range 4 {
			q.ns("attacker", fmt.Sprintf("n%d.attacker", i), 3600)
		}
		for i, a := range []string{"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"} {
			q.a(fmt.Sprintf("n%d.attacker", i), a, 3600)
		}
		q.send()
	}
	a, cost := f.ask("www.attacker", dns.TypeA)
	t.Logf("%d packets", cost)
	if a.RCode != dns.RCodeServFail {
		t.Error(a.RCode)
	}
	for to := range f.to {
		if to != rootAddr {
			t.Errorf("sent to %s", to)
		}
	}
}

// RRsets of many records: used if they can be, not kept if they are too large.
func TestHugeRRsets(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = refer(".", map[string][2]string{"attacker": {"ns.attacker", evil}}, 3600)
	f.servers[evil] = func(q *asked) {
		if !q.tcp {
			q.start(wire.BitAA | wire.BitTC).send()
			return
		}
		q.start(wire.BitAA)
		count := 900
		if q.name == n("more.attacker") {
			count = 4000
		}
		for i := range count {
			q.an(q.name.Text(), dns.TypeA, 300, []byte{10, 0, byte(i >> 8), byte(i)})
		}
		q.send()
	}
	if a, _ := f.ask("many.attacker", dns.TypeA); a.RCode != 0 {
		t.Error("900 addresses were refused")
	}
	if a, cost := f.ask("more.attacker", dns.TypeA); a.RCode != dns.RCodeServFail || cost > maxAttempts {
		t.Errorf("4000 addresses: rcode %d, %d packets", a.RCode, cost)
	}
	f.cache.Each(func(name string, e *Entry) {
		if len(e.Records) > maxSetBytes {
			t.Errorf("%d bytes kept", len(e.Records))
		}
	})
}

// Every limit says its name in the answer.
func TestBudgetIsNamed(t *testing.T) {
	f := newFake(t, func(c *Config) { c.Limits.Sends = 3 })
	f.servers[rootAddr] = refer(".", map[string][2]string{"attacker": {"ns.attacker", evil}}, 3600)
	k := 0
	f.servers[evil] = func(q *asked) {
		k++
		q.start(wire.BitAA).an(q.name.Text(), dns.TypeCNAME, 60, []byte(n(fmt.Sprintf("c%d.attacker", k)))).send()
	}
	a, cost := f.ask("www.attacker", dns.TypeA)
	if a.RCode != dns.RCodeServFail || !a.EDE || a.Text != "budget spent: packets sent" || cost != 3 {
		t.Errorf("%d packets: %+v", cost, a)
	}
}
