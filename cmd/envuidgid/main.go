// Envuidgid runs a program with an account's numbers in $UID and $GID; see
// envuidgid(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"

	"bulkhead/internal/account"
	"bulkhead/internal/child"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/sigentry"
)

func main() { prog.Main("envuidgid", run) }

func run(args []string) error {
	sigentry.Restore()
	if len(args) < 2 {
		return prog.Usage("envuidgid account child")
	}
	id, ok := account.Lookup(args[0])
	if !ok {
		return prog.Fatal("unknown account "+args[0], nil)
	}
	return child.Exec(args[1:], child.Environ(os.Environ(), []child.Edit{
		{Name: "GID", Value: posix.Itoa(id.GID)},
		{Name: "UID", Value: posix.Itoa(id.UID)},
	}))
}
