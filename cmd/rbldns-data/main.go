// Rbldns-data compiles data into data.cdb; see rbldns-data(8).
package main

import (
	"bulkhead/internal/cdb"
	"bulkhead/internal/makecdb"
	"bulkhead/internal/prog"
	"bulkhead/internal/rbl"
	"bulkhead/internal/tinydata"
)

func main() { prog.Main("rbldns-data", run) }

func run([]string) error {
	return makecdb.Make(func(src *makecdb.Source, w *cdb.Writer) error {
		var p rbl.Parser
		return tinydata.Lines(src, func(line []byte) error { return p.Line(line, w) })
	}, nil)
}
