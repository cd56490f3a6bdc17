package env

import (
	"net/netip"
	"slices"
	"testing"
)

func TestAddrs(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		err  string
	}{
		{"127.0.0.1", []string{"127.0.0.1"}, ""},
		{"127.555.0.1junk", []string{"127.43.0.1"}, ""},
		{"192.0.2.1,2001:db8::1", []string{"192.0.2.1", "2001:db8::1"}, ""},
		{"192.0.2.1 , 192.0.2.2", []string{"192.0.2.1", "192.0.2.2"}, ""},
		{" 192.0.2.1", nil, "fatal: unable to parse IP address  192.0.2.1"},
		{"192.0.2.1/192.0.2.2", []string{"192.0.2.1", "192.0.2.2"}, ""},
		{"1.2.3", nil, "fatal: unable to parse IP address 1.2.3"},
		{"", nil, "fatal: unable to parse IP address "},
		{"2001:db8::g", nil, "fatal: unable to parse IP address 2001:db8::g"},
	} {
		t.Setenv("IP", c.in)
		got, err := Addrs("IP")
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%q: %v, want %q", c.in, err, c.err)
			}
			continue
		}
		var want []netip.Addr
		for _, s := range c.want {
			want = append(want, netip.MustParseAddr(s))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", c.in, got, want)
		}
	}
}

func TestUint(t *testing.T) {
	for in, want := range map[string]uint64{"": 7, "0": 0, "65535": 65535} {
		t.Setenv("X", in)
		if n, err := Uint("X", 7, 65535); err != nil || n != want {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
	for _, in := range []string{"65536", "1x", "-1", " 1", "99999999999999999999"} {
		t.Setenv("X", in)
		if n, err := Uint("X", 7, 65535); err == nil {
			t.Errorf("%q accepted as %d", in, n)
		}
	}
}

func TestLogs(t *testing.T) {
	for v, want := range map[string]bool{"": true, "0": false, "1": true, "/var/log/other": true} {
		t.Setenv("LOG", v)
		if Logs() != want {
			t.Errorf("%q: %v", v, !want)
		}
	}
}

func TestSwitches(t *testing.T) {
	t.Setenv("X", "")
	on, err := Default("X")
	if !IsOn("X") || !on || err != nil {
		t.Error("set and empty is on")
	}
	t.Setenv("X", "0")
	on, err = Default("X")
	if IsOn("X") || on || err != nil {
		t.Error("0 is off")
	}
	if on, err = Default("BULKHEAD_TEST_UNSET"); IsOn("BULKHEAD_TEST_UNSET") || !on || err != nil {
		t.Error("unset is as it would be")
	}
	t.Setenv("X", "1")
	if on, err = Default("X"); !on || err != nil {
		t.Error("1 is on")
	}
	for _, v := range []string{"no", "off", "00", "2"} {
		t.Setenv("X", v)
		if _, err := Default("X"); err == nil || err.Error() != "fatal: unable to parse $X: "+v+": neither 0 nor 1" {
			t.Errorf("%q: %v", v, err)
		}
	}
}
