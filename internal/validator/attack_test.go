package validator

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
)

const p256 = dnssec.ECDSAP256SHA256

// under makes a root with one secure child "x." and gives a world for it.
func under(opt signedtree.Options, lines ...string) (*world, *signedtree.Zone) {
	t := signedtree.New(testNow)
	if opt.Algorithm == 0 {
		opt.Algorithm = p256
	}
	z := t.Add("x.", opt, lines...)
	root := t.Add(".", signedtree.Options{Algorithm: p256}, "x NS ns.x.", "ns.x. A 192.0.2.1", "y NS ns.x.")
	return newWorld(t, root), z
}

func set(z *signedtree.Zone, name string, t dns.Type) *dnssec.RRset {
	return z.Sets[signedtree.Key{Name: signedtree.Name(name), Type: t}]
}

// spent asks and reports what the verdict cost.
func spent(w *world, name string, t dns.Type) (resolver.Verdict, int, int, int) {
	v, _, b := w.ask(name, t)
	sigs, _, ds, blocks := b.Crypto.Spent()
	return v, sigs, ds, blocks
}

// sameTag makes n keys of algorithm 13 with the key tag of k: it is enough to
// move weight between 16-bit words of the public key, which then is on no curve
// but for those who do not look.
func sameTag(k *dnssec.Key, n int) [][]byte {
	var out [][]byte
	for i := range n {
		d := slices.Clone(k.Data)
		// swapping aligned words keeps the sum; i chooses which ones
		a, b := 4+2*(i%15), 36+2*(i/15%15)
		d[a], d[a+1], d[b], d[b+1] = d[b], d[b+1], d[a], d[a+1]
		if dnssec.KeyTag(d) == k.Tag {
			out = append(out, d)
		}
	}
	return out
}

// KeyTrap (CVE-2023-50387): many keys of one tag times many signatures.
func TestKeyTrap(t *testing.T) {
	w, z := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		dk := set(z, "x.", dns.TypeDNSKEY)
		// real keys: their points are on the curve, their tags collide by force
		for len(dk.Data) < 40 {
			k, err := dnssec.Generate(rand.Reader, p256, dnssec.FlagZone, 0)
			if err != nil {
				t.Fatal(err)
			}
			d := slices.Clone(k.Data)
			// the flags' reserved bits take part in the tag and mean nothing
			for hi := 0; hi < 1<<16; hi++ {
				f := uint16(hi)&^(dnssec.FlagZone|dnssec.FlagRevoke) | dnssec.FlagZone
				binary.BigEndian.PutUint16(d, f)
				if dnssec.KeyTag(d) == z.ZSK.Tag {
					dk.Data = append(dk.Data, slices.Clone(d))
					break
				}
			}
		}
		z.Sign(dk)
		s := set(z, "www.x.", dns.TypeA)
		good := s.Sigs[0]
		s.Sigs = nil
		for i := range 60 {
			bad := slices.Clone(good)
			bad[len(bad)-1-i] ^= 1
			s.Sigs = append(s.Sigs, bad)
		}
		s.Sigs = append(s.Sigs, good)
	}}, "www A 192.0.2.1")
	if n := len(set(z, "x.", dns.TypeDNSKEY).Data); n != 40 {
		t.Fatal(n, "keys")
	}
	v, sigs, _, _ := spent(w, "www.x.", dns.TypeA)
	// DNSKEY of the root, DS, DNSKEY of x. are three; then MaxBadPerRRset at most.
	if v.Sec != resolver.Bogus || sigs > 3+dnssec.MaxBadPerRRset {
		t.Errorf("%v %s, %d signatures", v.Sec, v.Text, sigs)
	}
}

