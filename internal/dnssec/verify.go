package dnssec

import (
	"bytes"
	"encoding/binary"
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// Verdict is the result of checking one RRset.
type Verdict struct {
	Status Status // Secure or Bogus
	Reason Reason
	KeyTag uint16 // of the signature that decided
	Alg    Algorithm

	// Labels is the label count of the good signature. Wildcard says that it
	// is lower than the owner's own: the RRset was expanded from a wildcard,
	// and is proven only together with a proof that the exact name does not
	// exist (RFC 4035, section 5.3.4).
	Labels   uint8
	Wildcard bool

	TTL                   uint32 // seconds the data may be kept (RFC 4035, section 5.3.3)
	Inception, Expiration uint32
}

// Verifier checks RRsets. It holds buffers; one goroutine uses it at a time.
type Verifier struct {
	signed []byte   // what the signature covers
	canon  []byte   // canonical forms of all records data, one after the other
	recs   [][]byte // the sorted, distinct ones
}

// Verify checks that set is signed by a key of zone, as RFC 4035, section 5.3,
// has it. Of several signatures one good one is enough (RFC 6840, section
// 5.4). now is in seconds since 1970 modulo 2^32. On Bogus the reason is that
// of the signature which came nearest.
func (v *Verifier) Verify(set *RRset, zone dnsname.Name, keys []*Key, now uint32, b *Budget) Verdict {
	best := Verdict{Status: Bogus, Reason: ReasonNoSignature}
	rank := 0
	fail := func(stage int, r Reason, s *RRSIG) {
		if stage > rank {
			rank = stage
			best = Verdict{Status: Bogus, Reason: r}
			if s != nil {
				best.KeyTag, best.Alg = s.KeyTag, s.Algorithm
				best.Inception, best.Expiration = s.Inception, s.Expiration
			}
		}
	}
	if len(set.Data) == 0 || len(set.Data) > MaxRRsPerSet {
		return Verdict{Status: Bogus, Reason: ReasonTooMany}
	}
	if !dnsname.IsBelow(set.Name, zone) {
		return Verdict{Status: Bogus, Reason: ReasonSigner}
	}
	owner := dnsname.Labels(set.Name)
	if dnsname.IsWildcard(set.Name) {
		owner-- // RFC 4034, section 3.1.3: neither root nor wildcard count
	}
	bad, canonical := 0, false
	for _, data := range set.Sigs {
		s, ok := ParseRRSIG(data)
		if !ok || s.Covered != set.Type {
			fail(1, ReasonMalformedSignature, nil)
			continue
		}
		if !dnsname.Equal(s.Signer, zone) {
			fail(2, ReasonSigner, &s)
			continue
		}
		if r := checkLabels(&s, set, owner, zone); r != ReasonNone {
			fail(4, r, &s)
			continue
		}
		if r := checkTime(&s, now); r != ReasonNone {
			fail(5, r, &s)
			continue
		}
		found := false
		for _, k := range keys {
			if k.Tag != s.KeyTag || k.Algorithm != s.Algorithm {
				continue
			}
			if r := k.ZoneKey(); r != ReasonNone && !(r == ReasonRevokedKey && set.Type == dns.TypeDNSKEY) {
				fail(6, r, &s)
				continue
			}
			if !k.Supported() {
				fail(3, ReasonUnsupportedAlgorithm, &s)
				continue
			}
			found = true
			if bad == MaxBadPerRRset {
				return Verdict{Status: Bogus, Reason: ReasonTooMany}
			}
			if b.BadSigs == 0 || !pay(&b.Sigs, 1) {
				return Verdict{Status: Bogus, Reason: ReasonBudget}
			}
			if !canonical {
				v.canonical(set)
				canonical = true
			}
			v.build(&s, set, owner)
			if k.verify(v.signed, s.Signature) {
				return Verdict{
					Status: Secure, KeyTag: s.KeyTag, Alg: s.Algorithm,
					Labels: s.Labels, Wildcard: int(s.Labels) < owner,
					TTL:       min(set.TTL, s.OriginalTTL, s.Expiration-now),
					Inception: s.Inception, Expiration: s.Expiration,
				}
			}
			b.BadSigs--
			bad++
			fail(8, ReasonBadSignature, &s)
		}
		if !found {
			fail(3, ReasonNoKey, &s)
		}
	}
	return best
}

// checkLabels compares the label count of a signature with owner, the number
// of labels of the RRset's name without root and wildcard. This is where four
// validators erred in 2025 and 2026: a count above the owner's, one so low that
// the wildcard would stand above the zone's apex, or an expansion of types
// that only ever stand at their own name, is never proof of anything.
func checkLabels(s *RRSIG, set *RRset, owner int, zone dnsname.Name) Reason {
	n := int(s.Labels)
	switch {
	case n > owner:
		return ReasonSignatureLabels // RFC 4035, section 5.3.1
	case n == owner:
		return ReasonNone
	case n < dnsname.Labels(zone):
		return ReasonSignatureLabels // *.parent is not in the zone
	}
	switch set.Type {
	case dns.TypeDNSKEY, dns.TypeSOA, dns.TypeNSEC3PARAM, dns.TypeZONEMD, dns.TypeCDS, dns.TypeCDNSKEY:
		// of the apex alone, and n >= labels of the apex
		return ReasonWildcardType
	case dns.TypeDS, dns.TypeNS, dns.TypeDNAME:
		// A delegation or redirection made by a wildcard would put a cut
		// anywhere (RFC 4592, sections 4.2 to 4.6, leave them undefined).
		return ReasonWildcardType
	case dns.TypeNSEC, dns.TypeNSEC3:
		// RFC 4035, section 5.4: proofs stand at their own names
		return ReasonWildcardType
	}
	return ReasonNone
}

// checkTime compares the validity of a signature with the clock (RFC 4035,
// section 5.3.1), both ends included.
func checkTime(s *RRSIG, now uint32) Reason {
	switch {
	case before(s.Expiration, s.Inception):
		return ReasonExpiredBeforeValid
	case before(now, s.Inception):
		return ReasonSignatureNotYet
	case before(s.Expiration, now):
		return ReasonSignatureExpired
	}
	return ReasonNone
}

// canonical fills recs with the canonical data of set's records in canonical
// order without duplicates (RFC 4034, sections 6.2 and 6.3).
func (v *Verifier) canonical(set *RRset) {
	v.canon, v.recs = v.canon[:0], v.recs[:0]
	var ends [MaxRRsPerSet]int
	for i, d := range set.Data {
		v.canon = rdata.AppendCanonical(v.canon, set.Type, d)
		ends[i] = len(v.canon)
	}
	start := 0
	for i := range set.Data {
		v.recs = append(v.recs, v.canon[start:ends[i]])
		start = ends[i]
	}
	if len(v.recs) > 1 {
		slices.SortFunc(v.recs, bytes.Compare)
		v.recs = slices.CompactFunc(v.recs, bytes.Equal)
	}
}

// build assembles what the signature covers (RFC 4034, section 3.1.8.1). The
// owner is replaced by the wildcard it was expanded from where the label count
// says so (RFC 4035, section 5.3.2).
func (v *Verifier) build(s *RRSIG, set *RRset, owner int) {
	v.signed = s.appendHead(v.signed[:0])
	var nb [dns.MaxName]byte
	var name []byte
	if int(s.Labels) < owner {
		rest := dnsname.Skip(set.Name, dnsname.Labels(set.Name)-int(s.Labels))
		name = append(nb[:0], 1, '*')
		name = dnsname.AppendLower(name, rest)
	} else {
		name = dnsname.AppendLower(nb[:0], set.Name)
	}
	for _, r := range v.recs {
		v.signed = append(v.signed, name...)
		v.signed = binary.BigEndian.AppendUint16(v.signed, uint16(set.Type))
		v.signed = binary.BigEndian.AppendUint16(v.signed, uint16(dns.ClassIN))
		v.signed = binary.BigEndian.AppendUint32(v.signed, s.OriginalTTL)
		v.signed = binary.BigEndian.AppendUint16(v.signed, uint16(len(r)))
		v.signed = append(v.signed, r...)
	}
}
