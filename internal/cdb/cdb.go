// Package cdb reads and makes constant databases (compat: djbdns.md section
// 3). All integers are 32-bit little endian: a header of 256 pairs (position,
// slots), the records in insertion order, then 256 hash tables. The same input
// always gives the same bytes.
package cdb

import (
	"encoding/binary"
	"errors"
	"io"
)

// Sizes of the format, in bytes.
const (
	HeaderLen = 2048 // 256 tables x 8
	slotLen   = 8    // hash, position
	recordLen = 8    // key length, data length, before key and data
	tables    = 256
)

// ErrFormat says that a file is no intact database.
var ErrFormat = errors.New("format error")

// ErrFull says that a database would exceed 4 GiB, in the words of compat:
// djbdns.md section 3.
var ErrFull = errors.New("out of memory")

// Hash is the format's hash function of a key.
func Hash[T ~string | ~[]byte](key T) uint32 {
	h := uint32(5381)
	for i := 0; i < len(key); i++ {
		h = (h<<5 + h) ^ uint32(key[i])
	}
	return h
}

// Reader looks keys up in the bytes of a database, normally a mapped file.
// Every offset is checked: a damaged file gives ErrFormat, never a fault.
type Reader []byte

// Cursor walks through the records of one key in insertion order.
type Cursor struct {
	r      Reader
	key    []byte
	hash   uint32
	base   uint32 // position of the table
	slots  uint32
	slot   uint32
	looked uint32
}

// Find starts a search. The key must stay unchanged while it goes on.
func (r Reader) Find(key []byte) Cursor { return Cursor{r: r, key: key, hash: Hash(key)} }

// Get gives the data of the first record of key, nil and no error when there
// is none.
func (r Reader) Get(key []byte) ([]byte, error) {
	c := r.Find(key)
	return c.Next()
}

// Next gives the next record's data, nil at the end.
func (c *Cursor) Next() ([]byte, error) {
	r := c.r
	if c.looked == 0 {
		if len(r) < HeaderLen {
			return nil, ErrFormat
		}
		h := r[c.hash%tables*slotLen:]
		c.base, c.slots = binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
		if c.slots == 0 {
			return nil, nil
		}
		if uint64(c.base)+uint64(c.slots)*slotLen > uint64(len(r)) {
			return nil, ErrFormat
		}
		c.slot = c.hash >> 8 % c.slots
	}
	for c.looked < c.slots {
		s := r[c.base+c.slot*slotLen:]
		h, pos := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[4:])
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
		key, data, _, err := r.record(uint64(pos))
		if err != nil {
			return nil, err
		}
		if string(key) == string(c.key) {
			return data, nil
		}
	}
	return nil, nil
}

// record gives the record at pos and the position after it.
func (r Reader) record(pos uint64) (key, data []byte, next uint64, err error) {
	if pos+recordLen > uint64(len(r)) {
		return nil, nil, 0, ErrFormat
	}
	k := uint64(binary.LittleEndian.Uint32(r[pos:]))
	d := uint64(binary.LittleEndian.Uint32(r[pos+4:]))
	pos += recordLen
	if pos+k+d > uint64(len(r)) {
		return nil, nil, 0, ErrFormat
	}
	return r[pos : pos+k : pos+k], r[pos+k : pos+k+d : pos+k+d], pos + k + d, nil
}

// Each calls f for every record in file order, until f returns an error.
func (r Reader) Each(f func(key, data []byte) error) error {
	if len(r) < HeaderLen {
		return ErrFormat
	}
	end := uint64(binary.LittleEndian.Uint32(r)) // table 0 follows the last record
	if end < HeaderLen || end > uint64(len(r)) {
		return ErrFormat
	}
	for pos := uint64(HeaderLen); pos < end; {
		key, data, next, err := r.record(pos)
		if err != nil || next > end {
			return ErrFormat
		}
		if err := f(key, data); err != nil {
			return err
		}
		pos = next
	}
	return nil
}

// Writer makes a database.
type Writer struct {
	w       io.WriteSeeker
	buf     []byte
	pos     uint64
	entries []entry
}

type entry struct{ hash, pos uint32 }

const bufferLen = 1 << 16

// NewWriter starts a database at the beginning of w, which must be empty.
func NewWriter(w io.WriteSeeker) *Writer {
	return &Writer{w: w, pos: HeaderLen, buf: make([]byte, HeaderLen, bufferLen)}
}

// Add appends a record.
func (w *Writer) Add(key, data []byte) error {
	next := w.pos + recordLen + uint64(len(key)) + uint64(len(data))
	if next > 1<<32-1 {
		return ErrFull
	}
	w.entries = append(w.entries, entry{Hash(key), uint32(w.pos)})
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(key)))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(data)))
	w.buf = append(w.buf, key...)
	w.buf = append(w.buf, data...)
	w.pos = next
	if len(w.buf) >= bufferLen {
		return w.flush()
	}
	return nil
}

func (w *Writer) flush() error {
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Finish writes the hash tables and the header. It neither syncs nor closes.
func (w *Writer) Finish() error {
	if w.pos+uint64(len(w.entries))*2*slotLen > 1<<32-1 {
		return ErrFull
	}
	var count, start [tables + 1]uint32
	for _, e := range w.entries {
		count[e.hash%tables]++
	}
	sum := uint32(0)
	for i := range count {
		start[i] = sum
		sum += count[i]
	}
	sorted := make([]entry, len(w.entries)) // by table, in insertion order
	fill := start
	for _, e := range w.entries {
		t := e.hash % tables
		sorted[fill[t]] = e
		fill[t]++
	}
	var header [HeaderLen]byte
	var table []entry
	for t := 0; t < tables; t++ {
		slots := count[t] * 2
		binary.LittleEndian.PutUint32(header[t*slotLen:], uint32(w.pos))
		binary.LittleEndian.PutUint32(header[t*slotLen+4:], slots)
		table = append(table[:0], make([]entry, slots)...)
		for _, e := range sorted[start[t]:start[t+1]] {
			s := e.hash >> 8 % slots
			for table[s].pos != 0 {
				if s++; s == slots {
					s = 0
				}
			}
			table[s] = e
		}
		for _, e := range table {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, e.hash)
			w.buf = binary.LittleEndian.AppendUint32(w.buf, e.pos)
		}
		w.pos += uint64(slots) * slotLen
		if len(w.buf) >= bufferLen {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	if _, err := w.w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := w.w.Write(header[:])
	return err
}
