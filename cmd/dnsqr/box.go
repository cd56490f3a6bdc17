package main

import "bulkhead/internal/sandbox"

// box is what dnsqr needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsqr",
	Job:     "asks the cache",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
