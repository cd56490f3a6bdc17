package rdata

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"

	"bulkhead/internal/dnsname"
)

// Types whose later bytes depend on earlier ones.

// APL (RFC 3123, section 4): AFDFLENGTH, family 1 or 2, as [!]1:10.0.0.0/8.

func parseAPL(dst []byte, l *lexer) ([]byte, error) {
	for {
		w, ok := l.next()
		if !ok {
			return dst, nil
		}
		item := w
		var negative byte
		if len(item) > 0 && item[0] == '!' {
			negative, item = 0x80, item[1:]
		}
		colon, slash := -1, -1
		for i, c := range item {
			if c == ':' && colon < 0 {
				colon = i
			}
			if c == '/' {
				slash = i
			}
		}
		if l.quoted || colon < 0 || slash < colon {
			return dst, fail("not [!]family:address/length", w)
		}
		family, ok := number(item[:colon], 1<<16-1)
		var buf [16]byte
		var addr []byte
		switch {
		case ok && family == 1:
			addr, ok = appendIP4(buf[:0], item[colon+1:slash])
		case ok && family == 2:
			addr, ok = appendIP6(buf[:0], item[colon+1:slash])
		default:
			ok = false
		}
		bits, ok2 := number(item[slash+1:], uint64(8*len(addr)))
		if !ok || !ok2 {
			return dst, fail("not [!]family:address/length", w)
		}
		for len(addr) > 0 && addr[len(addr)-1] == 0 { // trailing zero bytes are not sent
			addr = addr[:len(addr)-1]
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(family))
		dst = append(dst, byte(bits), negative|byte(len(addr)))
		dst = append(dst, addr...)
	}
}

func checkAPL(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		n := int(b[3] & 0x7f)
		if len(b) < 4+n || n > 0 && b[3+n] == 0 {
			return false
		}
		switch be16(b) {
		case 1:
			if n > 4 || b[2] > 32 {
				return false
			}
		case 2:
			if n > 16 || b[2] > 128 {
				return false
			}
		}
		b = b[4+n:]
	}
	return true
}

