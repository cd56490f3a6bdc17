package cache

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// A shard is one block:
//
//	index   buckets of 32 slots of 4 bytes, two cache lines. A slot is 0 or
//	        tag<<offBits | offset/8. A key looks in the line its hash names
//	        and then in the other; overflow is rare and then costs one old
//	        entry, never a longer search. The number of buckets grows with
//	        that of entries, by a quarter at a time, so that a half-empty
//	        cache has touched, and occupies, only half of its index.
//	ghosts  fingerprints of 2 bytes, 4 to a set, newest first
//	rings   small and main, whole entries in a row, multiples of 8 bytes
type shard struct {
	mu      sync.Mutex
	mem     []byte
	index   []byte // part of mem
	ghosts  []byte // part of mem
	buckets int    // in use
	most    int    // buckets there is room for
	sets    uint64
	haunts  bool // whether there is a ghost at all
	offBits uint
	small   ring
	main    ring
	live    int

	hit, miss, evicted, expired uint64
	_                           [64]byte // keeps neighbours off this cache line
}

const (
	slotBytes   = 4
	lineSlots   = 16
	lineBytes   = slotBytes * lineSlots
	bucketSlots = 2 * lineSlots
	bucketBytes = slotBytes * bucketSlots
	// fullBucket is how many entries a bucket has on average before there must
	// be more: at 17 one of 2000 buckets would want more than 32.
	fullBucket   = 17
	firstBuckets = 8
	// bytesPerSlot: one slot for so many bytes of block. Entries have 40 bytes
	// at least and 60 to 100 usually, so that the index is half full in a full
	// cache, and takes a twelfth of the block.
	bytesPerSlot = 48
	ghostBytes   = 2
	ghostWays    = 4
	// bytesPerGhost: ghosts for as many entries as the main ring has, when
	// they are of 64 bytes (S3-FIFO, section 4.1: as many as the main queue).
	bytesPerGhost = 64
	// smallPart: the small ring's share, a tenth (S3-FIFO, section 4.1).
	smallPart = 10
	// maxRounds bounds the entries that one insertion moves to the front
	// again; beyond it entries go, asked for or not.
	maxRounds = 32
)

// ring is a stretch of mem used round and round.
type ring struct {
	base, cap  int // bytes in mem
	head, tail int // next free byte, oldest entry; relative to base
	used       int // bytes between tail and head
}

func (s *shard) init(mem []byte) {
	s.mem = mem
	n := len(mem)
	s.most = max(1, n/(bytesPerSlot*bucketSlots))
	s.buckets = min(s.most, firstBuckets)
	ib := s.most * bucketBytes
	s.sets = uint64(max(1, n/(bytesPerGhost*ghostWays)))
	gb := (int(s.sets)*ghostBytes*ghostWays + 63) &^ 63
	s.index, mem = mem[:ib:ib], mem[ib:]
	s.ghosts, mem = mem[:gb:gb], mem[gb:]
	base := n - len(mem)
	small := len(mem) / smallPart &^ (unit - 1)
	s.small = ring{base: base, cap: small}
	s.main = ring{base: base + small, cap: (len(mem) - small) &^ (unit - 1)}
	s.offBits = uint(bits.Len(uint(n / unit)))
}

func (s *shard) u16(off int) uint16 { return binary.LittleEndian.Uint16(s.mem[off:]) }
func (s *shard) bits(off int) uint32 {
	return binary.LittleEndian.Uint32(s.mem[off+8:])
}
func (s *shard) setBits(off int, b uint32) { binary.LittleEndian.PutUint32(s.mem[off+8:], b) }
func (s *shard) expire(off int) uint32     { return binary.LittleEndian.Uint32(s.mem[off+4:]) }
func (s *shard) sizeOf(off int) int        { return int(s.u16(off)) * unit }
func (s *shard) kind(off int) Kind         { return Kind(s.bits(off)>>kindShift&3) + 1 }
func (s *shard) entry(off int) []byte      { return s.mem[off : off+s.sizeOf(off)] }

func (s *shard) touch(off int) {
	if b := s.bits(off); b&freqMask != freqMask {
		s.setBits(off, b+1<<freqShift)
	}
}

// line is where a key looks first, other where it looks then; both are offsets
// into index.
func (s *shard) line(h uint64) int {
	hi, _ := bits.Mul64(h<<8, uint64(s.buckets)) // the top bits chose the shard
	return int(hi)*bucketBytes + int(h>>5&1)*lineBytes
}

func (s *shard) other(l int) int { return l ^ lineBytes }

