// Package zindex is the index that lies beside data.cdb, in data.idx: it finds
// a name, or the nearest existing name above it, in a number of memory probes
// that does not grow with the number of names, zones or labels.
//
// data.cdb alone can say what stands at one name. It can not say that a name
// exists only because others lie below it (RFC 8020), which zone a name
// belongs to without a lookup per label, or which NSEC precedes it. The index
// adds just that and holds no record: it points into data.cdb.
//
//	build.go   from records in file order to the index
//	view.go    lookups in the finished bytes
//	chain.go   NSEC and NSEC3 records in canonical order
//	seen.go    for whom and when a name exists
//
// The layout is described in docs/format-data.idx.md. All integers are little
// endian; positions in data.cdb have 40 bits.
package zindex

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// ErrFormat says that data.cdb or data.idx is damaged. Its text is the one
// that 1.05 printed.
var ErrFormat = errors.New("format error")

// Magic starts every index; the last byte counts versions of the layout.
const Magic = "bk index\x00\x00\x00\x03"

// Sizes in bytes.
const (
	headerLen = 128
	slotLen   = 16
	structLen = 48
	wordLen   = 8
)

const (
	bucketSlots = 4 // one cache line of 64 bytes
	bucketLen   = bucketSlots * slotLen

	// MaxProbe is the number of consecutive buckets that may have to be read
	// to find a name or to know that it is absent. The builder takes another
	// seed, and in the end a bigger table, rather than exceed it.
	MaxProbe = 16

	// MaxDepthProbe is the number of names looked up to find the closest
	// encloser among at most dns.MaxLabels+1 ancestors by halving.
	MaxDepthProbe = 7
)

// Flags of a node (bits 40 to 55 of a slot's second word).
const (
	flagUsed    = 1 << (40 + iota)
	FlagMulti   // more than one record: ref is an index into the lists
	FlagENT     // empty non-terminal: ref is a record of a name below it
	FlagWild    // the name is "*." + the key in data.cdb
	FlagHasWild // a name "*" lies directly below
	FlagBelow   // some name lies below
	FlagDynamic // a record has a location or a timestamp
	FlagStruct  // an NS, SOA or DNAME record: the node has an entry of its own
	FlagSigs    // an RRSIG record
	FlagMaybe   // no record here or below is always visible: see seen.go
)

const (
	posBits = 40
	posMask = 1<<posBits - 1
	lenBit  = 56 // the name's length in bytes, in a slot's second word
)

// Flags of a record in a list (top byte of its word).
const (
	RecLocation  = 1 << iota // for clients of one location only
	RecTimestamp             // born or dying at some time
)

// Flags of a structural entry.
const (
	StructNS      = 1 << iota // always visible NS
	StructSOA                 // always visible SOA
	StructDNAME               // always visible DNAME
	StructDynamic             // an NS, SOA or DNAME that is not always visible, here or above
	StructNSEC                // the zone has a chain of NSEC records
	StructNSEC3               // the zone has NSEC3 records
	StructNode                // slot copy is valid
)

// Flags of an index.
const (
	HasLocations = 1 << iota // location records or records with a location
	HasDynamic               // records with a location or a timestamp
	HasChains                // NSEC or NSEC3 records

	// Bits 8 to 10 are one more than the octets of the longest prefix of the
	// old kind (key 00 25), 0 if there is none.
	prefixBit  = 8
	prefixMask = 7
)

// Identity tells one data.cdb from another that has the same name. A copy, a
// restored backup and a file changed in place all differ in it.
type Identity struct {
	Size  uint64 // bytes
	Inode uint64
	MTime int64 // nanoseconds since 1970
}

// Multipliers of the hash function, odd and without structure (the first
// digits of pi and e as in other multiply-fold hashes).
const (
	k0 = 0x9E3779B97F4A7C15
	k1 = 0xA0761D6478BD642F
	k2 = 0xE7037ED1A0B428DB
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Hash is the index's hash of a lower-case name in wire form.
func Hash(seed uint64, name []byte) uint64 {
	h := seed ^ uint64(len(name))*k0
	for len(name) > 8 {
		h = mix(h^binary.LittleEndian.Uint64(name), k1)
		name = name[8:]
	}
	var t uint64
	if len(name) == 8 {
		t = binary.LittleEndian.Uint64(name)
	} else {
		for i := len(name) - 1; i >= 0; i-- {
			t = t<<8 | uint64(name[i])
		}
	}
	return mix(mix(h^t, k2), k1^h)
}

// Record is one record of data.cdb taken apart.
type Record struct {
	Type  dns.Type
	Wild  bool
	Loc   [2]byte // zero: for all clients
	TTL   uint32
	Time  uint64 // TAI64 label, 0: none
	Data  []byte // uncompressed record data
	flags byte
}

// RecordHead is the fixed part of a record's data: type, marker, ttl,
// timestamp; two bytes more with a location (compat: djbdns.md section 4.3).
const RecordHead = 2 + 1 + 4 + 8

// ParseData takes the data part of a record of data.cdb apart.
func ParseData(d []byte, r *Record) bool {
	if len(d) < RecordHead {
		return false
	}
	r.Type = dns.Type(binary.BigEndian.Uint16(d))
	r.flags = 0
	r.Loc = [2]byte{}
	r.Wild = false
	m := d[2]
	d = d[3:]
	switch m {
	case '=':
	case '*':
		r.Wild = true
	case '+':
		r.Wild = true
		fallthrough
	case '>':
		r.Loc = [2]byte{d[0], d[1]}
		r.flags = RecLocation
		if d = d[2:]; len(d) < 12 {
			return false
		}
	default:
		return false
	}
	r.TTL = binary.BigEndian.Uint32(d)
	if r.Time = binary.BigEndian.Uint64(d[4:]); r.Time != 0 {
		r.flags |= RecTimestamp
	}
	r.Data = d[12:]
	return true
}

// wellFormed reports whether the names in data of the types whose data are
// compressed are names, so that no answer can fail on them.
func wellFormed(t dns.Type, data []byte) bool {
	names, rest := 0, 0
	switch t {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeDNAME:
		names = 1
	case dns.TypeMX:
		if len(data) < 2 {
			return false
		}
		data, names = data[2:], 1
	case dns.TypeSOA:
		names, rest = 2, 20
	}
	for ; names > 0; names-- {
		n, ok := dnsname.Scan(data)
		if !ok {
			return false
		}
		data = data[n:]
	}
	return len(data) >= rest
}
