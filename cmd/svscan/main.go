// Svscan keeps a supervise running for each service of a directory; see
// svscan(8).
//
//go:debug containermaxprocs=0
package main

import (
	"syscall"

	"bulkhead/internal/prog"
	"bulkhead/internal/scanner"
	"bulkhead/internal/sigentry"
)

func main() { prog.Main("svscan", run) }

func run(args []string) error {
	sigentry.Restore()
	if len(args) > 0 {
		if err := syscall.Chdir(args[0]); err != nil {
			return prog.Fatal("unable to chdir to "+args[0], err)
		}
	}
	code, err := scanner.Run()
	if err != nil {
		return err
	}
	return prog.Exit(code)
}
