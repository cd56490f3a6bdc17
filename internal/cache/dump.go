package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// The dump file (docs/format-cache-dump.md), all numbers little endian:
//
//	8 bytes   "dnscach1"
//	uint64    when it was written, Unix time in seconds
//	blocks    uint32 length of the payload, top bit set: entries of the main ring
//	          uint32 CRC-32C of the payload
//	          payload: whole entries as in entry.go, oldest first
//	end       a block with length 8 whose payload is the number of entries;
//	          no entry is so short
const (
	dumpMagic = "dnscach1"
	mainBlock = 1 << 31
	endLength = 8
	// maxBlock bounds a block's payload, in bytes; the loader reads into one
	// buffer of this size.
	maxBlock = 1 << 20
)

// Errors of Load. Blocks before the damage have been loaded.
var (
	ErrDumpFormat   = errors.New("not a cache dump of this version")
	ErrDumpChecksum = errors.New("checksum mismatch")
	ErrDumpShort    = errors.New("incomplete")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type dumper struct {
	w   io.Writer
	buf []byte // header and payload of the block being filled
	n   uint64
	top uint32
	err error
}

const blockHeader = 8

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
	if s.expire(off) <= limit {
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
// number. One shard at a time is locked.
func (c *Cache) Dump(w io.Writer, now uint32) (int, error) {
	var head [16]byte
	copy(head[:], dumpMagic)
	binary.LittleEndian.PutUint64(head[8:], uint64(now))
	if _, err := w.Write(head[:]); err != nil {
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
// It gives the number of entries taken; with an error too.
func (c *Cache) Load(r io.Reader, now uint32) (int, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:8]) != dumpMagic {
		return 0, ErrDumpFormat
	}
	buf := make([]byte, maxBlock)
	taken, seen := 0, uint64(0)
	limit := sub(now, c.stale.Load())
	for {
		var h [blockHeader]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return taken, ErrDumpShort
		}
		v := binary.LittleEndian.Uint32(h[:])
		n := int(v &^ mainBlock)
		if n > maxBlock || n == 0 {
			return taken, ErrDumpFormat
		}
		p := buf[:n]
		if _, err := io.ReadFull(r, p); err != nil {
			return taken, ErrDumpShort
		}
		if crc32.Checksum(p, castagnoli) != binary.LittleEndian.Uint32(h[4:]) {
			return taken, ErrDumpChecksum
		}
		if n == endLength {
			if binary.LittleEndian.Uint64(p) != seen {
				return taken, ErrDumpShort
			}
			return taken, nil
		}
		for len(p) > 0 {
			l := 0
			if len(p) >= headerSize {
				l = int(binary.LittleEndian.Uint16(p)) * unit
			}
			if l < headerSize || l > len(p) || !valid(p[:l]) {
				return taken, ErrDumpFormat
			}
			if c.restore(p[:l], v&mainBlock != 0, now, limit) {
				taken++
			}
			seen++
			p = p[l:]
		}
	}
}

// restore takes one valid entry of a dump.
func (c *Cache) restore(m []byte, main bool, now, limit uint32) bool {
	expire := binary.LittleEndian.Uint32(m[4:])
	ttl := binary.LittleEndian.Uint32(m[8:]) & ttlMask
	if expire > now && expire-now > ttl {
		expire = now + ttl
		binary.LittleEndian.PutUint32(m[4:], expire)
	}
	if expire <= limit {
		return false
	}
	h := c.hashEntry(m)
	s := c.shardOf(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grow(c)
	k := keyOf(m)
	k.hash = h
	r := &s.small
	if main || len(m) > r.cap/4 {
		r = &s.main
	}
	if len(m) > r.cap/4 || s.find(k) != 0 {
		return false
	}
	off := s.alloc(c, r, len(m), now, 0)
	copy(s.mem[off:], m)
	s.link(h, off)
	return true
}
