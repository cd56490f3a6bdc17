package validator

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
)

// plain makes an RRset as a verified one comes to the memory of proofs.
func plain(owner dnsname.Name, t dns.Type, data ...[]byte) *resolver.RRset {
	s := &resolver.RRset{Owner: []byte(owner), Type: t, TTL: 300}
	for _, d := range data {
		s.Records = resolver.AppendPacked(s.Records, d)
	}
	return s
}

func nsec(owner, next string, types ...dns.Type) *resolver.RRset {
	return plain(signedtree.Name(owner), dns.TypeNSEC, append([]byte(signedtree.Name(next)), dnssec.AppendBitmap(nil, types)...))
}

// nsec3 makes the one record of a chain whose owner's hash ends in i.
func nsec3(zone dnsname.Name, i int, p dnssec.NSEC3Params) *resolver.RRset {
	s := dnssec.NSEC3Chain(zone, []dnssec.Node{{Name: zone}}, p, 300)[0]
	h := dnssec.Hash{1}
	binary.BigEndian.PutUint16(h[18:], uint16(i)*8)
	return plain(dnsname.Name(append(h.AppendLabel(nil), zone...)), dns.TypeNSEC3, s.Data[0])
}

func synthesizes(w *world, name string, t dns.Type) bool {
	m := &resolver.Message{QName: []byte(signedtree.Name(name)), QType: t}
	return w.v.Synthesize(resolver.Time(w.now)*resolver.Second, m)
}

// What is remembered of a zone, and how much (RFC 8198, section 5).
func TestLearn(t *testing.T) {
	x := signedtree.Name("x.")
	soa := plain(x, dns.TypeNSEC, []byte("\x01z\x01x\x00\x00\x01\x40"), []byte("\x01y\x01x\x00\x00\x01\x40"))
	optOut, salted, iterated := dnssec.NSEC3Params{OptOut: true}, dnssec.NSEC3Params{Salt: []byte{1}}, dnssec.NSEC3Params{Iterations: 1}
	for _, c := range []struct {
		what        string
		sets        func(learn func(*resolver.RRset))
		nsec, nsec3 int
	}{
		{"one", func(learn func(*resolver.RRset)) { learn(nsec("a.x.", "b.x.")) }, 1, 0},
		{"the same again", func(learn func(*resolver.RRset)) { learn(nsec("a.x.", "b.x.")); learn(nsec("a.x.", "c.x.")) }, 1, 0},
		{"two records of one owner", func(learn func(*resolver.RRset)) { learn(soa) }, 0, 0},
		{"a next name outside the zone", func(learn func(*resolver.RRset)) { learn(nsec("a.x.", "b.y.")) }, 0, 0},
		{"more than there is room for", func(learn func(*resolver.RRset)) {
			for i := range maxAggRecords + 10 {
				learn(nsec(fmt.Sprintf("n%05d.x.", i), fmt.Sprintf("n%05d0.x.", i)))
			}
		}, 2000, 0},
		// RFC 9276, section 3.2
		{"NSEC3, iterations at the limit", func(learn func(*resolver.RRset)) { learn(nsec3(x, 1, dnssec.NSEC3Params{Iterations: 150})) }, 0, 1},
		{"NSEC3, too many iterations", func(learn func(*resolver.RRset)) { learn(nsec3(x, 1, dnssec.NSEC3Params{Iterations: 151})) }, 0, 0},
		{"NSEC3, another salt", func(learn func(*resolver.RRset)) {
			learn(nsec3(x, 1, dnssec.NSEC3Params{}))
			learn(nsec3(x, 2, dnssec.NSEC3Params{}))
			learn(nsec3(x, 3, salted))
		}, 0, 1},
		{"NSEC3, other iterations", func(learn func(*resolver.RRset)) {
			learn(nsec3(x, 1, dnssec.NSEC3Params{}))
			learn(nsec3(x, 2, dnssec.NSEC3Params{}))
			learn(nsec3(x, 3, iterated))
		}, 0, 1},
		{"NSEC3, opt-out leaves room for what says more", func(learn func(*resolver.RRset)) {
			for i := range 1010 {
				learn(nsec3(x, i, optOut))
			}
			learn(nsec3(x, 1011, dnssec.NSEC3Params{}))
		}, 0, 1001},
	} {
		var a aggressive
		c.sets(func(s *resolver.RRset) { a.learn(x, s, testNow, 300) })
		var z aggZone
		if a.zones[x] != nil {
			z = *a.zones[x]
		}
		if len(z.nsec) != c.nsec || len(z.nsec3) != c.nsec3 {
			t.Errorf("%s: %d NSEC, %d NSEC3; want %d, %d", c.what, len(z.nsec), len(z.nsec3), c.nsec, c.nsec3)
		}
	}
}

