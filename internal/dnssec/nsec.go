package dnssec

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// NSEC is a verified NSEC record (RFC 4034, section 4.1).
type NSEC struct {
	Owner dnsname.Name // lower case
	Next  dnsname.Name // lower case
	Types Bitmap
	Zone  dnsname.Name // the signer, lower case
}

// ParseNSEC reads NSEC data that were signed by zone at owner. It gives false
// for malformed data and for a record that says something about names outside
// the zone: owner and next name both belong to it (CVE-2026-13321 and its
// like in three resolvers: a zone of an attacker whose last NSEC "proved" the
// absence of its siblings).
func ParseNSEC(owner dnsname.Name, data []byte, zone dnsname.Name) (n NSEC, ok bool) {
	l, ok := dnsname.Scan(data)
	if !ok {
		return n, false
	}
	n = NSEC{Owner: owner.Lower(), Next: dnsname.Name(data[:l]).Lower(), Types: Bitmap(data[l:]), Zone: zone.Lower()}
	return n, n.Types.valid() && dnsname.IsBelow(n.Owner, n.Zone) && dnsname.IsBelow(n.Next, n.Zone)
}

// delegation reports whether the record stands at a zone cut, on the parent's
// side.
func delegation(b Bitmap) bool { return b.Has(dns.TypeNS) && !b.Has(dns.TypeSOA) }

// covers reports whether name would stand strictly between the record's owner
// and its next name (RFC 4034, section 4; the last record's next is the apex).
func (n *NSEC) covers(name dnsname.Name) bool {
	if !dnsname.IsBelow(name, n.Zone) || dnsname.Compare(n.Owner, name) >= 0 {
		return false
	}
	return dnsname.Equal(n.Next, n.Zone) || dnsname.Compare(name, n.Next) < 0
}

// denies reports whether the record proves that name does not exist: a name above
// the next one exists as an empty non-terminal.
func (n *NSEC) denies(name dnsname.Name) bool {
	return n.covers(name) && !dnsname.IsBelow(n.Next, name) && !n.hidden(name)
}

// emptyNonTerminal reports whether the record proves that name exists without
// records of its own: it is covered, and the next name lies below it.
func (n *NSEC) emptyNonTerminal(name dnsname.Name) bool {
	return n.covers(name) && dnsname.IsBelow(n.Next, name) && !n.hidden(name)
}

// hidden reports whether name lies below the record's owner where a cut or DNAME
// ends what the record can speak of (RFC 6840, section 4.1).
func (n *NSEC) hidden(name dnsname.Name) bool {
	return dnsname.IsBelow(name, n.Owner) && (delegation(n.Types) || n.Types.Has(dns.TypeDNAME))
}

// encloser is the closest encloser of a name the record covers: the longest
// ancestor that it shares with owner or next name.
func (n *NSEC) encloser(name dnsname.Name) dnsname.Name {
	k := max(dnsname.CommonLabels(name, n.Owner), dnsname.CommonLabels(name, n.Next))
	return dnsname.Skip(name, dnsname.Labels(name)-k)
}

// absent reports why type t is, or is not, proved absent at the owner of a
// record with bit map b: ReasonNone means it is. RFC 4035, section 5.4; RFC
// 6840, sections 4.1 and 4.4: the parent's record at a cut proves nothing but
// DS; the child's at its apex proves nothing about DS; a CNAME would have been
// the answer.
func absent(b Bitmap, t dns.Type, isRoot bool) Reason {
	switch {
	case b.Has(t) || b.Has(dns.TypeCNAME) && t != dns.TypeCNAME:
		return ReasonTypeExists
	case t == dns.TypeANY:
		for _, have := range b.Types() {
			if have != dns.TypeRRSIG && have != dns.TypeNSEC && have != dns.TypeNXNAME {
				return ReasonTypeExists
			}
		}
	case t == dns.TypeDS && b.Has(dns.TypeSOA) && !isRoot:
		return ReasonBadDenial
	case t != dns.TypeDS && delegation(b):
		return ReasonBadDenial
	}
	return ReasonNone
}

// Denial is the set of verified proof records of one answer, all of one zone.
type Denial struct {
	Zone  dnsname.Name
	NSEC  []NSEC
	NSEC3 []NSEC3

	hashes [maxHashMemo]hashMemo
	nhash  int
}

