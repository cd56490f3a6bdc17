package wire

import (
	"encoding/binary"

	"bulkhead/internal/dns"
)

// EDNS is what an OPT record says (RFC 6891, section 6.1).
type EDNS struct {
	Present bool
	UDPSize uint16 // requestor's UDP payload size, bytes; not yet clamped
	Version uint8
	DO      bool   // RFC 3225
	Ext     uint8  // upper 8 bits of the RCODE
	Options []byte // code, length, data ...; checked with NextOption
}

// FindEDNS looks for the OPT record of a message whose questions the cursor
// has passed, reading all remaining records. More than one OPT, an OPT outside
// the additional section or with an owner other than the root, or malformed
// records are ErrFormat (RFC 6891, section 6.1.1). With an error, e is what
// could be read of the last OPT record, without its options: who answers such
// a query owes it an OPT record (section 7).
func FindEDNS(c *Cursor) (e EDNS, err error) {
	bad := false
	for {
		var r RR
		ok, err := c.Next(&r)
		if r.Type == dns.TypeOPT {
			// the root by a zero byte: section 6.1.2 knows no other form
			bad = bad || e.Present || r.Section != Additional || c.Msg[r.Owner] != 0
			e = EDNS{Present: true, UDPSize: uint16(r.Class), Ext: uint8(r.TTL >> 24),
				Version: uint8(r.TTL >> 16), DO: r.TTL&(1<<15) != 0}
			if ok {
				e.Options = r.RData(c.Msg)
			}
		}
		switch {
		case err != nil || !ok && bad:
			e.Options = nil
			return e, ErrFormat
		case !ok:
			return e, nil
		}
	}
}

// OPTLen is an OPT record without options, in bytes (RFC 6891, section 6.1.2).
const OPTLen = 11

// FromQuery looks for the OPT record of a query whose question ends at off, as
// FindEDNS does. What the counts promise must be there and well-formed, or it
// is ErrFormat, as nsd, knotd and named have it; but 1.05 looked neither at the
// counts nor behind the question, and two kinds of senders may have come to
// rely on that: those whose question is the end of the message, whatever the
// counts say, and those who send more than is counted (compat: djbdns.md
// section 1.3).
func (e *EDNS) FromQuery(msg []byte, off int) (err error) {
	e.Present, e.DO = false, false
	if off >= len(msg) || msg[6]|msg[7]|msg[8]|msg[9]|msg[10]|msg[11] == 0 {
		return nil
	}
	// The usual case: nothing but OPT at the end.
	if off+OPTLen <= len(msg) && msg[off] == 0 && msg[off+1] == 0 && msg[off+2] == byte(dns.TypeOPT) &&
		msg[6]|msg[7]|msg[8]|msg[9]|msg[10] == 0 && msg[11] == 1 && off+OPTLen+int(binary.BigEndian.Uint16(msg[off+9:])) == len(msg) {
		*e = EDNS{Present: true, UDPSize: binary.BigEndian.Uint16(msg[off+3:]), Ext: msg[off+5], Version: msg[off+6],
			DO: msg[off+7]&0x80 != 0, Options: msg[off+OPTLen:]}
		return nil
	}
	c, err := Parse(msg)
	if err != nil {
		return err
	}
	c.off, c.left[Question] = off, 0
	*e, err = FindEDNS(&c)
	return err
}

// NextOption splits the first option off; ok is false at the end and for a
// malformed rest, which leaves rest non-nil.
func NextOption(options []byte) (code uint16, data, rest []byte, ok bool) {
	if len(options) == 0 {
		return 0, nil, nil, false
	}
	if len(options) < 4 {
		return 0, nil, options, false
	}
	n := 4 + int(binary.BigEndian.Uint16(options[2:]))
	if n > len(options) {
		return 0, nil, options, false
	}
	return binary.BigEndian.Uint16(options), options[4:n:n], options[n:], true
}

// AppendOption appends one EDNS option.
func AppendOption[T ~string | ~[]byte](dst []byte, code uint16, data T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}
