// Package cache keeps what the network said, in one block of bytes of a fixed
// size that the caller provides. It has no clock and no randomness of its own:
// time and the hash key are passed in. Nothing in the block is a Go pointer, so
// the garbage collector neither scans nor moves it, and the budget is exact:
// index, entries and ghosts all live inside the block.
//
//	cache.go   keys, shards, Get and Put
//	shard.go   the block of one shard: index, two rings, eviction
//	entry.go   what an entry looks like
//	answer.go  answers assembled straight from the block
//	dump.go    the file that carries entries over a restart
//
// # Replacement
//
// Entries are appended to a ring of bytes, as they always were in dnscache,
// but to one of two: new ones go to a small ring (a tenth of the block). When
// the small ring's tail reaches an entry that was never asked for again it is
// forgotten, and only a fingerprint ("ghost") is kept; one that was asked for
// moves to the main ring, whose tail gives asked-for entries another round. An
// entry whose ghost is still known goes to the main ring at once. This is
// S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for
// cache eviction, SOSP 2023), with bytes instead of slots. A flood of names
// that are asked for once passes through a tenth of the memory and leaves the
// rest alone.
package cache

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"bulkhead/internal/dns"
)

// Limits of the cache's own making.
const (
	// MinSize is the smallest block, in bytes. 1.05 accepted 100, which holds
	// nothing; a resolution needs a few delegations at least.
	MinSize = 64 << 10
	// MaxSize is the largest: 16 shards of 2 GiB, what 28 bits of 8-byte units
	// reach while 4 bits of each index slot remain for the tag.
	MaxSize = 32 << 30
	// MaxEntry bounds one entry in bytes: a whole TCP message uncompressed
	// fits nearly always; the size field could say 512 KiB.
	MaxEntry = 128 << 10
	// maxShards and minShard: more shards than workers that contend; each
	// large enough that a tenth of it holds the largest usual RRset.
	maxShards = 16
	minShard  = 4 << 20
	// MaxTTL is what 20 bits hold, 12 days; the resolver caps at a week
	// (compat: djbdns.md section 10.4) or $MAXTTL.
	MaxTTL = 1<<20 - 1
)

// Cache is safe for use by several goroutines.
type Cache struct {
	shards []shard
	shift  uint // shard number = hash >> shift
	k0, k1 uint64
	stale  atomic.Uint32 // seconds
	motion atomic.Uint64
}

// New makes a cache inside block, whose bytes must be zero. key seeds the
// hash; it must be unpredictable to strangers outside of tests. stale is for
// how many seconds after its expiry an entry is still of use (RFC 8767);
// older ones get no second round.
func New(block []byte, key [2]uint64, stale uint32) *Cache {
	c := &Cache{k0: key[0], k1: key[1] | 1}
	c.stale.Store(stale)
	n := 1
	for n < maxShards && len(block)/(2*n) >= minShard {
		n *= 2
	}
	c.shards = make([]shard, n)
	c.shift = uint(64 - bits.TrailingZeros(uint(n)))
	per := len(block) / n &^ 63
	for i := range c.shards {
		c.shards[i].init(block[i*per : (i+1)*per : (i+1)*per])
	}
	return c
}

// SetStale changes the time that expired entries stay of use.
func (c *Cache) SetStale(seconds uint32) { c.stale.Store(seconds) }

// Motion is the sum of the sizes of all entries ever written, each counted as
// 1.05 counts them: 20 bytes, 2 for the type, name, data (compat: djbdns.md
// section 10.5). It is the second number of the log's stats lines.
func (c *Cache) Motion() uint64 { return c.motion.Load() }

// Key names an entry: lower-cased owner name, type, kind. It points to the
// caller's bytes.
type Key struct {
	Name []byte // wire form, lower case
	Type dns.Type
	Kind Kind
	hash uint64
}

// MakeKey prepares a key; name must stay unchanged while it is in use.
func (c *Cache) MakeKey(kind Kind, t dns.Type, name []byte) Key {
	if kind == KindNXDomain || kind == KindDelegation {
		t = 0
	}
	return Key{Name: name, Type: t, Kind: kind, hash: c.hash(kind, t, name)}
}

