// Svwait waits until services are up, ready or down; see svwait(8).
//
//go:debug containermaxprocs=0
package main

import (
	"time"

	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
	"bulkhead/internal/svdir"
)

const usage = "svwait [ -uUdD ] [ -T milliseconds ] dir ..."

func main() { prog.Main("svwait", run) }

func run(args []string) error {
	goal, timeout := svdir.GoalUp, time.Duration(0)
	opts := getopt.New(args, "uUdDT:")
	for c := opts.Next(); c != 0; c = opts.Next() {
		switch c {
		case '?':
			return prog.Usage(usage)
		case 'T':
			n, used := scan.Number(opts.Arg)
			if used == 0 || used != len(opts.Arg) || n > 1<<40 {
				return prog.Usage(usage)
			}
			timeout = time.Duration(n) * time.Millisecond
		default:
			goal = svdir.Goal(c)
		}
	}
	if len(opts.Args()) == 0 {
		return prog.Usage(usage)
	}
	v, err := svdir.NewVisitor()
	if err != nil {
		return prog.Fatal("unable to open current directory", err)
	}
	return svdir.AwaitAll(v, opts.Args(), goal, timeout)
}
