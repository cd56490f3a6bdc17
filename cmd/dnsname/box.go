package main

import "bulkhead/internal/sandbox"

// box is what dnsname needs once it has started: the configuration of the
// resolver library, and sockets to ask name servers with.
var box = sandbox.Decl{
	Program: "dnsname",
	Job:     "finds names of addresses",
	Read:    []string{"/etc/resolv.conf", "/etc/dnsrewrite", "/etc/hostname"},
	Sockets: []string{"udp", "tcp"},
}
