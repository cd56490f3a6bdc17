// Rbldns-conf makes a service directory for rbldns; see rbldns-conf(8).
package main

import (
	"bulkhead/internal/conf"
	"bulkhead/internal/prog"
)

func main() { prog.Main("rbldns-conf", conf.Rbldns) }
