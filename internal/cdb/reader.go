package cdb

import "encoding/binary"

// Reader looks keys up in the bytes of a database, normally a mapped file.
// Every offset is checked: a damaged file gives ErrFormat, never a fault. Both
// forms are understood. Looking up allocates nothing.
type Reader []byte

// Cursor walks through the records of one key in insertion order.
type Cursor struct {
	r      Reader
	key    []byte
	base   uint64 // position of the table
	slots  uint64
	slot   uint64
	looked uint64
	hash   uint32
	wide   bool // 64-bit form
}

// Find starts a search. The key must stay unchanged while it goes on.
func (r Reader) Find(key []byte) Cursor {
	return Cursor{r: r, key: key, hash: Hash(key), wide: r.is64()}
}

// Get gives the data of the first record of key, nil and no error when there
// is none. Empty data is not nil.
func (r Reader) Get(key []byte) ([]byte, error) {
	c := r.Find(key)
	return c.Next()
}

// is64 reports whether r has the 64-bit form.
func (r Reader) is64() bool {
	return len(r) >= HeaderLen+headerLen64 && binary.LittleEndian.Uint64(r) == mark64 &&
		string(r[len(r)-16:len(r)-8]) == magic64
}

// table gives place and size of one hash table, checked against the file.
func (r Reader) table(t uint32, wide bool) (base, slots uint64, err error) {
	size := uint64(len(r))
	if wide {
		h := r[len(r)-headerLen64+int(t)*16:]
		base, slots = binary.LittleEndian.Uint64(h), binary.LittleEndian.Uint64(h[8:])
		end := size - uint64(headerLen64)
		if binary.LittleEndian.Uint64(r[len(r)-8:]) != size || base < HeaderLen || base > end || slots > (end-base)/slotLen64 {
			return 0, 0, ErrFormat
		}
		return base, slots, nil
	}
	if len(r) < HeaderLen {
		return 0, 0, ErrFormat
	}
	h := r[t*slotLen:]
	base, slots = uint64(binary.LittleEndian.Uint32(h)), uint64(binary.LittleEndian.Uint32(h[4:]))
	if base < HeaderLen || base > size || slots > (size-base)/slotLen {
		return 0, 0, ErrFormat
	}
	return base, slots, nil
}

// Next gives the next record's data, nil at the end.
func (c *Cursor) Next() ([]byte, error) {
	if c.looked == 0 {
		var err error
		if c.base, c.slots, err = c.r.table(c.hash%tables, c.wide); err != nil || c.slots == 0 {
			return nil, err
		}
		c.slot = uint64(c.hash>>8) % c.slots
	}
	for c.looked < c.slots {
		h, pos := c.r.slot(c.base, c.slot, c.wide)
		if pos == 0 {
			c.looked = c.slots
			return nil, nil
		}
		c.looked++
		if c.slot++; c.slot == c.slots {
			c.slot = 0
		}
		if h != c.hash {
			continue
		}
		key, data, _, err := c.r.record(pos, uint64(len(c.r)))
		if err != nil {
			return nil, err
		}
		if string(key) == string(c.key) {
			return data, nil
		}
	}
	return nil, nil
}

// record gives the record at pos, which must end before end, and the position
// after it.
func (r Reader) record(pos, end uint64) (key, data []byte, next uint64, err error) {
	if pos < HeaderLen || pos > end || end-pos < recordLen {
		return nil, nil, 0, ErrFormat
	}
	k := uint64(binary.LittleEndian.Uint32(r[pos:]))
	d := uint64(binary.LittleEndian.Uint32(r[pos+4:]))
	pos += recordLen
	if k+d > end-pos {
		return nil, nil, 0, ErrFormat
	}
	return r[pos : pos+k : pos+k], r[pos+k : pos+k+d : pos+k+d], pos + k + d, nil
}

// Each calls f for every record in file order, until f returns an error.
func (r Reader) Each(f func(key, data []byte) error) error {
	end, _, err := r.table(0, r.is64()) // table 0 follows the last record
	if err != nil {
		return err
	}
	for pos := uint64(HeaderLen); pos < end; {
		key, data, next, err := r.record(pos, end)
		if err != nil {
			return err
		}
		if err := f(key, data); err != nil {
			return err
		}
		pos = next
	}
	return nil
}

// Records gives the byte range that holds the records, for readers that walk
// through it in pieces; RecordAt steps through it.
func (r Reader) Records() (start, end uint64, err error) {
	end, _, err = r.table(0, r.is64())
	return HeaderLen, end, err
}

// RecordAt gives the record at a position inside Records, and the position of
// the next one.
func (r Reader) RecordAt(pos uint64) (key, data []byte, next uint64, err error) {
	return r.record(pos, uint64(len(r)))
}

// Check looks at the whole file: every slot leads to a record with the hash it
// claims, every record has its slot, and a search for it gets there. One pass
// over tables and records, whatever the file.
func (r Reader) Check() error {
	wide := r.is64()
	_, end, err := r.Records()
	if err != nil {
		return err
	}
	width, after := uint64(slotLen), uint64(len(r))
	if wide {
		width, after = slotLen64, after-uint64(headerLen64)
		for i := 0; i < HeaderLen; i += slotLen {
			if binary.LittleEndian.Uint64(r[i:]) != mark64 {
				return ErrFormat
			}
		}
	}
	// Two multisets of positions are the same if they have the same size and
	// sums; a file damaged by chance does not pass.
	var slotCount, slotSum, slotSquares uint64
	expect := end // tables follow each other without gaps, empty ones included
	for t := uint32(0); t < tables; t++ {
		base, slots, err := r.table(t, wide)
		if err != nil || base != expect {
			return ErrFormat
		}
		expect += slots * width
		// The search for a hash starts at hash>>8 mod slots and stops at an
		// empty slot, so none may lie between start and place. run counts
		// the filled slots just before s, around the end of the table.
		run := uint64(0)
		for n := slots; n > 0 && run < slots; n-- {
			if _, pos := r.slot(base, n-1, wide); pos == 0 {
				break
			}
			run++
		}
		for s := uint64(0); s < slots; s++ {
			h, pos := r.slot(base, s, wide)
			if wide && binary.LittleEndian.Uint32(r[base+s*slotLen64+4:]) != 0 || pos == 0 && h != 0 {
				return ErrFormat // the filler is zero
			}
			if pos == 0 {
				run = 0
				continue
			}
			key, _, _, err := r.record(pos, end)
			if err != nil || h%tables != t || Hash(key) != h {
				return ErrFormat
			}
			if distance := (s + slots - uint64(h>>8)%slots) % slots; distance > run {
				return ErrFormat
			}
			run++
			slotCount++
			slotSum += pos
			slotSquares += pos * pos
		}
	}
	for pos := uint64(HeaderLen); pos < end; {
		_, _, next, err := r.record(pos, end)
		if err != nil {
			return err
		}
		slotCount--
		slotSum -= pos
		slotSquares -= pos * pos
		pos = next
	}
	if slotCount|slotSum|slotSquares != 0 || expect != after {
		return ErrFormat
	}
	return nil
}

// slot gives one slot of a table that lies inside the file; pos 0 is empty.
func (r Reader) slot(base, s uint64, wide bool) (hash uint32, pos uint64) {
	if wide {
		b := r[base+s*slotLen64:]
		return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[8:])
	}
	b := r[base+s*slotLen:]
	return binary.LittleEndian.Uint32(b), uint64(binary.LittleEndian.Uint32(b[4:]))
}
