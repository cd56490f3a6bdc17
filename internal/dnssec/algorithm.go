package dnssec

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"strconv"

	"bulkhead/internal/dnsname"
)

// Algorithm is a DNSSEC algorithm number (IANA registry "DNS Security
// Algorithm Numbers").
type Algorithm uint8

const (
	RSAMD5          Algorithm = 1  // RFC 3110; MUST NOT
	DSA             Algorithm = 3  // RFC 2536; MUST NOT
	RSASHA1         Algorithm = 5  // RFC 3110, RFC 9905
	DSANSEC3SHA1    Algorithm = 6  // RFC 5155; MUST NOT
	RSASHA1NSEC3    Algorithm = 7  // RFC 5155, RFC 9905
	RSASHA256       Algorithm = 8  // RFC 5702
	RSASHA512       Algorithm = 10 // RFC 5702
	ECCGOST         Algorithm = 12 // RFC 9906; MUST NOT
	ECDSAP256SHA256 Algorithm = 13 // RFC 6605
	ECDSAP384SHA384 Algorithm = 14 // RFC 6605
	ED25519         Algorithm = 15 // RFC 8080
	ED448           Algorithm = 16 // RFC 8080
)

var algorithmNames = map[Algorithm]string{
	RSAMD5: "RSAMD5", DSA: "DSA", RSASHA1: "RSASHA1", DSANSEC3SHA1: "DSA-NSEC3-SHA1",
	RSASHA1NSEC3: "RSASHA1-NSEC3-SHA1", RSASHA256: "RSASHA256", RSASHA512: "RSASHA512",
	ECCGOST: "ECC-GOST", ECDSAP256SHA256: "ECDSAP256SHA256", ECDSAP384SHA384: "ECDSAP384SHA384",
	ED25519: "ED25519", ED448: "ED448",
}

// String gives the registry's mnemonic, or the number where there is none.
func (a Algorithm) String() string {
	if s, ok := algorithmNames[a]; ok {
		return s
	}
	return strconv.Itoa(int(a))
}

// ParseAlgorithm reads a mnemonic or a number.
func ParseAlgorithm(s string) (Algorithm, bool) {
	for a, name := range algorithmNames {
		if name == s {
			return a, true
		}
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return Algorithm(n), err == nil
}

// Policy says which algorithms count as supported. A zone all of whose DS
// records name unsupported ones is insecure, not bogus (RFC 4035, section
// 5.2).
type Policy struct {
	// SHA1 lets RSASHA1 and RSASHA1-NSEC3-SHA1 count. RFC 9905, section 2,
	// wants implementations able to check them and operators to treat them as
	// unsupported; so the code is here and the zero value leaves them out.
	SHA1 bool
}

// Algorithm reports whether signatures of algorithm a are checked (RFC 9904
// and the registry's column "Implement for DNSSEC Validation").
func (p Policy) Algorithm(a Algorithm) bool {
	switch a {
	case RSASHA256, RSASHA512, ECDSAP256SHA256, ECDSAP384SHA384, ED25519, ED448:
		return true
	case RSASHA1, RSASHA1NSEC3:
		return p.SHA1
	}
	return false
}

// Digest types of DS records (IANA registry "Digest Algorithms").
const (
	DigestSHA1   = 1 // RFC 3658
	DigestSHA256 = 2 // RFC 4509
	DigestSHA384 = 4 // RFC 6605
)

// Digest reports whether DS records of digest type d are used. SHA-1 is still
// to be implemented for validation (the registry, as changed by RFC 9905), but
// such a record never counts beside one of a stronger digest: see Usable.
func (p Policy) Digest(d uint8) bool {
	return d == DigestSHA1 || d == DigestSHA256 || d == DigestSHA384
}

// Usable tells which records of a DS RRset count: those of a supported
// algorithm and digest, and those of digest SHA-1 only if no stronger one is
// there (RFC 4509, section 3, and RFC 8624, section 3.3). If none counts the
// delegation is insecure; why says what was missing then.
func (p Policy) Usable(data [][]byte) (usable []DS, why Reason) {
	why = ReasonUnsupportedDigest
	strong := false
	for _, b := range data {
		ds, ok := ParseDS(b)
		if !ok {
			continue
		}
		if !p.Algorithm(ds.Algorithm) {
			why = ReasonUnsupportedAlgorithm
			continue
		}
		if !p.Digest(ds.DigestType) {
			continue
		}
		strong = strong || ds.DigestType != DigestSHA1
		usable = append(usable, ds)
	}
	if strong {
		n := 0
		for _, ds := range usable {
			if ds.DigestType != DigestSHA1 {
				usable[n] = ds
				n++
			}
		}
		usable = usable[:n]
	}
	return usable, why
}

// AppendDigest appends the digest of a key's owner and record data (RFC 4034,
// section 5.1.4); false if the digest type is unknown.
func AppendDigest(dst []byte, digestType uint8, owner dnsname.Name, dnskey []byte) ([]byte, bool) {
	b := make([]byte, 0, len(owner)+len(dnskey))
	b = dnsname.AppendLower(b, owner)
	b = append(b, dnskey...)
	switch digestType {
	case DigestSHA1:
		h := sha1.Sum(b)
		return append(dst, h[:]...), true
	case DigestSHA256:
		h := sha256.Sum256(b)
		return append(dst, h[:]...), true
	case DigestSHA384:
		h := sha512.Sum384(b)
		return append(dst, h[:]...), true
	}
	return dst, false
}
