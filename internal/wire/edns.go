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
// records are ErrFormat (RFC 6891, section 6.1.1).
func FindEDNS(c *Cursor) (e EDNS, err error) {
	var r RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			return e, err
		}
		if !ok {
			return e, nil
		}
		if r.Type != dns.TypeOPT {
			continue
		}
		if e.Present || r.Section != Additional || c.Msg[r.Owner] != 0 {
			return e, ErrFormat
		}
		e = EDNS{Present: true, UDPSize: uint16(r.Class), Ext: uint8(r.TTL >> 24),
			Version: uint8(r.TTL >> 16), DO: r.TTL&(1<<15) != 0, Options: r.RData(c.Msg)}
	}
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
