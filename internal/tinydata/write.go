package tinydata

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// ErrLine says that the data language has no line for a record.
var ErrLine = errors.New("no line can express this record")

// AppendLine appends the line, with its newline, that gives exactly r again;
// names keep their letter case, and asterisks are written as such. It prefers
// the oldest form that fits and that people read easily, and presentation
// format for newer types; data that have no presentation form become octal
// bytes.
func AppendLine(dst []byte, r *Record) ([]byte, error) {
	out, ok := appendClassic(dst, r, true)
	if !ok {
		if out, ok = appendReadable(dst, r); !ok {
			if out, ok = appendOctal(dst, r, true); !ok {
				return dst, ErrLine
			}
		}
	}
	return appendTail(out, r), nil
}

// AppendClassic is AppendLine in the forms of axfr-get (compat: djbdns.md
// section 7), which every tinydns-data since 1.05 understands: names in rdata
// in lower case, all types but the oldest by number with octal bytes.
func AppendClassic(dst []byte, r *Record) ([]byte, error) {
	if r.Type == dns.TypeNS && dnsname.IsWildcard(r.Owner) {
		return dst, ErrLine // as axfr-get always has it
	}
	out, ok := appendClassic(dst, r, false)
	if !ok {
		if out, ok = appendOctal(dst, r, false); !ok {
			return dst, ErrLine
		}
	}
	return appendTail(out, r), nil
}

// appendTail appends ttl, and timestamp and location if there are any.
func appendTail(dst []byte, r *Record) []byte {
	dst = append(dst, ':')
	dst = strconv.AppendUint(dst, uint64(r.TTL), 10)
	if r.Time != [8]byte{} || r.Loc != [2]byte{} {
		dst = append(dst, ':')
		if r.Time != [8]byte{} {
			const hex = "0123456789abcdef"
			for _, c := range r.Time {
				dst = append(dst, hex[c>>4], hex[c&15])
			}
		}
	}
	if r.Loc != [2]byte{} {
		lo, _ := locText(r.Loc[:])
		dst = append(append(dst, ':'), lo...)
	}
	return append(dst, '\n')
}

// locText gives the location as a field; false if none can give it back: it is
// written as it is, so it must hold no colon or newline, nor end in a blank.
func locText(lo []byte) ([]byte, bool) {
	lo = bytes.TrimRight(lo, "\x00")
	if bytes.ContainsAny(lo, ":\n") || len(lo) > 0 && (lo[len(lo)-1] == ' ' || lo[len(lo)-1] == '\t') {
		return nil, false
	}
	return lo, true
}

func (r *Record) expressible() bool {
	_, ok := locText(r.Loc[:])
	return ok
}

// appendDotted appends a name of rdata and the dot that makes it contain one,
// so that it is never completed; letter case is kept if exact is set.
func appendDotted(dst []byte, name []byte, exact bool) []byte {
	if exact && name[0] == 0 {
		return append(dst, '.') // axfr-get writes two
	}
	return append(appendOwner(dst, name, exact), '.')
}

// appendOwner appends a name as dnsname.AppendText does; if exact is set letter
// case is kept, and asterisks need no escape.
func appendOwner(dst []byte, n []byte, exact bool) []byte {
	if !exact {
		return dnsname.AppendText(dst, n)
	}
	if n[0] == 0 {
		return append(dst, '.')
	}
	for i := 0; n[i] != 0; {
		if i > 0 {
			dst = append(dst, '.')
		}
		end := i + 1 + int(n[i])
		for i++; i < end; i++ {
			if n[i] == '*' {
				dst = append(dst, '*')
			} else {
				dst = appendByte(dst, n[i])
			}
		}
	}
	return dst
}

// appendByte appends letters, digits, - and _ as they are, all else as \ooo.
func appendByte(dst []byte, c byte) []byte {
	if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
		return append(dst, c)
	}
	return append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
}

