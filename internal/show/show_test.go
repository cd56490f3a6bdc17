package show

import (
	"bytes"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

// packet is a message with one question and the given counts and bytes.
func packet(bits uint16, an, ns, ar byte, records string) []byte {
	return append([]byte{0x12, 0x34, byte(bits >> 8), byte(bits), 0, 1, 0, an, 0, ns, 0, ar},
		"\x03www\x01x\x00\x00\x01\x00\x01"+records...)
}

const (
	head  = "23 bytes, 1+0+0+0 records"
	owner = "\xc0\x0c"
	in5   = "\x00\x01\x00\x00\x00\x05" // class IN, TTL 5
)

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		bits          uint16
		classic, full string
	}{
		{0, ", noerror", ", noerror"},
		{wire.BitQR, ", response, noerror", ", response, noerror"},
		{wire.BitQR | wire.BitAA | wire.BitTC | wire.BitRD | wire.BitRA, ", response, authoritative, truncated, weird rd, weird ra, noerror", ""},
		{0x7800, ", weird op, noerror", ", weird op, noerror"},
		{1, ", weird rcode", ", FORMERR"},
		{2, ", weird rcode", ", SERVFAIL"},
		{3, ", nxdomain", ", nxdomain"},
		{4, ", notimp", ", notimp"},
		{5, ", refused", ", refused"},
		{15, ", weird rcode", ""},
		{0x40, ", noerror, weird z", ", noerror, weird z"},
		{0x20, ", noerror, weird z", ", noerror, authentic data"},
		{0x10, ", noerror, weird z", ", noerror, checking disabled"},
		{0x73, ", nxdomain, weird z", ", nxdomain, authentic data, checking disabled, weird z"},
	} {
		for f, want := range map[Form]string{Classic: c.classic, Readable: c.classic, Full: c.full} {
			if want == "" {
				continue
			}
			got, err := Message(nil, packet(c.bits, 0, 0, 0, ""), f)
			if want = head + want + "\nquery: 1 www.x\n"; err != nil || string(got) != want {
				t.Errorf("%04x, form %d: %q, %v, not %q", c.bits, f, got, err, want)
			}
		}
	}
}

// Every record form, in all three forms of output.
func TestRecords(t *testing.T) {
	type forms struct{ classic, readable, full string }
	same := func(s string) forms { return forms{s, s, s} }
	for _, c := range []struct {
		record string
		want   forms
	}{
		{owner + "\x00\x01" + in5 + "\x00\x04\x01\x02\x03\xff", same("www.x 5 A 1.2.3.255")},
		{"\x00" + "\x00\x01\x00\x01\xff\xff\xff\xff\x00\x04\x00\x00\x00\x00", same(". 4294967295 A 0.0.0.0")},
		{"\x04a.\\b\x00" + "\x00\x02" + in5 + "\x00\x02\xc0\x10", same("a\\056\\134b 5 NS x")},
		{owner + "\x00\x05" + in5 + "\x00\x01\x00", same("www.x 5 CNAME .")},
		{owner + "\x00\x0c" + in5 + "\x00\x03\x01Y\x00", same("www.x 5 PTR y")},
		{owner + "\x00\x0f" + in5 + "\x00\x04\xff\xff\xc0\x0c", same("www.x 5 MX 65535 www.x")},
		{owner + "\x00\x06" + in5 + "\x00\x18\xc0\x0c\xc0\x10\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\xff\xff\xff\xff",
			same("www.x 5 SOA www.x x 1 2 3 4 4294967295")},
		{owner + "\x00\x10\x00\x03\x00\x00\x00\x05\x00\x02\x01a", same("www.x 5 weird class")},
		{owner + "\x00\x01\x00\x03\x00\x00\x00\x05\x00\x01a", same("www.x 5 weird class")}, // not looked into
		{owner + "\x00\x10" + in5 + "\x00\x05\x04a \\\xff", forms{"www.x 5 16 \\004a\\040\\134\\377", "www.x 5 16 \\004a\\040\\134\\377", "www.x 5 TXT \"a \\\\\\255\""}},
		{owner + "\x00\x10" + in5 + "\x00\x00", forms{"www.x 5 16 ", "www.x 5 16 ", "www.x 5 TXT \\# 0"}},
		{owner + "\x00\x10" + in5 + "\x00\x02\x09a", forms{"www.x 5 16 \\011a", "www.x 5 16 \\011a", "www.x 5 TXT \\# 2 0961"}},
		{owner + "\x00\x1c" + in5 + "\x00\x10 \x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", forms{
			"www.x 5 28 \\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001",
			"www.x 5 28 \\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001",
			"www.x 5 AAAA 2001:db8::1"}},
		{owner + "\x01\x01" + in5 + "\x00\x0a\x00\x05issuex.y", forms{"www.x 5 257 \\000\\005issuex.y", "www.x 5 CAA 0 issue \"x.y\"", "www.x 5 CAA 0 issue \"x.y\""}},
		{owner + "\xff\x00" + in5 + "\x00\x02~\x7f", forms{"www.x 5 65280 ~\\177", "www.x 5 TYPE65280 \\# 2 7E7F", "www.x 5 TYPE65280 \\# 2 7E7F"}},
		{owner + "\x00\x21" + in5 + "\x00\x07\x00\x01\x00\x02\x00\x03\x00", forms{"www.x 5 33 \\000\\001\\000\\002\\000\\003\\000", "www.x 5 SRV 1 2 3 .", "www.x 5 SRV 1 2 3 ."}},
	} {
		for f, want := range map[Form]string{Classic: c.want.classic, Readable: c.want.readable, Full: c.want.full} {
			for section, counts := range map[string][3]byte{"answer": {1, 0, 0}, "authority": {0, 1, 0}, "additional": {0, 0, 1}} {
				msg := packet(wire.BitQR, counts[0], counts[1], counts[2], c.record)
				got, err := Message(nil, msg, f)
				_, lines, _ := strings.Cut(string(got), "\nquery: 1 www.x\n")
				if err != nil || lines != section+": "+want+"\n" {
					t.Errorf("%q, form %d: %q, %v, not %q", c.record, f, lines, err, want)
				}
			}
		}
	}
}

