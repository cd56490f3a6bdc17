package main

import "bulkhead/internal/sandbox"

// box is what readproctitle needs: to read errors and to keep them in its own
// memory, where ps finds them.
var box = sandbox.Decl{
	Program: "readproctitle",
	Job:     "shows errors in the list of processes",
	User:    true,
	Calls:   "read",
}
