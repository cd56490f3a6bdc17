package tcpserver

import (
	"net/netip"

	"bulkhead/internal/scan"
)

// Networks that are counted: MAXCONNIP looks at one address, MAXCONNC at what
// one customer has, the class C network of the name (RFC 6177 for IPv6: sites
// get a /48 to /64; one end network is a /64).
const (
	ip4Bits, net4Bits = 32, 24
	ip6Bits, net6Bits = 64, 48
)

// counter counts connections by network.
type counter map[netip.Prefix]uint64

func networks(a netip.Addr) (ip, net netip.Prefix) {
	a = a.Unmap().WithZone("")
	ib, nb := ip4Bits, net4Bits
	if a.Is6() {
		ib, nb = ip6Bits, net6Bits
	}
	ip, _ = a.Prefix(ib)
	net, _ = a.Prefix(nb)
	return ip, net
}

// over gives the network that has reached its limit; "" if none has. A limit
// of 0 is none.
func (c counter) over(a netip.Addr, maxIP, maxNet uint64) string {
	ip, net := networks(a)
	switch {
	case maxIP > 0 && c[ip] >= maxIP:
		return ip.String()
	case maxNet > 0 && c[net] >= maxNet:
		return net.String()
	}
	return ""
}

func (c counter) add(a netip.Addr) {
	ip, net := networks(a)
	c[ip]++
	c[net]++
}

func (c counter) remove(a netip.Addr) {
	ip, net := networks(a)
	for _, p := range []netip.Prefix{ip, net} {
		if c[p]--; c[p] == 0 {
			delete(c, p)
		}
	}
}

// limitOr reads a limit of a rule; what is no number leaves the general one.
func limitOr(s string, general uint64) uint64 {
	if n, used := scan.Number(s); used > 0 {
		return n
	}
	return general
}
