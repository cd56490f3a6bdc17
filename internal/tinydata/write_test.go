package tinydata

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/testbin"

	"pgregory.net/rapid"
)

// Whatever the reference compiled must come back as lines that compile to the
// same bytes.
func TestBackToLines(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "compat/golden"), "*", "data.cdb"))
	if len(files) < 7 {
		t.Fatalf("only %d files", len(files))
	}
	for _, fn := range files {
		b, err := os.ReadFile(fn)
		if err != nil {
			t.Fatal(err)
		}
		var text []byte
		err = cdb.Reader(b).Each(func(key, data []byte) error {
			if IsLocation(key) {
				var ok bool
				if text, ok = AppendLocation(text, key, data); !ok {
					t.Errorf("%s: no line for location %x %x", fn, key, data)
				}
				return nil
			}
			r, ok := Decode(nil, key, data)
			if !ok {
				t.Errorf("%s: %x %x does not decode", fn, key, data)
			}
			var err error
			if text, err = AppendLine(text, &r); err != nil {
				t.Errorf("%s: %v: %+v", fn, err, r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := compile(bytes.NewReader(text), 1)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: lines give other bytes: %v\n%s", fn, err, text)
		}
	}
}

func TestAppendLine(t *testing.T) {
	name := func(s string) []byte {
		n, err := dnsname.ParseDot(s)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(n)
	}
	owner := name("*.Example.test")
	for _, c := range []struct {
		r                 Record
		readable, classic string
	}{
		{Record{Owner: owner, Type: dns.TypeA, TTL: 5, Data: []byte{192, 0, 2, 1}}, `+*.Example.test:192.0.2.1:5`, `+\052.example.test:192.0.2.1:5`},
		{Record{Owner: owner, Type: dns.TypeNS, TTL: 5, Data: name("ns.Test")}, `&*.Example.test::ns.Test.:5`, "-"},
		{Record{Owner: name("x"), Type: dns.TypeNS, TTL: 5, Data: name("")}, `&x::.:5`, `&x::..:5`},
		{Record{Owner: name("x"), Type: dns.TypeCNAME, Data: name("B.c")}, `Cx:B.c.:0`, `Cx:b.c.:0`},
		{Record{Owner: name("x"), Type: dns.TypeMX, TTL: 7, Data: append([]byte{1, 0}, name("mx")...)}, `@x::mx.:256:7`, ""},
		{Record{Owner: name("x"), Type: dns.TypeTXT, TTL: 7, Data: []byte("\x03a:b")}, `'x:a\072b:7`, `:x:16:\003a\072b:7`},
		{Record{Owner: name("x"), Type: dns.TypeTXT, TTL: 7, Data: []byte("\x01a\x01b")}, `:x:TXT:"a" "b":7`, `:x:16:\001a\001b:7`},
		{Record{Owner: name("x"), Type: dns.TypeTXT, TTL: 7, Data: nil}, `'x::7`, `:x:16::7`},
		{Record{Owner: name("x"), Type: dns.TypeAAAA, TTL: 7, Data: []byte{0x20, 1, 0xd, 0xb8, 15: 1}}, `:x:AAAA:2001\072db8\072\0721:7`, `:x:28:\040\001\015\270\000\000\000\000\000\000\000\000\000\000\000\001:7`},
		{Record{Owner: name("x"), Type: dns.TypeAAAA, TTL: 7, Data: []byte("_a.")}, `:x:28:\137a.:7`, ""},
		{Record{Owner: name("x"), Type: 65280, TTL: 7, Data: []byte{1}}, `:x:TYPE65280:\# 1 01:7`, `:x:65280:\001:7`},
		{Record{Owner: name("x"), Type: dns.TypeA, TTL: 0, Time: [8]byte{0x40}, Loc: [2]byte{'e', 'x'}, Data: []byte{1, 2, 3, 4}}, `+x:1.2.3.4:0:4000000000000000:ex`, ""},
		{Record{Owner: name("x"), Type: dns.TypeA, TTL: 0, Loc: [2]byte{'e'}, Data: []byte{1, 2, 3, 4}}, `+x:1.2.3.4:0::e`, ""},
		{Record{Owner: name("x"), Type: dns.TypeA, Loc: [2]byte{':'}, Data: []byte{1, 2, 3, 4}}, "-", "-"},
		{Record{Owner: name("x"), Type: dns.TypeNS, Data: []byte{200}}, "-", "-"},
	} {
		if c.classic == "" {
			c.classic = c.readable
		}
		for i, f := range []func([]byte, *Record) ([]byte, error){AppendLine, AppendClassic} {
			want := []string{c.readable, c.classic}[i]
			got, err := f(nil, &c.r)
			if want == "-" {
				if err == nil {
					t.Errorf("%v %q: a line for what has none: %s", c.r.Type, c.r.Data, got)
				}
			} else if err != nil || string(got) != want+"\n" {
				t.Errorf("%v %q: %q, %v; want %q", c.r.Type, c.r.Data, got, err, want)
			}
		}
	}
}

// Every record with a line comes back from it, and every record with sound
// data has a line.
func TestLinesRoundTrip(t *testing.T) {
	label := rapid.Custom(func(t *rapid.T) []byte {
		return rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 1, 6), rapid.Just([]byte("*")), rapid.Just([]byte("Www"))).Draw(t, "label")
	})
	name := rapid.Custom(func(t *rapid.T) []byte {
		var n []byte
		for _, l := range rapid.SliceOfN(label, 0, 4).Draw(t, "labels") {
			n = append(append(n, byte(len(l))), l...)
		}
		return append(n, 0)
	})
	rapid.Check(t, func(t *rapid.T) {
		r := Record{Owner: name.Draw(t, "owner"), TTL: rapid.Uint32().Draw(t, "ttl")}
		copy(r.Time[:], rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "time"))
		copy(r.Loc[:], rapid.SampledFrom([]string{"", "", "ex", "x", "\x01\x02"}).Draw(t, "lo"))
		r.Type = rapid.SampledFrom([]dns.Type{1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 46, 47, 64, 99, 257, 65280}).Draw(t, "type")
		sound := true
		raw := rapid.SliceOfN(rapid.Byte(), 0, 40)
		switch r.Type {
		case 2, 5, 12:
			r.Data = name.Draw(t, "target")
		case 15:
			r.Data = append([]byte{1, 2}, name.Draw(t, "target")...)
		case 6:
			r.Data = append(name.Draw(t, "mname"), name.Draw(t, "rname")...)
			r.Data = append(r.Data, rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "numbers")...)
		case 16:
			for _, s := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 255), 0, 3).Draw(t, "strings") {
				r.Data = append(append(r.Data, byte(len(s))), s...)
			}
		default:
			r.Data = raw.Draw(t, "data")
		}
		for i, f := range []func([]byte, *Record) ([]byte, error){AppendLine, AppendClassic} {
			line, err := f(nil, &r)
			if err != nil {
				if sound && !(i == 1 && r.Type == dns.TypeNS && dnsname.IsWildcard(r.Owner)) {
					t.Fatalf("no line for %+v", r)
				}
				continue
			}
			if bytes.IndexByte(line, '\n') != len(line)-1 {
				t.Fatalf("%q is not one line", line)
			}
			var b cdb.Batch
			p := Parser{}
			if err := p.Line(line[:len(line)-1], &b); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			n := 0
			b.Each(func(key, data []byte) error {
				n++
				back, ok := Decode(nil, key, data)
				want := r.Data
				if i == 1 && (r.Type == 2 || r.Type == 5 || r.Type == 12 || r.Type == 15) {
					back.Data, want = dnsname.Lower(bytes.Clone(back.Data)), dnsname.Lower(bytes.Clone(want))
				}
				if i == 1 && r.Type == 6 {
					k := len(want) - 20
					want = append(dnsname.Lower(bytes.Clone(want[:k])), want[k:]...)
				}
				if !ok || !dnsname.Equal(back.Owner, r.Owner) || back.Type != r.Type || back.TTL != r.TTL || back.Time != r.Time ||
					back.Loc != r.Loc || !bytes.Equal(back.Data, want) {
					t.Fatalf("%q: %+v comes back as %+v", line, r, back)
				}
				return nil
			})
			if n != 1 {
				t.Fatalf("%q makes %d records", line, n)
			}
		}
	})
}
