package resolver

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// zone is a network with one zone at one server, whose answers count.
func zone(t *testing.T, answer func(q *asked), change ...func(*Config)) *fake {
	f := newFake(t, change...)
	f.servers[rootAddr] = refer(".", map[string][2]string{"example": {"ns.example", "198.51.100.1"}}, 86400)
	f.servers["198.51.100.1"] = answer
	return f
}

func www(q *asked) {
	q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 100, ip("198.51.100.7")).send()
}

// RFC 8767: data past their time when servers fail, and when they are slow.
func TestServeStale(t *testing.T) {
	f := zone(t, www, func(c *Config) { c.ServeStale, c.StaleWait = 86400, 1800*Millisecond })
	f.ask("www.example", dns.TypeA)
	f.wait(200 * Second)
	up := f.servers["198.51.100.1"]
	f.servers["198.51.100.1"] = nil // silence
	begin := f.now
	a, _ := f.ask("www.example", dns.TypeA)
	if !a.Stale || a.Code != dns.EDEStaleAnswer || !f.has("198.51.100.7") {
		t.Fatalf("answer %+v", a)
	}
	if d := f.now - begin; d != 1800*Millisecond {
		t.Errorf("stale data after %v ms, want 1800", d/Millisecond)
	}
	if m := f.raw; !strings.Contains(string(m), "\x00\x01\x00\x01\x00\x00\x00\x1e") {
		t.Errorf("the TTL of stale data is not 30: %x", m)
	}
	// one who comes while the servers are still being asked
	f.wait(Second)
	begin = f.now
	if roots, _ := f.e.InWork(); roots != 1 {
		t.Fatalf("%d questions at work, want 1", roots)
	}
	if a, _ = f.ask("www.example", dns.TypeA); !a.Stale || !f.has("198.51.100.7") || f.now != begin {
		t.Errorf("while others have stale data: %+v after %v ms", a, (f.now-begin)/Millisecond)
	}
	f.wait(30 * Second)
	if a, _ = f.ask("www.example", dns.TypeA); !a.Stale {
		t.Errorf("answer %+v", a)
	}
	f.servers["198.51.100.1"] = up
	f.wait(400 * Second)
	if a, _ = f.ask("www.example", dns.TypeA); a.Stale {
		t.Error("stale data although the server is back")
	}
	// too old
	f.servers["198.51.100.1"] = nil
	f.wait(86400*Second + 200*Second)
	if a, _ = f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeServFail {
		t.Errorf("data a day past their time: %+v", a)
	}
}

// A failure is remembered for some seconds (RFC 9520), but not over a change of
// the configuration, which may be the cure. REFUSED is the servers' word, not
// ours to the client (RFC 8914, section 4.23).
func TestFailureAndConfig(t *testing.T) {
	f := zone(t, func(q *asked) { q.start(uint16(dns.RCodeRefused)).send() })
	if a, _ := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeServFail || a.Code != dns.EDENoReachableAuthority {
		t.Errorf("all servers refuse: %+v", a)
	}
	f.servers["198.51.100.1"] = www
	if a, cost := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeServFail || cost != 0 {
		t.Errorf("the failure was forgotten: %+v, %d packets", a, cost)
	}
	f.e.SetConfig(f.now, f.e.cfg)
	if a, _ := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeSuccess {
		t.Errorf("the failure outlives the configuration: %+v", a)
	}
}

func TestPrefetch(t *testing.T) {
	f := zone(t, www, func(c *Config) { c.Prefetch = true })
	f.ask("www.example", dns.TypeA)
	f.wait(80 * Second)
	if _, cost := f.ask("www.example", dns.TypeA); cost != 0 {
		t.Errorf("asked with a fifth of the life left: %d packets", cost)
	}
	f.wait(12 * Second)
	if _, cost := f.ask("www.example", dns.TypeA); cost != 1 {
		t.Errorf("in the last tenth: %d packets, want one in the background", cost)
	}
	f.wait(50 * Second)
	if _, cost := f.ask("www.example", dns.TypeA); cost != 0 {
		t.Errorf("it was not renewed: %d packets", cost)
	}
}

