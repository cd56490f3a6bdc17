package dnssec

import (
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// A deep name below an absent one is denied for the price of four hashes, and one
// below a deep encloser too; in between each label has its price.
func TestClosestEncloserCost(t *testing.T) {
	zone := dnsname.Name("\x01x\x00")
	deep := zone
	for range 50 {
		deep = "\x01a" + deep
	}
	middle := dnsname.Skip(deep, 25)
	for _, c := range []struct {
		what       string
		name       dnsname.Name
		exists     []dnsname.Name
		iterations uint16
		hashes     int
	}{
		{"below the apex", deep, nil, 150, 4},
		{"below a deep name", "\x02nx" + deep, []dnsname.Name{deep}, 150, 5},
		{"far below a name in the middle", deep, []dnsname.Name{middle}, 10, 52},
	} {
		nodes := []Node{{Name: zone, Types: []dns.Type{dns.TypeSOA}}}
		for _, n := range c.exists {
			nodes = append(nodes, Node{Name: n, Types: []dns.Type{dns.TypeA}})
		}
		chain := NSEC3Chain(zone, nodes, NSEC3Params{Iterations: c.iterations}, 300)
		d := &Denial{Zone: zone}
		encloser := zone
		if len(c.exists) > 0 {
			encloser = c.exists[0]
		}
		wild, _ := wildcardOf(encloser)
		next, _ := nextCloser(c.name, dnsname.Labels(encloser))
		// what a server sends: the record of the encloser, those that cover
		for i := range chain {
			n, _ := ParseNSEC3(chain[i].Name, chain[i].Data[0], zone)
			one := &Denial{Zone: zone, NSEC3: []NSEC3{n}}
			b := NewBudget()
			at, _ := one.nsec3At(encloser, &b)
			over, _ := one.nsec3Covering(next, &b)
			overWild, _ := one.nsec3Covering(wild, &b)
			if at != nil || over != nil || overWild != nil {
				d.Add(&chain[i])
			}
		}
		b := NewBudget()
		if p := d.NXDomain(c.name, &b); p != proved {
			t.Errorf("%s: %v %v", c.what, p.Status, p.Reason)
		}
		_, _, _, paid := b.Spent()
		if paid > c.hashes*(int(c.iterations)+5) { // 5 blocks hold any name
			t.Errorf("%s: %d compressions, want %d hashes", c.what, paid, c.hashes)
		}
	}
}
