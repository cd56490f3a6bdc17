package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"sync"
)

// The dump file (docs/format-cache-dump.md), all numbers little endian:
//
//	8 bytes   "dnscach2"
//	uint64    when it was written, Unix time in seconds
//	uint32    length of the label; uint32 CRC-32C of it; the label: what Dump
//	          was given
//	blocks    uint32 length of the payload, top bit set: entries of the main ring
//	          uint32 CRC-32C of the payload
//	          payload: whole entries as in entry.go, oldest first
//	end       a block with length 8 whose payload is the number of entries;
//	          no entry is so short
const (
	dumpMagic = "dnscach2"
	mainBlock = 1 << 31
	endLength = 8
	// maxBlock bounds the label and a block's payload, in bytes; the loader reads
	// into one buffer of this size.
	maxBlock = 1 << 20
)

// Errors of Load. Blocks before the damage have been loaded.
var (
	ErrDumpFormat   = errors.New("not a cache dump of this version")
	ErrDumpChecksum = errors.New("checksum mismatch")
	ErrDumpShort    = errors.New("incomplete")
	ErrDumpLabel    = errors.New("label too long") // of Dump
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type dumper struct {
	w   io.Writer
	buf []byte // header and payload of the block being filled
	n   uint64
	top uint32
	err error
}

const (
	dumpHeader  = 24
	blockHeader = 8
)

func (d *dumper) flush() {
	p := d.buf[blockHeader:]
	if len(p) > 0 && d.err == nil {
		binary.LittleEndian.PutUint32(d.buf, uint32(len(p))|d.top)
		binary.LittleEndian.PutUint32(d.buf[4:], crc32.Checksum(p, castagnoli))
		_, d.err = d.w.Write(d.buf)
	}
	d.buf = d.buf[:blockHeader]
}

func (d *dumper) entry(s *shard, off int, limit uint32) {
	if s.expire(off) <= limit || s.kind(off) == KindFailure {
		return
	}
	m := s.entry(off)
	if len(d.buf)-blockHeader+len(m) > maxBlock {
		d.flush()
	}
	d.buf = append(d.buf, m...)
	d.n++
}

// Dump writes all entries that may still be of use at now, and gives their
// number. One shard at a time is locked. Failures are not among them: who
// starts the server anew may have mended their cause, as a wrong trust anchor.
// The label is for Load to give back.
func (c *Cache) Dump(w io.Writer, now uint32, label []byte) (int, error) {
	if len(label) > maxBlock {
		return 0, ErrDumpLabel
	}
	head := make([]byte, dumpHeader, dumpHeader+len(label))
	copy(head, dumpMagic)
	binary.LittleEndian.PutUint64(head[8:], uint64(now))
	binary.LittleEndian.PutUint32(head[16:], uint32(len(label)))
	binary.LittleEndian.PutUint32(head[20:], crc32.Checksum(label, castagnoli))
	if _, err := w.Write(append(head, label...)); err != nil {
		return 0, err
	}
	d := dumper{w: w, buf: make([]byte, blockHeader, blockHeader+maxBlock)}
	limit := sub(now, c.stale.Load())
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		d.top = mainBlock
		s.each(&s.main, func(off int) { d.entry(s, off, limit) })
		d.flush()
		d.top = 0
		s.each(&s.small, func(off int) { d.entry(s, off, limit) })
		d.flush()
		s.mu.Unlock()
		if d.err != nil {
			return int(d.n), d.err
		}
	}
	d.buf = binary.LittleEndian.AppendUint64(d.buf, d.n)
	d.top = 0
	d.flush()
	return int(d.n), d.err
}

// each calls f with the offsets of the live entries of a ring, oldest first.
func (s *shard) each(r *ring, f func(off int)) {
	at := r.tail
	for left := r.used; left > 0; {
		if at == r.cap {
			at = 0
		}
		off := r.base + at
		n := s.sizeOf(off)
		if n == 0 {
			left -= r.cap - at
			at = 0
			continue
		}
		if s.bits(off)&deadBit == 0 {
			f(off)
		}
		at += n
		left -= n
	}
}

// Expect makes the index ready for so many entries at once, instead of a
// quarter at a time; a dump of n bytes has at most n/40.
func (c *Cache) Expect(entries int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		if b := entries/len(c.shards)/fullBucket + 1; b > s.buckets {
			s.rebuild(c, b)
		}
		s.mu.Unlock()
	}
}

// Load adds the entries of a dump that are still of use at now. Their trust,
// status and expiry are those they had; none lives longer than its ttl from
// now, whatever the clock did meanwhile. What the cache has already is kept.
// It gives the number of entries taken and Dump's label; with an error too,
// which is about the first block that was not as it should be: blocks before it,
// and those that other threads were busy with, have been loaded.
func (c *Cache) Load(r io.Reader, now uint32) (int, []byte, error) {
	var head [dumpHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:8]) != dumpMagic {
		return 0, nil, ErrDumpFormat
	}
	size := binary.LittleEndian.Uint32(head[16:])
	if size > maxBlock {
		return 0, nil, ErrDumpFormat
	}
	label := make([]byte, size)
	if _, err := io.ReadFull(r, label); err != nil {
		return 0, nil, ErrDumpShort
	}
	if crc32.Checksum(label, castagnoli) != binary.LittleEndian.Uint32(head[20:]) {
		return 0, nil, ErrDumpChecksum
	}
	l := &loader{c: c, now: now, limit: sub(now, c.stale.Load()), empty: c.empty()}
	work := make(chan block)
	free := make(chan []byte, maxLoaders)
	var threads sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxLoaders) {
		free <- make([]byte, maxBlock)
		threads.Go(func() {
			var t loaderThread
			for b := range work {
				t.load(l, b)
				free <- b.p[:maxBlock]
			}
		})
	}
	err := l.read(r, work, free)
	close(work)
	threads.Wait()
	if l.damage != nil {
		err = l.damage
	} else if err == nil && l.seen != l.promised {
		err = ErrDumpShort
	}
	return l.taken, label, err
}

