// Package cookie makes and checks DNS server cookies in the form that all
// servers share (RFC 7873, RFC 9018), so that an anycast set with one secret
// works whatever software its members run.
package cookie

import (
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strings"
)

// Sizes in bytes.
const (
	ClientLen = 8  // RFC 7873, section 4.1
	Len       = 24 // client's 8 and our 16, RFC 9018, section 4
	SecretLen = 16 // RFC 9018, section 4.4
)

// How old or early a cookie may be, and from what age it is renewed, in
// seconds (RFC 9018, section 4.3).
const (
	maxAge   = 3600
	maxEarly = 300
	renewAge = 1800
)

// Secret is a server secret. Servers that share addresses share it.
type Secret [SecretLen]byte

// ParseSecrets reads secrets in hexadecimal digits, separated by commas: cookies
// are made with the first and believed from all (RFC 9018, section 5).
func ParseSecrets(s string) (out []Secret, ok bool) {
	for _, x := range strings.Split(s, ",") {
		var k Secret
		x = strings.TrimSpace(x)
		if len(x) != 2*len(k) {
			return nil, false
		}
		if _, err := hex.Decode(k[:], []byte(x)); err != nil {
			return nil, false
		}
		out = append(out, k)
	}
	return out, true
}

// Verdict is what a client's cookie option is worth.
type Verdict uint8

const (
	None      Verdict = iota // no server cookie of our form
	Good                     // ours, for this client
	Stale                    // the same, but old enough to be renewed
	Bad                      // not ours, not this client's, or too old
	Malformed                // a length that no cookie has: FORMERR
)

// version is the first byte of a server cookie (RFC 9018, section 4.1).
const version = 1

// Append appends client cookie and server cookie. addr has 4 or 16 bytes, now
// is Unix time modulo 2^32.
func (s *Secret) Append(dst, client, addr []byte, now uint32) []byte {
	at := len(dst)
	dst = append(dst, client...)
	dst = append(dst, version, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, now)
	return binary.LittleEndian.AppendUint64(dst, s.hash(dst[at:], addr))
}

// Check judges the data of a cookie option that came from addr.
func (s *Secret) Check(c, addr []byte, now uint32) Verdict {
	switch n := len(c); {
	case n == ClientLen:
		return None
	case n < 16 || n > 40: // RFC 7873, section 4
		return Malformed
	case n != Len || c[8] != version:
		return None
	}
	age := int32(now - binary.BigEndian.Uint32(c[12:])) // RFC 1982
	if age > maxAge || age < -maxEarly {
		return Bad
	}
	var sum [8]byte
	binary.LittleEndian.PutUint64(sum[:], s.hash(c[:16], addr))
	switch {
	case subtle.ConstantTimeCompare(sum[:], c[16:]) != 1:
		return Bad
	case age > renewAge:
		return Stale
	}
	return Good
}

// hash covers the first 16 bytes of the cookie and the address (RFC 9018,
// section 4.4).
func (s *Secret) hash(head, addr []byte) uint64 {
	var in [32]byte
	n := copy(in[:], head)
	n += copy(in[n:], addr)
	return SipHash(s, in[:n])
}

// SipHash is SipHash-2-4 (Aumasson and Bernstein, 2012).
func SipHash(key *Secret, p []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		m := binary.LittleEndian.Uint64(p)
		v3 ^= m
		round()
		round()
		v0 ^= m
	}
	for i, c := range p {
		last |= uint64(c) << (8 * i)
	}
	v3 ^= last
	round()
	round()
	v0 ^= last
	v2 ^= 0xff
	round()
	round()
	round()
	round()
	return v0 ^ v1 ^ v2 ^ v3
}
