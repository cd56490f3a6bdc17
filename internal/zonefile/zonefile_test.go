package zonefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"bulkhead/internal/dnsname"
)

const zone = dnsname.Name("\x07example\x00")

// read gives all records of text, one line each, or the error.
func read(text string, include map[string]string) string {
	r := NewReader([]byte(text), Options{Name: "z", Origin: zone, Include: func(name string) ([]byte, error) {
		if s, ok := include[name]; ok {
			return []byte(s), nil
		}
		return nil, os.ErrNotExist
	}})
	var out strings.Builder
	for rec, err := range r.All() {
		if err != nil {
			return out.String() + err.Error() + "\n"
		}
		fmt.Fprintf(&out, "%s:%d %s", rec.File, rec.Line, strings.ReplaceAll(string(AppendRecord(nil, rec)), "\t", " "))
	}
	return out.String()
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"empty", "", ""},
		{"blank lines and comments", "\n ; c\n\t\n;x", ""},
		{"plain", "a 60 IN A 1.2.3.4\n", "z:1 a.example. 60 IN A 1.2.3.4\n"},
		{"no newline at the end", "a 60 IN A 1.2.3.4", "z:1 a.example. 60 IN A 1.2.3.4\n"},
		{"class before TTL", "a IN 60 A 1.2.3.4", "z:1 a.example. 60 IN A 1.2.3.4\n"},
		{"case of words", "a in 1H a 1.2.3.4", "z:1 a.example. 3600 IN A 1.2.3.4\n"},
		{"owner is like a class", "in 60 in in 1.2.3.4", "z:1: unknown record type: in\n"},
		{"owner is like a type", "A 60 A 1.2.3.4", "z:1 A.example. 60 IN A 1.2.3.4\n"},
		{"blank owner", "a 60 A 1.2.3.4\n\tA 1.2.3.5\n ( AAAA\n ::1 )\n", "z:1 a.example. 60 IN A 1.2.3.4\nz:2 a.example. 60 IN A 1.2.3.5\nz:3 a.example. 60 IN AAAA ::1\n"},
		{"carriage returns", "a 60 A 1.2.3.4\r\nb A 1.2.3.5\r\n", "z:1 a.example. 60 IN A 1.2.3.4\nz:2 b.example. 60 IN A 1.2.3.5\n"},
		{"TTL of the line before", "a 60 A 1.2.3.4\nb A 1.2.3.5\n", "z:1 a.example. 60 IN A 1.2.3.4\nz:2 b.example. 60 IN A 1.2.3.5\n"},
		{"$TTL", "$TTL 1h\na 60 A 1.2.3.4\nb A 1.2.3.5\n$ttl 2\nb TXT x", "z:2 a.example. 60 IN A 1.2.3.4\nz:3 b.example. 3600 IN A 1.2.3.5\nz:5 b.example. 2 IN TXT \"x\"\n"},
		{"SOA minimum", "@ SOA a b 1 2 3 4 5m\n@ NS a\n", "z:1 example. 300 IN SOA a.example. b.example. 1 2 3 4 300\nz:2 example. 300 IN NS a.example.\n"},
		{"parentheses and comments", "@ 9 SOA a b ( ; one\n 1 ; two (\n 2 3\n 4 5 ) ; three\nx A 1.1.1.1", "z:1 example. 9 IN SOA a.example. b.example. 1 2 3 4 5\nz:5 x.example. 9 IN A 1.1.1.1\n"},
		{"parenthesis before the type", "a ( 60\n IN\n A 1.2.3.4 )", "z:1 a.example. 60 IN A 1.2.3.4\n"},
		{"parentheses without blanks", "a 60 TXT(a)(b\n)c", "z:1 a.example. 60 IN TXT \"a\" \"b\" \"c\"\n"},
		{"quotes hide", `a 60 TXT "a;b(c" ";" \; \( "\"" x;y`, `z:1 a.example. 60 IN TXT "a;b(c" ";" ";" "(" "\"" "x"` + "\n"},
		{"quotes in parentheses", "a 60 TXT ( \"a;b\"\n\"c\" )", "z:1 a.example. 60 IN TXT \"a;b\" \"c\"\n"},
		{"escapes in owners", `a\.b.c\032\"\\ 60 A 1.2.3.4`, `z:1 a\.b.c\032\"\\.example. 60 IN A 1.2.3.4` + "\n"},
		{"$ORIGIN", "$ORIGIN sub\na 60 A 1.2.3.4\n@ A 1.2.3.5\n$ORIGIN .\na.b NS @\n$ORIGIN x.y.\n* CNAME @", "z:2 a.sub.example. 60 IN A 1.2.3.4\nz:3 sub.example. 60 IN A 1.2.3.5\nz:5 a.b. 60 IN NS .\nz:7 *.x.y. 60 IN CNAME x.y.\n"},
		{"owner kept over $ORIGIN", "a 60 A 1.2.3.4\n$ORIGIN q.\n A 1.2.3.5\n", "z:1 a.example. 60 IN A 1.2.3.4\nz:3 a.example. 60 IN A 1.2.3.5\n"},
		{"unknown type", `a 60 TYPE65400 \# 2 (ab` + "\n" + `cd)`, "z:1 a.example. 60 IN TYPE65400 \\# 2 ABCD\n"},
		{"known type, generic", `a 60 TYPE1 \# 4 01020304`, "z:1 a.example. 60 IN A 1.2.3.4\n"},
		{"class number", "a 60 CLASS1 A 1.2.3.4", "z:1 a.example. 60 IN A 1.2.3.4\n"},
		{"include", "$INCLUDE i sub\nb A 1.2.3.5\n A 1.2.3.6\n", "i:2 a.sub.example. 7 IN A 1.2.3.4\nz:2 b.example. 7 IN A 1.2.3.5\nz:3 b.example. 7 IN A 1.2.3.6\n"},
		{"include keeps origin", "$INCLUDE \"q s\"\nb A 1.2.3.5\n", "q s:3 a.x. 7 IN A 1.2.3.4\nz:2 b.example. 7 IN A 1.2.3.5\n"},
		{"owner before include", "z 7 A 1.1.1.1\n$INCLUDE i\n A 1.2.3.6", "z:1 z.example. 7 IN A 1.1.1.1\ni:2 a.example. 7 IN A 1.2.3.4\nz:3 z.example. 7 IN A 1.2.3.6\n"},
		{"generate", "$TTL 5\n$GENERATE 1-3 h$ A 10.0.0.$\n", "z:2 h1.example. 5 IN A 10.0.0.1\nz:2 h2.example. 5 IN A 10.0.0.2\nz:2 h3.example. 5 IN A 10.0.0.3\n"},
		{"generate, all words", "$GENERATE 0-8/4 h-${5,3,d} 1h IN CNAME \"x${0,4,x}.a\"\nb A 1.1.1.1", "z:1 h-005.example. 3600 IN CNAME x0000.a.example.\nz:1 h-009.example. 3600 IN CNAME x0004.a.example.\nz:1 h-013.example. 3600 IN CNAME x0008.a.example.\nz:2 b.example. 3600 IN A 1.1.1.1\n"},
		{"generate, bases", "$GENERATE 171-171 a.$$.\\$.${-1,0,o}.${0,0,X}.${0,2,n}.${0,7,N}.$ 1 TXT \"a $\"", "z:1 a.\\$.\\$.252.AB.b.a.B.A.0.0.171.example. 1 IN TXT \"a\" \"171\"\n"},
		{"generate MX", `$GENERATE 1-2 a 1 MX "$ m"`, "z:1 a.example. 1 IN MX 1 m.example.\nz:1 a.example. 1 IN MX 2 m.example.\n"},
		// faults
		{"no type", "a 60 IN\n", "z:1: no record type\n"},
		{"type unknown", "\na 60 IN FOO x\n", "z:2: unknown record type: FOO\n"},
		{"two classes", "a 60 IN IN A 1.2.3.4", "z:1: unknown record type: IN\n"},
		{"other class", "a 60 CH TXT x", "z:1: class differs from the zone's class IN: CH\n"},
		{"meta type", "a 60 AXFR x", "z:1: not a type of data: AXFR\n"},
		{"asterisk is no type", "a 60 * x", "z:1: not a type of data: *\n"},
		{"no TTL", "a A 1.2.3.4", "z:1: no TTL: there is none on the line, no $TTL and no earlier record\n"},
		{"TTL too large", "a 2147483648 A 1.2.3.4", "z:1: TTL above 2147483647 (RFC 2181, section 8)\n"},
		{"bad TTL", "a 1x A 1.2.3.4", "z:1: not a TTL: 1x\n"},
		{"bad data", "a 1 A 1.2.3", "z:1: A address: not an IPv4 address: 1.2.3\n"},
		{"bad owner", "a..b 1 A 1.2.3.4", "z:1: owner is not a domain name: a..b\n"},
		{"no owner", " 1 A 1.2.3.4", "z:1: blank owner, but no record before it in this file\n"},
		{"open parenthesis", "a 1 TXT ( a\nb", "z:1: parenthesis not closed\n"},
		{"closing parenthesis", "a 1 TXT a )", "z:1: closing parenthesis without an opening one\n"},
		{"open quotes", "a 1 TXT \"a\nb\"", "z:1: quotes not closed before the end of the line\n"},
		{"backslash", "a 1 TXT a\\\n", "z:1: backslash at the end of the line\n"},
		{"directive", "$FOO a", "z:1: unknown directive: $FOO\n"},
		{"include loop", "$INCLUDE loop", "loop:1: $INCLUDE more than 16 files deep\n"},
		{"include missing", "$INCLUDE nope", "z:1: $INCLUDE nope: file does not exist\n"},
		{"include, error inside", "$INCLUDE bad", "bad:2: unknown record type: X\n"},
		{"include, blank owner", "a 1 A 1.1.1.1\n$INCLUDE noowner", "z:1 a.example. 1 IN A 1.1.1.1\nnoowner:1: blank owner, but no record before it in this file\n"},
		{"generate too much", "$GENERATE 0-2000000000 a A 1.2.3.4", "z:1: $GENERATE makes more than 16777216 records\n"},
		{"generate below zero", "$GENERATE 0-0 a${-1}.b${-2,4,d}.${-2000,0,n}.${-2000,10,x}.${-2000,0,o} 1 A 1.2.3.4", "z:1 a-1.b-002.0.3.8.f.f.f.f.f.00fffff830.37777774060.example. 1 IN A 1.2.3.4\n"},
		{"generate below -2^31", "$GENERATE 0-1 a${-2147483649} 1 A 1.2.3.4", "z:1: $GENERATE: bad modifier: ${-2147483649}\n"},
		{"generate above 2^31-1", "$GENERATE 1-1 a${2147483647} 1 A 1.2.3.4", "z:1: $GENERATE: number with offset is out of range\n"},
		{"generate modifier", "$GENERATE 0-1 a${0,0,q} 1 A 1.2.3.4", "z:1: $GENERATE: bad modifier: ${0,0,q}\n"},
		{"generate range", "$GENERATE 2-1 a$ 1 A 1.2.3.4", "z:1: $GENERATE: bad range: 2-1\n"},
		{"generate step", "$GENERATE 1-2/0 a$ 1 A 1.2.3.4", "z:1: $GENERATE: bad step: 1-2/0\n"},
	} {
		got := read(c.in, map[string]string{
			"i": "\na 7 A 1.2.3.4\n", "q s": "$ORIGIN x.\n\na 7 A 1.2.3.4", "loop": "$INCLUDE loop", "bad": "\na 1 X\n", "noowner": " 1 A 1.1.1.1",
		})
		if got != c.out {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.out)
		}
	}
}

