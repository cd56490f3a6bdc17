package dnsname

import (
	"strings"
	"testing"
)

func TestParseDot(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "\x00"}, {".", "\x00"}, {"..", "\x00"},
		{"a.b", "\x01a\x01b\x00"}, {".a..b.", "\x01a\x01b\x00"},
		{`\052.a`, "\x01*\x01a\x00"}, {`a\.b`, "\x03a.b\x00"}, {`a\8`, "\x02a8\x00"},
		{`a\`, "\x01a\x00"}, {`\777`, "\x01\xff\x00"}, {"A.b", "\x01A\x01b\x00"},
		{strings.Repeat("a", 63), "\x3f" + strings.Repeat("a", 63) + "\x00"},
	} {
		got, err := ParseDot(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("ParseDot(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	long := strings.Repeat("a.", 127) // 254 bytes and the root: 255
	if n, err := ParseDot(long); err != nil || len(n) != 255 {
		t.Errorf("255-byte name refused: %v", err)
	}
	for _, bad := range []string{strings.Repeat("a", 64), long + "b"} {
		if _, err := ParseDot(bad); err == nil {
			t.Errorf("ParseDot(%q) accepted", bad)
		}
	}
}

func TestMasterRoundTrip(t *testing.T) {
	for _, c := range []struct{ in, origin, wire, out string }{
		{".", "", "\x00", "."},
		{"a.b.", "", "\x01a\x01b\x00", "a.b."},
		{"a", "\x01b\x00", "\x01a\x01b\x00", "a.b."},
		{"@", "\x01b\x00", "\x01b\x00", "b."},
		{`a\.b.`, "", "\x03a.b\x00", `a\.b.`},
		{`\009x.`, "", "\x02\x09x\x00", `\009x.`},
	} {
		got, err := ParseMaster(c.in, Name(c.origin))
		if err != nil || string(got) != c.wire {
			t.Errorf("ParseMaster(%q) = %q, %v; want %q", c.in, got, err, c.wire)
			continue
		}
		if got.String() != c.out {
			t.Errorf("String(%q) = %q; want %q", c.wire, got, c.out)
		}
	}
	for _, bad := range []string{"", "a..b", ".a", `\256`, `\1`, `a\`, strings.Repeat("a", 64), strings.Repeat("a.", 127) + "b."} {
		if n, err := ParseMaster(bad, ""); err == nil {
			t.Errorf("ParseMaster(%q) = %q, want an error", bad, n)
		}
	}
	full := strings.Repeat("a.", 127)
	if n, err := ParseMaster(full, ""); err != nil || len(n) != 255 {
		t.Errorf("longest name: %v", err)
	}
}

// The example of RFC 4034, section 6.1.
func TestCompareCanonical(t *testing.T) {
	order := []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.",
		"zABC.a.EXAMPLE.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i, a := range order {
		for j, b := range order {
			x, _ := ParseMaster(a, "")
			y, _ := ParseMaster(b, "")
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := Compare(x, y); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestIsBelowAndCommon(t *testing.T) {
	n := func(s string) Name { x, _ := ParseDot(s); return x }
	if !IsBelow(n("www.Example.com"), n("example.COM")) || !IsBelow(n("a"), Root) || !IsBelow(n("a"), n("a")) {
		t.Error("below not recognised")
	}
	if IsBelow(n("wexample.com"), n("example.com")) || IsBelow(n("com"), n("example.com")) {
		t.Error("false below")
	}
	// a length byte that looks like a letter must not end up compared as one
	if IsBelow(Name("\x04aaa\x01b\x00"), Name("\x01b\x00")) {
		t.Error("label boundary ignored")
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"a.b.c", "x.b.c", 2}, {"a.b.c", "b.c", 2}, {"a", "b", 0}, {"a.x.c", "a.y.c", 1}, {"A.B", "a.b", 2}} {
		if got := CommonLabels(n(c.a), n(c.b)); got != c.want {
			t.Errorf("CommonLabels(%s, %s) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("www.example.com")
	f.Add(`a\056b.\777`)
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseDot(s)
		if err != nil {
			return
		}
		if !Valid(n) {
			t.Fatalf("ParseDot(%q) gave invalid %q", s, n)
		}
		back, err := ParseDot(n.Text())
		if err != nil || back != n.Lower() {
			t.Fatalf("%q -> %q -> %q, %v", n, n.Text(), back, err)
		}
		m, err := ParseMaster(n.String(), "")
		if err != nil || m != n {
			t.Fatalf("%q -> %q -> %q, %v", n, n.String(), m, err)
		}
	})
}
