// Package nofile remembers the limit of open files that the process was
// started with. The standard library raises the soft limit as soon as package
// os is initialised; programs we start must get the original back. That this
// package is initialised before os follows from its having no other import
// than syscall, and from its path sorting before "os" (Go specification,
// section Program initialization). The test of package spawn would notice.
package nofile

import "syscall"

// Start is the limit at the start of the process.
var Start = get()

func get() (l syscall.Rlimit) {
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l
}
