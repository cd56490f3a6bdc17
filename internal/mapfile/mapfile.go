// Package mapfile maps files into memory to be read. A file that shrinks
// while it is mapped ends the process with SIGBUS, so it is only for files
// that are replaced by renaming, never rewritten in place.
package mapfile

import (
	"io"
	"os"
	"syscall"
)

// Map maps the whole of f. An empty file gives an empty slice. Close the file
// whenever you like; give the bytes back with Unmap.
func Map(f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		if st.IsDir() {
			return nil, syscall.EISDIR
		}
		return nil, syscall.ENODEV
	}
	if st.Size() == 0 {
		return []byte{}, nil
	}
	return syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}

// MapPart maps the first n bytes of a file that has at least as many.
func MapPart(f *os.File, n int) ([]byte, error) {
	if n == 0 {
		return []byte{}, nil
	}
	return syscall.Mmap(int(f.Fd()), 0, n, syscall.PROT_READ, syscall.MAP_SHARED)
}

// Unmap gives back what Map gave. Nobody may look at the bytes afterwards.
func Unmap(b []byte) {
	if len(b) > 0 {
		syscall.Munmap(b)
	}
}

// Read gives the content of f: mapped when it is a regular file, read
// otherwise, as from a pipe.
func Read(f *os.File) ([]byte, error) {
	if b, err := Map(f); err != syscall.ENODEV {
		return b, err
	}
	return io.ReadAll(f)
}
