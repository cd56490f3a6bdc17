package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dns64"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/resolver"
	"bulkhead/internal/rpz"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/validator"
	"bulkhead/internal/wire"
)

const now = 1800000000

// noted is what was said of explained questions.
var noted []string

func network(t *testing.T, pol *Config, change ...func(*resolver.Config)) *signedtree.Network {
	tree := signedtree.New(now)
	o := signedtree.Options{Algorithm: dnssec.ECDSAP256SHA256}
	tree.Add("bogus.", signedtree.Options{Algorithm: o.Algorithm, Inception: now - 20, Expiration: now - 10}, "www A 192.0.2.5", "v4 A 192.0.2.9")
	tree.Add("plain.", signedtree.Options{}, "www A 192.0.2.5", "two A 192.0.2.6", "two AAAA 2001:db8::6", "mapped AAAA ::ffff:192.0.2.6",
		"mapped A 192.0.2.6", "mix AAAA ::ffff:1.2.3.4", "mix AAAA 2001:db8::7", "cn CNAME two", "bad CNAME walled.example.")
	tree.Add("example.", o, "www A 192.0.2.1", "walled A 192.0.2.2", "x.example.garden A 192.0.2.3", "nothing TXT \"t\"", "cn CNAME www")
	tree.Add("0.192.in-addr.arpa.", signedtree.Options{}, "6.2 PTR two.plain.")
	root := tree.Add(".", o, "example NS x", "plain NS x", "bogus NS x", "0.192.in-addr.arpa NS x")
	n := &signedtree.Network{Tree: tree, Now: now * resolver.Second}
	cfg := &resolver.Config{IPv4: true, Validator: validator.New(validator.Config{Anchors: []dnssec.Anchor{root.Anchor()}}),
		Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.AddrPortFrom(root.Addr, 53)}}}}
	for _, f := range change {
		f(cfg)
	}
	n.E = New(cfg, pol, resolver.NewMapCache(), n, n, nil, n, func(what string, zone dnsname.Name, why string) {
		if zone != "" {
			what += " " + zone.Text()
		}
		noted = append(noted, what+": "+why)
	})
	return n
}

func text(a *resolver.Answer) string {
	if a == nil {
		return "no answer"
	}
	if a.Drop {
		return "drop"
	}
	if a.Truncate {
		return "tc"
	}
	out := a.RCode.String()
	if a.AD {
		out += " AD"
	}
	for _, s := range a.RRs {
		if s.Section != wire.Answer {
			continue
		}
		for d, rest, ok := s.Records.Next(); ok; d, rest, ok = rest.Next() {
			out += fmt.Sprintf("; %s %s %s", dnsname.Name(s.Owner), s.Type, rdata.AppendText(nil, s.Type, d))
		}
	}
	return out
}

