// Addcr puts a carriage return before every newline; see addcr(1).
package main

import (
	"os"

	"bulkhead/internal/crlf"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

func main() { prog.Main("addcr", run) }

func run([]string) error {
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	if crlf.Copy(os.Stdin.Read, os.Stdout.Write, crlf.Adder{}) != nil {
		return prog.Exit(prog.ExitTemporary)
	}
	return nil
}