// SigJam: one key, many bad signatures. LockCram: one signature, many keys.
func TestSigJamLockCram(t *testing.T) {
	w, _ := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		s := set(z, "www.x.", dns.TypeA)
		good := s.Sigs[0]
		s.Sigs = nil
		for i := range 300 {
			bad := slices.Clone(good)
			bad[len(bad)-1-i%60] ^= byte(1 + i/60)
			s.Sigs = append(s.Sigs, bad)
		}
	}}, "www A 192.0.2.1")
	if v, sigs, _, _ := spent(w, "www.x.", dns.TypeA); v.Sec != resolver.Bogus || sigs > 3+dnssec.MaxBadPerRRset {
		t.Errorf("SigJam: %v, %d signatures", v.Sec, sigs)
	}
	w, _ = under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		dk := set(z, "x.", dns.TypeDNSKEY)
		dk.Data = append(sameTag(z.ZSK.Key, 40), dk.Data...)
		z.Sign(dk)
	}}, "www A 192.0.2.1")
	if v, sigs, _, _ := spent(w, "www.x.", dns.TypeA); sigs > 3+dnssec.MaxBadPerRRset {
		t.Errorf("LockCram: %v, %d signatures", v.Sec, sigs)
	}
}

// HashTrap: many DS records that name many keys by tag.
func TestHashTrap(t *testing.T) {
	w, _ := under(signedtree.Options{Edit: func(z *signedtree.Zone) {
		dk := set(z, "x.", dns.TypeDNSKEY)
		dk.Data = append(dk.Data, sameTag(z.KSK.Key, 50)...)
		var ds [][]byte
		for i := range 100 {
			d := slices.Clone(z.DS[0])
			d[5+i%30] ^= byte(1 + i/30)
			ds = append(ds, d)
		}
		z.DS = ds
	}}, "www A 192.0.2.1")
	v, _, ds, _ := spent(w, "www.x.", dns.TypeA)
	if v.Sec != resolver.Bogus || ds > dnssec.MaxDSPerQuestion {
		t.Errorf("%v, %d digests", v.Sec, ds)
	}
}

// NSEC3 (CVE-2023-50868): iterations at the limit, a long salt, a deep name.
func TestNSEC3Exhaustion(t *testing.T) {
	salt := make([]byte, 255)
	name := "nx.x."
	for range 100 {
		name = "a." + name
	}
	w, _ := under(signedtree.Options{NSEC3: &dnssec.NSEC3Params{Iterations: dnssec.MaxNSEC3Iterations, Salt: salt}}, "www A 192.0.2.1")
	v, _, _, blocks := spent(w, name, dns.TypeA)
	if blocks > dnssec.MaxNSEC3Blocks || v.Sec == resolver.Secure {
		t.Errorf("%v %s, %d compressions", v.Sec, v.Text, blocks)
	}
	// above the limit not one hash is computed, and the zone is insecure (RFC
	// 9276, section 3.2)
	w, _ = under(signedtree.Options{NSEC3: &dnssec.NSEC3Params{Iterations: dnssec.MaxNSEC3Iterations + 1}}, "www A 192.0.2.1")
	v, _, _, blocks = spent(w, name, dns.TypeA)
	if v.Sec != resolver.Insecure || v.Code != dns.EDEUnsupportedNSEC3Iterations || blocks != 0 {
		t.Errorf("iterations over the limit: %v code %d, %d compressions", v.Sec, v.Code, blocks)
	}
	// without iterations the deepest name is no problem
	w, _ = under(signedtree.Options{NSEC3: &dnssec.NSEC3Params{}}, "www A 192.0.2.1")
	if v, _, _, blocks = spent(w, name, dns.TypeA); v.Sec != resolver.Secure {
		t.Errorf("deep name: %v %s, %d compressions", v.Sec, v.Text, blocks)
	}
}

// forgeSig signs s with every field of the RRSIG as the test wants it.
func forgeSig(z *signedtree.Zone, s *dnssec.RRset, change func(*dnssec.RRSIG)) {
	f, _ := dnssec.ParseRRSIG(s.Sigs[0])
	change(&f)
	data, err := z.ZSK.SignAs(rand.Reader, s, f)
	if err != nil {
		panic(err)
	}
	s.Sigs = [][]byte{data}
}

