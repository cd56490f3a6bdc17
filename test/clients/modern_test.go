package clients_test

import (
	"encoding/xml"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dnssec"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/testbin"
)

// sortCases are inputs for dnstracesort. Debian's sorts by other keys, so the
// order of lines counts only where ours is written down.
func sortCases() (cases []test) {
	const lines = "0:.:.:start:NS:.:.\n0:.:.:start:A:.:127.0.1.1\n" +
		"1:www.test:.:127.0.1.1:tx\n1:www.test:.:127.0.1.1:NS:test:a.ns.test\n1:www.test:.:127.0.1.1:A:a.ns.test:127.0.1.2\n" +
		"1:www.test:.:127.0.1.1:see:test\n1:www.test:test:127.0.1.2:answer:www.test 5 A 192.0.2.1\n" +
		"1:www.test:test:127.0.1.2:answer:www.test 5 A 192.0.2.1\n1:www.test:test:127.0.1.3:answer:www.test 5 A 192.0.2.1\n" +
		"1:www.test:test:127.0.1.3:ALERT:took more than 1 second\n1:www.test:test:127.0.1.3:ALERT:query failed; timed out\n"
	for _, in := range []string{"", lines, lines + lines, "1:x.test:test:127.0.1.3:NXDOMAIN\n", "28:x.test:test:127.0.1.3:NODATA\n",
		"1:x.test:test:1.2.3.4:CNAME:y.test\n", "1:x.test:test:1.2.3.4:ALERT:lame server; refers to .", "15:x.test:x.test:255.255.255.255:answer:other 5 MX 1 a\n",
		"1:x.test:test:1.2.3.4:tx\n", "5:x:.:1.2.3.4:see:x\n"} {
		cases = append(cases, test{command: "dnstracesort", in: in, any: true})
	}
	bold := ""
	for _, c := range "ALERT:" {
		bold += string(c) + "\b" + string(c)
	}
	under := "www._\bt_\be_\bs_\bt"
	return append(cases,
		test{command: "dnstracesort", in: lines, rule: "tracesort-keys", ours: result{out: "\n" +
			"1 " + under + " 127.0.1.3        " + bold + " query failed; timed out\n" +
			"1 " + under + " 127.0.1.3        " + bold + " took more than 1 second\n" +
			"1 " + under + " 127.0.1.2        5 A 192.0.2.1\n" +
			"1 " + under + " 127.0.1.3        5 A 192.0.2.1\n" +
			"1 www.test 127.0.1.1        see test\n\n" +
			"glue . start            A 127.0.1.1\nglue . start            NS .\n\n" +
			"glue a.ns.test 127.0.1.1        A 127.0.1.2\n\nglue test 127.0.1.1        NS a.ns.test\n"}},
		test{command: "dnstracesort", in: "16:x:.:1.2.3.4:answer:x 5 16 \\003a:b\n", rule: "tracesort-colons",
			ours: result{out: "\n16 x 1.2.3.4          5 16 \\003a:b\n"}})
}

