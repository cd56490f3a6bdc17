package tcpserver

import (
	"net/netip"
	"strings"
	"testing"
)

func TestField(t *testing.T) {
	for _, c := range []struct {
		in   string
		v6   bool
		want string
	}{
		{"host.example", false, "host.example"}, {"a b%c:d\x7f\xff\n", false, "a?b?c?d???"}, {"a:b%", true, "a:b?"},
		{strings.Repeat("x", 99), false, strings.Repeat("x", 99)}, {strings.Repeat("x", 100), false, strings.Repeat("x", 100) + "..."},
		{strings.Repeat(":", 200), false, strings.Repeat("?", 100) + "..."},
	} {
		var b strings.Builder
		field(&b, c.in, c.v6)
		if b.String() != c.want {
			t.Errorf("%.20q: %q", c.in, b.String())
		}
	}
}

func TestCounter(t *testing.T) {
	c := counter{}
	a, b, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.1")
	six, same, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")
	for _, x := range []netip.Addr{a, b, six} {
		c.add(x)
	}
	for _, x := range []struct {
		a       netip.Addr
		ip, net uint64
		want    string
	}{
		{a, 1, 0, "192.0.2.1/32"}, {a, 2, 0, ""}, {a, 0, 2, "192.0.2.0/24"}, {far, 1, 1, ""}, {a, 0, 0, ""},
		{same, 1, 0, "2001:db8::/64"}, {other, 1, 0, ""}, {other, 0, 1, "2001:db8::/48"}, {netip.MustParseAddr("::ffff:192.0.2.1"), 1, 0, "192.0.2.1/32"},
	} {
		if got := c.over(x.a, x.ip, x.net); got != x.want {
			t.Errorf("%v %d %d: %q", x.a, x.ip, x.net, got)
		}
	}
	for _, x := range []netip.Addr{a, b, six} {
		c.remove(x)
	}
	if len(c) != 0 {
		t.Errorf("left: %v", c)
	}
}

func TestParseArgs(t *testing.T) {
	o, err := ParseArgs([]string{"-c", "400", "-DlRH", "0", "53", "prog", "-x"})
	if err != nil {
		t.Fatal(err)
	}
	// -l takes what is glued to it
	if o.LocalHost != "RH" || !o.NoDelay || o.Limit != 400 || !o.Ident || !o.HostName || len(o.Argv) != 2 {
		t.Errorf("%+v", o)
	}
	if o, _ := ParseArgs([]string{"-RHl0", "0", "1", "p"}); o.asksOthers() || o.LocalHost != "0" {
		t.Errorf("%+v", o)
	}
	for _, bad := range [][]string{nil, {"0"}, {"0", "1"}, {"-?", "0", "1", "p"}, {"-c"}} {
		if _, err := ParseArgs(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	t.Setenv("PROXYFROM", "nonsense")
	if _, err := ParseArgs([]string{"0", "1", "p"}); err == nil {
		t.Error("PROXYFROM")
	}
}
