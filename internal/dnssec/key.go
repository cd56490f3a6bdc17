package dnssec

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"math/big"
	"sync"

	"github.com/cloudflare/circl/sign/ed448"
)

// Sizes of RSA keys in bits. Shorter keys can be factored (RFC 8624, section
// 5, speaks of 1024 as the least seen in use; crypto/rsa refuses less), longer
// ones cost without end (RFC 3110, section 3, ends at 4096). Exponents: 64
// bits, as OpenSSL's OPENSSL_RSA_MAX_PUBEXP_BITS.
const (
	minRSABits     = 1024
	maxRSABits     = 4096
	maxRSAExponent = 64
)

// Key is a parsed DNSKEY.
type Key struct {
	Flags     uint16
	Protocol  uint8
	Algorithm Algorithm
	Tag       uint16
	Data      []byte // the record data

	known     bool // the policy lets the algorithm count
	once      sync.Once
	supported bool
	rsa       *rsa.PublicKey
	bigE      *big.Int // exponents that rsa.PublicKey cannot hold, else nil
	ecdsa     *ecdsa.PublicKey
	ed25519   ed25519.PublicKey
	ed448     ed448.PublicKey
}

// KeyTag computes the key tag of DNSKEY data (RFC 4034, appendix B). Algorithm
// 1 has its own formula, section B.1.
func KeyTag(data []byte) uint16 {
	if len(data) > 3 && Algorithm(data[3]) == RSAMD5 {
		if len(data) < 7 {
			return 0
		}
		return binary.BigEndian.Uint16(data[len(data)-3:])
	}
	var ac uint32
	for i, c := range data {
		if i&1 == 0 {
			ac += uint32(c) << 8
		} else {
			ac += uint32(c)
		}
	}
	return uint16(ac + ac>>16)
}

// ParseKey reads DNSKEY data; false if they are too short to be any. The public
// key is left for the first use: of the keys of a zone most are never tried, and
// it costs a test whether a point lies on its curve.
func (p Policy) ParseKey(data []byte) (*Key, bool) {
	if len(data) < 4 {
		return nil, false
	}
	data = bytes.Clone(data) // keys live longer than messages
	k := &Key{Flags: binary.BigEndian.Uint16(data), Protocol: data[2], Algorithm: Algorithm(data[3]),
		Tag: KeyTag(data), Data: data}
	k.known = p.Algorithm(k.Algorithm)
	return k, true
}

// Supported reports whether signatures by the key can be checked: it is false
// where the policy leaves out the algorithm, or the public key is malformed or of
// a refused size. Such keys make a delegation insecure, not bogus.
func (k *Key) Supported() bool {
	k.once.Do(func() { k.supported = k.known && k.parse(k.Data[4:]) })
	return k.supported
}

