package bindimport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"math/rand"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/tinydata"
)

func imported(t *testing.T, files map[string]string) (*Config, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(Options{Conf: filepath.Join(dir, "named.conf")})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := c.Write(w); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	var lines []string
	for _, l := range strings.Split(b.String(), "\n") {
		if l != "" && l[0] != '#' {
			lines = append(lines, l)
		}
	}
	return c, strings.Join(lines, "\n")
}

const soa = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns.\n"

func lost(c *Config) string {
	var out []string
	for _, n := range c.Notes {
		if n.Lost {
			out = append(out, n.What+": "+n.Reason)
		}
	}
	return strings.Join(out, "\n")
}

func TestLines(t *testing.T) {
	c, got := imported(t, map[string]string{
		"named.conf": `zone "Ex.test" { type master; file "z"; };`,
		"z": soa + `a A 1.2.3.4
*.w 7 A 1.2.3.5
a AAAA 2001:db8::1
a MX 5 M.x.
t TXT "short: \\ \"q\""
t2 TXT "a" "b"
t3 TXT ""
p PTR q
c CNAME @
d\.ot A 1.1.1.1
h HTTPS 1 . alpn="h2"
u TYPE999 \# 2 0A0B
out.side. A 9.9.9.9
a A 1.2.3.4
`})
	want := `ZEx.test:ns.Ex.test.:h.Ex.test.:1:2:3:4:5:60
&Ex.test::ns.:60
+a.Ex.test:1.2.3.4:60
+*.w.Ex.test:1.2.3.5:7
:a.Ex.test:AAAA:2001\072db8\072\0721:60
@a.Ex.test::M.x.:5:60
't.Ex.test:short\072 \134 "q":60
:t2.Ex.test:TXT:"a" "b":60
:t3.Ex.test:TXT:"":60
^p.Ex.test:q.Ex.test.:60
Cc.Ex.test:Ex.test.:60
+d\056ot.Ex.test:1.1.1.1:60
:h.Ex.test:HTTPS:1 . alpn="h2":60
:u.Ex.test:TYPE999:\# 2 0A0B:60`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if c.Lost() != 0 {
		t.Error(lost(c))
	}
	notes := 0
	for _, n := range c.Notes {
		if strings.Contains(n.Reason, "named ignores it") || strings.Contains(n.Reason, "named keeps one") {
			notes++
		}
	}
	if notes != 2 {
		t.Errorf("%d notes about dropped records: %+v", notes, c.Notes)
	}
}

