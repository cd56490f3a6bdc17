package dnssec

import (
	"crypto/rand"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

const day = 86400

// keySet signs a DNSKEY RRset with some of its keys.
func keySet(t *testing.T, now int64, keys []*PrivateKey, signers ...*PrivateKey) *RRset {
	set := &RRset{Name: dnsname.Root, Type: dns.TypeDNSKEY, TTL: 172800}
	for _, k := range keys {
		set.Data = append(set.Data, k.Data)
	}
	for _, k := range signers {
		sig, err := k.Sign(rand.Reader, set, dnsname.Root, uint32(now-day), uint32(now+10*day))
		if err != nil {
			t.Fatal(err)
		}
		set.Sigs = append(set.Sigs, sig)
	}
	return set
}

func ksk(t *testing.T) *PrivateKey {
	k, err := Generate(rand.Reader, ECDSAP256SHA256, FlagZone|FlagSEP, 0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// observe validates as the program does, passes the set on, and writes and
// reads the file in between.
func observe(t *testing.T, p *TrustPoint, set *RRset, now int64) (*TrustPoint, bool) {
	t.Helper()
	a := p.Anchor()
	var keys []*Key
	for _, d := range a.Keys {
		k, _ := Policy{}.ParseKey(d)
		keys = append(keys, k)
	}
	var v Verifier
	b := NewBudget()
	valid := v.VerifyKeys(Policy{}, set, a.DS, keys, uint32(now), &b).Status == Secure
	_, again := p.Observe(set, valid, now, &b)
	if again < minProbe || again > maxProbe {
		t.Errorf("again in %d s", again)
	}
	text := FormatPoints([]*TrustPoint{p})
	back, err := ParsePoints(text)
	if err != nil || len(back) != 1 && len(p.DS)+len(p.Keys) > 0 {
		t.Fatalf("%v\n%s", err, text)
	}
	if got := UpdateAnchors(text, back); string(got) != string(text) {
		t.Fatalf("not the same:\n%s\n%s", text, got)
	}
	if len(back) == 1 {
		p = back[0]
	}
	return p, valid
}

func states(p *TrustPoint, keys ...*PrivateKey) string {
	var s []string
	for _, k := range keys {
		if i := p.find(k.Data); i >= 0 {
			s = append(s, p.Keys[i].State.String())
		} else {
			s = append(s, "-")
		}
	}
	return strings.Join(s, " ")
}

// A whole roll: DS, first key, second key pending and accepted, the first one
// revoked and forgotten.
func TestRollover(t *testing.T) {
	a, b, c := ksk(t), ksk(t), ksk(t)
	now := int64(1800000000)
	ds, _ := a.Key.DS(dnsname.Root, DigestSHA256)
	p := &TrustPoint{Name: dnsname.Root, DS: [][]byte{ds}}
	step := func(want string, set *RRset) {
		t.Helper()
		p, _ = observe(t, p, set, now)
		if got := states(p, a, b); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	step("valid -", keySet(t, now, []*PrivateKey{a}, a))
	if len(p.DS) != 0 {
		t.Error("DS is still there")
	}
	now += day
	step("valid addpend", keySet(t, now, []*PrivateKey{a, b}, a))
	now += 29 * day
	step("valid addpend", keySet(t, now, []*PrivateKey{a, b}, a))
	now += 2 * day
	step("valid valid", keySet(t, now, []*PrivateKey{a, b}, a))
	// an attacker with no trusted key changes nothing
	step("valid valid", keySet(t, now, []*PrivateKey{a, b, c}, c))
	if states(p, c) != "-" {
		t.Error("key of an unsigned set is followed")
	}
	now += day
	step("missing valid", keySet(t, now, []*PrivateKey{b}, b))
	now += day
	step("valid valid", keySet(t, now, []*PrivateKey{a, b}, b))
	now += day
	// revoked in a set that the other key signs too
	ra := a.WithFlags(FlagZone | FlagSEP | FlagRevoke)
	step("revoked valid", keySet(t, now, []*PrivateKey{ra, b}, ra, b))
	if anchor := p.Anchor(); len(anchor.Keys) != 1 {
		t.Error(len(anchor.Keys), "keys trusted")
	}
	// the revoked key alone is no way back
	now += day
	if p2, valid := observe(t, p, keySet(t, now, []*PrivateKey{a, b}, a), now); valid || states(p2, a) != "revoked" {
		t.Error("a revoked key signs again")
	}
	now += 31 * day
	step("- valid", keySet(t, now, []*PrivateKey{b}, b))
}

// A REVOKE bit that the key itself has not signed does nothing.
func TestRevocationNeedsItsSignature(t *testing.T) {
	a, b := ksk(t), ksk(t)
	now := int64(1800000000)
	p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}, {Data: b.Data, State: KeyValid}}}
	ra := a.WithFlags(FlagZone | FlagSEP | FlagRevoke)
	p, _ = observe(t, p, keySet(t, now, []*PrivateKey{ra, b}, b), now)
	if got := states(p, a, b); got != "missing valid" {
		t.Error(got)
	}
}

// A pending key that vanishes starts again (RFC 5011, section 4.2).
func TestPendingKeyVanishes(t *testing.T) {
	a, b := ksk(t), ksk(t)
	now := int64(1800000000)
	p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}}}
	p, _ = observe(t, p, keySet(t, now, []*PrivateKey{a, b}, a), now)
	now += 20 * day
	p, _ = observe(t, p, keySet(t, now, []*PrivateKey{a}, a), now)
	if got := states(p, b); got != "-" {
		t.Error(got)
	}
	p, _ = observe(t, p, keySet(t, now, []*PrivateKey{a, b}, a), now)
	now += 20 * day
	p, _ = observe(t, p, keySet(t, now, []*PrivateKey{a, b}, a), now)
	if got := states(p, b); got != "addpend" {
		t.Error(got)
	}
}

