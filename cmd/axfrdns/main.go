// Axfrdns answers over TCP and gives zones away; see axfrdns(8).
package main

import (
	"bulkhead/internal/axfrdns"
	"bulkhead/internal/prog"
)

func main() {
	prog.Main("axfrdns", func([]string) error { return axfrdns.Run(box) })
}
