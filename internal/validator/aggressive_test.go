package validator

import (
	"fmt"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
)

// A flood of random names below a signed zone costs no packet once the gap is
// known (RFC 8198), and what exists is still found.
func TestAggressive(t *testing.T) {
	for how, n3 := range denials {
		tree := signedtree.New(testNow)
		o := signedtree.Options{Algorithm: p256, NSEC3: n3}
		tree.Add("sub.x.", signedtree.Options{}, "www A 192.0.2.1")
		tree.Add("x.", o, "www A 192.0.2.1", "a.ent A 192.0.2.2", "*.wild A 192.0.2.3", "b.wild A 192.0.2.4", "sub NS x", "cn CNAME nothing")
		n := newNetwork(tree, tree.Add(".", signedtree.Options{Algorithm: p256}, "x NS x"))
		for i := range 60 {
			n.Ask(fmt.Sprintf("warm%d.x.", i), dns.TypeA, nil)
		}
		n.Ask("www.x.", dns.TypeMX, nil)
		n.Sent = 0
		for i := range 200 {
			a := n.Ask(fmt.Sprintf("flood%d.x.", i), dns.TypeA, nil)
			if a.RCode != dns.RCodeNXDomain {
				t.Fatalf("%s: %v", how, a.RCode)
			}
			if a.AD != (n3 == nil || !n3.OptOut) {
				t.Fatalf("%s: AD %v", how, a.AD)
			}
		}
		usable := n3 == nil || !n3.OptOut && n3.Iterations <= 10
		if usable && n.Sent > 4 || !usable && n.Sent < 200 {
			t.Errorf("%s: %d packets for 200 names that do not exist", how, n.Sent)
		}
		for _, c := range []struct {
			name string
			t    dns.Type
			rc   dns.RCode
			rrs  int
		}{
			{"www.x.", dns.TypeA, 0, 1}, {"a.ent.x.", dns.TypeA, 0, 1}, {"ent.x.", dns.TypeA, 0, 0}, {"z.wild.x.", dns.TypeA, 0, 1},
			{"b.wild.x.", dns.TypeA, 0, 1}, {"b.wild.x.", dns.TypeTXT, 0, 0}, {"www.sub.x.", dns.TypeA, 0, 1}, {"nx.sub.x.", dns.TypeA, dns.RCodeNXDomain, 0},
			{"sub.x.", dns.TypeDS, 0, 0}, {"www.x.", dns.TypeTXT, 0, 0}, {"cn.x.", dns.TypeA, dns.RCodeNXDomain, 1}, {"z.wild.x.", dns.TypeTXT, 0, 0},
		} {
			for range 2 {
				a := n.Ask(c.name, c.t, nil)
				got := 0
				for _, s := range a.RRs {
					if s.Section == 1 {
						got++
					}
				}
				if a.RCode != c.rc || got != c.rrs {
					t.Errorf("%s: %s %v: %v with %d RRsets, want %v with %d", how, c.name, c.t, a.RCode, got, c.rc, c.rrs)
				}
			}
		}
		// names that a wildcard answers for
		n.Sent = 0
		for i := range 50 {
			if a := n.Ask(fmt.Sprintf("q%d.wild.x.", i), dns.TypeA, nil); a.RCode != 0 || len(a.RRs) == 0 || a.RRs[0].Type != dns.TypeA {
				t.Errorf("%s: wildcard: %v", how, a)
			}
		}
		if n.Sent > 10 && usable {
			t.Errorf("%s: %d packets for 50 names of a wildcard", how, n.Sent)
		}
		// the proofs end with their time
		n.Now += 400 * resolver.Second
		n.Sent = 0
		if n.Ask("late.x.", dns.TypeA, nil); n.Sent == 0 {
			t.Errorf("%s: answered from expired proofs", how)
		}
	}
	var a aggressive
	for i := range maxAggZones + 10 {
		a.zone(signedtree.Name(fmt.Sprint("z", i, ".")))
	}
	if len(a.zones) != maxAggZones {
		t.Error(len(a.zones), "zones")
	}
}