// RFC 6891, section 7: FORMERR to EDNS, and the memory of it.
func TestEDNSFallback(t *testing.T) {
	formerr := 0
	f := zone(t, func(q *asked) {
		c, _ := wire.Parse(q.msg)
		c.SkipQuestions()
		if e, _ := wire.FindEDNS(&c); e.Present {
			formerr++
			q.start(uint16(dns.RCodeFormErr)).send()
			return
		}
		www(q)
	})
	f.ask("a.example", dns.TypeA)
	if _, cost := f.ask("b.example", dns.TypeA); cost != 1 || formerr != 1 {
		t.Errorf("%d packets, %d FORMERR: not remembered", cost, formerr)
	}
	f.wait(ednsRetry + Second)
	f.ask("c.example", dns.TypeA)
	if formerr != 2 {
		t.Error("EDNS is not tried again")
	}
}

// RFC 7873: the server's cookie comes back; an answer without ours is forged.
func TestCookies(t *testing.T) {
	seen := ""
	forge := false
	f := zone(t, func(q *asked) {
		c, _ := wire.Parse(q.msg)
		c.SkipQuestions()
		e, _ := wire.FindEDNS(&c)
		_, data, _, _ := wire.NextOption(e.Options)
		seen = string(data)
		q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 100, ip("198.51.100.7"))
		cookie := seen[:8] + "SERVERCK"
		if forge {
			cookie = "12345678SERVERCK"
		}
		q.b.OPT(1232, 0, false, wire.AppendOption(nil, dns.OptCookie, cookie))
		q.send()
	})
	f.ask("a.example", dns.TypeA)
	if len(seen) != 8 {
		t.Fatalf("first cookie %x", seen)
	}
	f.ask("b.example", dns.TypeA)
	if len(seen) != 16 || seen[8:] != "SERVERCK" {
		t.Errorf("second cookie %x", seen)
	}
	forge = true
	if a, _ := f.ask("c.example", dns.TypeA); a.RCode != dns.RCodeServFail {
		t.Error("an answer with a wrong cookie was believed")
	}
}

// RFC 8020: nothing is below a name that does not exist; RFC 2308, section 5:
// how long that is known.
func TestNXDomainCut(t *testing.T) {
	f := zone(t, func(q *asked) { q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa("example").send() })
	f.ask("gone.example", dns.TypeA)
	a, cost := f.ask("a.b.gone.example", dns.TypeTXT)
	if a.RCode != dns.RCodeNXDomain || cost != 0 {
		t.Errorf("rcode %d, %d packets", a.RCode, cost)
	}
	f.wait(61 * Second)
	if _, cost = f.ask("gone.example", dns.TypeA); cost != 1 {
		t.Errorf("past the SOA's minimum: %d packets", cost)
	}
}

// RFC 6672: the CNAME that follows from a DNAME, from the cache too.
func TestDNAME(t *testing.T) {
	f := zone(t, func(q *asked) {
		if dnsname.IsBelow(q.name, n("old.example")) {
			q.start(wire.BitAA).an("old.example", dns.TypeDNAME, 100, []byte(n("new.example"))).send()
			return
		}
		www(q)
	})
	if _, cost := f.ask("x.old.example", dns.TypeA); cost != 3 || !f.has("198.51.100.7") {
		t.Errorf("%d packets", cost)
	}
	if _, cost := f.ask("y.old.example", dns.TypeA); cost != 1 || !strings.Contains(string(f.raw), "\x01y\x03new") {
		t.Errorf("%d packets: %x", cost, f.raw)
	}
	long := strings.Repeat("a123456789012345678901234567890123456789.", 5) + "a1234567890123456789012345678901234567"
	f.servers["198.51.100.1"] = func(q *asked) {
		q.start(wire.BitAA).an("t.example", dns.TypeDNAME, 100, []byte(n("much-longer.example"))).send()
	}
	if a, _ := f.ask(long+".t.example", dns.TypeA); a.RCode != dns.RCodeYXDomain {
		t.Errorf("a name too long gave rcode %d", a.RCode)
	}
}

