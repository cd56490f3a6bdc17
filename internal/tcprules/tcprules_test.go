package tcprules

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/cdb"
)

type pair struct{ key, data string }

func compile(t testing.TB, line string) (out []pair, err error) {
	_, err = Line([]byte(line), func(k, d []byte) error {
		out = append(out, pair{string(k), string(d)})
		return nil
	})
	return out, err
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want []pair
		bad  bool
	}{
		{line: ""}, {line: "# 1.2.3.4:deny"}, {line: "  \t\n"}, {line: "no colon"},
		{line: "1.2.3.4:deny\n", want: []pair{{"1.2.3.4", "D\x00"}}},
		{line: ":allow", want: []pair{{"", ""}}},
		{line: `a:allow,X="1",Y='2"',Z=z3z `, want: []pair{{"a", "+X=1\x00+Y=2\"\x00+Z=3\x00"}}},
		{line: `a:deny,X=""`, want: []pair{{"a", "D\x00+X=\x00"}}},
		{line: "10.3-5.7.:deny", want: []pair{{"10.3.7.", "D\x00"}, {"10.4.7.", "D\x00"}, {"10.5.7.", "D\x00"}}},
		{line: "254-1000:deny", want: []pair{{"254", "D\x00"}, {"255", "D\x00"}}},
		{line: "5-4.:deny"},
		{line: "-1.:deny", want: []pair{{"0.", "D\x00"}, {"1.", "D\x00"}}},
		{line: "u@1-2:deny", want: []pair{{"u@1-2", "D\x00"}}},
		{line: "=a-b:deny", want: []pair{{"=a-b", "D\x00"}}},
		{line: "1-x:deny", bad: true}, {line: "1.2:den", bad: true}, {line: "1.2:deny,", bad: true},
		{line: "1.2:allow,X", bad: true}, {line: `1.2:allow,X="`, bad: true}, {line: `1.2:allow,X="1"2`, bad: true},
		{line: "x:y:deny", bad: true}, {line: "=h:80:deny", bad: true},
		// IPv6: the address ends at the first :deny or :allow
		{line: "2001:db8::1:deny", want: []pair{{"2001:db8::1", "D\x00"}}},
		{line: "2001:db8::allow", want: []pair{{"2001:db8:", ""}}},
		{line: "::1:deny", want: []pair{{"::1", "D\x00"}}},
		{line: "joe@fe80::1:deny", want: []pair{{"joe@fe80::1", "D\x00"}}},
		{line: "2001:db8:1", bad: true},
		// networks in a form that is not looked up get one that is
		{line: "10.0.0.0/8:deny", want: []pair{{"10.0.0.0/8", "D\x00"}}},
		{line: "10.1.2.3/8:deny", want: []pair{{"10.1.2.3/8", "D\x00"}, {"10.0.0.0/8", "D\x00"}}},
		{line: "2001:DB8:0::/32:deny", want: []pair{{"2001:DB8:0::/32", "D\x00"}, {"2001:db8::/32", "D\x00"}}},
		{line: "10.0.0.0/33:deny", want: []pair{{"10.0.0.0/33", "D\x00"}}},
	} {
		got, err := compile(t, c.line)
		if c.bad != (err != nil) {
			t.Errorf("%q: error %v", c.line, err)
			continue
		}
		if err == nil && len(got)+len(c.want) > 0 {
			if len(got) != len(c.want) {
				t.Errorf("%q: %q, want %q", c.line, got, c.want)
				continue
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%q: record %d is %q, want %q", c.line, i, got[i], c.want[i])
				}
			}
		}
	}
}