// A proof is kept no longer than its own TTL, the SOA's, or the SOA's last field
// (RFC 9077, section 3).
func TestProofTTL(t *testing.T) {
	for _, c := range [][3]uint32{{300, 300, 60}, {300, 60, 300}, {60, 300, 300}} {
		w, _ := under(signedtree.Options{Edit: func(z *signedtree.Zone) {
			s := set(z, "x.", dns.TypeSOA)
			s.TTL = c[1]
			binary.BigEndian.PutUint32(s.Data[0][len(s.Data[0])-4:], c[2])
		}, Forge: func(z *signedtree.Zone) {
			for k, s := range z.Sets {
				if k.Type == dns.TypeNSEC {
					s.TTL = c[0]
					z.Sign(s)
				}
			}
		}}, "www A 192.0.2.1")
		w.expect(t, "nx.x. A secure")
		z := w.v.agg.zones[signedtree.Name("x.")]
		if len(z.nsec) == 0 {
			t.Fatal("no proofs")
		}
		for _, e := range z.nsec {
			if e.expires != testNow+60 {
				t.Errorf("NSEC with TTL %d, SOA with %d, minimum %d: kept for %d s", c[0], c[1], c[2], e.expires-testNow)
			}
		}
	}
}

// Where answers from proofs at hand end.
func TestSynthesizeBounds(t *testing.T) {
	w, z := under(signedtree.Options{Edit: func(z *signedtree.Zone) {
		set(z, "*.f.x.", dns.TypeA).TTL = 50
	}}, "*.f A 192.0.2.1", "m.f A 192.0.2.2", "*.s A 192.0.2.3", "z A 192.0.2.4")
	w.expect(t, "g.f.x. A secure", "q.s.x. A secure", "y.x. A secure")
	soa := plain(z.Name, dns.TypeSOA, set(z, "x.", dns.TypeSOA).Data[0])
	w.v.agg.learn(z.Name, soa, testNow, 300)
	tag := w.v.anchors[dnsname.Root].ds[0]
	other := binary.BigEndian.Uint16(tag) + 1
	expect := func(name string, ty dns.Type, want bool) {
		t.Helper()
		if synthesizes(w, name, ty) != want {
			t.Errorf("%s %s, after %d s: answered from proofs: %v", name, ty, w.now-testNow, !want)
		}
	}
	expect("h.f.x.", dns.TypeA, true)
	// the gap after m.f is not known, nor that m.f is there
	expect("n.f.x.", dns.TypeA, false)
	expect("m.f.x.", dns.TypeA, false)
	// RFC 8509, section 3: what is answered depends on the anchors
	expect(fmt.Sprintf("root-key-sentinel-is-ta-%05d.s.x.", other), dns.TypeA, false)
	expect(fmt.Sprintf("root-key-sentinel-not-ta-%05d.s.x.", other), dns.TypeA, true)
	w.now = testNow + 49
	expect("h.f.x.", dns.TypeA, true)
	w.now = testNow + 50
	expect("h.f.x.", dns.TypeA, false)
	w.now = testNow

	// DS belongs to the parent's side, whatever the child says.
	c := signedtree.Name("c.x.")
	w.v.agg.learn(z.Name, nsec("c.x.", "d.x.", dns.TypeNS), testNow, 300)
	w.v.agg.learn(c, plain(c, dns.TypeSOA, set(z, "x.", dns.TypeSOA).Data[0]), testNow, 300)
	w.v.agg.learn(c, nsec("c.x.", "c.x.", dns.TypeNS, dns.TypeSOA), testNow, 300)
	expect("c.x.", dns.TypeDS, true)
	expect("c.x.", dns.TypeMX, true)

	// A zone with an anchor of its own is not the parent's to deny.
	w.v.agg.learn(z.Name, nsec("i.x.", "k.x.", dns.TypeA), testNow, 300)
	expect("a.j.x.", dns.TypeMX, true)
	w.v.anchors[signedtree.Name("j.x.")] = &anchor{}
	expect("a.j.x.", dns.TypeMX, false)
}

