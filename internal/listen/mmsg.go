package listen

import (
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop receives, lets h answer, and sends. While packets are waiting it uses
// raw system calls, which the scheduler does not see; it sleeps in an ordinary
// one, so that the thread's processor serves others meanwhile.
func (w *Worker) loop(h Handler) error {
	idler, _ := h.(Idler)
	for {
		w.prepare()
		n, errno := w.recv(syscall.MSG_DONTWAIT)
		if errno == syscall.EAGAIN {
			if idler != nil {
				idler.Idle()
			}
			n, errno = w.recv(msgWaitForOne)
		}
		switch errno {
		case 0:
		case syscall.EBADF, syscall.ENOTSOCK, syscall.EINVAL:
			return errno
		case syscall.EINTR, syscall.EAGAIN, syscall.ECONNREFUSED:
			continue // ECONNREFUSED: an ICMP error queued on the socket, now cleared
		default:
			time.Sleep(errorPause)
			continue
		}
		w.received(n)
		h.Handle(w, w.packets[:n])
		w.send(n)
	}
}

// errorPause keeps a lasting error, such as a network that is down or memory
// that is short, from taking the whole processor.
const errorPause = 10 * time.Millisecond

// msgWaitForOne makes recvmmsg sleep for the first packet only.
const msgWaitForOne = 0x10000

// prepare makes the messages that were used last fit for receiving again.
func (w *Worker) prepare() {
	for i := range w.msgs[:w.used] {
		m := &w.msgs[i].h
		w.iov[i].Base = &w.data[i][0]
		w.iov[i].SetLen(MaxQuery)
		m.Name = (*byte)(unsafe.Pointer(&w.from[i]))
		m.Namelen = syscall.SizeofSockaddrInet6
		if w.wildcard {
			m.Control = &w.control[i][0]
			m.SetControllen(controlLen)
		}
	}
	w.used = 0
}

func (w *Worker) recv(flags uintptr) (int, syscall.Errno) {
	p := uintptr(unsafe.Pointer(&w.msgs))
	if flags&syscall.MSG_DONTWAIT != 0 {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(w.fd), p, BatchLen, flags, 0, 0)
		return int(n), e
	}
	n, _, e := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(w.fd), p, BatchLen, flags, 0, 0)
	return int(n), e
}

// received turns what the kernel filled in into Packets.
func (w *Worker) received(n int) {
	w.used = n
	for i := range w.packets[:n] {
		p, m := &w.packets[i], &w.msgs[i]
		p.Data = w.data[i][:m.n]
		if m.h.Flags&syscall.MSG_TRUNC != 0 {
			p.Data = nil // longer than any query may be
		}
		p.Reply = nil
		p.From.set(&w.from[i])
		if w.wildcard {
			p.Local = local(w.control[i][:min(int(m.h.Controllen), controlLen)])
		}
	}
}

func (e *Endpoint) set(sa *syscall.RawSockaddrInet6) {
	b := (*[2]byte)(unsafe.Pointer(&sa.Port))
	e.Port = uint16(b[0])<<8 | uint16(b[1])
	if sa.Family == syscall.AF_INET {
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr
		e.Addr = [16]byte{10: 0xff, 11: 0xff, 12: a[0], 13: a[1], 14: a[2], 15: a[3]}
	} else {
		e.Addr = sa.Addr
	}
}

// local reads the address that a packet was sent to from its control message.
func local(c []byte) (l Local) {
	const head = 16 // length, level, type; 64-bit
	if len(c) < head {
		return
	}
	level, typ := binary.NativeEndian.Uint32(c[8:]), binary.NativeEndian.Uint32(c[12:])
	switch {
	case level == syscall.IPPROTO_IP && typ == syscall.IP_PKTINFO && len(c) >= head+12:
		// struct in_pktinfo: interface, local address, header's destination
		copy(l.addr[12:], c[head+4:])
		l.set = true
	case level == syscall.IPPROTO_IPV6 && typ == syscall.IPV6_PKTINFO && len(c) >= head+20:
		copy(l.addr[:], c[head:])
		l.set = true
	}
	return
}

// pktinfo writes the control message that sets the source address and gives
// its length.
func (w *sock) pktinfo(c *[controlLen]byte, l *Local) int {
	const head = 16
	put := binary.NativeEndian
	*c = [controlLen]byte{}
	if w.is6 {
		put.PutUint64(c[:], head+20)
		put.PutUint32(c[8:], syscall.IPPROTO_IPV6)
		put.PutUint32(c[12:], syscall.IPV6_PKTINFO)
		copy(c[head:], l.addr[:])
		return 40 // aligned to 8
	}
	put.PutUint64(c[:], head+12)
	put.PutUint32(c[8:], syscall.IPPROTO_IP)
	put.PutUint32(c[12:], syscall.IP_PKTINFO)
	copy(c[head+4:], l.addr[12:])
	return 32
}

// send sends the replies to the first n packets, by the messages that brought
// them: those have the addresses already.
func (w *Worker) send(n int) {
	k := 0
	for i := range w.packets[:n] {
		p := &w.packets[i]
		if len(p.Reply) == 0 {
			continue
		}
		m := &w.msgs[k].h
		if k != i { // one before got no answer
			m.Name, m.Namelen = (*byte)(unsafe.Pointer(&w.from[i])), w.msgs[i].h.Namelen
		}
		w.iov[k].Base = &p.Reply[0]
		w.iov[k].SetLen(len(p.Reply))
		if w.wildcard {
			m.Control = nil
			m.SetControllen(0)
			if p.Local.set {
				m.Control = &w.control[i][0]
				m.SetControllen(w.pktinfo(&w.control[i], &p.Local))
			}
		}
		k++
	}
	for s := 0; s < k; {
		r, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.msgs[s])), uintptr(k-s), syscall.MSG_DONTWAIT, 0, 0)
		if e == syscall.EAGAIN {
			// the device is full: let others run while we wait for it
			r, _, e = syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.msgs[s])), uintptr(k-s), 0, 0, 0)
		}
		switch {
		case e == syscall.EINTR:
		case e != 0:
			s++ // this one can not be sent; the client asks again
		default:
			s += int(r)
		}
	}
}

// Send sends a message later, from any goroutine. It never waits: a full queue
// is a lost packet, as anywhere on the way.
func (w *Worker) Send(to Endpoint, from Local, msg []byte) error {
	if len(msg) == 0 {
		return nil
	}
	var sa syscall.RawSockaddrInet6
	var c [controlLen]byte
	iov := syscall.Iovec{Base: &msg[0]}
	iov.SetLen(len(msg))
	m := syscall.Msghdr{Name: (*byte)(unsafe.Pointer(&sa)), Iov: &iov, Iovlen: 1}
	port := (*[2]byte)(unsafe.Pointer(&sa.Port))
	port[0], port[1] = byte(to.Port>>8), byte(to.Port)
	if w.is6 {
		sa.Family, m.Namelen = syscall.AF_INET6, syscall.SizeofSockaddrInet6
		sa.Addr = to.Addr
	} else {
		sa4 := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&sa))
		sa4.Family, m.Namelen = syscall.AF_INET, syscall.SizeofSockaddrInet4
		copy(sa4.Addr[:], to.Addr[12:])
	}
	if w.wildcard && from.set {
		m.Control = &c[0]
		m.SetControllen(w.pktinfo(&c, &from))
	}
	for {
		_, _, e := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&m)), syscall.MSG_DONTWAIT)
		if e == 0 {
			return nil
		}
		if e != syscall.EINTR {
			return e
		}
	}
}
