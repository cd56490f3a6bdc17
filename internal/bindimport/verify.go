package bindimport

import (
	"net/netip"
	"slices"
	"sync"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// workers ask at the same time.
const workers = 8

// Check is a verification of two servers.
type Check struct {
	Old, New netip.AddrPort
	From     netip.Addr          // source address of queries, or the zero Addr
	Progress func(done, all int) // may be nil
	Report   Report
}

// Questions gives what to ask about a zone: every name and type, what is
// missing at each name, around it and below it, wildcards, delegations, empty
// non-terminals, each over UDP and TCP, with DO and without EDNS; and the
// transfer.
func Questions(z *Zone) []Question {
	var out []Question
	asked := map[string]bool{}
	ask := func(n dnsname.Name, types ...dns.Type) {
		for _, t := range types {
			k := string(n.Lower()) + string([]byte{byte(t >> 8), byte(t)})
			if asked[k] {
				continue
			}
			asked[k] = true
			for i := range 4 {
				do := i&1 != 0
				out = append(out, Question{Name: n, Type: t, EDNS: do, DO: do, TCP: i&2 != 0})
			}
		}
	}
	under := func(label string, n dnsname.Name) (dnsname.Name, bool) {
		return dnsname.Join(string(rune(len(label)))+label+"\x00", n)
	}
	types := map[dnsname.Name][]dns.Type{}
	var names []dnsname.Name
	for _, r := range z.Records {
		low := r.Owner.Lower()
		if types[low] == nil {
			names = append(names, r.Owner)
		}
		if !slices.Contains(types[low], r.Type) {
			types[low] = append(types[low], r.Type)
		}
	}
	for _, n := range names {
		here := types[n.Lower()]
		ask(n, here...)
		ask(n, dns.TypeANY)
		for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeLOC, dns.TypeDS} {
			if !slices.Contains(here, t) { // one that is missing
				ask(n, t)
				break
			}
		}
		apex := dnsname.Equal(n, z.Name)
		if slices.Contains(here, dns.TypeNS) && !apex {
			ask(n, dns.TypeDS, dns.TypeSOA, dns.TypeNS, dns.TypeA)
		}
		if apex {
			ask(n, dns.TypeDNSKEY, dns.TypeNSEC3PARAM)
		}
		// below it, the synthesis of wildcards included
		below := n
		if dnsname.IsWildcard(n) {
			below = dnsname.Parent(n)
		}
		if c, ok := under("bulkhead-x0", below); ok {
			ask(c, dns.TypeA)
			if dnsname.IsWildcard(n) {
				ask(c, here...)
				ask(c, dns.TypeTXT, dns.TypeANY)
			}
			if c2, ok := under("x1", c); ok {
				ask(c2, dns.TypeMX)
			}
		}
		if apex {
			continue
		}
		// beside it: a name just behind
		if label := int(n[0]); label < dns.MaxLabel {
			if sib, ok := dnsname.Join(string(rune(label+1))+string(n[1:1+label])+"0\x00", dnsname.Parent(n)); ok {
				ask(sib, dns.TypeA)
			}
		}
		// above it: empty non-terminals
		for p := dnsname.Parent(n); dnsname.IsBelow(p, z.Name) && !dnsname.Equal(p, z.Name); p = dnsname.Parent(p) {
			if types[p.Lower()] == nil {
				ask(p, dns.TypeA)
			}
		}
	}
	return append(out, Question{Name: z.Name, Type: dns.TypeAXFR, TCP: true, AXFR: true})
}

// Run asks both servers all questions about the zones.
func (k *Check) Run(zones []*Zone) error {
	var all []Question
	about := map[dnsname.Name]*transferred{}
	for _, z := range zones {
		all = append(all, Questions(z)...)
		about[z.Name] = &transferred{unsaid: z.unsaid, occluded: z.belowCut(), child: z.inChild(zones)}
	}
	return k.ask(all, about)
}

// transferred is what explains differences of a zone's transfers.
type transferred struct {
	unsaid   bool          // nothing says who may transfer it
	occluded func(RR) bool // below a delegation and no glue
	child    func(RR) bool // in another zone that both servers have
}

