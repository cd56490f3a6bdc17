package validator

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
)

func newNetwork(tree *signedtree.Tree, anchors ...*signedtree.Zone) *signedtree.Network {
	var cfg Config
	for _, z := range anchors {
		cfg.Anchors = append(cfg.Anchors, z.Anchor())
	}
	n := &signedtree.Network{Tree: tree, Now: testNow * resolver.Second}
	root := tree.Zones[dnsname.Root]
	n.E = resolver.New(&resolver.Config{IPv4: true, Validator: New(cfg),
		Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.AddrPortFrom(root.Addr, 53), netip.AddrPortFrom(root.Second(), 53)}}}},
		resolver.NewMapCache(), n, n, nil, n)
	return n
}

func checking(q *resolver.Question) { q.CD = true }

// The whole resolver over a tree: verdicts, from the network and again from the
// cache, AD, and the chain of aliases.
func TestResolver(t *testing.T) {
	for how, n3 := range denials {
		t.Run(how, func(t *testing.T) {
			tree, root := build(p256, n3)
			n := newNetwork(tree, root)
			opt := n3 != nil && n3.OptOut
			for range 2 {
				for _, c := range []struct {
					name string
					t    dns.Type
					rc   dns.RCode
					ad   bool
				}{
					{"www.example.", dns.TypeA, 0, true}, {"example.", dns.TypeDNSKEY, 0, true}, {"signed.example.", dns.TypeDS, 0, true},
					{"nothing.example.", dns.TypeA, dns.RCodeNXDomain, !opt}, {"www.example.", dns.TypeMX, 0, true},
					{"a.star.example.", dns.TypeA, 0, !opt}, {"a.star.example.", dns.TypeMX, 0, !opt}, {"t.example.", dns.TypeA, 0, true},
					{"cn.example.", dns.TypeA, 0, true}, {"cnx.example.", dns.TypeA, dns.RCodeNXDomain, !opt},
					{"cnw.example.", dns.TypeA, 0, !opt}, {"www.dn.example.", dns.TypeA, 0, true},
					{"alias.signed.example.", dns.TypeA, 0, false}, {"alias.plain.example.", dns.TypeA, 0, false},
					{"alias.dn.example.", dns.TypeA, 0, false},
					{"ent.signed.example.", dns.TypeANY, 0, true}, {"mx.example.", dns.TypeANY, 0, true}, {"www.past.example.", dns.TypeANY, dns.RCodeServFail, false},
					{"www.plain.example.", dns.TypeA, 0, false}, {"www.plain.example.", dns.TypeMX, 0, false},
					{"www.past.example.", dns.TypeA, dns.RCodeServFail, false}, {"www.future.example.", dns.TypeA, dns.RCodeServFail, false},
					{"www.wrong.example.", dns.TypeA, dns.RCodeServFail, false}, {"www.unknown.example.", dns.TypeA, 0, false},
					{"www.other.example.", dns.TypeA, 0, false}, {"www.island.plain.example.", dns.TypeA, 0, false},
				} {
					a := n.Ask(c.name, c.t, nil)
					if a.RCode != c.rc || a.AD != c.ad {
						t.Errorf("%s %v: %v AD %v, want %v %v; code %d %s", c.name, c.t, a.RCode, a.AD, c.rc, c.ad, a.Code, a.Text)
					}
					if c.rc == dns.RCodeServFail && (!a.EDE || a.Code == 0) {
						t.Errorf("%s %v: SERVFAIL without a reason", c.name, c.t)
					}
				}
			}
			// CD: the data, whatever they are
			if a := n.Ask("www.past.example.", dns.TypeA, checking); a.RCode != 0 || a.AD || len(a.RRs) == 0 {
				t.Errorf("CD: %v AD %v %d RRsets", a.RCode, a.AD, len(a.RRs))
			}
			// and after that still not without CD
			if a := n.Ask("www.past.example.", dns.TypeA, nil); a.RCode != dns.RCodeServFail {
				t.Errorf("after CD: %v", a.RCode)
			}
		})
	}
}

