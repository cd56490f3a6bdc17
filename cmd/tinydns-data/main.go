// Tinydns-data compiles data into data.cdb; see tinydns-data(8).
package main

import (
	"bulkhead/internal/cdb"
	"bulkhead/internal/datafile"
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydata"
)

func main() { prog.Main("tinydns-data", run) }

func run(args []string) error {
	return datafile.Make(func(src *datafile.Source, w *cdb.Writer) error {
		_, err := tinydata.Compile(src, w, tinydata.Serial(src.ModTime.Unix()), nil)
		return err
	}, nil)
}
