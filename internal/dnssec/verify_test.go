package dnssec

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

const testNow = 1_000_000

func newKey(t testing.TB, flags uint16) *PrivateKey {
	t.Helper()
	k, err := Generate(rand.Reader, ED25519, flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rrset makes a signed RRset of records in presentation form; change, if not
// nil, changes the fields of the signature before it is made.
func rrset(t testing.TB, k *PrivateKey, signer string, change func(*RRSIG), lines ...string) *RRset {
	t.Helper()
	set := &RRset{}
	for _, line := range lines {
		r := rr(t, line)
		set.Name, set.Type, set.TTL = r.Name, r.Type, r.TTL
		set.Data = append(set.Data, r.Data)
	}
	s := RRSIG{Covered: set.Type, Algorithm: k.Algorithm, Labels: uint8(dnsname.Labels(set.Name)), OriginalTTL: set.TTL,
		Expiration: testNow + 100, Inception: testNow - 100, KeyTag: k.Tag, Signer: nm(signer)}
	if change != nil {
		change(&s)
	}
	sig, err := k.SignAs(rand.Reader, set, s)
	if err != nil {
		t.Fatal(err)
	}
	set.Sigs = [][]byte{sig}
	return set
}

// Signatures that are all good mathematically, and what else has to be so (RFC
// 4035, sections 5.3.1 to 5.3.3).
func TestVerify(t *testing.T) {
	k := newKey(t, FlagZone)
	odd := func(i int, to byte) *PrivateKey { // the same key with another byte in its record
		p, _ := Policy{}.ParseKey(slices.Replace(slices.Clone(k.Data), i, i+1, to))
		return &PrivateKey{p, k.signer}
	}
	protocol, noZone, revoked := odd(2, 2), odd(0, 0), odd(1, FlagRevoke)
	double := func(s *RRset) *RRset {
		s.Data = append(s.Data, bytes.ToUpper(s.Data[0]), s.Data[0])
		return s
	}
	many := func(n int) *RRset {
		s := rrset(t, k, "x.", nil, "x. A 192.0.2.1")
		s.Data = nil
		for i := range n {
			s.Data = append(s.Data, binary.BigEndian.AppendUint32(nil, uint32(i)))
		}
		s.Sigs[0], _ = k.Sign(rand.Reader, &RRset{Name: s.Name, Type: s.Type, TTL: s.TTL, Data: s.Data[:min(n, MaxRRsPerSet)]}, nm("x."), testNow-100, testNow+100)
		return s
	}
	for _, c := range []struct {
		what   string
		set    *RRset
		key    *PrivateKey
		status Status
		reason Reason
	}{
		{"a good one", rrset(t, k, "x.", nil, "a.x. A 192.0.2.1"), k, Secure, ReasonNone},
		{"signer in capitals", rrset(t, k, "X.", nil, "A.x. A 192.0.2.1"), k, Secure, ReasonNone},
		{"signer above the zone", rrset(t, k, ".", nil, "a.x. A 192.0.2.1"), k, Bogus, ReasonSigner},
		{"signer below the zone", rrset(t, k, "a.x.", nil, "a.x. A 192.0.2.1"), k, Bogus, ReasonSigner},
		{"signer beside the zone", rrset(t, k, "y.", nil, "a.x. A 192.0.2.1"), k, Bogus, ReasonSigner},
		{"owner outside the zone", rrset(t, k, "x.", nil, "a.y. A 192.0.2.1"), k, Bogus, ReasonSigner},
		{"owner above the zone", rrset(t, k, "x.", nil, ". A 192.0.2.1"), k, Bogus, ReasonSigner},
		{"of another type", rrset(t, k, "x.", func(s *RRSIG) { s.Covered = dns.TypeTXT }, "a.x. A 192.0.2.1"), k, Bogus, ReasonMalformedSignature},
		{"of another algorithm", rrset(t, k, "x.", func(s *RRSIG) { s.Algorithm = ED448 }, "a.x. A 192.0.2.1"), k, Bogus, ReasonNoKey},
		{"of another tag", rrset(t, k, "x.", func(s *RRSIG) { s.KeyTag++ }, "a.x. A 192.0.2.1"), k, Bogus, ReasonNoKey},
		// RFC 4034, sections 2.1.1 and 2.1.2
		{"key of another protocol", rrset(t, protocol, "x.", nil, "a.x. A 192.0.2.1"), protocol, Bogus, ReasonKeyProtocol},
		{"key of no zone", rrset(t, noZone, "x.", nil, "a.x. A 192.0.2.1"), noZone, Bogus, ReasonNotZoneKey},
		// RFC 5011, section 2.1
		{"revoked key", rrset(t, revoked, "x.", nil, "a.x. A 192.0.2.1"), revoked, Bogus, ReasonRevokedKey},
		{"revoked key over the keys", rrset(t, revoked, "x.", nil, "x. DNSKEY 256 3 8 AAAA"), revoked, Secure, ReasonNone},
		// RFC 4034, section 6.3: doubles count once, seen after letter case is gone
		{"doubles", double(rrset(t, k, "x.", nil, "a.x. NS ns.x.")), k, Secure, ReasonNone},
		{"doubles where letter case counts", double(rrset(t, k, "x.", nil, "a.x. TXT ns.x.")), k, Bogus, ReasonBadSignature},
		{"the most records", many(MaxRRsPerSet), k, Secure, ReasonNone},
		{"one more", many(MaxRRsPerSet + 1), k, Bogus, ReasonTooMany},
		{"no records", many(0), k, Bogus, ReasonTooMany},
	} {
		var v Verifier
		b := NewBudget()
		if got := v.Verify(c.set, nm("x."), []*Key{c.key.Key}, testNow, &b); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %v, %q; want %v, %q", c.what, got.Status, got.Reason, c.status, c.reason)
		}
	}
}

// What a good signature says beside that it is one: whether the owner was made by
// a wildcard (RFC 4034, section 3.1.3), and how long the data live: the least of
// TTL, original TTL and what is left of the signature (RFC 4035, section 5.3.3).
func TestVerdict(t *testing.T) {
	k := newKey(t, FlagZone)
	wild := rrset(t, k, "x.", func(s *RRSIG) { s.Labels = 1 }, "*.x. 50 A 192.0.2.1")
	at := func(s *RRset, name string, ttl uint32) *RRset {
		c := *s
		c.Name, c.TTL = nm(name), ttl
		return &c
	}
	for _, c := range []struct {
		set      *RRset
		labels   uint8
		wildcard bool
		ttl      uint32
	}{
		{wild, 1, false, 50}, {at(wild, "a.x.", 50), 1, true, 50}, {at(wild, "*.a.x.", 50), 1, true, 50},
		{at(wild, "a.x.", 20), 1, true, 20}, {at(wild, "a.x.", 90), 1, true, 50},
		{rrset(t, k, "x.", nil, "a.x. 5000 A 192.0.2.1"), 2, false, 100},
	} {
		var v Verifier
		b := NewBudget()
		got := v.Verify(c.set, nm("x."), []*Key{k.Key}, testNow, &b)
		if got.Status != Secure || got.Labels != c.labels || got.Wildcard != c.wildcard || got.TTL != c.ttl {
			t.Errorf("%s, TTL %d: %+v; want %+v", c.set.Name, c.set.TTL, got, c)
		}
	}
}

// Signatures in vain end an RRset, and several such RRsets the question; good ones
// are limited by question alone.
func TestBudget(t *testing.T) {
	k := newKey(t, FlagZone)
	good := rrset(t, k, "x.", nil, "a.x. A 192.0.2.1")
	spoilt := func(n int) *RRset { // n bad signatures before the good one
		s := *good
		s.Sigs = nil
		for i := range n {
			bad := slices.Clone(good.Sigs[0])
			bad[len(bad)-1-i] ^= 1
			s.Sigs = append(s.Sigs, bad)
		}
		s.Sigs = append(s.Sigs, good.Sigs[0])
		return &s
	}
	var v Verifier
	b := NewBudget()
	verify := func(what string, s *RRset, status Status, reason Reason, sigs, bad int) {
		t.Helper()
		got := v.Verify(s, nm("x."), []*Key{k.Key}, testNow, &b)
		if paid, vain, _, _ := b.Spent(); got.Status != status || got.Reason != reason || paid != sigs || vain != bad {
			t.Errorf("%s: %v, %q, %d tried, %d in vain; want %v, %q, %d, %d", what, got.Status, got.Reason, paid, vain, status, reason, sigs, bad)
		}
	}
	verify("one in vain", spoilt(1), Secure, ReasonNone, 2, 1)
	verify("two in vain", spoilt(2), Bogus, ReasonTooMany, 4, 3)
	verify("60 in vain", spoilt(60), Bogus, ReasonTooMany, 6, 5)
	verify("two in vain", spoilt(2), Bogus, ReasonTooMany, 8, 7)
	verify("the eighth in vain", spoilt(1), Bogus, ReasonBudget, 9, 8)
	verify("a good one after eight in vain", good, Bogus, ReasonBudget, 9, 8)
	b = NewBudget()
	for i := range MaxSigsPerQuestion {
		verify("good ones", good, Secure, ReasonNone, i+1, 0)
	}
	verify("one too many", good, Bogus, ReasonBudget, MaxSigsPerQuestion, 0)
}

// Which public keys are checked with. RFC 3110, sections 2 and 3, for RSA: sizes,
// the two forms of the exponent's length; an even exponent has no inverse.
func TestSupported(t *testing.T) {
	rsa := func(exponent string, bits, zeros int) string {
		m := make([]byte, (bits+7)/8)
		m[0] = 1 << ((bits - 1) % 8)
		m[len(m)-1] |= 1
		return string(byte(len(exponent))) + exponent + strings.Repeat("\x00", zeros) + string(m)
	}
	const f4 = "\x01\x00\x01"
	ec, err := Generate(rand.Reader, ECDSAP256SHA256, FlagZone, 0)
	if err != nil {
		t.Fatal(err)
	}
	point := string(ec.Data[4:])
	for _, c := range []struct {
		what string
		alg  Algorithm
		key  string
		want bool
	}{
		{"1024 bits", RSASHA256, rsa(f4, 1024, 0), true},
		{"1023 bits", RSASHA256, rsa(f4, 1023, 0), false},
		{"4096 bits", RSASHA512, rsa(f4, 4096, 0), true},
		{"4097 bits", RSASHA512, rsa(f4, 4097, 0), false},
		{"4104 bits", RSASHA512, rsa(f4, 4104, 0), false},
		{"4096 bits and a zero before", RSASHA512, rsa(f4, 4096, 1), true},
		// not even looked at
		{"4096 bits and zeros before", RSASHA512, rsa(f4, 4096, 2), false},
		{"an even modulus", RSASHA256, rsa(f4, 1024, 0)[:4+127] + "\x02", false},
		{"exponent 3", RSASHA256, rsa("\x03", 1024, 0), true},
		{"exponent 1", RSASHA256, rsa("\x01", 1024, 0), false},
		{"an even exponent", RSASHA256, rsa("\x01\x00\x00", 1024, 0), false},
		{"an exponent of 64 bits", RSASHA256, rsa("\x80\x00\x00\x00\x00\x00\x00\x01", 1024, 0), true},
		{"an exponent of 65 bits", RSASHA256, rsa("\x01\x00\x00\x00\x00\x00\x00\x00\x01", 1024, 0), false},
		{"no exponent", RSASHA256, "\x00\x00\x00" + rsa("", 1024, 0)[1:], false},
		{"an exponent's length of three bytes", RSASHA256, "\x00\x00" + rsa(f4, 1024, 0), true},
		{"an exponent and nothing else", RSASHA256, "\x03\x01\x00\x01", false},
		{"an exponent longer than the modulus", RSASHA256, "\x82" + strings.Repeat("\x00", 129) + "\x03" + rsa("", 1024, 0)[1:], false},
		{"nothing", RSASHA256, "", false},
		{"half a length", RSASHA256, "\x00\x01", false},
		{"SHA-1", RSASHA1, rsa(f4, 1024, 0), false}, // RFC 9905, section 2
		{"a point", ECDSAP256SHA256, point, true},
		{"a point of the wrong length", ECDSAP256SHA256, point + "\x00", false},
		{"a point of another curve", ECDSAP384SHA384, point, false},
		{"a point beside the curve", ECDSAP256SHA256, point[:63] + string(point[63]^1), false},
		{"Ed25519", ED25519, strings.Repeat("\x01", 32), true},
		{"Ed25519, cut short", ED25519, strings.Repeat("\x01", 31), false},
		{"Ed448", ED448, strings.Repeat("\x01", 57), true},
		{"Ed448, cut short", ED448, strings.Repeat("\x01", 56), false},
		{"an unknown algorithm", 200, strings.Repeat("\x01", 32), false},
	} {
		k, ok := Policy{}.ParseKey(append([]byte{1, 0, 3, byte(c.alg)}, c.key...))
		if !ok || k.Supported() != c.want {
			t.Errorf("%s: supported %v, want %v", c.what, !c.want, c.want)
		}
	}
}
