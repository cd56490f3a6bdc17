package main

import "bulkhead/internal/sandbox"

var box = sandbox.Decl{
	Program: "rbldns",
	Job:     "answers from a list of addresses over UDP",
	Read:    []string{"."},
	Calls:   "recvmmsg sendmmsg openat newfstatat fstat fcntl close rt_sigaction kill",
}
