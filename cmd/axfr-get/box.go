package main

import "bulkhead/internal/sandbox"

// box is what axfr-get needs once it is connected: to write the file, in the
// folders that its command line names.
var box = sandbox.Decl{
	Program: "axfr-get",
	Job:     "copies a zone from its server into a file",
	User:    true,
	Write:   []string{"."},
	Calls:   "ppoll openat close fsync renameat fcntl",
}
