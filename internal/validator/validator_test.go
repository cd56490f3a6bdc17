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

var algorithms = []dnssec.Algorithm{dnssec.RSASHA256, dnssec.RSASHA512, dnssec.ECDSAP256SHA256,
	dnssec.ECDSAP384SHA384, dnssec.ED25519, dnssec.ED448}

// denials are the ways to prove absence.
var denials = map[string]*dnssec.NSEC3Params{
	"NSEC":           nil,
	"NSEC3":          {},
	"NSEC3 salt":     {Iterations: 10, Salt: []byte{1, 2, 3, 4}},
	"NSEC3 opt-out":  {OptOut: true},
	"NSEC3 at limit": {Iterations: dnssec.MaxNSEC3Iterations},
}

// build makes root, a zone example. with everything in it, zones below.
func build(alg dnssec.Algorithm, n3 *dnssec.NSEC3Params) (*signedtree.Tree, *signedtree.Zone) {
	t := signedtree.New(testNow)
	o := signedtree.Options{Algorithm: alg, NSEC3: n3, OneKey: alg == dnssec.RSASHA512}
	t.Add("island.plain.example.", signedtree.Options{Algorithm: alg, NSEC3: n3}, "www A 192.0.2.1")
	t.Add("plain.example.", signedtree.Options{}, "www A 192.0.2.1", "alias CNAME www.signed.example.", "island NS x")
	t.Add("signed.example.", o, "www A 192.0.2.1", "alias CNAME www.plain.example.", "*.wild TXT \"w\"", "a.b.c.ent A 192.0.2.9")
	t.Add("future.example.", signedtree.Options{Algorithm: alg, NSEC3: n3, Inception: testNow + 10, Expiration: testNow + 1000}, "www A 192.0.2.1")
	t.Add("past.example.", signedtree.Options{Algorithm: alg, NSEC3: n3, Inception: testNow - 1000, Expiration: testNow - 10}, "www A 192.0.2.1")
	t.Add("unknown.example.", signedtree.Options{Algorithm: alg, NSEC3: n3, Edit: func(z *signedtree.Zone) {
		z.DS[0][3] = 99 // no such digest
	}}, "www A 192.0.2.1")
	t.Add("other.example.", signedtree.Options{Algorithm: alg, NSEC3: n3, Edit: func(z *signedtree.Zone) {
		z.DS[0][2] = 253 // a private algorithm
	}}, "www A 192.0.2.1")
	t.Add("wrong.example.", signedtree.Options{Algorithm: alg, NSEC3: n3, Edit: func(z *signedtree.Zone) {
		z.DS[0][9] ^= 1
	}}, "www A 192.0.2.1")
	t.Add("u1.deep.example.", signedtree.Options{}, "www A 192.0.2.1")
	t.Add("example.", o, "www A 192.0.2.1", "www AAAA 2001:db8::1", "mx MX 10 www", "*.star A 192.0.2.2", "x.star TXT \"x\"",
		"e.n.t A 192.0.2.3", "dn DNAME signed.example.", "cn CNAME www", "cnx CNAME nothing", "cnw CNAME any.star",
		"plain NS ns.plain", "ns.plain A 192.0.2.4", "signed NS ns.signed", "ns.signed A 192.0.2.5",
		"future NS ns.future", "past NS ns.past", "unknown NS ns.unknown", "other NS ns.other", "wrong NS ns.wrong",
		"u1.deep NS ns.plain", "*.both A 192.0.2.7", "*.both MX 10 www")
	return t, t.Add(".", o, "example NS ns.example.", "ns.example. A 192.0.2.6", "tld TXT \"t\"")
}

