// Envdir runs a program with variables taken from a folder; see envdir(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"

	"bulkhead/internal/child"
	"bulkhead/internal/envdir"
	"bulkhead/internal/prog"
	"bulkhead/internal/sigentry"
)

func main() { prog.Main("envdir", run) }

func run(args []string) error {
	sigentry.Restore()
	if len(args) < 2 {
		// 111 here, alone among the programs (compat: daemontools.md section 13)
		return &prog.Error{Code: prog.ExitTemporary, Line: "usage: envdir dir child"}
	}
	edits, err := envdir.Read(args[0])
	if err != nil {
		return err
	}
	return child.Exec(args[1:], child.Environ(os.Environ(), edits))
}
