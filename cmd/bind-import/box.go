package main

import "bulkhead/internal/sandbox"

// box is what bind-import verify and shadow need once they have read the
// configuration or opened the recording: sockets to ask two servers, and the
// folders for their reports. Importing has no box: it reads the files that the
// configuration of BIND names, wherever they are.
var box = sandbox.Decl{
	Program: "bind-import",
	Job:     "compares the answers of two servers",
	User:    true,
	When:    "when it compares servers",
	Write:   []string{"."},
	Sockets: []string{"udp", "tcp"},
	Calls:   "socket bind connect getsockopt setsockopt getsockname getpeername openat fsync renameat fcntl close",
}
