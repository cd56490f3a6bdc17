package tinydata

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// zone is a sound zone; the lines of a case follow from line 5.
const zone = ".example.test:192.0.2.1:a\n+www.example.test:192.0.2.2\n&sub.example.test:192.0.2.3:ns.sub.example.test\n%ex:10\n"

func TestLint(t *testing.T) {
	for _, c := range []struct {
		lines string
		want  []string // "line: text", texts cut to what is given
	}{
		{"", nil},
		{"# comment\n\n-off\n'x.example.test:text \\072 more:60\n", nil},
		{".example.test:192.0.2.4:b\n@example.test:192.0.2.5:a:10\n@example.test::mx.elsewhere.test:20\n", nil},
		{"+y.example.test:192.0.2.1:60:4000000038af1379:ex\n", nil},
		{"+*.w.example.test:192.0.2.1\nCl.example.test:any.w.example.test\nCm.example.test:out.side\nCe.example.test:w.example.test\n", nil},
		{"?\n", []string{"5: does not compile: unrecognized leading character"}},
		{":x.example.test:CAAA:nonsense\n:y.example.test::x\n:z.example.test:0:x\n", []string{"5: does not compile: unknown type CAAA", "6: does not compile: type 0 prohibited", "7: does not compile: type 0 prohibited"}},
		{":x.example.test:CAA:nonsense\n", []string{"5: does not compile: bad CAA data: "}},
		{"+y.example.test:\n", []string{"5: makes no record"}},
		{"+y.example.test:1.2.3\n", []string{"5: makes no record"}},
		{"&y.example.test:1.2.3:ns.else.test\n", []string{`5: "1.2.3" is no address`}},
		{"+y.example.test:192.0.2.300\n", []string{"5: address \"192.0.2.300\": 300 is taken modulo 256"}},
		{"+y.example.test:192.0.2.30x\n", []string{"5: address \"192.0.2.30x\": what follows"}},
		{"+y.example.test:192.0.2.30:1h\n", []string{"5: number \"1h\": what follows 1 is ignored"}},
		{"+y.example.test:192.0.2.30:h\n", []string{"5: \"h\" is no number"}},
		{"+y.example.test:192.0.2.30:4294967296\n", []string{"5: number 4294967296 is over 2147483647"}},
		{"@example.test:192.0.2.5:a:65536\n", []string{"5: number 65536 is over 65535"}},
		{"+y.example.test:192.0.2.30:60:4000000038AF1379\n", []string{"5: timestamp \"4000000038AF1379\": upper-case"}},
		{"+y.example.test:192.0.2.30:60:40000000\n", []string{"5: timestamp \"40000000\" has 8 digits"}},
		{"+y.example.test:192.0.2.30:60::exx\n", []string{"5: location \"exx\" is longer than two bytes: \"ex\" counts"}},
		{"+y.example.test:192.0.2.30:60::zz\n", []string{"5: location \"zz\" is given to no client"}},
		{"+y.example.test:192.0.2.30:60:::x\n", []string{"5: field 6 \"x\" is ignored"}},
		{"+y.example.test:192.0.2.30\r\n", []string{"5: ends in a carriage return", "5: address \"192.0.2.30\\015\""}},
		{"'y.example.test:see http\\:60\n", []string{"5: field 2 ends in a backslash"}},
		{"%ex:10.0.0.0/8\n", []string{"5: prefix \"10.0.0.0/8\": \"/8\" is ignored"}},
		{"%ex:10\n", []string{"5: the same prefix as line 4"}},
		{"%ey:1.2.3.4.5\n", []string{"5: prefix \"1.2.3.4.5\" has more than four numbers"}},
		{"+www.example.test:192.0.2.2\n", []string{"5: the same A record of www.example.test is in line 2"}},
		{"+www.example.test:192.0.2.9:60\n", []string{"5: ttl 60 of www.example.test A differs from 86400 in line 2"}},
		{"Cwww.example.test:sub.example.test\n", []string{"5: CNAME of www.example.test beside A of line 2"}},
		{"Cc.example.test:www.example.test\nCc.example.test:a.ns.example.test\n", []string{"5: more than one CNAME of c.example.test"}},
		{"Cc.example.test:www.example.test\n@example.test::c.example.test\n", []string{"6: MX of example.test points to c.example.test, which is a CNAME"}},
		{"@example.test::nosuch.example.test\n", []string{"5: MX of example.test points to nosuch.example.test, which does not exist in our zone example.test"}},
		{"Cc.example.test:nosuch.example.test\n", []string{"5: CNAME of c.example.test points to nosuch.example.test, which does not exist"}},
		{"'t.example.test:x\n@example.test::t.example.test\n", []string{"6: MX of example.test points to t.example.test, which has no address"}},
		{"&below.example.test::ns.below.example.test\n", []string{"5: NS of below.example.test points to ns.below.example.test without an address there: glue is missing"}},
		{"+other.test:192.0.2.1\n", []string{"5: other.test is in no zone"}},
		{"+deep.sub.example.test:192.0.2.1\n", []string{"5: deep.sub.example.test is below the delegation of sub.example.test"}},
		{"'sub.example.test:x\n", []string{"5: TXT of sub.example.test at its own delegation"}},
		{"&*.example.test::ns.else.test\n", []string{"5: NS of the wildcard \\052.example.test"}},
		{"+a.*.example.test:192.0.2.1\n", []string{"5: an asterisk that is not the first label"}},
		{"Zalone.test:a.test:b.test\n", []string{"5: SOA of alone.test without NS", "5: alone.test is in no zone"}},
		{":x.example.test:1:\\001\n", []string{"5: bad A data at x.example.test"}},
		{":www.example.test:DS:1 8 2 " + strings.Repeat("ab", 32) + "\n", []string{"5: DS of www.example.test without a delegation"}},
		{":www.example.test:RRSIG:MX 8 3 60 20300101000000 20200101000000 1 example.test. AAAA\n", []string{"5: RRSIG of www.example.test for MX, which is not there"}},
		{":d.example.test:DNAME:else.test\n+x.d.example.test:192.0.2.1\n", []string{"5: names below the DNAME of d.example.test"}},
	} {
		found, err := Lint(strings.NewReader(zone + c.lines))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("%d: %s", f.Line, f.Text))
		}
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.HasPrefix(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%sgot  %q\nwant %q", c.lines, got, c.want)
		}
	}
}

