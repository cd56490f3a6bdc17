package main

import "bulkhead/internal/sandbox"

// box is what rpz-get needs once it knows its server's addresses: connections
// to them, and the folder of the file. Run adds the server's port.
var box = sandbox.Decl{
	Program: "rpz-get",
	Job:     "copies a response policy zone from its server into a file",
	User:    true,
	Write:   []string{"."},
	Sockets: []string{"tcp"},
	Calls:   "socket connect getsockopt ppoll openat close fstat fsync renameat fcntl",
}
