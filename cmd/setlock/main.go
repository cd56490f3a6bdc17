// Setlock runs a program with a lock held; see setlock(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"

	"bulkhead/internal/child"
	"bulkhead/internal/getopt"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/sigentry"
)

const usage = "setlock [ -nNxX ] file program [ arg ... ]"

func main() { prog.Main("setlock", run) }

func run(args []string) error {
	sigentry.Restore()
	wait, quiet := true, false
	opts := getopt.New(args, "nNxX")
	for c := opts.Next(); c != 0; c = opts.Next() {
		switch c {
		case 'n':
			wait = false
		case 'N':
			wait = true
		case 'x':
			quiet = true
		case 'X':
			quiet = false
		default:
			return prog.Usage(usage)
		}
	}
	args = opts.Args()
	if len(args) < 2 {
		return prog.Usage(usage)
	}
	file := args[0]
	fail := func(what string, err error) error {
		if quiet {
			return nil
		}
		return prog.Fatal("unable to "+what+" "+file, err)
	}
	fd, err := posix.OpenAppend(file)
	if err != nil {
		return fail("open", err)
	}
	if err := posix.Lock(fd, wait); err != nil {
		return fail("lock", err)
	}
	posix.KeepOnExec(fd) // the lock lives as long as a descendant has it open
	return child.Exec(args[1:], os.Environ())
}
