package main

import "bulkhead/internal/sandbox"

// box is what dnsfilter needs once it has read its configuration: sockets to ask
// name servers with.
var box = sandbox.Decl{
	Program: "dnsfilter",
	Job:     "puts names beside addresses in a log",
	User:    true,
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect close fcntl",
}