func TestErrorStays(t *testing.T) {
	r := NewReader([]byte("a 1 A x\nb 1 A 1.2.3.4"), Options{Name: "z"})
	_, err := r.Next()
	var e *Error
	if !errors.As(err, &e) || e.File != "z" || e.Line != 1 {
		t.Fatal(err)
	}
	if _, again := r.Next(); again != err {
		t.Fatal(again)
	}
}

func TestAllocs(t *testing.T) {
	text := []byte(strings.Repeat("www 3600 IN A 192.0.2.1\n\tIN\tAAAA 2001:db8::1\n@ MX 10 mail\nx TXT ( \"a b\" ; c\n )\n", 100))
	n := testing.AllocsPerRun(5, func() {
		r := NewReader(text, Options{Origin: zone})
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
	if n > 12 { // the Reader, its buffers and the owner of blank lines
		t.Errorf("400 records cost %v allocations", n)
	}
}

// FuzzReader: no panic, bounded output, and what was read reads back the same
// after being written.
func FuzzReader(f *testing.F) {
	f.Add([]byte("$ORIGIN x.\n$TTL 1h\n@ SOA a b ( 1 2 ; c\n 3 4 5 )\n TXT \"a\\\"b\" c\\;d\n$GENERATE 1-3/2 h${0,3,x} A 1.2.3.$\n$INCLUDE i y\n"))
	f.Add([]byte("a 1 HTTPS 1 . alpn=h2 key9=\"x y\"\nb LOC 1 N 2 E 3m\nc TYPE999 \\# 1 00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(in, Options{Name: "z", Origin: zone, Include: func(string) ([]byte, error) { return []byte("i 1 A 1.2.3.4\n"), nil }})
		var text []byte
		for n := 0; n < 2000; n++ {
			rec, err := r.Next()
			if err != nil {
				break
			}
			if !dnsname.Valid(rec.Owner) {
				t.Fatalf("bad owner %q", rec.Owner)
			}
			line := AppendRecord(nil, rec)
			back, err := NewReader(line, Options{}).Next()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if !bytes.Equal(back.Owner, rec.Owner) || back.TTL != rec.TTL || back.Type != rec.Type || !bytes.Equal(back.Data, rec.Data) {
				t.Fatalf("%s changed: %s", line, AppendRecord(nil, back))
			}
			if text = append(text, line...); len(text) > 1<<20 {
				break
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := []byte(strings.Repeat("www 3600 IN A 192.0.2.1\n\tIN\tAAAA 2001:db8::1\n@ MX 10 mail\nx TXT \"a b\"\n", 2500))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range NewReader(text, Options{Origin: zone}).All() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 10000 {
			b.Fatal(n)
		}
	}
}
