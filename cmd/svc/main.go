// Svc sends commands to services, and waits for their effect if asked to; see
// svc(8).
//
//go:debug containermaxprocs=0
package main

import (
	"bytes"
	"os"
	"syscall"
	"time"

	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
	"bulkhead/internal/svdir"
)

// usage is 0.76's line; it is compared literally, so the newer letters are
// only in the manual.
const usage = "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n"

func main() { prog.Main("svc", run) }

func run(args []string) error {
	var (
		commands []byte
		goal     svdir.Goal
		timeout  time.Duration
	)
	opts := getopt.New(args, "udopchaitkxq12w+=T:")
	for c := opts.Next(); c != 0; c = opts.Next() {
		switch {
		case c == '?':
			return complain()
		case c == 'T':
			n, used := scan.Number(opts.Arg)
			if used == 0 || used != len(opts.Arg) || n > 1<<40 {
				return complain()
			}
			timeout = time.Duration(n) * time.Millisecond
		case c == 'w' && isGoal(opts.Peek()):
			goal, _ = svdir.ParseGoal(string(opts.Take()))
		case bytes.IndexByte(commands, c) < 0:
			commands = append(commands, c)
		}
	}
	v, err := svdir.NewVisitor()
	if err != nil {
		return prog.Fatal("unable to open current directory", err)
	}
	for _, dir := range opts.Args() {
		if err := syscall.Chdir(dir); err != nil {
			prog.Warn("unable to chdir to "+dir, err)
			continue
		}
		control(dir, commands)
		if err := v.Home(); err != nil {
			return prog.Fatal("unable to set directory", err)
		}
	}
	if goal == 0 {
		return nil
	}
	return svdir.AwaitAll(v, opts.Args(), goal, timeout)
}

func complain() error {
	os.Stderr.WriteString(usage)
	return prog.Exit(prog.ExitPermanent)
}

func isGoal(c byte) bool { return c != 0 && bytes.IndexByte([]byte("uUdD"), c) >= 0 }

// control sends the commands to the service in the working directory. Its
// troubles are warnings.
func control(dir string, commands []byte) {
	switch opened, err := svdir.Send(commands); {
	case err == nil:
	case opened:
		prog.Warn("error writing commands to "+dir, err)
	case err == syscall.ENXIO:
		prog.Warn("unable to control "+dir+": supervise not running", nil)
	default:
		prog.Warn("unable to control "+dir, err)
	}
}