func printAPL(dst, b []byte) ([]byte, bool) {
	start := len(dst)
	for len(b) > 0 {
		family, n := be16(b), int(b[3]&0x7f)
		if family != 1 && family != 2 {
			return dst, false
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if b[3]&0x80 != 0 {
			dst = append(dst, '!')
		}
		dst = append(dst, byte('0'+family), ':')
		var addr [16]byte
		copy(addr[:], b[4:4+n])
		if family == 1 {
			dst = appendAddr4(dst, addr[:4])
		} else {
			dst = netip.AddrFrom16(addr).AppendTo(dst)
		}
		dst = strconv.AppendUint(append(dst, '/'), uint64(b[2]), 10)
		b = b[4+n:]
	}
	return dst, true
}

// Gateways of IPSECKEY (RFC 4025, section 2.5) and AMTRELAY (RFC 8777, section
// 4.2.4): none, IPv4, IPv6, a name.

func parseGateway(dst []byte, l *lexer, kindOf byte) ([]byte, error) {
	switch kindOf {
	case 0:
		w, err := l.bare()
		if err == nil && string(w) != "." {
			err = fail("must be . for type 0", w)
		}
		return dst, err
	case 1:
		return parseBlock(dst, ip4, l)
	case 2:
		return parseBlock(dst, ip6, l)
	case 3:
		return l.name(dst)
	}
	return dst, fail("unknown gateway type", nil)
}

func gatewaySize(kindOf byte, b []byte) (int, bool) {
	switch kindOf {
	case 0:
		return 0, true
	case 1:
		return 4, len(b) >= 4
	case 2:
		return 16, len(b) >= 16
	case 3:
		return dnsname.Scan(b)
	}
	return len(b), true // a type yet to be defined: opaque
}

func printGateway(dst []byte, kindOf byte, b []byte) ([]byte, bool) {
	switch kindOf {
	case 0:
		return append(dst, '.'), true
	case 1:
		return appendAddr4(dst, b), true
	case 2:
		return netip.AddrFrom16([16]byte(b)).AppendTo(dst), true
	case 3:
		return dnsname.AppendMaster(dst, b), true
	}
	return dst, false
}

// IPSECKEY (RFC 4025): precedence, gateway type, algorithm, gateway, key.

func parseIPSECKEY(dst []byte, l *lexer) ([]byte, error) {
	at := len(dst)
	for range 3 {
		n, err := l.uint(255)
		if err != nil {
			return dst, err
		}
		dst = append(dst, byte(n))
	}
	dst, err := parseGateway(dst, l, dst[at+1])
	if err != nil {
		return dst, err
	}
	return l.base64(dst, 0)
}

func checkIPSECKEY(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	_, ok := gatewaySize(b[1], b[3:])
	return ok
}

func printIPSECKEY(dst, b []byte) ([]byte, bool) {
	for _, c := range b[:3] {
		dst = append(strconv.AppendUint(dst, uint64(c), 10), ' ')
	}
	n, _ := gatewaySize(b[1], b[3:])
	dst, ok := printGateway(dst, b[1], b[3:3+n])
	if key := b[3+n:]; len(key) > 0 {
		dst = base64.StdEncoding.AppendEncode(append(dst, ' '), key)
	}
	return dst, ok
}

// AMTRELAY (RFC 8777): precedence, discovery bit, relay type, relay.

func parseAMTRELAY(dst []byte, l *lexer) ([]byte, error) {
	precedence, err := l.uint(255)
	if err != nil {
		return dst, err
	}
	discovery, err := l.uint(1)
	if err != nil {
		return dst, err
	}
	kindOf, err := l.uint(127)
	if err != nil {
		return dst, err
	}
	dst = append(dst, byte(precedence), byte(discovery)<<7|byte(kindOf))
	return parseGateway(dst, l, byte(kindOf))
}

func checkAMTRELAY(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	n, ok := gatewaySize(b[1]&0x7f, b[2:])
	return ok && n == len(b)-2
}

func printAMTRELAY(dst, b []byte) ([]byte, bool) {
	dst = append(strconv.AppendUint(dst, uint64(b[0]), 10), ' ', '0'+b[1]>>7, ' ')
	dst = append(strconv.AppendUint(dst, uint64(b[1]&0x7f), 10), ' ')
	return printGateway(dst, b[1]&0x7f, b[2:])
}

// HIP (RFC 8005, section 5): lengths and algorithm, HIT, public key, servers.

func parseHIP(dst []byte, l *lexer) ([]byte, error) {
	alg, err := l.uint(255)
	if err != nil {
		return dst, err
	}
	at := len(dst)
	dst = append(dst, 0, byte(alg), 0, 0)
	w, err := l.bare()
	if err != nil {
		return dst, err
	}
	var h hexReader
	if dst, err = h.feed(dst, w); err != nil {
		return dst, err
	}
	n := len(dst) - at - 4
	if h.half || n < 1 || n > 255 {
		return dst, fail("identity tag must have 1 to 255 bytes", w)
	}
	dst[at] = byte(n)
	if w, err = l.bare(); err != nil {
		return dst, err
	}
	from := len(dst)
	var b base64Reader
	if !b.feed(&dst, w) || b.n != 0 {
		return dst, fail("not base64", w)
	}
	if n = len(dst) - from; n < 1 || n > 1<<16-1 {
		return dst, fail("public key must have 1 to 65535 bytes", w)
	}
	binary.BigEndian.PutUint16(dst[at+2:], uint16(n))
	for {
		if _, ok := l.peek(); !ok || len(dst)-at > 1<<16 {
			return dst, nil
		}
		if dst, err = l.name(dst); err != nil {
			return dst, err
		}
	}
}

func checkHIP(b []byte) bool {
	if len(b) < 4 || b[0] == 0 || be16(b[2:]) == 0 {
		return false
	}
	n := 4 + int(b[0]) + be16(b[2:])
	if len(b) < n {
		return false
	}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var ok bool
		if n, ok = dnsname.Scan(b); !ok {
			return false
		}
	}
	return true
}

func printHIP(dst, b []byte) ([]byte, bool) {
	hit, key := int(b[0]), be16(b[2:])
	dst = append(strconv.AppendUint(dst, uint64(b[1]), 10), ' ')
	dst = append(appendHex(dst, b[4:4+hit]), ' ')
	dst = base64.StdEncoding.AppendEncode(dst, b[4+hit:4+hit+key])
	for b = b[4+hit+key:]; len(b) > 0; {
		n, _ := dnsname.Scan(b)
		dst = dnsname.AppendMaster(append(dst, ' '), b[:n])
		b = b[n:]
	}
	return dst, true
}

// WKS after the address (RFC 1035, section 3.4.2): protocol and a bit per
// port. Words for protocols and ports are RFC 1010's, as far as still met.

var protocols = mnemonics{{"ICMP", 1}, {"TCP", 6}, {"UDP", 17}}

var ports = mnemonics{
	{"ECHO", 7}, {"DISCARD", 9}, {"SYSTAT", 11}, {"DAYTIME", 13}, {"NETSTAT", 15}, {"QOTD", 17},
	{"CHARGEN", 19}, {"FTP-DATA", 20}, {"FTP", 21}, {"SSH", 22}, {"TELNET", 23}, {"SMTP", 25},
	{"TIME", 37}, {"NAME", 42}, {"NAMESERVER", 42}, {"NICNAME", 43}, {"WHOIS", 43}, {"DOMAIN", 53},
	{"BOOTPS", 67}, {"BOOTPC", 68}, {"TFTP", 69}, {"GOPHER", 70}, {"FINGER", 79}, {"HTTP", 80},
	{"KERBEROS", 88}, {"HOSTNAME", 101}, {"HOSTNAMES", 101}, {"POP2", 109}, {"POP3", 110},
	{"SUNRPC", 111}, {"AUTH", 113}, {"IDENT", 113}, {"SFTP", 115}, {"NNTP", 119}, {"NTP", 123},
	{"IMAP", 143}, {"IMAP2", 143}, {"SNMP", 161}, {"SNMP-TRAP", 162}, {"BGP", 179}, {"IRC", 194},
	{"LDAP", 389}, {"HTTPS", 443}, {"SMTPS", 465}, {"SUBMISSION", 587}, {"LDAPS", 636},
	{"IMAPS", 993}, {"POP3S", 995},
}

