// Svup tells by its exit code whether services are up; see svup(8).
//
//go:debug containermaxprocs=0
package main

import (
	"syscall"

	"bulkhead/internal/prog"
	"bulkhead/internal/svdir"
)

func main() { prog.Main("svup", run) }

func run(args []string) error {
	if len(args) < 1 {
		return prog.Usage("svup dir ...")
	}
	v, err := svdir.NewVisitor()
	if err != nil {
		return prog.Fatal("unable to open current directory", err)
	}
	for _, dir := range args {
		if err := syscall.Chdir(dir); err != nil {
			return prog.Fatal("unable to chdir to "+dir, err)
		}
		if _, err := svdir.OpenFIFO(svdir.Sub() + "/ok"); err != nil {
			return prog.Exit(prog.ExitPermanent)
		}
		s, _, err := svdir.ReadState()
		if err != nil || !svdir.GoalReady.Reached(&s) {
			return prog.Exit(prog.ExitPermanent)
		}
		if err := v.Home(); err != nil {
			return prog.Fatal("unable to set directory", err)
		}
	}
	return nil
}