// newCases are what 1.05 could not do.
func newCases() (cases []test) {
	differ := func(rule, env, command string, ours result) {
		cases = append(cases, test{env: env, command: command, rule: rule, ours: ours})
	}
	differ("ipv6", "", "dnsip ::1", result{out: "::1 \n"})
	differ("ipv6", "", "dnsname 2001:db8::1", result{out: "www.test\n"})
	differ("ipv6", "", "dnsq a www.test ::1", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, weird rd, weird ra, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.1\n"})
	differ("ipv6", "", "dnsq a www.test [::1]:5353", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, weird rd, weird ra, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.1\n"})
	differ("ipv6", "", "dnsq a www.test ::1@5353", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, weird rd, weird ra, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.1\n"})
	differ("ipv6", "", "dnsq a www.test ::1@1", result{out: "1 www.test:\nconnection refused\n"})
	differ("ipv6", cache("::1@5353"), "dnsip only6.test", result{out: "192.0.2.6 \n"})
	differ("ipv6", cache("::1"), "dnsqr a only6.test", result{out: "1 only6.test:\n44 bytes, 1+1+0+0 records, response, noerror\nquery: 1 only6.test\nanswer: only6.test 5 A 192.0.2.6\n"})
	differ("ipv6", "", "dnsq a www.test 127.0.0.2@53", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, weird rd, weird ra, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.1\n"})
	cases = append(cases, test{command: "dnsfilter", in: "2001:db8::1 x\n::2 y\na:b z\n", rule: "ipv6", ours: result{out: "2001:db8::1=www.test x\n::2 y\na:b z\n"}})
	differ("flags", "", "dnsq -e txt www.test 127.0.0.14", result{out: "16 www.test:\n71 bytes, 1+1+0+1 records, response, authoritative, noerror\nquery: 16 www.test\nanswer: www.test 5 TXT \"udp\"\nadditional: . 0 OPT version 0 size 1232 ede 18 \"no way\" option 65001 01ff\n"})
	differ("flags", "", "dnsq -n txt www.test 127.0.0.14", result{out: "16 www.test:\n83 bytes, 1+1+0+1 records, response, authoritative, noerror\nquery: 16 www.test\nanswer: www.test 5 TXT \"udp\"\nadditional: . 0 OPT version 0 size 1232 nsid \"gate <1>\" ede 18 \"no way\" option 65001 01ff\n"})
	differ("flags", "", "dnsq -k txt www.test 127.0.0.14", result{out: "16 www.test:\n91 bytes, 1+1+0+1 records, response, authoritative, noerror\nquery: 16 www.test\nanswer: www.test 5 TXT \"udp\"\nadditional: . 0 OPT version 0 size 1232 cookie 62756c6b686561647365727665727074 ede 18 \"no way\" option 65001 01ff\n"})
	differ("flags", "", "dnsq -t txt www.test 127.0.0.14", result{out: "16 www.test:\n51 bytes, 1+1+0+0 records, response, authoritative, noerror\nquery: 16 www.test\nanswer: www.test 5 TXT \"no EDNS here\"\n"})
	differ("flags", "", "dnsq -etnkCd txt www.test 127.0.0.14", result{out: "16 www.test:\n103 bytes, 1+1+0+1 records, response, authoritative, noerror, checking disabled\nquery: 16 www.test\nanswer: www.test 5 TXT \"tcp\"\nadditional: . 32768 OPT version 0 size 1232 do nsid \"gate <1>\" cookie 62756c6b686561647365727665727074 ede 18 \"no way\" option 65001 01ff\n"})
	differ("flags", "", "dnsq -d a www.test 127.0.0.4", result{out: "1 www.test:\n26 bytes, 1+0+0+0 records, response, SERVFAIL\nquery: 1 www.test\n"})
	differ("flags", "", "dnsq -t a www.test 127.0.0.8", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, weird ra, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.66\n"})
	differ("flags", "", "dnsq -e a www.test 127.0.0.13", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, weird rd, weird ra, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.1\n"})
	differ("flags", "", "dnsqr -d a www.test", result{out: "1 www.test:\n42 bytes, 1+1+0+0 records, response, noerror\nquery: 1 www.test\nanswer: www.test 5 A 192.0.2.1\ndnssec: not validated: the zone is not signed, or the cache does not check\n"})
	differ("flags", "", "dnsqr -e caa new.test", result{out: "257 new.test:\n52 bytes, 1+1+0+0 records, response, noerror\nquery: 257 new.test\nanswer: new.test 5 CAA 0 issue \"ca.test\"\n"})
	differ("flags", "", "dnstrace -6 a x.six.test fd00::1", result{out: "0:.:.:start:NS:.:.\n0:.:.:start:AAAA:.:fd000000000000000000000000000001\n1:x.six.test:.:fd000000000000000000000000000001:tx\n1:x.six.test:.:fd000000000000000000000000000001:NS:six.test:ns.six.test\n1:x.six.test:.:fd000000000000000000000000000001:AAAA:ns.six.test:fd000000000000000000000000000009\n1:x.six.test:.:fd000000000000000000000000000001:see:six.test\n1:ns.six.test:.:fd000000000000000000000000000001:tx\n1:ns.six.test:.:fd000000000000000000000000000001:NS:six.test:ns.six.test\n1:ns.six.test:.:fd000000000000000000000000000001:AAAA:ns.six.test:fd000000000000000000000000000009\n1:ns.six.test:.:fd000000000000000000000000000001:see:six.test\n28:ns.six.test:.:fd000000000000000000000000000001:tx\n28:ns.six.test:.:fd000000000000000000000000000001:NS:six.test:ns.six.test\n28:ns.six.test:.:fd000000000000000000000000000001:AAAA:ns.six.test:fd000000000000000000000000000009\n28:ns.six.test:.:fd000000000000000000000000000001:see:six.test\n1:x.six.test:six.test:fd000000000000000000000000000009:tx\n1:x.six.test:six.test:fd000000000000000000000000000009:A:x.six.test:192.0.2.9\n1:x.six.test:six.test:fd000000000000000000000000000009:answer:x.six.test 5 A 192.0.2.9\n1:ns.six.test:six.test:fd000000000000000000000000000009:tx\n1:ns.six.test:six.test:fd000000000000000000000000000009:NODATA\n28:ns.six.test:six.test:fd000000000000000000000000000009:tx\n28:ns.six.test:six.test:fd000000000000000000000000000009:AAAA:ns.six.test:fd000000000000000000000000000009\n28:ns.six.test:six.test:fd000000000000000000000000000009:answer:ns.six.test 5 28 \\375\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\011\n"})
	differ("flags", "", "dnstrace -6 -p 5353 a www.test ::1", result{out: "0:.:.:start:NS:.:.\n0:.:.:start:AAAA:.:00000000000000000000000000000001\n1:www.test:.:00000000000000000000000000000001:tx\n1:www.test:.:00000000000000000000000000000001:A:www.test:192.0.2.1\n1:www.test:.:00000000000000000000000000000001:answer:www.test 5 A 192.0.2.1\n"})
	differ("newer-types", "", "dnsqr 257 new.test", result{out: "257 new.test:\n52 bytes, 1+1+0+0 records, response, noerror\nquery: 257 new.test\nanswer: new.test 5 CAA 0 issue \"ca.test\"\n"})
	differ("newer-types", "", "dnsqr type257 new.test", result{out: "257 new.test:\n52 bytes, 1+1+0+0 records, response, noerror\nquery: 257 new.test\nanswer: new.test 5 CAA 0 issue \"ca.test\"\n"})
	differ("newer-types", "", "dnsqr 65280 new.test", result{out: "65280 new.test:\n41 bytes, 1+1+0+0 records, response, noerror\nquery: 65280 new.test\nanswer: new.test 5 TYPE65280 \\# 3 615C00\n"})
	return cases
}

// well checks that a picture is well-formed and gives its texts.
func well(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var text strings.Builder
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if err == io.EOF {
			return text.String()
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch x := token.(type) {
		case xml.CharData:
			text.Write(x)
		case xml.StartElement:
			for _, a := range x.Attr {
				if a.Name.Local == "fill" {
					text.WriteString("[" + a.Value + "]")
				}
			}
		}
	}
}

// The colours of internal/trace: a person must see which server is bad.
const good, slow, bad = "[#1a7f37]", "[#b26a00]", "[#c62828]"

func TestPicture(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	bin := testbin.Dir(t, programs...)
	for _, c := range []struct{ name, want string }{
		{"x.lame.test", bad + "127.0.1.4 ns.lame.test LAME"},
		{"x.slow.test", slow + "127.0.1.5 ns.slow.test "},
		{"fine.bad.test", good + "127.0.1.7 ns.bad.test "},
		{"cut.bad.test", bad + "127.0.1.7 ns.bad.test answer malformed"},
	} {
		file := filepath.Join(t.TempDir(), "picture.svg")
		plain := run(t, bin, environment(t, "", ""), "dnstrace a "+c.name+" 127.0.1.1", "")
		drawn := run(t, bin, environment(t, "", ""), "dnstrace -s "+file+" a "+c.name+" 127.0.1.1", "")
		if plain != drawn {
			t.Errorf("%s: a picture changes the output:\n%v\n%v", c.name, plain, drawn)
		}
		if text := well(t, file); !strings.Contains(text, c.want) || !strings.Contains(text, good+"127.0.1.1 ") {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, text)
		}
	}
	if r := run(t, bin, environment(t, "", ""), "dnstrace -s /nonexistent/x a www.test 127.0.1.1", ""); r.code != 111 || r.out != "" ||
		r.err != "dnstrace: fatal: unable to create /nonexistent/x: file does not exist\n" {
		t.Error(r)
	}
}

// TestChain traces through a signed tree: a chain that holds, one that an
// expired signature breaks, an island, and a zone without signatures.
func TestChain(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	bin := testbin.Dir(t, programs...)
	now := uint32(time.Now().Unix())
	signed := signedtree.Options{Algorithm: dnssec.ED25519}
	past := signedtree.Options{Algorithm: dnssec.ED25519, Inception: now - 8*86400, Expiration: now - 7*86400}
	island := signedtree.Options{Algorithm: dnssec.ED25519, NoDS: true}
	tree := signedtree.New(now)
	tree.Add("deep.secure.", signed, "www A 192.0.2.2")
	tree.Add("secure.", signed, "www A 192.0.2.1", "deep NS x")
	tree.Add("past.", past, "www A 192.0.2.1")
	tree.Add("island.", island, "www A 192.0.2.1")
	tree.Add("plain.", signedtree.Options{}, "www A 192.0.2.1")
	root := tree.Add(".", signed, "secure NS x", "past NS x", "island NS x", "plain NS x")
	for _, z := range tree.Zones {
		f := func(q *query, send func([]byte)) {
			a := z.Ask(q.wire, q.typ)
			send(a.Wire(q.id, q.wire, q.typ))
		}
		for _, ip := range []string{z.Addr.String(), z.Second().String()} {
			if err := listen(net.JoinHostPort(ip, "53"), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		chains []string
		colour string
	}{
		{"www.deep.secure", []string{"0:.:.:chain:signed; its keys are taken as they are", "0:secure:.:chain:secure", "0:deep.secure:secure:chain:secure"}, good},
		{"www.past", []string{"0:past:.:chain:BROKEN: "}, bad},
		{"www.island", []string{"0:island:.:chain:signed, but its parent has no DS: an island"}, ""},
		{"www.plain", []string{"0:plain:.:chain:not signed"}, ""},
	} {
		file := filepath.Join(t.TempDir(), "picture.svg")
		r := run(t, bin, environment(t, "", ""), "dnstrace -d -s "+file+" a "+c.name+" "+root.Addr.String(), "")
		if r.code != 0 || r.err != "" {
			t.Errorf("%s: %v", c.name, r)
		}
		text := well(t, file)
		for _, want := range c.chains {
			if !strings.Contains(r.out, "\n"+want) {
				t.Errorf("%s: no line %q in\n%s", c.name, want, r.out)
			}
			if _, words, _ := strings.Cut(want, ":chain:"); !strings.Contains(text, "DNSSEC: "+words) {
				t.Errorf("%s: no %q in the picture\n%s", c.name, words, text)
			}
		}
		if _, words, _ := strings.Cut(c.chains[len(c.chains)-1], ":chain:"); c.colour != "" && !strings.Contains(text, c.colour+"DNSSEC: "+words) {
			t.Errorf("%s: not %s\n%s", c.name, c.colour, text)
		}
	}

	// what the packets say, asked for with dnsq
	secure := tree.Zones[signedtree.Name("secure.")]
	r := run(t, bin, environment(t, "", ""), "dnsq -d a www.secure "+secure.Addr.String(), "")
	if !strings.Contains(r.out, "\nsignature: www.secure A by secure, key ") || !strings.Contains(r.out, ", valid for 1") {
		t.Error(r)
	}
	gone := tree.Zones[signedtree.Name("past.")]
	if r = run(t, bin, environment(t, "", ""), "dnsq -d a www.past "+gone.Addr.String(), ""); !strings.Contains(r.out, ", EXPIRED 7 days ago\n") {
		t.Error(r)
	}
}

// The tools of the IPv6 patch show IPv4 addresses in mapped form.
func TestDnsip6(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	bin := testbin.Dir(t, programs...)
	for _, c := range []struct {
		env, command string
		want         result
	}{
		{"", "dnsip6", result{}},
		{"", "dnsip6 six.test", result{out: "2001:db8::6 \n"}},
		{"", "dnsip6 sub.test none.test", result{out: "::ffff:192.0.2.10 \n\n"}},
		{"", "dnsip6 1.2.3.4 ::1", result{out: "::ffff:1.2.3.4 \n::1 \n"}},
		{"local", "dnsip6q six second", result{out: "six.test 2001:db8::6 \nsecond.test ::ffff:192.0.2.12 \n"}},
		{"", "dnsip6 " + strings.Repeat("x", 64), result{err: "dnsip6: fatal: unable to find IP address for " + strings.Repeat("x", 64) + ": protocol error\n", code: 111}},
		{"", "dnsip6q six.test " + strings.Repeat("x", 64), result{err: "dnsip6q: fatal: unable to find IP address for " + strings.Repeat("x", 64) + ": protocol error\n", code: 111}},
		{cache("127.0.0.6"), "dnsip6 six.test", result{out: "2001:db8::6 \n"}},
	} {
		if got := run(t, bin, environment(t, c.env, ""), c.command, ""); got != c.want {
			t.Errorf("%s %s: %v", c.env, c.command, got)
		}
	}
}
