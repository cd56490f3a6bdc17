package validator

import (
	"bytes"
	"slices"
	"sync"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// Aggressive use of proofs (RFC 8198): NSEC and NSEC3 records that were
// verified are remembered by zone, and a question for a name or type that they
// deny is answered without asking anyone. Records with opt-out deny nothing for
// sure (section 4) but one thing: that there is a DS.

const (
	maxAggZones   = 1000  // zones remembered
	maxAggRecords = 2000  // records of one zone: the root's chain has 1,500
	maxAggTTL     = 10800 // seconds; RFC 8198, section 5.4, and RFC 2308, section 5: three hours
	// maxAggBlocks are the SHA-1 compressions one synthesis may cost: above it
	// asking is cheaper. pdns-recursor aggressive-cache-max-nsec3-hash-cost 150.
	maxAggBlocks = 150
)

// The memory is shared by the validators of all threads that were made from one
// configuration. What it holds is never changed, only replaced.
type aggressive struct {
	mu    sync.Mutex
	zones map[dnsname.Name]*aggZone
	ring  []dnsname.Name
	head  int
}

type aggZone struct {
	soa   aggSet
	nsec  []aggSet // by canonical order of owners
	nsec3 []aggSet // by hash; of one set of parameters
	wild  map[wildKey]aggSet
}

// wildKey names a wildcard's RRset: owner *.parent.
type wildKey struct {
	parent dnsname.Name
	t      dns.Type
}

type aggSet struct {
	owner   dnsname.Name
	hash    dnssec.Hash // NSEC3
	data    []byte      // the one record
	records resolver.Packed
	sigs    resolver.Packed
	expires int64
}

// zone gives the memory for a zone, making it if need be.
func (a *aggressive) zone(name dnsname.Name) *aggZone {
	if z := a.zones[name]; z != nil {
		return z
	}
	if a.zones == nil {
		a.zones = map[dnsname.Name]*aggZone{}
	}
	if len(a.ring) < maxAggZones {
		a.ring = append(a.ring, name)
	} else {
		delete(a.zones, a.ring[a.head])
		a.ring[a.head] = name
		a.head = (a.head + 1) % maxAggZones
	}
	z := &aggZone{}
	a.zones[name] = z
	return z
}

// learn remembers an RRset that the zone has signed. A record made on the spot,
// up to the next possible name only (RFC 4470, section 4; RFC 7129, appendix B),
// is not worth the room: it speaks of one name, and servers that make such
// records are known to list the types that were asked for instead of those that
// are there. That there is no DS at a delegation is worth it.
func (a *aggressive) learn(zone dnsname.Name, s *resolver.RRset, now int64, ttl uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Records.Count() != 1 || ttl == 0 {
		return
	}
	e := aggSet{owner: dnsname.Name(s.Owner).Lower(), records: slices.Clone(s.Records), sigs: slices.Clone(s.Sigs),
		expires: now + int64(min(ttl, maxAggTTL))}
	e.data, _, _ = e.records.Next()
	switch s.Type {
	case dns.TypeSOA:
		if e.owner == zone {
			a.zone(zone).soa = e
		}
	case dns.TypeNSEC:
		n, ok := dnssec.ParseNSEC(e.owner, e.data, zone)
		if !ok || n.Next == "\x01\x00"+e.owner && !atCut(n.Types) {
			return
		}
		z := a.zone(zone)
		i, found := z.find(e.owner)
		z.nsec, i = insert(z.nsec, i, found, e)
		z.nsec = overtake(z.nsec, i, func(o *aggSet) bool {
			return dnsname.Compare(n.Next, e.owner) > 0 && dnsname.Compare(o.owner, n.Next) >= 0
		})
	case dns.TypeNSEC3:
		n, ok := dnssec.ParseNSEC3(e.owner, e.data, zone)
		if !ok || n.Iterations > dnssec.MaxNSEC3Iterations || narrow(n.Hash, n.Next) && !atCut(n.Types) {
			return
		}
		e.hash = n.Hash
		z := a.zone(zone)
		if len(z.nsec3) > 0 {
			if o, _ := dnssec.ParseNSEC3(z.nsec3[0].owner, z.nsec3[0].data, zone); o.Iterations != n.Iterations || !bytes.Equal(o.Salt, n.Salt) {
				z.nsec3 = nil // the zone has a new chain
			}
		}
		i, found := z.find3(e.hash)
		if n.OptOut() && !found && len(z.nsec3) >= maxAggRecords/2 {
			// the rest of the room is for what says more
			if i = neighbour(z.nsec3, i); z.nsec3[i].expires > now {
				return
			}
			found = true
		}
		z.nsec3, i = insert(z.nsec3, i, found, e)
		z.nsec3 = overtake(z.nsec3, i, func(o *aggSet) bool {
			return bytes.Compare(n.Next[:], n.Hash[:]) > 0 && bytes.Compare(o.hash[:], n.Next[:]) >= 0
		})
	}
}

// learnWildcard remembers the RRset of a wildcard, from an answer expanded from
// it whose signature counts labels (RFC 8198, section 5.3).
func (a *aggressive) learnWildcard(zone dnsname.Name, s *resolver.RRset, labels int, now int64, ttl uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	owner := dnsname.Name(s.Owner).Lower()
	z := a.zone(zone)
	k := wildKey{dnsname.Skip(owner, dnsname.Labels(owner)-labels), s.Type}
	if _, ok := z.wild[k]; !ok && len(z.wild) >= maxAggRecords {
		clear(z.wild) // what is still asked for comes back
	}
	if z.wild == nil {
		z.wild = map[wildKey]aggSet{}
	}
	z.wild[k] = aggSet{owner: owner, records: slices.Clone(s.Records), sigs: slices.Clone(s.Sigs), expires: now + int64(min(ttl, maxAggTTL))}
}

// atCut reports whether the types are those of a delegation, seen from above.
func atCut(b dnssec.Bitmap) bool { return b.Has(dns.TypeNS) && !b.Has(dns.TypeSOA) }

// narrow reports whether next follows hash with room for one value at most.
func narrow(hash, next dnssec.Hash) bool {
	for range 2 {
		for i := len(hash) - 1; i >= 0; i-- {
			if hash[i]++; hash[i] != 0 {
				break
			}
		}
		if hash == next {
			return true
		}
	}
	return false
}

// overtake deletes the records behind place i that its span says are not there
// any more: old ones of a zone that has changed. beyond reports whether a record
// lies at the span's end or behind it; a span that wraps around has no end.
func overtake(list []aggSet, i int, beyond func(*aggSet) bool) []aggSet {
	j := i + 1
	for j < len(list) && !beyond(&list[j]) {
		j++
	}
	return slices.Delete(list, i+1, j)
}

// insert puts e at place i and gives the place. If there is no room it takes
// the place of that of its neighbours which expires first: the order stays, and
// a zone with more records than there is room for is remembered where it was
// asked about last.
func insert(list []aggSet, i int, found bool, e aggSet) ([]aggSet, int) {
	if !found && len(list) < maxAggRecords {
		return slices.Insert(list, i, e), i
	}
	if !found {
		i = neighbour(list, i)
	}
	list[i] = e
	return list, i
}

// neighbour gives the place beside i, before or behind, of what expires first.
func neighbour(list []aggSet, i int) int {
	if i == len(list) || i > 0 && list[i-1].expires <= list[i].expires {
		return i - 1
	}
	return i
}

func (z *aggZone) find(name dnsname.Name) (int, bool) {
	return slices.BinarySearchFunc(z.nsec, name, func(e aggSet, n dnsname.Name) int { return dnsname.Compare(e.owner, n) })
}

func (z *aggZone) find3(h dnssec.Hash) (int, bool) {
	return slices.BinarySearchFunc(z.nsec3, h, func(e aggSet, h dnssec.Hash) int { return bytes.Compare(e.hash[:], h[:]) })
}

// at gives the entry that matches or may cover place i; nil if it is too old.
func at(list []aggSet, i int, found bool, now int64) *aggSet {
	if len(list) == 0 {
		return nil
	}
	if !found {
		i = (i + len(list) - 1) % len(list)
	}
	if list[i].expires <= now {
		return nil
	}
	return &list[i]
}

// Synthesize implements resolver.Synthesizer.
func (v *Validator) Synthesize(now resolver.Time, m *resolver.Message) bool {
	v.now = now.Seconds()
	name := dnsname.Name(m.QName)
	v.agg.mu.Lock()
	defer v.agg.mu.Unlock()
	if tag, is, ok := dnssec.Sentinel(m.QName); ok && v.rootTrusts(tag) != is && (m.QType == dns.TypeA || m.QType == dns.TypeAAAA) {
		return false // Validate has another answer for it
	}
	if len(v.agg.zones) == 0 || m.QType == dns.TypeANY || m.QType == dns.TypeRRSIG || m.QType == dns.TypeNSEC || m.QType == dns.TypeNSEC3 || !v.Covers(now, m.QName) {
		return false
	}
	from := name
	if m.QType == dns.TypeDS && len(from) > 1 {
		from = dnsname.Parent(from)
	}
	for n := from; ; n = dnsname.Parent(n) {
		if z := v.agg.zones[n]; z != nil {
			return v.synthesize(m, name, n, z)
		}
		if n[0] == 0 {
			return false
		}
	}
}

// gather puts what is known of the absence of name into d: the record at it or
// that covers it and, where there is one, that of the wildcard. It gives the
// entries used.
func (z *aggZone) gather(d *dnssec.Denial, name, zone dnsname.Name, now int64) []*aggSet {
	var used []*aggSet
	add := func(e *aggSet, t dns.Type) bool {
		if e == nil || slices.Contains(used, e) {
			return e != nil
		}
		used = append(used, e)
		d.Add(&dnssec.RRset{Name: e.owner, Type: t, Data: [][]byte{e.data}})
		return true
	}
	t := dns.TypeNSEC
	if i, found := z.find(name); add(at(z.nsec, i, found, now), t) {
		n, _ := dnssec.ParseNSEC(used[0].owner, used[0].data, zone)
		k := max(dnsname.CommonLabels(name, n.Owner), dnsname.CommonLabels(name, n.Next))
		if w, ok := dnsname.Join(dnsname.Name("\x01*\x00"), dnsname.Skip(name, dnsname.Labels(name)-k)); ok && !found {
			i, found := z.find(w)
			add(at(z.nsec, i, found, now), t)
		}
	} else if len(z.nsec3) > 0 {
		t = dns.TypeNSEC3
		p, _ := dnssec.ParseNSEC3(z.nsec3[0].owner, z.nsec3[0].data, zone)
		cost := 0
		hash := func(n dnsname.Name) (dnssec.Hash, bool) {
			cost += int(p.Iterations) + 1
			return dnssec.HashName(n, p.Salt, p.Iterations), cost <= maxAggBlocks
		}
		n := dnsname.Labels(name)
		for k := n; k >= dnsname.Labels(zone); k-- {
			h, ok := hash(dnsname.Skip(name, n-k))
			if !ok {
				break
			}
			i, found := z.find3(h)
			if !add(at(z.nsec3, i, found, now), t) {
				break
			}
			if !found {
				continue
			}
			if w, ok := dnsname.Join(dnsname.Name("\x01*\x00"), dnsname.Skip(name, n-k)); ok && k < n {
				h, _ := hash(w)
				i, found := z.find3(h)
				add(at(z.nsec3, i, found, now), t)
			}
			break
		}
	}
	return used
}

func (v *Validator) synthesize(m *resolver.Message, name, zone dnsname.Name, z *aggZone) bool {
	if v.privateAt(name, zone, false) {
		return false
	}
	// nothing may lie between that is trusted otherwise
	if top, why := v.anchorOf(name); why != dnssec.ReasonNone || !dnsname.IsBelow(zone, top) {
		return false
	}
	if v.expand(m, name, zone, z) {
		return true
	}
	if z.soa.owner == "" || z.soa.expires <= v.now {
		return false
	}
	d := &dnssec.Denial{Zone: zone}
	b := dnssec.NewBudget()
	b.Blocks = maxAggBlocks
	used := z.gather(d, name, zone, v.now)
	if d.Empty() {
		return false
	}
	switch {
	case d.NoData(name, m.QType, &b).Status == dnssec.Secure:
		m.RCode = dns.RCodeSuccess
	case d.NXDomain(name, &b).Status == dnssec.Secure:
		m.RCode = dns.RCodeNXDomain
	default:
		return false
	}
	m.Answer, m.Authority = nil, nil
	left := z.soa.expires
	for _, e := range used {
		left = min(left, e.expires)
	}
	set := func(e *aggSet, t dns.Type) {
		m.Authority = append(m.Authority, resolver.RRset{Section: wire.Authority, Owner: []byte(e.owner), Type: t,
			TTL: uint32(left - v.now), Records: e.records, Sigs: e.sigs, Sec: resolver.Secure, Rank: resolver.RankAuthAuthority})
	}
	set(&z.soa, dns.TypeSOA)
	t := dns.TypeNSEC
	if len(d.NSEC3) > 0 {
		t = dns.TypeNSEC3
	}
	for _, e := range used {
		set(e, t)
	}
	v.explain(Step{Name: name, Type: m.QType, What: "denied by proofs at hand", Status: dnssec.Secure})
	return true
}

// expand answers from a wildcard that was seen, if the next closer name is
// denied: the wildcard's parent exists, so it is the closest encloser.
func (v *Validator) expand(m *resolver.Message, name, zone dnsname.Name, z *aggZone) bool {
	n := dnsname.Labels(name)
	for k := n - 1; k >= dnsname.Labels(zone) && len(z.wild) > 0; k-- {
		parent := dnsname.Skip(name, n-k)
		t := m.QType
		wild, ok := z.wild[wildKey{parent, t}]
		if !ok {
			t = dns.TypeCNAME
			wild, ok = z.wild[wildKey{parent, t}]
		}
		if !ok || wild.expires <= v.now {
			continue
		}
		next := dnsname.Skip(name, n-k-1)
		d := &dnssec.Denial{Zone: zone}
		b := dnssec.NewBudget()
		b.Blocks = maxAggBlocks
		i, found := z.find(next)
		proof, proofType := at(z.nsec, i, found, v.now), dns.TypeNSEC
		if proof == nil && len(z.nsec3) > 0 {
			p, _ := dnssec.ParseNSEC3(z.nsec3[0].owner, z.nsec3[0].data, zone)
			i, found := z.find3(dnssec.HashName(next, p.Salt, p.Iterations))
			proof, proofType = at(z.nsec3, i, found, v.now), dns.TypeNSEC3
		}
		if proof == nil {
			return false
		}
		d.Add(&dnssec.RRset{Name: proof.owner, Type: proofType, Data: [][]byte{proof.data}})
		if d.Wildcard(name, k, &b).Status != dnssec.Secure {
			return false
		}
		ttl := uint32(min(wild.expires, proof.expires) - v.now)
		m.RCode = dns.RCodeSuccess
		m.Answer = []resolver.RRset{{Section: wire.Answer, Owner: []byte(name), Type: t, TTL: ttl,
			Records: wild.records, Sigs: wild.sigs, Sec: resolver.Secure, Rank: resolver.RankAuthAnswer}}
		m.Authority = []resolver.RRset{{Section: wire.Authority, Owner: []byte(proof.owner), Type: proofType, TTL: ttl,
			Records: proof.records, Sigs: proof.sigs, Sec: resolver.Secure, Rank: resolver.RankAuthAuthority}}
		v.explain(Step{Name: name, Type: m.QType, What: "expanded from a wildcard at hand", Status: dnssec.Secure})
		return true
	}
	return false
}

// Preload remembers RRsets of a zone that are known to be good: its SOA and
// NSEC records from a copy whose ZONEMD was checked.
func (v *Validator) Preload(zone dnsname.Name, sets []resolver.RRset, now resolver.Time) {
	for i := range sets {
		v.agg.learn(zone, &sets[i], now.Seconds(), sets[i].TTL)
	}
}
