package tinydata

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/testbin"
)

// compile makes a whole data.cdb of text.
func compile(r io.Reader, serial uint32) (cdb.Reader, error) {
	m := &testbin.Memory{}
	w := cdb.NewWriter(m)
	if _, err := Compile(r, w, serial, Watch{}); err != nil {
		return nil, err
	}
	return m.B, w.Finish()
}

func TestGolden(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "compat/golden"), "*", "mtime"))
	if len(dirs) < 7 {
		t.Fatalf("only %d data sets", len(dirs))
	}
	for _, fn := range dirs {
		dir := filepath.Dir(fn)
		mtime, _ := os.ReadFile(fn)
		var seconds int64
		fmt.Sscan(string(mtime), &seconds)
		data, err := os.ReadFile(dir + "/data")
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(dir + "/data.cdb")
		if err != nil {
			t.Fatal(err)
		}
		got, err := compile(bytes.NewReader(data), Serial(seconds))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d; %v", dir, len(got), len(want), err)
		}
	}
}

// show gives the records of one line, each as owner type ttl time loc data.
func show(t *testing.T, line string) (string, error) {
	t.Helper()
	var b cdb.Batch
	p := Parser{Serial: 77}
	if err := p.Line([]byte(line), &b); err != nil {
		return "", err
	}
	var out []string
	b.Each(func(key, data []byte) error {
		r, ok := Decode(nil, key, data)
		if !ok {
			out = append(out, fmt.Sprintf("%x -> %q", key, data))
			return nil
		}
		out = append(out, fmt.Sprintf("%s %s %d %x %q %x", dnsname.AppendText(nil, r.Owner), r.Type, r.TTL, r.Time, r.Loc[:], r.Data))
		return nil
	})
	if err := p.Prefixes.Add(&b); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "; "), nil
}

const noTime = `0000000000000000 "\x00\x00" `

// The newer lines; the old ones are proved by the fixtures and against the
// reference.
func TestNewLines(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"3a.test:20010db8000000000000000000000001", `a.test AAAA 86400 ` + noTime + `20010db8000000000000000000000001`},
		{"3a.test:20010DB8000000000000000000000001:60:41:ex", `a.test AAAA 60 4100000000000000 "ex" 20010db8000000000000000000000001`},
		{"3a.test:", ""},
		{"6*.a.test:20010db8000000000000000000000001:60",
			`\052.a.test AAAA 60 ` + noTime + `20010db8000000000000000000000001; ` +
				`1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR 60 ` + noTime + `012a01610474657374` + `00`},
		{"S_s._tcp.t:192.0.2.1:x:5060:1:2:9", `_s._tcp.t SRV 9 ` + noTime + `0001000213c4` + `0178037372760` + `25f73045f746370017400` + `; x.srv._s._tcp.t A 9 ` + noTime + `c0000201`},
		{"S_s._tcp.t::x.y.:80", `_s._tcp.t SRV 86400 ` + noTime + `000000000050` + `0178017900`},
		{"Nt:1:2:u:E2U+sip:!^.*$!sip\\072a@b!:.", `t NAPTR 86400 ` + noTime + `00010002` + `0175` + `074532552b736970` + `0e215e2e2a24217369703a61406221` + `00`},
		{":t:CAA:0 issue \"ca.test\"", `t CAA 86400 ` + noTime + `0005697373756563612e74657374`},
		{":t:aaaa:2001\\072db8\\072\\0721:60", `t AAAA 60 ` + noTime + `20010db8000000000000000000000001`},
		{":t:TYPE65280:\\# 3 abcdef", `t TYPE65280 86400 ` + noTime + `abcdef`},
		{":t:65280:\\253\\315", `t TYPE65280 86400 ` + noTime + `abcd`},
		{":t:28x:\\253\\315", `t AAAA 86400 ` + noTime + `abcd`},
		{":t:NS:ns.other.test", `t NS 259200 ` + noTime + `026e73056f74686572047465737400`},
		{":t:MX:5 mx.test.", `t MX 86400 ` + noTime + `0005026d78047465737400`},
		{":t:TXT:\"a\\072b\" \"c\\\\072\"", `t TXT 86400 ` + noTime + `03613a6205635c303732`},
		{":t:URI:10 1 \"http\\072//x.test/\"", `t URI 86400 ` + noTime + `000a0001687474703a2f2f782e746573742f`},
		{":t:DS:1 8 2 " + strings.Repeat("ab", 32), `t DS 86400 ` + noTime + `00010802` + strings.Repeat("ab", 32)},
		{"%ex:[2001:db8::]/32", `002f062020010db8 -> "ex"`},
		{"%ex:[2001\\072db8\\072\\072]/33", `002f062120010db800 -> "ex"`},
		{"%ex:[2001:db8::1]", `002f068020010db8000000000000000000000001 -> "ex"`},
		{"%ex:[192.0.2.0]/23", `002f0417c00002 -> "ex"`},
		{"%ex:[192.0.2.0]/24", `0025c00002 -> "ex"`},
		{"%ex:[::ffff:192.0.2.1]", `0025c0000201 -> "ex"`},
		{"%ex:[0.0.0.0]/0", `0025 -> "ex"`},
		{"%ex:192.0.2.0/23", `0025c0000200 -> "ex"`},
		{"%ex:2001:db8::/32", `0025d1 -> "ex"`},
	} {
		got, err := show(t, c.line)
		if err != nil || got != c.want {
			t.Errorf("%s\ngot  %s (%v)\nwant %s", c.line, got, err, c.want)
		}
	}
}

