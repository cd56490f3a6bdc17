package dns64

import (
	"net/netip"
	"testing"

	"bulkhead/internal/dnsname"
)

// RFC 6052, section 2.4.
func TestEmbed(t *testing.T) {
	for prefix, want := range map[string]string{
		"2001:db8::/32":         "2001:db8:c000:221::",
		"2001:db8:100::/40":     "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":     "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
		"64:ff9b::/96":          "64:ff9b::192.0.2.33",
		"fe80::21b:aabb:0:0/96": "fe80::21b:aabb:192.0.2.33",
	} {
		p, err := Parse(prefix)
		if err != nil {
			t.Errorf("%s: %v", prefix, err)
			continue
		}
		v4 := [4]byte{192, 0, 2, 33}
		got := p.Embed(v4)
		if netip.AddrFrom16(got) != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", prefix, netip.AddrFrom16(got), want)
		}
		if back, ok := p.Extract(got); !ok || back != v4 {
			t.Errorf("%s: back %v %v", prefix, back, ok)
		}
	}
	for _, bad := range []string{"", "2001:db8::/33", "1.2.3.0/24", "2001:db8::1/96", "::ffff:0:0/96", "2001:db8::"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}

func TestReverse(t *testing.T) {
	n, _ := dnsname.ParseDot("1.2.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.IP6.arpa")
	got, ok := WellKnown.Reverse(n)
	if !ok || got.String() != "33.2.0.192.in-addr.arpa." {
		t.Errorf("%v %v", got, ok)
	}
	n, _ = dnsname.ParseDot("1.2.0.0.2.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa")
	if _, ok := WellKnown.Reverse(n); ok {
		t.Error("address outside the prefix")
	}
}
