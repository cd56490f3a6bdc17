package dnssec

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Which key a DS makes the entry to a zone, what the search for it may cost,
// and when a zone counts as insecure.
func TestVerifyKeys(t *testing.T) {
	zone := dnsname.Name("\x04test\x00")
	const now = testNow
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
	k := newKey(t, zoneKey)
	revoked := k.WithFlags(zoneKey | FlagRevoke)
	noZone := k.WithFlags(1)
	other := newKey(t, FlagZone)
	// keys whose records are not the ones above with other fields
	parsed := func(data []byte) *PrivateKey {
		p, _ := Policy{}.ParseKey(data)
		return &PrivateKey{p, k.signer}
	}
	protocol := parsed(slices.Replace(slices.Clone(k.Data), 2, 3, 2))
	short := parsed(k.Data[:len(k.Data)-1])
	// signed by another key of the zone than that of the DS
	by := func(signer *PrivateKey, keys ...*PrivateKey) *RRset {
		s := set(keys...)
		s.Sigs = nil
		sig, err := signer.Sign(rand.Reader, s, zone, now-100, now+100)
		if err != nil {
			t.Fatal(err)
		}
		s.Sigs = [][]byte{sig}
		return s
	}
	many := func(n int) *RRset {
		keys := []*PrivateKey{k}
		for len(keys) < n {
			keys = append(keys, parsed(append(slices.Clone(k.Data), byte(len(keys)))))
		}
		return by(k, keys...)
	}
	sha1DS, _ := k.DS(zone, DigestSHA1)
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
		// RFC 4509, section 3
		{"SHA-1 alone", set(k), [][]byte{sha1DS}, NewBudget(), Secure, ReasonNone},
		{"SHA-1 beside a wrong SHA-256", set(k), [][]byte{sha1DS, ds(k, func(d *DS) { d.Digest[0] ^= 1 })}, NewBudget(), Bogus, ReasonNoKeyMatchesDS},
		{"SHA-1 beside an unknown digest", set(k), [][]byte{sha1DS, ds(k, func(d *DS) { d.DigestType = 200 })}, NewBudget(), Secure, ReasonNone},
		{"an unknown algorithm beside a wrong digest", set(k), [][]byte{ds(k, func(d *DS) { d.Algorithm = 200 }),
			ds(k, func(d *DS) { d.Digest[0] ^= 1 })}, NewBudget(), Bogus, ReasonNoKeyMatchesDS},
		{"a key of another protocol with a DS of its own", set(protocol), [][]byte{ds(protocol, nil)}, NewBudget(), Bogus, ReasonKeyProtocol},
		// RFC 4035, section 5.2: algorithm and tag have to match too
		{"another algorithm over the right digest", set(k), [][]byte{ds(k, func(d *DS) { d.Algorithm = ED448 })}, NewBudget(), Bogus,
			ReasonNoKeyMatchesDS},
		{"another tag over the right digest", set(k), [][]byte{ds(k, func(d *DS) { d.KeyTag++ })}, NewBudget(), Bogus, ReasonNoKeyMatchesDS},
		{"another key beside", set(k, other), [][]byte{ds(k, nil)}, NewBudget(), Secure, ReasonNone},
		{"signed by the other key alone", by(other, k, other), [][]byte{ds(k, nil)}, NewBudget(), Bogus, ReasonKeyNotSigned},
		{"a key that cannot be checked with", by(other, short), [][]byte{ds(short, nil)}, NewBudget(), Insecure, ReasonUnsupportedKey},
		{"the same beside one that can", by(k, k, short), [][]byte{ds(short, nil), ds(k, nil)}, NewBudget(), Secure, ReasonNone},
		{"the same beside one that did not sign", by(other, k, short), [][]byte{ds(short, nil), ds(k, nil)}, NewBudget(), Bogus, ReasonKeyNotSigned},
		{"the most keys", many(MaxKeysPerZone), [][]byte{ds(k, nil)}, NewBudget(), Secure, ReasonNone},
		{"one more", many(MaxKeysPerZone + 1), [][]byte{ds(k, nil)}, NewBudget(), Bogus, ReasonTooMany},
		{"no keys", &RRset{Name: zone, Type: dns.TypeDNSKEY}, [][]byte{ds(k, nil)}, NewBudget(), Bogus, ReasonNoDNSKEY},
		{"more digests than are left, the right one last", set(k), [][]byte{ds(k, func(d *DS) { d.Digest[0] ^= 1 }), ds(k, nil)}, spent,
			Bogus, ReasonBudget},
	} {
		var v Verifier
		b := c.budget
		if got := v.VerifyKeys(Policy{}, c.set, c.ds, nil, now, &b); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %v, %v; want %v, %v", c.what, got.Status, got.Reason, c.status, c.reason)
		}
	}
	// Whole keys as anchors: the same but for flags, that a revocation is seen.
	// The tag is a sum of words: it stays when two of them change places.
	words := slices.Clone(k.Data)
	for i := 6; bytes.Equal(words, k.Data); i += 2 {
		words[4], words[5], words[i], words[i+1] = words[i], words[i+1], words[4], words[5]
	}
	twin := parsed(words)
	if twin.Tag != k.Tag {
		t.Fatal("tags differ")
	}
	for _, c := range []struct {
		what   string
		set    *RRset
		anchor *PrivateKey
		status Status
		reason Reason
	}{
		{"the anchor", set(k), k, Secure, ReasonNone},
		{"with other flags", set(k), k.WithFlags(FlagZone), Secure, ReasonNone},
		{"revoked", set(revoked), k, Bogus, ReasonRevokedKey},
		{"another key of the same tag", set(k), twin, Bogus, ReasonNoKeyMatchesDS},
		{"the same bytes for another protocol", set(k), protocol, Bogus, ReasonNoKeyMatchesDS},
		{"another key", set(k), other, Bogus, ReasonNoKeyMatchesDS},
	} {
		var v Verifier
		b := NewBudget()
		if got := v.VerifyKeys(Policy{}, c.set, nil, []*Key{c.anchor.Key}, now, &b); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("anchor, %s: %v, %v; want %v, %v", c.what, got.Status, got.Reason, c.status, c.reason)
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
