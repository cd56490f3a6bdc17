// Softlimit runs a program under soft resource limits; see softlimit(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"

	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/rlimit"
	"bulkhead/internal/sigentry"
)

const usage = "softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes]" +
	" [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child"

func main() { prog.Main("softlimit", run) }

func run(args []string) error {
	sigentry.Restore()
	if rlimit.Probe(args) {
		return rlimit.RunProbe(args)
	}
	var limits rlimit.Limits
	opts := getopt.New(args, rlimit.Options)
	for c := opts.Next(); c != 0; c = opts.Next() {
		if c == '?' {
			return prog.Usage(usage)
		}
		if err := limits.Add(c, opts.Arg); err == rlimit.ErrUsage {
			return prog.Usage(usage)
		} else if err != nil {
			return err
		}
	}
	if len(opts.Args()) == 0 {
		return prog.Usage(usage)
	}
	return limits.Exec(opts.Args(), os.Environ())
}
