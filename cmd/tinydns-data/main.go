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
		serial := uint32(src.ModTime.Unix())
		if serial == 0 {
			serial = 1 // compat: djbdns.md section 4.2
		}
		_, err := tinydata.Compile(src, w, serial, nil)
		return err
	}, nil)
}