func TestNewErrors(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, c := range []struct{ line, want string }{
		{"3a.test:20010db8", "unrecognized leading character"},
		{"3" + long + ":20010db8000000000000000000000001", "label over 63 or name over 255 bytes"},
		{"S_s._tcp.t::x", "port missing"},
		{"Sa::" + long + ".:1", "label over 63 or name over 255 bytes"},
		{"Nt:1:2:u:" + strings.Repeat("y", 256), "string over 255 bytes"},
		{":t:ANY:x", "type ANY prohibited"},
		{":t:OPT:x", "type OPT prohibited"},
		{":t:NOSUCH:x", "type 0 prohibited"}, // the words 1.05 has for it
		{":t::x", "type 0 prohibited"},
		{":t:252:x", "type AXFR prohibited"},
		{"%ex:[2001:db8::]/129", "prefix length must be a number from 0 to 128"},
		{"%ex:[192.0.2.0]/33", "prefix length must be a number from 0 to 32"},
		{"%ex:[192.0.2.0]/", "prefix length must be a number from 0 to 32"},
		{"%ex:[192.0.2.0]x", "prefix length must be a number from 0 to 32"},
		{"%ex:[192.0.2.1]/24", "address has bits beyond its prefix length"},
		{"%ex:[2001:db8::", "] missing after the address"},
		{"%ex:[fe80::1%eth0]", "malformed IP address in brackets"},
		{"%ex:[x]", "malformed IP address in brackets"},
	} {
		_, err := show(t, c.line)
		var r Reason
		if !errors.As(err, &r) || string(r) != c.want {
			t.Errorf("%s\ngot  %v\nwant %s", c.line, err, c.want)
		}
	}
	// rdata's own reasons pass through behind the type
	_, err := show(t, ":t:A:1.2.3")
	if err == nil || !strings.HasPrefix(err.Error(), "bad A data: ") {
		t.Errorf("bad A data: %v", err)
	}
}

// The number of processors and the cuts between chunks must not show.
func TestChunks(t *testing.T) {
	var text bytes.Buffer
	for i := range 60000 {
		fmt.Fprintf(&text, "=h%d.example.test:10.%d.%d.%d\n", i, i>>16, i>>8&255, i&255)
		if i%1000 == 0 {
			fmt.Fprintf(&text, "# comment\n\n'long%d.test:%s\n", i, strings.Repeat("t", 5000))
		}
	}
	whole := text.Bytes()
	want, err := compile(bytes.NewReader(whole), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []int{4093, 1 << 20} {
		got, err := compile(&dribble{whole, piece}, 1)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read in pieces of %d: differs, %v", piece, err)
		}
	}
	// the first bad line is the one reported, whatever is found first
	lines := bytes.Count(whole, []byte{'\n'})
	bad := append(append(bytes.Clone(whole), "?bad\n"...), whole...)
	bad = append(bad, "!worse\n"...)
	_, err = compile(bytes.NewReader(bad), 1)
	var le *LineError
	if !errors.As(err, &le) || le.Line != uint64(lines)+1 {
		t.Errorf("error %v, want line %d", err, lines+1)
	}
}

type dribble struct {
	b []byte
	n int
}

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.n)], d.b)
	d.b = d.b[n:]
	return n, nil
}

type failing struct{ after io.Reader }

var errBroken = errors.New("broken")

func (f *failing) Read(p []byte) (int, error) {
	if n, err := f.after.Read(p); err == nil {
		return n, nil
	}
	return 0, errBroken
}

func TestReadError(t *testing.T) {
	_, err := compile(&failing{strings.NewReader("+a.test:1.2.3.4\n+b")}, 1)
	var re *ReadError
	if !errors.As(err, &re) || re.Err != errBroken {
		t.Errorf("%v", err)
	}
	// a bad line before the trouble counts first
	_, err = compile(&failing{strings.NewReader("+a.test:1.2.3.4\n?\n+b")}, 1)
	var le *LineError
	if !errors.As(err, &le) || le.Line != 2 {
		t.Errorf("%v", err)
	}
}

