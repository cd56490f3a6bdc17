package tcp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkhead/internal/proxyv2"
)

// conn is one connection. It owns memory only while a request is incomplete or
// an answer unread.
type conn struct {
	fd         int
	peer       netip.AddrPort
	tag        any
	in         []byte // what has come of a request
	out        []byte // what has not gone out
	stream     Stream
	since      time.Duration // of the last progress
	prev, next *conn
	list       *list // the list it is in
	gen        int32
	interest   uint32 // what epoll watches; 0: not registered
	half       bool   // the client has ended its side
	end        bool   // close when all is written
	header     bool   // a PROXY header must come first
	proxied    bool   // the peer is a balancer: not counted
}

// list is a ring of connections, the longest unchanged first.
type list struct{ head conn }

func (l *list) init() { l.head.prev, l.head.next = &l.head, &l.head }

func (l *list) first() *conn {
	if l.head.next == &l.head {
		return nil
	}
	return l.head.next
}

func (l *list) push(c *conn) {
	c.list = l
	c.prev, c.next = l.head.prev, &l.head
	c.prev.next, c.next.prev = c, c
}

func (c *conn) unlink() {
	if c.list != nil {
		c.prev.next, c.next.prev = c.next, c.prev
		c.list = nil
	}
}

// touch moves a connection to the end of a list: it has just made progress.
func (w *loop) touch(c *conn, l *list) {
	c.unlink()
	c.since = w.now
	l.push(c)
}

// event obeys the kernel.
func (w *loop) event(c *conn, events uint32) {
	switch {
	case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		w.close(c)
	case events&unix.EPOLLOUT != 0:
		w.write(c)
	case events&unix.EPOLLIN != 0:
		w.read(c)
	}
}

// read takes what has come and answers it.
func (w *loop) read(c *conn) {
	have := copy(w.in, c.in)
	n, err := rawRead(c.fd, w.in[have:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		w.watch(c, unix.EPOLLIN)
		return
	case err != nil:
		w.close(c)
		return
	case n == 0:
		c.half, c.end = true, true
	}
	w.messages(c, w.in[:have+n])
}

// messages answers the requests in data and keeps what is incomplete.
func (w *loop) messages(c *conn, data []byte) {
	if c.header {
		rest, ok := w.proxy(c, data)
		if !ok {
			w.close(c)
			return
		}
		data = rest
	}
	out := w.out[:0]
	whole := false
	for !c.header && c.stream == nil && !(c.end && !c.half) && len(out) < batchLen {
		if len(data) < 2 {
			break
		}
		l := 2 + int(binary.BigEndian.Uint16(data))
		if len(data) < l {
			break
		}
		whole = true
		var end bool
		out, c.stream, end = w.h.Message(out, data[2:l], c.peer, c.tag)
		if end {
			c.end, c.half = true, false
		}
		data = data[l:]
	}
	if c.end && !c.half {
		data = nil
	}
	if !w.keep(c, data) {
		w.close(c)
		return
	}
	if whole {
		w.h.Flush()
		w.touch(c, &w.idle)
	}
	w.send(c, out)
}

// proxy takes the PROXY header off; false ends the connection.
func (w *loop) proxy(c *conn, data []byte) (rest []byte, ok bool) {
	n, ok := proxyv2.Len(data)
	if !ok {
		return nil, false
	}
	if n == 0 || len(data) < n {
		return data, true // more must come
	}
	h, err := proxyv2.Parse(data[:n])
	if err != nil {
		return nil, false
	}
	if !h.Local {
		c.peer = netip.AddrPortFrom(h.Src.Addr().Unmap(), h.Src.Port())
	}
	c.header = false
	c.tag, ok = w.h.Open(c.peer)
	return data[n:], ok
}

// keep remembers an incomplete request, or requests whose turn has not come.
// It is false when there is no room for it.
func (w *loop) keep(c *conn, data []byte) bool {
	w.partial += len(data) - len(c.in)
	if len(data) == 0 {
		c.in = nil
		return true
	}
	if w.partial > maxPartial {
		w.partial -= len(data) - len(c.in)
		return false
	}
	if len(data) <= cap(c.in) && cap(c.in) <= 2*len(data)+64 {
		c.in = c.in[:copy(c.in[:len(data)], data)]
		return true
	}
	c.in = append(make([]byte, 0, len(data)), data...)
	return true
}

// send writes out, and the stream after it as far as the client takes it.
func (w *loop) send(c *conn, out []byte) {
	for {
		for c.stream != nil && len(out)+maxPiece <= batchLen {
			var more bool
			var err error
			if out, more, err = c.stream.Next(out); err != nil {
				w.close(c)
				return
			}
			if !more {
				c.stream.End()
				c.stream = nil
			}
		}
		w.out = out[:0]
		wrote := 0
		for wrote < len(out) {
			n, err := rawWrite(c.fd, out[wrote:])
			if err == unix.EINTR {
				continue
			}
			if err == unix.EAGAIN {
				w.park(c, out[wrote:])
				return
			}
			if err != nil {
				w.close(c)
				return
			}
			wrote += n
		}
		if c.stream == nil {
			break
		}
		// A long transfer lets others have their turn.
		if wrote > 0 {
			w.touch(c, &w.stalled)
			w.watch(c, unix.EPOLLOUT)
			return
		}
		out = out[:0]
	}
	switch {
	case len(c.in) >= 2 && len(c.in) >= 2+int(binary.BigEndian.Uint16(c.in)):
		// more requests are waiting; they come first when the loop is back
		w.touch(c, &w.stalled)
		w.watch(c, unix.EPOLLOUT)
	case c.end:
		w.close(c)
	default:
		if c.list != &w.idle {
			w.touch(c, &w.idle)
		}
		w.watch(c, unix.EPOLLIN)
	}
}

// park keeps what the client has not taken.
func (w *loop) park(c *conn, rest []byte) {
	w.unread += len(rest) - len(c.out)
	if w.unread > maxUnread {
		w.unread -= len(rest) - len(c.out)
		w.close(c)
		return
	}
	c.out = append(make([]byte, 0, len(rest)), rest...)
	if c.list != &w.stalled {
		w.touch(c, &w.stalled)
	}
	w.watch(c, unix.EPOLLOUT)
}

// write goes on where the client stopped taking.
func (w *loop) write(c *conn) {
	for len(c.out) > 0 {
		n, err := rawWrite(c.fd, c.out)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return
		}
		if err != nil {
			w.close(c)
			return
		}
		c.out = c.out[n:]
		w.unread -= n
		w.touch(c, &w.stalled)
	}
	c.out = nil
	if c.stream != nil {
		w.send(c, w.out[:0])
		return
	}
	data := w.in[:copy(w.in, c.in)]
	w.messages(c, data)
}

