package zindex

import (
	"encoding/binary"
	"math/bits"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// View looks names up in an index. It is immutable and may be used by any
// number of goroutines; it allocates nothing.
type View struct {
	idx, cdb              []byte
	seed, buckets         uint64
	slots, structs, lists int // offsets in idx
	chainKeys, chainWords int
	nstructs, nchain      uint32
	Flags                 uint32
	Records               uint64
	id                    Identity

	// Probes counts cache lines of the table read, when a test sets it.
	Probes *int
}

// Open takes an index and the data.cdb it belongs to. It looks at the headers
// only, so it costs the same whatever the size.
func Open(idx, c []byte) (*View, error) {
	le := binary.LittleEndian
	if len(idx) < headerLen || string(idx[:len(Magic)]) != Magic || sum(idx[:120]) != le.Uint64(idx[120:]) || len(c) < cdb.HeaderLen {
		return nil, ErrFormat
	}
	v := &View{idx: idx, cdb: c, seed: le.Uint64(idx[16:]), buckets: le.Uint64(idx[56:]), nstructs: le.Uint32(idx[88:]),
		Flags: le.Uint32(idx[92:]), Records: le.Uint64(idx[96:]), nchain: uint32(le.Uint64(idx[72:])),
		id: Identity{le.Uint64(idx[24:]), le.Uint64(idx[32:]), int64(le.Uint64(idx[40:]))}}
	size := uint64(len(idx))
	nlists := le.Uint64(idx[64:])
	if v.buckets == 0 || v.buckets > size/(bucketSlots*slotLen) || nlists > size/wordLen || uint64(v.nchain) > size/wordLen || uint64(v.nstructs) > size/structLen || v.nstructs == 0 {
		return nil, ErrFormat
	}
	v.slots = headerLen
	v.structs = v.slots + int(v.buckets+MaxProbe)*bucketSlots*slotLen
	v.lists = v.structs + int(v.nstructs)*structLen
	v.chainKeys = v.lists + int(nlists)*wordLen
	v.chainWords = v.chainKeys + int(v.nchain)*wordLen
	if v.chainWords+int(v.nchain)*wordLen != len(idx) || le.Uint64(idx[80:]) != size {
		return nil, ErrFormat
	}
	if le.Uint64(idx[24:]) != uint64(len(c)) || le.Uint64(idx[48:]) != headerSum(c) {
		return nil, ErrFormat
	}
	return v, nil
}

// Identity says which data.cdb the index was made for.
func (v *View) Identity() Identity { return v.id }

// CDB gives the data file's bytes.
func (v *View) CDB() cdb.Reader { return cdb.Reader(v.cdb) }

// Size is the length of data and index in bytes.
func (v *View) Size() int { return len(v.cdb) + len(v.idx) }

// LongestPrefix4 is how many bits the longest location prefix of the old kind
// has, 0 also if there is none.
func (v *View) LongestPrefix4() int { return max(int(v.Flags>>prefixBit&prefixMask)-1, 0) * 8 }

// Seed is what to give to Hash.
func (v *View) Seed() uint64 { return v.seed }

// Node is a name in the index. The zero value is none.
type Node struct {
	W   uint64 // reference, flags, length
	Ctx uint32 // nearest structural entry at or above, 0 for none
}

// Has reports whether all the flags are set.
func (n Node) Has(flags uint64) bool { return n.W&flags == flags }

// Exists reports whether n is a node at all.
func (n Node) Exists() bool { return n.W != 0 }

// NameLen is the length of the node's name in bytes.
func (n Node) NameLen() int { return int(n.W >> lenBit) }

// Touch reads the first cache line that looking up a name with hash h needs,
// and gives back something that depends on it. Doing this for all questions of
// a batch first lets the processor wait for all of them at once.
func (v *View) Touch(h uint64) uint64 {
	bk, _ := bits.Mul64(h, v.buckets)
	return binary.LittleEndian.Uint64(v.idx[v.slots+int(bk)*bucketSlots*slotLen+8:])
}

// Ahead is what TouchNode found for TouchRecord to read.
type Ahead uint64

// TouchNode goes on where Touch ended: it reads what the first slot whose tag
// fits points to, the record or the list of records. Like Touch it gives back
// something that depends on what was read.
func (v *View) TouchNode(h uint64) (a Ahead, x byte) {
	bk, _ := bits.Mul64(h, v.buckets)
	at := v.slots + int(bk)*bucketSlots*slotLen
	for end := at + bucketSlots*slotLen; at < end; at += slotLen {
		if binary.LittleEndian.Uint32(v.idx[at:]) != uint32(h) {
			continue
		}
		w1 := binary.LittleEndian.Uint64(v.idx[at+8:])
		pos := w1 & posMask
		if w1&FlagMulti != 0 {
			if i := v.lists + int(pos+1)*wordLen; i+wordLen <= len(v.idx) {
				a = Ahead(binary.LittleEndian.Uint64(v.idx[i:]) & posMask)
			}
		} else if pos+48 < uint64(len(v.cdb)) {
			// a record of a name of usual length lies in two cache lines
			x = v.cdb[pos] ^ v.cdb[pos+48]
		}
		break
	}
	return a, x
}

// TouchRecord reads the first record of a list, and the next cache lines, where
// further records of the name usually are.
func (v *View) TouchRecord(a Ahead) (x byte) {
	if a != 0 && uint64(a)+192 < uint64(len(v.cdb)) {
		x = v.cdb[a] ^ v.cdb[a+64] ^ v.cdb[a+128] ^ v.cdb[a+192]
	}
	return x
}

// Find looks up a lower-case name whose Hash is h.
func (v *View) Find(name []byte, h uint64) (Node, bool) {
	at := v.slotOf(name, h)
	if at < 0 {
		return Node{}, false
	}
	return Node{binary.LittleEndian.Uint64(v.idx[at+8:]), binary.LittleEndian.Uint32(v.idx[at+4:])}, true
}

// Lookup is Find that for a node with a single record, of its own name, visible
// always and to all, gives this record's data as well, since comparing names
// has read it: see RecordHead.
func (v *View) Lookup(name []byte, h uint64) (n Node, one []byte, ok bool) {
	at := v.slotOf(name, h)
	if at < 0 {
		return Node{}, nil, false
	}
	s := v.idx[at : at+slotLen : at+slotLen]
	n = Node{binary.LittleEndian.Uint64(s[8:]), binary.LittleEndian.Uint32(s[4:])}
	if n.W&(FlagMulti|FlagENT|FlagWild|FlagDynamic) == 0 {
		if one = dataAt(v.cdb, n.W&posMask); len(one) < RecordHead {
			one = nil
		}
	}
	return n, one, true
}

func (v *View) slotOf(name []byte, h uint64) int {
	bk, _ := bits.Mul64(h, v.buckets)
	at := v.slots + int(bk)*bucketSlots*slotLen
	for range MaxProbe {
		if v.Probes != nil {
			*v.Probes++
		}
		b := v.idx[at : at+bucketSlots*slotLen : at+bucketSlots*slotLen]
		for i := 0; i < bucketSlots*slotLen; i += slotLen {
			if binary.LittleEndian.Uint32(b[i:]) != uint32(h) {
				if binary.LittleEndian.Uint64(b[i+8:])&flagUsed == 0 {
					return -1
				}
				continue
			}
			w1 := binary.LittleEndian.Uint64(b[i+8:])
			if w1&flagUsed == 0 {
				return -1
			}
			if int(w1>>lenBit) == len(name) && v.hasName(w1, name) {
				return at + i
			}
		}
		at += bucketSlots * slotLen
	}
	return -1
}

// hasName compares the node's name with name of the same length.
func (v *View) hasName(w1 uint64, name []byte) bool {
	pos := w1 & posMask
	if w1&FlagMulti != 0 {
		pos = v.word(pos+1) & posMask
	}
	key := keyAt(v.cdb, pos)
	if w1&FlagWild != 0 {
		return dnsname.IsWildcard(name) && string(name[2:]) == string(key)
	}
	if w1&FlagENT != 0 {
		// a name below; one more label "*" may have been taken off it
		if len(key) < len(name) {
			return false
		}
		key = key[len(key)-len(name):]
	}
	return string(key) == string(name)
}

func (v *View) word(i uint64) uint64 {
	return binary.LittleEndian.Uint64(v.idx[v.lists+int(i)*wordLen:])
}

// Encloser gives the closest encloser of a name that is absent (RFC 4592,
// section 3.3.1): the nearest ancestor that is present, and how many labels it
// has. off are the offsets of name's labels. All ancestors of a name are
// present, so halving finds it; the parent is tried first because it is the
// answer for most names that do not exist.
func (v *View) Encloser(name []byte, off []uint8) (Node, int) {
	n := len(off)
	at := func(labels int) (Node, bool) {
		s := name[len(name)-1:]
		if labels > 0 {
			s = name[off[n-labels]:]
		}
		return v.Find(s, Hash(v.seed, s))
	}
	if n == 0 {
		return Node{}, -1
	}
	if e, ok := at(n - 1); ok {
		return e, n - 1
	}
	var best Node
	lo, hi := -1, n-1 // present at lo, absent at hi
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if e, ok := at(mid); ok {
			best, lo = e, mid
		} else {
			hi = mid
		}
	}
	return best, lo
}