// The keys roll while the server is down: with both keys built in, as the
// root's are, it goes on.
func TestRolledWhileDown(t *testing.T) {
	a, b := ksk(t), ksk(t)
	now := int64(1800000000)
	da, _ := a.Key.DS(dnsname.Root, DigestSHA256)
	db, _ := b.Key.DS(dnsname.Root, DigestSHA256)
	p := &TrustPoint{Name: dnsname.Root, DS: [][]byte{da, db}}
	p, _ = observe(t, p, keySet(t, now, []*PrivateKey{a}, a), now)
	if len(p.DS) != 1 {
		t.Error("the DS of the coming key is gone")
	}
	now += 400 * day
	p, valid := observe(t, p, keySet(t, now, []*PrivateKey{b}, b), now)
	if !valid || states(p, a, b) != "missing valid" {
		t.Error(valid, states(p, a, b))
	}
}

func TestManyKeysAreBounded(t *testing.T) {
	a := ksk(t)
	keys := []*PrivateKey{a}
	for range 3 * maxTracked {
		keys = append(keys, ksk(t))
	}
	p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}}}
	p, _ = observe(t, p, keySet(t, 1800000000, keys, a), 1800000000)
	if len(p.Keys) != maxTracked {
		t.Error(len(p.Keys))
	}
}

func TestParseAnchorsErrors(t *testing.T) {
	for _, bad := range []string{"x", ". IN", ". IN DS", ". IN A 1.2.3.4", ". CH DS 1 2 3 4", ". IN DS 20326 8 2 XX", "a..b IN DS 1 8 2 00",
		". IN DNSKEY 0 3 8 AAAA", ". IN DNSKEY 385 3 8 AwEAAQ==", ". foo DS 1 8 2 00"} {
		if _, err := ParseAnchors([]byte(bad)); err == nil {
			t.Errorf("%s accepted", bad)
		}
	}
	for _, good := range []string{"", "; nothing\n\n# nothing\n", ". 3600 IN DS 20326 8 2 ( E06D44B8 0B8F1D39 ) ; root\n", "Example.COM. DS 1 8 2 00",
		". IN 300 DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="} {
		if _, err := ParseAnchors([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestParseNTAs(t *testing.T) {
	ns, err := ParseNTAs([]byte("# comment\nExample.com\nbroken.example. 2030-01-02 ; ticket 7\nx. 2030-01-02T03:04:05Z\n"))
	if err != nil || len(ns) != 3 || ns[0].Expires != 0 || ns[0].Name.String() != "example.com." || ns[1].Expires != 1893542400 || ns[2].Expires != 1893553445 {
		t.Errorf("%+v %v", ns, err)
	}
	for _, bad := range []string{"a b c", "a tomorrow", "a..b"} {
		if _, err := ParseNTAs([]byte(bad)); err == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}

func FuzzProofs(f *testing.F) {
	f.Add([]byte("\x01a\x00\x01b\x00\x00\x01\x40"), []byte{1, 0, 0, 0, 0, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0, 1, 0x40})
	f.Fuzz(func(t *testing.T, nsec, nsec3 []byte) {
		d := Denial{Zone: nm("x.")}
		d.Add(&RRset{Name: nm("a.x."), Type: dns.TypeNSEC, Data: [][]byte{nsec}})
		d.Add(&RRset{Name: nm("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.x."), Type: dns.TypeNSEC3, Data: [][]byte{nsec3}})
		b := NewBudget()
		for _, n := range []dnsname.Name{nm("x."), nm("a.x."), nm("b.a.x."), nm("*.x."), nm("y.")} {
			d.NXDomain(n, &b)
			d.NoData(n, dns.TypeDS, &b)
			d.Wildcard(n, 1, &b)
			d.NoDS(n, &b)
		}
		ParseRRSIG(nsec)
		ParseDS(nsec)
		Policy{SHA1: true}.ParseKey(nsec)
		Sentinel("\x01a\x00")
	})
}
