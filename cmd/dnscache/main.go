// Dnscache is a recursive DNS server: it finds answers for the clients listed
// in root/ip and keeps them; see dnscache(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/recursor"
	"bulkhead/internal/sandbox"
)

// box is what dnscache needs once it has started.
var box = sandbox.Decl{
	Program: "dnscache",
	Job:     "asks strangers' servers, parses what they say",
	Read:    []string{"."},
	Write:   []string{"state"},
	Sockets: []string{"udp", "tcp", "unix"},
}

func main() { prog.Main("dnscache", run) }

func run([]string) error { return recursor.Run(box) }
