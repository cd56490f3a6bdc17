package trace

import (
	"net/netip"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// Zone is what a run found out about one zone.
type Zone struct {
	Name, Parent dnsname.Name
	Servers      []*Visit // in the order they were first asked
	Chain        string   // DNSSEC: how it hangs on its parent; "" when not asked for
	Broken       bool     // the chain is broken here
}

// Visit is one server of one zone: how it behaved over all questions.
type Visit struct {
	IP      netip.Addr
	Name    dnsname.Name // one name that has this address; "" if none is known
	Asked   int
	Slowest time.Duration
	Lame    bool
	Failure string // why the last failed question failed
}

// Slow reports whether any answer took longer than a second.
func (v *Visit) Slow() bool { return v.Slowest > slow }

// Zones gives the zones in the order they were met, the root first.
func (t *Trace) Zones() []*Zone {
	var out []*Zone
	for _, n := range t.order {
		out = append(out, t.zones[n])
	}
	return out
}

func (t *Trace) zone(name, parent dnsname.Name) *Zone {
	z := t.zones[name]
	if z == nil {
		z = &Zone{Name: name, Parent: parent}
		t.zones[name] = z
		t.order = append(t.order, name)
	}
	return z
}

func (t *Trace) visit(q Question, took time.Duration) *Visit {
	z := t.zone(q.Zone, dnsname.Root)
	var v *Visit
	for _, s := range z.Servers {
		if s.IP == q.IP {
			v = s
		}
	}
	if v == nil {
		v = &Visit{IP: q.IP}
		for _, a := range t.addrs.list {
			if a.ip == q.IP && a.name != dnsname.Root {
				v.Name = a.name
				break
			}
		}
		z.Servers = append(z.Servers, v)
	}
	v.Asked++
	v.Slowest = max(v.Slowest, took)
	return v
}

// setKey names an RRset that a zone's servers gave.
type setKey struct {
	name dnsname.Name
	typ  dns.Type
}

type signedSet struct {
	dnssec.RRset
	seen map[string]bool
}

// collect keeps DS and DNSKEY RRsets and their signatures.
func (t *Trace) collect(q Question, msg []byte, recs []record) {
	if q.Type != dns.TypeDS && q.Type != dns.TypeDNSKEY {
		return
	}
	for _, r := range recs {
		if r.rr.Section != wire.Answer || r.owner != q.Name || r.rr.Class != dns.ClassIN {
			continue
		}
		if r.rr.Type != q.Type && r.rr.Type != dns.TypeRRSIG {
			continue
		}
		data, err := rdata.AppendUncompressed(nil, msg, r.rr.Type, r.rr.Data, r.rr.Len)
		if err != nil {
			continue
		}
		if r.rr.Type == dns.TypeRRSIG {
			if sig, ok := dnssec.ParseRRSIG(data); !ok || sig.Covered != q.Type {
				continue
			}
		}
		k := setKey{q.Name, q.Type}
		s := t.sets[k]
		if s == nil {
			s = &signedSet{RRset: dnssec.RRset{Name: q.Name, Type: q.Type, TTL: r.rr.TTL}, seen: map[string]bool{}}
			t.sets[k] = s
		}
		if s.seen[string(data)] || len(s.seen) >= MaxRecords {
			continue
		}
		s.seen[string(data)] = true
		if r.rr.Type == dns.TypeRRSIG {
			s.Sigs = append(s.Sigs, data)
		} else {
			s.Data = append(s.Data, data)
		}
	}
}

// Check follows the chain of trust from zone to zone and writes what it finds
// into Zone.Chain. The root's keys are taken as they are: this shows how zones
// hang together, validating is a cache's job. now is in Unix seconds.
func (t *Trace) Check(now int64) {
	if !t.DNSSEC {
		return
	}
	keys := map[dnsname.Name][]*dnssec.Key{}
	budget := dnssec.NewBudget()
	var v dnssec.Verifier
	for _, z := range t.Zones() {
		dnskey := t.sets[setKey{z.Name, dns.TypeDNSKEY}]
		if z.Name == dnsname.Root {
			switch {
			case dnskey == nil:
				z.Chain = "no DNSKEY: not signed"
			default:
				z.Chain = "signed; its keys are taken as they are"
				for _, d := range dnskey.Data {
					if k, ok := (dnssec.Policy{}).ParseKey(d); ok {
						keys[z.Name] = append(keys[z.Name], k)
					}
				}
			}
			continue
		}
		above, signed := keys[z.Parent]
		ds := t.sets[setKey{z.Name, dns.TypeDS}]
		switch {
		case ds == nil && dnskey == nil:
			z.Chain = "not signed"
		case ds == nil:
			z.Chain = "signed, but its parent has no DS: an island"
		case !signed:
			z.Chain = "has a DS, but no chain leads to its parent"
		case dnskey == nil:
			z.Chain, z.Broken = "BROKEN: a DS, but no DNSKEY", true
		default:
			if verdict := v.Verify(&ds.RRset, z.Parent, above, uint32(now), &budget); verdict.Status != dnssec.Secure {
				z.Chain, z.Broken = "BROKEN: DS: "+verdict.Reason.String(), true
				break
			}
			res := v.VerifyKeys(dnssec.Policy{}, &dnskey.RRset, ds.Data, nil, uint32(now), &budget)
			switch res.Status {
			case dnssec.Secure:
				z.Chain = "secure"
				keys[z.Name] = res.Keys
			case dnssec.Insecure:
				z.Chain = "insecure: " + res.Reason.String()
			default:
				z.Chain, z.Broken = "BROKEN: "+res.Reason.String(), true
			}
		}
	}
}
