package tool

import (
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/stub"
	"bulkhead/internal/wire"
)

func TestParseQuery(t *testing.T) {
	const nsid, cookie = "\x00\x03\x00\x00", "\x00\x0a\x00\x08bulkhead"
	for _, c := range []struct {
		args string
		want Query
		rest string
	}{
		{"a www.x", Query{Question: stub.Question{Type: dns.TypeA}}, ""},
		{"any www.x server more", Query{Question: stub.Question{Type: dns.TypeANY}}, "server more"},
		{"257 www.x -e", Query{Question: stub.Question{Type: dns.TypeCAA}}, "-e"}, // options come first
		{"-e caa www.x s", Query{Question: stub.Question{Type: dns.TypeCAA, EDNS: true}, full: true}, "s"},
		{"-d a www.x", Query{Question: stub.Question{Type: dns.TypeA, EDNS: true, DO: true, Errors: true}, full: true, dnssec: true}, ""},
		{"-C a www.x", Query{Question: stub.Question{Type: dns.TypeA, CD: true}, full: true}, ""},
		{"-t a www.x", Query{Question: stub.Question{Type: dns.TypeA, TCP: true}, full: true}, ""},
		{"-n a www.x", Query{Question: stub.Question{Type: dns.TypeA, EDNS: true, Options: []byte(nsid)}, full: true}, ""},
		{"-k a www.x", Query{Question: stub.Question{Type: dns.TypeA, EDNS: true, Options: []byte(cookie)}, full: true}, ""},
		{"-nk -- a www.x", Query{Question: stub.Question{Type: dns.TypeA, EDNS: true, Options: []byte(nsid + cookie)}, full: true}, ""},
	} {
		q, rest, ok, err := ParseQuery(strings.Fields(c.args))
		c.want.Name = "\x03www\x01x\x00"
		if !ok || err != nil || strings.Join(rest, " ") != c.rest || !equal(q, c.want) {
			t.Errorf("%s: %+v, %q, %v, %v", c.args, q, rest, ok, err)
		}
	}
	for _, args := range []string{"", "a", "caa www.x", "bogus www.x", "-e bogus www.x", "-e a", "-e", "- a www.x"} {
		if q, _, ok, err := ParseQuery(strings.Fields(args)); ok || err != nil {
			t.Errorf("%q is no usage error: %+v, %v", args, q, err)
		}
	}
	for _, name := range []string{strings.Repeat("x", 64), strings.Repeat(strings.Repeat("x", 63)+".", 4)} {
		if _, _, ok, err := ParseQuery([]string{"a", name}); !ok || err == nil || err.Error() != "fatal: unable to parse: protocol error" {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

func equal(a, b Query) bool {
	options := string(a.Options) == string(b.Options)
	return options && a.Name == b.Name && a.Type == b.Type && a.RD == b.RD && a.EDNS == b.EDNS && a.DO == b.DO && a.CD == b.CD &&
		a.TCP == b.TCP && a.Errors == b.Errors && a.full == b.full && a.dnssec == b.dnssec
}

func TestServers(t *testing.T) {
	t.Setenv("LOCALDOMAIN", "")
	r := &stub.Resolver{Rewrite: filepath.Join(t.TempDir(), "none")}
	for _, c := range []struct{ arg, want string }{
		{"192.0.2.1", "192.0.2.1:53"},
		{"127...1", "127.0.0.1:53"},
		{"192.0.2.1.192.0.2.2", "192.0.2.1:53 192.0.2.2:53"},
		{"192.0.2.1@5353", "192.0.2.1:5353"},
		{"192.0.2.1.192.0.2.2@5353", "192.0.2.1:5353 192.0.2.2:5353"},
		{"2001:db8::1", "[2001:db8::1]:53"},
		{"[2001:db8::1]", "[2001:db8::1]:53"},
		{"[2001:db8::1]:5353", "[2001:db8::1]:5353"},
		{"2001:db8::1@5353", "[2001:db8::1]:5353"},
		{"[2001:db8::1]@5353", "[2001:db8::1]:5353"},
		{"fe80::1%lo", "[fe80::1%lo]:53"},
		{"::ffff:192.0.2.1", "192.0.2.1:53"},
		{"", ""}, {"1.2.3", ""}, {"[]", ""},
	} {
		got, err := Servers(r, c.arg)
		var text []string
		for _, s := range got {
			text = append(text, netip.AddrPortFrom(s.Addr().Unmap(), s.Port()).String())
		}
		if err != nil || strings.Join(text, " ") != c.want {
			t.Errorf("%q: %q, %v, not %q", c.arg, text, err, c.want)
		}
	}
	// what is no port is part of a name, and no name has such a label
	for _, arg := range []string{strings.Repeat("x", 64) + "@53", strings.Repeat("x", 64)} {
		if got, err := Servers(r, arg); err == nil {
			t.Errorf("%q: %v", arg, got)
		}
	}
}

// rrsig is record data with the given times; the signature itself is not looked at.
func rrsig(inception, expiration uint32) []byte {
	d := []byte{0, 1, 13, 2, 0, 0, 0, 5}
	d = binary.BigEndian.AppendUint32(d, expiration)
	d = binary.BigEndian.AppendUint32(d, inception)
	d = append(d, 0x30, 0x39)
	return append(d, "\x01x\x00signature"...)
}

func TestDNSSECState(t *testing.T) {
	const now = 1_800_000_000
	const day = 86400
	name := dnsname.Name("\x03www\x01x\x00")
	msg := func(bits uint16, sigs ...[]byte) []byte {
		var b wire.Builder
		b.Reset(nil, dns.MaxMessage, 1, wire.BitQR|bits)
		b.Question([]byte(name), dns.TypeA, dns.ClassIN)
		b.RR(wire.Answer, []byte(name), dns.TypeA, dns.ClassIN, 5, []byte{192, 0, 2, 1})
		for _, s := range sigs {
			b.RR(wire.Authority, []byte(name), dns.TypeRRSIG, dns.ClassIN, 5, s)
		}
		return b.Finish()
	}
	const sig = "signature: www.x A by x, key 12345, "
	for _, c := range []struct {
		msg   []byte
		cache bool
		want  string
	}{
		{msg(0), false, ""},
		{msg(wire.BitAD), true, "dnssec: the cache has validated this answer\n"},
		{msg(2), true, "dnssec: no answer; with -C as well, the cache shows what it refuses\n"},
		{msg(0), true, "dnssec: not validated: the zone is not signed, or the cache does not check\n"},
		{msg(wire.BitAD), false, ""}, // a server's word is worth nothing
		{msg(0, rrsig(now-day, now+14*day)), false, sig + "valid for 14 days\n"},
		{msg(0, rrsig(now-day, now+3600)), false, sig + "valid for 1 hours\n"},
		{msg(0, rrsig(now-day, now)), false, sig + "valid for 0 hours\n"},
		{msg(0, rrsig(now-9*day, now-1)), false, sig + "EXPIRED 0 hours ago\n"},
		{msg(0, rrsig(now-9*day, now-5*day)), false, sig + "EXPIRED 5 days ago\n"},
		{msg(0, rrsig(now+7200, now+day)), false, sig + "NOT YET VALID for 2 hours\n"},
		{msg(0, rrsig(now, now+day), rrsig(now-9*day, now-3*day)), false, sig + "valid for 24 hours\n" + sig + "EXPIRED 3 days ago\n"},
		{msg(0, []byte("too short")), false, ""},
		{msg(0, append(rrsig(now, now+day)[:18], 0xc0, 0xff)), false, ""}, // a signer that points nowhere
		{msg(wire.BitAD)[:20], true, "dnssec: the cache has validated this answer\n"},
	} {
		if got := dnssecState(c.msg, c.cache, time.Unix(now, 0)); got != c.want {
			t.Errorf("%x, %v:\n%q, not\n%q", c.msg, c.cache, got, c.want)
		}
	}
	// times are serial numbers: they pass 2^32 in 2106 (RFC 4034, section 3.1.5)
	if got := period(0xffffff00, 2*day, 5); got != "valid for 47 hours" {
		t.Error(got)
	}
	if got := period(0xfff00000, 0xffffff00, 5*day); got != "EXPIRED 5 days ago" {
		t.Error(got)
	}
}

func TestMapped(t *testing.T) {
	got := Mapped([]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::1")})
	if got[0].String() != "::ffff:192.0.2.1" || got[1].String() != "::1" {
		t.Error(got)
	}
}
