package main

import "bulkhead/internal/sandbox"

// box is what tai64n needs to copy from standard input to standard output.
var box = sandbox.Decl{
	Program: "tai64n",
	Job:     "puts a time before each line of a log",
	User:    true,
	Calls:   "read write",
}