// The label count of 2025 and 2026, which erred in four validators: the
// signatures below are all good mathematically.
func TestRRSIGLabels(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    string
		t      dns.Type
		labels uint8
		why    dnssec.Reason
	}{
		{"more labels than the owner", "www.x.", dns.TypeA, 3, dnssec.ReasonSignatureLabels},
		{"wildcard at the apex's parent", "www.x.", dns.TypeA, 0, dnssec.ReasonSignatureLabels},
		{"expanded without proof", "a.b.x.", dns.TypeA, 1, dnssec.ReasonWildcardNotProved},
		{"SOA from a wildcard", "x.", dns.TypeSOA, 0, dnssec.ReasonSignatureLabels},
		{"DNSKEY from a wildcard", "x.", dns.TypeDNSKEY, 0, dnssec.ReasonSignatureLabels},
		{"DNAME from a wildcard", "dn.x.", dns.TypeDNAME, 1, dnssec.ReasonWildcardType},
		{"CDS from a wildcard", "cds.x.", dns.TypeCDS, 1, dnssec.ReasonWildcardType}, {"NS from a wildcard", "x.", dns.TypeNS, 0, dnssec.ReasonSignatureLabels},
	} {
		w, _ := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
			s := set(z, c.set, c.t)
			if c.t == dns.TypeDNSKEY {
				z.ZSK = z.KSK
			}
			forgeSig(z, s, func(f *dnssec.RRSIG) { f.Labels, f.KeyTag = c.labels, z.ZSK.Tag })
		}}, "www A 192.0.2.1", "a.b A 192.0.2.2", "dn DNAME www", "cds CDS 1 13 2 "+strings.Repeat("00", 32))
		if v, m, _ := w.ask(c.set, c.t); v.Sec != resolver.Bogus || !strings.HasPrefix(v.Text, c.why.String()+":") {
			t.Errorf("%s: %s; %s", c.name, v.Text, show(m))
		}
	}
	// An NSEC expanded from a wildcard proves nothing.
	w, _ := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		s := set(z, "b.x.", dns.TypeNSEC)
		forgeSig(z, s, func(f *dnssec.RRSIG) { f.Labels = 1 })
	}}, "b A 192.0.2.1", "www A 192.0.2.1")
	if v, m, _ := w.ask("c.x.", dns.TypeA); v.Sec != resolver.Bogus {
		t.Errorf("NSEC from a wildcard: %s", show(m))
	}
	// A wildcard's DS replayed at a name that is no cut of its own.
	w, _ = under(signedtree.Options{}, "* TXT \"t\"", "www A 192.0.2.1")
	w.expect(t, "any.x. TXT secure", "any.x. DS secure", "www.x. TXT secure")
}

// The wildcard's RRset under a name that exists: good signature, no proof
// possible.
func TestWildcardReplay(t *testing.T) {
	for how, n3 := range map[string]*dnssec.NSEC3Params{"NSEC": nil, "NSEC3": {}} {
		w, z := under(signedtree.Options{NSEC3: n3}, "* A 192.0.2.66", "www A 192.0.2.1", "ftp A 192.0.2.2")
		wild := *set(z, "*.x.", dns.TypeA)
		wild.Name = signedtree.Name("www.x.")
		for _, with := range []string{"", "nothing.x.", "www.x.", "ftp.x.", "zzz.x."} {
			a := signedtree.Answer{AA: true, Answer: []*dnssec.RRset{&wild}}
			if with != "" {
				// whatever proof the zone has for other names
				a.Authority = z.Ask(signedtree.Name(with), dns.TypeTXT).Authority
			}
			msg := a.Wire(1, wild.Name, dns.TypeA)
			v, _ := w.validate(parse(msg, wild.Name, dns.TypeA))
			if v.Sec != resolver.Bogus {
				t.Errorf("%s with the proof for %q: %s", how, with, secName(v.Sec))
			}
		}
	}
}

// NSEC whose next name lies outside the zone, or that stands outside: in three
// resolvers of 2026 an attacker's zone "proved" the absence of others.
func TestNSECNextOutsideZone(t *testing.T) {
	w, _ := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		s := set(z, "b.x.", dns.TypeNSEC)
		n, _ := dnssec.ParseNSEC(s.Name, s.Data[0], z.Name)
		s.Data[0] = append([]byte(signedtree.Name("zzz.")), n.Types...)
		z.Sign(s)
	}}, "b A 192.0.2.1", "d A 192.0.2.1")
	if v, m, _ := w.ask("c.x.", dns.TypeA); v.Sec != resolver.Bogus {
		t.Error(show(m))
	}
	if _, ok := dnssec.ParseNSEC(signedtree.Name("a.x."), []byte("\x01b\x01y\x00\x00\x01\x40"), signedtree.Name("x.")); ok {
		t.Error("NSEC with a next name outside its zone accepted")
	}
}

