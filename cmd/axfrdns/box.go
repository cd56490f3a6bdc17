package main

import "bulkhead/internal/sandbox"

var box = sandbox.Decl{
	Program: "axfrdns",
	Job:     "zone transfers and answers over TCP",
	Read:    []string{"."},
	Calls:   "accept4 close openat newfstatat fstat fcntl setsockopt ppoll epoll_create1 eventfd2 getrlimit",
}