// FuzzLint: no input makes it fail, and lint never changes what compiles: a
// finding of "does not compile" and nothing else stops the compiler.
func FuzzLint(f *testing.F) {
	f.Add([]byte(zone))
	f.Add([]byte("+a:1.2.3\n?\n%x:1/2\n:a:1:\\001:x:AB:loc:z\nCa:b\nCa:c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := Lint(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		bad := false
		for _, x := range found {
			bad = bad || strings.HasPrefix(x.Text, "does not compile: ")
			if strings.ContainsAny(x.Text, "\n\r") {
				t.Fatalf("finding is not one line: %q", x.Text)
			}
		}
		if _, err := compile(bytes.NewReader(data), 1); (err != nil) != bad {
			t.Fatalf("compile says %v, lint %v", err, found)
		}
	})
}

// rightFile makes a data file in which nothing is wrong: every target exists,
// every delegation has its glue, all records of a set have one ttl.
func rightFile(r *rand.Rand) string {
	b := new(strings.Builder)
	decimal := strings.NewReplacer("\\344", "\\228") // presentation format
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	ip := func() string { return fmt.Sprintf("192.0.2.%d", r.IntN(256)) }
	ttl := func() string { return pick("", "", "60", "3600", "0", "2147483647") }
	b.WriteString("# a comment\n\n%in:10\n%in:[2001:db8::]/32\n%ex\n-+off.example:1.2.3.4\n")
	for z := range 1 + r.IntN(3) {
		zone := fmt.Sprintf("zone%d.test", z)
		used := map[string]bool{}
		name := func() string {
			for {
				n := fmt.Sprintf("%s%d.%s", pick("h", "x-y", "_srv", "\\344", "A"), r.IntN(1000), zone)
				if r.IntN(4) == 0 {
					n = pick("deep", "a.b") + "." + n
				}
				if !used[n] {
					used[n] = true
					return n
				}
			}
		}
		switch r.IntN(3) {
		case 0:
			fmt.Fprintf(b, ".%s:%s:a\n.%s:%s:b\n", zone, ip(), zone, ip())
		case 1:
			fmt.Fprintf(b, ".%s::ns.elsewhere.example\n", zone)
		default:
			fmt.Fprintf(b, "Z%s:ns.%s:host.%s:%d:3600:600:86400:60:%s\n&%s:%s:ns.%s:300\n", zone, zone, zone, r.IntN(1<<31), ttl(), zone, ip(), zone)
		}
		var hosts []string
		for range 1 + r.IntN(6) {
			h, t := name(), ttl()
			hosts = append(hosts, h)
			fmt.Fprintf(b, "+%s:%s.1:%s\n", h, "198.51.100", t)
			switch r.IntN(4) {
			case 0:
				fmt.Fprintf(b, "+%s:198.51.100.2:%s\n", h, t)
			case 1:
				fmt.Fprintf(b, "3%s:20010db8000000000000000000000001:%s\n", h, t)
			case 2:
				fmt.Fprintf(b, ":%s:AAAA:2001\\072db8\\072\\0722:%s\n", h, t)
			}
		}
		host := func() string { return hosts[r.IntN(len(hosts))] }
		for range r.IntN(12) {
			switch r.IntN(16) {
			case 0:
				fmt.Fprintf(b, "C%s:%s:%s\n", name(), host(), ttl())
			case 1:
				fmt.Fprintf(b, "C%s:outside.example:%s\n", name(), ttl())
			case 2:
				fmt.Fprintf(b, "@%s::%s:%d:%s\n", name(), host(), r.IntN(65536), ttl())
			case 3:
				fmt.Fprintf(b, "@%s:%s:a:10\n", name(), ip())
			case 4:
				n := name()
				fmt.Fprintf(b, "&%s:%s:ns.%s\n&%s::ns.elsewhere.example\n", n, ip(), n, n)
				if r.IntN(2) == 0 {
					fmt.Fprintf(b, ":%s:DS:1 13 2 %064x\n", n, r.Uint64())
				}
			case 5:
				fmt.Fprintf(b, "&%s::%s\n", name(), host())
			case 6:
				n := name()
				fmt.Fprintf(b, "+*.%s:%s\nC%s:any.%s\n", n, ip(), name(), n)
			case 7:
				fmt.Fprintf(b, "'%s:text \\072 %s:%s\n", name(), strings.Repeat("x", r.IntN(300)), ttl())
			case 8:
				fmt.Fprintf(b, "S%s::%s:443:%d:%d:%s\n", name(), host(), r.IntN(9), r.IntN(9), ttl())
			case 9:
				fmt.Fprintf(b, "N%s:100:10:u:E2U+sip:!^.*$!sip\\072x@example.org!:.:%s\n", name(), ttl())
			case 10:
				n := name()
				fmt.Fprintf(b, "+%s:%s:60::in\n+%s:%s:300::ex\n", n, ip(), n, ip())
			case 11:
				n := name()
				fmt.Fprintf(b, "+%s:192.0.2.1:0:4100000000000000\n+%s:192.0.2.2:60:4100000000000000\n", n, n)
			case 12:
				fmt.Fprintf(b, ":%s:HTTPS:1 . alpn=h2\n:%s:CAA:0 issue \"ca.example\"\n:%s:TYPE65280:\\# 3 abcdef\n:%s:99:\\003abc\n", name(), name(), name(), name())
			case 13:
				n := name()
				fmt.Fprintf(b, ":%s:DNAME:%s:60\n:%s:TXT:\"beside\"\n", n, decimal.Replace(host()), n)
			case 14:
				child := name()
				fmt.Fprintf(b, ".%s:%s:a\n+www.%s:%s\n", child, ip(), child, ip())
			default:
				// a signed name, a signed alias and what proves them
				n, c := name(), name()
				sig := func(owner, typ string) {
					fmt.Fprintf(b, ":%s:RRSIG:%s 13 3 60 20300101000000 20200101000000 1 %s. AAAA:60\n", owner, typ, zone)
				}
				fmt.Fprintf(b, "'%s:signed:60\n:%s:NSEC:%s TXT RRSIG NSEC:60\nC%s:%s:60\n:%s:NSEC:%s CNAME RRSIG NSEC:60\n", n, n, decimal.Replace(c), c, n, c, zone)
				sig(n, "TXT")
				sig(n, "NSEC")
				sig(c, "CNAME")
				sig(c, "NSEC")
				h := strings.Repeat(pick("0", "a", "v"), 32) + "." + zone
				if !used[h] {
					used[h] = true
					fmt.Fprintf(b, ":%s:NSEC3:1 0 0 - %s A RRSIG:60\n", h, strings.Repeat("1", 32))
					sig(h, "NSEC3")
				}
			}
		}
	}
	if r.IntN(2) == 0 {
		b.WriteString(".2.0.192.in-addr.arpa:192.0.2.1:ns.rev.example\n=host.zone0.test:192.0.2.77:600\n^78.2.0.192.in-addr.arpa:host.zone0.test\n")
	}
	return b.String()
}

// Lint has nothing to say about files in which nothing is wrong, and finds what
// is then put into them.
func TestLintOfRightFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 200 {
		data := rightFile(r)
		found, err := Lint(strings.NewReader(data))
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v in\n%s", err, found, data)
		}
		n := strings.Count(data, "\n") + 1
		for _, x := range []struct{ line, want string }{
			{"C1.zone0.test:gone.zone0.test", "does not exist"}, {"Czone0.test:a.example", "beside"},
			{"+9.zone0.test:192.0.2.1::4000000000AABBCC", "upper-case"}, {"+9.zone0.test:192.0.2.1:::loc", "longer than two bytes"},
			{"&9.zone0.test::ns.9.zone0.test", "glue is missing"},
		} {
			found, err := Lint(strings.NewReader(data + x.line + "\n"))
			if err != nil || len(found) == 0 || found[0].Line != uint64(n) || !strings.Contains(found[0].Text, x.want) {
				t.Fatalf("%s: %v %v, line %d", x.line, found, err, n)
			}
		}
	}
}
