package resolver

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// localTTL is what localhost and numbers get, in seconds (compat: djbdns.md,
// section 10.4); emptyTTL that of locally served empty zones (RFC 6303,
// section 3: 10800).
const (
	localTTL = 655360
	emptyTTL = 10800
)

// emptyZones are served as empty zones (RFC 6303, section 3): the apex has SOA
// only, nothing exists below. test. (RFC 6761) is not among them: private
// roots, this program's own fixtures among them, delegate it.
var emptyZones = func() map[string]bool {
	m := make(map[string]bool)
	for _, z := range []string{
		"invalid",       // RFC 6761, section 6.4
		"onion",         // RFC 7686
		"alt",           // RFC 9476
		"home.arpa",     // RFC 8375
		"resolver.arpa", // RFC 9462, section 8
		"service.arpa",  // RFC 9665, section 10
		// RFC 6303, sections 4.1 and 4.2
		"10.in-addr.arpa", "168.192.in-addr.arpa",
		"16.172.in-addr.arpa", "17.172.in-addr.arpa", "18.172.in-addr.arpa", "19.172.in-addr.arpa",
		"20.172.in-addr.arpa", "21.172.in-addr.arpa", "22.172.in-addr.arpa", "23.172.in-addr.arpa",
		"24.172.in-addr.arpa", "25.172.in-addr.arpa", "26.172.in-addr.arpa", "27.172.in-addr.arpa",
		"28.172.in-addr.arpa", "29.172.in-addr.arpa", "30.172.in-addr.arpa", "31.172.in-addr.arpa",
		"0.in-addr.arpa", "127.in-addr.arpa", "254.169.in-addr.arpa", "2.0.192.in-addr.arpa",
		"100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa",
		// RFC 6303, sections 4.3 to 4.6
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
		"d.f.ip6.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa",
		"8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		n, _ := dnsname.ParseDot(z)
		m[string(n)] = true
	}
	for i := 64; i < 128; i++ { // RFC 7793
		n, _ := dnsname.ParseDot(itoa(i) + ".100.in-addr.arpa")
		m[string(n)] = true
	}
	return m
}()

// LocalZones are the zones that are answered without asking anybody, if
// Config.LocalZones says so: the empty ones and localhost.
func LocalZones() []dnsname.Name {
	names := []dnsname.Name{localhost}
	for z := range emptyZones {
		names = append(names, dnsname.Name(z))
	}
	return names
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + string(rune('0'+i%10))
}

// ipv4Only is what a client asks for to learn the translation prefix (RFC 7050,
// RFC 8880): A here, of which DNS64 makes AAAA. The two names below in-addr.arpa
// point back to it (RFC 8880, section 7.2).
var ipv4Only = map[string]struct {
	t    dns.Type
	data []string
}{
	labelIPv4Only: {dns.TypeA, []string{"\xc0\x00\x00\xaa", "\xc0\x00\x00\xab"}},
	"\x03170\x010\x010\x03192\x07in-addr\x04arpa\x00": {dns.TypePTR, []string{labelIPv4Only}},
	"\x03171\x010\x010\x03192\x07in-addr\x04arpa\x00": {dns.TypePTR, []string{labelIPv4Only}},
}

const (
	// RFC 9462, section 4: who has no designated resolvers says NODATA, to
	// _dns.resolver.arpa above all
	resolverArpa  = "\x08resolver\x04arpa\x00"
	labelIPv4Only = "\x08ipv4only\x04arpa\x00"

	localhost  = "\x09localhost\x00"
	reverse4   = "\x011\x010\x010\x03127\x07in-addr\x04arpa\x00"
	reverse6   = "\x011\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x03ip6\x04arpa\x00"
	soaTail    = "\x06nobody\x07invalid\x00" + "\x00\x00\x00\x01" + "\x00\x00\x0e\x10" + "\x00\x00\x04\xb0" + "\x00\x09\x3a\x80" + "\x00\x00\x2a\x30"
	labelArpa  = "\x04arpa\x00"
	maxSpecial = 36 // labels of the longest name above and one more; deeper ones are cut first
)

// configured reports whether root/servers or root/forward has an entry for
// name or an ancestor below the root.
func (e *Engine) configured(name []byte) bool {
	if len(e.zones) <= 1 {
		return false
	}
	for ; name[0] != 0; name = dnsname.Parent(name) {
		if e.zones[dnsname.Name(name)] != nil {
			return true
		}
	}
	return false
}