// Answers from root/forward, and only those, are asked for with RD.
func TestForward(t *testing.T) {
	rd := map[string]bool{}
	f := zone(t, www, func(c *Config) {
		c.Zones = append(c.Zones, Zone{Name: n("corp"), Forward: true, Servers: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.53:53")}})
	})
	f.servers["198.51.100.53"] = func(q *asked) {
		rd[q.name.Text()] = q.msg[2]&1 != 0
		q.start(wire.BitRA).an("www.corp", dns.TypeCNAME, 50, []byte(n("host.deep.corp"))).an("host.deep.corp", dns.TypeA, 50, ip("10.9.8.7")).send()
	}
	if _, cost := f.ask("www.corp", dns.TypeA); cost != 1 || !f.has("10.9.8.7") || !rd["www.corp"] {
		t.Errorf("%d packets, RD %v, %x", cost, rd, f.raw)
	}
	// the root's servers have no say about it
	f.servers[rootAddr] = func(q *asked) {
		q.start(0).ns("corp", "ns.evil", 9).a("ns.evil", evil, 9).send()
	}
	f.ask("another", dns.TypeA)
	if f.cached(evil) != "" {
		t.Error("the root delegates what is forwarded")
	}
}

func TestLocalNames(t *testing.T) {
	for _, c := range []struct {
		name  string
		typ   dns.Type
		rcode dns.RCode
		want  string
	}{
		{"localhost", dns.TypeA, 0, "\x7f\x00\x00\x01"},
		{"a.localhost", dns.TypeA, 0, "\x7f\x00\x00\x01"},
		{"localhost", dns.TypeAAAA, 0, "\x00\x00\x00\x01"},
		{"localhost", dns.TypeMX, 0, ""},
		{"1.0.0.127.in-addr.arpa", dns.TypePTR, 0, "\x09localhost"},
		{"1.2.3.4", dns.TypeA, 0, "\x01\x02\x03\x04"},
		{"5.0.168.192.in-addr.arpa", dns.TypePTR, dns.RCodeNXDomain, "\x06nobody"},
		{"168.192.in-addr.arpa", dns.TypeSOA, 0, "\x06nobody"},
		{"x.onion", dns.TypeA, dns.RCodeNXDomain, "\x06nobody"},
		{"y.invalid", dns.TypeA, dns.RCodeNXDomain, "\x06nobody"},
		{"66.100.in-addr.arpa", dns.TypeNS, 0, "\x06nobody"},
	} {
		f := newFake(t)
		a, cost := f.ask(c.name, c.typ)
		if a.RCode != c.rcode || cost != 0 || !strings.Contains(string(f.raw), c.want) {
			t.Errorf("%s %v: rcode %d, %d packets, %x", c.name, c.typ, a.RCode, cost, f.raw)
		}
	}
	// a servers/ entry, or LOCALZONES=0, switches them off
	f := newFake(t, func(c *Config) {
		c.Zones = append(c.Zones, Zone{Name: n("168.192.in-addr.arpa"), Servers: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:53")}})
	})
	f.servers["198.51.100.1"] = func(q *asked) {
		q.start(wire.BitAA).an(q.name.Text(), dns.TypePTR, 9, []byte(n("host.lan"))).send()
	}
	if _, cost := f.ask("5.0.168.192.in-addr.arpa", dns.TypePTR); cost != 1 {
		t.Errorf("%d packets for a name with a servers/ entry", cost)
	}
	f = newFake(t, func(c *Config) { c.LocalZones = false })
	f.servers[rootAddr] = func(q *asked) { q.start(wire.BitAA | 3).soa(".").send() }
	if _, cost := f.ask("x.onion", dns.TypeA); cost != 1 {
		t.Errorf("%d packets with LOCALZONES=0", cost)
	}
}

func TestTTLLimits(t *testing.T) {
	for _, c := range []struct {
		min, max, ttl uint32
		want          string
	}{{0, 0, 100, "\x00\x00\x00\x64"}, {0, 50, 100, "\x00\x00\x00\x32"}, {200, 0, 100, "\x00\x00\x00\xc8"},
		{0, 0, 99999999, "\x00\x09\x3a\x80"}, {0, 0, 1000000001, "\x00\x00\x00\x00"}, {0, 0, 1 << 31, "\x00\x00\x00\x00"}} {
		f := zone(t, func(q *asked) { q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, c.ttl, ip("198.51.100.7")).send() },
			func(cfg *Config) { cfg.MinTTL, cfg.MaxTTL = c.min, c.max })
		f.ask("www.example", dns.TypeA)
		if !strings.Contains(string(f.raw), "\xc0\x0c\x00\x01\x00\x01"+c.want) {
			t.Errorf("%+v: %x", c, f.raw)
		}
	}
}

func TestIgnoreIP(t *testing.T) {
	f := zone(t, www, func(c *Config) { c.IgnoreIP = []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")} })
	if a, _ := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeServFail {
		t.Errorf("rcode %d", a.RCode)
	}
}

// RFC 9156: servers above the zone see a label more than they need, not the
// name.
func TestMinimisation(t *testing.T) {
	f := zone(t, func(q *asked) {
		if q.name == n("a.b.c.example") {
			www(q)
			return
		}
		q.start(wire.BitAA).soa("example").send()
	}, func(c *Config) { c.QMin = true })
	if a, cost := f.ask("a.b.c.example", dns.TypeMX); a.RCode != 0 || cost != 4 {
		t.Errorf("rcode %d, %d packets: %v", a.RCode, cost, f.log)
	}
	for _, l := range f.log {
		if strings.HasSuffix(l, rootAddr) && strings.Contains(l, "a.b") {
			t.Errorf("the root saw %s", l)
		}
	}
	// a name of many labels takes no more steps than the RFC's limit
	_, cost := f.ask(strings.Repeat("x.", 60)+"example", dns.TypeA)
	if cost > maxMinimise+2 {
		t.Errorf("%d packets for 60 labels", cost)
	}
}

// A step that ended without a referral is not made again for another name
// below while its answer lives.
func TestMinimisationRemembers(t *testing.T) {
	f := zone(t, func(q *asked) {
		if q.name == n("a.co.example") || q.name == n("b.co.example") {
			www(q)
			return
		}
		q.start(wire.BitAA).soa("example").send()
	}, func(c *Config) { c.QMin = true })
	for i, want := range []struct {
		name string
		cost int
	}{
		{"a.co.example", 3}, // referral, co.example, a.co.example
		{"b.co.example", 1}, // without co.example
	} {
		if a, cost := f.ask(want.name, dns.TypeA); a.RCode != 0 || cost != want.cost {
			t.Errorf("%d: rcode %d, %d packets, want %d: %v", i, a.RCode, cost, want.cost, f.log)
		}
	}
}

// One who is lame is not asked again, the other is.
func TestLame(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) {
		q.start(0).ns("example", "ns1.example", 3600).ns("example", "ns2.example", 3600).
			a("ns1.example", "198.51.100.1", 3600).a("ns2.example", "198.51.100.2", 3600).send()
	}
	f.servers["198.51.100.1"] = func(q *asked) { q.start(0).ns(".", "a.root", 3600).send() }
	f.servers["198.51.100.2"] = www
	for _, name := range []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"} {
		if a, _ := f.ask(name, dns.TypeA); a.RCode != 0 {
			t.Fatal(a.RCode)
		}
	}
	if f.to["198.51.100.1"] > 1 {
		t.Errorf("the lame server was asked %d times", f.to["198.51.100.1"])
	}
}

// Slow servers lose to quick ones, but are tried now and then.
func TestServerSelection(t *testing.T) {
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) {
		q.start(0).ns("example", "ns1.example", 86400).ns("example", "ns2.example", 86400).
			a("ns1.example", "198.51.100.1", 86400).a("ns2.example", "198.51.100.2", 86400).send()
	}
	slow := func(d Time) func(q *asked) {
		return func(q *asked) {
			q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 1, ip("198.51.100.7"))
			q.deliver(q.b.Finish(), d)
		}
	}
	f.servers["198.51.100.1"], f.servers["198.51.100.2"] = slow(200*Millisecond), slow(10*Millisecond)
	for i := range 500 {
		f.ask(string(rune('a'+i%26))+string(rune('a'+i/26))+".example", dns.TypeA)
	}
	if s := f.to["198.51.100.1"]; s == 0 || s > 60 {
		t.Errorf("the slow server was asked %d times of 500", s)
	}
	f.servers["198.51.100.2"] = nil
	f.to["198.51.100.2"] = 0
	for i := range 200 {
		if a, _ := f.ask(string(rune('A'+i%26))+string(rune('0'+i/26))+"x.example", dns.TypeA); a.RCode != 0 {
			t.Fatal("a dead server spoils the zone")
		}
		f.wait(Second / 2)
	}
	t.Logf("the dead server got %d packets in 200 questions", f.to["198.51.100.2"])
	if f.to["198.51.100.2"] > 60 {
		t.Error("too many")
	}
}

// RFC 9609: the root's servers are asked for, used instead of the hints, and
// asked for again when their time is over.
func TestPriming(t *testing.T) {
	f := newFake(t)
	primes := 0
	root := func(q *asked) {
		if q.name == dnsname.Root && q.typ == dns.TypeNS {
			primes++
			q.start(wire.BitAA).an(".", dns.TypeNS, 1000, []byte(n("a.root"))).a("a.root", "192.0.2.2", 1000).send()
			return
		}
		q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa(".").send()
	}
	f.servers[rootAddr], f.servers["192.0.2.2"] = root, root
	f.e.Prime(f.now)
	f.wait(Second)
	f.ask("x", dns.TypeA)
	if f.to["192.0.2.2"] != 1 || primes != 1 {
		t.Errorf("%v, %d times primed", f.to, primes)
	}
	f.wait(1001 * Second)
	f.ask("y", dns.TypeA)
	f.wait(Second)
	f.ask("z", dns.TypeA)
	if f.to["192.0.2.2"] != 2 || primes != 2 {
		t.Errorf("after the time of the first: %v, %d times primed", f.to, primes)
	}
	// nobody answers: not more than one try a minute
	f.servers[rootAddr] = func(q *asked) { q.start(uint16(dns.RCodeRefused)).send() }
	f.servers["192.0.2.2"] = nil
	f.wait(1001 * Second)
	before := f.to[rootAddr]
	for range 20 {
		f.ask("w", dns.TypeA)
		f.wait(10 * Second)
	}
	t.Logf("%d packets to the hints in 200 s", f.to[rootAddr]-before)
}

// RFC 9471: a delegation without the glue it needs. The parent is asked for the
// address, and what it says serves for reaching the zone only.
func TestMissingGlue(t *testing.T) {
	for _, refers := range []bool{false, true} {
		f := newFake(t)
		f.servers[rootAddr] = func(q *asked) {
			switch {
			case q.name != n("ns.example"):
				q.start(0).ns("example", "ns.example", 3600).send()
			case refers:
				q.start(0).ns("example", "ns.example", 3600).a("ns.example", "198.51.100.1", 3600).send()
			default:
				q.start(0).an("ns.example", dns.TypeA, 3600, ip("198.51.100.1")).ns("example", "ns.example", 3600).send()
			}
		}
		f.servers["198.51.100.1"] = func(q *asked) {
			if q.name == n("ns.example") {
				q.start(wire.BitAA).an("ns.example", dns.TypeA, 100, ip("198.51.100.9")).send()
				return
			}
			www(q)
		}
		if a, cost := f.ask("www.example", dns.TypeA); a.RCode != 0 || !f.has("198.51.100.7") || cost > 3 {
			t.Errorf("refers %v: %+v for %d packets: %v", refers, a, cost, f.log)
		}
		if f.ask("ns.example", dns.TypeA); !f.has("198.51.100.9") {
			t.Errorf("refers %v: the parent's word was an answer", refers)
		}
	}
	// no parent knows: an end, and soon
	f := newFake(t)
	f.servers[rootAddr] = func(q *asked) { q.start(0).ns("example", "ns.example", 3600).send() }
	if a, cost := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeServFail || cost > 3 {
		t.Errorf("%+v for %d packets: %v", a, cost, f.log)
	}
}

// RFC 2181, section 9: TC by TCP too is no answer.
func TestTruncatedByTCP(t *testing.T) {
	f := zone(t, func(q *asked) {
		q.start(wire.BitAA|wire.BitTC).an(q.name.Text(), dns.TypeA, 100, ip("198.51.100.7")).send()
	})
	if a, _ := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeServFail || f.tcp == 0 {
		t.Errorf("answer %+v, %d connections", a, f.tcp)
	}
}

// The DS of a zone with servers of its own in root/servers is still its
// parent's to give; other data at that name are not.
func TestDSAtConfiguredCut(t *testing.T) {
	ds := append([]byte{0, 1, 13, 2}, make([]byte, 32)...)
	sub := Zone{Name: n("sub.example"), Servers: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.2:53")}}
	f := zone(t, func(q *asked) {
		q.start(wire.BitAA).an("sub.example", dns.TypeDS, 100, ds).an("sub.example", dns.TypeA, 100, ip("198.51.100.66")).send()
	}, func(c *Config) { c.Zones = append(c.Zones, sub) })
	f.servers["198.51.100.2"] = www
	if a, _ := f.ask("sub.example", dns.TypeDS); a.RCode != 0 || !bytes.Contains(f.raw, ds) || bytes.Contains(f.raw, ip("198.51.100.66")) {
		t.Errorf("DS: %+v: %v", a, f.log)
	}
	if f.ask("sub.example", dns.TypeA); !f.has("198.51.100.7") {
		t.Error("the parent's A record was an answer")
	}
}

// One of the engines that share a cache asks for the root's servers, and again
// when what it learnt is past its time.
func TestPrimingOnce(t *testing.T) {
	var turn Turn
	share := func(c *Config) { c.Priming = &turn }
	f, g := newFake(t, share), newFake(t, share)
	for _, v := range []*fake{f, g} {
		v.e.Prime(v.now)
		v.wait(30 * Second)
	}
	if f.sends == 0 || g.sends != 0 {
		t.Fatalf("%d and %d packets, want some and 0", f.sends, g.sends)
	}
	g.wait(60 * Second)
	if g.ask("www.example", dns.TypeA); !strings.Contains(strings.Join(g.log, "\n"), ". NS") {
		t.Errorf("the other engine does not ask later: %v", g.log)
	}
}

// An answer that comes after the last packet's time, when there is nobody else
// to ask, is still good; for a server known to be dead nobody waits so long.
func TestLateAnswer(t *testing.T) {
	for _, d := range []Time{3 * Second, 6 * Second} {
		f := zone(t, func(q *asked) {
			q.start(wire.BitAA).an(q.name.Text(), dns.TypeA, 100, ip("198.51.100.7"))
			q.deliver(q.b.Finish(), d)
		})
		begin := f.now
		a, _ := f.ask("www.example", dns.TypeA)
		if good := a.RCode == dns.RCodeSuccess; good != (d == 3*Second) {
			t.Errorf("a server that takes %d s: %v", d/Second, a.RCode)
		}
		if got := f.now - begin; got >= 5*Second {
			t.Errorf("a client waited %d ms", got/Millisecond)
		}
		if f.to["198.51.100.1"] != maxTries {
			t.Errorf("%d packets", f.to["198.51.100.1"])
		}
	}
	f := zone(t, func(q *asked) {})
	f.ask("www.example", dns.TypeA)
	f.wait(6 * Second)
	begin := f.now
	f.ask("www.example", dns.TypeA)
	if got := f.now - begin; got > maxTimeout+2*Millisecond {
		t.Errorf("a client waited %d ms for a dead server", got/Millisecond)
	}
}

// A question that wants to know what the servers say now does not look into the
// cache, and takes nothing out of it when they are silent.
func TestFresh(t *testing.T) {
	f := zone(t, www)
	f.ask("www.example", dns.TypeA)
	before := f.sends
	fresh := func() *Answer {
		f.ticket++
		f.e.Ask(f.now, &Question{Name: []byte(n("www.example")), Type: dns.TypeA, Ticket: f.ticket, Fresh: true})
		f.wait(20 * Second)
		return f.answers[f.ticket]
	}
	if a := fresh(); a.RCode != dns.RCodeSuccess || f.sends != before+1 {
		t.Fatalf("answer %+v, %d packets", a, f.sends-before)
	}
	f.servers["198.51.100.1"] = nil
	if a := fresh(); a.RCode != dns.RCodeServFail {
		t.Fatalf("answer %+v", a)
	}
	if a, sent := f.ask("www.example", dns.TypeA); a.RCode != dns.RCodeSuccess || sent != 0 {
		t.Errorf("answer %+v, %d packets", a, sent)
	}
}

// TestBothFamilies: of more addresses than are tried neither family fills all
// places, in whatever order a referral has them.
func TestBothFamilies(t *testing.T) {
	for _, c := range []struct{ four, six, want4, want6 int }{
		{20, 20, 8, 8}, {3, 20, 3, 13}, {20, 3, 13, 3}, {4, 4, 4, 4}, {0, 20, 0, 16}, {20, 0, 16, 0},
	} {
		for _, sixFirst := range []bool{true, false} {
			f := newFake(t, func(cfg *Config) { cfg.IPv4, cfg.IPv6 = true, true })
			tk := f.e.newTask(f.e.newRoot(1, []byte("\x01a\x00"), dns.TypeA, false), nil, modeClient, []byte("\x01a\x00"), dns.TypeA)
			names := AppendPacked(nil, []byte("\x02ns\x01a\x00"))
			var four, six []byte
			for i := range c.four {
				four = append(four, 0, 4, 192, 88, 100, byte(i+1))
			}
			for i := range c.six {
				six = append(append(six, 0, 16), netip.MustParseAddr("2001:500::").AsSlice()...)
				six[len(six)-1] = byte(i + 1)
			}
			glue := append(append([]byte(nil), four...), six...)
			if sixFirst {
				glue = append(append([]byte(nil), six...), four...)
			}
			tk.delegation(names, glue, false)
			got4, got6 := 0, 0
			for _, a := range tk.addrs {
				if a.Addr().Is4() {
					got4++
				} else {
					got6++
				}
			}
			if got4 != c.want4 || got6 != c.want6 {
				t.Errorf("of %d and %d, IPv6 first %v: %d and %d, want %d and %d", c.four, c.six, sixFirst, got4, got6, c.want4, c.want6)
			}
		}
	}
}
