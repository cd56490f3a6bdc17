// Supervise starts a service and starts it again when it dies; see
// supervise(8).
//
//go:debug containermaxprocs=0
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/service"
	"bulkhead/internal/sigentry"
)

func main() { prog.Main("supervise", run) }

func run(args []string) error {
	sigentry.Restore()
	if service.IsStub() {
		return service.RunStub(args)
	}
	if len(args) != 1 {
		return prog.Usage("supervise dir")
	}
	return service.Run(args[0])
}