func TestVerdicts(t *testing.T) {
	for _, alg := range algorithms {
		for how, n3 := range denials {
			if testing.Short() && alg != dnssec.ECDSAP256SHA256 && how != "NSEC" {
				continue
			}
			t.Run(fmt.Sprint(alg, " ", how), func(t *testing.T) {
				tree, root := build(alg, n3)
				w := newWorld(tree, root)
				opt := "secure" // what opt-out makes of proofs that pass over a gap
				if n3 != nil && n3.OptOut {
					opt = "insecure"
				}
				w.expect(t,
					". SOA secure", ". DNSKEY secure", "example. DS secure", "tld. TXT secure", "nx. A "+opt,
					"www.example. A secure", "www.example. MX secure", "mx.example. MX secure",
					"nothing.example. A "+opt, "nothing.www.example. A "+opt, "example. SOA secure", "example. DNSKEY secure",
					"a.star.example. A "+opt, "a.b.star.example. A "+opt, "a.star.example. MX "+opt, "x.star.example. A secure",
					"x.star.example. TXT secure", "*.star.example. A secure", "*.star.example. TXT secure",
					"t.example. A secure", "n.t.example. A secure", "e.n.t.example. A secure", "z.n.t.example. A "+opt,
					"cn.example. A secure", "cnx.example. A secure", "cn.example. CNAME secure", "a.dn.example. A secure",
					"dn.example. DNAME secure", "dn.example. A secure",
					"plain.example. A insecure", "www.plain.example. A insecure", "nx.plain.example. A insecure",
					"plain.example. DS "+map[bool]string{true: "insecure", false: "secure"}[n3 != nil && n3.OptOut],
					"www.signed.example. A secure", "a.wild.signed.example. TXT "+opt, "b.c.ent.signed.example. A secure",
					"signed.example. DS secure", "www.signed.example. DS secure", "nx.signed.example. DS "+opt,
					"www.island.plain.example. A insecure",
					"www.future.example. A bogus 8", "www.past.example. A bogus 7", "www.wrong.example. A bogus 9",
					"nx.past.example. A bogus 7", "www.unknown.example. A insecure 2", "www.other.example. A insecure 1",
					"www.example. ANY secure", "example. ANY secure", "a.star.example. ANY "+opt, "t.example. ANY secure", "nothing.example. ANY "+opt,
					"www.past.example. ANY bogus 7", "www.plain.example. ANY insecure", "cn.example. ANY secure",
					"wrong.example. DS secure", "u1.deep.example. A insecure", "x.both.example. MX "+opt)
				if how == "NSEC3 opt-out" {
					// an empty non-terminal above unsigned delegations only
					w.expect(t, "deep.example. A insecure")
				} else {
					w.expect(t, "deep.example. A secure")
				}
			})
		}
	}
}

// An island of security has its own anchor below an insecure zone; a signature
// that names the insecure zone must not talk it out of it.
func TestIsland(t *testing.T) {
	tree, root := build(dnssec.ECDSAP256SHA256, nil)
	island := tree.Zones[signedtree.Name("island.plain.example.")]
	w := newWorld(tree, root, island)
	w.expect(t, "www.island.plain.example. A secure", "nx.island.plain.example. A secure", "www.plain.example. A insecure")
	k := signedtree.Key{Name: signedtree.Name("www.island.plain.example."), Type: 1}
	s := island.Sets[k]
	sig, _ := dnssec.ParseRRSIG(s.Sigs[0])
	sig.Signer = signedtree.Name("plain.example.")
	s.Sigs = [][]byte{sig.AppendData(nil)}
	w.expect(t, "www.island.plain.example. A bogus")
	s.Sigs = nil
	w.expect(t, "www.island.plain.example. A bogus 10")
}

func TestNegativeAnchors(t *testing.T) {
	tree, root := build(dnssec.ECDSAP256SHA256, nil)
	w := newWorld(tree, root)
	cfg := w.v.cfg
	cfg.NTAs = []dnssec.NTA{{Name: signedtree.Name("past.example.")}, {Name: signedtree.Name("wrong.example."), Expires: testNow + 5}}
	w.v.SetConfig(cfg)
	w.expect(t, "www.past.example. A insecure", "www.wrong.example. A insecure", "www.future.example. A bogus 8", "www.example. A secure")
	if w.v.Covers(testNow*resolver.Second, []byte(signedtree.Name("www.past.example."))) || !w.v.Covers(testNow*resolver.Second, []byte(signedtree.Name("www.example."))) {
		t.Error("Covers")
	}
	for after, want := range map[int64]string{4: "insecure", 5: "bogus 9", 10: "bogus 9"} {
		w.now = testNow + after
		w.expect(t, "www.past.example. A insecure", "www.wrong.example. A "+want)
		if name := []byte(signedtree.Name("www.wrong.example.")); w.v.Covers(resolver.Time(w.now)*resolver.Second, name) != (after >= 5) {
			t.Errorf("after %d s: Covers", after)
		}
	}
}

// No anchor: nothing is bogus and nothing secure.
func TestNoAnchor(t *testing.T) {
	tree, _ := build(dnssec.ECDSAP256SHA256, nil)
	w := newWorld(tree, tree.Zones[signedtree.Name("signed.example.")])
	w.expect(t, "www.example. A indeterminate", "www.past.example. A indeterminate", "www.signed.example. A secure")
}