// grow makes room for one more entry in the index: when it is due, the index
// is made anew, larger, from the rings. That takes about 30 ns an entry, and
// with 16 shards nobody waits for more than a sixteenth of it. No entry may be
// unlinked meanwhile.
func (s *shard) grow(c *Cache) {
	if s.live < s.buckets*fullBucket || s.buckets == s.most {
		return
	}
	s.rebuild(c, s.buckets+s.buckets/4+1)
}

func (s *shard) rebuild(c *Cache, buckets int) {
	s.buckets = min(s.most, buckets)
	clear(s.index[:s.buckets*bucketBytes])
	s.live = 0
	for _, r := range [...]*ring{&s.main, &s.small} {
		s.each(r, func(off int) { s.link(c.hashEntry(s.entry(off)), off) })
	}
}

func (s *shard) tag(h uint64) uint32 { return uint32(h) &^ (1<<s.offBits - 1) }

func (s *shard) slot(b, i int) uint32 {
	return binary.LittleEndian.Uint32(s.index[b+i*slotBytes:])
}

func (s *shard) setSlot(b, i int, v uint32) {
	binary.LittleEndian.PutUint32(s.index[b+i*slotBytes:], v)
}

// find gives the offset of the live entry of k in mem, 0 if there is none (no
// entry is at 0: the index is).
func (s *shard) find(k Key) int {
	l := s.line(k.hash)
	if off := s.findIn(l, k); off != 0 {
		return off
	}
	return s.findIn(s.other(l), k)
}

func (s *shard) findIn(b int, k Key) int {
	line := s.index[b : b+lineBytes : b+lineBytes]
	mask := uint32(1)<<s.offBits - 1
	tag := s.tag(k.hash)
	for i := 0; i < lineBytes; i += slotBytes {
		v := binary.LittleEndian.Uint32(line[i:])
		if v&^mask == tag && v != 0 {
			if off := int(v&mask) * unit; s.is(off, k) {
				return off
			}
		}
	}
	return 0
}

func (s *shard) is(off int, k Key) bool {
	end := off + headerSize + len(k.Name)
	return s.u16(off+2) == uint16(k.Type) && s.kind(off) == k.Kind &&
		end <= off+s.sizeOf(off) && bytes.Equal(s.mem[off+headerSize:end], k.Name)
}

// where finds the slot that points to off.
func (s *shard) where(h uint64, off int) (b, i int, ok bool) {
	want := s.tag(h) | uint32(off/unit)
	b = s.line(h)
	for range 2 {
		for i := range lineSlots {
			if s.slot(b, i) == want {
				return b, i, true
			}
		}
		b = s.other(b)
	}
	return 0, 0, false
}

func (s *shard) unlink(h uint64, off int) {
	if b, i, ok := s.where(h, off); ok {
		s.setSlot(b, i, 0)
		s.live--
	}
}

// link points a free slot of the key's bucket to off. When it is full the least
// asked-for of its entries gives way.
func (s *shard) link(h uint64, off int) {
	b := s.line(h)
	v := s.tag(h) | uint32(off/unit)
	s.live++
	for range 2 {
		for i := range lineSlots {
			if s.slot(b, i) == 0 {
				s.setSlot(b, i, v)
				return
			}
		}
		b = s.other(b)
	}
	var wb, wi int
	worst := ^uint32(0)
	for range 2 {
		for i := range lineSlots {
			o := int(s.slot(b, i)&(1<<s.offBits-1)) * unit
			f := s.bits(o)&freqMask<<8 | uint32(uint8(i*7+int(h))) // ties: anyone, by the hash
			if f < worst {
				worst, wb, wi = f, b, i
			}
		}
		b = s.other(b)
	}
	old := int(s.slot(wb, wi)&(1<<s.offBits-1)) * unit
	s.setBits(old, s.bits(old)|deadBit)
	s.setSlot(wb, wi, v)
	s.evicted++
	s.live--
}

func (s *shard) remove(h uint64, off int) {
	s.unlink(h, off)
	s.setBits(off, s.bits(off)|deadBit)
}

// put replaces or appends. k's old entry keeps its place when the size allows,
// and its standing in any case.
func (s *shard) put(c *Cache, k Key, e *Entry, n int, now uint32) bool {
	s.grow(c)
	freq := uint32(0)
	r := &s.small
	if old := s.find(k); old != 0 {
		freq = s.bits(old) & freqMask
		if s.sizeOf(old) == n {
			e.write(s.mem[old:old+n], k, freq)
			return true
		}
		if old >= s.main.base {
			r = &s.main
		}
		s.remove(k.hash, old)
	} else if s.haunted(k.hash) {
		r = &s.main
	}
	if n > r.cap/4 {
		r = &s.main // too much for the small ring: it would empty it
	}
	if n > r.cap/4 {
		return false
	}
	off := s.alloc(c, r, n, now, 0)
	e.write(s.mem[off:off+n], k, freq)
	s.link(k.hash, off)
	return true
}

