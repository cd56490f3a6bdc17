package zindex

import (
	"cmp"
	"encoding/binary"
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// An element of a chain is an NSEC or NSEC3 record, or an RRSIG over one, at a
// name. Elements are sorted by zone, then canonically by owner (RFC 4034,
// section 6.1; for NSEC3, whose owners are hashes, that is the order of the
// hashes), the record itself before its signatures. The first 8 bytes of a
// sortable form of the owner stand in an array of their own, so that a search
// touches names in data.cdb only where those are equal.
type chainElem struct {
	zone   uint32
	prefix uint64
	word   uint64
	sig    bool
}

const chainSig = 1 // flag in a chain word: an RRSIG

// prefix gives the first 8 bytes of a form of name that sorts bytewise as the
// canonical order does among names below one zone: the labels below the zone
// from right to left, each ended by 0, with 0 and 1 inside escaped.
func prefix(name []byte, zoneLen int) (p uint64) {
	var off [dns.MaxLabels + 1]uint8
	n, rel := 0, len(name)-zoneLen
	for i := 0; i < rel; i += 1 + int(name[i]) {
		off[n] = uint8(i)
		n++
	}
	left := 8
	put := func(c byte) {
		if left > 0 {
			left--
			p |= uint64(c) << (8 * left)
		}
	}
	for n > 0 && left > 0 {
		n--
		l := name[off[n]+1:][:name[off[n]]]
		for _, c := range l {
			if c = dnsname.LowerByte(c); c <= 1 {
				put(1)
				put(c + 1)
			} else {
				put(c)
			}
		}
		put(0)
	}
	return p
}

// OwnerAt gives the owner of a record, its "*" label put back, in buf if need
// be.
func (v *View) OwnerAt(ref Ref, buf []byte) []byte {
	key := v.Key(ref)
	if v.isWild(ref) {
		buf = append(append(buf[:0], 1, '*'), key...)
		return buf
	}
	return key
}

func (v *View) isWild(ref Ref) bool {
	m := dataAt(v.cdb, uint64(ref)&posMask)[2]
	return m == '*' || m == '+'
}

// chains sorts the collected records, notes the ranges in the zones' entries
// and gives the elements.
func (b *Builder) chains(v *View, ctx []uint32) []chainElem {
	if len(b.chain) == 0 {
		return nil
	}
	le := binary.LittleEndian
	entry := func(s uint32) []byte { return v.idx[v.structs+int(s)*structLen:][:structLen] }
	isZone := func(s uint32) bool { return le.Uint32(entry(s)[4:])&StructSOA != 0 }
	var elems []chainElem
	var buf [dns.MaxName + 2]byte
	var r Record
	for _, c := range b.chain {
		ref := Ref(c.pos)
		v.Load(ref, &r)
		owner := v.OwnerAt(ref, buf[:0])
		var zone uint32
		switch {
		case c.sig:
			// signer's name after 18 bytes, RFC 4034, section 3.1
			if len(r.Data) > 18 {
				if n, ok := dnsname.Scan(r.Data[18:]); ok {
					var low [dns.MaxName]byte
					s := dnsname.AppendLower(low[:0], r.Data[18:18+n])
					zone, _ = b.structs.get(s, Hash(b.seed, s), false)
				}
			}
		case c.nsec3:
			zone = ctx[c.parent]
			if s := v.Struct(zone); zone != 0 && string(v.Name(&s)) != string(dnsname.Parent(owner)) {
				zone = 0
			}
		default:
			if zone, _ = b.structs.get(owner, Hash(b.seed, owner), false); zone == 0 || !isZone(zone) || !ApexNSEC(r.Data) {
				zone = ctx[c.parent]
			}
			for zone != 0 && !isZone(zone) {
				zone = le.Uint32(entry(zone))
			}
		}
		if zone == 0 || !isZone(zone) {
			continue
		}
		s := v.Struct(zone)
		zn := v.Name(&s)
		if !dnsname.IsBelow(owner, zn) {
			continue
		}
		word := c.pos
		if c.sig {
			word |= chainSig << recFlagsBit
		}
		if c.nsec3 {
			le.PutUint32(entry(zone)[4:], le.Uint32(entry(zone)[4:])|StructNSEC3)
		} else if !c.sig && len(owner) == len(zn) {
			// A chain has the apex in it (RFC 4035, section 2.3); an NSEC record
			// in an unsigned zone is a record like another.
			le.PutUint32(entry(zone)[4:], le.Uint32(entry(zone)[4:])|StructNSEC)
		}
		elems = append(elems, chainElem{zone, prefix(owner, len(zn)), word, c.sig})
	}
	var b1, b2 [dns.MaxName + 2]byte
	slices.SortFunc(elems, func(x, y chainElem) int {
		if c := cmp.Compare(x.zone, y.zone); c != 0 {
			return c
		}
		if c := cmp.Compare(x.prefix, y.prefix); c != 0 {
			return c
		}
		if c := dnsname.Compare(v.OwnerAt(Ref(x.word), b1[:0]), v.OwnerAt(Ref(y.word), b2[:0])); c != 0 {
			return c
		}
		if x.sig != y.sig {
			if x.sig {
				return 1
			}
			return -1
		}
		return cmp.Compare(x.word&posMask, y.word&posMask)
	})
	for i := 0; i < len(elems); {
		j := i
		for ; j < len(elems) && elems[j].zone == elems[i].zone; j++ {
		}
		e := entry(elems[i].zone)
		le.PutUint32(e[24:], uint32(i))
		le.PutUint32(e[28:], uint32(j))
		i = j
	}
	return elems
}

// ApexNSEC reports whether an NSEC's bitmap has SOA: then it is the child's at
// its apex, else the parent's at the cut (RFC 4035, section 2.3).
func ApexNSEC(data []byte) bool {
	n, ok := dnsname.Scan(data)
	if !ok || len(data) < n+3 {
		return false
	}
	w := data[n:] // window 0 comes first, RFC 4034, section 4.1.2
	return w[0] == 0 && w[1] >= 1 && w[2]&(0x80>>dns.TypeSOA) != 0
}

// Chain gives the place in zone s's chain of the last owner that does not
// follow name in canonical order, and whether it is name itself. A name before
// all wraps to the last owner. ok is false when the zone has no chain.
func (v *View) Chain(s *Struct, name []byte) (at uint32, exact, ok bool) {
	lo, hi := s.chainStart, s.chainEnd
	if lo == hi {
		return 0, false, false
	}
	want := prefix(name, len(v.Name(s)))
	keys := v.idx[v.chainKeys:]
	var buf [dns.MaxName + 2]byte
	// first element that follows name
	for lo < hi {
		mid := lo + (hi-lo)/2
		k := binary.LittleEndian.Uint64(keys[int(mid)*wordLen:])
		after := k > want
		if k == want {
			after = dnsname.Compare(v.OwnerAt(v.elem(mid), buf[:0]), name) > 0
		}
		if after {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == s.chainStart {
		lo = s.chainEnd
	}
	at = lo - 1
	key := v.OwnerAt(v.elem(at), buf[:0])
	exact = len(key) == len(name) && string(key) == string(name)
	// back to the first element of this owner
	var b2 [dns.MaxName + 2]byte
	for at > s.chainStart && string(v.OwnerAt(v.elem(at-1), b2[:0])) == string(key) {
		at--
	}
	return at, exact, true
}

func (v *View) elem(i uint32) Ref {
	return Ref(binary.LittleEndian.Uint64(v.idx[v.chainWords+int(i)*wordLen:]))
}

// Element gives the i-th element of a chain and whether it is a signature; ok
// is false past the chain's end or when its owner differs from that of first.
func (v *View) Element(s *Struct, first, i uint32) (ref Ref, sig, ok bool) {
	if i < s.chainStart || i >= s.chainEnd {
		return 0, false, false
	}
	ref = v.elem(i)
	sig = ref.Flags()&chainSig != 0
	ref &= posMask
	if i != first {
		f := v.elem(first) & posMask
		if string(v.Key(ref)) != string(v.Key(f)) || v.isWild(ref) != v.isWild(f) {
			return 0, false, false
		}
	}
	return ref, sig, true
}

// First gives the first record of a zone's chain.
func (v *View) First(s *Struct) (Ref, bool) {
	if s.chainStart == s.chainEnd {
		return 0, false
	}
	return v.elem(s.chainStart) & posMask, true
}