func TestViewsAndTransfers(t *testing.T) {
	c, got := imported(t, map[string]string{
		"named.conf": `acl sec { 192.0.2.53; 198.51.100.0/22; 2001:db8::53; };
options { allow-transfer { none; }; };
view in { match-clients { 10/8; 172.16/12; !192.168.9/24; 192.168/16; fd00::/8; };
  zone z.test { type primary; file "z"; allow-transfer { sec; 10.1.1.1; }; };
  zone y.test { type primary; file "z"; }; };
view out { match-clients { any; };
  zone z.test { type primary; file "z"; allow-transfer { !192.0.2.53; any; }; };
  zone y.test { in-view in; }; };`, "z": soa})
	if s := lost(c); s != "" {
		t.Error(s)
	}
	var loc []string
	for _, l := range strings.Split(got, "\n") {
		if l[0] == '%' {
			loc = append(loc, l)
		}
	}
	if s := strings.Join(loc, " "); s != "%vb: %va:10 %va:[172.16.0.0]/12 %va:192.168 %vb:192.168.9 %va:[fd00::]/8" {
		t.Error(s)
	}
	if !strings.Contains(got, "Zz.test:ns.z.test.:h.z.test.:1:2:3:4:5:60::va\n") || !strings.Contains(got, "Zy.test:ns.y.test.:h.y.test.:1:2:3:4:5:60::vb\n") {
		t.Error(got)
	}
	want := `10.:allow,AXFR=""
172.16.0.0/12:allow,AXFR=""
192.168.:allow,AXFR=""
192.168.9.:allow,AXFR="z.test"
10.1.1.1:allow,AXFR="z.test"
192.0.2.53:allow,AXFR=""
fd00::/8:allow,AXFR=""
:allow,AXFR="z.test"`
	if s := strings.Join(c.Rules()[2:], "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

// TestNothingSilent: everything that is not carried over is listed, and counts
// as lost when answers depend on it.
func TestNothingSilent(t *testing.T) {
	for _, c := range []struct {
		conf, zone string
		lost       int
		word       string
	}{
		{`zone z { type primary; file "z"; };`, soa, 0, ""},
		{`options { pid-file none; recursion no; }; logging { }; zone z { type primary; file "z"; };`, soa, 0, ""},
		{`zone z { type slave; file "z"; masters { 1.2.3.4; }; };`, soa, 1, "axfr-get"},
		{`zone z { type forward; forwarders { 1.2.3.4; }; };`, soa, 1, "dnscache"},
		{`zone "." { type hint; file "root"; };`, "", 0, ""},
		{`zone z { type primary; file "z"; also-notify { 1.2.3.4; }; };`, soa, 1, "NOTIFY"},
		{`zone z { type primary; file "z"; allow-update { any; }; };`, soa, 1, "updates"},
		{`zone z { type primary; file "z"; allow-update { none; }; };`, soa, 0, ""},
		{`zone z { type primary; file "z"; dnssec-policy default; };`, soa, 1, "signed"},
		{`zone z { type primary; file "z"; frobnicate yes; };`, soa, 1, "unknown to bind-import"},
		{`zone z { type primary; file "z"; allow-transfer { key k; }; }; key k { algorithm hmac-sha256; secret "x"; };`, soa, 1, "keys do not decide"},
		{`zone z { type primary; file "z"; allow-transfer { localnets; }; };`, soa, 1, "networks of its interfaces"},
		{`zone z { type primary; file "nope"; };`, soa, 1, "no such file"},
		{`zone z { type primary; };`, soa, 1, "without file"},
		{`zone z { type primary; file "z"; masterfile-format raw; };`, soa, 1, "named-compilezone"},
		{`zone z ch { type primary; file "z"; };`, soa, 1, "class IN"},
		{`zone z { type primary; file "z"; };`, soa + "a FOO x\n", 1, "unknown record type"},
		{`zone z { type primary; file "z"; };`, "$TTL 1\na A 1.2.3.4\n", 1, "no SOA"},
		{`zone z { type primary; file "z"; };`, soa + "a CNAME b\na A 1.2.3.4\n", 1, "CNAME and other data"},
		{`zone z { type primary; file "z"; };`, soa + "@ SOA x y 1 2 3 4 5\n", 1, "second SOA"},
		{`zone z { type primary; file "z"; };`, soa + "a 5 A 1.1.1.1\na 6 A 1.1.1.2\n", 0, ""},
		{`view v { match-destinations { 1.2.3.4; }; zone z { type primary; file "z"; }; };`, soa, 1, "client's address only"},
		{`options { rate-limit { responses-per-second 5; }; }; zone z { type primary; file "z"; };`, soa, 1, "rate limit"},
	} {
		got, _ := imported(t, map[string]string{"named.conf": c.conf, "z": c.zone})
		if got.Lost() != c.lost || !strings.Contains(lost(got), c.word) {
			t.Errorf("%s\n%s: %d lost, want %d with %q:\n%s", c.conf, c.zone, got.Lost(), c.lost, c.word, lost(got))
		}
	}
}

// TestEveryLineCompilesBack: random data of all kinds come back from their
// lines bit by bit.
func TestEveryLineCompilesBack(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	var p tinydata.Parser
	for range 20000 {
		data := make([]byte, r.Intn(40))
		r.Read(data)
		typ := dns.Type(1 + r.Intn(270))
		if typ.IsMeta() {
			continue
		}
		if rdata.Check(typ, data) != nil {
			continue
		}
		rec := Record{Owner: dnsname.Name("\x03" + string(data[:min(3, len(data))]) + "abc"[min(3, len(data)):] + "\x01z\x00"), Type: typ, TTL: r.Uint32() >> 1, Data: data}
		lo := []string{"", "va"}[r.Intn(2)]
		l := rec.line(lo)
		line, err := tinydata.AppendLine(nil, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkLine(&p, line, l); err != nil {
			t.Fatal(err)
		}
	}
}

func message(rcode int, aa bool, sections ...string) *Answer {
	a := &Answer{RCode: dns.RCode(rcode), AA: aa}
	for i, s := range sections {
		for _, l := range strings.Split(s, "\n") {
			f := strings.SplitN(l, " ", 4)
			if len(f) < 4 {
				continue
			}
			typ, _ := dns.ParseType(f[2])
			n, _ := dnsname.ParseMaster(f[0], "")
			data, err := rdata.Parse(nil, typ, []byte(f[3]), "")
			if err != nil {
				panic(err)
			}
			ttl, _ := rdata.ParsePeriod(f[1])
			a.Sections[i] = append(a.Sections[i], RR{Owner: f[0], TTL: ttl, Class: 1, Type: typ, Data: f[3], fold: string(n.Lower()) + f[2] + string(foldNames(nil, typ, data))})
		}
	}
	return a
}

func TestCompare(t *testing.T) {
	a := func(s ...string) reply { return reply{a: message(0, true, s...)} }
	q := &Question{Type: dns.TypeA}
	for _, c := range []struct {
		name     string
		old, new reply
		want     Verdict
	}{
		{"equal", a("x. 1 A 1.2.3.4"), a("x. 1 A 1.2.3.4"), Equal},
		{"order", a("x. 1 A 1.2.3.4\nx. 1 A 1.2.3.5"), a("x. 1 A 1.2.3.5\nx. 1 A 1.2.3.4"), Equal},
		{"case", a("x. 1 A 1.2.3.4"), a("X. 1 A 1.2.3.4"), Explained},
		{"TTL", a("x. 1 A 1.2.3.4"), a("x. 2 A 1.2.3.4"), Different},
		{"data", a("x. 1 A 1.2.3.4"), a("x. 1 A 1.2.3.5"), Different},
		{"missing", a("x. 1 A 1.2.3.4"), a(""), Different},
		{"twice", a("x. 1 A 1.2.3.4"), a("x. 1 A 1.2.3.4\nx. 1 A 1.2.3.4"), Different},
		{"order of strings", a(`x. 1 TXT "a" "b"`), a(`x. 1 TXT "b" "a"`), Different},
		{"case of strings", a(`x. 1 TXT "a"`), a(`x. 1 TXT "A"`), Different},
		{"rcode", a(""), reply{a: message(3, true)}, Different},
		{"AA", a(""), reply{a: message(0, false)}, Different},
		{"silence", a(""), reply{silent: true}, Different},
		{"silence and REFUSED", reply{a: message(5, false)}, reply{silent: true}, Explained},
		{"both silent", reply{silent: true}, reply{silent: true}, Equal},
		{"no NS beside an answer", a("x. 1 A 1.2.3.4", "x. 1 NS a."), a("x. 1 A 1.2.3.4"), Explained},
		{"other NS beside an answer", a("x. 1 A 1.2.3.4", "x. 1 NS a."), a("x. 1 A 1.2.3.4", "x. 1 NS b."), Different},
		{"no signed NS beside a wildcard's answer", a("x. 1 A 1.2.3.4\n"+sig("x.", "A"), "x. 1 NS a.\n"+sig("x.", "NS")+"\nv. 1 NSEC y. A\n"+sig("v.", "NSEC")),
			a("x. 1 A 1.2.3.4\n"+sig("x.", "A"), "v. 1 NSEC y. A\n"+sig("v.", "NSEC")), Explained},
		{"no proof beside a wildcard's answer", a("x. 1 A 1.2.3.4", "x. 1 NS a.\nv. 1 NSEC y. A"), a("x. 1 A 1.2.3.4"), Different},
		{"no SOA in a negative answer", a("", "x. 1 SOA a. b. 1 2 3 4 5"), a("", ""), Different},
		{"additional", a("x. 1 MX 1 y.", "", "y. 1 A 1.2.3.4"), a("x. 1 MX 1 y."), Explained},
		{"glue missing", reply{a: message(0, false, "", "x. 1 NS n.x.", "n.x. 1 A 1.2.3.4")}, reply{a: message(0, false, "", "x. 1 NS n.x.")}, Different},
		{"address outside missing", reply{a: message(0, false, "", "x. 1 NS n.y.", "n.y. 1 A 1.2.3.4")}, reply{a: message(0, false, "", "x. 1 NS n.y.")}, Explained},
		{"chain", a("x. 1 CNAME y.\ny. 1 A 1.2.3.4"), a("x. 1 CNAME y."), Explained},
		{"no chain", a("x. 1 CNAME y.\ny. 1 A 1.2.3.4"), a("x. 1 CNAME z."), Different},
	} {
		if v, cause := Compare(q, c.old, c.new); v != c.want || (v == Equal) != (cause == "") {
			t.Errorf("%s: %v (%s), want %v", c.name, v, cause, c.want)
		}
		if v, _ := Compare(q, c.new, c.old); v != c.want {
			t.Errorf("%s, the other way round: %v, want %v", c.name, v, c.want)
		}
	}
}

// sig is a signature over nothing.
func sig(owner, covered string) string {
	return owner + " 1 RRSIG " + covered + " 13 1 1 20261228152308 20261128152308 1 x. AAAA"
}

// The NSEC record of a zone cut may be answered from the parent or not; other
// data of the cut may not.
func TestCutNSEC(t *testing.T) {
	refer := reply{a: message(0, false, "", "x.t. 1 NS n.x.t.\nx.t. 1 NSEC y.t. NS", "n.x.t. 1 A 1.2.3.4")}
	for _, c := range []struct {
		typ    dns.Type
		answer string
		want   Verdict
	}{
		{dns.TypeNSEC, "x.t. 1 NSEC y.t. NS", Explained},
		{dns.TypeNSEC, "z.t. 1 NSEC y.t. NS", Different},
		{dns.TypeTXT, `x.t. 1 TXT "y"`, Different},
		{dns.TypeNSEC, "", Different},
	} {
		q, answer := &Question{Type: c.typ}, reply{a: message(0, true, c.answer)}
		for _, r := range [][2]reply{{answer, refer}, {refer, answer}} {
			if v, cause := Compare(q, r[0], r[1]); v != c.want {
				t.Errorf("%q: %v (%s), want %v", c.answer, v, cause, c.want)
			}
		}
	}
}

// A negative answer about an SOA may have TTL 0; another may not.
func TestZeroSOA(t *testing.T) {
	const soa = "x. %s SOA a. b. 1 2 3 4 5"
	answer := func(ttl string) reply { return reply{a: message(3, true, "", strings.Replace(soa, "%s", ttl, 1))} }
	for _, c := range []struct {
		t        dns.Type
		old, new string
		want     Verdict
	}{{dns.TypeSOA, "0", "5", Explained}, {dns.TypeSOA, "5", "0", Explained}, {dns.TypeSOA, "4", "5", Different}, {dns.TypeA, "0", "5", Different}} {
		if v, _ := Compare(&Question{Type: c.t}, answer(c.old), answer(c.new)); v != c.want {
			t.Errorf("%v, TTL %s and %s: %v", c.t, c.old, c.new, v)
		}
	}
}

func TestParseServer(t *testing.T) {
	for s, want := range map[string]string{"127.0.0.1": "127.0.0.1:53", "127.0.0.1#5": "127.0.0.1:5", "127.0.0.1:5": "127.0.0.1:5", "::1": "[::1]:53", "::1#5": "[::1]:5", "[::1]:5": "[::1]:5", "[::1]": "[::1]:53", "host": "", "127.0.0.1#x": "", "": ""} {
		got, err := ParseServer(s)
		if err != nil {
			got = netip.AddrPort{}
		}
		if (want == "") != (err != nil) || want != "" && got.String() != want {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
}

func TestRecorded(t *testing.T) {
	log := `22-Nov-2026 12:00:00.000 client @0x7f 192.0.2.1#5353 (www.example.org): query: www.example.org IN AAAA +E(0)TDC (192.0.2.53)
x: info: client 192.0.2.1#5353: query: a.example IN A -
@400000006b02f3b31baf c0000201:14e9:0001 + 000f mail.example.org
c0000201:14e9:0001 - 0001 \052.example.org
query: x IN AXFR +
nothing
`
	list, skipped, err := Recorded(strings.NewReader(log))
	if err != nil || len(list) != 4 || skipped != (Skipped{Other: 2}) {
		t.Fatal(list, skipped, err)
	}
	if q := list[0]; q.Name.String() != "www.example.org." || q.Type != dns.TypeAAAA || !q.EDNS || !q.DO || !q.TCP {
		t.Errorf("%+v", q)
	}
	if q := list[1]; q.EDNS || q.DO || q.TCP || q.Type != dns.TypeA {
		t.Errorf("%+v", q)
	}
	if list[2].Type != dns.TypeMX || list[3].Name.String() != "*.example.org." {
		t.Error(list[2:])
	}
}

// capture makes a pcap of one Ethernet frame with a query.
func capture(order binary.ByteOrder, query []byte) []byte {
	udp := binary.BigEndian.AppendUint16(nil, 4000)
	udp = binary.BigEndian.AppendUint16(udp, 53)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(query)))
	udp = append(append(udp, 0, 0), query...)
	ip := append([]byte{0x45, 0, 0, byte(20 + len(udp)), 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, udp...)
	frame := append(append(make([]byte, 12), 8, 0), ip...)
	b := make([]byte, 24)
	order.PutUint32(b, 0xa1b2c3d4)
	order.PutUint32(b[20:], linkEthernet)
	h := make([]byte, 16)
	order.PutUint32(h[8:], uint32(len(frame)))
	return append(append(b, h...), frame...)
}

func TestCapture(t *testing.T) {
	q := Question{Name: "\x01a\x00", Type: dns.TypeMX}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		list, skipped, err := Recorded(bytes.NewReader(capture(order, q.message(7))))
		if err != nil || len(list) != 1 || skipped != (Skipped{}) || list[0].Name != q.Name || list[0].Type != dns.TypeMX {
			t.Errorf("%v: %v %v %v", order, list, skipped, err)
		}
	}
}

func FuzzRecorded(f *testing.F) {
	q := Question{Name: "\x01a\x00", Type: dns.TypeMX}
	f.Add(capture(binary.LittleEndian, q.message(7)))
	f.Add([]byte("x: query: a.b IN A +E(0)\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, _, _ := Recorded(bytes.NewReader(in))
		for i := range list {
			list[i].message(1)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	q := Question{Name: "\x01a\x00", Type: dns.TypeMX, EDNS: true, DO: true}
	f.Add(q.message(7))
	f.Fuzz(func(t *testing.T, in []byte) {
		if a, err := ParseAnswer(in); err == nil {
			r := reply{a: a}
			r.text()
			if v, _ := Compare(&q, r, r); v != Equal {
				t.Fatal("an answer differs from itself")
			}
		}
	})
}
