package wire

import (
	"encoding/binary"
	"hash/maphash"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Builder appends a message to a caller's buffer, and stays in it if it has
// room for the limit. Names are compressed as the
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

	hashed bool             // whether slots knows what table has
	slots  [slotCount]uint8 // hash table of indices into table, plus one; 0: free
	free   uint8            // the slot where find has ended
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

	// hashFrom suffixes or fewer are looked through one by one. More of them are
	// found by their hash: else a message of 64 KB, whose names a stranger may
	// have chosen, costs 100 comparisons of up to 128 bytes for each label
	// (CVE-2024-8508 was that in another server).
	hashFrom  = 16
	slotCount = 256 // more than twice maxSuffixes, so that chains stay short
)

// seed makes the places in slots unknown to strangers. What is found, and so
// what is written, does not depend on it.
var seed = maphash.MakeSeed()

// Reset starts a message of at most max bytes at the end of dst.
func (b *Builder) Reset(dst []byte, max int, id, bits uint16) {
	b.start, b.max, b.n, b.hashed, b.full = len(dst), max, 0, false, false
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
	b.hashed = b.hashed && b.n == m.n
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
	if b.n > hashFrom && !b.hashed {
		b.rehash()
	}
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
		if b.hashed {
			b.slots[b.free] = uint8(b.n)
		}
	}
}

func (b *Builder) find(name []byte) (uint16, bool) {
	if len(name) > maxSuffixLen {
		return 0, false
	}
	if b.hashed {
		return b.findHashed(name)
	}
	for i := range b.table[:b.n] {
		if s := b.table[i]; int(s.len) == len(name) && b.same(int(s.off), name) {
			return s.off, true
		}
	}
	return 0, false
}

// findHashed is find through slots. Each suffix is recorded once, so that order
// does not matter.
func (b *Builder) findHashed(name []byte) (uint16, bool) {
	var lower [maxSuffixLen]byte
	for i, c := range name {
		lower[i] = dnsname.LowerByte(c)
	}
	slot := hash(lower[:len(name)])
	for ; b.slots[slot] != 0; slot++ {
		if s := b.table[b.slots[slot]-1]; int(s.len) == len(name) && b.same(int(s.off), name) {
			return s.off, true
		}
	}
	b.free = slot
	return 0, false
}

// rehash fills slots. No name may be half written.
func (b *Builder) rehash() {
	b.slots = [slotCount]uint8{}
	var lower [maxSuffixLen]byte
	for i := range b.table[:b.n] {
		slot := hash(b.suffix(&lower, int(b.table[i].off)))
		for b.slots[slot] != 0 {
			slot++
		}
		b.slots[slot] = uint8(i + 1)
	}
	b.hashed = true
}

// hash gives a slot; slots wrap around as uint8 does.
func hash(lower []byte) uint8 { return uint8(maphash.Bytes(seed, lower)) }

// suffix is the possibly compressed name at off, which Builder itself wrote, in
// lower case.
func (b *Builder) suffix(buf *[maxSuffixLen]byte, off int) []byte {
	msg, n := b.buf[b.start:], 0
	for {
		for msg[off] >= 0xC0 {
			off = int(msg[off]&0x3F)<<8 | int(msg[off+1])
		}
		l := int(msg[off])
		for i := range 1 + l { // the length is no letter
			buf[n+i] = dnsname.LowerByte(msg[off+i])
		}
		n += 1 + l
		if l == 0 {
			return buf[:n]
		}
		off += 1 + l
	}
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

// Slack is how far, in bytes, RR may write beyond the limit before it takes a
// record back: an owner, the fixed part, and the names of SOA data. A buffer
// with that much room beyond the limit is never left for a larger one.
const Slack = dns.MaxName + 10 + 2*dns.MaxName

// RR appends a record to a section, which must not lie before the one added to
// last. data are uncompressed; the names in NS, CNAME, PTR, MX and SOA data
// are compressed, no others (RFC 3597, section 4). It gives false, and leaves
// nothing behind, if the record does not fit or data of those types are
// malformed.
func (b *Builder) RR(s Section, owner []byte, t dns.Type, class dns.Class, ttl uint32, data []byte) bool {
	m, buf := b.Mark(), b.buf
	b.Name(owner)
	b.Uint16(uint16(t))
	b.Uint16(uint16(class))
	b.Uint32(ttl)
	at := len(b.buf)
	b.Uint16(0)
	if !b.rdata(t, data) || len(b.buf)-at-2 > dns.MaxMessage || b.Len() > b.max {
		b.Rewind(m)
		b.buf, b.full = buf, true // not a larger one that append has changed to
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
	if b.Len()+len(data) > b.max {
		return false
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
