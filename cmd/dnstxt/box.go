package main

import "bulkhead/internal/sandbox"

// box is what dnstxt needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnstxt",
	Job:     "finds TXT records",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
