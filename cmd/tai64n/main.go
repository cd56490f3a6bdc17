// Tai64n puts a TAI64N label before each line; see tai64n(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"
	"time"

	"bulkhead/internal/labels"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

func main() {
	prog.Main("tai64n", func([]string) error {
		if err := sandbox.Enter(box); err != nil {
			return err
		}
		if labels.Stamp(os.Stdout, os.Stdin, time.Now) != nil {
			return prog.Exit(prog.ExitTemporary)
		}
		return nil
	})
}
