package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// MarkPrefix begins the name of a page that a program leaves in its memory map
// when its Landlock wall stands. /proc shows no other trace of Landlock, so
// compartments(8) looks for it in /proc/PID/maps. It is the program's own
// word, given before it has read a stranger's first byte.
const MarkPrefix = "/memfd:bulkhead-"

// MarkBrief ends the name if the process is for one connection (Decl.Brief).
const MarkBrief = "-brief"

// mark maps an inaccessible page of an anonymous file of that name. Without
// it only the report of compartments(8) is poorer, so errors are no matter.
func mark(wall string, brief bool) {
	name := "bulkhead-" + wall
	if brief {
		name += MarkBrief
	}
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return
	}
	unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE)
	unix.Close(fd)
}
