// Package tinydata is the data language of tinydns: lines of text, the
// resource records they stand for, and the keys and values these become in
// data.cdb (compat: djbdns.md section 4; docs/format-data.md). Every file that
// 1.05 accepts gives the same bytes here.
//
//	parse.go    one line -> records        compile.go  a whole file -> a cdb
//	record.go   records <-> cdb values     write.go    records -> lines
//	prefix.go   locations of clients       lint.go     what compiles but is wrong
package tinydata

import (
	"bytes"
	"encoding/binary"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/scan"
)

// maxFields is the number of fields that count; more are ignored.
const maxFields = 15

// Default TTLs in seconds (compat: djbdns.md section 4.2).
const (
	ttlNS       = 259200
	ttlPositive = 86400
	ttlSOA      = 2560
)

// Default numbers of an SOA, in seconds.
const (
	soaRefresh = 16384
	soaRetry   = 2048
	soaExpire  = 1048576
	soaMinimum = 2560
)

// txtPiece is the length in bytes of the strings that a ' line is cut into.
// 255 are possible (RFC 1035, section 3.3.14); 127 is what it always was.
const txtPiece = 127

// maxData is the longest data that a record may have on the wire (RFC 1035,
// section 3.2.1). Old line types do not obey it, as ever.
const maxData = 65535

// Serial is the default serial number of an SOA: the data file's modification
// time in Unix seconds modulo 2^32, but never 0.
func Serial(modified int64) uint32 {
	if n := uint32(modified); n != 0 {
		return n
	}
	return 1
}

// A Reason says why a line is bad.
type Reason string

func (r Reason) Error() string { return string(r) }

// Parser turns lines into records. It keeps memory from line to line and is
// for one goroutine.
type Parser struct {
	Serial   uint32    // default serial number of an SOA
	Prefixes PrefixSet // lengths of the bracketed prefixes met so far
	f        [maxFields][]byte
	rec      Record
	owner    []byte
	name     []byte
	name2    []byte
	text     []byte
	data     []byte
	buf      []byte
}

// Line adds the records of one line, without its newline, to b. The error is a
// Reason, cdb.ErrFull, or dnsname.ErrName, for which 1.05 gave no line number.
func (p *Parser) Line(line []byte, b *cdb.Batch) error {
	for len(line) > 0 && (line[len(line)-1] == ' ' || line[len(line)-1] == '\t' || line[len(line)-1] == '\n') {
		line = line[:len(line)-1]
	}
	if len(line) == 0 || line[0] == '#' || line[0] == '-' {
		return nil
	}
	p.split(line[1:])
	switch line[0] {
	case '+', '=':
		return p.host(b, line[0] == '=')
	case '.', '&':
		return p.server(b, line[0] == '.')
	case '@':
		return p.mx(b)
	case 'C':
		return p.pointer(b, dns.TypeCNAME)
	case '^':
		return p.pointer(b, dns.TypePTR)
	case '\'':
		return p.txt(b)
	case ':':
		return p.generic(b)
	case 'Z':
		return p.soa(b)
	case '%':
		return p.location(b)
	case '3', '6':
		return located(p.host6(b, line[0] == '6'))
	case 'S':
		return located(p.srv(b))
	case 'N':
		return located(p.naptr(b))
	}
	return errLeading
}

// errLeading is the error of a line that is of no known kind.
const errLeading = Reason("unrecognized leading character")

// located gives the error of a name in one of the newer lines a reason, and so
// a line number.
func located(err error) error {
	if err == dnsname.ErrName {
		return Reason("label over 63 or name over 255 bytes")
	}
	return err
}

func (p *Parser) split(s []byte) {
	for i := range p.f {
		k := bytes.IndexByte(s, ':')
		if k < 0 {
			p.f[i] = s
			for i++; i < maxFields; i++ {
				p.f[i] = nil
			}
			return
		}
		p.f[i] = s[:k]
		s = s[k+1:]
	}
}

// common reads ttl, timestamp and location from three neighbouring fields.
func (p *Parser) common(i int, ttl uint64) (full uint64) {
	if n, used := scan.Number(p.f[i]); used > 0 {
		ttl = n
	}
	p.rec.TTL = uint32(ttl)
	p.rec.Time = parseTime(p.f[i+1])
	p.rec.Loc = parseLoc(p.f[i+2])
	return ttl
}

// parseTime reads up to 16 hexadecimal digits, high nibble first; what is no
// lower-case digit counts as 0, as ever.
func parseTime(s []byte) (t [8]byte) {
	for i := 0; i < len(s) && i < 16; i++ {
		var v byte
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			v = c - '0'
		case 'a' <= c && c <= 'f':
			v = c - 'a' + 10
		}
		if i&1 == 0 {
			v <<= 4
		}
		t[i>>1] |= v
	}
	return t
}

