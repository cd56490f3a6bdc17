// Package rbl is the list that rbldns serves: the lines of its data, the keys
// they become in data.cdb, and the answers (compat: djbdns.md sections 9.1 and
// 9.2; docs/format-rbldns-data.md).
package rbl

import (
	"bytes"
	"net/netip"

	"bulkhead/internal/scan"
	"bulkhead/internal/tinydata"
)

// Keys of data.cdb: the empty key has the answer, 4 address bytes and text;
// address and length in bits, 5 or 17 bytes, are listed.
const (
	keyLen4 = 4 + 1
	keyLen6 = 16 + 1
)

// Parser reads the lines of one data file.
type Parser struct{ last [4]byte }

// Line adds what one line of data says to b.
func (p *Parser) Line(line []byte, b Adder) error {
	for len(line) > 0 && (line[len(line)-1] == ' ' || line[len(line)-1] == '\t') {
		line = line[:len(line)-1]
	}
	if len(line) == 0 || line[0] == '#' {
		return nil
	}
	if net, ok := prefix6(line); ok {
		a := net.Masked().Addr().As16() // host bits count for nothing
		return b.Add(append(a[:], byte(net.Bits())), nil)
	}
	switch c := line[0]; {
	case c == ':':
		address, text, ok := bytes.Cut(line[1:], []byte(":"))
		if !ok {
			return tinydata.Reason("missing colon")
		}
		// An empty address is the one of the answer before, 0.0.0.0 in the
		// first: 1.05 took it so.
		if len(address) > 0 {
			ip, used, ok := scan.IP4(address)
			if !ok || used != len(address) {
				return tinydata.Reason("malformed IP address")
			}
			p.last = ip
		}
		return b.Add(nil, append(p.last[:len(p.last):len(p.last)], text...))
	case '0' <= c && c <= '9':
		key := prefix4(line)
		return b.Add(key[:], nil)
	case c == '[':
		return tinydata.Reason("malformed IP address")
	}
	return tinydata.Reason("unrecognized leading character")
}

// prefix4 reads up to four numbers with single dots between, and a length
// behind a slash. Host bits stay: the file is what it always was, the server
// overlooks them.
func prefix4(s []byte) (key [keyLen4]byte) {
	key[4] = 32
	for i := 0; ; i++ {
		n, used := scan.Number(s)
		if used == 0 {
			break
		}
		if i < 4 {
			key[i] = byte(n)
		}
		s = s[used:]
		if len(s) == 0 || s[0] != '.' {
			break
		}
		s = s[1:]
	}
	if len(s) > 0 && s[0] == '/' {
		n, _ := scan.Number(s[1:])
		key[4] = byte(min(n, 32))
	}
	return key
}

// prefix6 reads an IPv6 address or prefix: in brackets as in [2001:db8::]/32,
// or as it stands. A line that begins with a digit has always been an IPv4
// one, whatever followed the number; so without brackets the whole line must
// be an IPv6 address and its first group no octet.
func prefix6(line []byte) (p netip.Prefix, ok bool) {
	s := string(line)
	if s[0] == '[' {
		end := bytes.IndexByte(line, ']')
		if end < 0 {
			return p, false
		}
		s = s[1:end] + s[end+1:]
	} else if k := bytes.IndexByte(line, ':'); k < 3 {
		return p, false
	} else if n, used := scan.Number(line); used == k && n < 256 {
		return p, false
	}
	if bytes.IndexByte(line, '/') < 0 {
		s += "/128"
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil && p.Addr().Is6() && !p.Addr().Is4In6()
}

// Adder takes records: a cdb.Writer or cdb.Batch.
type Adder interface{ Add(key, data []byte) error }
