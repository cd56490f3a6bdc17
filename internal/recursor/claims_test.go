package recursor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
)

// claiming reads "corp.", a zone with one server, "corp. @1 @2", a zone with
// these, or "corp. 1 2", an anchor with keys of these tags.
func claiming(t *testing.T, lines ...string) claims {
	c := &resolver.Config{}
	var anchors []dnssec.Anchor
	for _, l := range lines {
		f := strings.Fields(l)
		name := dnsname.Name(wireName(t, f[0]))
		if len(f) == 1 {
			f = append(f, "@9")
		}
		if f[1][0] == '@' {
			z := resolver.Zone{Name: name}
			for _, x := range f[1:] {
				z.Servers = append(z.Servers, netip.MustParseAddrPort("192.0.2."+x[1:]+":53"))
			}
			c.Zones = append(c.Zones, z)
			continue
		}
		a := dnssec.Anchor{Name: name}
		for _, x := range f[1:] {
			var tag int
			fmt.Sscan(x, &tag)
			if strings.HasPrefix(x, "+") { // as a DNSKEY
				key := []byte{1, 1, 3, 13, 0, 0}
				for int(dnssec.KeyTag(key)) != tag {
					if key[5]++; key[5] == 0 {
						key[4]++
					}
				}
				a.Keys = append(a.Keys, key)
			} else {
				a.DS = append(a.DS, []byte{byte(tag >> 8), byte(tag), 13, 2})
			}
		}
		anchors = append(anchors, a)
	}
	out := claimsOf(c)
	out.anchors = keyIDs(anchors)
	return out
}

func TestClaims(t *testing.T) {
	for _, c := range []struct {
		old, new []string
		want     string // the names of the list below that are concerned
	}{
		{nil, nil, ""},
		{[]string{". @1 @2"}, []string{". @2 @3"}, ""}, // one root server after the other
		{[]string{". @1 @2"}, []string{". @3 @4"}, ". corp. a.corp. corpa. b. c."},
		{[]string{". @1", "corp. @2"}, []string{". @1", "corp. @3"}, "corp. a.corp."},
		{[]string{".", "corp."}, []string{"corp.", "."}, ""},
		{[]string{"."}, []string{".", "corp."}, "corp. a.corp."},
		{[]string{"corp.", "corp."}, nil, "corp. a.corp."}, // in servers/ and in forward/
		{[]string{"corp.", "a.corp."}, []string{"corp.", "b."}, "a.corp. b."},
		{[]string{"corp.", "b."}, []string{"a.corp.", "b."}, "corp. a.corp."},
		// anchors
		{[]string{". 20326 38696"}, []string{". 38696 20326"}, ""},
		{[]string{". 20326"}, []string{". 20326 38696"}, ""}, // the roll of 2024
		{[]string{". 20326 38696"}, []string{". 38696"}, ""}, // its end
		{[]string{". 1050"}, []string{". +1050"}, ""},        // DS met as a key
		{[]string{". 1050"}, []string{". 1051"}, ". corp. a.corp. corpa. b. c."},
		{[]string{". 1"}, []string{". 1", "corp. 2"}, "corp. a.corp."}, // an island
		{[]string{". 1", "corp. 2"}, []string{". 1"}, "corp. a.corp."},
		{[]string{"corp. 2", "b."}, []string{"corp. 3", "b."}, "corp. a.corp."},
		{nil, []string{"b. 1"}, "b."},
	} {
		old := claiming(t, c.old...)
		// what a dump has told is the same
		if again := parseClaims(old.append(nil)); fmt.Sprint(again) != fmt.Sprint(old) {
			t.Errorf("%q is %v, and %v when read again", c.old, old, again)
		}
		names, anchors := old.changed(claiming(t, c.new...))
		var got []string
		for _, n := range []string{".", "corp.", "a.corp.", "corpa.", "b.", "c."} {
			if w := wireName(t, n); names.has(w) || anchors.has(w) {
				got = append(got, n)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q to %q: %q, want %q", c.old, c.new, got, c.want)
		}
	}
	// the example of docs/format-cache-dump.md; claiming makes keys of algorithm 13
	want := "\x04corp\x00" + "\x00\x01" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x09\x00\x35" + "\x00\x02\x4f\x66\x0d\x97\x28\x0d"
	if got := claiming(t, ". 38696 20326", "corp.").append(nil); string(got) != want {
		t.Errorf("the label is %x, want %x", got, want)
	}
	// LOCALZONES is a claim, too
	off := claimsOf(&resolver.Config{})
	on := claimsOf(&resolver.Config{LocalZones: true})
	gone, _ := off.changed(on)
	back, _ := on.changed(parseClaims(off.append(nil)))
	same, _ := on.changed(parseClaims(on.append(nil)))
	for n, want := range map[string]bool{"x.home.arpa.": true, "a.localhost.": true, "1.10.in-addr.arpa.": true, "example.": false, "arpa.": false} {
		if w := wireName(t, n); gone.has(w) != want || back.has(w) != want || same.has(w) {
			t.Errorf("LOCALZONES on and off: %s: %v %v, and %v when nothing changes", n, gone.has(w), back.has(w), same.has(w))
		}
	}
	// a label is read as far as it goes
	b := claiming(t, "corp.", "b. 1 2").append(nil)
	for i := range b {
		for _, x := range []byte{0, 1, 64, 255} {
			bad := slices.Clone(b[:i])
			parseClaims(append(bad, x))
		}
	}
}

// TestMoved: nothing of a zone that has just come is kept, until what began
// before has ended.
func TestMoved(t *testing.T) {
	s := &Server{cache: cache.New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)}
	config := func(zones ...dnsname.Name) *resolver.Config {
		c := &resolver.Config{}
		for _, z := range append(zones, dnsname.Root) {
			c.Zones = append(c.Zones, resolver.Zone{Name: z, Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}})
		}
		return c
	}
	first := claimsOf(config())
	s.claims.Store(&first)
	now := wall()
	st := store{c: s.cache, moved: &s.moved, now: now}
	there := func(name string) bool {
		var e resolver.Entry
		return st.Get(&e, resolver.KindRRset, dns.TypeA, []byte(name))
	}
	kept := func(name string) bool {
		e := resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeA, TTL: 3600, Expires: int64(now) + 3600}
		st.Put([]byte(name), &e)
		return there(name)
	}
	const in, out = "\x01a\x04corp\x00", "\x01a\x04copr\x00"
	if !kept(in) || !kept(out) {
		t.Fatal("nothing is kept")
	}
	s.claim(config("\x04corp\x00"))()
	if there(in) || !there(out) {
		t.Error("the wrong names are forgotten")
	}
	if kept(in) || !kept(out) {
		t.Error("at first")
	}
	s.claim(config("\x04corp\x00"))() // nothing changes
	s.claim(config("\x04copr\x00"))()
	if kept(in) || kept(out) {
		t.Error("after a second change")
	}
	st.now = now + uint32(resolver.DefaultLimits.Time/resolver.Second) + 3
	if !kept(in) || !kept(out) {
		t.Error("when all is over")
	}
}

