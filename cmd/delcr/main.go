// Delcr removes the carriage return before every newline; see delcr(1).
package main

import (
	"os"

	"bulkhead/internal/crlf"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

func main() { prog.Main("delcr", run) }

func run([]string) error {
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	if crlf.Copy(os.Stdin.Read, os.Stdout.Write, &crlf.Deleter{}) != nil {
		return prog.Exit(prog.ExitTemporary)
	}
	return nil
}
