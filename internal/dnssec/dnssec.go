// Package dnssec proves and makes DNS security records: it checks signatures
// and delegation digests, reads proofs that names or types do not exist, keeps
// trust anchors, and signs. It is pure: no sockets, no clock, no files; the
// time is an argument and every costly step is paid from a Budget.
//
//	dnssec.go     the records: DNSKEY, RRSIG, DS; RRsets
//	algorithm.go  which algorithms and digests count, and why
//	key.go        public keys and key tags
//	verify.go     signatures over RRsets (RFC 4035, section 5.3)
//	delegation.go DS to DNSKEY, the link of the chain (RFC 4035, section 5.2)
//	limits.go     the budget, with the origin of each number
//	bitmap.go     type bit maps
//	nsec.go       proofs with NSEC (RFC 4035, section 5.4; RFC 6840)
//	nsec3.go      proofs with NSEC3 (RFC 5155, section 8; RFC 9276)
//	anchor.go     trust anchors and negative trust anchors as text
//	rollover.go   trust anchors that follow the zone (RFC 5011)
//	anchorfile.go their file, which the administrator edits too
//	sentinel.go   RFC 8509
//	zonemd.go     message digests for zones (RFC 8976)
//	sign.go       making signatures, DS, NSEC and NSEC3 chains
package dnssec

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// RRset is a set of records of one owner and type in class IN, with the
// signatures that came along. Data and Sigs are uncompressed record data;
// those of Sigs are RRSIG data that cover Type.
type RRset struct {
	Name dnsname.Name
	Type dns.Type
	TTL  uint32 // seconds
	Data [][]byte
	Sigs [][]byte
}

// Flags of a DNSKEY.
const (
	FlagZone   = 1 << 8 // RFC 4034, section 2.1.1
	FlagSEP    = 1 << 0 // RFC 4034, section 2.1.1
	FlagRevoke = 1 << 7 // RFC 5011, section 7
)

// RRSIG is the record data of a signature (RFC 4034, section 3.1).
type RRSIG struct {
	Covered     dns.Type
	Algorithm   Algorithm
	Labels      uint8
	OriginalTTL uint32 // seconds
	Expiration  uint32 // seconds since 1970 modulo 2^32
	Inception   uint32 // seconds since 1970 modulo 2^32
	KeyTag      uint16
	Signer      dnsname.Name
	Signature   []byte
}

// ParseRRSIG reads RRSIG data; false if they are malformed. The result points
// into data.
func ParseRRSIG(data []byte) (s RRSIG, ok bool) {
	if len(data) < 18 {
		return s, false
	}
	n, ok := dnsname.Scan(data[18:])
	if !ok {
		return s, false
	}
	return RRSIG{
		Covered:     dns.Type(binary.BigEndian.Uint16(data)),
		Algorithm:   Algorithm(data[2]),
		Labels:      data[3],
		OriginalTTL: binary.BigEndian.Uint32(data[4:]),
		Expiration:  binary.BigEndian.Uint32(data[8:]),
		Inception:   binary.BigEndian.Uint32(data[12:]),
		KeyTag:      binary.BigEndian.Uint16(data[16:]),
		Signer:      dnsname.Name(data[18 : 18+n]),
		Signature:   data[18+n:],
	}, true
}

// SignerOf gives the signer's name of RRSIG data without keeping it; nil if
// they are malformed.
func SignerOf(data []byte) []byte {
	if len(data) < 18 {
		return nil
	}
	n, ok := dnsname.Scan(data[18:])
	if !ok {
		return nil
	}
	return data[18 : 18+n]
}

// appendHead appends the fields before the signature, the signer's name in
// canonical form: the first part of what is signed (RFC 4034, section 3.1.8.1).
func (s *RRSIG) appendHead(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(s.Covered))
	dst = append(dst, byte(s.Algorithm), s.Labels)
	dst = binary.BigEndian.AppendUint32(dst, s.OriginalTTL)
	dst = binary.BigEndian.AppendUint32(dst, s.Expiration)
	dst = binary.BigEndian.AppendUint32(dst, s.Inception)
	dst = binary.BigEndian.AppendUint16(dst, s.KeyTag)
	return dnsname.AppendLower(dst, s.Signer)
}

// AppendData appends the whole record data.
func (s *RRSIG) AppendData(dst []byte) []byte {
	return append(s.appendHead(dst), s.Signature...)
}

// before compares times by serial arithmetic (RFC 4034, section 3.1.5; RFC
// 1982): the years repeat every 136.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// DS is the record data of a delegation signer (RFC 4034, section 5.1).
type DS struct {
	KeyTag     uint16
	Algorithm  Algorithm
	DigestType uint8
	Digest     []byte
}

// ParseDS reads DS data; false if they are malformed.
func ParseDS(data []byte) (DS, bool) {
	if len(data) < 5 {
		return DS{}, false
	}
	return DS{binary.BigEndian.Uint16(data), Algorithm(data[2]), data[3], data[4:]}, true
}

// AppendData appends the whole record data.
func (d *DS) AppendData(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, d.KeyTag)
	dst = append(dst, byte(d.Algorithm), d.DigestType)
	return append(dst, d.Digest...)
}