func parseLoc(s []byte) (lo [2]byte) {
	copy(lo[:], s)
	return lo
}

// put adds one record with owner and data.
func (p *Parser) put(b *cdb.Batch, owner []byte, t dns.Type, data []byte) error {
	p.rec.Owner, p.rec.Type, p.rec.Data = owner, t, data
	var err error
	p.buf, err = p.rec.Add(b, p.buf)
	return err
}

// putAddress is put for data on the caller's stack, which so stay there.
func (p *Parser) putAddress(b *cdb.Batch, owner []byte, t dns.Type, ip []byte) error {
	p.data = append(p.data[:0], ip...)
	return p.put(b, owner, t, p.data)
}

// readOwner reads the first field.
func (p *Parser) readOwner() (err error) {
	p.owner, err = appendName(p.owner[:0], p.f[0])
	return err
}

// appendName is dnsname.AppendDot, faster for names without backslash.
func appendName(dst, s []byte) ([]byte, error) {
	start, label := len(dst), len(dst)
	dst = append(dst, 0)
	for i, c := range s {
		if c == '\\' {
			return dnsname.AppendDot(dst[:start], s)
		}
		if c != '.' {
			dst = append(dst, c)
			if i < len(s)-1 {
				continue
			}
		}
		n := len(dst) - label - 1
		if n == 0 {
			continue
		}
		if n > dns.MaxLabel || len(dst)-start+1 > dns.MaxName {
			return dst[:start], dnsname.ErrName
		}
		dst[label] = byte(n)
		label = len(dst)
		dst = append(dst, 0)
	}
	return dst, nil
}

// server name, completed: x alone when it has a dot, else x.kind.fqdn. The
// text is joined before it is read, so a backslash at the end of x acts on
// what follows.
func (p *Parser) complete(x []byte, kind string) (err error) {
	if bytes.IndexByte(x, '.') >= 0 {
		p.name, err = appendName(p.name[:0], x)
		return err
	}
	p.text = append(p.text[:0], x...)
	p.text = append(p.text, kind...)
	p.text = append(p.text, p.f[0]...)
	p.name, err = appendName(p.name[:0], p.text)
	return err
}

// + and =: address, and for = the way back.
func (p *Parser) host(b *cdb.Batch, reverse bool) error {
	if err := p.readOwner(); err != nil {
		return err
	}
	p.common(2, ttlPositive)
	ip, _, ok := scan.IP4(p.f[1])
	if !ok {
		return nil
	}
	if err := p.putAddress(b, p.owner, dns.TypeA, ip[:]); err != nil || !reverse {
		return err
	}
	p.name = appendReverse4(p.name[:0], ip)
	return p.put(b, p.name, dns.TypePTR, p.owner)
}

// appendReverse4 appends d.c.b.a.in-addr.arpa.
func appendReverse4(dst []byte, ip [4]byte) []byte {
	for i := 3; i >= 0; i-- {
		c := ip[i]
		switch {
		case c >= 100:
			dst = append(dst, 3, '0'+c/100, '0'+c/10%10, '0'+c%10)
		case c >= 10:
			dst = append(dst, 2, '0'+c/10, '0'+c%10)
		default:
			dst = append(dst, 1, '0'+c)
		}
	}
	return append(dst, "\x07in-addr\x04arpa\x00"...)
}

// . and &: name server, its address, and for . the SOA.
func (p *Parser) server(b *cdb.Batch, soa bool) error {
	if err := p.readOwner(); err != nil {
		return err
	}
	full := p.common(3, ttlNS)
	if err := p.complete(p.f[2], ".ns."); err != nil {
		return err
	}
	if soa {
		p.data = append(p.data[:0], p.name...)
		// not checked for its length, as ever: with a long owner name this may
		// be over 255 bytes, which -lint tells
		p.data = append(p.data, "\x0ahostmaster"...)
		p.data = append(p.data, p.owner...)
		p.data = p.appendNumbers(p.data, [5]uint32{p.Serial, soaRefresh, soaRetry, soaExpire, soaMinimum})
		ttl := p.rec.TTL
		p.rec.TTL = ttlSOA
		if full == 0 {
			p.rec.TTL = 0
		}
		if err := p.put(b, p.owner, dns.TypeSOA, p.data); err != nil {
			return err
		}
		p.rec.TTL = ttl
	}
	if err := p.put(b, p.owner, dns.TypeNS, p.name); err != nil {
		return err
	}
	return p.address(b)
}

