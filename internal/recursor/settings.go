package recursor

import (
	"net/netip"
	"os"
	"strings"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/resolver"
	"bulkhead/internal/scan"
)

// settings are the variables that hold from start to end. The manual page
// lists them in this order.
type settings struct {
	Send4, Send6 netip.Addr // IPSEND; invalid: the family is not used
	CacheSize    uint64     // CACHESIZE, bytes
	HideTTL      bool       // HIDETTL
	NSID         string     // NSID
	RateLimit    uint64     // RATELIMIT, questions a second of one client prefix; 0 no limit
	Persist      bool       // CACHEDUMP not 0
}

// clientAddrs reads IP and PORT, which are needed while still privileged.
func clientAddrs() ([]netip.AddrPort, error) {
	addrs, err := env.Addrs("IP")
	if err != nil {
		return nil, err
	}
	port, err := env.Port(dns.Port)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, port))
	}
	return out, nil
}

// readSettings reads the rest, in the order of 1.05 (compat: djbdns.md section
// 10.1).
func readSettings() (s settings, err error) {
	send, err := env.Addrs("IPSEND")
	if err != nil {
		return s, err
	}
	for _, a := range send {
		if a.Is4() {
			s.Send4 = a
			// "0.0.0.0" has always meant "whatever address fits": of IPv6 too
			if a.IsUnspecified() && !s.Send6.IsValid() {
				s.Send6 = netip.IPv6Unspecified()
			}
		} else {
			s.Send6 = a
		}
	}
	size, err := env.Require("CACHESIZE")
	if err != nil {
		return s, err
	}
	n, _ := scan.Number(size) // not a number counts as 0, junk after one is ignored
	s.CacheSize = min(max(n, cache.MinSize), cache.MaxSize)
	s.HideTTL = env.IsOn("HIDETTL")
	s.NSID = os.Getenv("NSID")
	s.NSID = s.NSID[:min(len(s.NSID), dns.MaxNSID)]
	if s.RateLimit, err = env.Uint("RATELIMIT", 0, 1e9); err != nil {
		return s, err
	}
	s.Persist, err = env.Default("CACHEDUMP")
	return s, err
}

// DefaultStaleTTL and DefaultStaleWait: RFC 8767, sections 4 and 5.
const (
	defaultStaleTTL  = 30   // seconds
	defaultStaleWait = 1800 // milliseconds
	maxSeconds       = 1 << 31
)

// readConfig reads what the engine wants to know, from the environment and the
// files below ROOT. It is called again on SIGHUP and
// when servers or forward have changed.
func readConfig(set *settings) (*resolver.Config, error) {
	c := &resolver.Config{
		Priming:     new(resolver.Turn),
		ForwardOnly: env.IsOn("FORWARDONLY"),
		IPv4:        set.Send4.IsValid(),
		IPv6:        set.Send6.IsValid(),
	}
	for _, v := range []struct {
		name string
		to   *bool
	}{
		{"QMIN", &c.QMin},
		{"CASE0X20", &c.Case0x20},
		{"PREFETCH", &c.Prefetch},
		{"LOCALZONES", &c.LocalZones},
	} {
		var err error
		if *v.to, err = env.Default(v.name); err != nil {
			return nil, err
		}
	}
	for _, v := range []struct {
		name string
		def  uint64
		to   *uint32
	}{
		{"SERVESTALE", 0, &c.ServeStale},
		{"SERVESTALE_TTL", defaultStaleTTL, &c.StaleTTL},
		{"MINTTL", 0, &c.MinTTL},
		{"MAXTTL", resolver.DefaultMaxTTL, &c.MaxTTL},
	} {
		n, err := env.Uint(v.name, v.def, maxSeconds)
		if err != nil {
			return nil, err
		}
		*v.to = uint32(n)
	}
	wait, err := env.Uint("SERVESTALE_WAIT", defaultStaleWait, maxSeconds)
	if err != nil {
		return nil, err
	}
	c.StaleWait = resolver.Time(wait) * resolver.Millisecond
	c.MaxTTL = min(c.MaxTTL, cache.MaxTTL)
	for _, f := range strings.FieldsFunc(os.Getenv("IGNOREIP"), func(r rune) bool { return r == ',' || r == '/' || r == ' ' }) {
		a, ok := env.ParseAddr(f)
		if !ok {
			return nil, prog.Fatal("unable to parse IP address "+f, nil)
		}
		c.IgnoreIP = append(c.IgnoreIP, netip.PrefixFrom(a, a.BitLen()))
	}
	if c.Zones, err = readServers(serversDir); err != nil {
		return nil, err
	}
	if err := addForwards(c); err != nil {
		return nil, err
	}
	return c, addValidator(c)
}
