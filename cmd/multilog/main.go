// Multilog writes lines to automatically rotated logs; see multilog(8).
//
//go:debug containermaxprocs=0
package main

import (
	"syscall"

	"bulkhead/internal/logdir"
	"bulkhead/internal/logscript"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

func main() { prog.Main("multilog", run) }

func run(args []string) error {
	syscall.Umask(0o022)
	l, err := logdir.New(logscript.Parse(args))
	if err != nil {
		return err
	}
	if !l.Processes() {
		box.Write = l.Directories()
		if err := sandbox.Enter(box); err != nil {
			return err
		}
	}
	l.Run()
	return nil
}
