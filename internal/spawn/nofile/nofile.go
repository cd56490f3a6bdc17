// Package nofile remembers the limit of open files that the process was
// started with. Package syscall raises the soft limit as soon as it is
// initialised, and keeps the old one to itself; programs we start by hand must
// get the original back. That this package is initialised before syscall
// follows from its having no imports at all, which is why it makes its system
// call itself, and from its path sorting before "syscall" (Go specification,
// section Program initialization). A test of package spawn would notice.
package nofile

// Start is the limit at the start of the process: soft, hard.
var Start = start()

func start() (l [2]uint64) {
	get(&l)
	return l
}

// get is prlimit(0, RLIMIT_NOFILE, nil, l).
//
//go:noescape
func get(l *[2]uint64)
