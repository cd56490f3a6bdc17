package recursor

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// listener is a client UDP socket.
type listener struct {
	fd       int
	wildcard bool // bound to 0.0.0.0 or ::, so that answers need their source address set
}

// localAddr is the control message that carries the address a datagram was
// sent to (IP_PKTINFO, IPV6_PKTINFO), to answer from there.
type localAddr struct {
	b [48]byte
	n uint8
}

// maxQuery is the longest datagram read from a client, in bytes: a question
// with the largest name and a few options. 1.05 took up to 1023.
const maxQuery = 2048

// queryStride is a line more, so that the beginnings of the buffers do not
// compete for the same few sets of the processor's cache.
const queryStride = maxQuery + 64

// receiver holds what recvmmsg fills.
type receiver struct {
	hdrs [batch]mmsghdr
	iovs [batch]unix.Iovec
	sas  [batch]sockaddr
	ctls [batch][64]byte
	bufs [batch][queryStride]byte
}

func (r *receiver) init() {
	for i := range r.hdrs {
		r.iovs[i] = unix.Iovec{Base: &r.bufs[i][0], Len: maxQuery}
		r.hdrs[i].hdr = unix.Msghdr{Name: &r.sas[i].b[0], Iov: &r.iovs[i], Iovlen: 1}
	}
}

// sender collects answers for sendmmsg.
type sender struct {
	w    *worker
	n    int
	fds  [batch]int
	hdrs [batch]mmsghdr
	iovs [batch]unix.Iovec
	sas  [batch]sockaddr
	ctls [batch]localAddr
	bufs [batch][dns.EDNSUDPSize + wire.Slack]byte
}

func (s *sender) init(w *worker) {
	s.w = w
	for i := range s.hdrs {
		s.hdrs[i].hdr = unix.Msghdr{Name: &s.sas[i].b[0], Iov: &s.iovs[i], Iovlen: 1}
	}
}

// buffer gives room for the next answer.
func (s *sender) buffer() []byte {
	if s.n == batch {
		s.w.flushAnswers()
	}
	return s.bufs[s.n][:0]
}

// add queues a message, which was built in buffer's room.
func (s *sender) add(fd int, to *sockaddr, local *localAddr, msg []byte) {
	i := s.n
	s.n++
	s.fds[i] = fd
	s.sas[i] = *to
	s.iovs[i].Base = &msg[0]
	s.iovs[i].SetLen(len(msg))
	h := &s.hdrs[i].hdr
	h.Namelen = to.n
	h.Control, h.Controllen = nil, 0
	if local != nil && local.n > 0 {
		s.ctls[i] = *local
		h.Control = &s.ctls[i].b[0]
		h.SetControllen(int(local.n))
	}
}

// flush sends all. What the kernel does not take at once is lost: a client
// asks again, a server that waits for one client stops for all.
func (s *sender) flush() {
	for i := 0; i < s.n; {
		j := i + 1
		for j < s.n && s.fds[j] == s.fds[i] {
			j++
		}
		n, e := sendmmsg(s.fds[i], s.hdrs[i:j])
		switch {
		case e == unix.EINTR:
		case e != 0 || n <= 0:
			i++ // this one can not be sent; the others may
		default:
			i += n
		}
	}
	s.n = 0
}

// receive handles one batch of datagrams of a listener.
func (w *worker) receive(index int) {
	l := &w.listeners[index]
	r := &w.rx
	for i := range r.hdrs {
		h := &r.hdrs[i].hdr
		h.Namelen = uint32(len(r.sas[i].b))
		if l.wildcard {
			h.Control = &r.ctls[i][0]
			h.SetControllen(len(r.ctls[i]))
		} else if h.Control != nil {
			h.Control = nil
			h.SetControllen(0)
		}
	}
	n, e := recvmmsg(l.fd, r.hdrs[:])
	if e != 0 {
		return
	}
	for i := range n {
		h := &r.hdrs[i]
		if h.hdr.Flags&unix.MSG_TRUNC != 0 {
			continue
		}
		r.sas[i].n = h.hdr.Namelen
		var local localAddr
		if l.wildcard {
			local = pktinfo(&r.ctls[i], int(h.hdr.Controllen))
		}
		w.datagram(index, r.bufs[i][:h.n], &r.sas[i], &local, false)
	}
}

