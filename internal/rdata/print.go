package rdata

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// printRow appends the blocks of data in presentation form. It gives false
// for data that are malformed or that this form can not express.
func printRow(dst []byte, r *row, data []byte) ([]byte, bool) {
	start := len(dst)
	for i := range r.blocks {
		k := r.blocks[i].kind
		n, ok := size(k, data)
		if !ok {
			return dst, false
		}
		at := len(dst)
		if at > start {
			dst = append(dst, ' ')
		}
		before := len(dst)
		if dst, ok = printBlock(dst, k, data[:n]); !ok {
			return dst, false
		}
		if len(dst) == before { // an empty block has no word
			dst = dst[:at]
		}
		data = data[n:]
	}
	return dst, len(data) == 0
}

// printBlock appends one block that size has measured.
func printBlock(dst []byte, k kind, b []byte) ([]byte, bool) {
	switch k {
	case u8, algorithm:
		return strconv.AppendUint(dst, uint64(b[0]), 10), true
	case u16:
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(b)), 10), true
	case u32, period:
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(b)), 10), true
	case u64:
		return strconv.AppendUint(dst, binary.BigEndian.Uint64(b), 10), true
	case date:
		return appendDate(dst, binary.BigEndian.Uint32(b)), true
	case certType:
		n := binary.BigEndian.Uint16(b)
		for _, c := range certTypes {
			if c.n == n {
				return append(dst, c.word...), true
			}
		}
		return strconv.AppendUint(dst, uint64(n), 10), true
	case scheme:
		for _, c := range schemes {
			if c.n == uint16(b[0]) {
				return append(dst, c.word...), true
			}
		}
		return strconv.AppendUint(dst, uint64(b[0]), 10), true
	case rrType:
		return append(dst, dns.Type(binary.BigEndian.Uint16(b)).String()...), true
	case name:
		return dnsname.AppendMaster(dst, b), true
	case ip4:
		return appendAddr4(dst, b), true
	case ip6:
		return netip.AddrFrom16([16]byte(b)).AppendTo(dst), true
	case str, optStr:
		if len(b) == 0 {
			return dst, true
		}
		return AppendQuoted(dst, b[1:]), true
	case strs:
		for len(b) > 0 {
			n := 1 + int(b[0])
			dst = append(AppendQuoted(dst, b[1:n]), ' ')
			b = b[n:]
		}
		return dst[:len(dst)-1], true
	case rest:
		return AppendQuoted(dst, b), true
	case tag:
		return append(dst, b[1:]...), true
	case hexRest, hexAny, zoneDigest:
		return appendHex(dst, b), true
	case b64Rest, b64Any:
		return base64.StdEncoding.AppendEncode(dst, b), true
	case b64Dash:
		if len(b) == 0 {
			return append(dst, '-'), true
		}
		return base64.StdEncoding.AppendEncode(dst, b), true
	case salt:
		if len(b) == 1 {
			return append(dst, '-'), true
		}
		return appendHex(dst, b[1:]), true
	case hash32:
		return appendBase32Text(dst, b[1:]), true
	case bitmap:
		return printBitmap(dst, b)
	case oldBitmap:
		return printOldBitmap(dst, b)
	case locator:
		return printGroups(dst, b, 2, ':'), true
	case eui48, eui64:
		return printGroups(dst, b, 1, '-'), true
	case params:
		return printParams(dst, b)
	case location:
		return printLOC(dst, b)
	case prefixes:
		return printAPL(dst, b)
	case gateway:
		return printIPSECKEY(dst, b)
	case relay:
		return printAMTRELAY(dst, b)
	case hostID:
		return printHIP(dst, b)
	case services:
		return printWKS(dst, b)
	case nsapAddr:
		return appendHex(append(dst, "0x"...), b), true
	case a6:
		return printA6(dst, b)
	}
	panic("rdata: block kind without printer")
}

func appendAddr4(dst, b []byte) []byte {
	for i, c := range b {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, uint64(c), 10)
	}
	return dst
}

// AppendQuoted appends a string in double quotes, with \" and \\ and \DDD for
// bytes that are not printable ASCII (RFC 1035, section 5.1).
func AppendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case ' ' <= c && c <= '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		}
	}
	return append(dst, '"')
}

const (
	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"
)

func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

func printGroups(dst, b []byte, width int, sep byte) []byte {
	for i, c := range b {
		if i > 0 && i%width == 0 {
			dst = append(dst, sep)
		}
		dst = append(dst, lowerHex[c>>4], lowerHex[c&15])
	}
	return dst
}

func appendBase32Text(dst, b []byte) []byte {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	var acc uint32
	bits := 0
	for _, c := range b {
		acc = acc<<8 | uint32(c)
		for bits += 8; bits >= 5; {
			bits -= 5
			dst = append(dst, digits[acc>>bits&31])
		}
	}
	if bits > 0 {
		dst = append(dst, digits[acc<<(5-bits)&31])
	}
	return dst
}

// appendGeneric appends \# LENGTH HEX (RFC 3597, section 5).
func appendGeneric(dst, data []byte) []byte {
	dst = append(dst, `\# `...)
	dst = strconv.AppendUint(dst, uint64(len(data)), 10)
	if len(data) == 0 {
		return dst
	}
	return appendHex(append(dst, ' '), data)
}

// AppendGeneric appends data of any type as \# LENGTH HEX.
func AppendGeneric(dst, data []byte) []byte { return appendGeneric(dst, data) }
