// Tinydns-conf makes a service directory for tinydns; see tinydns-conf(8).
package main

import (
	"bulkhead/internal/conf"
	"bulkhead/internal/prog"
)

func main() { prog.Main("tinydns-conf", conf.Tinydns) }
