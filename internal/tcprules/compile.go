// Package tcprules is the language that says which TCP clients may connect and
// with what environment, the database it is compiled to, and the lookup in it
// (compat: ucspi-tcp.md sections 3, 4 and 12; docs/format-tcprules.md).
//
//	compile.go   one line of rules -> records of tcp.cdb
//	lookup.go    address, host name and ident answer -> the rule that applies
//	netkey.go    address text, CIDR keys
package tcprules

import (
	"bytes"
	"errors"

	"bulkhead/internal/scan"
)

// ErrLine says that a line is no rule.
var ErrLine = errors.New("unable to parse this line")

// maxOctet cuts the high end of a range; values above are no octets.
const maxOctet = 255

// Line compiles one line, calling add for every record it makes. Comments,
// blank lines and lines without a colon make none. It gives the line without
// trailing blanks, for messages.
func Line(line []byte, add func(key, data []byte) error) (trimmed []byte, err error) {
	if len(line) > 0 && line[0] == '#' {
		return line, nil
	}
	line = bytes.TrimRight(line, " \t\n")
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return line, nil
	}
	if !verdict(line[colon+1:]) && isV6Start(line[:colon]) {
		colon = v6Colon(line, colon)
	}
	address, rest := line[:colon], line[colon+1:]

	var data []byte
	switch {
	case bytes.HasPrefix(rest, []byte("deny")):
		data = append(data, 'D', 0)
		rest = rest[len("deny"):]
	case bytes.HasPrefix(rest, []byte("allow")):
		rest = rest[len("allow"):]
	default:
		return line, ErrLine
	}
	for len(rest) > 0 {
		// ,NAME=qVALUEq with any byte as q
		if rest[0] != ',' {
			return line, ErrLine
		}
		eq := bytes.IndexByte(rest, '=')
		if eq < 0 || eq+1 == len(rest) {
			return line, ErrLine
		}
		q := rest[eq+1]
		n := bytes.IndexByte(rest[eq+2:], q)
		if n < 0 {
			return line, ErrLine
		}
		data = append(data, '+')
		data = append(data, rest[1:eq+1]...)
		data = append(data, rest[eq+2:eq+2+n]...)
		data = append(data, 0)
		rest = rest[eq+2+n+1:]
	}
	return line, expand(address, data, add)
}

func verdict(rest []byte) bool {
	return bytes.HasPrefix(rest, []byte("deny")) || bytes.HasPrefix(rest, []byte("allow"))
}

// isV6Start reports whether the part of a line before its first colon can be
// the start of an IPv6 address, with or without an ident answer before it.
func isV6Start(b []byte) bool {
	if i := bytes.LastIndexByte(b, '@'); i >= 0 {
		b = b[i+1:]
	}
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return len(b) <= 4
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// v6Colon gives the colon before the first :deny or :allow; first if an
// address with colons can not reach that far.
func v6Colon(line []byte, first int) int {
	for i := first; i < len(line); i++ {
		switch c := line[i]; {
		case c == ':':
			if verdict(line[i+1:]) {
				return i
			}
		case !isHex(c) && c != '.' && c != '/' && c != '-':
			return first
		}
	}
	return first
}

// expand makes one record per value of the range in address, one record when
// there is none.
func expand(address, data []byte, add func(key, data []byte) error) error {
	dash := bytes.IndexByte(address, '-')
	if dash < 0 || bytes.IndexByte(address, '=') >= 0 || bytes.IndexByte(address, '@') >= 0 {
		return addKey(address, data, add)
	}
	start := bytes.LastIndexByte(address[:dash], '.') + 1
	end := bytes.IndexByte(address[dash:], '.')
	if end < 0 {
		end = len(address)
	} else {
		end += dash
	}
	low, n := scan.Number(address[start:dash])
	if n != dash-start {
		return ErrLine
	}
	high, n := scan.Number(address[dash+1 : end])
	if n != end-dash-1 {
		return ErrLine
	}
	high = min(high, maxOctet)
	for v := low; v <= high; v++ {
		key := append([]byte(nil), address[:start]...)
		key = appendUint(key, v)
		key = append(key, address[end:]...)
		if err := addKey(key, data, add); err != nil {
			return err
		}
	}
	return nil
}

// addKey adds a record and, where the key is a network in a form that lookups
// do not try, a second one under the form they do.
func addKey(key, data []byte, add func(key, data []byte) error) error {
	if err := add(key, data); err != nil {
		return err
	}
	if c, ok := canonicalNet(key); ok && !bytes.Equal(c, key) {
		return add(c, data)
	}
	return nil
}

func appendUint(b []byte, v uint64) []byte {
	if v >= 10 {
		b = appendUint(b, v/10)
	}
	return append(b, byte('0'+v%10))
}
