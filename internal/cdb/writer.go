package cdb

import (
	"encoding/binary"
	"io"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Memory gives n zeroed bytes, aligned to 8, that are never given back: for
// what is filled once and kept until the file is finished. nil stands for the
// heap.
type Memory func(n int) []byte

// Writer makes a database. Records come one by one with Add, or many at a time
// with Append, in the order in which they shall stand.
type Writer struct {
	w     io.WriteSeeker
	pos   uint64
	batch Batch // of Add
	runs  []run
	limit uint64 // longest classic file; less than maxClassic only in tests

	// settled by Seal
	sealed      uint64 // length of the file, 0 before
	wide        bool   // 64-bit form
	slots, base [tables]uint64
}

// A Batch is a run of records made ready apart from the file, so that several
// processors can work at once. Its zero value is empty and ready for use.
type Batch struct {
	buf     []byte
	entries []entry
	sealed  []entry             // entries by table, set by Seal
	off     *[tables + 1]uint32 // where each table's begin in sealed
	memory  Memory
}

// entry is what the hash tables need to know of a record: pos counts from the
// start of its batch.
type entry struct{ hash, pos uint32 }

// run remembers the entries of a batch that has been written, ordered by table
// and inside a table by insertion: 8 bytes a record is all the memory that
// writing takes.
type run struct {
	base    uint64
	off     *[tables + 1]uint32
	entries []entry
}

// batchLen is the size in bytes at which Add hands its batch to the file:
// large enough that a run's 1 KiB of offsets does not matter.
const batchLen = 1 << 18

// Use makes an empty batch take its memory from m, with room for n bytes of
// records at once.
func (b *Batch) Use(m Memory, n int) {
	b.memory = m
	b.buf, b.entries = m(n)[:0], b.newEntries(n / commonLen)[:0]
}

// commonLen is what most records have at least: a short name and an address.
const commonLen = 48

func (b *Batch) newEntries(n int) []entry {
	if b.memory == nil || n == 0 {
		return make([]entry, n)
	}
	m := b.memory(n * int(unsafe.Sizeof(entry{})))
	return unsafe.Slice((*entry)(unsafe.Pointer(&m[0])), n)
}

// Add appends a record to the batch.
func (b *Batch) Add(key, data []byte) error {
	if uint64(len(key)) > maxClassic || uint64(len(data)) > maxClassic || uint64(len(b.buf)) > maxClassic {
		return ErrFull
	}
	b.entries = append(b.entries, entry{Hash(key), uint32(len(b.buf))})
	b.buf = binary.LittleEndian.AppendUint32(b.buf, uint32(len(key)))
	b.buf = binary.LittleEndian.AppendUint32(b.buf, uint32(len(data)))
	b.buf = append(b.buf, key...)
	b.buf = append(b.buf, data...)
	return nil
}

// Len is the number of bytes that the records take so far.
func (b *Batch) Len() int { return len(b.buf) }

// Count is the number of records so far.
func (b *Batch) Count() int { return len(b.entries) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.buf, b.entries, b.sealed, b.off = b.buf[:0], b.entries[:0], nil, nil
}

// Each calls f for every record of the batch in order, until f returns an
// error. EachAt gives the record's distance from the batch's start as well.
func (b *Batch) Each(f func(key, data []byte) error) error {
	return b.EachAt(func(_ uint64, key, data []byte) error { return f(key, data) })
}

// EachAt is Each with positions.
func (b *Batch) EachAt(f func(pos uint64, key, data []byte) error) error {
	for buf := b.buf; len(buf) > 0; {
		pos := uint64(len(b.buf) - len(buf))
		k, d := binary.LittleEndian.Uint32(buf), binary.LittleEndian.Uint32(buf[4:])
		buf = buf[recordLen:]
		if err := f(pos, buf[:k:k], buf[k:k+d:k+d]); err != nil {
			return err
		}
		buf = buf[k+d:]
	}
	return nil
}

// Seal sorts what the hash tables need, the dear part of Append, which may so
// be done on another processor. No Add may follow before Reset.
func (b *Batch) Seal() {
	var off [tables + 1]uint32
	for _, e := range b.entries {
		off[e.hash%tables+1]++
	}
	for t := 0; t < tables; t++ {
		off[t+1] += off[t]
	}
	sorted := b.newEntries(len(b.entries)) // the run will keep it
	fill := off
	for _, e := range b.entries {
		t := e.hash % tables
		sorted[fill[t]] = e
		fill[t]++
	}
	b.off, b.sealed = &off, sorted
}

// NewWriter starts a database at the beginning of w, which must be empty.
func NewWriter(w io.WriteSeeker) *Writer {
	return &Writer{w: w, limit: maxClassic}
}

// start leaves room for the header.
func (w *Writer) start() error {
	if w.pos != 0 {
		return nil
	}
	w.pos = HeaderLen
	_, err := w.w.Write(make([]byte, HeaderLen))
	return err
}

// Add appends a record.
func (w *Writer) Add(key, data []byte) error {
	if err := w.batch.Add(key, data); err != nil {
		return err
	}
	if w.batch.Len() >= batchLen {
		return w.flush()
	}
	return nil
}

// Pos is the position in the file that the next record will have.
func (w *Writer) Pos() uint64 { return max(w.pos, HeaderLen) + uint64(w.batch.Len()) }

func (w *Writer) flush() error {
	if w.batch.Count() == 0 {
		return nil
	}
	err := w.appendBatch(&w.batch)
	w.batch.Reset()
	return err
}

// Append writes the records of b behind those already there. Afterwards b may
// be Reset and used again.
func (w *Writer) Append(b *Batch) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.appendBatch(b)
}

