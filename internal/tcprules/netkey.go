package tcprules

import (
	"bytes"
	"net/netip"

	"bulkhead/internal/scan"
)

// AppendAddr appends the text form of an address that rules, the UCSPI
// environment and logs use: IPv4 as decimal octets, also when mapped into
// IPv6; IPv6 in lower-case hexadecimal without leading zeros, the longest run
// of zero groups (the first of equals, also a run of one) as "::" (compat:
// ucspi-tcp.md section 12).
func AppendAddr(dst []byte, a netip.Addr) []byte {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return append4(dst, b)
	}
	return append6(dst, a.As16())
}

// AppendAddr6 is AppendAddr with IPv4 addresses in the mapped form
// ::ffff:1.2.3.4, as the TCP6 variables have them.
func AppendAddr6(dst []byte, a netip.Addr) []byte {
	return append6(dst, a.As16())
}

func append4(dst []byte, b [4]byte) []byte {
	for i, o := range b {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = appendUint(dst, uint64(o))
	}
	return dst
}

const groups = 8 // 16-bit groups of an IPv6 address

func append6(dst []byte, b [16]byte) []byte {
	a := netip.AddrFrom16(b)
	if a.Is4In6() {
		dst = append(dst, "::ffff:"...)
		return append4(dst, a.Unmap().As4())
	}
	var g [groups]uint16
	for i := range g {
		g[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	best, bestLen := -1, 0
	for i := 0; i < groups; i++ {
		n := 0
		for i+n < groups && g[i+n] == 0 {
			n++
		}
		if n > bestLen {
			best, bestLen = i, n
		}
		if n > 0 {
			i += n - 1
		}
	}
	for i := 0; i < groups; i++ {
		if i == best {
			dst = append(dst, ':', ':')
			i += bestLen - 1
			continue
		}
		if i > 0 && i != best+bestLen {
			dst = append(dst, ':')
		}
		dst = appendHex(dst, g[i])
	}
	return dst
}

func appendHex(dst []byte, v uint16) []byte {
	if v >= 16 {
		dst = appendHex(dst, v>>4)
	}
	return append(dst, "0123456789abcdef"[v&15])
}

// canonicalNet gives the form of a network ADDRESS/BITS that lookups try: host
// bits cleared, AppendAddr's text. False when key is no network.
func canonicalNet(key []byte) ([]byte, bool) {
	slash := bytes.IndexByte(key, '/')
	if slash < 0 || bytes.IndexByte(key, '=') >= 0 {
		return nil, false
	}
	head := key[:0:0]
	if at := bytes.LastIndexByte(key[:slash], '@'); at >= 0 {
		head = key[:at+1]
	}
	bits, n := scan.Number(key[slash+1:])
	a, err := netip.ParseAddr(string(key[len(head):slash]))
	if err != nil || a.Zone() != "" || n == 0 || n != len(key)-slash-1 || bits > uint64(a.BitLen()) {
		return nil, false
	}
	if a.Is4In6() && bits >= 96 { // a mapped network is the IPv4 one
		a, bits = a.Unmap(), bits-96
	}
	p, err := a.Prefix(int(bits))
	if err != nil {
		return nil, false
	}
	return appendNet(append([]byte(nil), head...), p), true
}

func appendNet(dst []byte, p netip.Prefix) []byte {
	a := p.Addr()
	if a.Is4() {
		dst = append4(dst, a.As4())
	} else {
		dst = append6(dst, a.As16())
	}
	return appendUint(append(dst, '/'), uint64(p.Bits()))
}
