package proxyv2

import (
	"bytes"
	"net/netip"
	"testing"
)

const sig = "\r\n\r\n\x00\r\nQUIT\n"

func TestParse(t *testing.T) {
	v4 := "\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x35"
	v6 := "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x34\x00\x35"
	for _, c := range []struct {
		in       string
		ok       bool
		local    bool
		src, dst string
	}{
		{in: sig + "\x21\x11\x00\x0c" + v4, ok: true, src: "192.0.2.1:4660", dst: "192.0.2.2:53"},
		{in: sig + "\x21\x11\x00\x0f" + v4 + "tlv", ok: true, src: "192.0.2.1:4660", dst: "192.0.2.2:53"},
		{in: sig + "\x21\x21\x00\x24" + v6, ok: true, src: "[2001:db8::1]:4660", dst: "[2001:db8::2]:53"},
		{in: sig + "\x20\x00\x00\x00", ok: true, local: true},
		{in: sig + "\x20\x11\x00\x0c" + v4, ok: true, local: true},
		{in: sig + "\x21\x00\x00\x00", ok: true, local: true},
		{in: sig + "\x21\x12\x00\x0c" + v4}, {in: sig + "\x21\x31\x00\x0c" + v4}, {in: sig + "\x11\x11\x00\x0c" + v4},
		{in: sig + "\x22\x11\x00\x0c" + v4}, {in: sig + "\x21\x11\x00\x0b" + v4[:11]}, {in: sig + "\x21\x21\x00\x0c" + v4},
		{in: sig + "\x21\x11\xff\xff"}, {in: sig + "\x21\x11\x00"}, {in: sig}, {in: ""}, {in: "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"},
	} {
		h, err := Read(bytes.NewReader([]byte(c.in)))
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if c.ok && (h.Local != c.local || !c.local && (h.Src.String() != c.src || h.Dst.String() != c.dst)) {
			t.Errorf("%q: %+v", c.in, h)
		}
	}
}

func TestAllowList(t *testing.T) {
	l, ok := ParseAllowList("192.0.2.1,10.0.0.0/8 2001:db8::/32")
	if !ok {
		t.Fatal("refused")
	}
	for a, want := range map[string]bool{"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.2.2": false, "10.9.9.9": true,
		"2001:db8::9": true, "2001:db9::9": false, "::1": false} {
		if l.Has(netip.MustParseAddr(a)) != want {
			t.Errorf("%s: %v", a, !want)
		}
	}
	for _, bad := range []string{"x", "1.2.3", "10.0.0.0/33", "10.0.0.1,*"} {
		if _, ok := ParseAllowList(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
	if l, _ := ParseAllowList(""); l.Has(netip.MustParseAddr("127.0.0.1")) {
		t.Error("an empty list allows somebody")
	}
}

func FuzzProxy(f *testing.F) {
	f.Add([]byte(sig + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x35"))
	f.Add([]byte(sig + "\x20\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := Read(r)
		n, ok := Len(b)
		if err == nil {
			used := len(b) - r.Len()
			if !ok || n != used {
				t.Fatalf("Len says %d, %v; Read took %d", n, ok, used)
			}
			if !h.Local && (!h.Src.IsValid() || !h.Dst.IsValid()) {
				t.Fatal("no addresses")
			}
		} else if !ok && n > fixedLen+maxRest == false && n != 0 {
			t.Fatal("length of what is none")
		}
		// Len must not change its mind as more comes
		for i := range b {
			m, ok2 := Len(b[:i])
			if m > 0 && m != n || ok && !ok2 {
				t.Fatalf("Len of %d bytes: %d, %v; of all: %d, %v", i, m, ok2, n, ok)
			}
		}
	})
}