// pktinfo turns the received control message into the one to send.
func pktinfo(c *[64]byte, n int) (l localAddr) {
	if n < unix.SizeofCmsghdr {
		return l
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	if int(h.Len) > n || int(h.Len) > len(l.b) {
		return l
	}
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		in := (*unix.Inet4Pktinfo)(unsafe.Pointer(&c[unix.SizeofCmsghdr]))
		in.Spec_dst = in.Addr // answer from where it was sent to
		in.Ifindex = 0
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO:
	default:
		return l
	}
	l.n = uint8(unix.CmsgSpace(int(h.Len) - unix.SizeofCmsghdr))
	copy(l.b[:], c[:l.n])
	return l
}

// privileged reports whether a client's port is refused: those below 1024
// other than 53 are services' that answer, or once were trusted (compat:
// djbdns.md section 10.3).
func privileged(port uint16) bool { return port < 1024 && port != dns.Port }

// datagram handles one message of a client. handed: another worker received it,
// and found that the question is this one's.
func (w *worker) datagram(lst int, msg []byte, sa *sockaddr, local *localAddr, handed bool) {
	from := sa.addrPort()
	if privileged(from.Port()) || !w.allows(from.Addr()) {
		return
	}
	var a asked
	qname, t := w.parse(msg, w.asking[:0], &a, from.Addr(), false)
	if a.drop || !handed && !w.mayAsk(from.Addr()) {
		return
	}
	fd := w.listeners[lst].fd
	if qname == nil { // no question to speak of
		out := w.appendError(w.tx.buffer(), &a, nil, 0, from.Addr())
		w.tx.add(fd, sa, local, out)
		return
	}
	if a.rcode != 0 {
		w.refused(from, &a, qname, t)
		out := w.appendError(w.tx.buffer(), &a, qname, t, from.Addr())
		w.tx.add(fd, sa, local, out)
		return
	}
	lower := dnsname.AppendLower(w.lower[:0], qname)
	key := w.s.cache.MakeKey(cache.KindRRset, t, lower)
	if w.s.direct.Load() {
		if out, ok := w.hit(w.tx.buffer(), key, qname, &a, from.Addr()); ok {
			w.log.Query(w.s.serial.Add(1), from, a.id, t, qname)
			w.log.Hit(len(out))
			w.tx.add(fd, sa, local, out)
			return
		}
	}
	if !handed && w.handOver(lower, lst, msg, sa, local) {
		return
	}
	n := w.s.serial.Add(1)
	w.log.Query(n, from, a.id, t, qname)
	q := w.newQuery(from, false)
	if q == nil {
		w.log.Drop(n, errTimedOut)
		return
	}
	q.lst, q.sa, q.local = int32(lst), *sa, *local
	w.take(q, qname, t, n, &a)
	w.ask(q)
}

// refused logs a query that is answered with an error at once. 1.05 did not
// count those, but for zone transfers.
func (w *worker) refused(from netip.AddrPort, a *asked, name []byte, t dns.Type) {
	if a.transfer {
		n := w.s.serial.Add(1)
		w.log.Query(n, from, a.id, t, name)
		w.log.Drop(n, transferRefused)
	}
}

// Words of drop and tcpclose lines (compat: djbdns.md section 14).
const (
	transferRefused = "permission denied"  // EPERM
	errTimedOut     = "timed out"          // ETIMEDOUT
	errPipe         = "broken pipe"        // EPIPE
	errProto        = "protocol error"     // EPROTO
	errTemp         = "temporary failure"  // EAGAIN
	errIO           = "input/output error" // EIO
	errReset        = "connection reset"   // ECONNRESET
)

// take copies a question into its place.
func (w *worker) take(q *query, name []byte, t dns.Type, serial uint64, a *asked) {
	n := copy(q.name[:], name)
	q.keepAsked(a)
	q.q.Name = q.name[:n]
	q.q.Type = t
	q.q.CD = a.bits&wire.BitCD != 0
	q.q.DO = a.edns.DO
	q.q.Client = q.from.Addr()
	q.q.Ticket = ticketOf(q.place, q.gen)
	q.q.Serial = serial
	q.q.Trace = false
	q.q.TCP = q.tcp
}

// keepAsked keeps what a query said; the packet goes away.
func (q *query) keepAsked(a *asked) {
	q.asked = *a
	q.asked.edns.Options = nil
	if a.cookie != nil {
		copy(q.asked.keep[:], a.cookie)
		q.asked.cookie = q.asked.keep[:]
	}
}

// ask hands a question to the engine; Done may be called before it returns.
func (w *worker) ask(q *query) {
	w.serving = q.q.Ticket
	w.guard(func() { w.eng.Ask(w.now, &q.q) })
	w.serving = 0
}
