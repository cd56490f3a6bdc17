package rdata

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

func parseRow(dst []byte, t dns.Type, l *lexer) ([]byte, error) {
	r := rowOf(t)
	if r == nil {
		return dst, fail(`no presentation form is known, only \# LENGTH HEX`, nil)
	}
	start := len(dst)
	for i := range r.blocks {
		b := &r.blocks[i]
		var err error
		if dst, err = parseBlock(dst, b.kind, l); err != nil {
			if e, ok := err.(*Error); ok && e.Field == "" {
				e.Field = b.name
			}
			return dst, err
		}
		if len(dst)-start > dns.MaxMessage {
			return dst, fail("longer than 65535 bytes", nil)
		}
	}
	return dst, nil
}

func parseBlock(dst []byte, k kind, l *lexer) ([]byte, error) {
	switch k {
	case u8:
		n, err := l.uint(1<<8 - 1)
		return append(dst, byte(n)), err
	case u16:
		n, err := l.uint(1<<16 - 1)
		return binary.BigEndian.AppendUint16(dst, uint16(n)), err
	case u32:
		n, err := l.uint(1<<32 - 1)
		return binary.BigEndian.AppendUint32(dst, uint32(n)), err
	case u64:
		n, err := l.uint(1<<64 - 1)
		return binary.BigEndian.AppendUint64(dst, n), err
	case period:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		n, ok := ParsePeriod(w)
		if !ok {
			return dst, fail("not a number of seconds", w)
		}
		return binary.BigEndian.AppendUint32(dst, n), nil
	case date:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		n, ok := parseDate(w)
		if !ok {
			return dst, fail("neither YYYYMMDDHHmmSS nor seconds", w)
		}
		return binary.BigEndian.AppendUint32(dst, n), nil
	case algorithm:
		n, err := l.mnemonic(algorithms, 1<<8-1, "unknown algorithm")
		if err != nil {
			return dst, err
		}
		return append(dst, byte(n)), nil
	case certType:
		n, err := l.mnemonic(certTypes, 1<<16-1, "unknown certificate type")
		if err != nil {
			return dst, err
		}
		return binary.BigEndian.AppendUint16(dst, n), nil
	case scheme:
		n, err := l.mnemonic(schemes, 1<<8-1, "unknown scheme")
		if err != nil {
			return dst, err
		}
		return append(dst, byte(n)), nil
	case rrType:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		t, ok := dns.ParseType(string(w))
		if !ok {
			return dst, fail("unknown type", w)
		}
		return binary.BigEndian.AppendUint16(dst, uint16(t)), nil
	case name:
		return l.name(dst)
	case ip4:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		out, ok := appendIP4(dst, w)
		if !ok {
			return dst, fail("not an IPv4 address", w)
		}
		return out, nil
	case ip6:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		out, ok := appendIP6(dst, w)
		if !ok {
			return dst, fail("not an IPv6 address", w)
		}
		return out, nil
	case str:
		return l.str(dst)
	case optStr:
		if _, ok := l.peek(); !ok {
			return dst, nil
		}
		return l.str(dst)
	case strs:
		dst, err := l.str(dst)
		for n := 0; err == nil; n++ {
			if _, ok := l.peek(); !ok {
				break
			}
			if n > dns.MaxMessage {
				return dst, fail("longer than 65535 bytes", nil)
			}
			dst, err = l.str(dst)
		}
		return dst, err
	case rest:
		w, err := l.word()
		if err != nil {
			return dst, err
		}
		out, ok := unescape(dst, w)
		if !ok {
			return dst, fail("bad escape", w)
		}
		return out, nil
	case tag:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		if len(w) == 0 || len(w) > 255 {
			return dst, fail("must have 1 to 255 letters or digits", w)
		}
		for _, c := range w {
			if !alnum(c) {
				return dst, fail("must have 1 to 255 letters or digits", w)
			}
		}
		return append(append(dst, byte(len(w))), w...), nil
	case hexRest:
		return l.hex(dst, 1)
	case hexAny:
		return l.hex(dst, 0)
	case zoneDigest:
		return l.hex(dst, minZoneDigest)
	case b64Rest:
		return l.base64(dst, 1)
	case b64Dash:
		if w, _ := l.peek(); len(w) == 1 && w[0] == '-' {
			l.next()
			return dst, nil
		}
		return l.base64(dst, 1)
	case b64Any:
		return l.base64(dst, 0)
	case salt:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		at := len(dst)
		dst = append(dst, 0)
		if len(w) == 1 && w[0] == '-' {
			return dst, nil
		}
		var h hexReader
		if dst, err = h.feed(dst, w); err != nil {
			return dst, err
		}
		if h.half || len(dst)-at-1 > 255 || len(dst)-at-1 == 0 {
			return dst, fail("must be - or up to 255 bytes in hexadecimal", w)
		}
		dst[at] = byte(len(dst) - at - 1)
		return dst, nil
	case hash32:
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		at := len(dst)
		dst = append(dst, 0)
		out, ok := appendBase32(dst, w)
		if !ok || len(out)-at-1 > 255 || len(out)-at-1 == 0 {
			return dst, fail("not base32hex of 1 to 255 bytes", w)
		}
		out[at] = byte(len(out) - at - 1)
		return out, nil
	case bitmap:
		return parseBitmap(dst, l)
	case oldBitmap:
		return parseOldBitmap(dst, l)
	case locator:
		return parseLocator(dst, l)
	case eui48:
		return parseGroups(dst, l, 6, 2, '-')
	case eui64:
		return parseGroups(dst, l, 8, 2, '-')
	case params:
		return parseParams(dst, l)
	case location:
		return parseLOC(dst, l)
	case prefixes:
		return parseAPL(dst, l)
	case gateway:
		return parseIPSECKEY(dst, l)
	case relay:
		return parseAMTRELAY(dst, l)
	case hostID:
		return parseHIP(dst, l)
	case services:
		return parseWKS(dst, l)
	case nsapAddr:
		return parseNSAP(dst, l)
	case a6:
		return parseA6(dst, l)
	}
	panic("rdata: block kind without parser")
}