// The SOA of an answer made from proofs at hand is the zone's own, was verified,
// and lives no longer than its TTL, its signature or the proofs beside it (RFC
// 8198, section 5.4; RFC 2308, section 5).
func TestAggressiveSOA(t *testing.T) {
	ttls := func(soa, nsec uint32) signedtree.Options {
		return signedtree.Options{Algorithm: p256, Edit: func(z *signedtree.Zone) {
			set(z, "x.", dns.TypeSOA).TTL = soa
		}, Forge: func(z *signedtree.Zone) {
			for k, s := range z.Sets {
				if k.Type == dns.TypeNSEC {
					s.TTL = nsec
					z.Sign(s)
				}
			}
		}}
	}
	synthesize := func(w *world, name string) *resolver.Message {
		m := &resolver.Message{QName: []byte(signedtree.Name(name)), QType: dns.TypeA}
		if !w.v.Synthesize(resolver.Time(w.now)*resolver.Second, m) {
			return nil
		}
		return m
	}
	check := func(what string, w *world, name string, after int64, ttl uint32) {
		t.Helper()
		w.now = testNow + after
		m := synthesize(w, name)
		switch {
		case m == nil && ttl == 0:
		case m == nil:
			t.Errorf("%s, after %d s: not answered from proofs", what, after)
		case ttl == 0:
			t.Errorf("%s, after %d s: answered with TTL %d", what, after, m.Authority[0].TTL)
		default:
			soas := 0
			for _, s := range m.Authority {
				if s.Type == dns.TypeSOA {
					soas++
					if !dnsname.Equal(s.Owner, signedtree.Name("x.")) || s.Records.Count() != 1 || s.Sigs.Count() != 1 {
						t.Errorf("%s: SOA of %s, %d records, %d signatures", what, dnsname.Name(s.Owner), s.Records.Count(), s.Sigs.Count())
					}
				}
				if s.TTL != ttl {
					t.Errorf("%s, after %d s: %s with TTL %d, want %d", what, after, s.Type, s.TTL, ttl)
				}
			}
			if soas != 1 || m.RCode != dns.RCodeNXDomain {
				t.Errorf("%s: %d SOA, %v", what, soas, m.RCode)
			}
		}
	}
	lines := []string{"*.0 A 192.0.2.3", "b A 192.0.2.1", "*.f A 192.0.2.2", "p A 192.0.2.1", "t A 192.0.2.1"}

	// The gaps after *.f and at the apex, where *.x would be, are known from
	// expansions, without a SOA beside them; the SOA from a denial elsewhere.
	w, _ := under(ttls(60, 300), lines...)
	w.expect(t, "g.f.x. A secure", "\\033.0.x. A secure")
	check("no SOA yet", w, "h.x.", 0, 0)
	w.expect(t, "p.x. MX secure")
	check("SOA of 60 s", w, "h.x.", 10, 50)
	check("SOA of 60 s", w, "h.x.", 59, 1)
	check("SOA of 60 s", w, "h.x.", 60, 0)
	check("SOA of 60 s", w, "h.x.", 200, 0)

	w, _ = under(ttls(300, 100), lines...)
	w.expect(t, "q.x. A secure")
	check("NSEC of 100 s", w, "r.x.", 1, 99)
	check("NSEC of 100 s", w, "r.x.", 100, 0)

	// no longer than the signature (RFC 4035, section 5.3.3)
	opt := ttls(300, 300)
	opt.Inception, opt.Expiration = testNow-100, testNow+40
	w, _ = under(opt, lines...)
	_, m, _ := w.ask("q.x.", dns.TypeA)
	for _, s := range m.Authority {
		if s.TTL != 40 {
			t.Errorf("%s with TTL %d, signed for 40 s", s.Type, s.TTL)
		}
	}
	check("signed for 40 s", w, "r.x.", 1, 39)
	check("signed for 40 s", w, "r.x.", 40, 0)

	// three hours at most, whatever the zone says
	w, z := under(ttls(100000, 100000), lines...)
	soa := set(z, "x.", dns.TypeSOA)
	copy(soa.Data[0][len(soa.Data[0])-4:], []byte{0, 1, 0x86, 0xa0})
	z.Sign(soa)
	w.expect(t, "q.x. A secure")
	check("TTL of a day", w, "r.x.", 0, maxAggTTL)

	// one that is not rightly signed is not kept, nor is another name's
	w, z = under(ttls(300, 300), lines...)
	set(z, "x.", dns.TypeSOA).Sigs[0][60] ^= 1
	w.expect(t, "q.x. A bogus 6")
	check("SOA with a bad signature", w, "r.x.", 0, 0)
	w, z = under(ttls(300, 300), append(lines, "o SOA ns h 1 2 3 4 5")...)
	n := signedtree.Name("q.x.")
	a := z.Ask(n, dns.TypeA)
	a.Authority = append(a.Authority, set(z, "o.x.", dns.TypeSOA))
	w.validate(parse(a.Wire(1, n, dns.TypeA), n, dns.TypeA))
	check("another SOA behind it", w, "r.x.", 0, 300)

	// what a wildcard at hand gives lives as long as the proof beside it
	w, z = under(ttls(300, 100), lines...)
	w.expect(t, "g.f.x. A secure")
	w.now = testNow + 30
	if m := synthesize(w, "h.f.x."); m == nil || len(m.Answer) != 1 || m.Answer[0].TTL != 70 || m.Authority[0].TTL != 70 {
		t.Errorf("expanded: %s, want TTL 70", show(m))
	}
	w.now = testNow + 100
	if m := synthesize(w, "h.f.x."); m != nil {
		t.Errorf("expanded after the proof's end: %s", show(m))
	}
}

// Records made on the spot are not remembered: asked for AAAA they may deny an A
// that is there.
func TestNarrowProofs(t *testing.T) {
	for _, c := range []struct {
		hash, next byte
		carry      bool
		narrow     bool
	}{{1, 2, false, true}, {1, 3, false, true}, {1, 4, false, false}, {0xFF, 0, true, true}, {0xFE, 0, true, true}, {0xFD, 0, true, false}, {2, 1, false, false}} {
		var h, n dnssec.Hash
		h[19], n[19] = c.hash, c.next
		if c.carry {
			n[18] = 1
		}
		if narrow(h, n) != c.narrow {
			t.Errorf("%x to %x: narrow is %v", h, n, !c.narrow)
		}
	}
	var a aggressive
	const a1, ns = 0x40, 0x20 // in the bitmap
	set := func(owner, next string, bits byte) *resolver.RRset {
		data := append([]byte(signedtree.Name(next)), 0, 1, bits)
		return &resolver.RRset{Owner: []byte(signedtree.Name(owner)), Type: dns.TypeNSEC, Records: resolver.AppendPacked(nil, data)}
	}
	x := signedtree.Name("x.")
	a.learn(x, set("a.x.", `\000.a.x.`, a1), testNow, 60)
	if len(a.zones) != 0 {
		t.Error("a narrow NSEC is remembered")
	}
	a.learn(x, set("a.x.", "b.x.", a1), testNow, 60)
	a.learn(x, set("c.x.", `\000.c.x.`, ns), testNow, 60)
	if z := a.zones[x]; z == nil || len(z.nsec) != 2 {
		t.Error("an NSEC, or one of a delegation, is not remembered")
	}
}
