package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"hash"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Hash is an NSEC3 hash: SHA-1, the only algorithm there is (RFC 5155, section
// 11).
type Hash [sha1.Size]byte

// NSEC3 is a verified NSEC3 record (RFC 5155, section 3).
type NSEC3 struct {
	Hash       Hash // from the owner
	Next       Hash
	Flags      uint8
	Iterations uint16
	Salt       []byte
	Types      Bitmap
}

// optOutFlag is the only flag (RFC 5155, section 3.1.2.1).
const optOutFlag = 1

// OptOut reports whether unsigned delegations may hide between owner and next.
func (n *NSEC3) OptOut() bool { return n.Flags&optOutFlag != 0 }

// ParseNSEC3 reads NSEC3 data that were signed by zone at owner. It gives false
// for malformed data, an unknown hash algorithm or unknown flags (RFC 5155,
// section 8.1 and 8.2), and an owner that is not a hash directly below the
// zone's apex.
func ParseNSEC3(owner dnsname.Name, data []byte, zone dnsname.Name) (n NSEC3, ok bool) {
	if len(data) < 5 || data[0] != 1 || data[1]&^optOutFlag != 0 {
		return n, false
	}
	salt := int(data[4])
	if len(data) < 5+salt+1+sha1.Size || int(data[5+salt]) != sha1.Size {
		return n, false
	}
	n.Flags = data[1]
	n.Iterations = binary.BigEndian.Uint16(data[2:])
	n.Salt = data[5 : 5+salt]
	copy(n.Next[:], data[6+salt:])
	n.Types = Bitmap(data[6+salt+sha1.Size:])
	if owner[0] != 32 || !dnsname.Equal(dnsname.Parent(owner), zone) || !n.Types.valid() {
		return n, false
	}
	return n, decode32(&n.Hash, owner[1:33])
}

// base32hex without padding (RFC 4648, section 7; RFC 5155, section 1.3), 32
// characters for 20 bytes, in any letter case.
func decode32(h *Hash, s dnsname.Name) bool {
	for i := range 4 {
		var v uint64
		for _, c := range []byte(s[8*i : 8*i+8]) {
			switch c = dnsname.LowerByte(c); {
			case '0' <= c && c <= '9':
				c -= '0'
			case 'a' <= c && c <= 'v':
				c -= 'a' - 10
			default:
				return false
			}
			v = v<<5 | uint64(c)
		}
		h[5*i], h[5*i+1], h[5*i+2], h[5*i+3], h[5*i+4] = byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	return true
}

// AppendLabel appends the hash as the first label of an owner name, its length
// byte included.
func (h *Hash) AppendLabel(dst []byte) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	dst = append(dst, 32)
	for i := range 4 {
		v := uint64(h[5*i])<<32 | uint64(h[5*i+1])<<24 | uint64(h[5*i+2])<<16 | uint64(h[5*i+3])<<8 | uint64(h[5*i+4])
		for k := 35; k >= 0; k -= 5 {
			dst = append(dst, digits[v>>k&31])
		}
	}
	return dst
}

// HashName computes the NSEC3 hash of a name (RFC 5155, section 5).
func HashName(name dnsname.Name, salt []byte, iterations uint16) Hash {
	var nb [dns.MaxName + 255]byte
	return hashWith(sha1.New(), append(dnsname.AppendLower(nb[:0], name), salt...), salt, iterations)
}

func hashWith(h hash.Hash, first, salt []byte, iterations uint16) (out Hash) {
	h.Write(first)
	h.Sum(out[:0])
	for ; iterations > 0; iterations-- {
		h.Reset()
		h.Write(out[:])
		h.Write(salt)
		h.Sum(out[:0])
	}
	return out
}

// blocks is the number of SHA-1 compressions that hashing costs: each call pads
// its input with 9 bytes to a multiple of 64 (RFC 3174, section 4).
func blocks(name, salt int, iterations uint16) int {
	b := func(n int) int { return (n + 9 + 63) / 64 }
	return b(name+salt) + int(iterations)*b(sha1.Size+salt)
}

// maxHashMemo names of one proof are remembered, the last ones: each is compared
// with every record, and those at the two ends of a search come again.
const maxHashMemo = 32

type hashMemo struct {
	name dnsname.Name
	with int // the first record of these parameters
	hash Hash
}

// hash gives the hash of name with the parameters of record i; false if the
// budget does not allow it.
func (d *Denial) hash(name dnsname.Name, i int, b *Budget) (Hash, bool) {
	p := &d.NSEC3[i]
	for k := range i {
		if o := &d.NSEC3[k]; o.Iterations == p.Iterations && bytes.Equal(o.Salt, p.Salt) {
			i = k
			break
		}
	}
	for k := range min(d.nhash, len(d.hashes)) {
		if m := &d.hashes[k]; m.with == i && m.name == name {
			return m.hash, true
		}
	}
	if !pay(&b.Blocks, blocks(len(name), len(p.Salt), p.Iterations)) {
		return Hash{}, false
	}
	h := HashName(name, p.Salt, p.Iterations)
	d.hashes[d.nhash%len(d.hashes)] = hashMemo{name, i, h}
	d.nhash++
	return h, true
}

// usable reports whether record i counts: RFC 9276, section 3.2, allows to
// ignore those with too many iterations.
//
// A proof may mix parameters. RFC 5155, section 8.2, lets a validator call that
// bogus; but each record is the zone's own word, unbound and knot-resolver take
// them as they are, and what they cost the budget bounds.
func (d *Denial) usable(i int) bool { return d.NSEC3[i].Iterations <= MaxNSEC3Iterations }

// nsec3At gives the record that matches name; false if the budget does not
// allow to look.
func (d *Denial) nsec3At(name dnsname.Name, b *Budget) (*NSEC3, bool) {
	for i := range d.NSEC3 {
		if !d.usable(i) {
			continue
		}
		h, ok := d.hash(name, i, b)
		if !ok {
			return nil, false
		}
		if d.NSEC3[i].Hash == h {
			return &d.NSEC3[i], true
		}
	}
	return nil, true
}

// nsec3Covering gives the record between whose owner and next the hash of name
// lies (RFC 5155, section 1.3). Where the chain wraps, and in a chain of one
// record, the owner is not below the next.
func (d *Denial) nsec3Covering(name dnsname.Name, b *Budget) (*NSEC3, bool) {
	for i := range d.NSEC3 {
		if !d.usable(i) {
			continue
		}
		h, ok := d.hash(name, i, b)
		if !ok {
			return nil, false
		}
		n := &d.NSEC3[i]
		after, below := bytes.Compare(h[:], n.Hash[:]) > 0, bytes.Compare(h[:], n.Next[:]) < 0
		if bytes.Compare(n.Hash[:], n.Next[:]) < 0 {
			if after && below {
				return n, true
			}
		} else if after || below {
			return n, true
		}
	}
	return nil, true
}

// limits judges the parameters before any hash is computed (RFC 9276, section
// 3.2: the signatures have been checked, so the count is the zone's own).
func (d *Denial) limits(name dnsname.Name) (Proof, bool) {
	any := false
	for i := range d.NSEC3 {
		any = any || d.usable(i)
	}
	if !any {
		return Proof{Insecure, ReasonIterations}, false
	}
	if !dnsname.IsBelow(name, d.Zone) {
		return unproved(ReasonBadDenial), false
	}
	return Proof{}, true
}

// closest is a closest encloser proof (RFC 5155, section 8.3).
type closest struct {
	labels   int    // of the closest encloser
	encloser *NSEC3 // matches it
	next     *NSEC3 // covers the next closer name; nil if the name itself matches
}

// closestEncloser looks for an ancestor that matches and whose next closer name
// is covered. The record there must not be of a cut or a DNAME when the name lies
// below it (the same section; RFC 6840, section 4.1).
//
// The search begins at both ends, the name and the apex, in turn: most enclosers
// are near one of them, and a deep name below an absent one costs four hashes
// then, not one for each label (CVE-2023-50868). Which end finds it makes no
// difference, for a zone that covers a name has nothing signed below it.
func (d *Denial) closestEncloser(name dnsname.Name, b *Budget) (c closest, r Reason) {
	n := dnsname.Labels(name)
	for low, high := dnsname.Labels(d.Zone), n; low <= high; low, high = low+1, high-1 {
		for _, k := range [2]int{high, low} {
			m, ok := d.nsec3At(dnsname.Skip(name, n-k), b)
			if !ok {
				return c, ReasonBudget
			}
			if m == nil {
				continue
			}
			c = closest{labels: k, encloser: m}
			if k == n {
				return c, ReasonNone
			}
			if c.next, ok = d.nsec3Covering(dnsname.Skip(name, n-k-1), b); !ok {
				return c, ReasonBudget
			}
			switch {
			case c.next != nil && (delegation(m.Types) || m.Types.Has(dns.TypeDNAME)):
				return c, ReasonBadDenial
			case c.next != nil:
				return c, ReasonNone
			case k == high:
				return c, ReasonBadDenial // nothing below it matches
			}
		}
	}
	return c, ReasonBadDenial
}

// wild gives the record that matches the wildcard below the closest encloser, or
// the one that covers it.
func (d *Denial) wild(name dnsname.Name, c closest, b *Budget) (at, over *NSEC3, r Reason) {
	w, ok := wildcardOf(dnsname.Skip(name, dnsname.Labels(name)-c.labels))
	if !ok {
		return nil, nil, ReasonBadDenial
	}
	if at, ok = d.nsec3At(w, b); ok && at == nil {
		over, ok = d.nsec3Covering(w, b)
	}
	if !ok {
		return nil, nil, ReasonBudget
	}
	return at, over, ReasonNone
}

func (d *Denial) nsec3NXDomain(name dnsname.Name, b *Budget) Proof {
	if p, ok := d.limits(name); !ok {
		return p
	}
	c, r := d.closestEncloser(name, b)
	if r != ReasonNone {
		return unproved(r)
	}
	if c.next == nil {
		return unproved(ReasonNameExists)
	}
	at, over, r := d.wild(name, c, b)
	if r != ReasonNone {
		return unproved(r)
	}
	if at != nil {
		return unproved(ReasonNameExists)
	}
	if over == nil {
		return unproved(ReasonBadDenial)
	}
	if c.next.OptOut() {
		// RFC 5155, section 9.2: an unsigned delegation may be there
		return Proof{Insecure, ReasonOptOut}
	}
	return proved
}

func (d *Denial) nsec3NoData(name dnsname.Name, t dns.Type, b *Budget) Proof {
	if p, ok := d.limits(name); !ok {
		return p
	}
	c, r := d.closestEncloser(name, b)
	if r != ReasonNone {
		return unproved(r)
	}
	if c.next == nil {
		if r := absent(c.encloser.Types, t, name == dnsname.Root); r != ReasonNone {
			return unproved(r)
		}
		if t == dns.TypeDS && dnsname.Equal(name, d.Zone) && name != dnsname.Root {
			return unproved(ReasonBadDenial)
		}
		return proved
	}
	// RFC 5155, section 8.7: a wildcard without the type
	w, _, r := d.wild(name, c, b)
	if r != ReasonNone {
		return unproved(r)
	}
	if w != nil {
		if r := absent(w.Types, t, false); r != ReasonNone {
			return unproved(r)
		}
		if c.next.OptOut() {
			return Proof{Insecure, ReasonOptOut}
		}
		return proved
	}
	// Section 8.6, for DS; and for other types an empty non-terminal that
	// leads to unsigned delegations only has no record of its own under
	// opt-out (RFC 5155, section 7.1, and erratum 3441).
	if c.next.OptOut() {
		return Proof{Insecure, ReasonOptOut}
	}
	return unproved(ReasonBadDenial)
}

func (d *Denial) nsec3Wildcard(name dnsname.Name, labels int, b *Budget) Proof {
	if p, ok := d.limits(name); !ok {
		return p
	}
	next, ok := nextCloser(name, labels)
	if !ok {
		return unproved(ReasonSignatureLabels)
	}
	n, ok := d.nsec3Covering(next, b)
	if !ok {
		return unproved(ReasonBudget)
	}
	if n == nil {
		return unproved(ReasonWildcardNotProved)
	}
	if n.OptOut() {
		return Proof{Insecure, ReasonOptOut}
	}
	return proved
}

func (d *Denial) nsec3NoDS(name dnsname.Name, b *Budget) (Delegation, Proof) {
	if p, ok := d.limits(name); !ok {
		return DelegationInsecure, p
	}
	if dnsname.Equal(name, d.Zone) {
		return DelegationUnknown, unproved(ReasonBadDenial)
	}
	c, r := d.closestEncloser(name, b)
	if r != ReasonNone {
		return DelegationUnknown, unproved(r)
	}
	if c.next == nil {
		types := c.encloser.Types
		if types.Has(dns.TypeCNAME) && !types.Has(dns.TypeDS) {
			return NoDelegation, proved
		}
		if r := absent(types, dns.TypeDS, false); r != ReasonNone {
			return DelegationUnknown, unproved(r)
		}
		if types.Has(dns.TypeNS) {
			return DelegationInsecure, proved
		}
		return NoDelegation, proved
	}
	if c.next.OptOut() {
		return DelegationInsecure, Proof{Insecure, ReasonOptOut}
	}
	return NoName, proved
}
