// Argv0 runs a program under another name; see argv0(1).
package main

import (
	"os"

	"bulkhead/internal/child"
	"bulkhead/internal/prog"
)

func main() { prog.Main("argv0", run) }

func run(args []string) error {
	if len(args) < 2 {
		return prog.Usage("argv0 realname program [ arg ... ]")
	}
	// The file searched for is args[0]; what the program sees as its name is args[1].
	return prog.Fatal("unable to run "+args[0], child.TryExecFile(args[0], args[1:], os.Environ()))
}
