package main

import "bulkhead/internal/sandbox"

// box is what tai64nlocal needs once it knows the time zone: to copy from
// standard input to standard output.
var box = sandbox.Decl{
	Program: "tai64nlocal",
	Job:     "shows the times of a log",
	User:    true,
	Calls:   "read write",
}