// Links live as long as the shorter of what they stand on, a day at most, and not
// a second longer.
func TestLinkTTL(t *testing.T) {
	name := signedtree.Name("x.")
	for _, c := range []struct{ ds, key, want uint32 }{{100, 200, 100}, {200, 100, 100}, {900000, 900000, 86400}} {
		tree := signedtree.New(testNow)
		o := signedtree.Options{Algorithm: p256, Inception: testNow - 1, Expiration: testNow + 1000000}
		o.Edit = func(z *signedtree.Zone) { set(z, "x.", dns.TypeDNSKEY).TTL = c.key }
		tree.Add("x.", o, "www A 192.0.2.1")
		o.Edit = nil
		o.Forge = func(z *signedtree.Zone) {
			s := set(z, "x.", dns.TypeDS)
			s.TTL = c.ds
			z.Sign(s)
		}
		w := newWorld(tree, tree.Add(".", o, "x NS ns.x.", "ns.x. A 192.0.2.1"))
		w.expect(t, "www.x. A secure")
		if l := w.v.links[name]; l == nil || l.expires != testNow+int64(c.want) {
			t.Errorf("DS %d s, keys %d s: link %+v", c.ds, c.key, l)
		}
		w.v.now = testNow + int64(c.want) - 1
		if w.v.get(name) == nil {
			t.Errorf("link of %d s gone a second before", c.want)
		}
		if w.v.now++; w.v.get(name) != nil {
			t.Errorf("link of %d s still there", c.want)
		}
	}
	// one made from a proof at hand ends with the proof
	tree := signedtree.New(testNow)
	tree.Add("u.ent.x.", signedtree.Options{}, "www A 192.0.2.1")
	tree.Add("x.", signedtree.Options{Algorithm: p256}, "a.ent A 192.0.2.1", "u.ent NS ns")
	w := newWorld(tree, tree.Add(".", signedtree.Options{Algorithm: p256}, "x NS ns.x.", "ns.x. A 192.0.2.1"))
	w.expect(t, "ent.x. TXT secure")
	w.now += 100
	w.expect(t, "www.u.ent.x. A insecure")
	if l := w.v.links[signedtree.Name("ent.x.")]; l == nil || l.kind != linkNoCut || l.expires != testNow+300 {
		t.Errorf("link from a proof at hand: %+v", l)
	}
}

// A broken link is remembered for a minute (RFC 4035, section 4.7), but not one
// that only the question's budget broke.
func TestBogusTTL(t *testing.T) {
	w, z := under(signedtree.Options{}, "www A 192.0.2.1")
	keys := set(z, "x.", dns.TypeDNSKEY)
	keys.Sigs[0][60] ^= 1
	w.expect(t, "www.x. A bogus")
	z.Sign(keys)
	w.now += 59
	w.expect(t, "www.x. A bogus")
	w.now++
	w.expect(t, "www.x. A secure")

	w.v.Forget()
	m := w.message(signedtree.Name("."), dns.TypeDNSKEY)
	b := resolver.NewBudget(resolver.Limits{})
	b.Crypto.Sigs = 0
	var need resolver.Need
	if v, _ := w.v.Validate(resolver.Time(w.now)*resolver.Second, m, &fetcher{w: w}, &b, &need); v.Sec != resolver.Bogus {
		t.Errorf("without a budget: %s", secName(v.Sec))
	}
	w.expect(t, "www.x. A secure")
}

