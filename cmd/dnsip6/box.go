package main

import "bulkhead/internal/sandbox"

// box is what dnsip6 needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsip6",
	Job:     "finds IPv6 addresses",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
