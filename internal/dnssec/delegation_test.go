package dnssec

import (
	"crypto/rand"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Which key a DS makes the entry to a zone, what the search for it may cost,
// and when a zone counts as insecure.
func TestVerifyKeys(t *testing.T) {
	zone := dnsname.Name("\x04test\x00")
	const now = 1_000_000
	key := func(flags uint16) *PrivateKey {
		k, err := Generate(rand.Reader, ED25519, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	set := func(signers ...*PrivateKey) *RRset {
		s := &RRset{Name: zone, Type: dns.TypeDNSKEY, TTL: 3600}
		for _, k := range signers {
			s.Data = append(s.Data, k.Data)
		}
		for _, k := range signers {
			sig, err := k.Sign(rand.Reader, s, zone, now-100, now+100)
			if err != nil {
				t.Fatal(err)
			}
			s.Sigs = append(s.Sigs, sig)
		}
		return s
	}
	ds := func(k *PrivateKey, change func(*DS)) []byte {
		data, _ := k.DS(zone, 2)
		if d, ok := ParseDS(data); ok && change != nil {
			change(&d)
			data = d.AppendData(nil)
		}
		return data
	}
	const zoneKey = FlagZone | 1 // RFC 4034, section 2.1.1: with the SEP bit
	k := key(zoneKey)
	revoked := k.WithFlags(zoneKey | FlagRevoke)
	noZone := k.WithFlags(1)
	spent := NewBudget()
	spent.DS = 1
	for _, c := range []struct {
		what   string
		set    *RRset
		ds     [][]byte
		budget Budget
		status Status
		reason Reason
	}{
		{"a match", set(k), [][]byte{ds(k, nil)}, NewBudget(), Secure, ReasonNone},
		{"a revoked key with a DS of its own", set(revoked), [][]byte{ds(revoked, nil)}, NewBudget(), Bogus, ReasonRevokedKey},
		{"a key of no zone with a DS of its own", set(noZone), [][]byte{ds(noZone, nil)}, NewBudget(), Bogus, ReasonNotZoneKey},
		{"a wrong digest", set(k), [][]byte{ds(k, func(d *DS) { d.Digest[0] ^= 1 })}, NewBudget(), Bogus, ReasonNoKeyMatchesDS},
		{"an unknown algorithm alone", set(k), [][]byte{ds(k, func(d *DS) { d.Algorithm = 200 })}, NewBudget(), Insecure,
			ReasonUnsupportedAlgorithm},
		{"an unknown digest alone", set(k), [][]byte{ds(k, func(d *DS) { d.DigestType = 200 })}, NewBudget(), Insecure,
			ReasonUnsupportedDigest},
		{"an unknown algorithm beside a wrong digest", set(k), [][]byte{ds(k, func(d *DS) { d.Algorithm = 200 }),
			ds(k, func(d *DS) { d.Digest[0] ^= 1 })}, NewBudget(), Bogus, ReasonNoKeyMatchesDS},
		{"more digests than are left, the right one last", set(k), [][]byte{ds(k, func(d *DS) { d.Digest[0] ^= 1 }), ds(k, nil)}, spent,
			Bogus, ReasonBudget},
	} {
		var v Verifier
		b := c.budget
		if got := v.VerifyKeys(Policy{}, c.set, c.ds, nil, now, &b); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %v, %v; want %v, %v", c.what, got.Status, got.Reason, c.status, c.reason)
		}
	}
}

// Of the DS records of one delegation only so many count, and what the comparison
// costs is known: HashTrap, where each is a digest to compute.
func TestManyDS(t *testing.T) {
	zone := dnsname.Name("\x04test\x00")
	const now = 1_000_000
	k, err := Generate(rand.Reader, ED25519, FlagZone|1, 0)
	if err != nil {
		t.Fatal(err)
	}
	set := &RRset{Name: zone, Type: dns.TypeDNSKEY, TTL: 3600, Data: [][]byte{k.Data}}
	sig, err := k.Sign(rand.Reader, set, zone, now-100, now+100)
	if err != nil {
		t.Fatal(err)
	}
	set.Sigs = [][]byte{sig}
	for _, c := range []struct {
		wrong  int // before the right one
		status Status
		reason Reason
		paid   int
	}{{0, Secure, ReasonNone, 1}, {7, Secure, ReasonNone, 8}, {8, Bogus, ReasonNoKeyMatchesDS, 8}, {60, Bogus, ReasonNoKeyMatchesDS, 8}} {
		good, _ := k.DS(zone, 2)
		var ds [][]byte
		for i := range c.wrong {
			d, _ := k.DS(zone, 2)
			d[4+i%32] ^= byte(1 + i/32)
			ds = append(ds, d)
		}
		var v Verifier
		b := NewBudget()
		got := v.VerifyKeys(Policy{}, set, append(ds, good), nil, now, &b)
		_, _, paid, _ := b.Spent()
		if got.Status != c.status || got.Reason != c.reason || paid != c.paid {
			t.Errorf("%d wrong ones first: %v, %v, %d digests; want %v, %v, %d", c.wrong, got.Status, got.Reason, paid, c.status, c.reason, c.paid)
		}
	}
	// The same for keys of one tag: each costs a digest for each DS, and the
	// question's budget ends it.
	var data [][]byte
	for i := range 20 {
		d := append([]byte(nil), k.Data...)
		d[4], d[6] = d[4]^byte(i+1), d[6]^byte(i+1)
		if KeyTag(d) != k.Tag {
			d = append([]byte(nil), k.Data...)
		}
		data = append(data, d)
	}
	var ds [][]byte
	for i := range 8 {
		d, _ := k.DS(zone, 2)
		d[4+i] ^= 1
		ds = append(ds, d)
	}
	var v Verifier
	b := NewBudget()
	got := v.VerifyKeys(Policy{}, &RRset{Name: zone, Type: dns.TypeDNSKEY, TTL: 3600, Data: data}, ds, nil, now, &b)
	if _, _, paid, _ := b.Spent(); got.Status != Bogus || got.Reason != ReasonBudget || paid != 64 {
		t.Errorf("20 keys by 8 DS: %v, %v, %d digests; want bogus, %v, 64", got.Status, got.Reason, paid, ReasonBudget)
	}
}
