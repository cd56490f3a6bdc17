package main

import "bulkhead/internal/sandbox"

// box is what dnstrace needs once it has started: the configuration of the
// resolver library, and sockets to ask name servers with.
var box = sandbox.Decl{
	Program: "dnstrace",
	Job:     "follows delegations from the root",
	Read:    []string{"/etc/resolv.conf", "/etc/dnsrewrite", "/etc/hostname"},
	Sockets: []string{"udp", "tcp"},
}
