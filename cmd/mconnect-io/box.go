package main

import "bulkhead/internal/sandbox"

// box is what mconnect-io needs: to copy between four open descriptors.
var box = sandbox.Decl{
	Program: "mconnect-io",
	Job:     "copies between a user and a server",
	User:    true,
	Calls:   "read write",
}
