// Package dns64 makes AAAA records of A records and finds the IPv4 address in
// an IPv6 one (RFC 6147, RFC 6052). It is pure.
package dns64

import (
	"errors"
	"net/netip"

	"bulkhead/internal/dnsname"
)

// Prefix is a translation prefix (RFC 6052, section 2.2).
type Prefix struct{ p netip.Prefix }

// WellKnown is 64:ff9b::/96 (RFC 6052, section 2.1).
var WellKnown = Prefix{netip.MustParsePrefix("64:ff9b::/96")}

// Parse reads a prefix: IPv6, of 32, 40, 48, 56, 64 or 96 bits. That bits 64 to
// 71 be zero (RFC 6052, section 2.2) is not asked of one of 96.
func Parse(s string) (Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Prefix{}, errors.New("not a prefix")
	}
	switch p.Bits() {
	case 32, 40, 48, 56, 64, 96:
	default:
		return Prefix{}, errors.New("length is none of 32, 40, 48, 56, 64, 96")
	}
	if !p.Addr().Is6() || p.Addr().Is4In6() || p.Masked().Addr() != p.Addr() {
		return Prefix{}, errors.New("not an IPv6 prefix for translation")
	}
	return Prefix{p}, nil
}

func (p Prefix) String() string { return p.p.String() }

// Embed gives the IPv6 address for an IPv4 one: its bytes follow the prefix,
// leaving out byte 8 (RFC 6052, section 2.2).
func (p Prefix) Embed(a [4]byte) [16]byte {
	out := p.p.Addr().As16()
	i := p.p.Bits() / 8
	for _, b := range a {
		if i == 8 {
			i++
		}
		out[i] = b
		i++
	}
	return out
}

// Extract is the inverse; false if a is not of the prefix.
func (p Prefix) Extract(a [16]byte) (out [4]byte, ok bool) {
	if !p.p.Contains(netip.AddrFrom16(a)) {
		return out, false
	}
	i := p.p.Bits() / 8
	for k := range out {
		if i == 8 {
			i++
		}
		out[k] = a[i]
		i++
	}
	return out, true
}

// Excluded reports whether an AAAA record counts as absent: IPv4-mapped
// addresses (RFC 6147, section 5.1.4).
func Excluded(a [16]byte) bool { return netip.AddrFrom16(a).Is4In6() }

// Reverse gives, for a name in ip6.arpa of an address within the prefix, the
// name in in-addr.arpa of the IPv4 address in it (RFC 6147, section 5.3.1).
func (p Prefix) Reverse(name dnsname.Name) (dnsname.Name, bool) {
	const suffix = "\x03ip6\x04arpa\x00"
	if len(name) != 64+len(suffix) || !dnsname.Equal(name[64:], dnsname.Name(suffix)) {
		return "", false
	}
	var a [16]byte
	for i := range 32 {
		c := name[2*i+1]
		switch {
		case name[2*i] != 1:
			return "", false
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return "", false
		}
		k := 31 - i
		a[k/2] |= c << (4 * (1 - k%2))
	}
	v4, ok := p.Extract(a)
	if !ok {
		return "", false
	}
	return Arpa(v4), true
}

// Arpa is the name of an IPv4 address in in-addr.arpa.
func Arpa(a [4]byte) dnsname.Name {
	var b []byte
	for i := 3; i >= 0; i-- {
		s := []byte{}
		v := a[i]
		if v >= 100 {
			s = append(s, '0'+v/100)
		}
		if v >= 10 {
			s = append(s, '0'+v/10%10)
		}
		s = append(s, '0'+v%10)
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return dnsname.Name(b) + "\x07in-addr\x04arpa\x00"
}
