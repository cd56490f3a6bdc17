// Svscanboot starts svscan the way init does it; see svscanboot(8).
//
//go:debug containermaxprocs=0
package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"bulkhead/internal/child"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
)

// path is what services start with (compat: daemontools.md section 7).
const path = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"

// scanDirs: the original's place, then Debian's; the first that exists.
var scanDirs = []string{"/service", "/etc/service"}

// dots is the room that readproctitle has for messages, in bytes.
const dots = 400

func main() { prog.Main("svscanboot", run) }

func run([]string) error {
	os.Setenv("PATH", path)
	scan := scanDirs[0]
	for _, d := range scanDirs {
		if ok, _ := posix.Exists(d); ok {
			scan = d
			break
		}
	}
	null, err := posix.Open("/dev/null", syscall.O_RDWR, 0)
	if err != nil {
		return prog.Fatal("unable to open /dev/null", err)
	}
	for fd := range 3 {
		syscall.Dup3(null, fd, 0)
	}
	mains, _ := filepath.Glob(scan + "/*")
	logs, _ := filepath.Glob(scan + "/*/log")
	n := uintptr(null)
	if pid, err := child.Start(append(append([]string{"svc", "-dx"}, mains...), logs...),
		&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{n, n, n}}); err == nil {
		posix.Wait4(pid, nil, 0)
	}
	r, w, err := posix.Pipe()
	if err != nil {
		return prog.Fatal("unable to create pipe", err)
	}
	env := []string{"PATH=" + path}
	scanner, _ := child.Start([]string{"svscan", scan}, &syscall.ProcAttr{Env: env, Files: []uintptr{n, uintptr(w), uintptr(w)}})
	title, _ := child.Start([]string{"readproctitle", "service", "errors:", strings.Repeat(".", dots)},
		&syscall.ProcAttr{Env: env, Files: []uintptr{uintptr(r), n, n}})
	syscall.Close(r)
	syscall.Close(w)
	// It stays as the parent of both. What systemd says to it is meant for svscan:
	// TERM stops all services in order, HUP looks again. The original died of it
	// and left them running, for a second svscan to meet at the next start.
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for sig := range c {
			if scanner > 0 {
				syscall.Kill(scanner, sig.(syscall.Signal))
			}
		}
	}()
	for _, pid := range []int{scanner, title} {
		if pid > 0 {
			posix.Wait4(pid, nil, 0)
		}
	}
	return nil
}
