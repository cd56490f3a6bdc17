package makecdb

import (
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/cdb"
	"bulkhead/internal/slab"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/zindex"
)

// gcPercent keeps memory below the size of the data.cdb that is made: nearly
// all of it is two tables without pointers, which cost little to look at.
const gcPercent = 50

// largeFile is the size in bytes of data from which on huge pages pay.
const largeFile = 4 << 20

// Tinydns makes tinydns's data.cdb, and data.idx beside it.
func Tinydns() error {
	debug.SetGCPercent(gcPercent)
	x := &zoneIndex{}
	return Make(func(src *Source, w *cdb.Writer) error {
		var memory cdb.Memory
		if src.Size > largeFile {
			memory = new(slab.Slab).Get
		}
		x.b = zindex.NewBuilder(memory)
		show := newProgress(src.Size)
		defer show.end()
		_, err := tinydata.Compile(src, w, tinydata.Serial(src.ModTime.Unix()), tinydata.Watch{
			Memory:   memory,
			Progress: show.step,
			Records:  x.add,
		})
		return err
	}, x)
}

// zoneIndex collects the records for the index while they are written.
type zoneIndex struct {
	b   *zindex.Builder
	err error
}

func (x *zoneIndex) add(base uint64, b *cdb.Batch) {
	if x.err == nil {
		x.err = b.EachAt(func(pos uint64, key, data []byte) error { return x.b.Add(base+pos, key, data) })
	}
}

// Write makes the index of the finished file.
func (x *zoneIndex) Write(w io.WriterAt, c []byte, id zindex.Identity) error {
	if x.err != nil {
		return x.err
	}
	b := x.b
	x.b = nil // what the builder lets go of is free
	return b.Write(w, c, id)
}

// Progress is shown on a terminal only, and only when there is something to
// wait for.
const (
	progressAfter = 300 * time.Millisecond // quick compiles stay silent
	progressEvery = 100 * time.Millisecond
)

type progress struct {
	size        int64
	start, last time.Time
	tty, shown  bool
}

func newProgress(size int64) *progress {
	_, err := unix.IoctlGetTermios(2, unix.TCGETS)
	now := time.Now()
	return &progress{size: size, start: now, last: now, tty: err == nil}
}

func (p *progress) step(s tinydata.Stats) { p.stepAt(time.Now(), s) }

func (p *progress) stepAt(now time.Time, s tinydata.Stats) {
	if !p.tty {
		return
	}
	if now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.shown = now, true
	line := "\rtinydns-data: "
	if p.size > 0 {
		line += strconv.FormatInt(min(100, int64(s.Bytes)*100/p.size), 10) + "% "
	}
	os.Stderr.WriteString(line + strconv.FormatUint(s.Lines, 10) + " lines")
}

// end takes the line away.
func (p *progress) end() {
	if p.shown {
		os.Stderr.WriteString("\r\x1b[K")
	}
}

// Reindex makes the index of a data.cdb that came from elsewhere and is about
// to be renamed. Without an index the server makes its own,
// so failing is no error.
func Reindex(f *os.File) {
	st, err := f.Stat()
	if err != nil {
		return
	}
	if writeIndex(f, int(st.Size()), built{}, identity(st)) == nil {
		syscall.Rename(IndexTmp, IndexOut)
	}
}

type built struct{}

func (built) Write(w io.WriterAt, c []byte, id zindex.Identity) error {
	idx, err := zindex.Build(c, id)
	if err == nil {
		_, err = w.WriteAt(idx, 0)
	}
	return err
}
