package main

import "bulkhead/internal/sandbox"

// box is what dnsip needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsip",
	Job:     "finds IPv4 addresses",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