func parseWKS(dst []byte, l *lexer) ([]byte, error) {
	proto, err := l.mnemonic(protocols, 255, "unknown protocol")
	if err != nil {
		return dst, err
	}
	var set [65536 / 8]byte
	n := 0
	for {
		w, ok := l.next()
		if !ok {
			break
		}
		port, ok := mnemonic(w, ports, 65535)
		if !ok || l.quoted {
			return dst, fail("unknown service", w)
		}
		set[port>>3] |= 0x80 >> (port & 7)
		n = max(n, int(port>>3)+1)
	}
	return append(append(dst, byte(proto)), set[:n]...), nil
}

func checkWKS(b []byte) bool { return len(b) >= 1 && len(b) <= 1+65536/8 }

func printWKS(dst, b []byte) ([]byte, bool) {
	if len(b) > 1 && b[len(b)-1] == 0 {
		return dst, false // text would lose the zero bytes at the end
	}
	dst = strconv.AppendUint(dst, uint64(b[0]), 10)
	for i, c := range b[1:] {
		for k := 0; k < 8; k++ {
			if c&(0x80>>k) != 0 {
				dst = strconv.AppendUint(append(dst, ' '), uint64(i*8+k), 10)
			}
		}
	}
	return dst, true
}

// NSAP (RFC 1706, section 7): 0x, hexadecimal, dots for the eye.

func parseNSAP(dst []byte, l *lexer) ([]byte, error) {
	w, err := l.bare()
	if err != nil {
		return dst, err
	}
	if len(w) < 4 || w[0] != '0' || w[1]|0x20 != 'x' {
		return dst, fail("must begin with 0x", w)
	}
	from := len(dst)
	var h hexReader
	for _, c := range w[2:] {
		if c == '.' {
			continue
		}
		if dst, err = h.feed(dst, []byte{c}); err != nil {
			return dst, fail("not hexadecimal", w)
		}
	}
	if h.half || len(dst) == from {
		return dst, fail("hexadecimal ends too early", w)
	}
	return dst, nil
}

// A6 (RFC 2874, section 3.1): prefix length, address suffix, prefix name.

func parseA6(dst []byte, l *lexer) ([]byte, error) {
	n, err := l.uint(128)
	if err != nil {
		return dst, err
	}
	dst = append(dst, byte(n))
	var addr [16]byte
	if n < 128 {
		w, err := l.bare()
		if err != nil {
			return dst, err
		}
		if _, ok := appendIP6(addr[:0], w); !ok {
			return dst, fail("not an IPv6 address", w)
		}
	}
	set := byte(0)
	for _, c := range addr[:n/8] {
		set |= c
	}
	if n < 128 {
		set |= addr[n/8] >> (8 - n%8)
	}
	if set != 0 {
		return dst, fail("address bits set inside the prefix", nil)
	}
	dst = append(dst, addr[n/8:]...)
	if n > 0 {
		return l.name(dst)
	}
	return dst, nil
}

// a6Name gives the offset of the prefix name, len(b) if there is none.
func a6Name(b []byte) int {
	if b[0] == 0 {
		return len(b)
	}
	return 1 + 16 - int(b[0])/8
}

func checkA6(b []byte) bool {
	if len(b) < 1 || b[0] > 128 {
		return false
	}
	n := 1 + 16 - int(b[0])/8
	if len(b) < n {
		return false
	}
	if b[0]%8 != 0 && b[1]>>(8-b[0]%8) != 0 {
		return false
	}
	if b[0] == 0 {
		return len(b) == n
	}
	m, ok := dnsname.Scan(b[n:])
	return ok && n+m == len(b)
}

func printA6(dst, b []byte) ([]byte, bool) {
	dst = strconv.AppendUint(dst, uint64(b[0]), 10)
	n := 1 + 16 - int(b[0])/8
	if b[0] < 128 {
		var addr [16]byte
		copy(addr[17-n:], b[1:n])
		dst = netip.AddrFrom16(addr).AppendTo(append(dst, ' '))
	}
	if b[0] > 0 {
		dst = dnsname.AppendMaster(append(dst, ' '), b[n:])
	}
	return dst, true
}
