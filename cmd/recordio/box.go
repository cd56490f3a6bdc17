package main

import "bulkhead/internal/sandbox"

// box is what the copying half of recordio needs: descriptors that are open. The
// other half has become the program that the user named.
var box = sandbox.Decl{
	Program: "recordio",
	Job:     "shows what passes between a program and the network",
	User:    true,
	When:    "in the half that copies",
	Calls:   "ppoll close",
}