// Count is the number of records at a node.
func (v *View) Count(n Node) int {
	switch {
	case n.W == 0 || n.W&FlagENT != 0:
		return 0
	case n.W&FlagMulti != 0:
		return int(v.word(n.W & posMask))
	}
	return 1
}

// Ref is a record: its position, type and flags.
type Ref uint64

// Type is the record's type, Flags its RecLocation and RecTimestamp.
func (r Ref) Type() dns.Type { return dns.Type(r >> recTypeBit) }
func (r Ref) Flags() byte    { return byte(r >> recFlagsBit) }

// Record gives the i-th record of a node, in file order.
func (v *View) Record(n Node, i int) Ref {
	if n.W&FlagMulti != 0 {
		return Ref(v.word(n.W&posMask + 1 + uint64(i)))
	}
	return Ref(recWord(v.cdb, n.W&posMask))
}

// Load takes a record apart.
func (v *View) Load(ref Ref, r *Record) { ParseData(dataAt(v.cdb, uint64(ref)&posMask), r) }

// Key gives the key of a record: its owner in lower case, less a first "*".
func (v *View) Key(ref Ref) []byte { return keyAt(v.cdb, uint64(ref)&posMask) }

// Struct is an owner of NS, SOA or DNAME.
type Struct struct {
	Parent     uint32 // nearest structural entry above
	Flags      uint32
	Zone, Stop uint32 // zone it lies in, first cut or DNAME of it on the way down; 0 for none
	Node       Node
	chainStart uint32
	chainEnd   uint32
	nameAt     uint64
	Labels     int
}

// Struct gives entry i; 0 gives an empty one.
func (v *View) Struct(i uint32) (s Struct) {
	if i == 0 || i >= v.nstructs {
		return
	}
	e := v.idx[v.structs+int(i)*structLen:][:structLen]
	le := binary.LittleEndian
	return Struct{Parent: le.Uint32(e), Flags: le.Uint32(e[4:]), Zone: le.Uint32(e[8:]), Stop: le.Uint32(e[12:]),
		Node: Node{le.Uint64(e[16:]), i}, chainStart: le.Uint32(e[24:]), chainEnd: le.Uint32(e[28:]),
		nameAt: le.Uint64(e[32:]), Labels: int(e[40])}
}

// Name gives the name of a structural entry.
func (v *View) Name(s *Struct) []byte { return keyAt(v.cdb, s.nameAt) }

// Structs is the number of structural entries, the empty one at 0 included.
func (v *View) Structs() uint32 { return v.nstructs }