// Proof is what a proof comes to: Secure, Insecure (opt-out, iterations) or
// Bogus, with the reason for anything but Secure.
type Proof struct {
	Status Status
	Reason Reason
}

var proved = Proof{Secure, ReasonNone}

func unproved(r Reason) Proof { return Proof{Bogus, r} }

// Add takes an NSEC or NSEC3 RRset that was verified as the zone's, without
// expansion from a wildcard. It ignores what is malformed or too much: an RRset
// of these types has one record in an honest zone, but may have hundreds, and
// each NSEC3 record with a salt of its own is compared with all others.
func (d *Denial) Add(set *RRset) {
	for _, data := range set.Data {
		if len(d.NSEC)+len(d.NSEC3) >= MaxDenialRecords {
			return
		}
		switch set.Type {
		case dns.TypeNSEC:
			if n, ok := ParseNSEC(set.Name, data, d.Zone); ok {
				d.NSEC = append(d.NSEC, n)
			}
		case dns.TypeNSEC3:
			if n, ok := ParseNSEC3(set.Name, data, d.Zone); ok {
				d.NSEC3 = append(d.NSEC3, n)
			}
		}
	}
}

// Empty reports whether there is no record to prove anything with.
func (d *Denial) Empty() bool { return len(d.NSEC) == 0 && len(d.NSEC3) == 0 }

// combine tries NSEC, then NSEC3. A zone uses one of them, but while it
// changes an answer may hold both.
func (d *Denial) combine(nsec func() Proof, nsec3 func() Proof) Proof {
	p := unproved(ReasonNoDenial)
	if len(d.NSEC) > 0 {
		if p = nsec(); p.Status == Secure {
			return p
		}
	}
	if len(d.NSEC3) > 0 {
		if q := nsec3(); q.Status > p.Status || len(d.NSEC) == 0 {
			return q
		}
	}
	return p
}

// NXDomain proves that name does not exist and no wildcard stands for it (RFC
// 4035, section 5.4; RFC 5155, section 8.4).
func (d *Denial) NXDomain(name dnsname.Name, b *Budget) Proof {
	return d.combine(func() Proof { return d.nsecNXDomain(name) },
		func() Proof { return d.nsec3NXDomain(name, b) })
}

// NoData proves that name, or a wildcard that stands for it, has no records of
// type t (RFC 4035, section 5.4; RFC 5155, sections 8.5 to 8.7).
func (d *Denial) NoData(name dnsname.Name, t dns.Type, b *Budget) Proof {
	return d.combine(func() Proof { return d.nsecNoData(name, t) },
		func() Proof { return d.nsec3NoData(name, t, b) })
}

// Wildcard proves that an RRset at name whose signature counts labels was
// rightly expanded from a wildcard: the next closer name does not exist (RFC
// 4035, section 5.3.4; RFC 5155, section 8.8).
func (d *Denial) Wildcard(name dnsname.Name, labels int, b *Budget) Proof {
	return d.combine(func() Proof { return d.nsecWildcard(name, labels) },
		func() Proof { return d.nsec3Wildcard(name, labels, b) })
}

// Delegation is what the parent's side says of a possible zone cut.
type Delegation uint8

const (
	DelegationUnknown  Delegation = iota // nothing proved
	DelegationInsecure                   // a cut without DS
	NoDelegation                         // no cut here: the zone goes on
	NoName                               // the name does not exist; nor does anything below
)

// NoDS says what the proof means for the chain of trust at name: the answer to
// a question for DS had none (RFC 4035, section 5.2; RFC 5155, section 8.6 and
// 8.9; RFC 6840, section 4.4).
func (d *Denial) NoDS(name dnsname.Name, b *Budget) (Delegation, Proof) {
	what := DelegationUnknown
	p := d.combine(
		func() Proof {
			w, p := d.nsecNoDS(name)
			what = w
			return p
		},
		func() Proof {
			w, p := d.nsec3NoDS(name, b)
			what = w
			return p
		})
	if p.Status == Bogus {
		what = DelegationUnknown
	}
	return what, p
}

func (d *Denial) nsecAt(name dnsname.Name) *NSEC {
	for i := range d.NSEC {
		if dnsname.Equal(d.NSEC[i].Owner, name) {
			return &d.NSEC[i]
		}
	}
	return nil
}

// nsecDenying gives the record that proves the absence of name.
func (d *Denial) nsecDenying(name dnsname.Name) *NSEC {
	for i := range d.NSEC {
		if d.NSEC[i].denies(name) {
			return &d.NSEC[i]
		}
	}
	return nil
}

