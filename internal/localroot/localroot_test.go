package localroot

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/validator"
)

const now = 1800000000

// copyOf gives the root of a tree as a zone file, with ZONEMD.
func copyOf(t *testing.T) (string, *signedtree.Tree) {
	tree := signedtree.New(now)
	o := signedtree.Options{Algorithm: dnssec.ECDSAP256SHA256}
	tree.Add("signed.", o, "www A 192.0.2.1")
	tree.Add("plain.", signedtree.Options{}, "www A 192.0.2.1")
	zmd := signedtree.Key{Name: dnsname.Root, Type: dns.TypeZONEMD}
	o.Edit = func(z *signedtree.Zone) {
		z.Sets[zmd] = &dnssec.RRset{Name: dnsname.Root, Type: dns.TypeZONEMD, TTL: 300, Data: [][]byte{make([]byte, 6+48)}}
	}
	o.Forge = func(z *signedtree.Zone) {
		var records []dnssec.Record
		for k, s := range z.Sets {
			for _, d := range s.Data {
				records = append(records, dnssec.Record{Name: k.Name, Type: k.Type, TTL: s.TTL, Data: d})
			}
			for _, d := range s.Sigs {
				records = append(records, dnssec.Record{Name: k.Name, Type: dns.TypeRRSIG, TTL: s.TTL, Data: d})
			}
		}
		sum, _ := dnssec.ZoneDigests(dnsname.Root, records)
		s := z.Sets[zmd]
		s.Data = [][]byte{append([]byte{0, 0, 0, 1, 1, 1}, sum...)}
		z.Sign(s)
	}
	root := tree.Add(".", o, "signed NS x", "plain NS x")
	var b strings.Builder
	for k, s := range root.Sets {
		for _, d := range s.Data {
			fmt.Fprintf(&b, "%s %d IN %s %s\n", k.Name, s.TTL, k.Type, rdata.AppendText(nil, k.Type, d))
		}
		for _, d := range s.Sigs {
			fmt.Fprintf(&b, "%s %d IN RRSIG %s\n", k.Name, s.TTL, rdata.AppendText(nil, dns.TypeRRSIG, d))
		}
	}
	return b.String(), tree
}

func TestRead(t *testing.T) {
	text, tree := copyOf(t)
	as := []dnssec.Anchor{tree.Zones[dnsname.Root].Anchor()}
	z, err := Read([]byte(text), "root.zone", as, dnssec.Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, e := range z.Entries {
		got[fmt.Sprint(e.Name, e.Entry.Kind, len(e.Entry.Records) > 0, len(e.Entry.Sigs) > 0, len(e.Entry.Proof) > 0)] = true
	}
	for _, want := range []string{
		fmt.Sprint("signed.", resolver.KindDelegation, true, false, true), fmt.Sprint("plain.", resolver.KindDelegation, true, false, true),
		fmt.Sprint("signed.", resolver.KindRRset, true, true, false), fmt.Sprint("plain.", resolver.KindRRset, false, false, true)} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
	if len(z.NSEC) < 3 || z.Serial != 1 || z.Expire != 604800 {
		t.Errorf("%d NSEC, serial %d, expire %d", len(z.NSEC), z.Serial, z.Expire)
	}
	// any change, of signed or unsigned parts, and nothing is believed
	for _, c := range []struct{ from, to string }{
		{"ns.plain. 300 IN A 198.18", "ns.plain. 300 IN A 198.20"}, {"plain. 300 IN NS ns.plain.", "plain. 300 IN NS ns.signed."},
		{"IN ZONEMD 1 1 1 ", "IN ZONEMD 2 1 1 "}, {"IN ZONEMD", "IN TXT"}, {"IN DNSKEY 257", "IN DNSKEY 256"},
	} {
		if !strings.Contains(text, c.from) {
			t.Errorf("no %q", c.from)
		}
		if _, err := Read([]byte(strings.Replace(text, c.from, c.to, 1)), "root.zone", as, dnssec.Policy{}, now); err == nil {
			t.Errorf("%q for %q: believed", c.to, c.from)
		} else {
			t.Log(err)
		}
	}
	if _, err := Read([]byte(text), "root.zone", nil, dnssec.Policy{}, now); err == nil {
		t.Error("believed without an anchor")
	}
	if _, err := Read([]byte(text), "root.zone", as, dnssec.Policy{}, now+30*86400); err == nil {
		t.Error("believed with expired signatures")
	}
}

// With the copy in the cache the root's servers are asked for nothing.
func TestRootIsNotAsked(t *testing.T) {
	text, tree := copyOf(t)
	root := tree.Zones[dnsname.Root]
	as := []dnssec.Anchor{root.Anchor()}
	z, err := Read([]byte(text), "root.zone", as, dnssec.Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	n := &signedtree.Network{Tree: tree, Now: now * resolver.Second}
	v := validator.New(validator.Config{Anchors: as})
	cache := resolver.NewMapCache()
	n.E = resolver.New(&resolver.Config{IPv4: true, Validator: v, Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.AddrPortFrom(root.Addr, 53)}}}},
		cache, n, n, nil, n)
	for i := range z.Entries {
		e := z.Entries[i].Entry
		e.Expires = now + int64(e.TTL)
		cache.Put([]byte(z.Entries[i].Name), &e)
	}
	v.Preload(dnsname.Root, append([]resolver.RRset{z.SOA}, z.NSEC...), n.Now)
	asked := map[string]int{}
	n.Forge = func(z *signedtree.Zone, _ netip.Addr, name dnsname.Name, ty dns.Type, msg []byte) []byte {
		if z.Name == dnsname.Root {
			asked[name.String()+" "+ty.String()]++
		}
		return msg
	}
	for _, c := range []struct {
		name string
		rc   dns.RCode
		ad   bool
	}{{"www.signed.", 0, true}, {"www.plain.", 0, false}, {"no.such.tld.", dns.RCodeNXDomain, true}} {
		if a := n.Ask(c.name, dns.TypeA, nil); a == nil || a.RCode != c.rc || a.AD != c.ad {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	if len(asked) > 0 {
		t.Error("the root's servers were asked", asked)
	}
}
