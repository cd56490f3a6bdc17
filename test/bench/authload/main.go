// Authload makes load for authoritative servers, is the echo they are measured
// against, and writes the zones they serve. See scripts/bench-auth.
//
//	authload echo ADDR:PORT
//	authload load [-n names] [-x percent] [-do] [-t seconds] [-w window] ADDR:PORT
//	authload zone names         a master file of bench.test
//	authload data FILE          the same or a signed one as lines for tinydns-data
//
// The generator sends 32 questions in one call as segments of one datagram
// (UDP_SEGMENT), which costs it a fraction of what the server pays for them. It
// keeps a window of unanswered questions, so the server is never without work;
// the share of its turns in which there was nothing to do for it is printed as
// idle: near 0 it would be the bottleneck itself.
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/zonefile"

	"golang.org/x/sys/unix"
)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "authload: fatal:", err)
		os.Exit(111)
	}
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "authload: usage: authload echo|load|zone|data ...")
		os.Exit(100)
	}
	runtime.LockOSThread()
	switch args := os.Args[2:]; os.Args[1] {
	case "echo":
		echo(args[0])
	case "load":
		load(args)
	case "zone":
		n, err := strconv.Atoi(args[0])
		die(err)
		w := bufio.NewWriter(os.Stdout)
		fmt.Fprint(w, "$ORIGIN bench.test.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 16384 2048 1048576 2560\n@ NS ns1\nns1 A 192.0.2.1\n")
		for i := range n {
			fmt.Fprintf(w, "h%08x A 10.%d.%d.%d\n", i, i>>16&255, i>>8&255, i&255)
		}
		die(w.Flush())
	case "data":
		text, err := os.ReadFile(args[0])
		die(err)
		origin, _ := dnsname.ParseDot("bench.test")
		w := bufio.NewWriter(os.Stdout)
		var line []byte
		for r, err := range zonefile.NewReader(text, zonefile.Options{Origin: origin}).All() {
			die(err)
			line, err = tinydata.AppendClassic(line[:0], &tinydata.Record{Owner: r.Owner, Type: r.Type, TTL: r.TTL, Data: r.Data})
			die(err)
			if len(line) > 0 && line[len(line)-1] != '\n' {
				line = append(line, '\n')
			}
			w.Write(line)
		}
		die(w.Flush())
	}
}

type mmsghdr struct {
	h syscall.Msghdr
	n uint32
	_ uint32
}

const batch = 64

type ring struct {
	buf  [batch][2048]byte
	from [batch]syscall.RawSockaddrInet4
	iov  [batch]syscall.Iovec
	m    [batch]mmsghdr
}

func newRing() *ring {
	r := new(ring)
	for i := range r.m {
		r.iov[i].Base = &r.buf[i][0]
		r.m[i].h.Iov, r.m[i].h.Iovlen = &r.iov[i], 1
		r.m[i].h.Name = (*byte)(unsafe.Pointer(&r.from[i]))
	}
	return r
}

func (r *ring) recv(fd int, flags uintptr) int {
	for i := range r.m {
		r.iov[i].SetLen(2048)
		r.m[i].h.Namelen = syscall.SizeofSockaddrInet4
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.m)), batch, flags, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

func socket() int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	die(err)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 8<<20)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUFFORCE, 8<<20)
	return fd
}

func addr(s string) *syscall.SockaddrInet4 {
	a, err := netip.ParseAddrPort(s)
	die(err)
	return &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// echo sends back what it gets with QR set: what any server must do at least.
func echo(at string) {
	fd := socket()
	die(syscall.Bind(fd, addr(at)))
	r := newRing()
	for {
		n := r.recv(fd, syscall.MSG_DONTWAIT)
		if n == 0 {
			n = r.recv(fd, 0x10000) // MSG_WAITFORONE
		}
		for i := range n {
			r.iov[i].SetLen(int(r.m[i].n))
			r.buf[i][2] |= 0x80
		}
		for s := 0; s < n; {
			k, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.m[s])), uintptr(n-s), 0, 0, 0)
			if e != 0 {
				break
			}
			s += int(k)
		}
	}
}

func load(args []string) {
	f := flag.NewFlagSet("load", flag.ExitOnError)
	names := f.Int("n", 1000, "names in the zone")
	miss := f.Int("x", 0, "percent of questions for names that do not exist")
	do := f.Bool("do", false, "ask for signatures")
	secs := f.Float64("t", 1, "seconds")
	window := f.Int("w", 192, "unanswered questions")
	f.Parse(args)
	const segments = 32
	fd := socket()
	die(syscall.Connect(fd, addr(f.Arg(0))))
	q := []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x09h00000000\x05bench\x04test\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")
	if *do {
		q[len(q)-4] = 0x80
	}
	die(syscall.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, len(q)))
	out := make([]byte, 0, segments*len(q))
	for range segments {
		out = append(out, q...)
	}
	r := newRing()
	seed := uint64(time.Now().UnixNano())
	next := func() uint64 {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		return seed
	}
	const hex = "0123456789abcdef"
	var sent, got, nx, failed, bytes, turns, idle uint64
	start := time.Now()
	end := start.Add(time.Duration(*secs * float64(time.Second)))
	progress, stalled := start, uint64(0)
	for {
		turns++
		now := start
		if turns%64 == 0 {
			if now = time.Now(); now.After(end) {
				break
			}
			if got != stalled {
				progress, stalled = now, got
			} else if now.Sub(progress) > 20*time.Millisecond {
				sent = got // lost on the way: go on
			}
		}
		busy := false
		if int(sent-got)+segments <= *window {
			for i := range segments {
				p := out[i*len(q):]
				v := next()
				binary.BigEndian.PutUint16(p, uint16(v>>48))
				p[13] = 'h'
				if int(v>>32%100) < *miss {
					p[13] = 'x'
				}
				x := uint32(v) % uint32(*names)
				for k := range 8 {
					p[14+k] = hex[x>>(28-4*k)&15]
				}
			}
			if _, err := syscall.Write(fd, out); err == nil {
				sent += segments
			}
			busy = true
		}
		if n := r.recv(fd, syscall.MSG_DONTWAIT); n > 0 {
			busy = true
			for i := range n {
				bytes += uint64(r.m[i].n)
				switch r.buf[i][3] & 15 {
				case 0:
				case 3:
					nx++
				default:
					failed++
				}
			}
			got += uint64(n)
		}
		if !busy {
			idle++
		}
	}
	d := time.Since(start).Seconds()
	fmt.Printf("%.0f %.2f %d %d %d\n", float64(got)/d, float64(idle)/float64(turns), nx*100/max(got, 1), failed, bytes/max(got, 1))
}
