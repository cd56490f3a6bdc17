// Package wire reads and builds DNS messages (RFC 1035, section 4; EDNS of RFC
// 6891). Parsing is a cursor over the caller's bytes, building appends to the
// caller's buffer; neither allocates. What record data mean is package rdata's.
//
//	parse.go   header, names in packets, questions, records
//	edns.go    the OPT record and its options
//	build.go   answers and queries: compression, sections, truncation
package wire

import (
	"encoding/binary"
	"errors"

	"bulkhead/internal/dns"
)

// ErrFormat says that bytes are no well-formed message. Its text is what the
// old programs print for EPROTO.
var ErrFormat = errors.New("protocol error")

// Bits of the header's second 16-bit word (RFC 1035, section 4.1.1; AD and CD:
// RFC 4035, section 3.1.6).
const (
	BitQR      = 1 << 15
	MaskOpcode = 0xF << 11
	BitAA      = 1 << 10
	BitTC      = 1 << 9
	BitRD      = 1 << 8
	BitRA      = 1 << 7
	BitZ       = 1 << 6
	BitAD      = 1 << 5
	BitCD      = 1 << 4
	MaskRCode  = 0xF
)

// Header is the fixed part of a message.
type Header struct {
	ID                                 uint16
	Bits                               uint16
	QDCount, ANCount, NSCount, ARCount uint16
}

// ParseHeader reads the first 12 bytes; false if there are fewer.
func ParseHeader(msg []byte) (h Header, ok bool) {
	if len(msg) < dns.HeaderLen {
		return h, false
	}
	h.ID = binary.BigEndian.Uint16(msg)
	h.Bits = binary.BigEndian.Uint16(msg[2:])
	h.QDCount = binary.BigEndian.Uint16(msg[4:])
	h.ANCount = binary.BigEndian.Uint16(msg[6:])
	h.NSCount = binary.BigEndian.Uint16(msg[8:])
	h.ARCount = binary.BigEndian.Uint16(msg[10:])
	return h, true
}

// Opcode is the header's OPCODE.
func (h Header) Opcode() dns.Opcode { return dns.Opcode(h.Bits >> 11 & 15) }

// RCode is the header's RCODE, without the upper bits that EDNS adds.
func (h Header) RCode() dns.RCode { return dns.RCode(h.Bits & MaskRCode) }

// maxNameSteps bounds the label bytes and pointers that reading one name may
// visit (compat: djbdns.md section 2.4), so that no arrangement of pointers
// costs more than this.
const maxNameSteps = 1000

// AppendName appends the uncompressed name that starts at off and gives the
// offset after it. Letter case is kept. Pointers may point anywhere in the
// message, as the old programs allow; the bound above makes loops an error.
func AppendName(dst, msg []byte, off int) ([]byte, int, error) {
	start := len(dst)
	next := -1 // offset after the name, known at the first pointer
	for steps := 0; steps < maxNameSteps; steps++ {
		if uint(off) >= uint(len(msg)) {
			return dst[:start], 0, ErrFormat
		}
		c := int(msg[off])
		switch {
		case c == 0:
			if next < 0 {
				next = off + 1
			}
			return append(dst, 0), next, nil
		case c >= 0xC0: // RFC 1035, section 4.1.4
			if off+1 >= len(msg) {
				return dst[:start], 0, ErrFormat
			}
			if next < 0 {
				next = off + 2
			}
			off = c&0x3F<<8 | int(msg[off+1])
		case c > dns.MaxLabel: // RFC 6891, section 5: no other label types
			return dst[:start], 0, ErrFormat
		default:
			end := off + 1 + c
			// the root's zero byte still has to fit
			if end > len(msg) || len(dst)-start+1+c+1 > dns.MaxName {
				return dst[:start], 0, ErrFormat
			}
			dst = append(dst, msg[off:end]...)
			off = end
			steps += c
		}
	}
	return dst[:start], 0, ErrFormat
}