// TestForgetOld: of an earlier run nothing stays that this one would not have
// learnt.
func TestForgetOld(t *testing.T) {
	s := &Server{cache: cache.New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)}
	now := claiming(t, "corp.", ". 1")
	s.claims.Store(&now)
	st := store{c: s.cache, moved: &s.moved, now: wall()}
	put := func(name string, ttl uint32, records ...string) []byte {
		e := resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeA, TTL: ttl, Expires: int64(st.now) + int64(ttl)}
		for _, r := range records {
			e.Records = resolver.AppendPacked(e.Records, []byte(r))
		}
		n := wireName(t, name)
		st.Put(n, &e)
		return n
	}
	for _, c := range []struct {
		name string
		then claims
		set  func(*resolver.Config)
		want string // which are left
	}{
		{"the same", now, func(*resolver.Config) {}, "a.corp. long. short. odd."},
		{"another zone", claiming(t, "short.", "corp.", ". 1"), func(*resolver.Config) {}, "a.corp. long. odd."},
		{"other keys", claiming(t, "corp.", ". 2"), func(*resolver.Config) {}, ""},
		{"MAXTTL", now, func(c *resolver.Config) { c.MaxTTL = 3600 }, "a.corp. short. odd."},
		{"IGNOREIP", now, func(c *resolver.Config) { c.IgnoreIP = []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")} }, "a.corp. long. short."},
	} {
		names := map[string][]byte{"a.corp.": put("a.corp.", 60, "\xc0\x00\x02\x01"), "long.": put("long.", 7200, "\xc0\x00\x02\x01"),
			"short.": put("short.", 300, "\xc0\x00\x02\x01"), "odd.": put("odd.", 300, "\xc0\x00\x02\x01", "\xc0\x00\x02\x02")}
		cfg := &resolver.Config{MaxTTL: resolver.DefaultMaxTTL}
		c.set(cfg)
		gone := s.forgetOld(c.then, cfg)
		var left []string
		for _, n := range []string{"a.corp.", "long.", "short.", "odd."} {
			var e resolver.Entry
			if st.Get(&e, resolver.KindRRset, dns.TypeA, names[n]) {
				left = append(left, n)
			}
		}
		if strings.Join(left, " ") != c.want || gone != 4-len(left) {
			t.Errorf("%s: %q left, want %q; %d are said to be gone", c.name, left, c.want, gone)
		}
	}
}

// TestLeft: a file without an address in it changes nothing; a zone may go.
func TestLeft(t *testing.T) {
	before := claiming(t, ".", "corp.", "b.")
	for _, c := range []struct {
		zones []string // with a server, or "name -" without, or "name forward"
		want  string
	}{
		{[]string{".", "corp.", "b."}, ""},
		{[]string{". @5", "b."}, ""},
		{[]string{". -", "corp.", "b."}, "servers/@"},
		{[]string{"corp.", "b."}, "servers/@"},
		{[]string{".", "corp. -"}, "servers/corp"},
		{[]string{".", "corp. -", "corp. forward"}, ""},
		{[]string{".", "b. - forward"}, "forward/b"},
		{[]string{".", "new. -"}, ""},
	} {
		cfg := &resolver.Config{}
		for _, l := range c.zones {
			f := strings.Fields(l)
			z := resolver.Zone{Name: dnsname.Name(wireName(t, f[0])), Forward: strings.Contains(l, "forward")}
			if !strings.Contains(l, "-") {
				z.Servers = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.5:53")}
			}
			cfg.Zones = append(cfg.Zones, z)
		}
		if got, ok := before.left(cfg); got != c.want || ok != (c.want != "") {
			t.Errorf("%q: %q %v, want %q", c.zones, got, ok, c.want)
		}
	}
}
