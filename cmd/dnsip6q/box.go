package main

import "bulkhead/internal/sandbox"

// box is what dnsip6q needs once it has started: the configuration of the
// resolver library, and sockets to ask name servers with.
var box = sandbox.Decl{
	Program: "dnsip6q",
	Job:     "finds IPv6 addresses of rewritten names",
	Read:    []string{"/etc/resolv.conf", "/etc/dnsrewrite", "/etc/hostname"},
	Sockets: []string{"udp", "tcp"},
}
