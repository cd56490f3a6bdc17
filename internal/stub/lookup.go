package stub

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/scan"
	"bulkhead/internal/wire"
)

// Family says which addresses are wanted.
type Family uint8

const (
	IPv4 Family = 1 << iota
	IPv6
)

// Addresses gives the addresses of name in random order, without rewriting
// (compat: djbdns.md section 11.3). No address is no error.
func (r *Resolver) Addresses(name string, f Family) ([]netip.Addr, error) {
	if addrs, ok := numeric(name); ok {
		return addrs, nil
	}
	if a, ok := bracketed(name); ok {
		return []netip.Addr{a}, nil
	}
	n, err := dnsname.ParseDot(name)
	if err != nil {
		return nil, ErrName
	}
	var out []netip.Addr
	for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		if t == dns.TypeA && f&IPv4 == 0 || t == dns.TypeAAAA && f&IPv6 == 0 {
			continue
		}
		msg, err := r.Ask(n, t)
		if err != nil {
			return nil, err
		}
		err = EachAnswer(msg, t, func(msg []byte, rr *wire.RR) error {
			if a, ok := netip.AddrFromSlice(rr.RData(msg)); ok && a.Is4() == (t == dns.TypeA) {
				out = append(out, a)
			}
			return nil
		})
		if err != nil {
			return nil, ErrName
		}
	}
	for i := len(out) - 1; i > 0; i-- {
		j := int(Below(uint32(i + 1)))
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

// Qualify applies the rewriting rules and gives the addresses and the name
// that was looked up last.
func (r *Resolver) Qualify(name string, f Family) (addrs []netip.Addr, fqdn string, err error) {
	rules, err := r.Rules()
	if err != nil {
		return nil, name, err
	}
	for _, fqdn = range Alternatives(Rewrite(rules, name)) {
		addrs, err = r.Addresses(fqdn, f)
		if err != nil || len(addrs) > 0 {
			return addrs, fqdn, err
		}
	}
	return nil, fqdn, nil
}

// Name gives the first PTR record of an address in text form (djbdns.md
// section 2.5); false when there is none.
func (r *Resolver) Name(a netip.Addr) (name string, found bool, err error) {
	msg, err := r.Ask(ReverseName(a), dns.TypePTR)
	if err != nil {
		return "", false, err
	}
	err = EachAnswer(msg, dns.TypePTR, func(msg []byte, rr *wire.RR) error {
		if found {
			return nil
		}
		n, _, err := wire.AppendName(nil, msg, rr.Data)
		if err != nil {
			return err
		}
		name, found = dnsname.Name(n).Text(), true
		return nil
	})
	if err != nil {
		return "", false, ErrName
	}
	return name, found, nil
}

// Text gives the strings of all TXT records of name, joined.
func (r *Resolver) Text(name dnsname.Name) (text []byte, found bool, err error) {
	msg, err := r.Ask(name, dns.TypeTXT)
	if err != nil {
		return nil, false, err
	}
	err = EachAnswer(msg, dns.TypeTXT, func(msg []byte, rr *wire.RR) error {
		found = true
		for d := rr.RData(msg); len(d) > 0; {
			n := 1 + int(d[0])
			if n > len(d) {
				return wire.ErrFormat
			}
			text = append(text, d[1:n]...)
			d = d[n:]
		}
		return nil
	})
	if err != nil {
		return nil, false, ErrName
	}
	return text, found, nil
}

// MX is one mail exchanger.
type MX struct {
	Preference uint16
	Exchanger  dnsname.Name
}

// MX gives the mail exchangers of name in packet order.
func (r *Resolver) MX(name dnsname.Name) (out []MX, err error) {
	msg, err := r.Ask(name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	err = EachAnswer(msg, dns.TypeMX, func(msg []byte, rr *wire.RR) error {
		if rr.Len < 3 {
			return wire.ErrFormat
		}
		n, _, err := wire.AppendName(nil, msg, rr.Data+2)
		if err != nil {
			return err
		}
		out = append(out, MX{binary.BigEndian.Uint16(rr.RData(msg)), dnsname.Name(n)})
		return nil
	})
	if err != nil {
		return nil, ErrName
	}
	return out, nil
}

// EachAnswer calls f for every record of type t and class IN in the answer
// section, whatever its owner.
func EachAnswer(msg []byte, t dns.Type, f func(msg []byte, rr *wire.RR) error) error {
	c, err := wire.Parse(msg)
	if err != nil {
		return err
	}
	if err := c.SkipQuestions(); err != nil {
		return err
	}
	var rr wire.RR
	for {
		ok, err := c.Next(&rr)
		if err != nil {
			return err
		}
		if !ok || rr.Section != wire.Answer {
			return nil
		}
		if rr.Type == t && rr.Class == dns.ClassIN {
			if err := f(msg, &rr); err != nil {
				return err
			}
		}
	}
}

// ReverseName gives the name under in-addr.arpa or ip6.arpa (RFC 1035, section
// 3.5; RFC 3596, section 2.5).
func ReverseName(a netip.Addr) dnsname.Name {
	a = a.Unmap()
	var b []byte
	if a.Is4() {
		ip := a.As4()
		for i := len(ip) - 1; i >= 0; i-- {
			l := len(b)
			b = append(b, 0)
			if ip[i] >= 100 {
				b = append(b, '0'+ip[i]/100)
			}
			if ip[i] >= 10 {
				b = append(b, '0'+ip[i]/10%10)
			}
			b = append(b, '0'+ip[i]%10)
			b[l] = byte(len(b) - l - 1)
		}
		return dnsname.Name(append(b, "\x07in-addr\x04arpa\x00"...))
	}
	ip := a.As16()
	const hex = "0123456789abcdef"
	for i := len(ip) - 1; i >= 0; i-- {
		b = append(b, 1, hex[ip[i]&15], 1, hex[ip[i]>>4])
	}
	return dnsname.Name(append(b, "\x03ip6\x04arpa\x00"...))
}

// numeric reads what is no name but addresses: only digits, dots and brackets.
// Brackets are dropped, numbers between dots (empty is 0, modulo 256) become
// bytes, every four bytes are an address.
func numeric(s string) ([]netip.Addr, bool) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '[' && c != ']' {
			return nil, false
		}
	}
	s = strings.NewReplacer("[", "", "]", "").Replace(s)
	var bytes []byte
	if s != "" {
		for _, p := range strings.Split(s, ".") {
			n, _ := scan.Number(p)
			bytes = append(bytes, byte(n))
		}
	}
	var out []netip.Addr
	for ; len(bytes) >= 4; bytes = bytes[4:] {
		out = append(out, netip.AddrFrom4([4]byte(bytes)))
	}
	return out, true
}

// bracketed reads an IPv6 address, in brackets or not.
func bracketed(s string) (netip.Addr, bool) {
	if strings.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil
}
