// Package show renders a message the way tinydns-get, dnsq, dnsqr and dnstrace
// print it (compat: djbdns.md section 12.1): a line about the header, then a
// line for each question and record. Anything malformed, bytes after the last
// record included, is an error, and nothing is printed then.
package show

import (
	"encoding/binary"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// Form says how record data that 1.05 had no form of their own for are shown.
type Form int

const (
	// Classic shows all of them as "TYPENUMBER BYTES", bytes 33 to 126 plain
	// except the backslash, others as \ooo.
	Classic Form = iota
	// Readable keeps that for the types whose names 1.05 knew (TXT, HINFO, RP,
	// SIG, KEY, AAAA) and shows all newer ones as "TYPE presentation".
	Readable
	// Full shows every record as "TYPE presentation" and OPT as what it says.
	Full
)

// Message appends the lines for msg, or gives dst unchanged and
// wire.ErrFormat.
func Message(dst, msg []byte, f Form) ([]byte, error) {
	c, err := wire.Parse(msg)
	if err != nil {
		return dst, err
	}
	out := header(dst, msg, c.Header, f)
	var name [dns.MaxName + 1]byte
	for i := 0; i < int(c.Header.QDCount); i++ {
		n, t, class, err := c.Question(name[:0])
		if err != nil {
			return dst, err
		}
		out = append(out, "query: "...)
		if class != dns.ClassIN {
			out = append(out, "weird class\n"...)
			continue
		}
		out = strconv.AppendUint(out, uint64(t), 10)
		out = append(out, ' ')
		out = dnsname.AppendText(out, n)
		out = append(out, '\n')
	}
	var rr wire.RR
	for {
		ok, err := c.Next(&rr)
		if err != nil {
			return dst, err
		}
		if !ok {
			break
		}
		out = append(out, sections[rr.Section]...)
		if out, err = Record(out, msg, &rr, f); err != nil {
			return dst, err
		}
		out = append(out, '\n')
	}
	if c.Offset() != len(msg) {
		return dst, wire.ErrFormat
	}
	return out, nil
}

var sections = [...]string{wire.Answer: "answer: ", wire.Authority: "authority: ", wire.Additional: "additional: "}

var rcodes = map[dns.RCode]string{
	dns.RCodeSuccess: "noerror", dns.RCodeNXDomain: "nxdomain", dns.RCodeNotImp: "notimp", dns.RCodeRefused: "refused",
}

func header(out, msg []byte, h wire.Header, f Form) []byte {
	num := func(n uint16, after string) {
		out = strconv.AppendUint(out, uint64(n), 10)
		out = append(out, after...)
	}
	out = strconv.AppendInt(out, int64(len(msg)), 10)
	out = append(out, " bytes, "...)
	num(h.QDCount, "+")
	num(h.ANCount, "+")
	num(h.NSCount, "+")
	num(h.ARCount, " records")
	say := func(on bool, what string) {
		if on {
			out = append(append(out, ", "...), what...)
		}
	}
	say(h.Bits&wire.BitQR != 0, "response")
	say(h.Opcode() != 0, "weird op")
	say(h.Bits&wire.BitAA != 0, "authoritative")
	say(h.Bits&wire.BitTC != 0, "truncated")
	say(h.Bits&wire.BitRD != 0, "weird rd")
	say(h.Bits&wire.BitRA != 0, "weird ra")
	word, ok := rcodes[h.RCode()]
	if !ok {
		word = "weird rcode"
		if f == Full {
			word = h.RCode().String()
		}
	}
	say(true, word)
	z := uint16(wire.BitZ | wire.BitAD | wire.BitCD)
	if f == Full {
		say(h.Bits&wire.BitAD != 0, "authentic data")
		say(h.Bits&wire.BitCD != 0, "checking disabled")
		z = wire.BitZ
	}
	say(h.Bits&z != 0, "weird z")
	return append(out, '\n')
}

// known reports whether 1.05 knew the name of a type (compat: djbdns.md
// section 5.4), so that its output has had a form since.
func known(t dns.Type) bool {
	switch t {
	case dns.TypeTXT, dns.TypeHINFO, dns.TypeRP, dns.TypeSIG, dns.TypeKEY, dns.TypeAAAA:
		return true
	}
	return false
}

// Record appends "OWNER TTL DATA" for one record.
func Record(out, msg []byte, rr *wire.RR, f Form) ([]byte, error) {
	var buf [dns.MaxName + 1]byte
	start := len(out)
	owner, next, err := wire.AppendName(buf[:0], msg, rr.Owner)
	if err != nil {
		return out[:start], err
	}
	out = dnsname.AppendText(out, owner)
	out = append(out, ' ')
	// the number as it stands on the wire, not as a time
	out = strconv.AppendUint(out, uint64(binary.BigEndian.Uint32(msg[next+4:])), 10)
	if rr.Type == dns.TypeOPT && f == Full {
		return opt(out, msg, rr), nil
	}
	if rr.Class != dns.ClassIN {
		return append(out, " weird class"...), nil
	}
	at, end := rr.Data, rr.Data+rr.Len
	name := func() {
		if err != nil {
			return
		}
		var n []byte
		if n, at, err = wire.AppendName(buf[:0], msg, at); err == nil {
			out = dnsname.AppendText(append(out, ' '), n)
		}
	}
	number := func(size int) {
		if at+size > end {
			err = wire.ErrFormat
		}
		if err != nil {
			return
		}
		v := uint64(0)
		for _, b := range msg[at : at+size] {
			v = v<<8 | uint64(b)
		}
		at += size
		out = strconv.AppendUint(append(out, ' '), v, 10)
	}
	switch rr.Type {
	case dns.TypeNS:
		out = append(out, " NS"...)
		name()
	case dns.TypePTR:
		out = append(out, " PTR"...)
		name()
	case dns.TypeCNAME:
		out = append(out, " CNAME"...)
		name()
	case dns.TypeMX:
		out = append(out, " MX"...)
		number(2)
		name()
	case dns.TypeSOA:
		out = append(out, " SOA"...)
		name()
		name()
		for range 5 {
			number(4)
		}
	case dns.TypeA:
		if rr.Len != 4 {
			return out[:start], wire.ErrFormat
		}
		out = append(out, " A "...)
		for i, b := range msg[at:end] {
			if i > 0 {
				out = append(out, '.')
			}
			out = strconv.AppendUint(out, uint64(b), 10)
		}
		at = end
	default:
		if f == Full || f == Readable && !known(rr.Type) {
			return presentation(out, msg, rr), nil
		}
		out = strconv.AppendUint(append(out, ' '), uint64(rr.Type), 10)
		out = append(out, ' ')
		for _, b := range msg[at:end] {
			if b >= 33 && b <= 126 && b != '\\' {
				out = append(out, b)
			} else {
				out = append(out, '\\', '0'+b>>6, '0'+b>>3&7, '0'+b&7)
			}
		}
		at = end
	}
	if err != nil || at != end {
		return out[:start], wire.ErrFormat
	}
	return out, nil
}

// presentation appends " TYPE data", the data in the generic form of RFC 3597
// when they are unknown or malformed.
func presentation(out, msg []byte, rr *wire.RR) []byte {
	out = append(append(out, ' '), rr.Type.String()...)
	out = append(out, ' ')
	data, err := rdata.AppendUncompressed(nil, msg, rr.Type, rr.Data, rr.Len)
	if err != nil {
		return rdata.AppendGeneric(out, rr.RData(msg))
	}
	return rdata.AppendText(out, rr.Type, data)
}

// opt shows an OPT record: version, size, flags and the options known here.
func opt(out, msg []byte, rr *wire.RR) []byte {
	out = append(out, " OPT version "...)
	out = strconv.AppendUint(out, uint64(rr.TTL>>16&0xFF), 10)
	out = append(out, " size "...)
	out = strconv.AppendUint(out, uint64(rr.Class), 10)
	if rr.TTL&(1<<15) != 0 {
		out = append(out, " do"...)
	}
	if x := rr.TTL >> 24; x != 0 {
		out = append(out, " rcode "...)
		h, _ := wire.ParseHeader(msg)
		out = append(out, dns.RCode(x<<4|uint32(h.RCode())).String()...)
	}
	for rest := rr.RData(msg); ; {
		code, data, r, ok := wire.NextOption(rest)
		if !ok {
			if len(r) > 0 {
				out = append(out, " malformed"...)
			}
			return out
		}
		rest = r
		out = option(out, code, data)
	}
}

func option(out []byte, code uint16, data []byte) []byte {
	switch {
	case code == dns.OptNSID:
		out = append(out, " nsid "...)
		return rdata.AppendQuoted(out, data)
	case code == dns.OptCookie:
		out = append(out, " cookie "...)
	case code == dns.OptEDE && len(data) >= 2:
		out = append(out, " ede "...)
		out = strconv.AppendUint(out, uint64(binary.BigEndian.Uint16(data)), 10)
		if len(data) > 2 {
			out = append(out, ' ')
			out = rdata.AppendQuoted(out, data[2:])
		}
		return out
	default:
		out = append(out, " option "...)
		out = strconv.AppendUint(out, uint64(code), 10)
		out = append(out, ' ')
	}
	const hex = "0123456789abcdef"
	for _, b := range data {
		out = append(out, hex[b>>4], hex[b&15])
	}
	return out
}

// types are the names of 1.05's tools, in any letter case (compat: djbdns.md
// section 5.4).
var types = map[string]dns.Type{
	"any": dns.TypeANY, "a": dns.TypeA, "ns": dns.TypeNS, "mx": dns.TypeMX, "ptr": dns.TypePTR,
	"txt": dns.TypeTXT, "cname": dns.TypeCNAME, "soa": dns.TypeSOA, "hinfo": dns.TypeHINFO, "rp": dns.TypeRP,
	"sig": dns.TypeSIG, "key": dns.TypeKEY, "aaaa": dns.TypeAAAA, "axfr": dns.TypeAXFR,
}

// ParseType reads a type from a command line: a decimal number, all digits and
// modulo 65536 (nothing at all is 0), or one of 1.05's names. With every set,
// all names of dns.ParseType are understood too.
func ParseType(s string, every bool) (dns.Type, bool) {
	n := uint64(0)
	digits := true
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			digits = false
			break
		}
		n = n*10 + uint64(c-'0')
	}
	if digits {
		return dns.Type(n), true
	}
	b := []byte(s)
	for i, c := range b {
		b[i] = dnsname.LowerByte(c)
	}
	if t, ok := types[string(b)]; ok {
		return t, true
	}
	if !every && !(len(s) > 4 && string(b[:4]) == "type") {
		return 0, false
	}
	return dns.ParseType(s)
}