func zone(t *testing.T, name string, lines ...string) *rpz.Zone {
	z, err := rpz.Parse([]byte(strings.Join(lines, "\n")+"\n"), name, signedtree.Name(name))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func expect(t *testing.T, n *signedtree.Network, q, want string, change func(*resolver.Question)) {
	t.Helper()
	f := strings.Fields(q)
	ty, _ := dns.ParseType(f[1])
	if got := text(n.Ask(f[0], ty, change)); got != want {
		t.Errorf("%s: %s\nwant %s", q, got, want)
	}
}

func TestZones(t *testing.T) {
	n := network(t, &Config{Zones: []*rpz.Zone{
		zone(t, "first.", "32.6.2.0.192.rpz-ip CNAME rpz-passthru.", "32.9.0.0.10.rpz-client-ip CNAME rpz-passthru.",
			"32.8.0.0.10.rpz-client-ip CNAME rpz-drop."),
		zone(t, "second.", "www.example CNAME .", "*.example CNAME *.", "walled.example CNAME www.plain.", "x.example CNAME *.garden.example.",
			"two.plain CNAME .", "tcp.plain CNAME rpz-tcp-only.", "local.plain A 10.0.0.1", "local.plain TXT \"here\"",
			"32.5.2.0.192.rpz-ip CNAME *.", "bogus.tld A 10.0.0.2"),
		zone(t, "third.", "www.example A 10.0.0.3", "local.plain A 10.0.0.4"),
	}})
	for range 2 {
		expect(t, n, "www.example. A", "NXDOMAIN", nil)
		expect(t, n, "nothing.example. TXT", "NOERROR", nil)
		// the first zone's address rule comes before the second's name rule
		expect(t, n, "two.plain. A", "NOERROR; two.plain. A 192.0.2.6", nil)
		expect(t, n, "two.plain. AAAA", "NXDOMAIN", nil)
		expect(t, n, "local.plain. A", "NOERROR; local.plain. A 10.0.0.1", nil)
		expect(t, n, "local.plain. TXT", "NOERROR; local.plain. TXT \"here\"", nil)
		expect(t, n, "local.plain. AAAA", "NOERROR", nil)
		expect(t, n, "www.plain. A", "NOERROR", nil)
		// an alias to a name with a rule, and where the rule's alias leads
		expect(t, n, "bad.plain. A", "NOERROR; bad.plain. CNAME walled.example.; walled.example. CNAME www.plain.; www.plain. A 192.0.2.5", nil)
		expect(t, n, "tcp.plain. A", "tc", nil)
		expect(t, n, "tcp.plain. A", "NXDOMAIN", func(q *resolver.Question) { q.TCP = true })
		expect(t, n, "x.example. A", "NOERROR; x.example. CNAME x.example.garden.example.; x.example.garden.example. A 192.0.2.3", nil)
		expect(t, n, "www.example. A", "NOERROR AD; www.example. A 192.0.2.1", func(q *resolver.Question) { q.Client = netip.MustParseAddr("10.0.0.9") })
		expect(t, n, "www.plain. A", "drop", func(q *resolver.Question) { q.Client = netip.MustParseAddr("10.0.0.8") })
		// what is bogus has no addresses to judge
		expect(t, n, "www.bogus. A", "SERVFAIL", nil)
	}
	n = network(t, &Config{Zones: []*rpz.Zone{zone(t, "ns.", "ns.plain.rpz-nsdname CNAME .")}})
	expect(t, n, "two.plain. A", "NXDOMAIN", nil)
	expect(t, n, "www.example. A", "NOERROR AD; www.example. A 192.0.2.1", nil)
	tree := n.Tree
	a := tree.Zones[signedtree.Name("plain.")].Addr.As4()
	n = network(t, &Config{Zones: []*rpz.Zone{zone(t, "ns.", fmt.Sprintf("32.%d.%d.%d.%d.rpz-nsip CNAME *.", a[3], a[2], a[1], a[0]))}})
	expect(t, n, "two.plain. A", "NOERROR", nil)
	expect(t, n, "www.example. A", "NOERROR AD; www.example. A 192.0.2.1", nil)
}

func TestDNS64(t *testing.T) {
	n := network(t, &Config{DNS64: []dns64.Prefix{dns64.WellKnown}})
	for range 2 {
		expect(t, n, "www.plain. AAAA", "NOERROR; www.plain. AAAA 64:ff9b::c000:205", nil)
		expect(t, n, "two.plain. AAAA", "NOERROR; two.plain. AAAA 2001:db8::6", nil)
		expect(t, n, "cn.example. AAAA", "NOERROR; cn.example. CNAME www.example.; www.example. AAAA 64:ff9b::c000:201", nil)
		expect(t, n, "www.example. AAAA", "NOERROR; www.example. AAAA 64:ff9b::c000:201", nil)
		expect(t, n, "www.example. AAAA", "NOERROR", func(q *resolver.Question) { q.CD = true })
		expect(t, n, "nothing.example. AAAA", "NOERROR AD", nil) // nothing is made
		expect(t, n, "nx.example. AAAA", "NXDOMAIN AD", nil)
		expect(t, n, "mapped.plain. AAAA", "NOERROR; mapped.plain. AAAA 64:ff9b::c000:206", nil)
		expect(t, n, "mix.plain. AAAA", "NOERROR; mix.plain. AAAA 2001:db8::7", nil)
		expect(t, n, "v4.bogus. AAAA", "SERVFAIL", nil)
		expect(t, n, "www.example. A", "NOERROR AD; www.example. A 192.0.2.1", nil)
		expect(t, n, "6.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa. PTR",
			"NOERROR; 6.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa. CNAME 6.2.0.192.in-addr.arpa.; 6.2.0.192.in-addr.arpa. PTR two.plain.", nil)
	}
}

// TestIPv4Only: nobody is asked for the names by which clients find the prefix
// (RFC 8880), though the root here delegates in-addr.arpa; without DNS64 they
// are names as any other.
// TestDNS64AndPolicy: addresses that policy forbids are not made into others,
// and what policy puts into an answer, or lets through, has its AAAA as well.
func TestDNS64AndPolicy(t *testing.T) {
	prefixes := []dns64.Prefix{dns64.WellKnown}
	blocked := network(t, &Config{DNS64: prefixes, Zones: []*rpz.Zone{zone(t, "p.", "32.1.2.0.192.rpz-ip CNAME .",
		"32.5.2.0.192.rpz-ip A 192.0.2.200", "32.2.2.0.192.rpz-ip CNAME rpz-tcp-only.", "local.plain A 192.0.2.77")}})
	through := network(t, &Config{DNS64: prefixes, Zones: []*rpz.Zone{zone(t, "p.", "cn.example CNAME rpz-passthru.", "www.example CNAME .",
		"walled.example CNAME www.plain.", "x.example CNAME *.garden.example.")}})
	for range 2 {
		expect(t, blocked, "www.example. A", "NXDOMAIN", nil)
		expect(t, blocked, "www.example. AAAA", "NXDOMAIN", nil)
		expect(t, blocked, "cn.example. AAAA", "NXDOMAIN; cn.example. CNAME www.example.", nil)
		expect(t, blocked, "www.plain. AAAA", "NOERROR; www.plain. AAAA 64:ff9b::c000:2c8", nil)
		expect(t, blocked, "local.plain. AAAA", "NOERROR; local.plain. AAAA 64:ff9b::c000:24d", nil)
		expect(t, blocked, "local.plain. AAAA", "NOERROR", func(q *resolver.Question) { q.CD, q.DO = true, true })
		expect(t, blocked, "walled.example. AAAA", "tc", nil)
		expect(t, blocked, "walled.example. AAAA", "NOERROR; walled.example. AAAA 64:ff9b::c000:202", func(q *resolver.Question) { q.TCP = true })
		expect(t, blocked, "two.plain. AAAA", "NOERROR; two.plain. AAAA 2001:db8::6", nil)
		expect(t, through, "www.example. AAAA", "NXDOMAIN", nil)
		expect(t, through, "cn.example. AAAA", "NOERROR; cn.example. CNAME www.example.; www.example. AAAA 64:ff9b::c000:201", nil)
		expect(t, through, "walled.example. AAAA", "NOERROR; walled.example. CNAME www.plain.; www.plain. AAAA 64:ff9b::c000:205", nil)
		expect(t, through, "x.example. AAAA", "NOERROR; x.example. CNAME x.example.garden.example.; x.example.garden.example. AAAA 64:ff9b::c000:203", nil)
	}
}

func TestIPv4Only(t *testing.T) {
	local := func(c *resolver.Config) { c.LocalZones = true }
	n := network(t, &Config{DNS64: []dns64.Prefix{dns64.WellKnown}}, local)
	expect(t, n, "ipv4only.arpa. A", "NOERROR; ipv4only.arpa. A 192.0.0.170; ipv4only.arpa. A 192.0.0.171", nil)
	expect(t, n, "IPv4only.ARPA. AAAA", "NOERROR; ipv4only.arpa. AAAA 64:ff9b::c000:aa; ipv4only.arpa. AAAA 64:ff9b::c000:ab", nil)
	expect(t, n, "ipv4only.arpa. MX", "NOERROR", nil)
	expect(t, n, "www.ipv4only.arpa. AAAA", "NXDOMAIN", nil)
	expect(t, n, "170.0.0.192.in-addr.arpa. PTR", "NOERROR; 170.0.0.192.in-addr.arpa. PTR ipv4only.arpa.", nil)
	expect(t, n, "b.a.0.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa. PTR",
		"NOERROR; b.a.0.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa. CNAME 171.0.0.192.in-addr.arpa.; 171.0.0.192.in-addr.arpa. PTR ipv4only.arpa.", nil)
	if n.Sent != 0 {
		t.Errorf("%d questions were asked", n.Sent)
	}
	expect(t, network(t, &Config{}, local), "ipv4only.arpa. A", "NXDOMAIN AD", nil)
}

// TestNote: an explanation names the rule that decided; other questions pay
// nothing for it.
func TestNote(t *testing.T) {
	n := network(t, &Config{DNS64: []dns64.Prefix{dns64.WellKnown}, Zones: []*rpz.Zone{
		zone(t, "first.", "www.example CNAME .", "walled.example CNAME rpz-passthru.", "32.5.2.0.192.rpz-ip CNAME *.")}})
	noted = nil
	for _, c := range [][2]string{
		{"www.example. A", "policy first: qname rule www.example: nxdomain"},
		{"walled.example. A", "policy first: qname rule walled.example: passthru"},
		{"www.plain. A", "policy first: ip rule 32.5.2.0.192: nodata"},
		{"mapped.plain. AAAA", "dns64: there is no AAAA: made from A (RFC 6147)"},
		{"two.plain. A", ""},
	} {
		f := strings.Fields(c[0])
		ty, _ := dns.ParseType(f[1])
		n.Ask(f[0], ty, nil)
		if len(noted) != 0 {
			t.Errorf("%s: noted unasked: %q", c[0], noted)
		}
		n.Ask(f[0], ty, func(q *resolver.Question) { q.Trace = true })
		if got := strings.Join(noted, "; "); got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
		noted = nil
	}
}

// TestTCPOnlyOverTCP: over TCP such a rule is none, for empty answers too: they
// are not asked for again, the engine is not entered from within itself.
func TestTCPOnlyOverTCP(t *testing.T) {
	n := network(t, &Config{DNS64: []dns64.Prefix{dns64.WellKnown}, Zones: []*rpz.Zone{zone(t, "p.", "localhost CNAME rpz-tcp-only.",
		"*.plain CNAME rpz-tcp-only.", "*.example CNAME rpz-tcp-only.")}}, func(c *resolver.Config) { c.LocalZones = true })
	tcp := func(q *resolver.Question) { q.TCP = true }
	for range 2 {
		for _, q := range []string{"localhost. MX", "www.plain. MX", "nothing.example. MX", "www.plain. A"} {
			expect(t, n, q, "tc", nil)
		}
		expect(t, n, "localhost. MX", "NOERROR", tcp)
		expect(t, n, "www.plain. MX", "NOERROR", tcp)
		expect(t, n, "nothing.example. MX", "NOERROR AD", tcp)
		expect(t, n, "www.plain. A", "NOERROR; www.plain. A 192.0.2.5", tcp)
		expect(t, n, "www.plain. AAAA", "NOERROR; www.plain. AAAA 64:ff9b::c000:205", tcp)
		expect(t, n, "cn.example. AAAA", "NOERROR; cn.example. CNAME www.example.; www.example. AAAA 64:ff9b::c000:201", tcp)
	}
}

// TestPolicyGoes: the last rule goes while the second question of an answer is
// out: the answer is whole all the same, and nothing is left behind.
func TestPolicyGoes(t *testing.T) {
	n := network(t, &Config{Zones: []*rpz.Zone{zone(t, "p.", "www.example CNAME www.plain.")}})
	l := n.E.(*Layer)
	n.Forge = func(z *signedtree.Zone, _ netip.Addr, name dnsname.Name, typ dns.Type, msg []byte) []byte {
		if name == signedtree.Name("www.plain.") {
			l.SetPolicy(nil)
		}
		return msg
	}
	expect(t, n, "www.example. A", "NOERROR; www.example. CNAME www.plain.; www.plain. A 192.0.2.5", nil)
	if len(l.pending) != 0 {
		t.Errorf("%d questions are left", len(l.pending))
	}
}
