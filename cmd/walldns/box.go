package main

import "bulkhead/internal/sandbox"

var box = sandbox.Decl{
	Program: "walldns",
	Job:     "answers reverse questions about all addresses over UDP",
	Calls:   "recvmmsg sendmmsg rt_sigaction kill",
}
