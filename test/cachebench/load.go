package main

import (
	"encoding/binary"
	"sort"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// server under test
var target = unix.SockaddrInet4{Port: 5300, Addr: [4]byte{127, 0, 0, 1}}

// loadResult is what a load saw.
type loadResult struct {
	answered int // with NOERROR or NXDOMAIN
	failed   int // other codes
	lost     int
	took     time.Duration
	lat      []float64 // milliseconds
}

func (l *loadResult) success() float64 {
	return 100 * float64(l.answered) / float64(max(1, l.answered+l.failed+l.lost))
}

func (l *loadResult) quantile(q float64) float64 {
	if len(l.lat) == 0 {
		return 0
	}
	sort.Float64s(l.lat)
	return l.lat[min(len(l.lat)-1, int(q*float64(len(l.lat))))]
}

const (
	burst    = 32
	patience = 5 * time.Second // a question unanswered for so long is lost
)

type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// load asks the questions in turn, passes times (0: until the time is over),
// keeping window of them outstanding. Questions are told apart by their ID.
func load(names []string, passes, window int, limit time.Duration) loadResult {
	return loadAt(0, names, passes, window, limit)
}

// loadAt is load with at most rate questions a second, 0: as many as are answered.
func loadAt(rate float64, names []string, passes, window int, limit time.Duration) loadResult {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return loadResult{}
	}
	defer unix.Close(fd)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	unix.Connect(fd, &target)
	packets := make([][]byte, len(names))
	for i, n := range names {
		packets[i] = packet(n)
	}
	var out, in [burst]mmsghdr
	var oio, iio [burst]unix.Iovec
	bufs := make([]byte, burst*2048)
	obufs := make([]byte, burst*512)
	for i := range burst {
		iio[i] = unix.Iovec{Base: &bufs[i*2048], Len: 2048}
		in[i].hdr = unix.Msghdr{Iov: &iio[i], Iovlen: 1}
		oio[i].Base = &obufs[i*512]
		out[i].hdr = unix.Msghdr{Iov: &oio[i], Iovlen: 1}
	}
	type slot struct {
		at   time.Time
		busy bool
	}
	slots := make([]slot, 65536)
	free := make([]uint16, 0, window)
	for i := range window {
		free = append(free, uint16(i))
	}
	var r loadResult
	total := len(names) * passes
	sent, open := 0, 0
	start := time.Now()
	next := uint16(window)
	lastLook := start
	for {
		now := time.Now()
		done := passes > 0 && sent >= total || passes == 0 && now.Sub(start) > limit
		if done && (open == 0 || passes == 0) {
			break
		}
		n := 0
		early := rate > 0 && float64(sent) > now.Sub(start).Seconds()*rate
		for !done && !early && n < burst && len(free) > 0 && (passes == 0 || sent < total) {
			free = free[:len(free)-1]
			for slots[next].busy {
				next++
			}
			id := next
			next++
			slots[id] = slot{now, true}
			p := packets[sent%len(packets)]
			b := obufs[n*512 : n*512+len(p)]
			copy(b, p)
			binary.BigEndian.PutUint16(b, id)
			oio[n].SetLen(len(p))
			sent++
			n++
			open++
		}
		if n > 0 {
			unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&out[0])), uintptr(n), 0, 0, 0)
		}
		flags := uintptr(unix.MSG_DONTWAIT)
		if n == 0 { // nothing to send: wait for an answer
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			wait := 100
			if early {
				wait = 1
			}
			unix.Poll(fds, wait)
		}
		k, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in[0])), burst, flags, 0, 0)
		if e == 0 {
			now = time.Now()
			for i := range int(k) {
				b := bufs[i*2048 : i*2048+int(in[i].n)]
				if len(b) < 12 {
					continue
				}
				s := &slots[binary.BigEndian.Uint16(b)]
				if !s.busy {
					continue
				}
				s.busy = false
				open--
				free = append(free, 0)
				if c := b[3] & 15; c == 0 || c == 3 {
					r.answered++
				} else {
					r.failed++
				}
				if passes > 0 {
					r.lat = append(r.lat, float64(now.Sub(s.at).Microseconds())/1000)
				}
			}
		}
		if now.Sub(lastLook) > patience/10 {
			lastLook = now
			for i := range slots {
				if slots[i].busy && now.Sub(slots[i].at) > patience {
					slots[i].busy = false
					open--
					r.lost++
					free = append(free, 0)
				}
			}
		}
	}
	r.took = time.Since(start)
	return r
}

// packet is the question for the address of a name.
func packet(name string) []byte {
	b := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range strings.Split(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

// probe asks for one name and waits a moment.
func probe(name string) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	unix.Connect(fd, &target)
	unix.Write(fd, packet(name))
	unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20)
	var b [512]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT)
	if err != nil {
		time.Sleep(time.Millisecond)
		return false
	}
	return n > 12 && b[3]&15 == 0
}