// One validated cold question costs as many packets as it must: keys and DS are
// asked for once.
func TestPackets(t *testing.T) {
	tree := signedtree.New(testNow)
	o := signedtree.Options{Algorithm: p256}
	var tlds []string
	for _, z := range []string{"a.t.", "b.t.", "c.t."} {
		tree.Add(z, o, "www A 192.0.2.1", "mail A 192.0.2.2")
		tlds = append(tlds, z[:1]+" NS x")
	}
	tree.Add("t.", o, tlds...)
	n := newNetwork(tree, tree.Add(".", o, "t NS x"))
	for i, c := range []struct {
		name string
		max  int
	}{
		// root keys; referral to t. with DS, its keys; referral to a., its keys; the answer
		{"www.a.t.", 6}, {"mail.a.t.", 1}, {"www.b.t.", 3}, {"mail.b.t.", 1}, {"www.c.t.", 3},
	} {
		n.Sent = 0
		if a := n.Ask(c.name, dns.TypeA, nil); !a.AD {
			t.Errorf("%s: no AD: %s", c.name, a.Text)
		}
		if n.Sent > c.max {
			t.Errorf("question %d, %s: %d packets, want at most %d", i, c.name, n.Sent, c.max)
		}
	}
}

// A cold question costs no more verifications than its links have: the time of
// one is most of what a question costs. Counted by the budget that is left.
func TestVerifications(t *testing.T) {
	tree := signedtree.New(testNow)
	o := signedtree.Options{Algorithm: p256}
	tree.Add("a.t.", o, "www A 192.0.2.1", "mail A 192.0.2.2", "cn CNAME www")
	tree.Add("b.t.", o, "www A 192.0.2.1")
	tree.Add("plain.t.", signedtree.Options{}, "www A 192.0.2.1")
	tree.Add("t.", o, "a NS x", "b NS x", "plain NS x")
	w := newWorld(tree, tree.Add(".", o, "t NS x"))
	for _, c := range []struct {
		name string
		want int
	}{
		// keys of the root; DS and keys of t., of a.t.; the answer
		{"www.a.t.", 6}, {"mail.a.t.", 1}, {"www.b.t.", 3}, {"cn.a.t.", 1},
		// the proof that there is no DS; nothing below it
		{"www.plain.t.", 1}, {"www.plain.t.", 0},
		// SOA and the one record that denies the name and its wildcard, or two
		{"nothing.a.t.", 3},
	} {
		if _, got, _, _ := spent(w, c.name, dns.TypeA); got > c.want {
			t.Errorf("%s: %d verifications, want %d", c.name, got, c.want)
		}
	}
}

// One of two servers lies, once about the answer, once about keys, once about
// DS: the other one's data are had (unbound's scenarios black_*).
func TestOtherServer(t *testing.T) {
	for _, lie := range []dns.Type{dns.TypeA, dns.TypeDNSKEY, dns.TypeDS} {
		tree := signedtree.New(testNow)
		o := signedtree.Options{Algorithm: p256}
		tree.Add("x.", o, "www A 192.0.2.1")
		n := newNetwork(tree, tree.Add(".", o, "x NS x"))
		lies := 0
		liar := map[*signedtree.Zone]netip.Addr{}
		n.Forge = func(z *signedtree.Zone, to netip.Addr, name dnsname.Name, ty dns.Type, msg []byte) []byte {
			for i := range len(msg) - 40 {
				// break every signature over the type
				if msg[i] == 0 && msg[i+1] == 46 && msg[i+10] == 0 && msg[i+11] == byte(lie) && msg[i+12] == 13 {
					if _, ok := liar[z]; !ok {
						liar[z] = to
					}
					if liar[z] == to {
						msg[i+36] ^= 1
						lies++
					}
				}
			}
			return msg
		}
		for range 3 {
			if a := n.Ask("www.x.", dns.TypeA, nil); a == nil || !a.AD {
				t.Errorf("%v, %d lies: %+v", lie, lies, a)
			}
			n.Now += 400 * resolver.Second
		}
		if lies == 0 {
			t.Errorf("%v: nobody lied", lie)
		}
	}
}

