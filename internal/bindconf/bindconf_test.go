package bindconf

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t *testing.T, files map[string]string) ([]*Statement, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		fn := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(fn), 0o755)
		if err := os.WriteFile(fn, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := Loader{Root: dir}
	return l.Load("/etc/named.conf")
}

func TestLoad(t *testing.T) {
	list, err := load(t, map[string]string{
		"etc/named.conf": `// one
# two
/* three
   lines */ options { directory "/var/named"; listen-on port 53 { 10.0.0.1; ! 10.0.0.2; }; };
include "more.conf";
include "/etc/zones/*.conf";
zone "a b" in{type primary;file "x\"y";};`,
		"var/named/more.conf": "acl x { !10/8; any; }; // end",
		"etc/zones/1.conf":    "zone one { };", "etc/zones/2.conf": "zone two { };",
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range list {
		got = append(got, s.Place()+" "+s.String())
	}
	want := `/etc/named.conf:4 options { directory "/var/named"; listen-on port 53 { 10.0.0.1; ! 10.0.0.2; }; }
more.conf:1 acl x { ! 10/8; any; }
/etc/zones/1.conf:1 zone one {  }
/etc/zones/2.conf:1 zone two {  }
/etc/named.conf:7 zone "a b" in { type primary; file "x\"y"; }`
	if s := strings.Join(got, "\n"); strings.ReplaceAll(s, "{ ... }", "") != strings.ReplaceAll(want, `{ directory "/var/named"; listen-on port 53 { 10.0.0.1; ! 10.0.0.2; }; }`, "") {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

func TestFaults(t *testing.T) {
	for in, want := range map[string]string{
		"a {":                     "/etc/named.conf:1: } missing at the end of the file",
		"a\nb":                    "/etc/named.conf:1: ; missing after a b",
		"\n}":                     "/etc/named.conf:2: } without {",
		"a { b };":                "/etc/named.conf:1: ; missing after b",
		"\n/* x":                  "/etc/named.conf:2: comment not closed",
		"a \"b\n\";":              "/etc/named.conf:1: quotes not closed before the end of the line",
		"include \"q\";":          "/etc/named.conf:1: ",
		"include \"named.conf\";": "named.conf:1: include more than 16 files deep",
		strings.Repeat("a {", 40): "/etc/named.conf:1: blocks nested too deeply",
	} {
		_, err := load(t, map[string]string{"etc/named.conf": in})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

func TestDecide(t *testing.T) {
	acls := ACLs{"lan": parse(t, "10.1/16; !10.1.2/24;"), "loop": parse(t, "loop;")}
	for _, c := range []struct {
		list, client string
		want         Verdict
	}{
		{"any;", "192.0.2.1/32", Allow}, {"none;", "192.0.2.1/32", NoMatch}, {"", "192.0.2.1/32", NoMatch},
		{"10/8;", "10.1.2.3/32", Allow}, {"10/8;", "11.1.2.3/32", NoMatch}, {"!10/8; any;", "10.0.0.0/8", Deny},
		{"!10.1/16; 10/8;", "10.0.0.0/8", Allow}, {"!10.1/16; 10/8;", "10.1.0.0/16", Deny}, {"10/8; !10.1/16;", "10.1.0.0/16", Allow},
		{"lan;", "10.1.2.3/32", Allow}, {"!lan; any;", "10.1.9.9/32", Deny}, {"!lan; any;", "10.2.0.1/32", Allow},
		{"!{ !10.1/16; any; }; any;", "10.1.0.1/32", Allow}, // a negative match inside is none
		{"loop;", "10.0.0.1/32", NoMatch}, {"2001:db8::/32;", "2001:db8:1::/48", Allow}, {"2001:db8::/32;", "0.0.0.0/0", NoMatch},
		{"::/0;", "10.0.0.1/32", NoMatch}, {"key k; 10.0.0.1;", "10.0.0.1/32", Allow},
	} {
		if got := Decide(acls.Resolve(parse(t, c.list)), netip.MustParsePrefix(c.client)); got != c.want {
			t.Errorf("{ %s } for %s: %v, want %v", c.list, c.client, got, c.want)
		}
	}
	keys, words := Inexpressible(acls.Resolve(parse(t, "key k; localnets; { key l; }; 10/8; any;")))
	if len(keys) != 2 || len(words) != 1 || words[0] != "localnets" {
		t.Errorf("keys %q, words %q", keys, words)
	}
}

func parse(t testing.TB, s string) []*Statement {
	t.Helper()
	p := parser{l: &Loader{}, text: []byte(s), line: 1}
	list, err := p.list(0)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("options { a \"b\"; ! c; /* x */ d { 1/8; }; }; # e"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p := parser{l: &Loader{Directory: "/nonexistent"}, text: in, line: 1}
		list, err := p.list(0)
		if err != nil {
			return
		}
		for _, s := range list {
			_ = s.String()
			Decide(ACLs{"a": list}.Resolve(s.Block()), netip.MustParsePrefix("10.0.0.1/32"))
		}
	})
}
