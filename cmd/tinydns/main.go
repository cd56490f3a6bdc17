// Tinydns answers questions about the data in data.cdb, over UDP.
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/server"
	"bulkhead/internal/tinydns"
)

func main() {
	prog.Main("tinydns", func([]string) error {
		return server.Run(server.Spec{
			Name: "tinydns",
			Box:  box,
			Init: tinydns.Init,
		})
	})
}