func (l *lexer) uint(max uint64) (uint64, error) {
	w, err := l.bare()
	if err != nil {
		return 0, err
	}
	n, ok := number(w, max)
	if !ok {
		return 0, fail("not a number in range", w)
	}
	return n, nil
}

func (l *lexer) name(dst []byte) ([]byte, error) {
	w, err := l.bare()
	if err != nil {
		return dst, err
	}
	out, err := dnsname.AppendParseMaster(dst, w, l.origin)
	if err != nil {
		return dst, fail("not a domain name", w)
	}
	return out, nil
}

// str reads one character-string (RFC 1035, section 3.3).
func (l *lexer) str(dst []byte) ([]byte, error) {
	w, err := l.word()
	if err != nil {
		return dst, err
	}
	at := len(dst)
	out, ok := unescape(append(dst, 0), w)
	if !ok {
		return dst, fail("bad escape", w)
	}
	if len(out)-at-1 > 255 {
		return dst, fail("string longer than 255 bytes", w)
	}
	out[at] = byte(len(out) - at - 1)
	return out, nil
}

// hexReader decodes hexadecimal that blanks may cut anywhere.
type hexReader struct {
	half bool // one digit of a byte is read
	high byte
}

func (h *hexReader) feed(dst, w []byte) ([]byte, error) {
	for _, c := range w {
		d, ok := hexDigit(c)
		if !ok {
			return dst, fail("not hexadecimal", w)
		}
		if h.half {
			dst = append(dst, h.high<<4|d)
		}
		h.high, h.half = d, !h.half
	}
	return dst, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// hex reads all words that are left as hexadecimal of at least min bytes.
func (l *lexer) hex(dst []byte, min int) ([]byte, error) {
	from := len(dst)
	var h hexReader
	for {
		w, ok := l.next()
		if !ok {
			break
		}
		var err error
		if l.quoted {
			return dst, fail("must not be quoted", w)
		}
		if dst, err = h.feed(dst, w); err != nil {
			return dst, err
		}
	}
	if l.bad == "" && (h.half || len(dst)-from < min) {
		return dst, fail("hexadecimal ends too early", nil)
	}
	return dst, nil
}

// base64 reads all words that are left as base64 of at least min bytes (RFC
// 4648, section 4; padding is required, unused bits are zero).
func (l *lexer) base64(dst []byte, min int) ([]byte, error) {
	from := len(dst)
	var b base64Reader
	for {
		w, ok := l.next()
		if !ok {
			break
		}
		if l.quoted || !b.feed(&dst, w) {
			return dst, fail("not base64", w)
		}
	}
	if l.bad == "" && (b.n != 0 || len(dst)-from < min) {
		return dst, fail("base64 ends too early", nil)
	}
	return dst, nil
}

type base64Reader struct {
	acc  uint32
	n    int  // digits and padding since the last full group of four
	pad  int  // how many of them are padding
	done bool // padding has ended the data
}

func (b *base64Reader) feed(dst *[]byte, w []byte) bool {
	for _, c := range w {
		if b.done {
			return false
		}
		var d uint32
		switch {
		case 'A' <= c && c <= 'Z':
			d = uint32(c - 'A')
		case 'a' <= c && c <= 'z':
			d = uint32(c-'a') + 26
		case digit(c):
			d = uint32(c-'0') + 52
		case c == '+':
			d = 62
		case c == '/':
			d = 63
		case c == '=' && b.n >= 2:
			b.pad++
		default:
			return false
		}
		if b.pad > 0 && c != '=' {
			return false
		}
		b.acc = b.acc<<6 | d
		if b.n++; b.n < 4 {
			continue
		}
		group := [3]byte{byte(b.acc >> 16), byte(b.acc >> 8), byte(b.acc)}
		keep := 3 - b.pad
		for _, c := range group[keep:] {
			if c != 0 {
				return false
			}
		}
		*dst = append(*dst, group[:keep]...)
		b.done = b.pad > 0
		b.acc, b.n, b.pad = 0, 0, 0
	}
	return true
}

// appendBase32 decodes base32hex without padding (RFC 5155, section 3.3).
func appendBase32(dst, w []byte) ([]byte, bool) {
	var acc uint32
	bits := 0
	for _, c := range w {
		var d byte
		switch {
		case digit(c):
			d = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'v':
			d = c | 0x20 - 'a' + 10
		default:
			return dst, false
		}
		acc = acc<<5 | uint32(d)
		if bits += 5; bits >= 8 {
			bits -= 8
			dst = append(dst, byte(acc>>bits))
			acc &= 1<<bits - 1
		}
	}
	return dst, acc == 0 && bits < 5
}

// parseGroups reads count groups of width hexadecimal digits.
func parseGroups(dst []byte, l *lexer, count, width int, sep byte) ([]byte, error) {
	w, err := l.bare()
	if err != nil {
		return dst, err
	}
	if len(w) != count*width+count-1 {
		return dst, fail("wrong length", w)
	}
	var h hexReader
	for i := 0; i < count; i++ {
		at := i * (width + 1)
		if i > 0 && w[at-1] != sep {
			return dst, fail("wrong separator", w)
		}
		if dst, err = h.feed(dst, w[at:at+width]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// parseLocator reads four groups of one to four hexadecimal digits (RFC 6742,
// section 2.1.1), which BIND prints without leading zeros.
func parseLocator(dst []byte, l *lexer) ([]byte, error) {
	w, err := l.bare()
	if err != nil {
		return dst, err
	}
	group, digits, n := 0, 0, 0
	for i := 0; i <= len(w); i++ {
		if i == len(w) || w[i] == ':' {
			if digits == 0 || digits > 4 || group == 4 {
				return dst, fail("not four groups of hexadecimal", w)
			}
			dst = append(dst, byte(n>>8), byte(n))
			group, digits, n = group+1, 0, 0
			continue
		}
		d, ok := hexDigit(w[i])
		if !ok || digits == 4 {
			return dst, fail("not four groups of hexadecimal", w)
		}
		n = n<<4 | int(d)
		digits++
	}
	if group != 4 {
		return dst, fail("not four groups of hexadecimal", w)
	}
	return dst, nil
}

// parseGeneric reads what follows \# (RFC 3597, section 5). The data of types
// with a row must be well-formed.
func parseGeneric(dst []byte, t dns.Type, l *lexer) ([]byte, error) {
	from := len(dst)
	n, err := l.uint(dns.MaxMessage)
	if err != nil {
		return dst, err
	}
	if dst, err = l.hex(dst, 0); err != nil {
		return dst, err
	}
	if l.bad == "" && len(dst)-from != int(n) {
		return dst, fail("length differs from the number given", nil)
	}
	return dst, Check(t, dst[from:])
}

func alnum(c byte) bool { return digit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }
