package zindex

import (
	"cmp"
	"encoding/binary"
	"io"
	"math/bits"
	"runtime/debug"
	"slices"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// parts is the number of hash ranges that entries are collected in, so that
// the table is filled range by range within the processor's cache.
const parts = 256

// With very many records the entries and the index would double the memory; as
// the entries are used up from one end while the index fills from the same
// end, what is free goes back to the system every few parts. Each time costs a
// garbage collection of a few milliseconds.
const (
	manyRecords  = 200_000
	releaseEvery = 32 // parts
)

// seeds are tried in turn. A data file could be made to collide under one.
var seeds = [...]uint64{0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89}

// entry is one record before it has its place.
type entry struct {
	hash   uint64
	rec    uint64 // position, type << 40, flags << 56
	parent uint32 // id in the table of parents
	len    uint8  // of the name, bytes
}

const (
	recTypeBit  = 40
	recFlagsBit = 56
	recWild     = 1 << 7 // among an entry's flags only
)

// Builder collects records in file order and makes the index of them.
type Builder struct {
	seed    uint64
	entries [parts]heap
	parents names // every name that has a name below it
	structs names // every owner of NS, SOA or DNAME
	above   []uint32
	wild    []bool // by parent id: "*" lies below
	static  []bool // by parent id: a record that is always visible lies below
	from    []uint64
	sinfo   []structInfo
	chain   []chainRec
	last    []byte // the parent seen last, and its id
	lastID  uint32
	flags   uint32
	records uint64
	buf     [dns.MaxName + 1]byte
}

type structInfo struct {
	parent uint32 // id in the table of parents
	flags  uint32
	pos    uint64 // a record whose key is the name
}

type chainRec struct {
	pos    uint64
	parent uint32
	nsec3  bool
	sig    bool
}

// heap is a list of entries that grows without being copied: the entries are
// most of the memory that building takes.
type heap struct {
	full [][]entry
	cur  []entry
	n    int
}

// Block sizes, in entries.
const (
	firstBlock = 8
	maxBlock   = 1024
)

func (h *heap) add(e entry) {
	if len(h.cur) == cap(h.cur) {
		if h.n > 0 {
			h.full = append(h.full, h.cur)
		}
		h.cur = make([]entry, 0, min(max(firstBlock, 2*cap(h.cur)), maxBlock))
	}
	h.cur = append(h.cur, e)
	h.n++
}

// all calls f for every entry in the order of adding, until it fails.
func (h *heap) all(f func(e *entry) error) error {
	for _, block := range h.full {
		for i := range block {
			if err := f(&block[i]); err != nil {
				return err
			}
		}
	}
	for i := range h.cur {
		if err := f(&h.cur[i]); err != nil {
			return err
		}
	}
	return nil
}

// names gives small numbers, from 1, to distinct names.
type names struct {
	text  []byte
	off   []uint32 // start in text by id; one more at the end
	hash  []uint64
	slots []uint32
}

// get finds or, when add is set, makes the id of name; 0 is none.
func (n *names) get(name []byte, h uint64, add bool) (id uint32, isNew bool) {
	if len(n.off) == 0 {
		n.off, n.hash, n.slots = []uint32{0, 0}, []uint64{0}, make([]uint32, 64)
	}
	mask := uint64(len(n.slots) - 1)
	i := h & mask
	for ; n.slots[i] != 0; i = (i + 1) & mask {
		if id := n.slots[i]; n.hash[id] == h && string(n.name(id)) == string(name) {
			return id, false
		}
	}
	if !add {
		return 0, false
	}
	id = uint32(len(n.hash))
	n.slots[i] = id
	n.hash = append(n.hash, h)
	n.text = append(n.text, name...)
	n.off = append(n.off, uint32(len(n.text)))
	if len(n.hash)*4 > len(n.slots)*3 {
		s := make([]uint32, 2*len(n.slots))
		mask := uint64(len(s) - 1)
		for id, h := range n.hash[1:] {
			i := h & mask
			for ; s[i] != 0; i = (i + 1) & mask {
			}
			s[i] = uint32(id + 1)
		}
		n.slots = s
	}
	return id, true
}

func (n *names) name(id uint32) []byte { return n.text[n.off[id]:n.off[id+1]] }
func (n *names) len() int              { return max(len(n.hash), 1) }

// NewBuilder starts an index.
func NewBuilder() *Builder { return newBuilder(0) }

func newBuilder(try int) *Builder {
	return &Builder{seed: seeds[try], above: []uint32{0}, wild: []bool{false}, static: []bool{false}, from: []uint64{0}, sinfo: []structInfo{{}}}
}

// parent gives the id of name as a name that has others below it. pos is any
// record at or below it.
func (b *Builder) parent(name []byte, pos uint64) uint32 {
	if string(name) == string(b.last) {
		return b.lastID
	}
	id, isNew := b.parents.get(name, Hash(b.seed, name), true)
	if isNew {
		b.above = append(b.above, 0)
		b.wild = append(b.wild, false)
		b.static = append(b.static, false)
		b.from = append(b.from, pos)
		if len(name) > 1 {
			up := b.parent(dnsname.Parent(name), pos)
			b.above[id] = up
			b.wild[up] = b.wild[up] || dnsname.IsWildcard(name) // perhaps without records of its own
		}
	}
	b.last, b.lastID = append(b.last[:0], name...), id
	return id
}

// Add takes the record at pos, which must be added in file order. ErrFormat
// says that it is none that tinydns-data makes.
func (b *Builder) Add(pos uint64, key, data []byte) error {
	var r Record
	if len(key) >= 2 && key[0] == 0 { // a location, compat: djbdns.md section 4.4
		b.flags |= HasLocations
		if n := uint32(len(key) - 1); key[1] == '%' && n <= 5 && n > b.flags>>prefixBit&prefixMask {
			b.flags = b.flags&^(prefixMask<<prefixBit) | n<<prefixBit
		}
		return nil
	}
	if pos > posMask || !dnsname.Valid(key) || !ParseData(data, &r) {
		return ErrFormat
	}
	if !wellFormed(r.Type, r.Data) {
		// Lines can make such a record: a type 39 in octal bytes, or the SOA of
		// a name so long that "hostmaster." before it is no name any more. No
		// answer can hold it, so it is as if it were not there; the others are
		// served.
		return nil
	}
	b.records++
	name, above := key, key
	if r.Wild {
		if len(key)+2 > dns.MaxName {
			return ErrFormat
		}
		b.buf[0], b.buf[1] = 1, '*'
		name = b.buf[:2+copy(b.buf[2:], key)]
	} else if len(key) > 1 {
		above = dnsname.Parent(key)
	}
	var p uint32
	if len(name) > 1 {
		p = b.parent(above, pos)
		if r.Wild || dnsname.IsWildcard(name) {
			b.wild[p] = true
		}
	}
	flags := uint64(r.flags)
	if r.flags == 0 {
		b.static[p] = true
	} else {
		b.flags |= HasDynamic
		if r.flags&RecLocation != 0 {
			b.flags |= HasLocations
		}
	}
	t := r.Type
	if t == dns.TypeRRSIG && len(r.Data) >= 2 {
		t = dns.Type(binary.BigEndian.Uint16(r.Data)) // covered, RFC 4034, section 3.1.1
	}
	if (t == dns.TypeNSEC || t == dns.TypeNSEC3) && r.flags == 0 {
		b.chain = append(b.chain, chainRec{pos, p, t == dns.TypeNSEC3, r.Type == dns.TypeRRSIG})
		if t == dns.TypeNSEC3 {
			return nil // its owner is no name of the zone, RFC 5155, section 7.2.8
		}
	}
	h := Hash(b.seed, name)
	if r.Wild {
		flags |= recWild
	} else if r.Type == dns.TypeNS || r.Type == dns.TypeSOA || r.Type == dns.TypeDNAME {
		b.structural(name, h, p, pos, &r)
	}
	b.entries[h>>56].add(entry{h, pos | uint64(r.Type)<<recTypeBit | flags<<recFlagsBit, p, uint8(len(name))})
	return nil
}

func (b *Builder) structural(name []byte, h uint64, parent uint32, pos uint64, r *Record) {
	id, isNew := b.structs.get(name, h, true)
	if isNew {
		b.sinfo = append(b.sinfo, structInfo{parent: parent, pos: pos})
	}
	if r.flags != 0 {
		b.sinfo[id].flags |= StructDynamic
		return
	}
	switch r.Type {
	case dns.TypeNS:
		b.sinfo[id].flags |= StructNS
	case dns.TypeSOA:
		b.sinfo[id].flags |= StructSOA
	case dns.TypeDNAME:
		b.sinfo[id].flags |= StructDNAME
	}
}

// Build makes the index of a whole data.cdb.
func Build(c []byte, id Identity) ([]byte, error) {
	return build(c, id, 0)
}

func build(c []byte, id Identity, try int) ([]byte, error) {
	b := newBuilder(try)
	pos := uint64(cdb.HeaderLen)
	err := cdb.Reader(c).Each(func(key, data []byte) error {
		p := pos
		pos += 8 + uint64(len(key)) + uint64(len(data))
		return b.Add(p, key, data)
	})
	if err != nil {
		return nil, err
	}
	return b.finish(c, id, try)
}

// Finish gives the index; c are the bytes of the data.cdb that the records
// were added from.
func (b *Builder) Finish(c []byte, id Identity) ([]byte, error) { return b.finish(c, id, 0) }

// WriteTo is Finish into w.
func (b *Builder) WriteTo(w io.Writer, c []byte, id Identity) error {
	idx, err := b.Finish(c, id)
	if err == nil {
		_, err = w.Write(idx)
	}
	return err
}

// finish leaves half of the slots free: with linear probing at three quarters
// the longest chain among a million names is well over MaxProbe buckets, at
// one half about half of it.
func (b *Builder) finish(c []byte, id Identity, try int) ([]byte, error) {
	total := b.parents.len()
	for i := range b.entries {
		total += b.entries[i].n
	}
	idx, err := b.layout(c, id, uint64(total)/2+1)
	if err == errCrowded {
		if try+1 == len(seeds) {
			return nil, ErrFormat
		}
		*b = Builder{}
		return build(c, id, try+1)
	}
	return idx, err
}

type crowded struct{}

func (crowded) Error() string { return "too many names with one hash" }

var errCrowded error = crowded{}

// keyAt gives the key of the record at pos.
func keyAt(c []byte, pos uint64) []byte {
	k := uint64(binary.LittleEndian.Uint32(c[pos:]))
	return c[pos+8 : pos+8+k]
}

// dataAt gives the data of the record at pos.
func dataAt(c []byte, pos uint64) []byte {
	k := uint64(binary.LittleEndian.Uint32(c[pos:]))
	d := uint64(binary.LittleEndian.Uint32(c[pos+4:]))
	return c[pos+8+k : pos+8+k+d]
}

type extra struct{ slot, rec uint64 }

func (b *Builder) layout(c []byte, id Identity, buckets uint64) ([]byte, error) {
	slots := headerLen
	structs := slots + int(buckets+MaxProbe)*bucketSlots*slotLen
	lists := structs + b.structs.len()*structLen
	// Room for the lists of names with several records, whose number is not yet
	// known: where they are few, the whole need not be copied for them.
	idx := make([]byte, lists, lists+lists/16+len(b.chain)*2*wordLen)
	le := binary.LittleEndian

	// place finds the slot of a name or a free one.
	place := func(h uint64, parent uint32, n uint8, same func(w1 uint64) bool) (at int, found bool, err error) {
		bk, _ := bits.Mul64(h, buckets)
		at = slots + int(bk)*bucketSlots*slotLen
		for end := at + MaxProbe*bucketSlots*slotLen; at < end; at += slotLen {
			w0, w1 := le.Uint64(idx[at:]), le.Uint64(idx[at+8:])
			if w1&flagUsed == 0 {
				return at, false, nil
			}
			if uint32(w0) == uint32(h) && uint32(w0>>32) == parent && uint8(w1>>lenBit) == n && same(w1) {
				return at, true, nil
			}
		}
		return 0, false, errCrowded
	}
	if b.records > manyRecords {
		debug.FreeOSMemory() // what the compiler no longer needs
	}
	var extras []extra
	var words []uint64 // the lists
	dyn := b.dynamics()
	byPart := make([][]uint32, parts)
	for id := 1; id < b.parents.len(); id++ {
		p := b.parents.hash[id] >> 56
		byPart[p] = append(byPart[p], uint32(id))
	}
	for p := range b.entries {
		extras = extras[:0]
		err := b.entries[p].all(func(e *entry) error {
			at, found, err := place(e.hash, e.parent, e.len, func(w1 uint64) bool {
				// Same hash, parent and length, yet perhaps another name.
				return (w1&FlagWild != 0) == (e.rec>>recFlagsBit&recWild != 0) &&
					string(keyAt(c, w1&posMask)) == string(keyAt(c, e.rec&posMask))
			})
			if err != nil {
				return err
			}
			w1 := le.Uint64(idx[at+8:])
			if found {
				w1 |= FlagMulti
				extras = append(extras, extra{uint64(at), e.rec})
			} else {
				le.PutUint64(idx[at:], uint64(uint32(e.hash))|uint64(e.parent)<<32)
				w1 = e.rec&posMask | flagUsed | uint64(e.len)<<lenBit | FlagMaybe
			}
			f := e.rec >> recFlagsBit
			if f&recWild != 0 {
				w1 |= FlagWild
			}
			if f&(RecLocation|RecTimestamp) != 0 {
				w1 |= FlagDynamic
			} else {
				w1 &^= FlagMaybe
			}
			switch dns.Type(e.rec >> recTypeBit) {
			case dns.TypeNS, dns.TypeSOA, dns.TypeDNAME:
				if f&recWild == 0 {
					w1 |= FlagStruct
				}
			case dns.TypeRRSIG:
				w1 |= FlagSigs
			}
			le.PutUint64(idx[at+8:], w1)
			return nil
		})
		if err != nil {
			return nil, err
		}
		b.entries[p] = heap{} // free, for what the index takes from here on
		if b.records > manyRecords && p%releaseEvery == releaseEvery-1 {
			debug.FreeOSMemory()
		}
		slices.SortStableFunc(extras, func(a, b extra) int { return cmp.Compare(a.slot, b.slot) })
		for i := 0; i < len(extras); {
			j := i
			for ; j < len(extras) && extras[j].slot == extras[i].slot; j++ {
			}
			at := extras[i].slot
			w1 := le.Uint64(idx[at+8:])
			ref := uint64(len(words))
			words = append(words, uint64(j-i+1), recWord(c, w1&posMask))
			for _, e := range extras[i:j] {
				words = append(words, e.rec&^(recWild<<recFlagsBit))
			}
			le.PutUint64(idx[at+8:], w1&^posMask|ref)
			i = j
		}
		for _, id := range byPart[p] {
			name := b.parents.name(id)
			at, found, err := place(b.parents.hash[id], b.above[id], uint8(len(name)), func(w1 uint64) bool {
				pos := w1 & posMask
				if w1&FlagMulti != 0 {
					pos = words[pos+1] & posMask
				}
				key := keyAt(c, pos)
				if w1&FlagWild != 0 {
					return dnsname.IsWildcard(name) && string(name[2:]) == string(key)
				}
				return string(key) == string(name)
			})
			if err != nil {
				return nil, err
			}
			w1 := le.Uint64(idx[at+8:])
			if !found {
				le.PutUint64(idx[at:], uint64(uint32(b.parents.hash[id]))|uint64(b.above[id])<<32)
				w1 = b.from[id] | flagUsed | FlagENT | uint64(len(name))<<lenBit | FlagMaybe
			}
			w1 |= FlagBelow
			if dyn == nil || b.static[id] {
				w1 &^= FlagMaybe
			} else if w1&FlagMaybe != 0 {
				dyn.add(id, at)
			}
			if b.wild[id] {
				w1 |= FlagHasWild
			}
			le.PutUint64(idx[at+8:], w1)
		}
	}

	if dyn != nil {
		words = dyn.lists(b, idx[:structs], slots, c, words)
	}

	// Contexts: the nearest structural name at or above each parent. A parent
	// has a smaller id than none of the names below it only by the order of
	// recursion, so ask recursively and remember.
	ctx := make([]uint32, b.parents.len())
	known := make([]bool, b.parents.len())
	known[0] = true
	var context func(id uint32) uint32
	context = func(id uint32) uint32 { // depth at most dns.MaxLabels
		if !known[id] {
			known[id] = true
			if s, _ := b.structs.get(b.parents.name(id), b.parents.hash[id], false); s != 0 {
				ctx[id] = s
			} else {
				ctx[id] = context(b.above[id])
			}
		}
		return ctx[id]
	}
	for id := range ctx {
		context(uint32(id))
	}
	for at := slots; at < structs; at += slotLen {
		w0, w1 := le.Uint64(idx[at:]), le.Uint64(idx[at+8:])
		if w1&flagUsed == 0 {
			continue
		}
		s := uint32(0)
		if w1&FlagStruct == 0 {
			s = ctx[w0>>32]
		}
		le.PutUint64(idx[at:], uint64(uint32(w0))|uint64(s)<<32)
	}
	v := &View{idx: idx, cdb: c, seed: b.seed, buckets: buckets, slots: slots, structs: structs, lists: lists, nstructs: uint32(b.structs.len())}
	idxWords := func() {
		for _, w := range words {
			idx = le.AppendUint64(idx, w)
		}
	}
	idxWords()
	v.idx = idx
	order := make([]uint32, 0, b.structs.len())
	for s := 1; s < b.structs.len(); s++ {
		order = append(order, uint32(s))
		name := b.structs.name(uint32(s))
		at := v.slotOf(name, b.structs.hash[s])
		if at < 0 {
			return nil, ErrFormat
		}
		le.PutUint64(idx[at:], uint64(le.Uint32(idx[at:]))|uint64(s)<<32)
		e := idx[structs+s*structLen:]
		in := &b.sinfo[s]
		le.PutUint32(e, ctx[in.parent])
		le.PutUint32(e[4:], in.flags|StructNode)
		le.PutUint64(e[16:], le.Uint64(idx[at+8:]))
		le.PutUint64(e[32:], in.pos)
		e[40] = uint8(dnsname.Labels(name))
	}
	// Zone and first cut of each, from the top down.
	slices.SortFunc(order, func(x, y uint32) int {
		return int(idx[structs+int(x)*structLen+40]) - int(idx[structs+int(y)*structLen+40])
	})
	for _, s := range order {
		e := idx[structs+int(s)*structLen:]
		p := idx[structs+int(le.Uint32(e))*structLen:]
		f := le.Uint32(e[4:]) | le.Uint32(p[4:])&StructDynamic
		zone, stop := le.Uint32(p[8:]), le.Uint32(p[12:])
		switch {
		case f&StructSOA != 0 && f&StructNS != 0:
			zone, stop = s, 0
		case zone == 0 && f&StructNS != 0:
			stop = s // no zone above: the nearest delegation, as 1.05
		case zone != 0 && stop == 0 && f&(StructNS|StructDNAME) != 0:
			stop = s
		}
		le.PutUint32(e[4:], f)
		le.PutUint32(e[8:], zone)
		le.PutUint32(e[12:], stop)
	}
	chains := b.chains(v, ctx)
	for _, e := range chains {
		idx = le.AppendUint64(idx, e.prefix)
	}
	for _, e := range chains {
		idx = le.AppendUint64(idx, e.word)
	}
	if len(chains) > 0 {
		b.flags |= HasChains
	}

	h := idx[:headerLen]
	copy(h, Magic)
	le.PutUint64(h[16:], b.seed)
	le.PutUint64(h[24:], id.Size)
	le.PutUint64(h[32:], id.Inode)
	le.PutUint64(h[40:], uint64(id.MTime))
	le.PutUint64(h[48:], headerSum(c))
	le.PutUint64(h[56:], buckets)
	le.PutUint64(h[64:], uint64(len(words)))
	le.PutUint64(h[72:], uint64(len(chains)))
	le.PutUint64(h[80:], uint64(len(idx)))
	le.PutUint32(h[88:], uint32(b.structs.len()))
	le.PutUint32(h[92:], b.flags)
	le.PutUint64(h[96:], b.records)
	le.PutUint64(h[120:], sum(h[:120]))
	return idx, nil
}

// recWord makes the list word of the record at pos.
func recWord(c []byte, pos uint64) uint64 {
	var r Record
	ParseData(dataAt(c, pos), &r)
	return pos | uint64(r.Type)<<recTypeBit | uint64(r.flags)<<recFlagsBit
}

// sum is a checksum, not a defence: it tells a whole header from a torn one.
func sum(b []byte) uint64 {
	h := uint64(k0)
	for ; len(b) >= 8; b = b[8:] {
		h = mix(h^binary.LittleEndian.Uint64(b), k1) + k2
	}
	return h
}

// headerSum is over the table of tables of data.cdb, which depends on all keys
// and on where they lie.
func headerSum(c []byte) uint64 {
	if len(c) < cdb.HeaderLen {
		return 0
	}
	return sum(c[:cdb.HeaderLen])
}
