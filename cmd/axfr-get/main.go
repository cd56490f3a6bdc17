// Axfr-get copies a zone from its server into a file of data lines; see
// axfr-get(8).
package main

import (
	"bulkhead/internal/axfrget"
	"bulkhead/internal/prog"
)

func main() {
	prog.Main("axfr-get", func(args []string) error { return axfrget.Run(box, args) })
}