// appendClassic appends a line of one of the old kinds, without ttl. exact
// asks for all bytes back, letter case in rdata included.
func appendClassic(dst []byte, r *Record, exact bool) ([]byte, bool) {
	if !r.expressible() {
		return dst, false
	}
	out := dst
	start := func(c byte) {
		out = append(out, c)
		out = append(appendOwner(out, r.Owner, exact), ':')
	}
	d := r.Data
	switch r.Type {
	case dns.TypeA:
		if len(d) != 4 {
			return dst, false
		}
		start('+')
		for i, c := range d {
			if i > 0 {
				out = append(out, '.')
			}
			out = strconv.AppendUint(out, uint64(c), 10)
		}
		return out, true
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		if !dnsname.Valid(d) {
			return dst, false
		}
		switch r.Type {
		case dns.TypeNS:
			start('&')
			out = append(out, ':')
		case dns.TypeCNAME:
			start('C')
		default:
			start('^')
		}
		return appendDotted(out, d, exact), true
	case dns.TypeMX:
		if len(d) < 3 || !dnsname.Valid(d[2:]) {
			return dst, false
		}
		start('@')
		out = append(out, ':')
		out = append(appendDotted(out, d[2:], exact), ':')
		return strconv.AppendUint(out, uint64(binary.BigEndian.Uint16(d)), 10), true
	case dns.TypeSOA:
		m, ok := dnsname.Scan(d)
		if !ok {
			return dst, false
		}
		n, ok := dnsname.Scan(d[m:])
		if !ok || len(d) != m+n+20 {
			return dst, false
		}
		start('Z')
		out = append(appendDotted(out, d[:m], exact), ':')
		out = appendDotted(out, d[m:m+n], exact)
		for i := m + n; i < len(d); i += 4 {
			out = append(out, ':')
			out = strconv.AppendUint(out, uint64(binary.BigEndian.Uint32(d[i:])), 10)
		}
		return out, true
	case dns.TypeTXT:
		if !exact || !cutAt127(d) {
			return dst, false
		}
		start('\'')
		for len(d) > 0 {
			for _, c := range d[1 : 1+int(d[0])] {
				if c > ' ' && c < 127 && c != ':' && c != '\\' || c == ' ' {
					out = append(out, c)
				} else {
					out = appendByte(out, c)
				}
			}
			d = d[1+int(d[0]):]
		}
		return out, true
	}
	return dst, false
}

// cutAt127 reports whether the strings of a TXT record are as a ' line cuts
// them.
func cutAt127(d []byte) bool {
	for len(d) > 0 {
		n := int(d[0])
		if len(d) < 1+n || n > txtPiece || n == 0 || n < txtPiece && len(d) > 1+n {
			return false
		}
		d = d[1+n:]
	}
	return true
}

// appendReadable appends a : line in presentation format, without ttl.
func appendReadable(dst []byte, r *Record) ([]byte, bool) {
	if !r.expressible() || r.Type.IsMeta() || rdata.Check(r.Type, r.Data) != nil {
		return dst, false
	}
	out := append(dst, ':')
	out = append(appendOwner(out, r.Owner, true), ':')
	out = append(append(out, r.Type.String()...), ':')
	text := len(out)
	out = rdata.AppendText(out, r.Type, r.Data)
	if bytes.IndexByte(out[text:], '\n') >= 0 {
		return dst, false
	}
	if bytes.IndexByte(out[text:], ':') >= 0 {
		plain := bytes.Clone(out[text:])
		out = out[:text]
		for i := 0; i < len(plain); i++ {
			switch {
			case plain[i] == ':':
				out = append(out, colon...)
			case plain[i] == '\\' && i+1 < len(plain) && plain[i+1] != ':':
				out = append(out, plain[i], plain[i+1])
				i++
			case plain[i] == '\\' && i+1 < len(plain): // an escaped colon needs no backslash
			default:
				out = append(out, plain[i])
			}
		}
	}
	// only what reads back as the same bytes will do
	back, err := rdata.Parse(nil, r.Type, appendColons(nil, out[text:]), dnsname.Root)
	if err != nil || !bytes.Equal(back, r.Data) {
		return dst, false
	}
	return out, true
}

// appendOctal appends a : line with octal bytes, without ttl.
func appendOctal(dst []byte, r *Record, exact bool) ([]byte, bool) {
	if !r.expressible() || prohibited(r.Type) != nil {
		return dst, false
	}
	out := append(dst, ':')
	out = append(appendOwner(out, r.Owner, exact), ':')
	out = append(strconv.AppendUint(out, uint64(r.Type), 10), ':')
	for _, c := range r.Data {
		if c == '.' {
			out = append(out, c)
		} else if c == '_' {
			out = append(out, `\137`...)
		} else {
			out = appendByte(out, c)
		}
	}
	return out, true
}

// AppendLocation appends the % line of a location record of data.cdb, with its
// newline; false if it is none, or damaged.
func AppendLocation(dst, key, data []byte) ([]byte, bool) {
	if len(data) != 2 || !IsLocation(key) {
		return dst, false
	}
	lo, ok := locText(data)
	if !ok {
		return dst, false
	}
	out := append(append(append(dst, '%'), lo...), ':')
	if key[1] == keyLoc[1] {
		for i, c := range key[2:] {
			if i > 0 {
				out = append(out, '.')
			}
			out = strconv.AppendUint(out, uint64(c), 10)
		}
		return append(out, '\n'), true
	}
	addr, bits, ok := prefixOfKey(key)
	if !ok {
		return dst, false
	}
	out = append(out, '[')
	out = addr.AppendTo(out)
	out = append(out, "]/"...)
	return append(strconv.AppendUint(out, uint64(bits), 10), '\n'), true
}
