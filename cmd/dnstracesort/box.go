package main

import "bulkhead/internal/sandbox"

// box is what dnstracesort needs to copy from standard input to standard output.
var box = sandbox.Decl{
	Program: "dnstracesort",
	Job:     "makes the output of dnstrace readable",
	User:    true,
	Calls:   "read write",
}