// SkipName gives the offset after the name at off. It checks only as far as
// needed for that: pointers are not followed.
func SkipName(msg []byte, off int) (int, error) {
	for n := 0; n <= dns.MaxName; {
		if uint(off) >= uint(len(msg)) {
			return 0, ErrFormat
		}
		c := int(msg[off])
		switch {
		case c == 0:
			return off + 1, nil
		case c >= 0xC0:
			if off+2 > len(msg) {
				return 0, ErrFormat
			}
			return off + 2, nil
		case c > dns.MaxLabel:
			return 0, ErrFormat
		}
		off += 1 + c
		n += 1 + c
	}
	return 0, ErrFormat
}

// Section says where in a message a record stands (RFC 1035, section 4.1).
type Section uint8

const (
	Question Section = iota
	Answer
	Authority
	Additional
)

// RR locates a record in a message. Offsets count from the message's start.
type RR struct {
	Section Section
	Owner   int // offset of the owner name, possibly compressed
	Type    dns.Type
	Class   dns.Class
	TTL     uint32 // seconds as on the wire; see Cursor.Next
	Data    int    // offset of the record data
	Len     int    // bytes of record data
}

// RData gives the record data as they stand in msg; names in them may be
// compressed.
func (r *RR) RData(msg []byte) []byte { return msg[r.Data : r.Data+r.Len] }

// Cursor walks through a message's questions and records.
type Cursor struct {
	Msg    []byte
	Header Header
	off    int
	left   [4]uint16 // entries not yet read, by section
	sec    Section
}

// Parse starts at the first question.
func Parse(msg []byte) (Cursor, error) {
	h, ok := ParseHeader(msg)
	if !ok {
		return Cursor{}, ErrFormat
	}
	return Cursor{Msg: msg, Header: h, off: dns.HeaderLen,
		left: [4]uint16{h.QDCount, h.ANCount, h.NSCount, h.ARCount}}, nil
}

// Offset is where the next entry starts.
func (c *Cursor) Offset() int { return c.off }

// Question reads the next question, appending its uncompressed name to dst.
func (c *Cursor) Question(dst []byte) (name []byte, t dns.Type, class dns.Class, err error) {
	if c.left[Question] == 0 {
		return dst, 0, 0, ErrFormat
	}
	name, off, err := AppendName(dst, c.Msg, c.off)
	if err != nil || off+4 > len(c.Msg) {
		return dst, 0, 0, ErrFormat
	}
	c.left[Question]--
	c.off = off + 4
	return name, dns.Type(binary.BigEndian.Uint16(c.Msg[off:])),
		dns.Class(binary.BigEndian.Uint16(c.Msg[off+2:])), nil
}

// SkipQuestions moves to the first record.
func (c *Cursor) SkipQuestions() error {
	for ; c.left[Question] > 0; c.left[Question]-- {
		off, err := SkipName(c.Msg, c.off)
		if err != nil || off+4 > len(c.Msg) {
			return ErrFormat
		}
		c.off = off + 4
	}
	return nil
}

// Next reads the next record of any section after the questions, which must
// have been read or skipped. It gives false at the end; a TTL with the top bit
// set reads as 0 (RFC 2181, section 8), except in OPT, whose TTL is no time.
func (c *Cursor) Next(r *RR) (bool, error) {
	for c.left[c.sec] == 0 || c.sec == Question {
		if c.sec == Additional {
			return false, nil
		}
		if c.sec == Question && c.left[Question] != 0 {
			return false, ErrFormat
		}
		c.sec++
	}
	off, err := SkipName(c.Msg, c.off)
	if err != nil || off+10 > len(c.Msg) {
		return false, ErrFormat
	}
	b := c.Msg[off : off+10]
	r.Section = c.sec
	r.Owner = c.off
	r.Type = dns.Type(binary.BigEndian.Uint16(b))
	r.Class = dns.Class(binary.BigEndian.Uint16(b[2:]))
	r.TTL = binary.BigEndian.Uint32(b[4:])
	if r.TTL > 1<<31-1 && r.Type != dns.TypeOPT {
		r.TTL = 0
	}
	r.Data = off + 10
	r.Len = int(binary.BigEndian.Uint16(b[8:]))
	if r.Data+r.Len > len(c.Msg) {
		return false, ErrFormat
	}
	c.off = r.Data + r.Len
	c.left[c.sec]--
	return true, nil
}
