// Recordio shows what a program under tcpserver reads and writes; see recordio(1).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/relay"
)

func main() { prog.Main("recordio", run) }

func run(args []string) error {
	if len(args) < 1 {
		return prog.Usage("recordio program [ arg ... ]")
	}
	return relay.Run(args, box, func(pid string) (in, out relay.Filter) {
		return &relay.Recorder{Prefix: pid + " < "}, &relay.Recorder{Prefix: pid + " > "}
	})
}
