package rdata

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// size gives the length of the block at the start of data; false if there is
// no well-formed one. Blocks that reach to the end take all of data.
func size(k kind, data []byte) (int, bool) {
	fixed := 0
	switch k {
	case u8, algorithm, scheme:
		fixed = 1
	case u16, certType, rrType:
		fixed = 2
	case u32, period, date, ip4:
		fixed = 4
	case u64, locator, eui64:
		fixed = 8
	case ip6:
		fixed = 16
	case eui48:
		fixed = 6
	case name:
		return dnsname.Scan(data)
	case optStr:
		if len(data) == 0 {
			return 0, true
		}
		return prefixed(data, 0)
	case str:
		return prefixed(data, 0)
	case salt:
		return prefixed(data, 0)
	case hash32:
		return prefixed(data, 1)
	case tag:
		n, ok := prefixed(data, 1)
		if ok {
			for _, c := range data[1:n] {
				ok = ok && alnum(c)
			}
		}
		return n, ok
	case strs:
		n, ok := prefixed(data, 0)
		for ok && n < len(data) {
			var m int
			m, ok = prefixed(data[n:], 0)
			n += m
		}
		return n, ok
	case zoneDigest:
		return len(data), len(data) >= minZoneDigest
	case rest, hexAny, b64Any, b64Dash:
		return len(data), true
	case hexRest, b64Rest, nsapAddr:
		return len(data), len(data) > 0
	case bitmap:
		return len(data), checkBitmap(data)
	case oldBitmap:
		return len(data), checkOldBitmap(data)
	case params:
		return len(data), checkParams(data)
	case location:
		return len(data), checkLOC(data)
	case prefixes:
		return len(data), checkAPL(data)
	case gateway:
		return len(data), checkIPSECKEY(data)
	case relay:
		return len(data), checkAMTRELAY(data)
	case hostID:
		return len(data), checkHIP(data)
	case services:
		return len(data), checkWKS(data)
	case a6:
		return len(data), checkA6(data)
	default:
		panic("rdata: block kind without size")
	}
	return fixed, len(data) >= fixed
}

// prefixed measures a length byte and at least min bytes.
func prefixed(data []byte, min int) (int, bool) {
	if len(data) == 0 || int(data[0]) < min || 1+int(data[0]) > len(data) {
		return 0, false
	}
	return 1 + int(data[0]), true
}

// Check reports as an error why data, with uncompressed names, are malformed.
// Data of types without a row are always well-formed (RFC 3597, section 3).
func Check(t dns.Type, data []byte) error {
	r := rowOf(t)
	if r == nil {
		return nil
	}
	for i := range r.blocks {
		n, ok := size(r.blocks[i].kind, data)
		if !ok {
			return &Error{Type: t, Field: r.blocks[i].name, Text: "malformed"}
		}
		data = data[n:]
	}
	if len(data) > 0 {
		return &Error{Type: t, Text: "data go on after the last field"}
	}
	return nil
}

// AppendUncompressed appends the n bytes of data at offset off of msg with all
// names uncompressed. Pointers are taken only in types that may have them: RFC
// 1035's, and RFC 3597, section 4. The data must be well-formed; on error dst
// is returned unchanged and the error is wire.ErrFormat.
func AppendUncompressed(dst, msg []byte, t dns.Type, off, n int) ([]byte, error) {
	start, end := len(dst), off+n
	if off < 0 || n < 0 || end > len(msg) {
		return dst, wire.ErrFormat
	}
	r := rowOf(t)
	if r == nil {
		return append(dst, msg[off:end]...), nil
	}
	for i := range r.blocks {
		k := r.blocks[i].kind
		if k == name && r.pointers {
			out, next, err := wire.AppendName(dst, msg, off)
			if err != nil || next > end {
				return dst[:start], wire.ErrFormat
			}
			dst, off = out, next
			continue
		}
		m, ok := size(k, msg[off:end])
		if !ok {
			return dst[:start], wire.ErrFormat
		}
		dst = append(dst, msg[off:off+m]...)
		off += m
	}
	if off != end || len(dst)-start > dns.MaxMessage {
		return dst[:start], wire.ErrFormat
	}
	return dst, nil
}

// AppendCanonical appends the canonical form of uncompressed data: names in
// lower case in the types of RFC 4034, section 6.2, as corrected by RFC 6840,
// section 5.1. Malformed data are appended as they are.
func AppendCanonical(dst []byte, t dns.Type, data []byte) []byte {
	start := len(dst)
	dst = append(dst, data...)
	r := rowOf(t)
	if r == nil || !r.lower {
		return dst
	}
	b := dst[start:]
	for i := range r.blocks {
		n, ok := size(r.blocks[i].kind, b)
		if !ok {
			copy(dst[start:], data)
			return dst
		}
		switch r.blocks[i].kind {
		case name:
			dnsname.Lower(b[:n])
		case a6:
			dnsname.Lower(b[a6Name(b):n])
		}
		b = b[n:]
	}
	return dst
}

// Target gives the name that the additional section may have addresses for (RFC
// 1035, section 3.3; RFC 2782; RFC 9460, section 4.1; ...), a part of data.
// SVCB's "." that stands for the owner (RFC 9460, section 2.5) is no target.
func Target(t dns.Type, data []byte) (target []byte, ok bool) {
	r := rowOf(t)
	if r == nil || r.target < 0 {
		return nil, false
	}
	for i := range r.blocks {
		n, ok := size(r.blocks[i].kind, data)
		if !ok {
			return nil, false
		}
		if i == int(r.target) {
			return data[:n], data[0] != 0
		}
		data = data[n:]
	}
	return nil, false
}

// Names calls f with every name in well-formed uncompressed data, as parts of
// data.
func Names(t dns.Type, data []byte, f func(name []byte)) {
	r := rowOf(t)
	if r == nil {
		return
	}
	for i := range r.blocks {
		n, ok := size(r.blocks[i].kind, data)
		if !ok {
			return
		}
		if r.blocks[i].kind == name {
			f(data[:n])
		}
		data = data[n:]
	}
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
