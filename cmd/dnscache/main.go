// Dnscache is a recursive DNS server: it finds answers for the clients listed
// in root/ip and keeps them; see dnscache(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/recursor"
)

func main() { prog.Main("dnscache", run) }

func run([]string) error { return recursor.Run(box) }
