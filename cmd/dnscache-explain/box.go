package main

import "bulkhead/internal/sandbox"

// box is what dnscache-explain needs once it is connected to the cache.
var box = sandbox.Decl{
	Program: "dnscache-explain",
	Job:     "shows how the cache finds an answer",
	User:    true,
	Calls:   "close",
}