func TestOPT(t *testing.T) {
	opt := func(ttl, options string) string {
		return "\x00\x00\x29\x04\xd0" + ttl + string([]byte{0, byte(len(options))}) + options
	}
	for _, c := range []struct{ record, want string }{
		{opt("\x00\x00\x00\x00", ""), ". 0 OPT version 0 size 1232"},
		{opt("\x00\x00\x80\x00", ""), ". 32768 OPT version 0 size 1232 do"},
		{opt("\x01\x02\x00\x00", ""), ". 16908288 OPT version 2 size 1232 rcode BADVERS"},
		{opt("\x00\x00\x00\x00", "\x00\x03\x00\x03a\"\x00"), ". 0 OPT version 0 size 1232 nsid \"a\\\"\\000\""},
		{opt("\x00\x00\x00\x00", "\x00\x0a\x00\x02\x0f\xf0"), ". 0 OPT version 0 size 1232 cookie 0ff0"},
		{opt("\x00\x00\x00\x00", "\x00\x0f\x00\x02\x00\x06"), ". 0 OPT version 0 size 1232 ede 6"},
		{opt("\x00\x00\x00\x00", "\x00\x0f\x00\x01\x00"), ". 0 OPT version 0 size 1232 option 15 00"},
		{opt("\x00\x00\x00\x00", "\x00\x0f\x00\x04\x00\x06no"), ". 0 OPT version 0 size 1232 ede 6 \"no\""},
		{opt("\x00\x00\x00\x00", "\xfd\xe9\x00\x00\x00\x03\x00\x09a"), ". 0 OPT version 0 size 1232 option 65001  malformed"},
	} {
		got, err := Message(nil, packet(wire.BitQR, 0, 0, 1, c.record), Full)
		_, lines, _ := strings.Cut(string(got), "\nquery: 1 www.x\n")
		if err != nil || lines != "additional: "+c.want+"\n" {
			t.Errorf("%q: %q, %v, not %q", c.record, lines, err, c.want)
		}
	}
}

