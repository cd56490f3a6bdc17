package main

import "bulkhead/internal/sandbox"

// box is what tinydns-receive needs to take a file from standard input or to
// check what rsync has taken.
var box = sandbox.Decl{
	Program: "tinydns-receive",
	Job:     "takes data.cdb from a primary",
	User:    true,
	When:    "after rsync, if it runs one",
	Write:   []string{"."},
	Calls:   "openat newfstatat fstat fchmod fsync renameat unlinkat fcntl close",
}
