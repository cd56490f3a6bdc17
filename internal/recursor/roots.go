package recursor

import (
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
)

// rootServers are the addresses of the root's servers, past and present ones
// that somebody's servers/@ may name (https://www.iana.org/domains/root/servers).
var rootServers = func() map[netip.Addr]bool {
	m := make(map[netip.Addr]bool)
	for _, s := range []string{
		"198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10", "192.5.5.241", "192.112.36.4",
		"198.97.190.53", "192.36.148.17", "192.58.128.30", "193.0.14.129", "199.7.83.42", "202.12.27.33",
		"2001:503:ba3e::2:30", "2801:1b8:10::b", "2001:500:2::c", "2001:500:2d::d", "2001:500:a8::e", "2001:500:2f::f",
		"2001:500:12::d0d", "2001:500:1::53", "2001:7fe::53", "2001:503:c27::2:30", "2001:7fd::1", "2001:500:9f::42", "2001:dc3::35",
		"199.9.14.201", "192.228.79.201", "2001:500:200::b", "2001:500:84::b", "128.9.0.107", // b, before
		"128.8.10.90", "128.63.2.53", "198.41.0.10", "198.32.64.12", // d, h, j, l, before
	} {
		m[netip.MustParseAddr(s)] = true
	}
	return m
}()

// publicRoot reports whether servers/@ names a server of the public root. Only
// then do the built-in trust anchors mean anything: a private root, or the
// forwarder of FORWARDONLY, needs the file trust-anchors to be validated.
func publicRoot(c *resolver.Config) bool {
	for _, z := range c.Zones {
		if z.Name == dnsname.Root && !z.Forward {
			for _, a := range z.Servers {
				if a.Port() == dns.Port && rootServers[a.Addr()] {
					return true
				}
			}
		}
	}
	return false
}
