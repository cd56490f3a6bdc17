// Walldns serves reverse names for all addresses without data; see walldns(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/server"
	"bulkhead/internal/smallserver"
)

func main() {
	prog.Main("walldns", func([]string) error {
		return server.Run(server.Spec{
			Name: "walldns",
			Box:  box,
			Init: smallserver.Wall,
		})
	})
}
