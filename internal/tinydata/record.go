package tinydata

import (
	"encoding/binary"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Record is one resource record with what the data language adds to it.
type Record struct {
	Owner []byte   // wire form, letter case as written, an asterisk label included
	Type  dns.Type // class is always IN
	TTL   uint32
	Time  [8]byte // TAI64 label, all zero: none. TTL 0: time to die, else time to be born
	Loc   [2]byte // 00 00: for every client
	Data  []byte  // uncompressed
}

// Layout of a record's data in data.cdb (compat: djbdns.md section 4.3).
const (
	markPlain = '='           // no location
	markLoc   = '>'           // two location bytes follow
	wild      = '=' - '*'     // what an asterisk label takes from the mark
	headLen   = 2 + 1 + 4 + 8 // type, mark, ttl, timestamp
	maxKey    = dns.MaxName   // longest key of a record
	keyLoc    = "\x00%"       // then the client's address prefix, a byte an octet
	keyPrefix = "\x00/"       // then family, length, address bytes; see prefix.go
)

// Decode takes a record of data.cdb apart. What is neither this nor a location
// record is damaged: ok is false. owner serves as the memory for Owner, whose
// key is in lower case; Data points into data.
func Decode(owner, key, data []byte) (r Record, ok bool) {
	if len(data) < headLen || !dnsname.Valid(key) {
		return r, false
	}
	r.Type = dns.Type(binary.BigEndian.Uint16(data))
	mark := data[2]
	if mark == markPlain-wild || mark == markLoc-wild {
		mark += wild
		owner = append(owner, 1, '*')
	}
	r.Owner = append(owner, key...)
	data = data[3:]
	switch mark {
	case markPlain:
	case markLoc:
		if len(data) < 2+12 {
			return r, false
		}
		r.Loc = [2]byte(data)
		data = data[2:]
	default:
		return r, false
	}
	r.TTL = binary.BigEndian.Uint32(data)
	r.Time = [8]byte(data[4:])
	r.Data = data[12:]
	return r, true
}

// IsLocation reports whether a key of data.cdb belongs to a location line.
func IsLocation(key []byte) bool {
	return len(key) >= 2 && key[0] == 0 && (key[1] == keyLoc[1] || key[1] == keyPrefix[1])
}

// Add puts r into a batch in the form of data.cdb. buf is scratch memory and
// is returned for the next call.
func (r *Record) Add(b *cdb.Batch, buf []byte) ([]byte, error) {
	mark := byte(markPlain)
	if r.Loc != [2]byte{} {
		mark = markLoc
	}
	owner := r.Owner
	if dnsname.IsWildcard(owner) {
		mark -= wild
		owner = owner[2:]
	}
	buf = dnsname.AppendLower(buf[:0], owner)
	k := len(buf)
	buf = binary.BigEndian.AppendUint16(buf, uint16(r.Type))
	buf = append(buf, mark)
	if r.Loc != [2]byte{} {
		buf = append(buf, r.Loc[:]...)
	}
	buf = binary.BigEndian.AppendUint32(buf, r.TTL)
	buf = append(buf, r.Time[:]...)
	buf = append(buf, r.Data...)
	return buf, b.Add(buf[:k], buf[k:])
}
