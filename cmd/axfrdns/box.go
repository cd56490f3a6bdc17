package main

import "bulkhead/internal/sandbox"

var box = sandbox.Decl{
	Program: "axfrdns",
	Job:     "zone transfers and answers over TCP",
	Read:    []string{"."},
}
