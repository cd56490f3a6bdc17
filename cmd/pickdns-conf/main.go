// Pickdns-conf makes a service directory for pickdns; see pickdns-conf(8).
package main

import (
	"bulkhead/internal/conf"
	"bulkhead/internal/prog"
)

func main() { prog.Main("pickdns-conf", conf.Pickdns) }
