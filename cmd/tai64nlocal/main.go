// Tai64nlocal turns TAI64N labels at the start of lines into local time; see
// tai64nlocal(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"

	"bulkhead/internal/labels"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/zone"
)

func main() {
	prog.Main("tai64nlocal", func([]string) error {
		local := zone.Local()
		if err := sandbox.Enter(box); err != nil {
			return err
		}
		if labels.Local(os.Stdout, os.Stdin, local) != nil {
			return prog.Exit(prog.ExitTemporary)
		}
		return nil
	})
}
