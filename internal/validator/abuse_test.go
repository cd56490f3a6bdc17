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

// Records that are all rightly signed, put together to prove what is not so: by
// the parent about the child, by a name with a DNAME about names below, with an
// encloser that is not the closest, by a CNAME's owner (RFC 5155, section 8; RFC
// 6840, sections 4.1 to 4.4; RFC 6672, section 5.3). Nothing of it is secure,
// neither as an answer nor, afterwards, from the memory of proofs (RFC 8198).
func TestDenialAbuse(t *testing.T) {
	for how, n3 := range map[string]*dnssec.NSEC3Params{"NSEC": nil, "NSEC3": {}} {
		o := signedtree.Options{Algorithm: p256, NSEC3: n3}
		tree := signedtree.New(testNow)
		child := tree.Add("c.x.", o, "www A 192.0.2.1", "a.b A 192.0.2.1")
		x := tree.Add("x.", o, "c NS ns.c", "ns.c A 192.0.2.1", "dn DNAME www", "al CNAME www", "www A 192.0.2.1",
			"*.w A 192.0.2.9", "a.w TXT \"t\"", "*.d.w MX 10 www", "z A 192.0.2.1", "e.ent A 192.0.2.1")
		root := tree.Add(".", signedtree.Options{Algorithm: p256, NSEC3: n3}, "x NS ns.x.", "ns.x. A 192.0.2.1")
		w := newWorld(tree, root)
		w.expect(t, "www.c.x. A secure", "al.x. A secure", "q.w.x. A secure", "q.d.w.x. TXT secure", "q.d.w.x. MX secure", "a.w.x. A secure")

		// every proof that a zone has: what it answers to names that there are not
		proofs := func(z *signedtree.Zone) (out []*dnssec.RRset) {
			have := map[dnsname.Name]bool{}
			labels := []string{"", "c.", "dn.", "al.", "w.", "d.w.", "ent.", "www.", "z.", "x.", "b.", "ns.c."}
			for i := range 40 {
				labels = append(labels, fmt.Sprintf("nx%d.", i))
			}
			for _, l := range labels {
				for _, ty := range []dns.Type{dns.TypeDS, dns.TypeTXT} {
					n := z.Name
					if l != "" {
						n, _ = dnsname.Join(signedtree.Name(l), z.Name)
					}
					for _, s := range z.Ask(n, ty).Authority {
						if (s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3) && !have[s.Name] {
							have[s.Name] = true
							out = append(out, s)
						}
					}
				}
			}
			if len(out) < 3 {
				t.Fatalf("%s: %d proofs of %s", how, len(out), z.Name)
			}
			return out
		}
		try := func(what string, z *signedtree.Zone, rc dns.RCode, name string, ty dns.Type) {
			t.Helper()
			all := proofs(z)
			// A proof takes three records at most (RFC 5155, section 8.4). One is
			// enough of NSEC records, which are tried one by one.
			most := len(all)
			if n3 == nil {
				most = 1
			}
			for i := range all {
				for k := range most {
					for l := range min(most, k+1) {
						auth := []*dnssec.RRset{set(z, z.Name.String(), dns.TypeSOA), all[i]}
						if k != i {
							auth = append(auth, all[k])
						}
						if l != i && l != k {
							auth = append(auth, all[l])
						}
						if k > i && most > 1 {
							continue // the same in another order
						}
						a := signedtree.Answer{AA: true, RCode: rc, Authority: auth}
						n := signedtree.Name(name)
						if v, _ := w.validate(parse(a.Wire(1, n, ty), n, ty)); v.Sec == resolver.Secure {
							t.Errorf("%s: %s: secure with proofs %d, %d, %d of %d", how, what, i, k, l, len(all))
							return
						}
					}
				}
			}
			// what was learnt of them denies nothing either
			m := &resolver.Message{QName: []byte(signedtree.Name(name)), QType: ty}
			if w.v.Synthesize(resolver.Time(w.now)*resolver.Second, m) && len(m.Answer) == 0 {
				t.Errorf("%s: %s: denied from memory, %v", how, what, m.RCode)
			}
		}
		nx, no := dns.RCodeNXDomain, dns.RCodeSuccess
		try("the parent denies a name of the child", x, nx, "www.c.x.", dns.TypeA)
		try("the parent denies data of the child", x, no, "www.c.x.", dns.TypeA)
		try("the parent denies types of the child's apex", x, no, "c.x.", dns.TypeA)
		try("the parent denies the child's keys", x, no, "c.x.", dns.TypeDNSKEY)
		try("the child denies its own DS", child, no, "c.x.", dns.TypeDS)
		try("the child denies a name of the parent", child, nx, "www.x.", dns.TypeA)
		try("a DNAME's owner denies names below", x, nx, "q.dn.x.", dns.TypeA)
		try("a DNAME's owner denies data below", x, no, "q.dn.x.", dns.TypeA)
		try("an alias has no data", x, no, "al.x.", dns.TypeA)
		try("what exists does not", x, nx, "www.x.", dns.TypeA)
		try("a type that is there is not", x, no, "www.x.", dns.TypeA)
		try("a wildcard's name does not exist", x, nx, "q.w.x.", dns.TypeA)
		try("a wildcard has not its type", x, no, "q.w.x.", dns.TypeA)
		try("NODATA by the wildcard of another encloser", x, no, "q.d.w.x.", dns.TypeMX)
		try("the root denies a name of its child", root, nx, "www.x.", dns.TypeA)
		try("the root denies a name two cuts below", root, nx, "www.c.x.", dns.TypeA)
	}
}
