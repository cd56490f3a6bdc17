package cache

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Kind says what an entry is. Entries of different kinds for one name never
// replace one another. The values are those of package resolver.
type Kind uint8

const (
	KindRRset      Kind = iota + 1 // an RRset, or without Records that there is none (NODATA)
	KindNXDomain                   // the name does not exist, nor any below it (RFC 8020); type 0
	KindDelegation                 // a zone cut as the parent told it, apart from what the child says; type 0
	KindFailure                    // a failed resolution (RFC 9520)
	lastKind       = KindFailure
)

// Entry is what Put stores and Get gives. Slices given by Get lie in the
// Entry's own buffer and last until its next Get.
type Entry struct {
	Kind Kind
	Type dns.Type
	Rank uint8  // trust (RFC 2181, section 5.4.1): 0 to 7, resolver.Rank
	Sec  uint8  // validation status: 0 to 7, resolver.Security
	Code uint16 // extended error of a failure or of bogus data, plus one; 0 none
	TTL  uint32 // seconds the entry was given at first
	// Expire is a Unix time in seconds; the entry is good before it.
	Expire uint32
	// Records and Sigs are record data, each preceded by its length in two
	// bytes; Sigs are the RRSIGs over Records.
	Records []byte
	Sigs    []byte
	// Proof is opaque here: the SOA and NSEC or NSEC3 RRsets of a negative
	// answer; the addresses and DS of a delegation.
	Proof []byte

	Name []byte // lower-cased owner; set by Peek and RemoveIf only
	Freq uint8  // 0 to 3, how often it was asked for since it last moved; set as Name
	buf  []byte
}

// An entry in the block:
//
//	0   uint16  size of the whole in units of 8 bytes; 0: the rest of the ring is unused
//	2   uint16  type
//	4   uint32  expiry
//	8   uint32  original ttl 20 bits, freq 2, kind-1 2, dead 1, rank 3, security 3, extended 1
//	12  uint16  bytes of Records; 14 uint16 bytes of Sigs
//	16  name, lower case
//	    uint16 Code, uint16 bytes of Proof, if extended
//	    Records, Sigs, Proof, up to 7 zero bytes
//
// All numbers are little endian. An A record for www.example.org takes 40 bytes.
const headerSize = 16

const (
	ttlMask   = 1<<20 - 1
	freqShift = 20 // how often it was asked for, 0 to 3
	freqMask  = 3 << freqShift
	kindShift = 22
	deadBit   = 1 << 24 // superseded or removed: the space waits for the ring's tail
	rankShift = 25
	secShift  = 28
	extBit    = 1 << 31
	extSize   = 4
	unit      = 8
	maxPart   = 65535 // bytes of Records, Sigs or Proof, each
)

// size is the entry's size in the block; over MaxEntry also when a part is too
// long for its length field.
func (e *Entry) size(k Key) int {
	if len(e.Records) > maxPart || len(e.Sigs) > maxPart || len(e.Proof) > maxPart {
		return MaxEntry + 1
	}
	n := headerSize + len(k.Name) + len(e.Records) + len(e.Sigs) + len(e.Proof)
	if e.extended() {
		n += extSize
	}
	return (n + unit - 1) &^ (unit - 1)
}

func (e *Entry) extended() bool { return e.Code != 0 || len(e.Proof) != 0 }

// oldSize is what 1.05 would have counted for such an entry: 20 bytes, 2 for
// the type, the name, the data; data of types it did not know had their
// lengths beside them.
func (e *Entry) oldSize(k Key) int {
	n := 20 + 2 + len(k.Name)
	for b := e.Records; len(b) >= 2; {
		l := 2 + int(binary.BigEndian.Uint16(b))
		if l > len(b) {
			break
		}
		n += l
		switch k.Type {
		case dns.TypeA, dns.TypeNS, dns.TypePTR, dns.TypeMX, dns.TypeCNAME:
			n -= 2
		}
		b = b[l:]
	}
	return n
}

