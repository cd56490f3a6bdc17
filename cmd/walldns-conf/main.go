// Walldns-conf makes a service directory for walldns; see walldns-conf(8).
package main

import (
	"bulkhead/internal/conf"
	"bulkhead/internal/prog"
)

func main() { prog.Main("walldns-conf", conf.Walldns) }
