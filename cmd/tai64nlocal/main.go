// Tai64nlocal turns TAI64N labels at the start of lines into local time; see
// tai64nlocal(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"

	"bulkhead/internal/labels"
	"bulkhead/internal/prog"
	"bulkhead/internal/zone"
)

func main() {
	prog.Main("tai64nlocal", func([]string) error {
		if labels.Local(os.Stdout, os.Stdin, zone.Local()) != nil {
			return prog.Exit(prog.ExitTemporary)
		}
		return nil
	})
}
