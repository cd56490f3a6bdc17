package main

import "bulkhead/internal/sandbox"

// box is what dnsfilter needs once it has started: the configuration of the
// resolver library, and sockets to ask name servers with.
var box = sandbox.Decl{
	Program: "dnsfilter",
	Job:     "puts names beside addresses in a log",
	Read:    []string{"/etc/resolv.conf", "/etc/dnsrewrite", "/etc/hostname"},
	Sockets: []string{"udp", "tcp"},
}