// hash mixes 8 bytes at a time by a 64 by 64 bit multiplication, in the way of
// wyhash; the secret key keeps strangers from choosing which names collide.
// Should they manage, they gain little: a bucket has 16 places and no chain.
func (c *Cache) hash(kind Kind, t dns.Type, name []byte) uint64 {
	h := c.k0 ^ uint64(t)<<8 ^ uint64(kind) ^ uint64(len(name))<<32
	b := name
	for len(b) >= 8 {
		h = mix(h^binary.LittleEndian.Uint64(b), c.k1)
		b = b[8:]
	}
	var last uint64
	for i := len(b) - 1; i >= 0; i-- {
		last = last<<8 | uint64(b[i])
	}
	return mix(mix(h^last, c.k1), 0x9E3779B97F4A7C15) // golden ratio, any odd constant does
}

// Spread chooses one of n by the name, in a way strangers can not foresee.
func (c *Cache) Spread(name []byte, n int) int {
	hi, _ := bits.Mul64(c.hash(0, 0, name), uint64(n))
	return int(hi)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xA0761D6478BD642F, b) // the constant keeps a zero from staying zero
	return hi ^ lo
}

func (c *Cache) shardOf(h uint64) *shard {
	return &c.shards[h>>c.shift] // a shift by 64 gives 0
}

// Get copies the entry of k into e, expired or not, and reports whether there
// is one. It allocates only to grow e's buffer.
func (c *Cache) Get(k Key, e *Entry) bool {
	s := c.shardOf(k.hash)
	s.mu.Lock()
	off := s.find(k)
	if off == 0 {
		s.miss++
		s.mu.Unlock()
		return false
	}
	s.hit++
	s.touch(off)
	e.load(s.entry(off), len(k.Name))
	s.mu.Unlock()
	return true
}

// Peek is Get for those who only look: it neither counts nor keeps the entry
// from eviction.
func (c *Cache) Peek(k Key, e *Entry) bool {
	s := c.shardOf(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	off := s.find(k)
	if off == 0 {
		return false
	}
	e.load(s.entry(off), len(k.Name))
	return true
}

// Put stores e under k, replacing what was there, and reports whether it could:
// not if the entry is too large, or its time is over at now (Unix seconds).
// Which of two RRsets deserves more trust is the resolver's decision.
func (c *Cache) Put(k Key, e *Entry, now uint32) bool {
	n := e.size(k)
	if n > MaxEntry || e.Expire <= now || e.TTL == 0 {
		return false
	}
	s := c.shardOf(k.hash)
	s.mu.Lock()
	ok := s.put(c, k, e, n, now)
	s.mu.Unlock()
	if ok {
		c.motion.Add(uint64(e.oldSize(k)))
	}
	return ok
}

// Remove forgets an entry.
func (c *Cache) Remove(k Key) bool {
	s := c.shardOf(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	off := s.find(k)
	if off == 0 {
		return false
	}
	s.remove(k.hash, off)
	return true
}

// RemoveIf forgets all entries that drop picks, and gives their number. The
// Entry lasts until drop returns. One shard at a time is locked: of a million
// entries in all, for about 2 ms.
func (c *Cache) RemoveIf(drop func(e *Entry) bool) (n int) {
	var e Entry
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, r := range []*ring{&s.main, &s.small} {
			s.each(r, func(off int) {
				m := s.entry(off)
				if e.load(m, len(keyOf(m).Name)); drop(&e) {
					s.remove(c.hashEntry(m), off)
					n++
				}
			})
		}
		s.mu.Unlock()
	}
	return n
}

// Stats describes the cache at one moment.
type Stats struct {
	Size    int // bytes of the block
	Used    int // bytes that entries occupy in both rings, dead ones included
	Entries int // live entries, expired ones included
	Hits    uint64
	Misses  uint64
	Evicted uint64 // live entries dropped for room, not for age
	Expired uint64 // entries dropped because their time was over
}

// Stats sums up all shards.
func (c *Cache) Stats() (t Stats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		t.Size += len(s.mem)
		t.Used += s.small.used + s.main.used
		t.Entries += s.live
		t.Hits += s.hit
		t.Misses += s.miss
		t.Evicted += s.evicted
		t.Expired += s.expired
		s.mu.Unlock()
	}
	return t
}

func sub(a, b uint32) uint32 {
	if a < b {
		return 0
	}
	return a - b
}
