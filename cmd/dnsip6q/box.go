package main

import "bulkhead/internal/sandbox"

// box is what dnsip6q needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsip6q",
	Job:     "finds IPv6 addresses of rewritten names",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
