// Fixcrio makes line ends of the network of those of a program and of its clients; see fixcrio(1).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/relay"
)

func main() { prog.Main("fixcrio", run) }

func run(args []string) error {
	if len(args) < 1 {
		return prog.Usage("fixcrio program [ arg ... ]")
	}
	return relay.Run(args, box, func(pid string) (in, out relay.Filter) {
		return &relay.CRFixer{}, &relay.CRFixer{}
	})
}
