package main

import "bulkhead/internal/sandbox"

var box = sandbox.Decl{
	Program: "pickdns",
	Job:     "answers with a few of many addresses over UDP",
	Read:    []string{"."},
	Calls:   "recvmmsg sendmmsg openat newfstatat fstat fcntl close rt_sigaction kill",
}
