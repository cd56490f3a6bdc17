// Rbldns serves a list of addresses; see rbldns(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/server"
	"bulkhead/internal/smallserver"
)

func main() {
	prog.Main("rbldns", func([]string) error {
		return server.Run(server.Spec{
			Name: "rbldns",
			Box:  box,
			Init: smallserver.Rbl,
		})
	})
}
