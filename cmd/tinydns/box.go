package main

import "bulkhead/internal/sandbox"

// box is what tinydns needs once it serves: its data, opened anew after each
// publish. Its sockets are made before.
var box = sandbox.Decl{
	Program: "tinydns",
	Job:     "answers from data.cdb over UDP",
	Read:    []string{"."},
	Calls:   "recvmmsg sendmmsg openat newfstatat fstat fcntl close rt_sigaction kill",
}
