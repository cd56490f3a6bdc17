package main

import "bulkhead/internal/sandbox"

// box is what dnsmx needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsmx",
	Job:     "finds mail exchangers",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
