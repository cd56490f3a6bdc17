// Readproctitle shows what it reads in its own line of ps; see
// readproctitle(8).
//
//go:debug containermaxprocs=0
package main

import (
	"unsafe"

	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

// minRoom is the least length of the last argument, in bytes; the first kept
// of them always stay dots (compat: daemontools.md section 8).
const (
	minRoom = 5
	kept    = 3
)

func main() { prog.Main("readproctitle", run) }

func run(args []string) error {
	if len(args) < 1 || len(args[len(args)-1]) < minRoom {
		return prog.Exit(prog.ExitPermanent)
	}
	// The strings of os.Args lie in the memory that the kernel made for the
	// arguments, which is writable and is what ps shows.
	last := args[len(args)-1]
	title := unsafe.Slice(unsafe.StringData(last), len(last))
	for i := range title {
		title[i] = '.'
	}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := posix.Read(0, buf)
		if err != nil {
			return prog.Exit(prog.ExitTemporary)
		}
		if n == 0 {
			return nil
		}
		for _, c := range buf[:n] {
			if c != 0 {
				copy(title[kept:], title[kept+1:])
				title[len(title)-1] = c
			}
		}
	}
}
