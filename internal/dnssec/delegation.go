package dnssec

import (
	"bytes"
	"crypto/sha512"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Keys are the proven keys of a zone.
type Keys struct {
	Zone dnsname.Name
	Keys []*Key
	Verdict
}

// parseKeys reads a DNSKEY RRset.
func (p Policy) parseKeys(set *RRset) ([]*Key, Reason) {
	if len(set.Data) == 0 {
		return nil, ReasonNoDNSKEY
	}
	if len(set.Data) > MaxKeysPerZone {
		return nil, ReasonTooMany
	}
	keys := make([]*Key, 0, len(set.Data))
	for _, d := range set.Data {
		if k, ok := p.ParseKey(d); ok {
			keys = append(keys, k)
		}
	}
	return keys, ReasonNone
}

// VerifyKeys checks a DNSKEY RRset against the DS records of its delegation or
// of a trust anchor (RFC 4035, section 5.2): a zone key must match a DS and its
// signature must cover the DNSKEY RRset; any one path is enough (RFC 6840,
// section 5.11). anchors are whole keys to be trusted, used beside ds.
//
// Insecure comes out only when no DS names a supported algorithm and digest, or
// when every matching key is one that cannot be checked here.
func (v *Verifier) VerifyKeys(p Policy, set *RRset, ds [][]byte, anchors []*Key, now uint32, b *Budget) Keys {
	res := Keys{Zone: set.Name.Lower()}
	usable, why := p.Usable(ds)
	if len(usable) == 0 && len(anchors) == 0 {
		res.Verdict = Verdict{Status: Insecure, Reason: why, TTL: set.TTL}
		return res
	}
	keys, why := p.parseKeys(set)
	if why != ReasonNone {
		res.Verdict = Verdict{Status: Bogus, Reason: why}
		return res
	}
	if len(usable) > MaxDSPerZone {
		usable = usable[:MaxDSPerZone]
	}
	// entry holds the keys that a DS or an anchor vouches for.
	var entry []*Key
	best := Verdict{Status: Bogus, Reason: ReasonNoKeyMatchesDS}
	unsupported := 0
	for _, k := range keys {
		ok := false
		for _, a := range anchors {
			ok = ok || sameKey(a.Data, k.Data)
		}
		for i := range usable {
			d := &usable[i]
			if ok || d.KeyTag != k.Tag || d.Algorithm != k.Algorithm {
				continue
			}
			if !pay(&b.DS, 1) {
				res.Verdict = Verdict{Status: Bogus, Reason: ReasonBudget}
				return res
			}
			var buf [sha512.Size384]byte
			digest, known := AppendDigest(buf[:0], d.DigestType, set.Name, k.Data)
			ok = known && bytes.Equal(digest, d.Digest)
		}
		if !ok {
			continue
		}
		if r := k.ZoneKey(); r != ReasonNone {
			// RFC 5011, section 2.1: a revoked key is no entry any more
			best.Reason = r
			continue
		}
		if !k.Supported() {
			unsupported++
			continue
		}
		entry = append(entry, k)
	}
	if len(entry) == 0 {
		if unsupported > 0 {
			best = Verdict{Status: Insecure, Reason: ReasonUnsupportedKey, TTL: set.TTL}
		}
		res.Verdict = best
		return res
	}
	res.Verdict = v.Verify(set, set.Name, entry, now, b)
	if res.Status == Bogus && (res.Reason == ReasonNoKey || res.Reason == ReasonSigner) {
		res.Reason = ReasonKeyNotSigned
	}
	if res.Status != Secure {
		return res
	}
	// All of them, that Verify can say why one does not count.
	res.Keys = keys
	return res
}

// sameKey compares key data without regard to the flags that RFC 5011 changes.
func sameKey(a, b []byte) bool {
	return len(a) == len(b) && len(a) >= 4 && a[2] == b[2] && bytes.Equal(a[3:], b[3:])
}

// SignerZone gives the signer that the signatures of a set name, if all agree
// and it stands at or above the owner: the zone the set claims to be of. DS
// RRsets are signed by the parent, so there the signer must be above. False
// without usable signatures.
func SignerZone(set *RRset) (dnsname.Name, bool) {
	for _, data := range set.Sigs {
		n := SignerOf(data)
		if n == nil || !dnsname.IsBelow(set.Name, n) {
			continue
		}
		if set.Type == dns.TypeDS && len(n) == len(set.Name) && len(n) > 1 {
			continue
		}
		return dnsname.Name(n).Lower(), true
	}
	return "", false
}
