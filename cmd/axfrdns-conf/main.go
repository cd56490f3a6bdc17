// Axfrdns-conf makes a service directory for axfrdns; see axfrdns-conf(8).
package main

import (
	"bulkhead/internal/conf"
	"bulkhead/internal/prog"
)

func main() { prog.Main("axfrdns-conf", conf.Axfrdns) }
