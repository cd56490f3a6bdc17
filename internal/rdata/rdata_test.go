package rdata

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

const origin = dnsname.Name("\x07example\x03org\x00")

// text -> wire (hexadecimal) -> text; out is in when empty.
var good = []struct{ typ, in, wire, out string }{
	{"A", "192.0.2.1", "c0000201", ""},
	{"NS", "ns1", "036e7331076578616d706c65036f726700", "ns1.example.org."},
	{"NS", "@", "076578616d706c65036f726700", "example.org."},
	{"MX", "10 .", "000a00", ""},
	{"SOA", `a. b\.c.d. 4294967295 1h30m 15M 1w 0`, "016100" + "03622e63016400" + "ffffffff" + "00001518" + "00000384" + "00093a80" + "00000000", `a. b\.c.d. 4294967295 5400 900 604800 0`},
	{"TXT", `a "b c" "" \"\;\065`, "016103622063000322" + "3b41", `"a" "b c" "" "\";A"`},
	{"TXT", `"a""b"c`, "016101620163", `"a" "b" "c"`},
	{"TXT", `\# 3 02 61 62`, "026162", `"ab"`},
	{"TXT", `"\#"`, "0123", `"#"`},
	{"AAAA", "2001:db8::1", "20010db8000000000000000000000001", ""},
	{"AAAA", "::ffff:1.2.3.4", "00000000000000000000ffff01020304", ""},
	{"AAAA", "1::7:6:5:4:3:2", "00010000000700060005000400030002", "1:0:7:6:5:4:3:2"},
	{"SRV", "1 2 3 t", "0001000200030174076578616d706c65036f726700", "1 2 3 t.example.org."},
	{"NAPTR", `100 50 "s" "http+I2R" "!^(.*)$!\\1!" _http._tcp.foo.`, "006400320173" + "08687474702b493252" + "0b215e282e2a2924215c3121" + "055f68747470045f74637003666f6f00", ""},
	{"CAA", `0 issue "ca.example; a=b"`, "00056973737565" + "63612e6578616d706c653b20613d62", ""},
	{"CAA", `128 ISSUE ""`, "80054953535545", ""},
	{"RRSIG", "A RSASHA256 2 3600 20260101000000 0 1 . AAAA", "0001080200000e10" + "6955b900" + "00000000" + "0001" + "00" + "000000", "A 8 2 3600 20260101000000 19700101000000 1 . AAAA"},
	{"NSEC", "a. A TYPE1234 MX", "016100" + "000240" + "01" + "041b" + "000000000000000000000000000000000000000000000000000020", "a. A MX TYPE1234"},
	{"NSEC", "a.", "016100", ""},
	{"NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA", "01" + "01" + "000c" + "04aabbccdd" + "14174eb2409fe28bcb4887a1836f957f0a8425e27b" + "000122", "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS SOA"},
	{"NSEC3PARAM", "1 0 0 -", "0100000000", ""},
	{"DS", "1 8 2 12 34", "000108021234", "1 8 2 1234"},
	{"CDS", "0 0 0 00", "0000000000", ""},
	{"CDNSKEY", "0 3 0 AA==", "0000030000", ""},
	{"DNSKEY", "257 3 ED25519 l02W oi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "0101030f" + "974d96a22d224bc01adb9150914" + "77d44ccd91c9a41a1143001011" + "7d52c59240e", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="},
	{"LOC", "42 21 54 N 71 06 18 W -24m 30m", "0033161389172dd070be15f0" + "00988d20", "42 21 54.000 N 71 6 18.000 W -24m 30m 10000m 10m"},
	{"LOC", "0 N 0 E 100000.25", "001216138000000080000000" + "01312d19", "0 0 0.000 N 0 0 0.000 E 100000.25m 1m 10000m 10m"},
	{"APL", "1:192.168.32.0/21 !1:192.168.38.0/28 2:FF00::/8", "00011503c0a820" + "00011c83c0a826" + "00020801ff", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8"},
	{"APL", "", "", ""},
	{"IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==", "0a0102c0000226010351537986ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801", ""},
	{"IPSECKEY", "10 0 2 .", "0a0002", ""},
	{"IPSECKEY", "10 3 0 gw", "0a0300026777076578616d706c65036f726700", "10 3 0 gw.example.org."},
	{"AMTRELAY", "10 1 2 2001:db8::15", "0a8220010db8000000000000000000000015", ""},
	{"AMTRELAY", "0 0 0 .", "0000", ""},
	{"HIP", "2 200100107B1A74DF365639CC39F1D578 AwEA r. s.", "1002000320010010" + "7b1a74df365639cc39f1d578" + "030100" + "017200" + "017300", ""},
	{"SVCB", "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1", "001003666f6f076578616d706c65036f726700" + "0000000400010004" + "000100090268320568332d3139" + "00040004c0000201", `16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1`},
	{"SVCB", `16 . alpn="f\\\\oo\\,bar,h2"`, "001000" + "0001000c" + "08665c6f6f2c626172" + "026832", ""},
	{"SVCB", `1 . key1="\002h2" key3="\000\053" key8=""`, "000100" + "00010003" + "026832" + "00030002" + "0035" + "00080000", `1 . alpn="h2" port=53 ohttp`},
	{"SVCB", `1 . key667="hello\210qoo"`, "000100" + "029b0009" + "68656c6c6fd2716f6f", ""},
	{"HTTPS", "1 . no-default-alpn alpn=h2 port=8443 ech=AAAA ohttp dohpath=/q{?dns}", "000100" + "00010003026832" + "00020000" + "0003000220fb" + "00050003000000" + "000700082f717b3f646e737d" + "00080000", `1 . alpn="h2" no-default-alpn port=8443 ech=AAAA dohpath="/q{?dns}" ohttp`},
	{"HTTPS", "0 svc.", "000003737663" + "00", ""},
	{"CERT", "PGP 0 0 AAAA", "000300000000" + "0000", ""},
	{"SSHFP", "4 2 aabb", "0402aabb", "4 2 AABB"},
	{"URI", `10 1 "ftp://f/\"x"`, "000a0001" + "6674703a2f2f662f2278", ""},
	{"EUI48", "00-00-5e-00-53-2a", "00005e00532a", ""},
	{"EUI64", "00-00-5e-ef-10-00-00-2a", "00005eef1000002a", ""},
	{"NID", "10 0014:4fff:ff20:ee64", "000a00144fffff20ee64", ""},
	{"L32", "10 10.1.2.0", "000a0a010200", ""},
	{"WKS", "10.0.0.1 TCP smtp 80", "0a00000106" + "00000040000000000000" + "80", "10.0.0.1 6 25 80"},
	{"NSAP", "0x47.0005.80", "47000580", "0x47000580"},
	{"ISDN", `"150862028003217" "004"`, "0f313530383632303238303033323137" + "03303034", ""},
	{"ISDN", "1", "0131", `"1"`},
	{"DSYNC", "CDS 1 5300 r.", "003b0114b4017200", "CDS NOTIFY 5300 r."},
	{"DSYNC", "TYPE1000 notify 0 .", "03e80100000" + "0", "TYPE1000 NOTIFY 0 ."},
	{"DSYNC", "CSYNC 2 1 .", "003e02000100", ""},
	{"ZONEMD", "2018031500 1 1 aabbccddeeff 001122334455", "7848b78c0101aabbccddeeff001122334455", "2018031500 1 1 AABBCCDDEEFF001122334455"},
	{"DOA", `1 2 3 "text/plain" AAAA`, "00000001" + "00000002" + "03" + "0a746578742f706c61696e" + "000000", ""},
	{"DOA", `0 0 1 "" -`, "0000000000000000" + "01" + "00", ""},
	{"NXT", "a. A 127 MX", "016100" + "40010000000000000000000000000001", "a. A MX TYPE127"},
	{"A6", "64 ::1:2:3:4 p.", "400001000200030004017000", "64 ::1:2:3:4 p."},
	{"A6", "0 1::", "0000010000000000000000000000000000", ""},
	{"IPN", "18446744073709551615", "ffffffffffffffff", ""},
	{"TYPE65280", `\# 2 ab cd`, "abcd", `\# 2 ABCD`},
	{"TYPE65280", `\# 0`, "", ""},
	{"NULL", `\# 1 00`, "00", ""},
	{"MD", "a.", "016100", ""},
	{"CSYNC", "66 3 A NS AAAA", "00000042" + "0003" + "000460000008", ""},
	{"X25", "311061700956", "0c333131303631373030393536", `"311061700956"`},
}

func TestTextWireText(t *testing.T) {
	for _, c := range good {
		typ, ok := dns.ParseType(c.typ)
		if !ok {
			t.Fatal(c.typ)
		}
		w, err := Parse([]byte("x"), typ, []byte(c.in), origin)
		if err != nil {
			t.Errorf("%s %s: %v", c.typ, c.in, err)
			continue
		}
		if got := hex.EncodeToString(w[1:]); w[0] != 'x' || got != c.wire {
			t.Errorf("%s %s:\n got %s\nwant %s", c.typ, c.in, got, c.wire)
		}
		if err := Check(typ, w[1:]); err != nil {
			t.Errorf("%s %s: Check: %v", c.typ, c.in, err)
		}
		want := c.out
		if want == "" {
			want = c.in
		}
		if got := string(AppendText([]byte("y"), typ, w[1:])); got != "y"+want {
			t.Errorf("%s: text %s, want %s", c.typ, got[1:], want)
		}
	}
}

func TestBadText(t *testing.T) {
	for _, c := range []struct{ typ, in string }{
		{"A", ""}, {"A", "1.2.3"}, {"A", "1.2.3.4.5"}, {"A", "1.2.3.256"}, {"A", "01.2.3.4"}, {"A", "1.2.3.4 x"}, {"A", `"1.2.3.4"`},
		{"AAAA", ":::"}, {"AAAA", "1:2:3:4:5:6:7"}, {"AAAA", "1:2:3:4:5:6:7:8:9"}, {"AAAA", "1::2::3"}, {"AAAA", "1:2:3:4:5:6:7:8::"}, {"AAAA", "1::8:7:6:5:4:3:2"}, {"AAAA", "12345::"}, {"AAAA", ":1::"}, {"AAAA", "1:"}, {"AAAA", "fe80::1%eth0"}, {"AAAA", "1:2:3:4:5:6:7:1.2.3.4"},
		{"NS", ""}, {"NS", "a..b"}, {"NS", `"a"`}, {"NS", "a b"},
		{"NS", "a234567890123456789012345678901234567890123456789012345678901234."},
		{"MX", "65536 a"}, {"MX", "-1 a"}, {"MX", "10"},
		{"SOA", "a. b. 1 2 3 4"}, {"SOA", "a. b. 1 2 3 4 5 6"}, {"SOA", "a. b. 1h 2 3 4 5"}, {"SOA", "a. b. 1 1h2 3 4 5"}, {"SOA", "a. b. 1 h 3 4 5"}, {"SOA", "a. b. 1 99999999999w 3 4 5"},
		{"TXT", ""}, {"TXT", `"a`}, {"TXT", `a\`}, {"TXT", `\256`}, {"TXT", `\12`}, {"TXT", "a(b"}, {"TXT", "a;b"},
		{"TXT", string(bytes.Repeat([]byte("a"), 256))},
		{"CAA", "0 a-b x"}, {"CAA", "0 issue"}, {"CAA", "0 issue a b"},
		{"RRSIG", "A 8 2 3600 20260230000000 0 1 . AAAA"}, {"RRSIG", "A 8 2 3600 0 0 1 ."}, {"RRSIG", "XX 8 2 3600 0 0 1 . AAAA"},
		{"NSEC3", "1 0 0 a 00 A"}, {"NSEC3", "1 0 0 - 0 A"}, {"NSEC3", "1 0 0 - W0 A"}, {"NSEC3", `1 0 0 "" 00 A`},
		{"DS", "1 8 2 123"}, {"DS", "1 8 2"}, {"DS", "1 8 2 xx"}, {"DS", "1 NOPE 2 12"},
		{"DNSKEY", "1 3 8 A"}, {"DNSKEY", "1 3 8 AA=A"}, {"DNSKEY", "1 3 8 AB=="}, {"DNSKEY", "1 3 8 AA==AAAA"}, {"DNSKEY", "1 3 8 ===="},
		{"LOC", "91 N 0 E 0m"}, {"LOC", "90 0 0.001 N 0 E 0m"}, {"LOC", "1 60 N 0 E 0m"}, {"LOC", "1 N 1 E"}, {"LOC", "1 2 3 4 N 1 E 0"}, {"LOC", "1 N 181 E 0"}, {"LOC", "1 N 1 E -100000.01m"}, {"LOC", "1 N 1 E 0 90000000.01m"},
		{"APL", "1:1.2.3.4"}, {"APL", "1:1.2.3.4/33"}, {"APL", "3:1.2.3.4/3"}, {"APL", "1.2.3.4/3"},
		{"IPSECKEY", "1 0 2 a."}, {"IPSECKEY", "1 4 2 a."}, {"AMTRELAY", "1 2 0 ."},
		{"SVCB", "1 . alpn"}, {"SVCB", "1 . alpn="}, {"SVCB", `1 . alpn="a,,b"`}, {"SVCB", "1 . port=1 port=2"}, {"SVCB", "1 . mandatory=port"}, {"SVCB", "1 . mandatory=mandatory"}, {"SVCB", "1 . mandatory=port,port port=1"}, {"SVCB", "1 . no-default-alpn"}, {"SVCB", "1 . no-default-alpn=x alpn=h2"}, {"SVCB", "1 . key65535=a"}, {"SVCB", "1 . key1=h2"}, {"SVCB", "1 . key3=53x"}, {"SVCB", "1 . key01=a"}, {"SVCB", "1 . port=65536"}, {"SVCB", "1 . ipv4hint=1.2.3"}, {"SVCB", "1 . foo=bar"}, {"SVCB", `1 . port="1`}, {"SVCB", `1 . port="1"x`}, {"SVCB", "1 . =x"},
		{"EUI48", "00-00-5e-00-53"}, {"EUI48", "00:00:5e:00:53:2a"}, {"NID", "10 4fff:ff20:ee64"}, {"NID", "10 :4fff:ff20:ee64"}, {"NID", "10 1:4fff:ff20:ee64:"}, {"NID", "10 12345:4fff:ff20:ee64"},
		{"WKS", "1.2.3.4 nope 25"}, {"WKS", "1.2.3.4 6 65536"}, {"NSAP", "47"}, {"NSAP", "0x4"},
		{"TYPE65280", "abc"}, {"TYPE65280", `\# 2 ab`}, {"TYPE65280", `\# 65536`}, {"TYPE65280", `\# 1 "ab"`}, {"A", `\# 3 010203`}, {"NS", `\# 2 c000`},
		{"HIP", "2 zz AwEA"}, {"HIP", "2 aa A"}, {"HIP", "2 aa"}, {"A6", "64 ffff::1 p."}, {"A6", "129 ::"}, {"URI", "1 2"}, {"NXT", "a. TYPE128"}, {"NXT", "a. 128"}, {"X25", ""},
		{"ZONEMD", "1 1 1 aabbccddeeff0011223344"}, {"DSYNC", "CDS NOTE 1 r."}, {"DSYNC", "CDS 256 1 r."}, {"DOA", `0 0 1 ""`}, {"DOA", `0 0 1 "" - -`},
	} {
		typ, _ := dns.ParseType(c.typ)
		dst := []byte("abc")
		w, err := Parse(dst, typ, []byte(c.in), origin)
		if err == nil {
			t.Errorf("%s %s: accepted as %x", c.typ, c.in, w[3:])
		}
		if string(w) != "abc" {
			t.Errorf("%s %s: dst changed", c.typ, c.in)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Type != typ) {
			t.Errorf("%s %s: error %v", c.typ, c.in, err)
		}
	}
}

func TestMalformedWire(t *testing.T) {
	for _, c := range []struct{ typ, wire string }{
		{"A", ""}, {"A", "010203"}, {"A", "0102030405"}, {"NS", ""}, {"NS", "0161"}, {"NS", "c000"}, {"NS", "0000"},
		{"MX", "0001"}, {"SOA", "0000" + "00000001000000020000000300000004000000"}, {"TXT", ""}, {"TXT", "0261"}, {"HINFO", "0161"},
		{"NSEC", "000000"}, {"NSEC", "00000100"}, {"NSEC", "00" + "000140" + "000140"}, {"NSEC3", "0100000000000001"},
		{"SVCB", "0001000001000168"}, {"SVCB", "0001" + "00" + "00030002000100030002" + "0001"}, {"SVCB", "0001" + "00" + "0003"},
		{"LOC", "00121613"}, {"LOC", "00a216138000000080000000" + "01312d19"}, {"APL", "00011501"}, {"APL", "0001080200" + "00"}, {"APL", "0001080100"},
		{"CAA", "0000"}, {"CAA", "00012d"}, {"HIP", "00000000"}, {"IPSECKEY", "0a01020102"}, {"AMTRELAY", "00"}, {"AMTRELAY", "000100"}, {"WKS", "01020304"},
		{"A6", "81"}, {"A6", "8000" + "00"}, {"RRSIG", "0001"}, {"NXT", "0000"}, {"NXT", "0080"}, {"DS", "00010802"}, {"ISDN", "01310131" + "0131"}, {"ZONEMD", "00000001" + "0101" + "aabbccddeeff0011223344"},
	} {
		typ, _ := dns.ParseType(c.typ)
		b, err := hex.DecodeString(c.wire)
		if err != nil {
			t.Fatal(c)
		}
		if Check(typ, b) == nil {
			t.Errorf("%s %s passes Check", c.typ, c.wire)
		}
		if got := string(AppendText(nil, typ, b)); got[:2] != `\#` {
			t.Errorf("%s %s printed as %s", c.typ, c.wire, got)
		}
		if out, err := AppendUncompressed(nil, b, typ, 0, len(b)); err == nil && c.wire != "c000" {
			t.Errorf("%s %s uncompressed to %x", c.typ, c.wire, out)
		}
	}
}

func TestUncompressed(t *testing.T) {
	msg := []byte("\x01a\x01B\x00" + "\x00\x05\xc0\x02" + "\xc0\x00\x01x\xc0\x00" + "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05")
	for _, c := range []struct {
		typ    dns.Type
		off, n int
		want   string
	}{
		{dns.TypeMX, 5, 4, "\x00\x05\x01B\x00"},
		{dns.TypeMX, 5, 3, "error"},
		{dns.TypeMX, 5, 5, "error"},
		{dns.TypeKX, 5, 4, "error"}, // not among the types with pointers
		{dns.TypeSOA, 9, 26, "\x01a\x01B\x00\x01x\x01a\x01B\x00" + string(msg[15:])},
		{dns.TypeTXT, 0, 4, "\x01a\x01B"},
		{dns.Type(65280), 5, 4, "\x00\x05\xc0\x02"},
		{dns.TypeA, 30, 6, "error"},
	} {
		got, err := AppendUncompressed([]byte("x"), msg, c.typ, c.off, c.n)
		if err != nil {
			got = append(got, "error"...)
		}
		if string(got) != "x"+c.want {
			t.Errorf("%v at %d: %q, want %q", c.typ, c.off, got[1:], c.want)
		}
	}
}

func TestCanonicalAndTarget(t *testing.T) {
	for _, c := range []struct {
		typ               dns.Type
		text, canon, targ string
	}{
		{dns.TypeMX, "1 A.B.", "1 a.b.", "A.B."},
		{dns.TypeNSEC, "A. MX", "A. MX", ""}, // RFC 6840, section 5.1
		{dns.TypeRRSIG, "A 8 2 3600 19700101000000 19700101000000 1 A. AAAA", "A 8 2 3600 19700101000000 19700101000000 1 a. AAAA", ""},
		{dns.TypeHINFO, `"A" "B"`, `"A" "B"`, ""},
		{dns.TypeSRV, "1 2 3 Aa.", "1 2 3 aa.", "Aa."},
		{dns.TypeSVCB, "1 Aa.", "1 Aa.", "Aa."},
		{dns.TypeHTTPS, "1 .", "1 .", ""},
		{dns.TypeNAPTR, `1 1 "A" "B" "C" R.`, `1 1 "A" "B" "C" r.`, "R."},
		{dns.TypeCNAME, "A.", "a.", ""},
		{dns.TypeDNAME, "A.", "a.", ""},
		{dns.TypeKX, "1 A.", "1 a.", "A."},
		{dns.TypeA6, "64 ::1 A.", "64 ::1 a.", ""},
		{dns.TypeLP, "1 A.", "1 A.", "A."},
		{dns.TypeSOA, "A. B. 1 2 3 4 5", "a. b. 1 2 3 4 5", ""},
	} {
		w, err := Parse(nil, c.typ, []byte(c.text), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := string(AppendText(nil, c.typ, AppendCanonical(nil, c.typ, w))); got != c.canon {
			t.Errorf("%v canonical %s, want %s", c.typ, got, c.canon)
		}
		targ, ok := Target(c.typ, w)
		got := ""
		if ok {
			got = dnsname.Name(targ).String()
		}
		if got != c.targ {
			t.Errorf("%v target %q, want %q", c.typ, got, c.targ)
		}
	}
}

func TestPeriod(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "4294967295": 4294967295, "4294967296": -1, "1w2d3h4m5s": 788645, "1H": 3600, "5m1h": 3900, "": -1, "h": -1, "1h2": -1, "1x": -1, "7102w": -1, "-1": -1, "1 h": -1} {
		n, ok := ParsePeriod(s)
		got := int64(n)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestDateRoundTrip(t *testing.T) {
	for _, n := range []uint32{0, 1, 86399, 86400, 951782400, 951868800, 1<<31 - 1, 1 << 31, 4107542399, 4107542400, 1<<32 - 1} {
		s := appendDate(nil, n)
		if got, ok := parseDate(s); !ok || got != n {
			t.Errorf("%d: %s: %d %v", n, s, got, ok)
		}
	}
}

func TestAllocs(t *testing.T) {
	buf := make([]byte, 0, 4096)
	for _, c := range good {
		typ, _ := dns.ParseType(c.typ)
		if typ == dns.TypeSVCB || typ == dns.TypeHTTPS || typ == dns.TypeLOC {
			continue // parameters are collected and sorted; angles are rare
		}
		in := []byte(c.in)
		if n := testing.AllocsPerRun(20, func() { Parse(buf, typ, in, origin) }); n > 0 && typ != dns.TypeNSEC && typ != dns.TypeNSEC3 && typ != dns.TypeRRSIG && typ != dns.TypeCSYNC && typ != dns.TypeDSYNC {
			t.Errorf("%s %s: Parse allocates %v times", c.typ, c.in, n)
		}
		w, err := Parse(nil, typ, in, origin)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(20, func() { AppendUncompressed(buf, w, typ, 0, len(w)) }); n > 0 {
			t.Errorf("%s: AppendUncompressed allocates %v times", c.typ, n)
		}
	}
}