// nsecEmptyNonTerminal reports whether name is proved to exist without records.
func (d *Denial) nsecEmptyNonTerminal(name dnsname.Name) bool {
	for i := range d.NSEC {
		if d.NSEC[i].emptyNonTerminal(name) {
			return true
		}
	}
	return false
}

func (d *Denial) nsecNXDomain(name dnsname.Name) Proof {
	if d.nsecAt(name) != nil {
		return unproved(ReasonNameExists)
	}
	n := d.nsecDenying(name)
	if n == nil {
		return unproved(ReasonBadDenial)
	}
	wild, ok := wildcardOf(n.encloser(name))
	if !ok {
		return proved // *.encloser would be too long to exist
	}
	if d.nsecAt(wild) != nil {
		return unproved(ReasonNameExists)
	}
	if d.nsecDenying(wild) == nil {
		// RFC 4592, section 2.2.2: a wildcard that is an empty non-terminal
		// exists, and the answer would have been NODATA
		return unproved(ReasonBadDenial)
	}
	return proved
}

func (d *Denial) nsecNoData(name dnsname.Name, t dns.Type) Proof {
	isRoot := name == dnsname.Root
	if n := d.nsecAt(name); n != nil {
		if r := absent(n.Types, t, isRoot); r != ReasonNone {
			return unproved(r)
		}
		if t == dns.TypeDS && dnsname.Equal(name, d.Zone) && !isRoot {
			return unproved(ReasonBadDenial)
		}
		return proved
	}
	if d.nsecEmptyNonTerminal(name) {
		return proved
	}
	n := d.nsecDenying(name)
	if n == nil {
		return unproved(ReasonBadDenial)
	}
	wild, ok := wildcardOf(n.encloser(name))
	if !ok {
		return unproved(ReasonBadDenial)
	}
	if w := d.nsecAt(wild); w != nil {
		if r := absent(w.Types, t, false); r != ReasonNone {
			return unproved(r)
		}
		return proved
	}
	if d.nsecEmptyNonTerminal(wild) {
		return proved
	}
	return unproved(ReasonBadDenial)
}

func (d *Denial) nsecWildcard(name dnsname.Name, labels int) Proof {
	next, ok := nextCloser(name, labels)
	if !ok {
		return unproved(ReasonSignatureLabels)
	}
	for i := range d.NSEC {
		n := &d.NSEC[i]
		// What denies the next closer name denies the name. It must not deny the
		// wildcard's parent too: then the wildcard is one of long ago.
		if n.denies(next) && dnsname.Labels(n.encloser(name)) == labels {
			return proved
		}
	}
	return unproved(ReasonWildcardNotProved)
}

func (d *Denial) nsecNoDS(name dnsname.Name) (Delegation, Proof) {
	if n := d.nsecAt(name); n != nil {
		if r := absent(n.Types, dns.TypeDS, name == dnsname.Root); r != ReasonNone {
			if r == ReasonTypeExists && n.Types.Has(dns.TypeCNAME) && !n.Types.Has(dns.TypeDS) {
				return NoDelegation, proved // an alias is no cut
			}
			return DelegationUnknown, unproved(r)
		}
		if dnsname.Equal(name, d.Zone) {
			return DelegationUnknown, unproved(ReasonBadDenial)
		}
		if n.Types.Has(dns.TypeNS) {
			return DelegationInsecure, proved
		}
		return NoDelegation, proved
	}
	if d.nsecEmptyNonTerminal(name) {
		return NoDelegation, proved
	}
	if d.nsecDenying(name) != nil {
		// No such name. A wildcard may answer for it, but makes no cut.
		return NoName, proved
	}
	return DelegationUnknown, unproved(ReasonBadDenial)
}

// wildcardOf is *.n; false if that is too long to be a name.
func wildcardOf(n dnsname.Name) (dnsname.Name, bool) {
	return dnsname.Join(dnsname.Name("\x01*\x00"), n)
}

// nextCloser is the name one label longer than the encloser of so many labels
// (RFC 5155, section 1.3); false if name is not longer.
func nextCloser(name dnsname.Name, labels int) (dnsname.Name, bool) {
	n := dnsname.Labels(name)
	if labels >= n {
		return "", false
	}
	return dnsname.Skip(name, n-labels-1), true
}