// Messages that contradict themselves, or say more than was asked.
func TestMessage(t *testing.T) {
	w, z := under(signedtree.Options{}, append(signedtree.Lines("n", 40), "www A 192.0.2.1", "dn DNAME www", "* CNAME www", "c NS ns.c", "ns.c A 192.0.2.1")...)
	ask := func(name string, change func(*signedtree.Answer)) (resolver.Verdict, *resolver.Message, int) {
		n := signedtree.Name(name)
		a := z.Ask(n, dns.TypeA)
		change(&a)
		m := parse(a.Wire(1, n, dns.TypeA), n, dns.TypeA)
		v, b := w.validate(m)
		sigs, _, _, _ := b.Crypto.Spent()
		return v, m, sigs
	}
	if v, m, _ := ask("www.x.", func(a *signedtree.Answer) { a.RCode = dns.RCodeNXDomain }); v.Sec != resolver.Bogus {
		t.Errorf("NXDOMAIN with an answer: %s", show(m))
	}
	if v, m, _ := ask("www.x.", func(a *signedtree.Answer) { a.Answer = append(a.Answer, set(z, "x.", dns.TypeNS)) }); v.Sec != resolver.Secure || len(m.Answer) != 1 {
		t.Errorf("an RRset nobody asked for: %s", show(m))
	}
	if v, m, _ := ask("a.dn.x.", func(a *signedtree.Answer) {
		a.Answer[1].Data = append(a.Answer[1].Data, []byte(signedtree.Name("evil.y.")))
	}); v.Sec != resolver.Bogus {
		t.Errorf("two aliases by one DNAME: %s", show(m))
	}
	// RFC 6672, section 3.1: the alias lives as long as its DNAME
	if v, m, _ := ask("a.dn.x.", func(a *signedtree.Answer) { a.Answer[1].TTL = 5000 }); v.Sec != resolver.Secure || m.Answer[1].TTL != 300 {
		t.Errorf("alias by a DNAME: TTL %d: %s", m.Answer[1].TTL, show(m))
	}
	// no more proofs are verified than the limit
	if v, _, sigs := ask("www.n39.x.", func(a *signedtree.Answer) {
		auth := a.Authority
		a.Answer, a.RCode, a.Authority = nil, dns.RCodeNXDomain, []*dnssec.RRset{set(z, "x.", dns.TypeSOA)}
		for i := range 40 {
			a.Authority = append(a.Authority, set(z, fmt.Sprint("n", i, ".x."), dns.TypeNSEC))
		}
		a.Authority = append(a.Authority, auth...)
	}); v.Sec != resolver.Bogus || sigs > 4+1+dnssec.MaxDenialRecords {
		t.Errorf("42 proofs: %s, %d signatures", secName(v.Sec), sigs)
	}
	// A wildcard's CNAME must not hide a cut (RFC 4035, section 5.3.4).
	wild := *set(z, "*.x.", dns.TypeCNAME)
	w.forge = func(name dnsname.Name, ty dns.Type, msg []byte) []byte {
		if ty == dns.TypeDS && name == signedtree.Name("c.x.") {
			wild.Name = name
			a := signedtree.Answer{AA: true, Answer: []*dnssec.RRset{&wild}}
			return a.Wire(1, name, ty)
		}
		return msg
	}
	w.v.Forget()
	w.v.agg.zones = nil
	n := signedtree.Name("www.c.x.")
	a := signedtree.Answer{AA: true, Answer: []*dnssec.RRset{{Name: n, Type: dns.TypeA, TTL: 300, Data: [][]byte{{192, 0, 2, 1}}}}}
	w.validate(parse(a.Wire(1, n, dns.TypeA), n, dns.TypeA))
	if l := w.v.links[signedtree.Name("c.x.")]; l == nil || l.kind != linkBogus {
		t.Errorf("a wildcard's CNAME at a cut: link %+v", l)
	}
}