// isStats: the one question that makes the old program print its statistics.
func (e *Engine) isStats(name []byte) bool { return string(name) == reverse4 }

// special answers names that nobody has to be asked for. name is lower case.
func (e *Engine) special(name []byte, t dns.Type, a *Answer) bool {
	if !e.cfg.LocalZones || e.configured(name) {
		return false
	}
	switch {
	case len(name) >= len(localhost) && dnsname.IsBelow(name, localhost): // RFC 6761, section 6.3
		switch t {
		case dns.TypeA, dns.TypeANY:
			e.local(a, name, dns.TypeA, "\x7f\x00\x00\x01")
		case dns.TypeAAAA:
			e.local(a, name, dns.TypeAAAA, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
		}
		return true
	case string(name) == reverse4 || string(name) == reverse6:
		if t == dns.TypePTR || t == dns.TypeANY {
			e.local(a, name, dns.TypePTR, localhost)
		}
		return true
	}
	if ip, ok := number(name); ok {
		if t == dns.TypeA || t == dns.TypeANY {
			e.local(a, name, dns.TypeA, string(ip[:]))
		}
		return true
	}
	// only names below these few can be in an empty zone
	if !endsSpecial(name) {
		return false
	}
	n := dnsname.Labels(name)
	zone := dnsname.Skip(name, n-maxSpecial)
	for ; zone[0] != 0; zone = dnsname.Parent(zone) {
		own, six := ipv4Only[string(zone)]
		if six = six && e.cfg.DNS64; !six && !emptyZones[string(zone)] {
			continue
		}
		if six && len(zone) == len(name) && (t == own.t || t == dns.TypeANY) {
			e.local(a, zone, own.t, own.data...)
			return true
		}
		if t == dns.TypeDS && len(zone) == len(name) {
			return false // it stands in the parent's zone: who validates needs its word
		}
		if len(zone) < len(name) && string(zone) != resolverArpa {
			a.RCode = dns.RCodeNXDomain
		}
		soa := append(e.pack[:0], zone...)
		soa = append(soa, soaTail...)
		e.pack = soa
		section := wire.Authority
		if len(zone) == len(name) && (t == dns.TypeSOA || t == dns.TypeANY) {
			section = wire.Answer
		}
		a.RRs = append(a.RRs, RRset{Section: section, Owner: e.scratch(zone), Type: dns.TypeSOA, TTL: emptyTTL,
			Records: e.packed(soa), Sec: Insecure})
		return true
	}
	return false
}

func endsSpecial(name []byte) bool {
	last := name
	for p := name; p[0] != 0; p = dnsname.Parent(p) {
		last = p
	}
	switch string(last) {
	case "\x04arpa\x00", "\x07invalid\x00", "\x05onion\x00", "\x03alt\x00":
		return true
	}
	return false
}

func (e *Engine) packed(data []byte) Packed {
	n := len(e.outBuf)
	e.outBuf = AppendPacked(e.outBuf, data)
	return e.outBuf[n:len(e.outBuf):len(e.outBuf)]
}

func (e *Engine) local(a *Answer, name []byte, t dns.Type, data ...string) {
	start := len(e.outBuf)
	for _, d := range data {
		e.pack = append(e.pack[:0], d...)
		e.outBuf = AppendPacked(e.outBuf, e.pack)
	}
	a.RRs = append(a.RRs, RRset{Section: wire.Answer, Owner: e.scratch(name), Type: t, TTL: localTTL,
		Records: e.outBuf[start:len(e.outBuf):len(e.outBuf)], Sec: Insecure})
}

// number reads a name of exactly four labels that are decimal numbers without
// leading zeros up to 255 as an address (compat: djbdns.md, sections 9.5 and
// 10.4).
func number(name []byte) (ip [4]byte, ok bool) {
	if len(name) > 4*4+1 {
		return ip, false
	}
	for i := range ip {
		l := int(name[0])
		if l == 0 || l > 3 {
			return ip, false
		}
		v := 0
		for _, c := range name[1 : 1+l] {
			if c < '0' || c > '9' {
				return ip, false
			}
			v = v*10 + int(c-'0')
		}
		if v > 255 || l > 1 && name[1] == '0' {
			return ip, false
		}
		ip[i] = byte(v)
		name = name[1+l:]
	}
	return ip, len(name) == 1
}
