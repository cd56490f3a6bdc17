// Pgrphack runs a program in a session and process group of its own; see
// pgrphack(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"
	"syscall"

	"bulkhead/internal/child"
	"bulkhead/internal/prog"
	"bulkhead/internal/sigentry"
)

func main() { prog.Main("pgrphack", run) }

func run(args []string) error {
	sigentry.Restore()
	if len(args) < 1 {
		return prog.Usage("pgrphack child")
	}
	syscall.Setsid() // fails for a group leader, which has what it wants
	return child.Exec(args, os.Environ())
}