// maxLoaders is how many threads load at once: more wait for one another at
// the shards.
const maxLoaders = 4

// block is a block of a dump: its payload, and whether it is of the main ring.
type block struct {
	p    []byte
	sum  uint32
	main bool
}

// loader is what the threads of one Load share.
type loader struct {
	c          *Cache
	now, limit uint32
	empty      bool // nothing was in the cache: nothing is to be looked for
	promised   uint64

	mu     sync.Mutex
	taken  int
	seen   uint64
	damage error
}

// read hands the blocks out, up to the last.
func (l *loader) read(r io.Reader, work chan<- block, free <-chan []byte) error {
	for {
		var h [blockHeader]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return ErrDumpShort
		}
		v := binary.LittleEndian.Uint32(h[:])
		sum := binary.LittleEndian.Uint32(h[4:])
		n := int(v &^ mainBlock)
		if n > maxBlock || n == 0 {
			return ErrDumpFormat
		}
		if n == endLength {
			var p [endLength]byte
			if _, err := io.ReadFull(r, p[:]); err != nil {
				return ErrDumpShort
			}
			if crc32.Checksum(p[:], castagnoli) != sum {
				return ErrDumpChecksum
			}
			l.promised = binary.LittleEndian.Uint64(p[:])
			return nil
		}
		p := (<-free)[:n]
		if _, err := io.ReadFull(r, p); err != nil {
			return ErrDumpShort
		}
		l.mu.Lock()
		damaged := l.damage != nil
		l.mu.Unlock()
		if damaged {
			return nil
		}
		work <- block{p, sum, v&mainBlock != 0}
	}
}

// loaderThread has one thread's room. The entries of a block are sorted by
// shard, so that each shard is locked once a block, not once an entry.
type loaderThread struct {
	hashes []uint64
	at     []uint32 // where the entry begins
	order  []uint32
	first  [maxShards + 1]uint32
}

func (t *loaderThread) load(l *loader, b block) {
	seen, taken, err := 0, 0, ErrDumpChecksum
	if crc32.Checksum(b.p, castagnoli) == b.sum {
		seen, err = t.read(l.c, b.p)
		taken = t.restore(l, b)
	}
	l.mu.Lock()
	l.seen += uint64(seen)
	l.taken += taken
	if err != nil && l.damage == nil {
		l.damage = err
	}
	l.mu.Unlock()
}

// read checks the entries of a block and hashes their keys, up to the first
// that is not one.
func (t *loaderThread) read(c *Cache, p []byte) (int, error) {
	t.hashes, t.at = t.hashes[:0], t.at[:0]
	t.first = [maxShards + 1]uint32{}
	for at := 0; at < len(p); {
		n := 0
		if len(p)-at >= headerSize {
			n = int(binary.LittleEndian.Uint16(p[at:])) * unit
		}
		if n < headerSize || n > len(p)-at || !valid(p[at:at+n]) {
			return len(t.at), ErrDumpFormat
		}
		h := c.hashEntry(p[at : at+n])
		t.hashes = append(t.hashes, h)
		t.at = append(t.at, uint32(at))
		t.first[h>>c.shift+1]++
		at += n
	}
	return len(t.at), nil
}

// restore puts what read has found into the cache, each shard's entries in the
// order they had.
func (t *loaderThread) restore(l *loader, b block) (taken int) {
	c := l.c
	for i := range c.shards {
		t.first[i+1] += t.first[i]
	}
	next := t.first
	t.order = append(t.order[:0], t.at...) // for its length
	for i, h := range t.hashes {
		k := &next[h>>c.shift]
		t.order[*k] = uint32(i)
		*k++
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, e := range t.order[t.first[i]:t.first[i+1]] {
			m := b.p[t.at[e]:]
			m = m[:int(binary.LittleEndian.Uint16(m))*unit]
			if l.restore(s, m, t.hashes[e], b.main) {
				taken++
			}
		}
		s.mu.Unlock()
	}
	return taken
}

func (c *Cache) empty() bool {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n := s.live
		s.mu.Unlock()
		if n > 0 {
			return false
		}
	}
	return true
}

// restore takes one valid entry of a dump into its shard, which is locked.
func (l *loader) restore(s *shard, m []byte, h uint64, main bool) bool {
	expire := binary.LittleEndian.Uint32(m[4:])
	ttl := binary.LittleEndian.Uint32(m[8:]) & ttlMask
	if expire > l.now && expire-l.now > ttl {
		expire = l.now + ttl
		binary.LittleEndian.PutUint32(m[4:], expire)
	}
	if expire <= l.limit {
		return false
	}
	s.grow(l.c)
	r := &s.small
	if main || len(m) > r.cap/4 {
		r = &s.main
	}
	if len(m) > r.cap/4 {
		return false
	}
	if !l.empty {
		k := keyOf(m)
		k.hash = h
		if s.find(k) != 0 {
			return false
		}
	}
	off := s.alloc(l.c, r, len(m), l.now, 0)
	copy(s.mem[off:], m)
	s.link(h, off)
	return true
}
