package main

import "bulkhead/internal/sandbox"

// box is what delcr needs to copy from standard input to standard output.
var box = sandbox.Decl{
	Program: "delcr",
	Job:     "takes CR before LF away",
	User:    true,
	Calls:   "read write",
}
