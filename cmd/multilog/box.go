package main

import "bulkhead/internal/sandbox"

// box is what multilog needs once its directories are open and locked: to keep
// files in them. It holds as long as the script names no processor, which
// would inherit the walls.
var box = sandbox.Decl{
	Program: "multilog",
	Job:     "keeps logs in directories of its own",
	User:    true,
	When:    "without a processor",
	Write:   []string{"."},
	Calls:   "ppoll fcntl fchdir lseek openat close newfstatat getdents64 fsync fchmod fchmodat renameat linkat unlinkat",
}
