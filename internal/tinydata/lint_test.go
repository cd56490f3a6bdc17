package tinydata

import (
	"bytes"
	"fmt"
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
