package cache

import (
	"encoding/binary"

	"bulkhead/internal/dns"
)

// Reply says what AppendAnswer wrote.
type Reply struct {
	Records   int    // resource records
	Truncated bool   // they would not fit; nothing was written
	TTL       uint32 // original, seconds
	Left      uint32 // remaining, seconds
	Rank, Sec uint8
}

// rrFixed is a record without its data: a pointer to the question's name,
// type, class, ttl, length (RFC 1035, section 4.1.3).
const rrFixed = 2 + 2 + 2 + 4 + 2

// AppendAnswer appends the answer section for a question whose name is k's, to
// a message whose question stands directly behind the header, straight from
// the block. It does so only for an unexpired, positive RRset of a type whose
// data are sent as they are; false means that somebody has to look closer.
// With sigs the RRSIGs follow; hide makes every ttl 0 (HIDETTL). The message,
// which begins at dst[0], may not grow over max bytes. It never allocates if
// dst has room for max bytes.
func (c *Cache) AppendAnswer(dst []byte, k Key, now uint32, sigs, hide bool, max int, r *Reply) ([]byte, bool) {
	switch k.Type {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMX, dns.TypeSOA, dns.TypeRRSIG, dns.TypeANY:
		return dst, false // names to compress, or no RRset
	}
	s := c.shardOf(k.hash)
	s.mu.Lock()
	off := s.find(k)
	if off == 0 || s.expire(off) <= now {
		s.mu.Unlock()
		return dst, false // counted when somebody looks closer
	}
	m := s.entry(off)
	recs := int(binary.LittleEndian.Uint16(m[12:]))
	b := s.bits(off)
	p := headerSize + len(k.Name)
	proof := false
	if b&extBit != 0 {
		proof = binary.LittleEndian.Uint16(m[p+2:]) != 0
		p += extSize
	}
	if recs == 0 || sigs && proof {
		// nothing, or an RRset from a wildcard: the proof that goes with it
		// (RFC 4035, section 3.1.3.3) stands in another section
		s.mu.Unlock()
		return dst, false
	}
	s.hit++
	s.touch(off)
	r.TTL = b & ttlMask
	r.Left = min(s.expire(off)-now, r.TTL)
	r.Rank, r.Sec = uint8(b>>rankShift&7), uint8(b>>secShift&7)
	r.Records, r.Truncated = 0, false
	ttl := r.Left
	if hide {
		ttl = 0
	}
	start := len(dst)
	dst, ok := r.append(dst, m[p:p+recs], uint16(k.Type), ttl, max)
	if n := int(binary.LittleEndian.Uint16(m[14:])); ok && sigs && n > 0 {
		p += recs
		dst, ok = r.append(dst, m[p:p+n], uint16(dns.TypeRRSIG), ttl, max)
	}
	s.mu.Unlock()
	if !ok {
		r.Truncated, r.Records = true, 0
		return dst[:start], true
	}
	return dst, true
}

func (r *Reply) append(dst, data []byte, t uint16, ttl uint32, max int) ([]byte, bool) {
	var fixed [rrFixed - 2]byte
	binary.BigEndian.PutUint16(fixed[:], 0xC000|dns.HeaderLen)
	binary.BigEndian.PutUint16(fixed[2:], t)
	binary.BigEndian.PutUint16(fixed[4:], uint16(dns.ClassIN))
	binary.BigEndian.PutUint32(fixed[6:], ttl)
	for len(data) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(data))
		if len(dst)+len(fixed)+n > max {
			return dst, false
		}
		dst = append(dst, fixed[:]...)
		dst = append(dst, data[:n]...)
		data = data[n:]
		r.Records++
	}
	return dst, true
}