// The parent's NSEC at a cut must not deny names or types below it (RFC 6840,
// section 4.1), nor the child's the DS.
func TestAncestorDelegation(t *testing.T) {
	tr := signedtree.New(testNow)
	child := tr.Add("c.x.", signedtree.Options{Algorithm: p256}, "www A 192.0.2.1")
	x := tr.Add("x.", signedtree.Options{Algorithm: p256}, "c NS ns.c", "ns.c A 192.0.2.1", "z A 192.0.2.1")
	root := tr.Add(".", signedtree.Options{Algorithm: p256}, "x NS ns.x.", "ns.x. A 192.0.2.1")
	w := newWorld(tr, root)
	w.expect(t, "www.c.x. A secure", "c.x. DS secure")
	try := func(what string, rc dns.RCode, name string, ty dns.Type, auth ...*dnssec.RRset) {
		t.Helper()
		a := signedtree.Answer{AA: true, RCode: rc, Authority: auth}
		n := signedtree.Name(name)
		v, _ := w.validate(parse(a.Wire(1, n, ty), n, ty))
		if v.Sec == resolver.Secure {
			t.Errorf("%s: secure", what)
		}
	}
	cut, soa := set(x, "c.x.", dns.TypeNSEC), set(x, "x.", dns.TypeSOA)
	try("name below a cut", dns.RCodeNXDomain, "www.c.x.", dns.TypeA, soa, cut)
	try("name below a cut, NODATA", dns.RCodeSuccess, "www.c.x.", dns.TypeA, soa, cut)
	try("type at a cut", dns.RCodeSuccess, "c.x.", dns.TypeA, soa, cut)
	try("DS by the child", dns.RCodeSuccess, "c.x.", dns.TypeDS, set(child, "c.x.", dns.TypeSOA), set(child, "c.x.", dns.TypeNSEC))
	// The child's own apex record is what proves its types.
	try("type that exists", dns.RCodeSuccess, "c.x.", dns.TypeNS, set(child, "c.x.", dns.TypeSOA), set(child, "c.x.", dns.TypeNSEC))
}

// Algorithm downgrade: signatures renamed to an algorithm nobody knows, keys
// and DS reduced to it; the zone's DS still says what must be there.
func TestAlgorithmDowngrade(t *testing.T) {
	w, _ := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		for _, s := range z.Sets {
			for _, sig := range s.Sigs {
				sig[2] = 250
			}
		}
	}}, "www A 192.0.2.1")
	if v, _, _ := w.ask("www.x.", dns.TypeA); v.Sec != resolver.Bogus {
		t.Errorf("unknown algorithm in signatures: %s", secName(v.Sec))
	}
	w, _ = under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		for _, d := range set(z, "x.", dns.TypeDNSKEY).Data {
			d[3] = 250
		}
	}}, "www A 192.0.2.1")
	if v, _, _ := w.ask("www.x.", dns.TypeA); v.Sec != resolver.Bogus {
		t.Errorf("unknown algorithm in keys: %s", secName(v.Sec))
	}
	// A DS of an unknown digest beside a good one changes nothing; alone it
	// makes the zone insecure; SHA-1 does not count beside SHA-256.
	for _, c := range []struct {
		what string
		ds   func(z *signedtree.Zone) [][]byte
		want resolver.Security
	}{
		{"unknown digest beside SHA-256", func(z *signedtree.Zone) [][]byte {
			d := slices.Clone(z.DS[0])
			d[3] = 200
			return [][]byte{d, z.DS[0]}
		}, resolver.Secure},
		{"unknown digest alone", func(z *signedtree.Zone) [][]byte {
			d := slices.Clone(z.DS[0])
			d[3] = 200
			return [][]byte{d}
		}, resolver.Insecure},
		{"good SHA-1 beside bad SHA-256", func(z *signedtree.Zone) [][]byte {
			one, _ := z.KSK.Key.DS(z.Name, dnssec.DigestSHA1)
			d := slices.Clone(z.DS[0])
			d[10] ^= 1
			return [][]byte{one, d}
		}, resolver.Bogus},
		{"SHA-1 alone", func(z *signedtree.Zone) [][]byte {
			one, _ := z.KSK.Key.DS(z.Name, dnssec.DigestSHA1)
			return [][]byte{one}
		}, resolver.Secure},
		{"SHA-384", func(z *signedtree.Zone) [][]byte {
			d, _ := z.KSK.Key.DS(z.Name, dnssec.DigestSHA384)
			return [][]byte{d}
		}, resolver.Secure},
		{"nine bad ones before the good one", func(z *signedtree.Zone) [][]byte {
			var out [][]byte
			for i := range dnssec.MaxDSPerZone + 1 {
				d := slices.Clone(z.DS[0])
				d[0] ^= byte(i + 1) // other key tags sort in front or behind
				out = append(out, d)
			}
			return out
		}, resolver.Bogus},
	} {
		w, _ := under(signedtree.Options{Edit: func(z *signedtree.Zone) { z.DS = c.ds(z) }}, "www A 192.0.2.1")
		if v, _, _ := w.ask("www.x.", dns.TypeA); v.Sec != c.want {
			t.Errorf("%s: %s, want %s", c.what, secName(v.Sec), secName(c.want))
		}
	}
}

