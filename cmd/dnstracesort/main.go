// Dnstracesort makes the output of dnstrace readable; see dnstracesort(1).
package main

import (
	"bufio"
	"os"

	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/trace"
)

func main() { prog.Main("dnstracesort", run) }

func run([]string) error {
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if err := trace.Sort(os.Stdin, out); err != nil {
		return prog.Fatal("unable to sort", err)
	}
	if err := out.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	return nil
}
