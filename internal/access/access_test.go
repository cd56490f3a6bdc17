package access

import (
	"net/netip"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

func list(t *testing.T, files ...string) *List {
	t.Helper()
	m := fstest.MapFS{}
	for _, f := range files {
		m[f] = &fstest.MapFile{}
	}
	l, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAllows(t *testing.T) {
	for _, x := range []struct {
		file string
		yes  []string
		no   []string
	}{
		{"10", []string{"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"}, []string{"11.0.0.0", "1.0.0.0", "a00::", "::10"}},
		{"10.1", []string{"10.1.0.1"}, []string{"10.10.0.1", "10.2.0.1"}},
		{"10.1.2", []string{"10.1.2.0", "10.1.2.255"}, []string{"10.1.20.1", "10.1.3.1"}},
		{"10.1.2.3", []string{"10.1.2.3"}, []string{"10.1.2.30", "10.1.2.4"}},
		{"0", []string{"0.0.0.0", "0.1.2.3"}, []string{"1.2.3.4"}},
		{"127.0.0.1", []string{"127.0.0.1"}, []string{"::1", "127.0.0.2"}},
		{"::1", []string{"::1"}, []string{"127.0.0.1", "::2"}},
		{"fd53:5353::1", []string{"fd53:5353::1", "fd53:5353:0::1"}, []string{"fd53:5353::2"}},
		{"FD53::1", []string{"fd53::1"}, nil},
		{"2001:db8.", []string{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}, []string{"2001:db9::", "2001:db::"}},
		{"2001.", []string{"2001:db8::"}, []string{"2002::", "32.1.0.1"}},
		{"2001:db8:7:8:9:a:b:c.", []string{"2001:db8:7:8:9:a:b:c"}, []string{"2001:db8:7:8:9:a:b:d"}},
		{"2001:db8::/32", []string{"2001:db8:1::1"}, []string{"2001:db9::"}},
		{"2001:db8::/33", []string{"2001:db8:7fff::1", "2001:db8::"}, []string{"2001:db8:8000::"}},
		{"10.64.0.0/10", []string{"10.64.0.0", "10.127.255.255"}, []string{"10.128.0.0", "10.63.0.0"}},
		{"::/0", []string{"::1", "2001:db8::1"}, []string{"1.2.3.4"}},
		{"0.0.0.0/0", []string{"1.2.3.4", "255.255.255.255"}, []string{"::1"}},
		{"::ffff:10.1.2.3", []string{"10.1.2.3"}, []string{"10.1.2.4"}},
		// names that mean nothing
		{"010", nil, []string{"10.0.0.1", "8.0.0.1"}},
		{"10.", nil, []string{"10.0.0.1"}},
		{"10..1", nil, []string{"10.0.0.1"}},
		{"10.1.2.3.4", nil, []string{"10.1.2.3"}},
		{"256", nil, []string{"0.0.0.0"}},
		{"266", nil, []string{"10.0.0.1"}},
		{"+10", nil, []string{"10.0.0.1"}},
		{"@", nil, []string{"10.0.0.1", "::1", "0.0.0.0"}},
		{".10", nil, []string{"10.0.0.1"}},
		{"10~", nil, []string{"10.0.0.1"}},
		{"2001:db8:", nil, []string{"2001:db8::"}},
		{"2001:db8::.", nil, []string{"2001:db8::"}},
		{"2001:db8::/129", nil, []string{"2001:db8::1"}},
		{"2001:db8::/-1", nil, []string{"2001:db8::1"}},
		{"10.64.0.0/33", nil, []string{"10.64.0.0"}},
		{"fe80::1%eth0", nil, []string{"fe80::1"}},
	} {
		l := list(t, x.file)
		for _, a := range x.yes {
			if !l.Allows(netip.MustParseAddr(a)) {
				t.Errorf("%s: refuses %s", x.file, a)
			}
		}
		for _, a := range x.no {
			if l.Allows(netip.MustParseAddr(a)) {
				t.Errorf("%s: admits %s", x.file, a)
			}
		}
	}
}

func TestNobodyWithoutFolder(t *testing.T) {
	l, err := Load(fstest.MapFS{"ip": &fstest.MapFile{}})
	if err != nil || l.Allows(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("a folder without addresses: %v", err)
	}
	sub, _ := fstest.MapFS{}.Sub("missing")
	l, err = Load(sub)
	if l.Allows(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("no folder admits: %v", err)
	}
}

// TestAgainstPrefixes compares with the plain meaning: some prefix contains it.
func TestAgainstPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &List{set: map[netip.Prefix]struct{}{}}
		var ps []netip.Prefix
		addr := func() netip.Addr {
			b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80, 0xFF}), 4, 4).Draw(t, "address")
			if rapid.Bool().Draw(t, "v6") {
				var a [16]byte
				copy(a[:], b)
				a[15] = b[3]
				return netip.AddrFrom16(a).Unmap()
			}
			return netip.AddrFrom4([4]byte(b))
		}
		for range rapid.IntRange(0, 10).Draw(t, "n") {
			a := addr()
			p, _ := a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(t, "length"))
			l.add(p)
			ps = append(ps, p)
		}
		for range 20 {
			a := addr()
			want := false
			for _, p := range ps {
				want = want || p.Contains(a)
			}
			if l.Allows(a) != want {
				t.Fatalf("%v: %v, prefixes %v", a, !want, ps)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("10.1")
	f.Add("2001:db8.")
	f.Add("fe80::1%1")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := Parse(s); ok && (!p.IsValid() || p != p.Masked()) {
			t.Errorf("%q gives %v", s, p)
		}
	})
}

func TestAllocations(t *testing.T) {
	l := list(t, "10", "10.1.2.3", "2001:db8.", "::1")
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { l.Allows(a); l.Allows(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
