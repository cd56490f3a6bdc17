package rpz

import (
	"net/netip"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

func nm(s string) dnsname.Name {
	n, err := dnsname.ParseMaster(s, dnsname.Root)
	if err != nil {
		panic(err)
	}
	return n
}

const text = `$ORIGIN example.com.
rpz 3600 IN SOA ns1.rpz.example.com. hostmaster.rpz.example.com. ( 1 2 3 4 5 )
 3600 IN NS ns1.rpz.example.com.
$ORIGIN rpz.example.com.
bad.org CNAME .
*.bad.org CNAME .
none.org CNAME *.
none.org CNAME . ; the second one does not count
ok.bad.org CNAME rpz-passthru.
self.bad.org CNAME self.bad.org.
drop.org CNAME rpz-drop.
tcp.org CNAME rpz-tcp-only.
local.org A 192.0.2.1
local.org A 192.0.2.2
local.org TXT "t"
walled.org CNAME garden.example.net.
*.star.org CNAME *.garden.example.net.
24.0.2.0.192.rpz-client-ip CNAME rpz-drop.
32.5.2.0.192.rpz-ip CNAME .
8.0.0.0.10.rpz-ip CNAME *.
16.0.0.1.10.rpz-ip CNAME rpz-passthru.
128.1.zz.db8.2001.rpz-ip CNAME .
32.zz.db8.2001.rpz-ip CNAME *.
0.0.0.0.0.rpz-nsip CNAME .
ns.bad.net.rpz-nsdname CNAME .
*.worse.net.rpz-nsdname CNAME *.
`

func TestRules(t *testing.T) {
	z, err := Parse([]byte(text), "test", nm("rpz.example.com."))
	if err != nil {
		t.Fatal(err)
	}
	if z.SOA == nil || z.Rules != 19 {
		t.Errorf("%d rules", z.Rules)
	}
	for name, want := range map[string]Action{
		"bad.org.": NXDomain, "a.bad.org.": NXDomain, "a.b.bad.org.": NXDomain, "ok.bad.org.": PassThru, "self.bad.org.": PassThru,
		"none.org.": NoData, "x.none.org.": None, "drop.org.": Drop, "tcp.org.": TCPOnly, "local.org.": Data, "walled.org.": Data,
		"x.star.org.": Data, "star.org.": None, "org.": None, ".": None, "notbad.org.": None,
	} {
		got := None
		if r := z.QName(nm(name)); r != nil {
			got = r.Action
		}
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if r := z.QName(nm("local.org.")); len(r.Records) != 3 || r.Records[2].Type != dns.TypeTXT {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		t    Trigger
		addr string
		want Action
	}{
		{ClientIP, "192.0.2.77", Drop}, {ClientIP, "192.0.3.1", None}, {IP, "192.0.2.5", NXDomain}, {IP, "192.0.2.6", None},
		{IP, "10.2.3.4", NoData}, {IP, "10.1.9.9", PassThru}, {IP, "2001:db8::1", NXDomain}, {IP, "2001:db8::2", NoData},
		{IP, "2001:db9::", None}, {NSIP, "8.8.8.8", NXDomain}, {NSIP, "::1", None}, {IP, "::ffff:10.1.9.9", PassThru},
	} {
		got := None
		if r := z.Addr(c.t, netip.MustParseAddr(c.addr)); r != nil {
			got = r.Action
		}
		if got != c.want {
			t.Errorf("%v %s: %v, want %v", c.t, c.addr, got, c.want)
		}
	}
	if r := z.Server(nm("ns.bad.net.")); r == nil || r.Action != NXDomain {
		t.Error("nsdname")
	}
	if r := z.Server(nm("a.worse.net.")); r == nil || r.Action != NoData {
		t.Error("nsdname wildcard")
	}
}

// RFC 4592: below a name with a rule of its own no wildcard above it counts.
func TestWildcardEndsAtRule(t *testing.T) {
	z, err := Parse([]byte("*.a CNAME .\nb.a CNAME *.\n*.c.b.a CNAME rpz-drop.\n"), "t", nm("rpz."))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Action{"x.a.": NXDomain, "x.y.a.": NXDomain, "b.a.": NoData, "x.b.a.": None, "x.c.b.a.": Drop, "a.": None} {
		got := None
		if r := z.QName(nm(name)); r != nil {
			got = r.Action
		}
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, bad := range []string{"x.org. CNAME .", "33.1.2.3.4.rpz-ip CNAME .", "24.1.2.3.4.rpz-ip CNAME .", "x.rpz-ip CNAME .",
		"8.zz.zz.rpz-ip CNAME .", "a CNAME", "32.1.2.3.rpz-ip CNAME ."} {
		if _, err := Parse([]byte(bad+"\n"), "test", nm("rpz.")); err == nil {
			t.Errorf("%s accepted", bad)
		} else {
			t.Log(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte("128.1.zz.db8.2001.rpz-ip CNAME .\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := Parse(b, "f", nm("rpz.example.com."))
		if err != nil {
			return
		}
		z.QName(nm("a.b.c."))
		z.Server(nm("a.b.c."))
		z.Addr(IP, netip.MustParseAddr("192.0.2.1"))
		z.Addr(NSIP, netip.MustParseAddr("2001:db8::1"))
	})
}
