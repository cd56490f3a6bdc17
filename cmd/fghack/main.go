// Fghack keeps a program that puts itself in the background in the foreground;
// see fghack(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"
	"syscall"

	"bulkhead/internal/child"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/sigentry"
)

// copies of the pipe's write end that the child gets besides the original: a
// daemon that closes "all" descriptors mostly stops at 20 (compat:
// daemontools.md section 16).
const copies = 30

func main() { prog.Main("fghack", run) }

func run(args []string) error {
	sigentry.Restore()
	if len(args) < 1 {
		return prog.Usage("fghack child")
	}
	r, w, err := posix.Pipe()
	if err != nil {
		return prog.Fatal("unable to create pipe", err)
	}
	ends := []int{w}
	for range copies {
		fd, err := syscall.Dup(w)
		if err != nil {
			break // as many as the limit of open files allows
		}
		ends = append(ends, fd)
	}
	posix.KeepOnExec(w)
	pid, err := child.Start(args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return prog.Fatal("unable to run "+args[0], err)
	}
	for _, fd := range ends {
		syscall.Close(fd)
	}
	// Until every copy in every descendant is closed.
	for buf := make([]byte, 512); ; {
		if n, _ := posix.Read(r, buf); n <= 0 {
			break
		}
	}
	var ws syscall.WaitStatus
	if _, err := posix.Wait4(pid, &ws, 0); err != nil {
		return prog.Fatal("wait failed", err)
	}
	if !ws.Exited() {
		return prog.Fatal("child crashed", nil)
	}
	return prog.Exit(ws.ExitStatus())
}
