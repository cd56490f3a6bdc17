// Cdbdump prints a constant database on standard input as records that
// cdbmake reads; see cdbdump(1).
package main

import (
	"bufio"
	"os"

	"bulkhead/internal/cdb"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/prog"
)

func main() { prog.Main("cdbdump", run) }

func run(args []string) error {
	b, err := mapfile.Read(os.Stdin)
	if err != nil {
		return prog.Fatal("unable to read input", err)
	}
	w := bufio.NewWriterSize(os.Stdout, 1<<16)
	var buf []byte
	var writing error
	err = cdb.Reader(b).Each(func(key, data []byte) error {
		buf = cdb.AppendText(buf[:0], key, data)
		_, writing = w.Write(buf)
		return writing
	})
	if writing == nil && err != nil {
		w.Flush()
		return prog.Fatal("unable to read input", err)
	}
	w.WriteByte('\n')
	if err := w.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	return nil
}
