package validator

import (
	"fmt"
	"testing"

	"bulkhead/internal/dns"
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