// watch tells epoll what to wait for.
func (w *loop) watch(c *conn, events uint32) {
	if c.interest == events {
		return
	}
	op := unix.EPOLL_CTL_MOD
	if c.interest == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	ev := unix.EpollEvent{Events: events, Fd: int32(c.fd), Pad: c.gen}
	if err := unix.EpollCtl(w.ep, op, c.fd, &ev); err != nil {
		w.close(c)
		return
	}
	c.interest = events
}

// close ends a connection and gives back what it held.
func (w *loop) close(c *conn) {
	unix.Close(c.fd) // also takes it out of epoll
	w.conns[c.fd] = nil
	c.unlink()
	w.partial -= len(c.in)
	w.unread -= len(c.out)
	w.s.conns.Add(-1)
	if !c.proxied {
		w.s.leave(c.peer.Addr())
	}
	if c.stream != nil {
		c.stream.End()
	}
	*c = conn{next: w.free, fd: -1}
	w.free = c
}

// Calls that never wait: the scheduler need not hear of them.

// rawAccept gives a connection and whose it is. Package unix would ask the
// socket for its protocol besides, which is TCP.
func rawAccept(listener int) (fd int, peer netip.AddrPort, err error) {
	var sa unix.RawSockaddrInet6 // the larger of the two
	n := uint32(unsafe.Sizeof(sa))
	r, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&n)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, peer, e
	}
	port := (*[2]byte)(unsafe.Pointer(&sa.Port)) // in network order, at the same place in both
	addr := netip.AddrFrom16(sa.Addr).Unmap()
	if sa.Family == unix.AF_INET {
		addr = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&sa)).Addr)
	}
	return int(r), netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port[:])), nil
}

func rawRead(fd int, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func rawWrite(fd int, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
