// Tinydns-data compiles data into data.cdb; see tinydns-data(8).
package main

import (
	"bulkhead/internal/cdb"
	"bulkhead/internal/makecdb"
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydata"
)

func main() { prog.Main("tinydns-data", run) }

func run(args []string) error {
	return makecdb.Make(func(src *makecdb.Source, w *cdb.Writer) error {
		_, err := tinydata.Compile(src, w, tinydata.Serial(src.ModTime.Unix()), nil)
		return err
	}, nil)
}
