package sandbox

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MarkPrefix begins the name of a page of memory that a program leaves behind
// when its Landlock wall stands. /proc shows no other trace of Landlock, so
// compartments(8) looks for it in /proc/PID/maps. It is the program's own
// word, given before it has read a stranger's first byte.
const MarkPrefix = "bulkhead-"

// mark names a page, where the kernel can (CONFIG_ANON_VMA_NAME).
func mark(wall string) {
	page, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return
	}
	name := append([]byte(MarkPrefix+wall), 0)
	unix.Prctl(unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME, uintptr(unsafe.Pointer(&page[0])),
		uintptr(len(page)), uintptr(unsafe.Pointer(&name[0])))
}
