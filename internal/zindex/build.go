package zindex

import (
	"cmp"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
	"unsafe"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// parts is the number of hash ranges that entries are collected in, so that
// the table is filled range by range within the processor's cache.
const parts = 256

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
	memory  cdb.Memory
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
	maxBlock   = 256
)

func (h *heap) add(m cdb.Memory, e entry) {
	if len(h.cur) == cap(h.cur) {
		if h.n > 0 {
			h.full = append(h.full, h.cur)
		}
		h.cur = newBlock(m, min(max(firstBlock, 2*cap(h.cur)), maxBlock))
	}
	h.cur = append(h.cur, e)
	h.n++
}

func newBlock(m cdb.Memory, n int) []entry {
	if m == nil {
		return make([]entry, 0, n)
	}
	b := m(n * int(unsafe.Sizeof(entry{})))
	return unsafe.Slice((*entry)(unsafe.Pointer(&b[0])), n)[:0]
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

// NewBuilder starts an index. What it keeps of each record lies in m.
func NewBuilder(m cdb.Memory) *Builder { return newBuilder(0, m) }

func newBuilder(try int, m cdb.Memory) *Builder {
	return &Builder{seed: seeds[try], memory: m, above: []uint32{0}, wild: []bool{false}, static: []bool{false}, from: []uint64{0}, sinfo: []structInfo{{}}}
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
	b.entries[h>>56].add(b.memory, entry{h, pos | uint64(r.Type)<<recTypeBit | flags<<recFlagsBit, p, uint8(len(name))})
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

// Build makes the index of a whole data.cdb in memory.
func Build(c []byte, id Identity) ([]byte, error) {
	b, err := collect(c, 0)
	if err != nil {
		return nil, err
	}
	size := headerLen + int(b.buckets()+MaxProbe)*bucketLen + b.structs.len()*structLen
	// Room for the lists of names with several records, whose number is not yet
	// known: where they are few, the whole need not be copied for them.
	m := memory{make([]byte, 0, size+size/16+len(b.chain)*2*wordLen)}
	if err := b.write(&m, c, id, 0); err != nil {
		return nil, err
	}
	return m.b, nil
}

// collect adds the records of a whole data.cdb to a Builder.
func collect(c []byte, try int) (*Builder, error) {
	b := newBuilder(try, nil)
	pos := uint64(cdb.HeaderLen)
	err := cdb.Reader(c).Each(func(key, data []byte) error {
		p := pos
		pos += 8 + uint64(len(key)) + uint64(len(data))
		return b.Add(p, key, data)
	})
	return b, err
}

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(m.b) {
		m.b = slices.Grow(m.b, end-len(m.b))[:end]
	}
	return copy(m.b[off:], p), nil
}

// Write writes the index to w, which must be empty, from the start to the end
// but for a few words and the header, which come last; c are the bytes of the
// data.cdb that the records were added from. The Builder is used up.
func (b *Builder) Write(w io.WriterAt, c []byte, id Identity) error { return b.write(w, c, id, 0) }

func (b *Builder) write(w io.WriterAt, c []byte, id Identity, try int) error {
	err := b.layout(w, c, id)
	if err == errCrowded {
		if try+1 == len(seeds) {
			return ErrFormat
		}
		*b = Builder{}
		again, err := collect(c, try+1)
		if err != nil {
			return err
		}
		return again.write(w, c, id, try+1)
	}
	return err
}

// buckets leaves half of the slots free: with linear probing at three quarters
// the longest chain among a million names is well over MaxProbe buckets, at
// one half about half of it.
func (b *Builder) buckets() uint64 {
	total := b.parents.len()
	for i := range b.entries {
		total += b.entries[i].n
	}
	return uint64(total)/2 + 1
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

// window is the piece of the table that is being filled: the buckets of one
// part of the hashes, those behind them that its last names may need, and a few
// before them that wait to be written. It stays in the processor's cache, and
// the table as a whole is never in memory.
type window struct {
	slots   []byte
	first   uint64 // bucket that slots begin with
	start   uint64 // bucket that the part begins with
	buckets uint64 // of the whole table
	// settled slots, from start on, came with names of the parts before and are
	// complete; no name of this part is among them.
	settled [(MaxProbe + 1) * bucketSlots]bool
}

// flushLen is how many bytes of finished slots are written at a time, at least.
const flushLen = 1 << 16

// startOf is the first bucket that a name of part p may begin in.
func (w *window) startOf(p int) uint64 {
	if p == parts {
		return w.buckets
	}
	bk, _ := bits.Mul64(uint64(p)<<56, w.buckets)
	return bk
}

// begin turns to part p.
func (w *window) begin(p int) {
	w.start = w.startOf(p)
	at := w.offset(w.start)
	for i := range w.settled {
		w.settled[i] = binary.LittleEndian.Uint64(w.slots[at+i*slotLen+8:])&flagUsed != 0
	}
}

func (w *window) offset(bucket uint64) int { return int(bucket-w.first) * bucketLen }

// fresh calls f for every slot that part p has filled.
func (w *window) fresh(p int, f func(slot []byte)) {
	start, end := w.offset(w.start), w.offset(w.startOf(p+1)+1+MaxProbe)
	for at := start; at < end; at += slotLen {
		if i := (at - start) / slotLen; i < len(w.settled) && w.settled[i] {
			continue
		}
		if s := w.slots[at:][:slotLen]; binary.LittleEndian.Uint64(s[8:])&flagUsed != 0 {
			f(s)
		}
	}
}

// slide writes what is finished when part p is.
func (w *window) slide(p int, out io.WriterAt) error {
	end := w.startOf(p + 1)
	if p == parts-1 {
		end += MaxProbe
	}
	n := w.offset(end)
	if n < flushLen && p < parts-1 {
		return nil
	}
	_, err := out.WriteAt(w.slots[:n], headerLen+int64(w.first)*bucketLen)
	clear(w.slots[copy(w.slots, w.slots[n:]):])
	w.first = end
	return err
}

// place finds the slot of a name or a free one.
func (w *window) place(h uint64, parent uint32, n uint8, same func(w1 uint64) bool) (at int, found bool, err error) {
	le := binary.LittleEndian
	bk, _ := bits.Mul64(h, w.buckets)
	at = w.offset(bk)
	start := w.offset(w.start)
	for end := at + MaxProbe*bucketLen; at < end; at += slotLen {
		w0, w1 := le.Uint64(w.slots[at:]), le.Uint64(w.slots[at+8:])
		if w1&flagUsed == 0 {
			return at, false, nil
		}
		if uint32(w0) != uint32(h) || uint32(w0>>32) != parent || uint8(w1>>lenBit) != n {
			continue
		}
		if i := (at - start) / slotLen; (i >= len(w.settled) || !w.settled[i]) && same(w1) {
			return at, true, nil
		}
	}
	return 0, false, errCrowded
}

// byHash sorts the ids of names by the part their hash is in.
func byHash(n *names) (ids [parts][]uint32) {
	for id := 1; id < n.len(); id++ {
		p := n.hash[id] >> 56
		ids[p] = append(ids[p], uint32(id))
	}
	return ids
}

type extra struct {
	slot int
	rec  uint64
}

// layout writes everything, the header last.
func (b *Builder) layout(out io.WriterAt, c []byte, id Identity) error {
	le := binary.LittleEndian
	dyn := b.dynamics()
	ctx := b.contexts()
	structs := make([]byte, b.structs.len()*structLen)
	parentsOf, structsOf := byHash(&b.parents), byHash(&b.structs)
	win := &window{buckets: b.buckets()}
	most := uint64(0)
	for p := range parts {
		most = max(most, win.startOf(p+1)-win.startOf(p))
	}
	win.slots = make([]byte, flushLen+int(most+1+MaxProbe)*bucketLen)
	var words []uint64 // the lists
	var extras []extra
	if _, err := out.WriteAt(make([]byte, headerLen), 0); err != nil { // its room
		return err
	}
	for p := range b.entries {
		win.begin(p)
		extras = extras[:0]
		err := b.entries[p].all(func(e *entry) error {
			at, found, err := win.place(e.hash, e.parent, e.len, func(w1 uint64) bool {
				// Same hash, parent and length, yet perhaps another name.
				return (w1&FlagWild != 0) == (e.rec>>recFlagsBit&recWild != 0) &&
					string(keyAt(c, w1&posMask)) == string(keyAt(c, e.rec&posMask))
			})
			if err != nil {
				return err
			}
			s := win.slots[at:][:slotLen]
			w1 := le.Uint64(s[8:])
			if found {
				w1 |= FlagMulti
				extras = append(extras, extra{at, e.rec})
			} else {
				le.PutUint64(s, uint64(uint32(e.hash))|uint64(e.parent)<<32)
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
			le.PutUint64(s[8:], w1)
			return nil
		})
		if err != nil {
			return err
		}
		b.entries[p] = heap{} // used up
		slices.SortStableFunc(extras, func(a, b extra) int { return cmp.Compare(a.slot, b.slot) })
		for i := 0; i < len(extras); {
			j := i
			for ; j < len(extras) && extras[j].slot == extras[i].slot; j++ {
			}
			s := win.slots[extras[i].slot:][:slotLen]
			w1 := le.Uint64(s[8:])
			ref := uint64(len(words))
			words = append(words, uint64(j-i+1), recWord(c, w1&posMask))
			for _, e := range extras[i:j] {
				words = append(words, e.rec&^(recWild<<recFlagsBit))
			}
			le.PutUint64(s[8:], w1&^posMask|ref)
			i = j
		}
		is := func(name []byte) func(w1 uint64) bool {
			return func(w1 uint64) bool {
				pos := w1 & posMask
				if w1&FlagMulti != 0 {
					pos = words[pos+1] & posMask
				}
				key := keyAt(c, pos)
				if w1&FlagWild != 0 {
					return dnsname.IsWildcard(name) && string(name[2:]) == string(key)
				}
				return string(key) == string(name)
			}
		}
		for _, id := range parentsOf[p] {
			name, h := b.parents.name(id), b.parents.hash[id]
			at, found, err := win.place(h, b.above[id], uint8(len(name)), is(name))
			if err != nil {
				return err
			}
			s := win.slots[at:][:slotLen]
			w1 := le.Uint64(s[8:])
			if !found {
				le.PutUint64(s, uint64(uint32(h))|uint64(b.above[id])<<32)
				w1 = b.from[id] | flagUsed | FlagENT | uint64(len(name))<<lenBit | FlagMaybe
			}
			w1 |= FlagBelow
			if b.wild[id] {
				w1 |= FlagHasWild
			}
			if dyn == nil || b.static[id] {
				w1 &^= FlagMaybe
			} else if w1&FlagMaybe != 0 {
				dyn.add(id, headerLen+int64(win.first)*bucketLen+int64(at), w1)
			}
			le.PutUint64(s[8:], w1)
		}
		// From here on a slot no more says what is above its name but what the
		// nearest structural name is.
		for _, i := range structsOf[p] {
			name, in := b.structs.name(i), &b.sinfo[i]
			at, found, err := win.place(b.structs.hash[i], in.parent, uint8(len(name)), is(name))
			if err != nil || !found {
				return ErrFormat
			}
			s := win.slots[at:][:slotLen]
			if dyn != nil {
				dyn.note(b, c, words, le.Uint32(s[4:]), le.Uint64(s[8:]))
			}
			le.PutUint32(s[4:], i)
			e := structs[int(i)*structLen:]
			le.PutUint32(e, ctx[in.parent])
			le.PutUint32(e[4:], in.flags|StructNode)
			le.PutUint64(e[16:], le.Uint64(s[8:]))
			le.PutUint64(e[32:], in.pos)
			e[40] = uint8(dnsname.Labels(name))
		}
		win.fresh(p, func(s []byte) {
			w1 := le.Uint64(s[8:])
			if w1&FlagStruct != 0 {
				return
			}
			if dyn != nil {
				dyn.note(b, c, words, le.Uint32(s[4:]), w1)
			}
			le.PutUint32(s[4:], ctx[le.Uint32(s[4:])])
		})
		if err := win.slide(p, out); err != nil {
			return err
		}
	}

	if dyn != nil {
		var err error
		if words, err = dyn.lists(b, c, words, structs, out); err != nil {
			return err
		}
	}
	order := make([]uint32, 0, b.structs.len())
	for i := 1; i < b.structs.len(); i++ {
		order = append(order, uint32(i))
	}
	// Zone and first cut of each, from the top down.
	slices.SortFunc(order, func(x, y uint32) int {
		return int(structs[int(x)*structLen+40]) - int(structs[int(y)*structLen+40])
	})
	for _, s := range order {
		e := structs[int(s)*structLen:]
		p := structs[int(le.Uint32(e))*structLen:]
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
	chains := b.chains(&View{idx: structs, cdb: c, seed: b.seed, nstructs: uint32(b.structs.len())}, ctx)
	if len(chains) > 0 {
		b.flags |= HasChains
	}

	w := tail{out: out, off: headerLen + int64(win.buckets+MaxProbe)*bucketLen}
	w.write(structs)
	for _, x := range words {
		w.word(x)
	}
	for i := range chains {
		w.word(chains[i].prefix)
	}
	for i := range chains {
		w.word(chains[i].word)
	}
	w.flush()
	if w.err != nil {
		return w.err
	}
	var h [headerLen]byte
	copy(h[:], Magic)
	le.PutUint64(h[16:], b.seed)
	le.PutUint64(h[24:], id.Size)
	le.PutUint64(h[32:], id.Inode)
	le.PutUint64(h[40:], uint64(id.MTime))
	le.PutUint64(h[48:], headerSum(c))
	le.PutUint64(h[56:], win.buckets)
	le.PutUint64(h[64:], uint64(len(words)))
	le.PutUint64(h[72:], uint64(len(chains)))
	le.PutUint64(h[80:], uint64(w.off))
	le.PutUint32(h[88:], uint32(b.structs.len()))
	le.PutUint32(h[92:], b.flags)
	le.PutUint64(h[96:], b.records)
	le.PutUint64(h[120:], sum(h[:120]))
	_, err := out.WriteAt(h[:], 0)
	return err
}

// contexts gives the nearest structural name at or above each parent. A parent
// has a smaller id than none of the names below it only by the order of
// recursion, so it asks recursively and remembers.
func (b *Builder) contexts() []uint32 {
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
	return ctx
}

// tail writes what comes behind the table.
type tail struct {
	out io.WriterAt
	buf []byte
	off int64
	err error
}

func (w *tail) write(p []byte) {
	w.buf = append(w.buf, p...)
	if len(w.buf) >= flushLen {
		w.flush()
	}
}

func (w *tail) word(x uint64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, x)
	if len(w.buf) >= flushLen {
		w.flush()
	}
}

func (w *tail) flush() {
	if w.err == nil {
		_, w.err = w.out.WriteAt(w.buf, w.off)
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
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
