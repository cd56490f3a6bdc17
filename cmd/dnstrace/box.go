package main

import "bulkhead/internal/sandbox"

// box is what dnstrace needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnstrace",
	Job:     "follows delegations from the root",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
