package main

import "bulkhead/internal/sandbox"

// box is what dnsipq needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsipq",
	Job:     "finds IPv4 addresses of rewritten names",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
