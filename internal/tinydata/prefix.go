package tinydata

import (
	"bytes"
	"net/netip"

	"bulkhead/internal/cdb"
	"bulkhead/internal/scan"
)

// Clients get a location by their address. Two forms of keys say so:
//
//	00 25 a b c d     IPv4, whole octets, from "%lo:a.b.c.d" (or fewer numbers)
//	00 2f F N bytes   F is 4 or 6, N the length in bits, then the bytes that N
//	                  bits need, the rest zero; from "%lo:[address]/N"
//
// The data are the two bytes of the location. The longest prefix that holds
// the client's address decides; the first record of a key counts. An IPv4
// prefix of whole octets always has the first form, "%lo:" (00 25) holds for
// every client, IPv6 ones too. When there are keys of the second form, the
// record 00 2f lists their pairs (F, N), longest first within a family, so
// that a reader tries only those.

// Address families in keys.
const (
	family4 = 4
	family6 = 6
)

// PrefixSet remembers the lengths of second-form prefixes.
type PrefixSet struct {
	four [33]bool
	six  [129]bool
}

// Merge adds those of o.
func (s *PrefixSet) Merge(o *PrefixSet) {
	for i, v := range o.four {
		s.four[i] = s.four[i] || v
	}
	for i, v := range o.six {
		s.six[i] = s.six[i] || v
	}
}

// Add writes the record that lists the lengths, nothing if there are none.
func (s *PrefixSet) Add(b *cdb.Batch) error {
	var data []byte
	for n := len(s.six) - 1; n >= 0; n-- {
		if s.six[n] {
			data = append(data, family6, byte(n))
		}
	}
	for n := len(s.four) - 1; n >= 0; n-- {
		if s.four[n] {
			data = append(data, family4, byte(n))
		}
	}
	if data == nil {
		return nil
	}
	return b.Add([]byte(keyPrefix), data)
}

// AppendPrefixKey appends the second-form key of the first bits of addr.
func AppendPrefixKey(dst []byte, addr netip.Addr, bits int) []byte {
	p, err := addr.Prefix(bits)
	if err != nil {
		return dst
	}
	family := byte(family6)
	if addr.Is4() {
		family = family4
	}
	dst = append(dst, keyPrefix...)
	dst = append(dst, family, byte(bits))
	return append(dst, p.Addr().AsSlice()[:(bits+7)/8]...)
}

// % line. The second field begins with '[' in the newer form; in the old one
// it is numbers and dots, and what follows them has never meant anything.
func (p *Parser) location(b *cdb.Batch) error {
	lo := parseLoc(p.f[0])
	if bytes.HasPrefix(p.f[1], []byte("[")) {
		return p.bracket(b, lo)
	}
	p.buf = append(p.buf[:0], keyLoc...)
	p.buf = AppendPrefix4(p.buf, p.f[1])
	return b.Add(p.buf, lo[:])
}

// AppendPrefix4 appends one byte a number: numbers between any number of dots.
func AppendPrefix4(dst, s []byte) []byte {
	for len(s) > 0 {
		if s[0] == '.' {
			s = s[1:]
			continue
		}
		n, used := scan.Number(s)
		if used == 0 {
			break
		}
		dst = append(dst, byte(n))
		s = s[used:]
	}
	return dst
}

// bracket reads [address]/bits. The colons of the address have split it into
// fields; they are joined again. \072 is a colon here too.
func (p *Parser) bracket(b *cdb.Batch, lo [2]byte) error {
	p.text = p.text[:0]
	for i := 1; i < maxFields; i++ {
		if i > 1 {
			p.text = append(p.text, ':')
		}
		p.text = appendColons(p.text, p.f[i])
		if bytes.IndexByte(p.f[i], ']') >= 0 {
			break
		}
	}
	address, rest, ok := bytes.Cut(p.text[1:], []byte("]"))
	if !ok {
		return Reason("] missing after the address")
	}
	addr, err := netip.ParseAddr(string(address))
	if err != nil || addr.Zone() != "" {
		return Reason("malformed IP address in brackets")
	}
	addr = addr.Unmap()
	bits := addr.BitLen()
	if len(rest) > 0 {
		n, used := scan.Number(rest[1:])
		if rest[0] != '/' || used == 0 || used != len(rest)-1 || n > uint64(addr.BitLen()) {
			return Reason("prefix length must be a number from 0 to " + utoa(addr.BitLen()))
		}
		bits = int(n)
	}
	if want, err := addr.Prefix(bits); err != nil || want.Addr() != addr {
		return Reason("address has bits beyond its prefix length")
	}
	if addr.Is4() && bits%8 == 0 {
		p.buf = append(append(p.buf[:0], keyLoc...), addr.AsSlice()[:bits/8]...)
		return b.Add(p.buf, lo[:])
	}
	if addr.Is4() {
		p.Prefixes.four[bits] = true
	} else {
		p.Prefixes.six[bits] = true
	}
	p.buf = AppendPrefixKey(p.buf[:0], addr, bits)
	return b.Add(p.buf, lo[:])
}

func utoa(n int) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}

// prefixOfKey reads a second-form key.
func prefixOfKey(key []byte) (addr netip.Addr, bits int, ok bool) {
	if len(key) < 4 || string(key[:2]) != keyPrefix {
		return addr, 0, false
	}
	bits = int(key[3])
	if len(key) != 4+(bits+7)/8 {
		return addr, 0, false
	}
	switch {
	case key[2] == family4 && bits <= 32:
		var a [4]byte
		copy(a[:], key[4:])
		return netip.AddrFrom4(a), bits, true
	case key[2] == family6 && bits <= 128:
		var a [16]byte
		copy(a[:], key[4:])
		return netip.AddrFrom16(a), bits, true
	}
	return addr, 0, false
}
