package recursor

import (
	"testing"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
)

// TestMoved: nothing of a zone that has just come is kept, until what began
// before has ended.
func TestMoved(t *testing.T) {
	s := &Server{cache: cache.New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)}
	before := []byte{}
	s.zones.Store(&before)
	c := &resolver.Config{Zones: []resolver.Zone{{Name: "\x04corp\x00"}, {Name: dnsname.Root}}}
	now := wall()
	st := store{c: s.cache, moved: &s.moved, now: now}
	kept := func(name string) bool {
		e := resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeA, TTL: 3600, Expires: int64(now) + 3600}
		st.Put([]byte(name), &e)
		return st.Get(&e, resolver.KindRRset, dns.TypeA, []byte(name))
	}
	const in, out = "\x01a\x04corp\x00", "\x01a\x04copr\x00"
	if !kept(in) || !kept(out) {
		t.Fatal("nothing is kept")
	}
	s.useZones(c)
	if e := (resolver.Entry{}); st.Get(&e, resolver.KindRRset, dns.TypeA, []byte(in)) || !st.Get(&e, resolver.KindRRset, dns.TypeA, []byte(out)) {
		t.Error("the wrong names are forgotten")
	}
	if kept(in) || !kept(out) {
		t.Error("at first")
	}
	s.useZones(c) // nothing changes
	s.useZones(&resolver.Config{Zones: []resolver.Zone{{Name: "\x04copr\x00"}}})
	if kept(in) || kept(out) {
		t.Error("after a second change")
	}
	st.now = now + uint32(resolver.DefaultLimits.Time/resolver.Second) + 3
	if !kept(in) || !kept(out) {
		t.Error("when all is over")
	}
}

func TestChangedZones(t *testing.T) {
	list := func(names ...string) []byte {
		c := &resolver.Config{}
		for _, n := range names {
			w, err := dnsname.ParseDot(n)
			if err != nil {
				t.Fatal(err)
			}
			c.Zones = append(c.Zones, resolver.Zone{Name: w})
		}
		return ownZones(c)
	}
	for _, c := range []struct {
		old, new []byte
		want     string // names of the list below that are concerned
	}{
		{nil, nil, ""},
		{list("."), list("."), ""},
		{list(".", "corp."), list("corp.", "."), ""},
		{list("."), list(".", "corp."), "corp. a.corp."},
		{list("corp.", "corp."), nil, "corp. a.corp."}, // in servers/ and in forward/
		{list("corp.", "a.corp."), list("corp.", "b."), "a.corp. b."},
		{list("corp.", "b."), list("a.corp.", "b."), "corp. a.corp."},
		{append(list("b."), 9, 'x'), list("b."), ""}, // cut off
	} {
		z := changedZones(c.old, c.new)
		got := ""
		for _, n := range []string{".", "corp.", "a.corp.", "corpa.", "b.", "c."} {
			w, _ := dnsname.ParseDot(n)
			if z.has([]byte(w)) {
				got += " " + n
			}
		}
		if got != "" {
			got = got[1:]
		}
		if got != c.want {
			t.Errorf("%q to %q: %q, want %q", c.old, c.new, got, c.want)
		}
	}
}