func TestQuestions(t *testing.T) {
	msg := packet(0, 0, 0, 0, "")
	msg[len(msg)-1] = 3
	if got, err := Message(nil, msg, Classic); err != nil || string(got) != head+", noerror\nquery: weird class\n" {
		t.Errorf("%q, %v", got, err)
	}
	msg = append(packet(0, 0, 0, 0, ""), "\xc0\x10\xff\xff\x00\x01"...)
	msg[5] = 2
	if got, err := Message([]byte("kept "), msg, Classic); err != nil ||
		string(got) != "kept 29 bytes, 2+0+0+0 records, noerror\nquery: 1 www.x\nquery: 65535 x\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// Anything malformed leaves nothing behind.
func TestMalformed(t *testing.T) {
	soa := "\xc0\x0c\xc0\x10\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05"
	bad := map[string]string{
		"nothing there":        "",
		"owner only":           owner,
		"cut in the TTL":       owner + "\x00\x01\x00\x01\x00",
		"rdata missing":        owner + "\x00\x01" + in5 + "\x00\x04\x01\x02\x03",
		"A of 3":               owner + "\x00\x01" + in5 + "\x00\x03\x01\x02\x03",
		"A of 5":               owner + "\x00\x01" + in5 + "\x00\x05\x01\x02\x03\x04\x05",
		"bytes after the last": owner + "\x00\x01" + in5 + "\x00\x04\x01\x02\x03\x04!",
		"owner points at self": "\xc0\x17\x00\x01" + in5 + "\x00\x04\x01\x02\x03\x04",
		"NS with a tail":       owner + "\x00\x02" + in5 + "\x00\x03\xc0\x0c!",
		"NS beyond its length": owner + "\x00\x02" + in5 + "\x00\x01\x01a\x00",
		"NS of nothing":        owner + "\x00\x02" + in5 + "\x00\x00",
		"MX without name":      owner + "\x00\x0f" + in5 + "\x00\x02\x00\x01",
		"MX of one byte":       owner + "\x00\x0f" + in5 + "\x00\x01\x00",
		"SOA cut":              owner + "\x00\x06" + in5 + "\x00\x17" + soa[:23],
		"SOA with a tail":      owner + "\x00\x06" + in5 + "\x00\x19" + soa + "!",
		"a label of 64":        "\x40" + strings.Repeat("x", 64) + "\x00\x00\x01" + in5 + "\x00\x04\x01\x02\x03\x04",
		"a name over 255":      strings.Repeat("\x3f"+strings.Repeat("x", 63), 4) + "\x00\x00\x01" + in5 + "\x00\x04\x01\x02\x03\x04",
	}
	for what, record := range bad {
		for _, f := range []Form{Classic, Readable, Full} {
			got, err := Message([]byte("kept"), packet(0, 1, 0, 0, record), f)
			if err == nil || string(got) != "kept" {
				t.Errorf("%s, form %d: %q, %v", what, f, got, err)
			}
		}
	}
	whole := packet(0, 1, 0, 0, owner+"\x00\x06"+in5+"\x00\x18"+soa)
	for n := range whole {
		if got, err := Message(nil, whole[:n], Full); err == nil || len(got) != 0 {
			t.Errorf("%d bytes of %d: %q, %v", n, len(whole), got, err)
		}
	}
}

func TestParseType(t *testing.T) {
	for _, c := range []struct {
		s     string
		every bool
		t     dns.Type
		ok    bool
	}{
		{"", false, 0, true}, {"1", false, 1, true}, {"65537", false, 1, true}, {"99999999999999999999999999", false, 0, true},
		{"A", false, 1, true}, {"aNy", false, 255, true}, {"axfr", false, 252, true}, {"AAAA", false, 28, true}, {"Sig", false, 24, true},
		{"1a", false, 0, false}, {"caa", false, 0, false}, {"caa", true, 257, true}, {"svcb", false, 0, false},
		{"type257", false, 257, true}, {"TYPE65535", false, 65535, true}, {"type65536", false, 0, false}, {"type", false, 0, false}, {"type-1", true, 0, false},
		{"any ", false, 0, false}, {"-1", false, 0, false},
	} {
		if c.s == "99999999999999999999999999" {
			// modulo 2^64 and then 2^16, as 1.05 counts
			n := uint64(0)
			for range c.s {
				n = n*10 + 9
			}
			c.t = dns.Type(n)
		}
		if got, ok := ParseType(c.s, c.every); got != c.t || ok != c.ok {
			t.Errorf("%q, %v: %d, %v", c.s, c.every, got, ok)
		}
	}
}

// Whatever comes, there is text in whole printable lines or an error and
// nothing.
func FuzzMessage(f *testing.F) {
	f.Add(packet(wire.BitQR, 1, 0, 0, owner+"\x00\x01"+in5+"\x00\x04\x01\x02\x03\x04"))
	f.Add(packet(wire.BitQR, 0, 1, 0, owner+"\x00\x06"+in5+"\x00\x18\xc0\x0c\xc0\x10"+strings.Repeat("\x00", 20)))
	f.Add(packet(wire.BitQR, 0, 0, 1, "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x06\x00\x03\x00\x02ab"))
	f.Add(packet(0, 1, 0, 0, "\xc0\x17\x00\x01"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		var errs []error
		for _, form := range []Form{Classic, Readable, Full} {
			before := bytes.Clone(msg)
			got, err := Message([]byte("x"), msg, form)
			if !bytes.Equal(before, msg) {
				t.Fatal("the message has changed")
			}
			errs = append(errs, err)
			if err != nil {
				if string(got) != "x" {
					t.Fatalf("%q with %v", got, err)
				}
				continue
			}
			if got[len(got)-1] != '\n' {
				t.Fatalf("no whole line: %q", got)
			}
			for _, c := range got {
				if c != '\n' && (c < 32 || c > 126) {
					t.Fatalf("byte %d in %q", c, got)
				}
			}
		}
		if (errs[0] == nil) != (errs[1] == nil) || (errs[0] == nil) != (errs[2] == nil) {
			t.Fatalf("the form decides whether it is one: %v", errs)
		}
	})
}
