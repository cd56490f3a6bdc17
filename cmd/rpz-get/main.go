// Rpz-get keeps a response policy zone as a file that dnscache reads; see
// rpz-get(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/rpzget"
)

func main() {
	prog.Main("rpz-get", func(args []string) error { return rpzget.Run(box, args) })
}