// What Watch is told are the positions that the file has.
func TestWatch(t *testing.T) {
	var text bytes.Buffer
	for i := range 50000 {
		fmt.Fprintf(&text, "=h%d.example.test:10.0.0.1\n", i)
	}
	text.WriteString("%ex:[2001:db8::]/32\n")
	m := &testbin.Memory{}
	w := cdb.NewWriter(m)
	type at struct {
		pos uint64
		key string
	}
	var got []at
	lines := uint64(0)
	stats, err := Compile(&text, w, 1, Watch{
		Progress: func(s Stats) { lines = s.Lines },
		Records: func(base uint64, b *cdb.Batch) {
			b.EachAt(func(pos uint64, key, data []byte) error {
				got = append(got, at{base + pos, string(key)})
				return nil
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if lines != 50001 || stats.Records != 100001 || len(got) != 100002 {
		t.Errorf("%d lines, %+v, %d records", lines, stats, len(got))
	}
	for _, g := range got {
		key, _, _, err := cdb.Reader(m.B).RecordAt(g.pos)
		if err != nil || string(key) != g.key {
			t.Fatalf("at %d: key %q, %v; want %q", g.pos, key, err, g.key)
		}
	}
}

// TestPrefixRecord looks at the record that lists the prefix lengths.
func TestPrefixRecord(t *testing.T) {
	r, err := compile(strings.NewReader("%ab:[2001:db8::]/32\n%cd:[::]/0\n%ef:[10.0.0.0]/9\n%ab:[2001:db9::]/32\n%x:10\n"), 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Get([]byte(keyPrefix))
	if want := "\x06\x20\x06\x00\x04\x09"; err != nil || string(got) != want {
		t.Errorf("lengths %x, %v; want %x", got, err, want)
	}
	r, _ = compile(strings.NewReader("%x:10\n"), 1)
	if got, _ := r.Get([]byte(keyPrefix)); got != nil {
		t.Error("a file of old lines has the list of lengths")
	}
}

func TestLineAllocates(t *testing.T) {
	var b cdb.Batch
	p := &Parser{Serial: 1}
	for _, line := range []string{"+a.example.test:192.0.2.1:86400", "=b.example.test:192.0.2.1", ".example.test:192.0.2.1:a", "@example.test:192.0.2.1:a:10", "'t.test:some \\072 text", "Ca.test:b.test", ":t.test:99:x"} {
		text := []byte(line)
		run := func() {
			b.Reset()
			if err := p.Line(text, &b); err != nil {
				t.Fatal(err)
			}
		}
		run() // grows the buffers
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// FuzzLine: whatever parses decodes again, stays inside the limits of names,
// and gives the same whether it comes alone or in a file.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"+a.test:1.2.3.4:5:41:ex", "=*.a.test:1.2.3.4", ".a.test:1.2.3.4:x", "&a.test::ns.b.test", "@a.test:1.2.3.4:m:10",
		"'a.test:te\\072xt", "^1.in-addr.arpa:a.test", "Ca.test:b.test", ":a.test:33:\\000", ":a.test:CAA:0 issue \"x\"", "Za.test:b:c:1:2:3:4:5:6",
		"%ex:10.0", "%ex:[2001:db8::]/32", "3a:20010db8000000000000000000000001", "6a:20010db8000000000000000000000001", "Sa:1.2.3.4:x:1:2:3", "Na:1:2:a:b:c:d",
		"#x", "-x", "", ":a:RRSIG:A 8 2 60 20300101000000 20200101000000 1 a. AAAA", ":a:SVCB:1 . alpn=h2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		var b cdb.Batch
		p := Parser{Serial: 1}
		err := p.Line(line, &b)
		r, err2 := compile(bytes.NewReader(line), 1)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("alone %v, in a file %v", err, err2)
		}
		if err != nil {
			return
		}
		p.Prefixes.Add(&b)
		n := 0
		b.Each(func(key, data []byte) error {
			n++
			if IsLocation(key) {
				return nil
			}
			rec, ok := Decode(nil, key, data)
			if !ok || !dnsname.Valid(rec.Owner) {
				t.Fatalf("%q does not decode: %x %x", line, key, data)
			}
			if rec.Type == dns.TypeAXFR || rec.Type == 0 {
				t.Fatalf("%q makes type %v", line, rec.Type)
			}
			var again cdb.Batch
			if _, err := rec.Add(&again, nil); err != nil {
				t.Fatal(err)
			}
			again.Each(func(k, d []byte) error {
				if !bytes.Equal(k, key) || !bytes.Equal(d, data) {
					t.Fatalf("%q: %x %x comes back as %x %x", line, key, data, k, d)
				}
				return nil
			})
			return nil
		})
		m := 0
		r.Each(func(key, data []byte) error { m++; return nil })
		if n != m {
			t.Fatalf("%q: %d records alone, %d in a file", line, n, m)
		}
	})
}
