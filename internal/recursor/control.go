package recursor

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/publish"

	"golang.org/x/sys/unix"
)

// The control socket, ROOT/state/control, mode 0600: one line in, lines out
// (docs/format-control.md).
//
//	explain TYPE NAME [fresh]   an explanation (package explain)
//	stats                       counters
//	dump                        write the cache to disk now
const (
	maxControl     = 4    // connections at once; others wait
	waitControl    = 64   // connections that wait
	maxControlLine = 2048 // bytes: a name in text form takes 1016 at most
	controlTime    = 30 * time.Second
)

type control struct {
	fd   int // the listening socket; -1: none
	path string
}

// openControl makes the socket. Without the folder there is none; what goes
// wrong is no reason not to serve.
func (s *Server) openControl(string) *control {
	c := &control{fd: -1, path: controlFile}
	if _, err := os.Stat(stateDir); err != nil {
		return c
	}
	os.Remove(controlFile) // of an earlier run
	// Bare system calls: package net would bring the C library's resolver
	// into builds that allow it, and its threads can not be confined.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return c
	}
	if unix.Bind(fd, &unix.SockaddrUnix{Name: controlFile}) != nil ||
		os.Chmod(controlFile, 0o600) != nil || unix.Listen(fd, waitControl) != nil {
		unix.Close(fd)
		return c
	}
	c.fd = fd
	slots := make(chan struct{}, maxControl)
	go func() {
		for {
			slots <- struct{}{}
			n, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			if err == unix.EINTR || err == unix.ECONNABORTED {
				<-slots
				continue
			}
			if err != nil {
				return
			}
			k := os.NewFile(uintptr(n), "control")
			go func() {
				defer func() { k.Close(); <-slots }()
				s.control(k)
			}()
		}
	}()
	return c
}

func (c *control) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
}

func (s *Server) control(k *os.File) {
	k.SetDeadline(time.Now().Add(controlTime))
	line, err := bufio.NewReaderSize(k, maxControlLine).ReadSlice('\n')
	if err != nil {
		return
	}
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "stats":
		k.Write(s.stats())
	case "dump":
		var l Log
		l.Write = func(b []byte) { k.Write(b) }
		s.dump(&l, publish.File)
		l.Flush()
	case "explain":
		k.Write(s.explain(words[1:]))
	default:
		k.Write([]byte("error\tno such request\n"))
	}
}

// stats gives the counters, a line each: name, tab, value.
func (s *Server) stats() []byte {
	c := s.cache.Stats()
	var b []byte
	put := func(name string, v uint64) {
		b = append(strconv.AppendUint(append(append(b, name...), '\t'), v, 10), '\n')
	}
	put("questions", s.serial.Load())
	put("tcp", uint64(s.tcpActive.Load()))
	put("cache-bytes", uint64(c.Size))
	put("cache-used", uint64(c.Used))
	put("cache-entries", uint64(c.Entries))
	put("cache-hits", c.Hits)
	put("cache-misses", c.Misses)
	put("cache-evicted", c.Evicted)
	put("cache-expired", c.Expired)
	put("cache-motion", s.motion.Load())
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	put("goroutines", uint64(runtime.NumGoroutine()))
	put("heap-bytes", m.HeapAlloc)
	put("heap-system", m.HeapSys)
	return b
}

// explain runs one question through the first worker and gives what it saw.
func (s *Server) explain(words []string) []byte {
	if len(words) < 2 {
		return []byte("error\tusage: explain TYPE NAME\n")
	}
	t, ok := dns.ParseType(words[0])
	if !ok || t.IsMeta() && t != dns.TypeANY {
		return []byte("error\tunknown type\n")
	}
	name, err := dnsname.ParseDot(words[1])
	if err != nil {
		return []byte("error\tbad name\n")
	}
	out := make(chan []byte, 1)
	w := s.workers[0]
	w.call(func(w *worker) { w.startTrace([]byte(name), t, len(words) > 2 && words[2] == "fresh", out) })
	select {
	case b := <-out:
		return b
	case <-time.After(controlTime / 2):
		w.call(func(w *worker) { w.endTrace(out) })
		select {
		case b := <-out:
			return b
		case <-time.After(controlTime / 4):
			return []byte("error\ttimed out\n")
		}
	}
}