// TestNegativeAnchorGone: what was taken unchecked below a negative trust anchor
// is checked as soon as that ends or is taken away, not when its TTL is over.
func TestNegativeAnchorGone(t *testing.T) {
	tree, root := build(p256, nil)
	n := newNetwork(tree, root)
	e := n.E.(*resolver.Engine)
	cfg := Config{Anchors: []dnssec.Anchor{root.Anchor()}}
	servers := []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.AddrPortFrom(root.Addr, 53)}}}
	use := func(ntas ...dnssec.NTA) {
		cfg.NTAs = ntas
		e.SetConfig(n.Now, &resolver.Config{IPv4: true, Validator: New(cfg), Zones: servers})
	}
	expect := func(when, name string, rc dns.RCode, ad bool) {
		t.Helper()
		if a := n.Ask(name, dns.TypeA, nil); a.RCode != rc || a.AD != ad {
			t.Errorf("%s: %s %v AD %v, want %v %v", when, name, a.RCode, a.AD, rc, ad)
		}
	}
	use(dnssec.NTA{Name: signedtree.Name("past.example."), Expires: testNow + 5}, dnssec.NTA{Name: signedtree.Name("future.example.")},
		dnssec.NTA{Name: signedtree.Name("signed.example.")})
	for _, after := range []resolver.Time{0, 4} {
		n.Now = (testNow + after) * resolver.Second
		expect("below negative anchors", "www.past.example.", 0, false)
		expect("below negative anchors", "www.future.example.", 0, false)
		expect("below negative anchors", "ent.signed.example.", 0, false)
	}
	sent := n.Sent
	n.Now = (testNow + 5) * resolver.Second
	expect("it has ended", "www.past.example.", dns.RCodeServFail, false)
	expect("this one has not", "www.future.example.", 0, false)
	if n.Sent == sent {
		t.Error("a bogus answer of the cache was not asked for again")
	}
	use()
	n.Now += resolver.Second
	expect("all are taken away", "www.future.example.", dns.RCodeServFail, false)
	expect("all are taken away", "ent.signed.example.", 0, true)
}

// TestAbsenceBehindAlias: what is proven not to be at the end of an alias is as
// well known as if it had been asked for directly, though the alias, which the
// same message brings, is insecure.
func TestAbsenceBehindAlias(t *testing.T) {
	tree := signedtree.New(testNow)
	oo := tree.Add("oo.", signedtree.Options{Algorithm: p256, NSEC3: &dnssec.NSEC3Params{OptOut: true}}, "*.wc CNAME www", "www A 192.0.2.1")
	root := tree.Add(".", signedtree.Options{Algorithm: p256}, "oo NS x")
	n := newNetwork(tree, root)
	n.Forge = func(z *signedtree.Zone, _ netip.Addr, name dnsname.Name, typ dns.Type, msg []byte) []byte {
		if name != signedtree.Name("z.wc.oo.") || typ != dns.TypeMX {
			return msg
		}
		a := oo.Ask(name, typ)
		a.Authority = append(a.Authority, oo.Ask(signedtree.Name("www.oo."), typ).Authority...)
		return a.Wire(binary.BigEndian.Uint16(msg), name, typ)
	}
	for _, c := range []struct {
		name string
		ad   bool
		sent int
	}{{"z.wc.oo.", false, 5}, {"www.oo.", true, 5}, {"z.wc.oo.", false, 5}} {
		if a := n.Ask(c.name, dns.TypeMX, nil); a.RCode != 0 || a.AD != c.ad || n.Sent != c.sent {
			t.Errorf("%s MX: %v AD %v after %d packets, want %v after %d; %s", c.name, a.RCode, a.AD, n.Sent, c.ad, c.sent, a.Text)
		}
	}
}