func (p *Parser) appendNumbers(dst []byte, n [5]uint32) []byte {
	for _, v := range n {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	return dst
}

// address adds the A record of the server in p.name if the second field is an
// address.
func (p *Parser) address(b *cdb.Batch) error {
	ip, _, ok := scan.IP4(p.f[1])
	if !ok {
		return nil
	}
	return p.putAddress(b, p.name, dns.TypeA, ip[:])
}

// @: mail exchanger and its address.
func (p *Parser) mx(b *cdb.Batch) error {
	if err := p.readOwner(); err != nil {
		return err
	}
	p.common(4, ttlPositive)
	if err := p.complete(p.f[2], ".mx."); err != nil {
		return err
	}
	dist, _ := scan.Number(p.f[3])
	p.data = binary.BigEndian.AppendUint16(p.data[:0], uint16(dist))
	p.data = append(p.data, p.name...)
	if err := p.put(b, p.owner, dns.TypeMX, p.data); err != nil {
		return err
	}
	return p.address(b)
}

// C and ^.
func (p *Parser) pointer(b *cdb.Batch, t dns.Type) (err error) {
	if err = p.readOwner(); err != nil {
		return err
	}
	if p.name, err = appendName(p.name[:0], p.f[1]); err != nil {
		return err
	}
	p.common(2, ttlPositive)
	return p.put(b, p.owner, t, p.name)
}

// ': text.
func (p *Parser) txt(b *cdb.Batch) error {
	if err := p.readOwner(); err != nil {
		return err
	}
	p.common(2, ttlPositive)
	p.text = appendUnescaped(p.text[:0], p.f[1])
	p.data = p.data[:0]
	for s := p.text; len(s) > 0; {
		n := min(len(s), txtPiece)
		p.data = append(p.data, byte(n))
		p.data = append(p.data, s[:n]...)
		s = s[n:]
	}
	return p.put(b, p.owner, dns.TypeTXT, p.data)
}

// appendUnescaped reads backslash and up to three octal digits as a byte
// modulo 256, backslash and any other byte as that byte, and drops a lone
// final backslash.
func appendUnescaped(dst, s []byte) []byte {
	for {
		k := bytes.IndexByte(s, '\\')
		if k < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:k]...)
		if s = s[k+1:]; len(s) == 0 {
			return dst
		}
		c := s[0]
		s = s[1:]
		if '0' <= c && c <= '7' {
			v := int(c - '0')
			for n := 0; n < 2 && len(s) > 0 && '0' <= s[0] && s[0] <= '7'; n++ {
				v = v*8 + int(s[0]-'0')
				s = s[1:]
			}
			c = byte(v)
		}
		dst = append(dst, c)
	}
}

// Z: SOA in full.
func (p *Parser) soa(b *cdb.Batch) (err error) {
	if err = p.readOwner(); err != nil {
		return err
	}
	if p.name, err = appendName(p.name[:0], p.f[1]); err != nil {
		return err
	}
	if p.name2, err = appendName(p.name2[:0], p.f[2]); err != nil {
		return err
	}
	n := [5]uint32{p.Serial, soaRefresh, soaRetry, soaExpire, soaMinimum}
	for i := range n {
		if v, used := scan.Number(p.f[3+i]); used > 0 {
			n[i] = uint32(v)
		}
	}
	p.common(8, ttlSOA)
	p.data = append(append(p.data[:0], p.name...), p.name2...)
	return p.put(b, p.owner, dns.TypeSOA, p.appendNumbers(p.data, n))
}

// prohibited gives the types that a : line with a number may not have, in the
// order in which they are checked.
func prohibited(t dns.Type) error {
	switch t {
	case dns.TypeAXFR, dns.TypeSOA, dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMX:
		return Reason("type " + t.String() + " prohibited")
	case 0:
		return Reason("type 0 prohibited")
	}
	return nil
}

// : any type. A number takes octal bytes, a mnemonic presentation format.
func (p *Parser) generic(b *cdb.Batch) error {
	if f := p.f[1]; len(f) > 0 && (f[0] < '0' || f[0] > '9') && len(f) <= 32 {
		if t, ok := dns.ParseType(string(f)); ok {
			return located(p.readable(b, t))
		}
	}
	if err := p.readOwner(); err != nil {
		return err
	}
	n, _ := scan.Number(p.f[1])
	t := dns.Type(n)
	if err := prohibited(t); err != nil {
		return err
	}
	p.common(3, ttlPositive)
	p.data = appendUnescaped(p.data[:0], p.f[2])
	return p.put(b, p.owner, t, p.data)
}