// inChild tells of a record whether it lies in a child zone of z among zones.
func (z *Zone) inChild(zones []*Zone) func(RR) bool {
	tops := childTops(z, zones)
	return func(r RR) bool {
		n, err := dnsname.ParseMaster(r.Owner, "")
		if err != nil {
			return false
		}
		return r.Type != dns.TypeDS && below(n, z.Name, tops)
	}
}

// childTops gives the names, in lower case, of zones that lie below z.
func childTops(z *Zone, zones []*Zone) map[dnsname.Name]bool {
	tops := map[dnsname.Name]bool{}
	for _, c := range zones {
		if len(c.Name) > len(z.Name) && dnsname.IsBelow(c.Name, z.Name) {
			tops[c.Name.Lower()] = true
		}
	}
	return tops
}

// below reports whether n is one of tops, which lie below zone, or below one.
func below(n, zone dnsname.Name, tops map[dnsname.Name]bool) bool {
	for p := n.Lower(); len(tops) > 0 && len(p) > len(zone); p = dnsname.Parent(p) {
		if tops[p] {
			return true
		}
	}
	return false
}

// belowCut tells of a record whether it lies at or below a delegation of z and
// is neither its NS or DS nor an address.
func (z *Zone) belowCut() func(RR) bool {
	cuts := map[dnsname.Name]bool{}
	for _, r := range z.Records {
		if r.Type == dns.TypeNS && !dnsname.Equal(r.Owner, z.Name) {
			cuts[r.Owner.Lower()] = true
		}
	}
	return func(r RR) bool {
		n, err := dnsname.ParseMaster(r.Owner, "")
		if err != nil {
			return false
		}
		for p := n.Lower(); len(p) > len(z.Name); p = dnsname.Parent(p) {
			if cuts[p] {
				return p != n.Lower() || r.Type != dns.TypeNS && r.Type != dns.TypeDS
			}
		}
		return false
	}
}

// ask asks all questions and fills the report.
func (k *Check) ask(all []Question, about map[dnsname.Name]*transferred) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	k.Report.Old, k.Report.New = k.Old.String(), k.New.String()
	for range min(workers, len(all)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			pair := [2]client{{server: k.Old, from: k.From}, {server: k.New, from: k.From}}
			defer pair[0].close()
			defer pair[1].close()
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(all) {
					return
				}
				q := &all[i]
				var r [2]reply
				for s := range pair {
					r[s] = pair[s].reply(q)
				}
				v, cause := Compare(q, r[0], r[1])
				if q.AXFR && v == Different {
					v, cause = transferCause(r, v, cause, about[q.Name])
				}
				mu.Lock()
				k.Report.add(i, q, v, cause, r)
				if k.Progress != nil && next%1000 == 0 {
					k.Progress(k.Report.Asked, len(all))
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	k.Report.sort()
	return nil
}

func (c *client) reply(q *Question) reply {
	if q.AXFR {
		a, err := c.transfer(q.Name)
		if err == errSilent {
			return reply{silent: true}
		}
		return reply{a: a, err: err}
	}
	m, err := c.ask(q)
	if err == errSilent {
		return reply{silent: true}
	}
	if err != nil {
		return reply{err: err}
	}
	a, err := ParseAnswer(m)
	return reply{a: a, err: err}
}

// transferCause explains differences of transfers.
func transferCause(r [2]reply, v Verdict, cause string, about *transferred) (Verdict, string) {
	if r[0].err != nil || r[1].err != nil {
		return v, cause
	}
	refused := func(x reply) bool { return x.silent || x.a.RCode != 0 }
	switch {
	case refused(r[0]) && refused(r[1]):
		return Equal, ""
	case refused(r[0]) != refused(r[1]):
		if about != nil && about.unsaid {
			return Explained, causeTransfer
		}
		return Different, "only one server allows the transfer"
	}
	if about == nil {
		return v, cause
	}
	without := func(drop func(RR) bool) bool {
		var keep [2][]RR
		for i := range r {
			for _, x := range r[i].a.Sections[0] {
				if !drop(x) {
					keep[i] = append(keep[i], x)
				}
			}
		}
		return same(keep[0], keep[1], false)
	}
	glueless := func(x RR) bool { return about.occluded(x) && x.Type != dns.TypeA && x.Type != dns.TypeAAAA }
	switch {
	case without(about.child):
		return Explained, causeChild
	case without(func(x RR) bool { return about.child(x) || glueless(x) }):
		return Explained, causeOccluded
	}
	return v, cause
}
