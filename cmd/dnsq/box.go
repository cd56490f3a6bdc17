package main

import "bulkhead/internal/sandbox"

// box is what dnsq needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsq",
	Job:     "asks one server",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
