// Cdbmake makes a constant database from records on standard input; see
// cdbmake(1).
package main

import (
	"bufio"
	"errors"
	"os"
	"syscall"

	"bulkhead/internal/cdb"
	"bulkhead/internal/prog"
)

func main() { prog.Main("cdbmake", run) }

func run(args []string) error {
	if len(args) < 2 {
		return prog.Usage("cdbmake f ftmp")
	}
	fn, tmp := args[0], args[1]
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to create "+tmp, err)
	}
	w := cdb.NewWriter(f)
	var writing error // tells trouble with the output from trouble with the input
	err = cdb.ReadText(bufio.NewReaderSize(os.Stdin, 1<<16), func(key, data []byte) error {
		writing = w.Add(key, data)
		return writing
	})
	switch {
	case writing != nil:
		return prog.Fatal("unable to write "+tmp, writing)
	case errors.Is(err, cdb.ErrFull):
		return prog.Fatal("out of memory", nil)
	case err != nil:
		return prog.Fatal("unable to read input", err)
	}
	if err := w.Finish(); err != nil {
		return prog.Fatal("unable to write "+tmp, err)
	}
	if err := f.Sync(); err != nil {
		return prog.Fatal("unable to write "+tmp, err)
	}
	if err := f.Close(); err != nil {
		return prog.Fatal("unable to write "+tmp, err)
	}
	// not os.Rename, which has its own words for renaming onto a folder
	if err := syscall.Rename(tmp, fn); err != nil {
		return prog.Fatal("unable to rename "+tmp+" to "+fn, err)
	}
	return nil
}
