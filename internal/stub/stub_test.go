package stub

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// server answers on UDP and TCP of one port with what f makes of a query; nil
// is no answer.
func server(t *testing.T, f func(query []byte, tcp bool) []byte) netip.AddrPort {
	t.Helper()
	for range 50 {
		u, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := u.LocalAddr().(*net.UDPAddr).AddrPort()
		l, err := net.Listen("tcp", addr.String())
		if err != nil { // the number is taken for TCP: another
			u.Close()
			continue
		}
		t.Cleanup(func() { u.Close(); l.Close() })
		go func() {
			b := make([]byte, 65535)
			for {
				n, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				if a := f(b[:n], false); a != nil {
					u.WriteTo(a, from)
				}
			}
		}()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				b := make([]byte, 65537)
				if n, _ := c.Read(b); n > 2 {
					if a := f(b[2:n], true); a != nil {
						c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
					}
				}
				c.Close()
			}
		}()
		return addr
	}
	t.Fatal("no port")
	panic("unreachable")
}

// reply makes an answer to query with records of type t.
func reply(query []byte, bits uint16, t dns.Type, data ...string) []byte {
	c, err := wire.Parse(query)
	if err != nil {
		return nil
	}
	name, qt, class, _ := c.Question(nil)
	var b wire.Builder
	b.Reset(nil, 65535, c.Header.ID, wire.BitQR|wire.BitRD|bits)
	b.Question(name, qt, class)
	for _, d := range data {
		b.RR(wire.Answer, name, t, dns.ClassIN, 5, []byte(d))
	}
	return b.Finish()
}

var asked = dnsname.Name("\x01a\x04test\x00")

func ask(t *testing.T, q Question) ([]byte, error) {
	t.Helper()
	q.Name, q.Type, q.RD = asked, dns.TypeA, true
	return Exchange(&q)
}

