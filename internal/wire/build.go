package wire

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Builder appends a message to a caller's buffer. Names are compressed as the
// old programs do it (compat: djbdns.md section 2.7), so that answers stay
// byte for byte the same: before each label the remaining suffix is looked up,
// without regard to letter case, in the order of recording.
//
// The zero value is not ready: call Reset. A Builder has no pointers but to
// the buffer and may be kept and reused without allocation.
type Builder struct {
	buf   []byte
	start int // where the message begins in buf
	max   int // bytes the message may have
	full  bool
	count [4]uint16
	n     int // suffixes recorded
	table [maxSuffixes]suffix
}

// suffix is a name that pointers may point to: its offset in the message and
// its length in wire form.
type suffix struct {
	off uint16
	len uint8
}

const (
	maxSuffixes  = 100    // compat: djbdns.md section 2.7; also bounds the work of one lookup
	maxSuffixLen = 128    // bytes, the same
	pointerLimit = 0x4000 // a pointer has 14 bits, RFC 1035, section 4.1.4
)

// Reset starts a message of at most max bytes at the end of dst.
func (b *Builder) Reset(dst []byte, max int, id, bits uint16) {
	b.start, b.max, b.n, b.full = len(dst), max, 0, false
	b.count = [4]uint16{}
	b.buf = binary.BigEndian.AppendUint16(dst, id)
	b.buf = binary.BigEndian.AppendUint16(b.buf, bits)
	b.buf = append(b.buf, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Len is the number of bytes so far.
func (b *Builder) Len() int { return len(b.buf) - b.start }

// Full reports whether a record did not fit since Reset or Rewind. Such a
// record has left nothing behind.
func (b *Builder) Full() bool { return b.full }

// SetMax changes the limit, to reserve room for records that must fit.
func (b *Builder) SetMax(max int) { b.max = max }

// Bits gives the header's second word, SetBits replaces it.
func (b *Builder) Bits() uint16        { return binary.BigEndian.Uint16(b.buf[b.start+2:]) }
func (b *Builder) SetBits(bits uint16) { binary.BigEndian.PutUint16(b.buf[b.start+2:], bits) }

// Count is the number of entries of a section.
func (b *Builder) Count(s Section) int { return int(b.count[s]) }

// Mark is a state of a Builder to return to.
type Mark struct {
	len   int
	n     int
	count [4]uint16
}

// Mark remembers the present state.
func (b *Builder) Mark() Mark { return Mark{len(b.buf), b.n, b.count} }

// Rewind undoes all that was added since m, and clears Full.
func (b *Builder) Rewind(m Mark) {
	b.buf, b.n, b.count, b.full = b.buf[:m.len], m.n, m.count, false
}

// Question appends a question. The name is written as it is, in its letter
// case, and recorded for compression.
func (b *Builder) Question(name []byte, t dns.Type, class dns.Class) {
	b.Name(name)
	b.Uint16(uint16(t))
	b.Uint16(uint16(class))
	b.count[Question]++
}

// Name appends a name, compressed, and records its suffixes.
func (b *Builder) Name(name []byte) {
	for len(name) > 1 {
		if off, ok := b.find(name); ok {
			b.Uint16(0xC000 | off)
			return
		}
		b.record(name)
		l := 1 + int(name[0])
		b.buf = append(b.buf, name[:l]...)
		name = name[l:]
	}
	b.buf = append(b.buf, 0)
}

func (b *Builder) record(name []byte) {
	off := len(b.buf) - b.start
	// RFC 1035, section 4.1.4: what lies further back can not be pointed to.
	if len(name) <= maxSuffixLen && b.n < maxSuffixes && off < pointerLimit {
		b.table[b.n] = suffix{uint16(off), uint8(len(name))}
		b.n++
	}
}

func (b *Builder) find(name []byte) (uint16, bool) {
	if len(name) > maxSuffixLen {
		return 0, false
	}
	for i := range b.table[:b.n] {
		if s := b.table[i]; int(s.len) == len(name) && b.same(int(s.off), name) {
			return s.off, true
		}
	}
	return 0, false
}

// same compares name with the possibly compressed name at off, which Builder
// itself wrote and which therefore is well-formed.
func (b *Builder) same(off int, name []byte) bool {
	msg := b.buf[b.start:]
	for {
		for msg[off] >= 0xC0 {
			off = int(msg[off]&0x3F)<<8 | int(msg[off+1])
		}
		l := int(msg[off])
		if int(name[0]) != l {
			return false
		}
		if l == 0 {
			return true
		}
		for i := 1; i <= l; i++ {
			if x, y := msg[off+i], name[i]; x != y && dnsname.LowerByte(x) != dnsname.LowerByte(y) {
				return false
			}
		}
		off += 1 + l
		name = name[1+l:]
	}
}

// Uint16, Uint32 and Bytes append raw parts of record data.
func (b *Builder) Uint16(v uint16)   { b.buf = binary.BigEndian.AppendUint16(b.buf, v) }
func (b *Builder) Uint32(v uint32)   { b.buf = binary.BigEndian.AppendUint32(b.buf, v) }
func (b *Builder) Bytes(data []byte) { b.buf = append(b.buf, data...) }

// RR appends a record to a section, which must not lie before the one added to
// last. data are uncompressed; the names in NS, CNAME, PTR, MX and SOA data
// are compressed, no others (RFC 3597, section 4). It gives false, and leaves
// nothing behind, if the record does not fit or data of those types are
// malformed.
func (b *Builder) RR(s Section, owner []byte, t dns.Type, class dns.Class, ttl uint32, data []byte) bool {
	m := b.Mark()
	b.Name(owner)
	b.Uint16(uint16(t))
	b.Uint16(uint16(class))
	b.Uint32(ttl)
	at := len(b.buf)
	b.Uint16(0)
	if !b.rdata(t, data) || len(b.buf)-at-2 > dns.MaxMessage || b.Len() > b.max {
		b.Rewind(m)
		b.full = true
		return false
	}
	binary.BigEndian.PutUint16(b.buf[at:], uint16(len(b.buf)-at-2))
	b.count[s]++
	return true
}

func (b *Builder) rdata(t dns.Type, data []byte) bool {
	fixed, names := 0, 0
	switch t {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		names = 1
	case dns.TypeMX:
		fixed, names = 2, 1
	case dns.TypeSOA:
		names = 2
	}
	if fixed > len(data) {
		return false
	}
	b.Bytes(data[:fixed])
	data = data[fixed:]
	for ; names > 0; names-- {
		l, ok := dnsname.Scan(data)
		if !ok {
			return false
		}
		b.Name(data[:l])
		data = data[l:]
	}
	b.Bytes(data)
	return true
}

// OPT appends an OPT record with the given advertised size, the upper bits of
// rcode, DO and options (RFC 6891, section 6.1).
func (b *Builder) OPT(size uint16, rcode dns.RCode, do bool, options []byte) bool {
	ttl := uint32(rcode>>4) << 24
	if do {
		ttl |= 1 << 15
	}
	return b.RR(Additional, rootName, dns.TypeOPT, dns.Class(size), ttl, options)
}

var rootName = []byte{0}

// Finish writes the counts and gives the buffer with the message at its end.
func (b *Builder) Finish() []byte {
	for i, n := range b.count {
		binary.BigEndian.PutUint16(b.buf[b.start+4+2*i:], n)
	}
	return b.buf
}