// write fills m, which has the size that size gave.
func (e *Entry) write(m []byte, k Key, freq uint32) {
	b := min(e.TTL, MaxTTL) | freq | uint32(k.Kind-1)<<kindShift | uint32(e.Rank&7)<<rankShift | uint32(e.Sec&7)<<secShift
	if e.extended() {
		b |= extBit
	}
	binary.LittleEndian.PutUint16(m, uint16(len(m)/unit))
	binary.LittleEndian.PutUint16(m[2:], uint16(k.Type))
	binary.LittleEndian.PutUint32(m[4:], e.Expire)
	binary.LittleEndian.PutUint32(m[8:], b)
	binary.LittleEndian.PutUint16(m[12:], uint16(len(e.Records)))
	binary.LittleEndian.PutUint16(m[14:], uint16(len(e.Sigs)))
	p := headerSize + copy(m[headerSize:], k.Name)
	if b&extBit != 0 {
		binary.LittleEndian.PutUint16(m[p:], e.Code)
		binary.LittleEndian.PutUint16(m[p+2:], uint16(len(e.Proof)))
		p += extSize
	}
	p += copy(m[p:], e.Records)
	p += copy(m[p:], e.Sigs)
	p += copy(m[p:], e.Proof)
	clear(m[p:])
}

// load copies the entry m into e. nameLen is the length of its name.
func (e *Entry) load(m []byte, nameLen int) {
	e.buf = append(e.buf[:0], m[headerSize:]...)
	b := binary.LittleEndian.Uint32(m[8:])
	e.Kind = Kind(b>>kindShift&3) + 1
	e.Type = dns.Type(binary.LittleEndian.Uint16(m[2:]))
	e.Rank, e.Sec = uint8(b>>rankShift&7), uint8(b>>secShift&7)
	e.Code = 0
	e.TTL = b & ttlMask
	e.Expire = binary.LittleEndian.Uint32(m[4:])
	e.Freq = uint8(b >> freqShift & 3)
	e.Name = e.buf[:nameLen:nameLen]
	rest := e.buf[nameLen:]
	proof := 0
	if b&extBit != 0 {
		e.Code = binary.LittleEndian.Uint16(rest)
		proof = int(binary.LittleEndian.Uint16(rest[2:]))
		rest = rest[extSize:]
	}
	r, s := int(binary.LittleEndian.Uint16(m[12:])), int(binary.LittleEndian.Uint16(m[14:]))
	e.Records, rest = rest[:r:r], rest[r:]
	e.Sigs, rest = rest[:s:s], rest[s:]
	e.Proof = rest[:proof:proof]
}

// Size is what the entry occupies in the block, in bytes.
func (e *Entry) Size() int { return e.size(Key{Name: e.Name}) }

// valid checks bytes that come from a file; load can then not leave them. The
// resolver has to be as careful with Proof as with a packet.
func valid(m []byte) bool {
	if len(m) < headerSize+1 || len(m) > MaxEntry || int(binary.LittleEndian.Uint16(m))*unit != len(m) {
		return false
	}
	b := binary.LittleEndian.Uint32(m[8:])
	kind, t := Kind(b>>kindShift&3)+1, binary.LittleEndian.Uint16(m[2:])
	if b&deadBit != 0 || b&ttlMask == 0 || (kind == KindNXDomain || kind == KindDelegation) && t != 0 {
		return false
	}
	l, ok := dnsname.Scan(m[headerSize:])
	if !ok {
		return false
	}
	for _, c := range m[headerSize : headerSize+l] {
		if dnsname.LowerByte(c) != c {
			return false
		}
	}
	rest := m[headerSize+l:]
	proof := 0
	if b&extBit != 0 {
		if len(rest) < extSize {
			return false
		}
		proof = int(binary.LittleEndian.Uint16(rest[2:]))
		rest = rest[extSize:]
	}
	r, s := int(binary.LittleEndian.Uint16(m[12:])), int(binary.LittleEndian.Uint16(m[14:]))
	if r+s+proof > len(rest) || len(rest)-(r+s+proof) >= unit {
		return false
	}
	return packed(rest[:r]) && packed(rest[r:r+s])
}

// packed reports whether b is a sequence of data with their lengths.
func packed(b []byte) bool {
	for len(b) >= 2 {
		l := 2 + int(binary.BigEndian.Uint16(b))
		if l > len(b) {
			return false
		}
		b = b[l:]
	}
	return len(b) == 0
}
