// Tcprules compiles rules for tcpserver; see tcprules(1).
package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"

	"bulkhead/internal/cdb"
	"bulkhead/internal/prog"
	"bulkhead/internal/tcprules"
)

func main() { prog.Main("tcprules", run) }

func run(args []string) error {
	if len(args) < 2 {
		return prog.Usage("tcprules rules.cdb rules.tmp")
	}
	fn, tmp := args[0], args[1]
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to create "+tmp, err)
	}
	w := cdb.NewWriter(f)
	for in := bufio.NewReaderSize(os.Stdin, 1<<16); ; {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return prog.Fatal("unable to read input", err)
		}
		last := err == io.EOF
		trimmed, err := tcprules.Line(line, w.Add)
		if errors.Is(err, tcprules.ErrLine) {
			text, _, _ := bytes.Cut(trimmed, []byte{0}) // 0.88 shows it to the first zero byte
			return prog.Permanent("unable to parse this line: "+string(text), nil)
		}
		if err != nil {
			return prog.Fatal("unable to write to "+tmp, err)
		}
		if last {
			break
		}
	}
	if err := w.Finish(); err != nil {
		return prog.Fatal("unable to write to "+tmp, err)
	}
	if err := f.Sync(); err != nil {
		return prog.Fatal("unable to write to "+tmp, err)
	}
	if err := f.Close(); err != nil {
		return prog.Fatal("unable to write to "+tmp, err)
	}
	if err := syscall.Rename(tmp, fn); err != nil {
		return prog.Fatal("unable to move "+tmp+" to "+fn, err)
	}
	return nil
}