func TestExchange(t *testing.T) {
	good := server(t, func(q []byte, tcp bool) []byte { return reply(q, 0, dns.TypeA, "abcd") })
	refuses := server(t, func(q []byte, tcp bool) []byte { return reply(q, 5, dns.TypeA) })
	for name, servers := range map[string][]netip.AddrPort{"one": {good}, "the second": {refuses, good}} {
		msg, err := ask(t, Question{Servers: servers})
		if err != nil || binary.BigEndian.Uint16(msg[6:]) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ask(t, Question{}); err != syscall.EIO {
		t.Errorf("no servers: %v", err)
	}
	if msg, err := ask(t, Question{Servers: []netip.AddrPort{server(t, func(q []byte, _ bool) []byte { return reply(q, 3, 0) })}}); err != nil || msg[3]&15 != 3 {
		t.Errorf("NXDOMAIN is an answer: %v", err)
	}
}

// Answers that are not to our question are waited out until the real one.
func TestForgeries(t *testing.T) {
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	go func() {
		b := make([]byte, 512)
		n, from, err := u.ReadFrom(b)
		if err != nil {
			return
		}
		right := reply(b[:n], 0, dns.TypeA, "abcd")
		change := func(at int, x byte) []byte {
			m := slices.Clone(right)
			m[at] ^= x
			return m
		}
		for _, m := range [][]byte{nil, right[:11], change(0, 1), change(2, 0x80), change(2, 0x08), change(5, 3), change(13, 1), change(20, 1), change(22, 2),
			append(slices.Clone(right), make([]byte, 600)...), right} {
			u.WriteTo(m, from)
		}
	}()
	msg, err := ask(t, Question{Servers: []netip.AddrPort{u.LocalAddr().(*net.UDPAddr).AddrPort()}})
	if err != nil || len(msg) != 40 {
		t.Errorf("%x, %v", msg, err)
	}
}

func TestTruncated(t *testing.T) {
	s := server(t, func(q []byte, tcp bool) []byte {
		if tcp {
			return reply(q, 0, dns.TypeA, "abcd", "efgh")
		}
		return reply(q, wire.BitTC, dns.TypeA)
	})
	if msg, err := ask(t, Question{Servers: []netip.AddrPort{s}}); err != nil || msg[7] != 2 {
		t.Errorf("%x, %v", msg, err)
	}
	again := server(t, func(q []byte, tcp bool) []byte { return reply(q, wire.BitTC, dns.TypeA) })
	if _, err := ask(t, Question{Servers: []netip.AddrPort{again}}); err != syscall.EIO {
		t.Errorf("truncated over TCP: %v", err)
	}
}

// A server that knows no EDNS is asked again without.
func TestEDNS(t *testing.T) {
	s := server(t, func(q []byte, tcp bool) []byte {
		if q[11] == 1 {
			return reply(q, 1, dns.TypeA)
		}
		return reply(q, 0, dns.TypeA, "abcd")
	})
	if msg, err := ask(t, Question{Servers: []netip.AddrPort{s}, EDNS: true}); err != nil || msg[7] != 1 {
		t.Errorf("%x, %v", msg, err)
	}
}

func TestLookups(t *testing.T) {
	s := server(t, func(q []byte, tcp bool) []byte {
		c, _ := wire.Parse(q)
		_, qt, _, _ := c.Question(nil)
		switch qt {
		case dns.TypeA:
			return reply(q, 0, dns.TypeA, "\x01\x02\x03\x04", "odd")
		case dns.TypeAAAA:
			return reply(q, 0, dns.TypeAAAA, "0123456789abcdef")
		case dns.TypePTR:
			return reply(q, 0, dns.TypePTR, "\x04Name\x00", "\x01x\x00")
		case dns.TypeTXT:
			return reply(q, 0, dns.TypeTXT, "\x02ab\x01c", "\x01d")
		case dns.TypeMX:
			return reply(q, 0, dns.TypeMX, "\x00\x0a\x01m\x00")
		}
		return nil
	})
	t.Setenv("DNSCACHEIP", strings.Replace(s.String(), ":", "@", 1))
	var r Resolver
	if a, err := r.Addresses("host.test", IPv4|IPv6); err != nil || len(a) != 2 {
		t.Error(a, err)
	}
	if n, found, err := r.Name(netip.MustParseAddr("1.2.3.4")); n != "name" || !found || err != nil {
		t.Error(n, found, err)
	}
	if x, found, err := r.Text(asked); string(x) != "abcd" || !found || err != nil {
		t.Error(x, found, err)
	}
	if m, err := r.MX(asked); len(m) != 1 || m[0].Preference != 10 || m[0].Exchanger != "\x01m\x00" || err != nil {
		t.Error(m, err)
	}
	if _, err := r.Addresses(strings.Repeat("x", 64), IPv4); !errors.Is(err, syscall.EPROTO) {
		t.Error(err)
	}
}

func TestServers(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(conf, []byte("# x\nnameserver 192.0.2.1\n nameserver 192.0.2.2\nnameserver\t0.0.0.0\nnameserver ::1\nnameserverx\nnameserver junk\n"), 0o644)
	for _, c := range []struct{ env, file, want string }{
		{"1.2.3.4", conf, "1.2.3.4:53"}, {"1.2.3.4.5.6.7.8", conf, "1.2.3.4:53 5.6.7.8:53"},
		{"", conf, "192.0.2.1:53 127.0.0.1:53 [::1]:53"}, {"junk", conf, "192.0.2.1:53 127.0.0.1:53 [::1]:53"},
		{"", "/nonexistent", "127.0.0.1:53"}, {"::1", conf, "[::1]:53"}, {"1.2.3.4@5353,::", conf, "1.2.3.4:5353 [::1]:53"},
		{strings.Repeat("1.2.3.4.", 20), conf, strings.TrimSpace(strings.Repeat("1.2.3.4:53 ", 16))},
	} {
		t.Setenv("DNSCACHEIP", c.env)
		r := Resolver{ResolvConf: c.file}
		s, err := r.Servers()
		var got []string
		for _, a := range s {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q: %v, %v; want %s", c.env, got, err, c.want)
		}
	}
}

func TestRewriting(t *testing.T) {
	rules := []string{"# comment", "=whole:other.name", "-.any.old:new.name", "?:.example", "*.Short:.long.example", "*.:", ":", ""}
	for in, want := range map[string]string{
		"whole": "other.name", "WHOLE": "other.name", "x.any.old": "new.name", "host": "host.example", "a.b": "a.b",
		"x.short": "x.long.example", "x.SHORT": "x.long.example", "host.": "host", "[1.2.3.4]": "[1.2.3.4]", "": ".example",
	} {
		if got := Rewrite(rules, in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Alternatives("host+.a.test+.b.test"); !slices.Equal(got, []string{"host.a.test", "host.b.test"}) {
		t.Error(got)
	}
	if got := Alternatives("host"); !slices.Equal(got, []string{"host"}) {
		t.Error(got)
	}
	t.Setenv("DNSREWRITEFILE", "/nonexistent")
	t.Setenv("LOCALDOMAIN", "a.test  b.test")
	var r Resolver
	if got, _ := r.Rules(); !slices.Equal(got, []string{"?:+.a.test+.b.test", "*.:"}) {
		t.Error(got)
	}
}

func TestNumeric(t *testing.T) {
	for in, want := range map[string]string{"127...1": "127.0.0.1", "1.2.3": "", "": "", "[1.2.3.4]": "1.2.3.4", "1.2.3.4.5.6.7.8": "1.2.3.4 5.6.7.8", "300.1.1.1": "44.1.1.1"} {
		a, ok := numeric(in)
		var got []string
		for _, x := range a {
			got = append(got, x.String())
		}
		if !ok || strings.Join(got, " ") != want {
			t.Errorf("%q: %v %v", in, got, ok)
		}
	}
	if _, ok := numeric("1.2.3.4x"); ok {
		t.Error("a name is no number")
	}
}

func TestReverseName(t *testing.T) {
	if n := ReverseName(netip.MustParseAddr("192.0.2.10")).Text(); n != "10.2.0.192.in-addr.arpa" {
		t.Error(n)
	}
	if n := ReverseName(netip.MustParseAddr("2001:db8::1")).Text(); n != "1."+strings.Repeat("0.", 23)+"8.b.d.0.1.0.0.2.ip6.arpa" {
		t.Error(n)
	}
}

func FuzzRelevant(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"), []byte("\x00\x01\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, q, a []byte) {
		if Relevant(q, a) && (len(a) < 12 || a[2]&0x80 == 0 || a[0] != q[0] || a[1] != q[1]) {
			t.Fatal("a forgery passes")
		}
		EachAnswer(a, dns.TypeMX, func([]byte, *wire.RR) error { return nil })
	})
}

// 0.0.0.0 is an empty place among the servers.
func TestEmptyPlace(t *testing.T) {
	s := server(t, func(q []byte, tcp bool) []byte { return reply(q, 0, dns.TypeA, "abcd") })
	nobody := netip.MustParseAddrPort("0.0.0.0:53")
	if _, err := ask(t, Question{Servers: []netip.AddrPort{nobody, nobody}}); err != syscall.EIO {
		t.Errorf("only empty places: %v", err)
	}
	if _, err := ask(t, Question{Servers: []netip.AddrPort{nobody, s}}); err != nil {
		t.Error(err)
	}
}

// A stream that ends early, or carries another answer, is an input/output error.
func TestCutOff(t *testing.T) {
	for what, answer := range map[string][]byte{"no header": {1}, "nothing": {}, "another": []byte("\x00\x00\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")} {
		s := server(t, func([]byte, bool) []byte { return answer })
		if _, err := ask(t, Question{Servers: []netip.AddrPort{s}, TCP: true}); err != syscall.EIO {
			t.Errorf("%s: %v", what, err)
		}
	}
	closing := server(t, func([]byte, bool) []byte { return nil })
	if _, err := ask(t, Question{Servers: []netip.AddrPort{closing}, TCP: true}); err != syscall.EIO {
		t.Errorf("closed: %v", err)
	}
}