// alloc makes room for n bytes, at most a quarter of the ring, at the head of
// r, dropping or moving what stands at its tail. kept counts the entries moved
// in this insertion.
func (s *shard) alloc(c *Cache, r *ring, n int, now uint32, kept int) int {
	for {
		if r.used == 0 {
			r.head, r.tail = 0, 0
		}
		free, rest := r.cap-r.used, r.cap-r.head
		switch {
		case rest >= n && free >= n:
			off := r.base + r.head
			r.head += n
			r.used += n
			return off
		case rest < n && free >= rest:
			// the end of the ring stays unused, the head starts over
			if rest > 0 {
				binary.LittleEndian.PutUint16(s.mem[r.base+r.head:], 0)
			}
			r.used += rest
			r.head = 0
		default:
			kept = s.reclaim(c, r, now, kept)
		}
	}
}

// reclaim frees the oldest entry of r, which has one.
func (s *shard) reclaim(c *Cache, r *ring, now uint32, kept int) int {
	if r.tail == r.cap {
		r.tail = 0
	}
	off := r.base + r.tail
	n := s.sizeOf(off)
	if n == 0 {
		r.used -= r.cap - r.tail
		r.tail = 0
		return kept
	}
	r.tail += n
	r.used -= n
	b := s.bits(off)
	if b&deadBit != 0 {
		return kept
	}
	h := c.hashEntry(s.mem[off : off+n])
	if s.expire(off) <= sub(now, c.stale.Load()) {
		s.unlink(h, off)
		s.expired++
		return kept
	}
	asked := b&freqMask != 0
	m := &s.main
	if r == &s.small {
		// while the main ring has room nothing is forgotten
		if asked && kept < maxRounds || m.cap-m.used >= n && m.cap-m.head >= n {
			s.unlink(h, off)
			to := s.alloc(c, m, n, now, kept+1) // touches the main ring only
			s.move(h, to, off, n, b&^uint32(freqMask))
			return kept + 1
		}
		s.haunt(h)
	} else if asked && kept < maxRounds && m.cap-m.head >= n {
		// its own bytes are free now, and no new start is needed: it fits
		s.unlink(h, off)
		to := m.base + m.head
		m.head += n
		m.used += n
		s.move(h, to, off, n, b-1<<freqShift)
		return kept + 1
	}
	s.unlink(h, off)
	s.evicted++
	return kept
}

// move copies an unlinked entry; the two places may overlap.
func (s *shard) move(h uint64, to, off, n int, b uint32) {
	copy(s.mem[to:to+n], s.mem[off:off+n])
	s.setBits(to, b)
	s.link(h, to)
}

// keyOf reads an entry's key, but for the hash.
func keyOf(m []byte) Key {
	l, _ := dnsname.Scan(m[headerSize:])
	b := binary.LittleEndian.Uint32(m[8:])
	return Key{Name: m[headerSize : headerSize+l], Type: dns.Type(binary.LittleEndian.Uint16(m[2:])), Kind: Kind(b>>kindShift&3) + 1}
}

// hashEntry computes an entry's hash anew; only eviction and the dump need it.
func (c *Cache) hashEntry(m []byte) uint64 {
	k := keyOf(m)
	return c.hash(k.Kind, k.Type, k.Name)
}

func (s *shard) ghostSet(h uint64) (set []byte, fp uint16) {
	hi, _ := bits.Mul64(h<<8, s.sets)
	i := int(hi) * ghostBytes * ghostWays
	fp = uint16(h>>3) | 1 // 0 is an empty place
	return s.ghosts[i : i+ghostBytes*ghostWays], fp
}

// haunt remembers that h left the small ring unasked-for.
func (s *shard) haunt(h uint64) {
	s.haunts = true
	set, fp := s.ghostSet(h)
	copy(set[ghostBytes:], set[:len(set)-ghostBytes])
	binary.LittleEndian.PutUint16(set, fp)
}

// haunted reports, and forgets, whether h left the small ring not long ago.
//
// A cache that has forgotten nothing yet does not look: the ghosts' memory is
// a thirty-second of the block, and would become resident page by page.
func (s *shard) haunted(h uint64) bool {
	if !s.haunts {
		return false
	}
	set, fp := s.ghostSet(h)
	for i := 0; i < len(set); i += ghostBytes {
		if binary.LittleEndian.Uint16(set[i:]) == fp {
			binary.LittleEndian.PutUint16(set[i:], 0)
			return true
		}
	}
	return false
}
