package main

import "bulkhead/internal/sandbox"

// box is what addcr needs to copy from standard input to standard output.
var box = sandbox.Decl{
	Program: "addcr",
	Job:     "puts CR before LF",
	User:    true,
	Calls:   "read write",
}
