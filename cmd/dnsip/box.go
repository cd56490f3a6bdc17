package main

import "bulkhead/internal/sandbox"

// box is what dnsip needs once it has started: the configuration of the
// resolver library, and sockets to ask name servers with.
var box = sandbox.Decl{
	Program: "dnsip",
	Job:     "finds IPv4 addresses",
	Read:    []string{"/etc/resolv.conf", "/etc/dnsrewrite", "/etc/hostname"},
	Sockets: []string{"udp", "tcp"},
}
