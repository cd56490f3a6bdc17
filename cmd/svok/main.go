// Svok tells by its exit code whether supervise runs; see svok(8).
//
//go:debug containermaxprocs=0
package main

import (
	"syscall"

	"bulkhead/internal/prog"
	"bulkhead/internal/svdir"
)

func main() { prog.Main("svok", run) }

func run(args []string) error {
	if len(args) < 1 {
		return prog.Usage("svok dir")
	}
	if err := syscall.Chdir(args[0]); err != nil {
		return prog.Fatal("unable to chdir to "+args[0], err)
	}
	switch _, err := svdir.OpenFIFO(svdir.Sub() + "/ok"); err {
	case nil:
		return nil
	case syscall.ENOENT, syscall.ENXIO, svdir.NotFIFO{}:
		return prog.Exit(prog.ExitPermanent)
	default:
		return prog.Fatal("unable to open "+args[0]+"/supervise/ok", err)
	}
}
