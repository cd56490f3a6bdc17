// Dnscache-conf makes a service directory for dnscache; see dnscache-conf(8).
package main

import (
	"bulkhead/internal/conf"
	"bulkhead/internal/prog"
)

func main() { prog.Main("dnscache-conf", conf.Dnscache) }