// ParseKeys reads the data of several keys, leaving out what is none.
func (p Policy) ParseKeys(data [][]byte) (keys []*Key) {
	for _, d := range data {
		if k, ok := p.ParseKey(d); ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// ZoneKey reports whether the key may sign zone data: ZONE bit, protocol 3,
// not revoked (RFC 4034, section 2.1; RFC 5011, section 2.1).
func (k *Key) ZoneKey() Reason {
	switch {
	case k.Flags&FlagZone == 0:
		return ReasonNotZoneKey
	case k.Protocol != 3:
		return ReasonKeyProtocol
	case k.Flags&FlagRevoke != 0:
		return ReasonRevokedKey
	}
	return ReasonNone
}

func (k *Key) parse(b []byte) bool {
	switch k.Algorithm {
	case RSASHA1, RSASHA1NSEC3, RSASHA256, RSASHA512:
		return k.parseRSA(b)
	case ECDSAP256SHA256:
		return k.parseECDSA(elliptic.P256(), b, 64)
	case ECDSAP384SHA384:
		return k.parseECDSA(elliptic.P384(), b, 96)
	case ED25519:
		if len(b) == ed25519.PublicKeySize {
			k.ed25519 = ed25519.PublicKey(b)
			return true
		}
	case ED448:
		if len(b) == ed448.PublicKeySize {
			k.ed448 = ed448.PublicKey(b)
			return true
		}
	}
	return false
}

// parseRSA reads RFC 3110, section 2: length of the exponent in one byte, or
// in the next two if that is zero; exponent; modulus.
func (k *Key) parseRSA(b []byte) bool {
	if len(b) < 1 {
		return false
	}
	n := int(b[0])
	b = b[1:]
	if n == 0 {
		if len(b) < 2 {
			return false
		}
		n = int(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if n == 0 || n >= len(b) || len(b)-n > (maxRSABits+7)/8+1 || n > len(b)-n {
		return false
	}
	e, m := new(big.Int).SetBytes(b[:n]), new(big.Int).SetBytes(b[n:])
	bits := m.BitLen()
	if bits < minRSABits || bits > maxRSABits || m.Bit(0) == 0 ||
		e.BitLen() > maxRSAExponent || e.Bit(0) == 0 || e.BitLen() < 2 {
		return false
	}
	k.rsa = &rsa.PublicKey{N: m}
	if e.BitLen() < 32 {
		k.rsa.E = int(e.Int64())
	} else {
		k.bigE = e
	}
	return true
}

func (k *Key) parseECDSA(c elliptic.Curve, b []byte, size int) bool {
	if len(b) != size {
		return false
	}
	// RFC 6605, section 4: Q without the octet that says uncompressed
	buf := make([]byte, 1, 1+size)
	buf[0] = 4
	pub, err := ecdsa.ParseUncompressedPublicKey(c, append(buf, b...))
	k.ecdsa = pub
	return err == nil
}

// Check verifies sig over data as they are, for tools and tests; Verifier does
// so for RRsets.
func (k *Key) Check(data, sig []byte) bool { return k.Supported() && k.verify(data, sig) }

// verify checks sig over data. It allocates a little; the mathematics cost a
// hundred times as much.
func (k *Key) verify(data, sig []byte) bool {
	switch k.Algorithm {
	case RSASHA1, RSASHA1NSEC3:
		h := sha1.Sum(data)
		return k.verifyRSA(crypto.SHA1, h[:], sig)
	case RSASHA256:
		h := sha256.Sum256(data)
		return k.verifyRSA(crypto.SHA256, h[:], sig)
	case RSASHA512:
		h := sha512.Sum512(data)
		return k.verifyRSA(crypto.SHA512, h[:], sig)
	case ECDSAP256SHA256:
		h := sha256.Sum256(data)
		return k.verifyECDSA(h[:], sig, 32)
	case ECDSAP384SHA384:
		h := sha512.Sum384(data)
		return k.verifyECDSA(h[:], sig, 48)
	case ED25519:
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.ed25519, data, sig)
	case ED448:
		// RFC 8080, section 4: Ed448 with an empty context
		return len(sig) == ed448.SignatureSize && ed448.Verify(k.ed448, data, sig, "")
	}
	return false
}

func (k *Key) verifyRSA(h crypto.Hash, digest, sig []byte) bool {
	size := k.rsa.Size()
	// A signature may have lost leading zeros or gained some (RFC 3110,
	// section 3, pads it to the modulus; some signers did not).
	for len(sig) > size && sig[0] == 0 {
		sig = sig[1:]
	}
	if len(sig) > size || len(sig) == 0 {
		return false
	}
	if len(sig) < size {
		sig = append(make([]byte, size-len(sig), size), sig...)
	}
	if k.bigE == nil {
		return rsa.VerifyPKCS1v15(k.rsa, h, digest, sig) == nil
	}
	// PKCS #1 1.5 (RFC 8017, section 8.2.2) for exponents such as 2^32+1.
	s := new(big.Int).SetBytes(sig)
	if s.Cmp(k.rsa.N) >= 0 {
		return false
	}
	em := new(big.Int).Exp(s, k.bigE, k.rsa.N).FillBytes(make([]byte, size))
	prefix := pkcs1Prefix[h]
	want := make([]byte, size)
	rest := size - len(prefix) - len(digest)
	if rest < 11 {
		return false
	}
	want[1] = 1
	for i := 2; i < rest-1; i++ {
		want[i] = 0xff
	}
	copy(want[rest:], prefix)
	copy(want[rest+len(prefix):], digest)
	return subtle.ConstantTimeCompare(em, want) == 1
}

// pkcs1Prefix is the DER that precedes a digest (RFC 8017, section 9.2, note 1).
var pkcs1Prefix = map[crypto.Hash]string{
	crypto.SHA1:   "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
	crypto.SHA256: "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
	crypto.SHA512: "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
}

func (k *Key) verifyECDSA(digest, sig []byte, size int) bool {
	if len(sig) != 2*size { // RFC 6605, section 4: r | s
		return false
	}
	var buf [2 + 2*(3+48)]byte
	der := append(buf[:0], 0x30, 0)
	der = appendDERInt(der, sig[:size])
	der = appendDERInt(der, sig[size:])
	der[1] = byte(len(der) - 2) // at most 102, a short form
	return ecdsa.VerifyASN1(k.ecdsa, digest, der)
}

// appendDERInt appends an unsigned number as an ASN.1 INTEGER.
func appendDERInt(dst, n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	dst = append(dst, 2)
	if n[0]&0x80 != 0 {
		dst = append(dst, byte(len(n)+1), 0)
	} else {
		dst = append(dst, byte(len(n)))
	}
	return append(dst, n...)
}
