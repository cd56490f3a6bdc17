// Package auth decides authoritative answers: a pure function from one
// generation of data, a question and a client to the bytes of an answer. It
// opens nothing, has no clock and takes its randomness from the caller.
//
//	auth.go      data, questions, visibility of records
//	answer.go    RFC 1034, section 4.3.2, as a walk through named states
//	section.go   RRsets into sections, truncation, additional data
//	denial.go    NSEC and NSEC3 proofs (RFC 4035, RFC 5155)
//	fast.go      the same answers from prepared parts, for most questions
//
// Where 1.05 was not wrong, answers are its answers byte for byte; each
// difference has a name, see docs/differences.md.
package auth

import (
	"math/bits"
	"sync/atomic"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/zindex"
)

// Data is one generation of data: data.cdb and the index of it. It is
// immutable and used by any number of Answerers at once.
type Data struct {
	*zindex.View
	Generation uint64 // differs between any two of a process
}

// NewData takes the bytes of data.cdb and of an index of them. Without an
// index (nil) it makes one, which reads all of data.cdb; id is then only
// remembered.
func NewData(c, idx []byte, id zindex.Identity) (*Data, error) {
	if idx == nil {
		var err error
		id.Size = uint64(len(c))
		if idx, err = zindex.Build(c, id); err != nil {
			return nil, err
		}
	}
	v, err := zindex.Open(idx, c)
	if err != nil {
		return nil, err
	}
	return &Data{View: v, Generation: generations.Add(1)}, nil
}

// Prepare reads the index for several questions, then the records it points
// to, so that the processor waits for memory once, not once a question.
func (d *Data) Prepare(q []content.Question, ok []bool) {
	seed := d.Seed()
	small := d.Size() <= cached
	sum := uint64(0)
	for i := range q {
		if ok[i] {
			q[i].Hash, q[i].Hashed = zindex.Hash(seed, q[i].Name), true
			if !small {
				sum += d.Touch(q[i].Hash)
			}
		}
	}
	if small {
		return
	}
	for i := range q {
		if ok[i] {
			a, x := d.TouchNode(q[i].Hash)
			q[i].Ahead = uint64(a)
			sum += uint64(x)
		}
	}
	for i := range q {
		if ok[i] && q[i].Ahead != 0 {
			sum += uint64(d.TouchRecord(zindex.Ahead(q[i].Ahead)))
		}
	}
	q[0].Ahead = sum // so that the reads are not optimised away
}

// cached is the size of data and index, in bytes, up to which they stay in the
// processor's second cache anyway.
const cached = 256 << 10

// generations counts them, so that what an Answerer has prepared from one is
// never taken for another's.
var generations atomic.Uint64

// Location finds the client's location: the longest prefix among the %-lines
// that holds its address. Keys are 00 25 and the octets of an IPv4 prefix
// (compat: djbdns.md section 5.1), and 00 2f, family, length and the bytes of
// the prefix for all others; the record 00 2f lists the pairs of family and
// length that occur, longest first within a family (package tinydata). The
// zero location is none. scope is how many bits of the address decide: as many
// as the longest prefix of its family has, since one that is longer than that
// found may lie beside the client.
func (d *Data) Location(client *content.Addr) (loc [2]byte, scope uint8, err error) {
	loc, scope, err = Location(d.CDB(), client)
	if _, is4 := client.V4(); is4 {
		scope = max(scope, uint8(d.LongestPrefix4()))
	}
	return loc, scope, err
}

// Location is the same without an index: scope knows nothing of the prefixes
// of whole octets.
func Location(r cdb.Reader, client *content.Addr) (loc [2]byte, scope uint8, err error) {
	var key [4 + 16]byte
	ip, is4 := client.V4()
	family, bits := byte(4), 32
	if !is4 {
		ip, family, bits = client[:], 6, 128
	}
	key[1] = '/'
	lengths, err := r.Get(key[:2])
	if err != nil {
		return loc, 0, err
	}
	// At most 33+129 pairs, one look-up each.
	for len(lengths) >= 2 && lengths[0] != family {
		lengths = lengths[2:]
	}
	if len(lengths) >= 2 && lengths[0] == family {
		scope = lengths[1]
	}
	for n := bits; n >= 0; n-- {
		var v []byte
		if is4 && n%8 == 0 || n == 0 {
			key[1] = '%'
			v, err = r.Get(key[:2+copy(key[2:], ip[:n/8])])
		}
		if v == nil && err == nil && len(lengths) >= 2 && lengths[0] == family && int(lengths[1]) == n {
			key[1], key[2], key[3] = '/', family, byte(n)
			k := 4 + copy(key[4:], ip[:(n+7)/8])
			if n%8 != 0 {
				key[k-1] &= 0xFF << (8 - n%8)
			}
			v, err = r.Get(key[:k])
			lengths = lengths[2:]
		} else if len(lengths) >= 2 && int(lengths[1]) >= n {
			lengths = lengths[2:]
		}
		if err != nil {
			return loc, 0, err
		}
		if v != nil {
			if len(v) == 2 {
				loc = [2]byte(v)
			}
			return loc, scope, nil
		}
	}
	return loc, scope, nil
}

// Rand is a small generator for the order of records. It is no source of
// secrets. The zero value works; seed it from the system's generator.
type Rand struct{ State uint64 }

// Below gives a number in [0, n).
func (r *Rand) Below(n int) int {
	r.State += 0xA0761D6478BD642F
	hi, lo := bits.Mul64(r.State, r.State^0xE7037ED1A0B428DB)
	hi, _ = bits.Mul64(hi^lo, uint64(n))
	return int(hi)
}

// timed applies a record's timestamp (compat: djbdns.md section 5.2): ttl 0
// and a time to die gives the ttl left, within bounds; any other ttl starts to
// count at the time to be born.
func timed(r *zindex.Record, now uint64) (ttl uint32, visible bool) {
	const shortest, longest = 2, 3600 // seconds
	switch {
	case r.Time == 0:
		return r.TTL, true
	case r.TTL != 0:
		return r.TTL, r.Time < now
	case r.Time < now:
		return 0, false
	}
	return uint32(min(max(r.Time-now, shortest), longest)), true
}

// visible reports whether the current client sees a record now, and its ttl.
// It loads the record into a.rec.
func (a *Answerer) visible(ref zindex.Ref) (uint32, bool) {
	a.data.Load(ref, &a.rec)
	a.fast.dynamic = a.fast.dynamic || ref.Flags() != 0
	if ref.Flags()&zindex.RecLocation != 0 {
		if a.location() != a.rec.Loc {
			return 0, false
		}
	}
	return timed(&a.rec, a.q.Now)
}

// location is the client's, looked up when first needed.
func (a *Answerer) location() [2]byte {
	if !a.located {
		a.located = true
		a.loc, a.scope, _ = a.data.Location(&a.q.Client)
	}
	a.res.Scope = a.scope
	return a.loc
}