// A zone from root/servers that the public tree denies is insecure, one that it
// knows is judged as ever.
func TestPrivateZones(t *testing.T) {
	for _, n3 := range []*dnssec.NSEC3Params{nil, {}} {
		tree, root := build(dnssec.ECDSAP256SHA256, n3)
		tree.Add("corp.", signedtree.Options{}, "www A 10.0.0.1")
		tree.Add("in.www.example.", signedtree.Options{}, "www A 10.0.0.1")
		tree.Add("a.b.c.corp2.", signedtree.Options{}, "www A 10.0.0.1")
		w := newWorld(tree, root)
		w.expect(t, "www.corp. A bogus", "www.in.www.example. A bogus")
		cfg := w.v.Config()
		cfg.Private = []dnsname.Name{signedtree.Name("corp."), signedtree.Name("in.www.example."), signedtree.Name("a.b.c.corp2."), signedtree.Name("wrong.example.")}
		w.v.SetConfig(cfg)
		w.expect(t, "www.corp. A insecure", "nx.corp. A insecure", "www.in.www.example. A insecure", "www.a.b.c.corp2. A insecure",
			"www.example. A secure", "www.wrong.example. A bogus 9", "nx.example. A secure")
	}
}

// A zone whose servers the administrator has named, and whose keys he has given,
// denies names by proofs at hand like any other.
func TestPrivateAnchorAggressive(t *testing.T) {
	tree, root := build(dnssec.ECDSAP256SHA256, nil)
	corp := tree.Add("corp.", signedtree.Options{Algorithm: dnssec.ECDSAP256SHA256}, "a A 10.0.0.1", "z A 10.0.0.1")
	w := newWorld(tree, root, corp)
	cfg := w.v.Config()
	cfg.Private = []dnsname.Name{signedtree.Name("corp."), signedtree.Name("inner.corp.")}
	w.v.SetConfig(cfg)
	w.expect(t, "m.corp. A secure")
	for name, want := range map[string]bool{"n.corp.": true, "x.inner.corp.": false} {
		m := &resolver.Message{QName: []byte(signedtree.Name(name)), QType: dns.TypeA}
		if got := w.v.Synthesize(resolver.Time(w.v.now)*resolver.Second, m); got != want {
			t.Errorf("%s: denied by proofs at hand: %v, want %v", name, got, want)
		}
	}
}

// A server that says NXDOMAIN for an empty non-terminal, with the proof of NODATA.
func TestEmptyNonTerminalNXDomain(t *testing.T) {
	tree := signedtree.New(testNow)
	root := tree.Add(".", signedtree.Options{Algorithm: dnssec.ECDSAP256SHA256}, "a.ent TXT \"t\"")
	w := newWorld(tree, root)
	m := w.message(signedtree.Name("ent."), dns.TypeA)
	m.RCode = dns.RCodeNXDomain
	if v, _ := w.validate(m); v.Sec != resolver.Secure || m.RCode != dns.RCodeSuccess {
		t.Errorf("%v, %v: want secure, NOERROR", v, m.RCode)
	}
}

// RFC 8509: what a client learns of the root's trust anchors.
func TestSentinel(t *testing.T) {
	tree := signedtree.New(testNow)
	o := signedtree.Options{Algorithm: dnssec.ECDSAP256SHA256}
	tree.Add("x.", o, "*.is A 192.0.2.1", "*.not A 192.0.2.1", "* A 192.0.2.1", "* TXT \"t\"")
	tree.Add("plain.", signedtree.Options{}, "root-key-sentinel-is-ta-00001 A 192.0.2.1")
	root := tree.Add(".", o, "x NS x", "plain NS x")
	w := newWorld(tree, root)
	tag, other := root.KSK.Tag, root.KSK.Tag+1
	// with the key itself as anchor, then with its DS
	byKey := New(Config{Anchors: []dnssec.Anchor{{Name: dnsname.Root, Keys: [][]byte{root.KSK.Data}}}})
	for _, w.v = range []*Validator{byKey, w.v} {
		w.expect(t, fmt.Sprintf("root-key-sentinel-is-ta-%05d.x. A secure", tag), fmt.Sprintf("root-key-sentinel-not-ta-%05d.x. A bogus 6", tag))
	}
	w.expect(t, fmt.Sprintf("root-key-sentinel-is-ta-%05d.x. A secure", tag), fmt.Sprintf("root-key-sentinel-not-ta-%05d.x. A bogus 6", tag),
		fmt.Sprintf("root-key-sentinel-is-ta-%05d.x. A bogus 6", other), fmt.Sprintf("Root-Key-Sentinel-Not-TA-%05d.x. A secure", other),
		fmt.Sprintf("root-key-sentinel-is-ta-%05d.x. TXT secure", other), fmt.Sprintf("root-key-sentinel-is-ta-%d.x. A secure", 1),
		"root-key-sentinel-is-ta-00001.plain. A insecure", fmt.Sprintf("a.root-key-sentinel-is-ta-%05d.x. A secure", other))
}
