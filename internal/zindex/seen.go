package zindex

import (
	"cmp"
	"encoding/binary"
	"io"
	"math"
	"slices"
)

// A name exists if it or a name below it has a record (RFC 4592, section
// 2.2.2), and which records there are can depend on the client's location and
// on the time. Where some record is always visible, the name always exists.
// Of the others, those with FlagMaybe, the index says for whom and when: for
// all clients and for each location that occurs at or below the name, the
// latest time at which a record dies and the earliest at which one is born.
// More does not matter for whether any is visible (compat: djbdns.md section
// 5.2), so the list is exact and as short as the number of locations.

// maxSeen bounds the list of one name: its locations, and one for all clients.
// Two-letter locations in use anywhere are dozens. A name with more counts as
// existing for everybody.
const maxSeen = 1024

// seenWords is the length of an element: location, latest death, earliest
// birth.
const seenWords = 3

// located is set in an element's location; 0 is for all clients.
const located = 1 << 16

// seen is an element of the list. The zero times say never.
type seen struct {
	loc    uint32
	dies   uint64 // visible until then, that second included
	births uint64 // visible after that, complemented so that the earliest is the largest
}

func (s *seen) visible(now uint64) bool { return s.dies != 0 && now <= s.dies || ^s.births < now }

// merge adds t to a list sorted by location.
func merge(list []seen, t seen) []seen {
	i, ok := slices.BinarySearchFunc(list, t.loc, func(s seen, loc uint32) int { return int(s.loc) - int(loc) })
	if !ok {
		if len(list) > maxSeen {
			return list // full, and known by its length
		}
		return slices.Insert(list, i, t)
	}
	list[i].dies, list[i].births = max(list[i].dies, t.dies), max(list[i].births, t.births)
	return list
}

// seenOf gives what a record contributes.
func seenOf(r *Record) (s seen) {
	if r.flags&RecLocation != 0 {
		s.loc = located | uint32(r.Loc[0])<<8 | uint32(r.Loc[1])
	}
	switch {
	case r.Time == 0:
		s.dies = math.MaxUint64
	case r.TTL == 0:
		s.dies = r.Time
	default:
		s.births = ^r.Time
	}
	return s
}

// dynamics collects, while the index is made, the names with FlagMaybe that
// have names below them.
type dynamics struct {
	num   []uint32 // by parent id: 1 + index into the others, 0 for the rest
	id    []uint32
	slot  []dynSlot
	below map[uint32][]seen // by parent id: what the names directly below contribute
}

type dynSlot struct {
	at int64 // in the file
	w1 uint64
}

func (d *dynamics) add(id uint32, at int64, w1 uint64) {
	d.id, d.slot = append(d.id, id), append(d.slot, dynSlot{at, w1})
	d.num[id] = uint32(len(d.id))
}

// dynamics is nil when nothing depends on time or client, which costs nothing
// then. It completes b.static.
func (b *Builder) dynamics() *dynamics {
	if b.flags&HasDynamic == 0 {
		return nil
	}
	for id := range b.static {
		if b.static[id] {
			for p := b.above[id]; p != 0 && !b.static[p]; p = b.above[p] {
				b.static[p] = true
			}
		}
	}
	return &dynamics{num: make([]uint32, b.parents.len()), below: map[uint32][]seen{}}
}

// records gives the records of a slot.
func (d *dynamics) records(c []byte, words []uint64, w1 uint64) (refs []uint64) {
	at := w1 & posMask
	switch {
	case w1&FlagENT != 0:
		return nil
	case w1&FlagMulti != 0:
		return words[at+1 : at+1+words[at]]
	}
	return []uint64{recWord(c, at)}
}

// seen adds to list what the records of a slot contribute.
func (d *dynamics) seen(list []seen, c []byte, words []uint64, w1 uint64) []seen {
	var r Record
	for _, ref := range d.records(c, words, w1) {
		ParseData(dataAt(c, ref&posMask), &r)
		list = merge(list, seenOf(&r))
	}
	return list
}

// note takes a finished slot directly below parent.
func (d *dynamics) note(b *Builder, c []byte, words []uint64, parent uint32, w1 uint64) {
	if w1&FlagMaybe != 0 && parent != 0 && !b.static[parent] {
		d.below[parent] = d.seen(d.below[parent], c, words, w1)
	}
}

// lists appends to words the lists of the names with FlagMaybe and names below,
// and makes their slots in out and in the structural entries point there: count
// and records as in any list of records, then the number of elements and these.
func (d *dynamics) lists(b *Builder, c []byte, words []uint64, structs []byte, out io.WriterAt) ([]uint64, error) {
	le := binary.LittleEndian
	// From the longest names up, so that each is complete before it is added to
	// the one above.
	slices.SortFunc(d.id, func(x, y uint32) int {
		if c := cmp.Compare(len(b.parents.name(y)), len(b.parents.name(x))); c != 0 {
			return c
		}
		return cmp.Compare(x, y) // the same index every time
	})
	for _, id := range d.id {
		slot, list := d.slot[d.num[id]-1], d.below[id]
		delete(d.below, id)
		if up := b.above[id]; d.num[up] != 0 {
			for _, s := range list {
				d.below[up] = merge(d.below[up], s)
			}
		}
		w1 := slot.w1
		if list = d.seen(list, c, words, w1); len(list) > maxSeen {
			w1 &^= FlagMaybe
		} else {
			refs := d.records(c, words, w1)
			if refs == nil {
				refs = []uint64{w1 & posMask} // of the name below that has its bytes
			}
			w1 = w1&^posMask | FlagMulti | uint64(len(words))
			words = append(words, uint64(len(refs)))
			words = append(words, refs...)
			words = append(words, uint64(len(list)))
			for _, s := range list {
				words = append(words, uint64(s.loc), s.dies, s.births)
			}
		}
		var buf [8]byte
		le.PutUint64(buf[:], w1)
		if _, err := out.WriteAt(buf[:], slot.at+8); err != nil {
			return nil, err
		}
		if w1&FlagStruct != 0 {
			s, _ := b.structs.get(b.parents.name(id), b.parents.hash[id], false)
			le.PutUint64(structs[int(s)*structLen+16:], w1)
		}
	}
	return words, nil
}

// seenAt reads element i of the list of n; from is what seenList gave.
func (v *View) seenAt(from uint64, i int) seen {
	from += uint64(i) * seenWords
	return seen{uint32(v.word(from)), v.word(from + 1), v.word(from + 2)}
}

func (v *View) seenList(n Node) (from uint64, count int) {
	from = n.W & posMask
	from += 1 + v.word(from)
	return from + 1, int(v.word(from))
}

// SeenByAll reports whether a name with FlagMaybe and FlagBelow exists for all clients at a
// time, and whether there are records for clients of some location: then
// SeenFrom says more.
func (v *View) SeenByAll(n Node, now uint64) (yes, some bool) {
	from, count := v.seenList(n)
	for i := range min(count, 2) {
		if s := v.seenAt(from, i); s.loc == 0 {
			yes = s.visible(now)
		} else {
			some = true
		}
	}
	return yes, some
}

// SeenFrom reports whether such a name has records for the clients
// of one location at a time. It halves, so it reads at most ten elements.
func (v *View) SeenFrom(n Node, loc [2]byte, now uint64) bool {
	want := located | uint32(loc[0])<<8 | uint32(loc[1])
	from, hi := v.seenList(n)
	for lo := 0; lo < hi; {
		mid := (lo + hi) / 2
		s := v.seenAt(from, mid)
		if s.loc == want {
			return s.visible(now)
		}
		if s.loc < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return false
}
