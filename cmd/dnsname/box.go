package main

import "bulkhead/internal/sandbox"

// box is what dnsname needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsname",
	Job:     "finds names of addresses",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