// TestLearnWhenFull: a zone with more records than there is room for goes on to
// be learnt about, in order, and what expires first makes room.
func TestLearnWhenFull(t *testing.T) {
	x := signedtree.Name("x.")
	var a aggressive
	name := func(i int) string { return fmt.Sprintf("n%05d.x.", i) }
	next := func(i int) string { return fmt.Sprintf("n%05d0.x.", i) } // sorts right behind
	for i := range maxAggRecords {
		a.learn(x, nsec(name(2*i), next(2*i)), testNow, 300)
	}
	later := int64(testNow + 1000)
	for _, i := range []int{1, 999, 2 * maxAggRecords, 3001} {
		a.learn(x, nsec(name(i), next(i)), later, 300)
		z := a.zones[x]
		if p, found := z.find(signedtree.Name(name(i))); !found || z.nsec[p].expires <= later {
			t.Errorf("%s was not learnt", name(i))
		}
		if len(z.nsec) != maxAggRecords || !slices.IsSortedFunc(z.nsec, func(a, b aggSet) int { return dnsname.Compare(a.owner, b.owner) }) {
			t.Errorf("after %s: %d records, or not in order", name(i), len(z.nsec))
		}
	}
	for i := range 50 { // neighbours of a fresh one go first
		a.learn(x, nsec(name(3000+2*i+1), next(3000+2*i+1)), later, 300)
	}
	fresh := 0
	for i := range a.zones[x].nsec {
		if a.zones[x].nsec[i].expires > later {
			fresh++
		}
	}
	if fresh != 53 { // 3001 was there already
		t.Errorf("%d fresh records, want all 53", fresh)
	}
}

// TestOvertake: a record that spans over older ones takes their place: the zone
// has changed, and an old one must not hide what is behind it.
func TestOvertake(t *testing.T) {
	x := signedtree.Name("x.")
	var a aggressive
	for _, n := range [][2]string{{"a.x.", "c.x."}, {"c.x.", "e.x."}, {"e.x.", "g.x."}, {"g.x.", "x."}} {
		a.learn(x, nsec(n[0], n[1]), testNow, 300)
	}
	owners := func() (out string) {
		for i := range a.zones[x].nsec {
			out += a.zones[x].nsec[i].owner.Text() + " "
		}
		return out
	}
	a.learn(x, nsec("a.x.", "e.x."), testNow, 300)
	if got := owners(); got != "a.x e.x g.x " && got != "a.x. e.x. g.x. " {
		t.Errorf("after a to e: %s", got)
	}
	a.learn(x, nsec("e.x.", "x."), testNow, 300) // the last of the chain
	if got := owners(); got != "a.x e.x " && got != "a.x. e.x. " {
		t.Errorf("after e to the end: %s", got)
	}
	// opt-out records at half of the room: a new one takes the place of an expired one
	for i := range maxAggRecords / 2 {
		a.learn(x, nsec3(x, i, dnssec.NSEC3Params{OptOut: true}), testNow, 300)
	}
	n := len(a.zones[x].nsec3)
	a.learn(x, nsec3(x, 5000, dnssec.NSEC3Params{OptOut: true}), testNow+1, 300)
	if fresh := expireAfter(a.zones[x].nsec3, testNow+300); len(a.zones[x].nsec3) != n || fresh != 0 {
		t.Errorf("%d opt-out records of %d, %d fresh, while none has expired", len(a.zones[x].nsec3), n, fresh)
	}
	a.learn(x, nsec3(x, 5000, dnssec.NSEC3Params{OptOut: true}), testNow+1000, 300)
	if fresh := expireAfter(a.zones[x].nsec3, testNow+1000); len(a.zones[x].nsec3) != n || fresh != 1 {
		t.Errorf("%d opt-out records of %d, %d fresh, want one", len(a.zones[x].nsec3), n, fresh)
	}
}

func expireAfter(list []aggSet, at int64) (n int) {
	for i := range list {
		if list[i].expires > at {
			n++
		}
	}
	return n
}
