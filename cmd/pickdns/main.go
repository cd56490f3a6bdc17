// Pickdns serves a few random addresses of many; see pickdns(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/server"
	"bulkhead/internal/smallserver"
)

func main() {
	prog.Main("pickdns", func([]string) error {
		return server.Run(server.Spec{
			Name: "pickdns",
			Box:  box,
			Init: smallserver.Pick,
		})
	})
}
