// Cdbget prints the data of one key of a constant database on standard input;
// see cdbget(1).
package main

import (
	"os"

	"bulkhead/internal/cdb"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
)

func main() { prog.Main("cdbget", run) }

func run(args []string) error {
	if len(args) < 1 {
		return prog.Usage("cdbget key [skip]")
	}
	skip := uint64(0)
	if len(args) > 1 {
		skip, _ = scan.Number(args[1])
	}
	b, err := mapfile.Read(os.Stdin)
	if err != nil {
		return prog.Fatal("unable to read input", err)
	}
	c := cdb.Reader(b).Find([]byte(args[0]))
	for {
		data, err := c.Next()
		if err != nil {
			return prog.Fatal("unable to read input", err)
		}
		if data == nil {
			return prog.Exit(prog.ExitPermanent) // not there
		}
		if skip > 0 {
			skip--
			continue
		}
		if _, err := os.Stdout.Write(data); err != nil {
			return prog.Fatal("unable to write output", err)
		}
		return nil
	}
}
