// Tinydns-data compiles data into data.cdb; see tinydns-data(8).
package main

import (
	"bufio"
	"errors"
	"os"
	"strconv"

	"bulkhead/internal/makecdb"
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydata"
)

func main() { prog.Main("tinydns-data", run) }

func run(args []string) error {
	if len(args) > 0 && args[0] == "-lint" {
		fn := makecdb.In
		if len(args) > 1 {
			fn = args[1]
		}
		return lint(fn)
	}
	return makecdb.Tinydns() // other arguments are ignored, as ever
}

// lint prints what compiles but is probably wrong; exit 100 if there is any.
func lint(fn string) error {
	f, err := os.Open(fn)
	if err != nil {
		return prog.Fatal("unable to open "+fn, err)
	}
	found, err := tinydata.Lint(f)
	if err != nil {
		var read *tinydata.ReadError
		if errors.As(err, &read) {
			return prog.Fatal("unable to read line", read.Err)
		}
		return prog.Fatal("out of memory", nil)
	}
	w := bufio.NewWriter(os.Stdout)
	for _, x := range found {
		w.WriteString(fn + ":" + strconv.FormatUint(x.Line, 10) + ": " + x.Text + "\n")
	}
	if err := w.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	if len(found) > 0 {
		return prog.Exit(prog.ExitPermanent)
	}
	return nil
}
