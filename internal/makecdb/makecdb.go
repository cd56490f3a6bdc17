// Package makecdb is the frame that tinydns-data, rbldns-data and pickdns-data
// share: data in the current directory becomes data.cdb through data.tmp, and
// every way of failing has its old words (compat: djbdns.md section 4).
package makecdb

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydata"
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

// Make reads data with compile, which adds the records to w, and publishes the
// result: a reader of data.cdb sees the old or the new one whole. index, if
// not nil, is called with the finished file before it takes its place; what
// it returns is called afterwards.
func Make(compile func(src *Source, w *cdb.Writer) error, index func(f *os.File) (after func() error, err error)) error {
	syscall.Umask(0o022)
	f, err := os.Open(In)
	if err != nil {
		return prog.Fatal("unable to open "+In, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return prog.Fatal("unable to stat "+In, err)
	}
	out, err := os.OpenFile(Tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to create "+Tmp, err)
	}
	defer out.Close()
	w := cdb.NewWriter(&early{File: out})
	if err := compile(&Source{f, st.Size(), st.ModTime()}, w); err != nil {
		return words(err)
	}
	if err := w.Finish(); err != nil {
		return words(&tinydata.WriteError{Err: err})
	}
	after := func() error { return nil }
	if index != nil {
		if after, err = index(out); err != nil {
			return err
		}
	}
	if err := out.Sync(); err != nil {
		return prog.Fatal("unable to create "+Tmp, err)
	}
	if err := out.Close(); err != nil {
		return prog.Fatal("unable to create "+Tmp, err)
	}
	// not os.Rename, which has its own idea of renaming onto a folder
	if err := syscall.Rename(Tmp, Out); err != nil {
		return prog.Fatal("unable to move "+Tmp+" to "+Out, err)
	}
	syncDir()
	return after()
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

// earlyLen is how many bytes are written before the kernel is told to begin
// taking them to the disk, so that the disk works while the parsers do and the
// fsync at the end finds little left.
const earlyLen = 8 << 20

// early is a file that starts writing back before it is complete.
type early struct {
	*os.File
	pos, told int64
}

func (e *early) Write(p []byte) (int, error) {
	n, err := e.File.Write(p)
	e.pos += int64(n)
	if e.pos-e.told >= earlyLen {
		// only a hint: an error changes nothing
		unix.SyncFileRange(int(e.File.Fd()), e.told, e.pos-e.told, unix.SYNC_FILE_RANGE_WRITE)
		e.told = e.pos
	}
	return n, err
}
