// Package makecdb is the frame that tinydns-data, rbldns-data and pickdns-data
// share: data in the current directory becomes data.cdb through data.tmp, and
// every way of failing has its old words (compat: djbdns.md section 4).
package makecdb

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/prog"
	"bulkhead/internal/slab"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/zindex"
)

// Names of the files in the current directory.
const (
	In  = "data"
	Tmp = "data.tmp"
	Out = "data.cdb"
)

// Source is the open input.
type Source struct {
	*os.File
	Size    int64
	ModTime time.Time
}

// An Index lies beside data.cdb and belongs to exactly one.
type Index interface {
	// Write writes the index of the data.cdb that id tells, whose records are
	// in c, to w. An error means that there will be none.
	Write(w io.WriterAt, c []byte, id zindex.Identity) error
}

// Names of the index; the server makes it again by itself where it is missing
// or belongs to another data.cdb.
const (
	IndexTmp = "data.idx.tmp"
	IndexOut = "data.idx"
)

// Make reads data with compile, which adds the records to w, and publishes the
// result: a reader of data.cdb sees the old or the new one whole. index may be
// nil.
//
// The order of the last steps: both files are complete and on disk before
// either gets its name; then the index is renamed, then data.cdb. Killed
// between the two, the old data.cdb lies beside an index that names another
// file and so counts for nothing. An index that can not be written is no
// reason to keep new data from being served: then the old index goes on lying
// there, and counts for nothing either.
func Make(compile func(src *Source, w *cdb.Writer) error, index Index) error {
	// The last steps on one thread, so that a tracer that counts a thread's
	// system calls can stop at each (crash_test.go).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Umask(0o022)
	start := time.Now()
	f, err := os.Open(In)
	if err != nil {
		return prog.Fatal("unable to open "+In, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return prog.Fatal("unable to stat "+In, err)
	}
	if start.Before(st.ModTime()) {
		start = st.ModTime() // another machine's clock: data.cdb is not older than data
	}
	out, err := os.OpenFile(Tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to create "+Tmp, err)
	}
	defer out.Close()
	file := &early{File: out}
	w := cdb.NewWriter(file)
	if err := compile(&Source{f, st.Size(), st.ModTime()}, w); err != nil {
		return words(err)
	}
	size, err := w.Seal()
	if err != nil {
		return words(&tinydata.WriteError{Err: err})
	}
	// Size, inode and time of the finished file are settled before it is
	// finished, so that the index can be made meanwhile. The time is that of
	// the start: data that were edited since are newer, as make wants it.
	records := int(w.Pos())
	finished := make(chan error, 1)
	go func() {
		err := w.Finish()
		if err == nil {
			err = file.Flush()
		}
		if err == nil && index != nil {
			err = os.Chtimes(Tmp, start, start)
		}
		if err == nil {
			err = out.Sync()
		}
		finished <- err
	}()
	var id zindex.Identity
	indexed := false
	if st, err := out.Stat(); index != nil && err == nil {
		id = identity(st)
		id.Size, id.MTime = size, start.UnixNano()
		indexed = writeIndex(out, records, index, id) == nil
	}
	if err := <-finished; err != nil {
		return prog.Fatal("unable to create "+Tmp, err)
	}
	if indexed {
		// a file system with coarse times gets no index
		st, err := out.Stat()
		if indexed = err == nil && identity(st) == id; !indexed {
			os.Remove(IndexTmp)
		}
	}
	if err := out.Close(); err != nil {
		return prog.Fatal("unable to create "+Tmp, err)
	}
	letGo := hold(IndexOut, Out)
	defer letGo()
	if indexed {
		syscall.Rename(IndexTmp, IndexOut)
	}
	// not os.Rename, which has its own idea of renaming onto a folder
	if err := syscall.Rename(Tmp, Out); err != nil {
		return prog.Fatal("unable to move "+Tmp+" to "+Out, err)
	}
	syncDir()
	return nil
}

// writeIndex makes the index of the first n bytes of out, under its temporary
// name. A half-written one is taken away again.
func writeIndex(out *os.File, n int, index Index, id zindex.Identity) (err error) {
	f, err := os.OpenFile(IndexTmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(IndexTmp)
		}
	}()
	c, err := mapfile.MapPart(out, n)
	if err != nil {
		return err
	}
	defer mapfile.Unmap(c)
	to := &early{File: f}
	if err := index.Write(to, c, id); err != nil {
		return err
	}
	if err := to.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

func identity(st os.FileInfo) zindex.Identity {
	id := zindex.Identity{Size: uint64(st.Size()), MTime: st.ModTime().UnixNano()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		id.Inode = sys.Ino
	}
	return id
}

// hold keeps the files of these names from being deleted when others take their
// names, until the function it gives is called, which deletes them side by
// side: on a disk that is told of blocks no longer used, each takes as long as
// a tenth of compiling. A server that has them mapped does the same.
func hold(names ...string) (letGo func()) {
	var fds []int
	for _, name := range names {
		// O_PATH: whatever it is, and whoever may read it
		if fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err == nil {
			fds = append(fds, fd)
		}
	}
	return func() {
		var wg sync.WaitGroup
		for _, fd := range fds {
			wg.Go(func() { unix.Close(fd) })
		}
		wg.Wait()
	}
}

// syncDir makes the rename last through a power cut where the file system
// can; consistency does not depend on it.
func syncDir() {
	if d, err := os.Open("."); err == nil {
		d.Sync()
		d.Close()
	}
}

// words turns an error of a compile into the program's message.
func words(err error) error {
	var p *prog.Error
	var line *tinydata.LineError
	var read *tinydata.ReadError
	var write *tinydata.WriteError
	switch {
	case errors.As(err, &p):
		return err
	case errors.As(err, &line):
		return prog.Fatal(line.Error(), nil)
	case errors.As(err, &read):
		return prog.Fatal("unable to read line", read.Err)
	case errors.Is(err, cdb.ErrFull):
		return prog.Fatal("out of memory", nil)
	case errors.As(err, &write):
		return prog.Fatal("unable to create "+Tmp, write.Err)
	case errors.Is(err, dnsname.ErrName):
		return prog.Fatal("protocol error", nil) // no line number, as ever
	}
	return prog.Fatal("unable to create "+Tmp, err)
}

// hugePage is the size in bytes of the pages that a processor with pages of
// 4 KiB maps whole. A file that is written in pieces of this size and place
// gets such pages from a file system that has them (ext4 and xfs on Linux 6.16
// and later): the server then maps a million names with some 50 page faults and not
// 24,000, and lets go of them as fast.
const hugePage = 2 << 20

// earlyLen is how many bytes are written before the kernel is told to begin
// taking them to the disk, so that the disk works while the parsers do and the
// fsync at the end finds little left.
const earlyLen = 4 * hugePage

// early is a file that is written in whole huge pages and starts to go to the
// disk before it is complete. What it has taken stands in the file after Seek
// or Flush.
type early struct {
	*os.File
	buf       []byte
	pos, told int64 // where buf will go; what the kernel was told of
}

// Write implements io.Writer.
func (e *early) Write(p []byte) (n int, err error) {
	for n < len(p) {
		// to the end of the huge page that pos lies in
		room := hugePage - int(e.pos%hugePage) - len(e.buf)
		if e.buf == nil {
			e.buf = new(slab.Slab).Get(hugePage)[:0]
		}
		k := min(room, len(p)-n)
		e.buf = append(e.buf, p[n:n+k]...)
		n += k
		if k == room {
			if err := e.Flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Flush writes what is left.
func (e *early) Flush() error {
	n, err := e.File.Write(e.buf)
	e.pos += int64(n)
	e.buf = e.buf[:0]
	if e.pos-e.told >= earlyLen {
		// only a hint: an error changes nothing
		unix.SyncFileRange(int(e.File.Fd()), e.told, e.pos-e.told, unix.SYNC_FILE_RANGE_WRITE)
		e.told = e.pos
	}
	return err
}

// WriteAt implements io.WriterAt. What follows on what was written before waits
// for its huge page like anything else.
func (e *early) WriteAt(p []byte, off int64) (int, error) {
	if off == e.pos+int64(len(e.buf)) {
		return e.Write(p)
	}
	if err := e.Flush(); err != nil {
		return 0, err
	}
	return e.File.WriteAt(p, off)
}

// Seek implements io.Seeker.
func (e *early) Seek(offset int64, whence int) (int64, error) {
	if err := e.Flush(); err != nil {
		return e.pos, err
	}
	pos, err := e.File.Seek(offset, whence)
	e.pos = pos
	return pos, err
}