// RSASHA1 is unsupported unless the operator says otherwise (RFC 9905).
func TestSHA1(t *testing.T) {
	for _, alg := range []dnssec.Algorithm{dnssec.RSASHA1, dnssec.RSASHA1NSEC3} {
		w, _ := under(signedtree.Options{Algorithm: alg}, "www A 192.0.2.1")
		w.expect(t, "www.x. A insecure 1", "nx.x. A insecure")
		cfg := w.v.cfg
		cfg.Policy.SHA1 = true
		w.v.SetConfig(cfg)
		w.expect(t, "www.x. A secure", "nx.x. A secure")
	}
}

// Key tags that collide in an honest zone must not matter.
func TestKeyTagCollision(t *testing.T) {
	w, _ := under(signedtree.Options{Forge: func(z *signedtree.Zone) {
		dk := set(z, "x.", dns.TypeDNSKEY)
		dk.Data = append(sameTag(z.ZSK.Key, 2), dk.Data...)
		z.Sign(dk)
	}}, "www A 192.0.2.1")
	w.expect(t, "www.x. A secure")
}

// Revoked keys sign nothing but their own revocation (RFC 5011, section 2.1).
func TestRevokedKey(t *testing.T) {
	w, _ := under(signedtree.Options{Edit: func(z *signedtree.Zone) {
		z.ZSK = z.ZSK.WithFlags(dnssec.FlagZone | dnssec.FlagRevoke)
		set(z, "x.", dns.TypeDNSKEY).Data[0] = z.ZSK.Data
	}}, "www A 192.0.2.1")
	if v, _, _ := w.ask("www.x.", dns.TypeA); v.Sec != resolver.Bogus {
		t.Errorf("revoked ZSK: %s", secName(v.Sec))
	}
	w, _ = under(signedtree.Options{OneKey: true, Edit: func(z *signedtree.Zone) {
		z.KSK = z.KSK.WithFlags(dnssec.FlagZone | dnssec.FlagSEP | dnssec.FlagRevoke)
		z.ZSK = z.KSK
		set(z, "x.", dns.TypeDNSKEY).Data[0] = z.KSK.Data
		ds, _ := z.KSK.Key.DS(z.Name, dnssec.DigestSHA256)
		z.DS = [][]byte{ds}
	}}, "www A 192.0.2.1")
	if v, _, _ := w.ask("www.x.", dns.TypeA); v.Sec != resolver.Bogus {
		t.Errorf("revoked key in DS: %s", secName(v.Sec))
	}
	w, _ = under(signedtree.Options{Edit: func(z *signedtree.Zone) {
		z.ZSK = z.ZSK.WithFlags(0)
		set(z, "x.", dns.TypeDNSKEY).Data[0] = z.ZSK.Data
	}}, "www A 192.0.2.1")
	w.expect(t, "www.x. A bogus 11")
}

