// Pickdns-data compiles data into data.cdb; see pickdns-data(8).
package main

import (
	"bulkhead/internal/cdb"
	"bulkhead/internal/makecdb"
	"bulkhead/internal/pick"
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydata"
)

func main() { prog.Main("pickdns-data", run) }

func run([]string) error {
	return makecdb.Make(func(src *makecdb.Source, w *cdb.Writer) error {
		var d pick.Data
		err := tinydata.Lines(src, func(line []byte) error { return d.Line(line, w) })
		if err != nil {
			return err
		}
		return d.Finish(w)
	}, nil)
}
