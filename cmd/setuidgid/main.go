// Setuidgid runs a program under an account's uid and gid; see setuidgid(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"
	"syscall"

	"bulkhead/internal/account"
	"bulkhead/internal/child"
	"bulkhead/internal/prog"
	"bulkhead/internal/sigentry"
)

func main() { prog.Main("setuidgid", run) }

func run(args []string) error {
	sigentry.Restore()
	if len(args) < 2 {
		return prog.Usage("setuidgid account child")
	}
	id, ok := account.Lookup(args[0])
	if !ok {
		return prog.Fatal("unknown account "+args[0], nil)
	}
	if err := syscall.Setgroups([]int{id.GID}); err != nil {
		return prog.Fatal("unable to setgid", err)
	}
	if err := syscall.Setgid(id.GID); err != nil {
		return prog.Fatal("unable to setgid", err)
	}
	if err := syscall.Setuid(id.UID); err != nil {
		return prog.Fatal("unable to setuid", err)
	}
	return child.Exec(args[1:], os.Environ())
}