func (w *Writer) appendBatch(b *Batch) error {
	if err := w.start(); err != nil {
		return err
	}
	if b.Count() == 0 {
		return nil
	}
	if b.off == nil {
		b.Seal()
	}
	w.runs = append(w.runs, run{w.pos, b.off, b.sealed})
	w.pos += uint64(len(b.buf))
	_, err := w.w.Write(b.buf)
	return err
}

// plan gives the number of slots of each table, and whether the file must have
// the 64-bit form.
func (w *Writer) plan() (slots [tables]uint64, wide bool) {
	total := uint64(0)
	for _, r := range w.runs {
		for t := 0; t < tables; t++ {
			slots[t] += 2 * uint64(r.off[t+1]-r.off[t])
		}
		total += 2 * uint64(len(r.entries))
	}
	return slots, w.pos+total*slotLen > w.limit
}

// Seal ends the records: it writes the header, of which all is known by now,
// and gives the length in bytes that the file will have. Only Finish may
// follow.
func (w *Writer) Seal() (size uint64, err error) {
	if w.sealed != 0 {
		return w.sealed, nil
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	if err := w.start(); err != nil {
		return 0, err
	}
	w.slots, w.wide = w.plan()
	width := uint64(slotLen)
	if w.wide {
		width = slotLen64
	}
	size = w.pos
	var header [HeaderLen]byte
	for t := range w.base {
		w.base[t] = size
		size += w.slots[t] * width
		h := header[t*slotLen:]
		if w.wide {
			binary.LittleEndian.PutUint64(h, mark64)
			continue
		}
		binary.LittleEndian.PutUint32(h, uint32(w.base[t]))
		binary.LittleEndian.PutUint32(h[4:], uint32(w.slots[t]))
	}
	if w.wide {
		size += uint64(headerLen64)
	}
	if _, err := w.w.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := w.w.Write(header[:]); err != nil {
		return 0, err
	}
	if _, err := w.w.Seek(int64(w.pos), io.SeekStart); err != nil {
		return 0, err
	}
	w.sealed = size
	return size, nil
}

// Finish writes the hash tables. It neither syncs nor closes.
func (w *Writer) Finish() error {
	size, err := w.Seal()
	if err != nil {
		return err
	}
	if err := w.writeTables(&w.slots, w.wide); err != nil || !w.wide {
		return err
	}
	tail := make([]byte, 0, headerLen64)
	for t := range w.base {
		tail = binary.LittleEndian.AppendUint64(tail, w.base[t])
		tail = binary.LittleEndian.AppendUint64(tail, w.slots[t])
	}
	tail = append(tail, magic64...)
	tail = binary.LittleEndian.AppendUint64(tail, size)
	_, err = w.w.Write(tail)
	return err
}

// writeTables fills the tables on all processors and writes them in order. At
// most two tables a processor are in memory at a time.
func (w *Writer) writeTables(slots *[tables]uint64, wide bool) error {
	workers := runtime.GOMAXPROCS(0)
	var done [tables]chan []byte
	for t := range done {
		done[t] = make(chan []byte, 1)
	}
	// A table is taken only with a token, and tables are taken in order, so
	// that the one to be written next always has its token.
	tokens := make(chan []byte, 2*workers)
	for range cap(tokens) {
		tokens <- nil
	}
	var next atomic.Int32
	for range workers {
		go func() {
			for {
				buf, ok := <-tokens
				t := int(next.Add(1)) - 1
				if !ok || t >= tables {
					return
				}
				done[t] <- w.table(buf, t, slots[t], wide)
			}
		}()
	}
	var err error
	var pending []byte // small tables are written together
	for t := range done {
		buf := <-done[t]
		if err == nil {
			pending = append(pending, buf...)
			if len(pending) >= batchLen || t == tables-1 {
				_, err = w.w.Write(pending)
				pending = pending[:0]
			}
		}
		tokens <- buf
	}
	close(tokens)
	return err
}

// table gives the bytes of hash table t, in buf if it is large enough.
func (w *Writer) table(buf []byte, t int, slots uint64, wide bool) []byte {
	if slots == 0 {
		return buf[:0]
	}
	width := uint64(slotLen)
	if wide {
		width = slotLen64
	}
	if n := slots * width; uint64(cap(buf)) < n {
		buf = make([]byte, n, n+n/8)
	} else {
		buf = buf[:n]
		clear(buf)
	}
	for _, r := range w.runs {
		for _, e := range r.entries[r.off[t]:r.off[t+1]] {
			pos := r.base + uint64(e.pos)
			s := uint64(e.hash>>8) % slots
			if wide {
				for binary.LittleEndian.Uint64(buf[s*slotLen64+8:]) != 0 {
					if s++; s == slots {
						s = 0
					}
				}
				binary.LittleEndian.PutUint64(buf[s*slotLen64:], uint64(e.hash))
				binary.LittleEndian.PutUint64(buf[s*slotLen64+8:], pos)
				continue
			}
			for binary.LittleEndian.Uint32(buf[s*slotLen+4:]) != 0 {
				if s++; s == slots {
					s = 0
				}
			}
			binary.LittleEndian.PutUint64(buf[s*slotLen:], uint64(e.hash)|pos<<32)
		}
	}
	return buf
}
