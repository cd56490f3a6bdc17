// Package publish replaces files so that a reader sees the old or the new
// content whole, whatever happens in between: temporary name, fsync, close (an
// error at close counts), rename (compat: djbdns.md section 1).
package publish

import (
	"bufio"
	"os"
	"path/filepath"
	"syscall"

	"bulkhead/internal/prog"
)

// File writes fn through tmp in the same file system: created or truncated
// with mode 0644 less umask. On any error fn is untouched and tmp may remain.
// Errors of the write function are returned as they are when they are
// *prog.Error; those of the system become "unable to create TMP: reason" and
// "unable to move TMP to FN: reason" (compat: djbdns.md section 4).
func File(fn, tmp string, write func(w *bufio.Writer) error) error {
	return file(fn, tmp, write, Commit)
}

// Quick is File for what may be lost: nothing waits for the disk. After a power
// cut fn may be empty or torn, which its reader must be able to tell.
func Quick(fn, tmp string, write func(w *bufio.Writer) error) error {
	return file(fn, tmp, write, rename)
}

func file(fn, tmp string, write func(w *bufio.Writer) error, commit func(f *os.File, fn string) error) error {
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to create "+tmp, err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return prog.Fatal("unable to create "+tmp, err)
	}
	return commit(f, fn)
}

// Commit makes the open file f, under its temporary name, durable and renames
// it to fn. It closes f.
func Commit(f *os.File, fn string) error {
	if err := f.Sync(); err != nil {
		return prog.Fatal("unable to create "+f.Name(), err)
	}
	if err := rename(f, fn); err != nil {
		return err
	}
	syncDir(filepath.Dir(fn))
	return nil
}

// rename closes f and gives it its name.
func rename(f *os.File, fn string) error {
	tmp := f.Name()
	if err := f.Close(); err != nil {
		return prog.Fatal("unable to create "+tmp, err)
	}
	// not os.Rename, which has its own words for renaming onto a folder
	if err := syscall.Rename(tmp, fn); err != nil {
		return prog.Fatal("unable to move "+tmp+" to "+fn, err)
	}
	return nil
}

// syncDir makes a rename durable where the file system can; failure costs
// only durability after a power cut, never consistency, so it is no error.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
