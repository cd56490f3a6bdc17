package recursor

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkhead/internal/epoll"
)

// System calls of the worker threads. Those that never block are made raw:
// telling Go's scheduler about each would cost as much as the call. The one
// that waits, epollWait, tells it when the wait is long.

// sockaddr holds a struct sockaddr_in or sockaddr_in6.
type sockaddr struct {
	b [28]byte
	n uint32
}

func (s *sockaddr) set(a netip.AddrPort) {
	ip := a.Addr()
	if ip.Is4() {
		binary.NativeEndian.PutUint16(s.b[:], unix.AF_INET)
		binary.BigEndian.PutUint16(s.b[2:], a.Port())
		v := ip.As4()
		copy(s.b[4:], v[:])
		clear(s.b[8:16])
		s.n = unix.SizeofSockaddrInet4
		return
	}
	binary.NativeEndian.PutUint16(s.b[:], unix.AF_INET6)
	binary.BigEndian.PutUint16(s.b[2:], a.Port())
	clear(s.b[4:8])
	v := ip.As16()
	copy(s.b[8:], v[:])
	clear(s.b[24:])
	s.n = unix.SizeofSockaddrInet6
}

func (s *sockaddr) is4() bool { return binary.NativeEndian.Uint16(s.b[:]) == unix.AF_INET }

// same compares family, port and address.
func (s *sockaddr) same(o *sockaddr) bool {
	if s.is4() {
		return [8]byte(s.b[:8]) == [8]byte(o.b[:8])
	}
	return [4]byte(s.b[:4]) == [4]byte(o.b[:4]) && [16]byte(s.b[8:24]) == [16]byte(o.b[8:24])
}

func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.b[2:])
	if s.is4() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.b[4:8])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.b[8:24])).Unmap(), port)
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

func recvmmsg(fd int, m []mmsghdr) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

func sendmmsg(fd int, m []mmsghdr) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// oneReceiver holds what recvmmsg fills for one datagram of a server.
type oneReceiver struct {
	m    [1]mmsghdr
	iov  unix.Iovec
	from sockaddr
	ctl  [64]byte
}

// receive reads a datagram, and whether it came in fragments; from is set. What
// does not fit is cut off, as by recv.
func (r *oneReceiver) receive(fd int, b []byte) (n int, fragments bool, e syscall.Errno) {
	r.iov = unix.Iovec{Base: &b[0]}
	r.iov.SetLen(len(b))
	h := &r.m[0].hdr
	*h = unix.Msghdr{Name: &r.from.b[0], Namelen: uint32(len(r.from.b)), Iov: &r.iov, Iovlen: 1, Control: &r.ctl[0]}
	h.SetControllen(len(r.ctl))
	if _, e = recvmmsg(fd, r.m[:]); e != 0 {
		return 0, false, e
	}
	// the only control message asked for, and only there for fragments
	return int(r.m[0].n), h.Controllen > 0, 0
}

// tellFragments has the kernel say which datagrams came in fragments.
func tellFragments(fd int, v4 bool) {
	on := int32(1)
	level, option := unix.IPPROTO_IP, unix.IP_RECVFRAGSIZE
	if !v4 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVFRAGSIZE
	}
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&on)), 4, 0)
}

func sendNow(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

func readNow(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}

func closeNow(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func socketNow(family, kind int) (int, syscall.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), uintptr(kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), 0)
	return int(fd), e
}

func bindNow(fd int, s *sockaddr) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&s.b)), uintptr(s.n))
	return e
}

func connectNow(fd int, s *sockaddr) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&s.b)), uintptr(s.n))
	return e
}

func acceptNow(fd int, s *sockaddr) (int, syscall.Errno) {
	s.n = uint32(len(s.b))
	n, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&s.b)), uintptr(unsafe.Pointer(&s.n)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), e
}

// watch is what an epoll event brings back: which table, which place in it,
// and the place's generation, so that an event for a socket closed earlier in
// the same batch is not taken for its successor's.
type watch struct {
	what  uint8
	gen   uint32 // 24 bits count
	index int32
}

func epollCtl(ep, op, fd int, events uint32, w watch) syscall.Errno {
	ev := unix.EpollEvent{Events: events, Fd: w.index, Pad: int32(uint32(w.what)<<24 | w.gen&0xFFFFFF)}
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

func watchOf(ev *unix.EpollEvent) watch {
	return watch{what: uint8(uint32(ev.Pad) >> 24), gen: uint32(ev.Pad) & 0xFFFFFF, index: ev.Fd}
}

// epollWait waits at most d, negative for ever.
func epollWait(ep int, evs []unix.EpollEvent, d time.Duration) int {
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := epoll.Wait(ep, evs, ms)
	if err != nil {
		return 0
	}
	return n
}