// readable is a : line with a mnemonic: the data are in the presentation form
// of master files, names are absolute with or without a final dot, and \072
// stands for a colon.
func (p *Parser) readable(b *cdb.Batch, t dns.Type) error {
	if t.IsMeta() && t != dns.TypeNXNAME {
		return Reason("type " + t.String() + " prohibited")
	}
	if err := p.readOwner(); err != nil {
		return err
	}
	ttl := uint64(ttlPositive)
	switch t {
	case dns.TypeNS:
		ttl = ttlNS
	case dns.TypeSOA:
		ttl = ttlSOA
	}
	p.common(3, ttl)
	p.text = appendColons(p.text[:0], p.f[2])
	var err error
	if p.data, err = rdata.Parse(p.data[:0], t, p.text, dnsname.Root); err != nil {
		return Reason("bad " + t.String() + " data: " + err.Error())
	}
	if len(p.data) > maxData {
		return Reason("bad " + t.String() + " data: over 65535 bytes")
	}
	return p.put(b, p.owner, t, p.data)
}

// colon is how a colon is written in a field. In presentation form it would
// also be a letter H (decimal 072), which needs no backslash.
const colon = `\072`

// appendColons puts colons for \072 and leaves all other escapes alone.
func appendColons(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		if bytes.HasPrefix(s[i:], []byte(colon)) {
			dst = append(dst, ':')
			i += len(colon) - 1
			continue
		}
		dst = append(dst, s[i], s[i+1]) // an escaped backslash hides what follows
		i++
	}
	return dst
}

// 3 and 6: IPv6 address as 32 hexadecimal digits, and for 6 the way back. An
// empty address makes no record, as with + and =. For one that is malformed
// the line is what it has always been to 1.05: an error (the patch that brought
// these lines drops it in silence).
func (p *Parser) host6(b *cdb.Batch, reverse bool) error {
	if err := p.readOwner(); err != nil {
		return err
	}
	p.common(2, ttlPositive)
	if len(p.f[1]) == 0 {
		return nil
	}
	ip, ok := parseHex16(p.f[1])
	if !ok {
		return errLeading
	}
	if err := p.putAddress(b, p.owner, dns.TypeAAAA, ip[:]); err != nil || !reverse {
		return err
	}
	p.name = AppendReverse6(p.name[:0], ip)
	return p.put(b, p.name, dns.TypePTR, p.owner)
}

// parseHex16 reads 32 hexadecimal digits of either case; what follows is
// ignored, as behind an IPv4 address.
func parseHex16(s []byte) (ip [16]byte, ok bool) {
	if len(s) < 32 {
		return ip, false
	}
	for i := range 32 {
		v := hexValue(s[i])
		if v < 0 {
			return ip, false
		}
		ip[i>>1] = ip[i>>1]<<4 | byte(v)
	}
	return ip, true
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// AppendReverse6 appends the ip6.arpa name of an address (RFC 3596, section
// 2.5).
func AppendReverse6(dst []byte, ip [16]byte) []byte {
	const hex = "0123456789abcdef"
	for i := 15; i >= 0; i-- {
		dst = append(dst, 1, hex[ip[i]&15], 1, hex[ip[i]>>4])
	}
	return append(dst, "\x03ip6\x04arpa\x00"...)
}

// S: SRV and the address of its target. The wire has the fifth field first: it
// is the priority, whatever the patch's text says (compat: section 16).
func (p *Parser) srv(b *cdb.Batch) error {
	if err := p.readOwner(); err != nil {
		return err
	}
	p.common(6, ttlPositive)
	if err := p.complete(p.f[2], ".srv."); err != nil {
		return err
	}
	port, used := scan.Number(p.f[3])
	if used == 0 {
		return Reason("port missing")
	}
	a, _ := scan.Number(p.f[4])
	w, _ := scan.Number(p.f[5])
	p.data = binary.BigEndian.AppendUint16(p.data[:0], uint16(a))
	p.data = binary.BigEndian.AppendUint16(p.data, uint16(w))
	p.data = binary.BigEndian.AppendUint16(p.data, uint16(port))
	p.data = append(p.data, p.name...)
	if err := p.put(b, p.owner, dns.TypeSRV, p.data); err != nil {
		return err
	}
	return p.address(b)
}

// N: NAPTR.
func (p *Parser) naptr(b *cdb.Batch) (err error) {
	if err = p.readOwner(); err != nil {
		return err
	}
	p.common(7, ttlPositive)
	order, _ := scan.Number(p.f[1])
	pref, _ := scan.Number(p.f[2])
	p.data = binary.BigEndian.AppendUint16(p.data[:0], uint16(order))
	p.data = binary.BigEndian.AppendUint16(p.data, uint16(pref))
	for _, f := range p.f[3:6] { // flags, service, regexp (RFC 3403, section 4.1)
		p.text = appendUnescaped(p.text[:0], f)
		if len(p.text) > 255 {
			return Reason("string over 255 bytes")
		}
		p.data = append(p.data, byte(len(p.text)))
		p.data = append(p.data, p.text...)
	}
	if p.name, err = appendName(p.name[:0], p.f[6]); err != nil {
		return err
	}
	p.data = append(p.data, p.name...)
	return p.put(b, p.owner, dns.TypeNAPTR, p.data)
}