func database(t testing.TB, rules string) cdb.Reader {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "cdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cdb.NewWriter(f)
	for _, l := range strings.Split(rules, "\n") {
		if _, err := Line([]byte(l), w.Add); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLookup(t *testing.T) {
	db := database(t, `joe@1.2.3.4:deny
joe@=host.example:deny
1.2.3.4:deny
=host.example:deny
1.2.3.0/28:deny
1.2.3.:deny
1.2.0.0/15:deny
1.:deny
=.example:deny
=:deny
2001:db8::5:deny
2001:db8:1::/48:deny
2001:db8:1:deny
2001:db8::/32:deny
::ffff:9.9.9.0/120:deny
:allow,DEFAULT="1"`)
	for _, c := range []struct {
		ip, host, info string // "-": unknown
		want           string
	}{
		{"1.2.3.4", "-", "joe", "joe@1.2.3.4"},
		{"9.9.9.8", "host.example", "joe", "joe@=host.example"},
		{"1.2.3.4", "host.example", "jim", "1.2.3.4"},
		{"8.8.8.8", "host.example", "-", "=host.example"},
		{"1.2.3.15", "-", "-", "1.2.3.0/28"},
		{"1.2.3.16", "-", "-", "1.2.3."},
		{"1.3.0.1", "-", "-", "1.2.0.0/15"},
		{"1.4.0.1", "x.example", "-", "1."},
		{"8.8.8.8", "x.example", "-", "=.example"},
		{"8.8.8.8", "a.b.example", "-", "=.example"},
		{"8.8.8.8", "example", "-", "="},
		{"8.8.8.8", "", "-", "="},
		{"8.8.8.8", "-", "-", ""},
		{"2001:db8::5", "-", "-", "2001:db8::5"},
		{"2001:db8:1::9", "-", "-", "2001:db8:1::/48"},
		{"2001:db8:1:2:3:4:5:6", "-", "-", "2001:db8:1::/48"},
		{"2001:db8::6", "-", "-", "2001:db8::/32"},
		{"2001:db9::6", "-", "-", ""},
		{"9.9.9.7", "-", "-", "9.9.9.0/24"},
		{"", "-", "-", ""},
		{"no address", "-", "-", ""},
	} {
		cl := Client{IP: c.ip, Host: c.host, HostKnown: c.host != "-", Info: c.info, InfoKnown: c.info != "-"}
		r, err := Lookup(db, cl)
		if err != nil || !r.Found || r.Key != c.want {
			t.Errorf("%+v: rule %q (%v), %v; want %q", cl, r.Key, r.Found, err, c.want)
		}
	}
	if r, err := Lookup(database(t, "9.:deny"), Client{IP: "1.2.3.4"}); err != nil || r.Found || r.Deny() {
		t.Error("no rule must allow")
	}
}

func TestRule(t *testing.T) {
	for _, c := range []struct {
		data string
		deny bool
		vars string
	}{
		{"", false, ""}, {"D\x00", true, ""}, {"D\x00+A=1\x00", true, ""}, {"+A=1\x00D\x00", true, "A=1 "},
		{"+A=1\x00+B=\x00", false, "A=1 B= "}, {"x\x00\x00+A=1\x00", false, "A=1 "}, {"D", false, ""}, {"+A=1", false, ""}, {"+A\x00", false, ""},
	} {
		r := Rule{Found: true, data: []byte(c.data)}
		vars := ""
		deny := r.Each(func(n, v string) { vars += n + "=" + v + " " })
		if deny != c.deny || vars != c.vars || r.Deny() != c.deny {
			t.Errorf("%q: %v %q", c.data, deny, vars)
		}
	}
}

func TestAppendAddr(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "::ffff:1.2.3.4": "1.2.3.4", "::": "::", "::1": "::1",
		"2001:db8:0:1:1:1:1:1": "2001:db8::1:1:1:1:1", // also a run of one group
		"2001:0:0:1:0:0:0:1":   "2001:0:0:1::1", "1:0:0:2:0:0:3:4": "1::2:0:0:3:4",
		"2001:DB8::A": "2001:db8::a", "fe80::1:0": "fe80::1:0", "1:2:3:4:5:6:7:0": "1:2:3:4:5:6:7::",
		"1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8": "::2:3:4:5:6:7:8",
	} {
		if got := string(AppendAddr(nil, netip.MustParseAddr(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := string(AppendAddr6(nil, netip.MustParseAddr("1.2.3.4"))); got != "::ffff:1.2.3.4" {
		t.Error(got)
	}
}

// FuzzRules compiles whatever comes and looks clients up in it.
func FuzzRules(f *testing.F) {
	for _, s := range []string{"1.2.3.4:deny", ":allow,A=\"b\"", "10.1-9.:deny", "2001:db8::/32:deny,X=xyx", "joe@=h:allow", "1.2.3.0/24:deny", "-:deny", "::1:allow"} {
		f.Add(s, "1.2.3.4", "h.example", "joe")
	}
	f.Fuzz(func(t *testing.T, line, ip, host, info string) {
		if len(line) > 1000 {
			return
		}
		var recs []pair
		trimmed, err := Line([]byte(line), func(k, d []byte) error {
			recs = append(recs, pair{string(k), string(d)})
			return nil
		})
		if len(recs) > 2*(maxOctet+1) {
			t.Fatalf("%d records of one line", len(recs))
		}
		if err != nil && len(recs) > 0 && !bytes.Contains(trimmed, []byte("-")) {
			t.Fatal("records of a line that is wrong")
		}
		var ws seeker
		w := cdb.NewWriter(&ws)
		for _, r := range recs {
			if err := w.Add([]byte(r.key), []byte(r.data)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		c := Client{IP: ip, Host: host, HostKnown: true, Info: info, InfoKnown: true}
		r, err := Lookup(cdb.Reader(ws.b), c)
		if err != nil {
			t.Fatal(err)
		}
		r.Each(func(name, value string) {
			if strings.ContainsRune(value, 0) {
				t.Fatal("NUL in a value")
			}
		})
		// a database of arbitrary bytes is an error or an answer
		Lookup(cdb.Reader(line), c)
	})
}

type seeker struct {
	b   []byte
	pos int64
}

func (s *seeker) Write(p []byte) (int, error) {
	if n := int(s.pos) + len(p); n > len(s.b) {
		s.b = append(s.b, make([]byte, n-len(s.b))...)
	}
	copy(s.b[s.pos:], p)
	s.pos += int64(len(p))
	return len(p), nil
}

func (s *seeker) Seek(off int64, whence int) (int64, error) {
	s.pos = off
	return off, nil
}