// Clock: signatures end, begin, and the 32 bits wrap in 2106; a link does not
// outlive the signature it stands on.
func TestClock(t *testing.T) {
	w, _ := under(signedtree.Options{Inception: testNow - 100, Expiration: testNow + 100}, "www A 192.0.2.1", "late A 192.0.2.2")
	w.expect(t, "www.x. A secure")
	w.now = testNow + 100
	w.expect(t, "www.x. A secure")
	w.now = testNow + 101
	w.expect(t, "www.x. A bogus 7", "late.x. A bogus 7")
	w.now = testNow // the clock jumps back: what was bad is not remembered for ever
	w.now += bogusTTL
	w.v.Forget()
	w.expect(t, "www.x. A secure")
	w.now = testNow - 101
	w.v.Forget()
	w.expect(t, "www.x. A bogus 8")

	tr := signedtree.New(0xffffff00)
	z := tr.Add("x.", signedtree.Options{Algorithm: p256}, "www A 192.0.2.1")
	w = newWorld(tr, z)
	w.now = 1<<32 + 1000 // after the wrap
	w.expect(t, "www.x. A secure")
	w.v.Forget()
	w.now = 1 << 31
	w.expect(t, "www.x. A bogus")

	w, _ = under(signedtree.Options{Inception: testNow + 50, Expiration: testNow - 50}, "www A 192.0.2.1")
	w.expect(t, "www.x. A bogus 25")
}

// TTLs never exceed what the signature says (RFC 4035, section 5.3.3).
func TestTTL(t *testing.T) {
	w, z := under(signedtree.Options{Inception: testNow - 100, Expiration: testNow + 40}, "www A 192.0.2.1")
	_, m, _ := w.ask("www.x.", dns.TypeA)
	if m.Answer[0].TTL != 40 {
		t.Errorf("TTL %d, the signature ends in 40 s", m.Answer[0].TTL)
	}
	s := set(z, "www.x.", dns.TypeA)
	s.TTL = 100000 // on the wire, not in the signature
	z.Opt.Expiration = testNow + 1000000
	s.TTL = 300
	z.Sign(s)
	s.TTL = 100000
	if _, m, _ = w.ask("www.x.", dns.TypeA); m.Answer[0].TTL != 300 {
		t.Errorf("TTL %d, original TTL 300", m.Answer[0].TTL)
	}
}

// A CNAME that the DNAME does not give.
func TestForgedAlias(t *testing.T) {
	w, z := under(signedtree.Options{}, "dn DNAME www", "www A 192.0.2.1")
	w.expect(t, "a.dn.x. A secure")
	n := signedtree.Name("a.dn.x.")
	a := z.Ask(n, dns.TypeA)
	a.Answer[1].Data = [][]byte{[]byte(signedtree.Name("evil.y."))}
	if v, _ := w.validate(parse(a.Wire(1, n, dns.TypeA), n, dns.TypeA)); v.Sec != resolver.Bogus {
		t.Error(secName(v.Sec))
	}
}

// The budget is one for the whole question, and its end is bogus, not insecure.
func TestBudgetEnds(t *testing.T) {
	w, _ := under(signedtree.Options{}, "www A 192.0.2.1")
	m := w.message(signedtree.Name("www.x."), dns.TypeA)
	for left := range 5 {
		w.v.Forget()
		b := resolver.NewBudget(resolver.Limits{})
		b.Crypto.Sigs = left
		f := &fetcher{w, map[signedtree.Key]*resolver.Message{}}
		var v resolver.Verdict
		for wait := true; wait; {
			var need resolver.Need
			if v, wait = w.v.Validate(testNow*resolver.Second, m, f, &b, &need); wait {
				n := dnsname.Name(need.Name[:need.Len])
				f.got[signedtree.Key{Name: n, Type: need.Type}] = w.message(n, need.Type)
			}
		}
		// root keys, DS, keys, www: four
		if (v.Sec == resolver.Secure) != (left >= 4) || left < 4 && v.Sec != resolver.Bogus {
			t.Errorf("%d signatures allowed: %s %s", left, secName(v.Sec), v.Text)
		}
	}
	w.expect(t, "www.x. A secure") // nothing of that is remembered
}

func TestLinksAreBounded(t *testing.T) {
	v := New(Config{})
	v.now = testNow
	for i := range maxLinks + 100 {
		v.put(signedtree.Name(fmt.Sprint("n", i, ".")), &link{kind: linkNoCut}, 100)
	}
	if len(v.links) != maxLinks || v.get(signedtree.Name("n5.")) != nil || v.get(signedtree.Name("n500.")) == nil {
		t.Error(len(v.links))
	}
}
