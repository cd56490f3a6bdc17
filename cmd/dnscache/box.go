package main

import "bulkhead/internal/sandbox"

// box is what dnscache needs once it has started: its configuration, sockets
// to ask servers with, and a folder for what it wants to know after a restart.
var box = sandbox.Decl{
	Program: "dnscache",
	Job:     "asks strangers' servers, keeps what they say",
	Read:    []string{"."},
	Write:   []string{"state"},
	Sockets: []string{"udp", "tcp"},
	Late:    true, // it reads its configuration and its old cache first
	Calls:   "recvmmsg sendmmsg sendto socket bind connect close accept4 setsockopt getsockopt fcntl openat newfstatat getdents64 fsync renameat inotify_add_watch",
}
