package recursor

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"bulkhead/internal/cache"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
)

// Limits of clients' TCP connections, of one worker each.
const (
	maxConns      = 400 // 1.05 had 20; with maxUps they have to fit into the open files
	maxConnClient = 100 // of one client prefix
	// maxPipeline is how many questions of one connection are at work at once;
	// reading stops there until answers have gone out (RFC 7766, section
	// 6.2.1.1: pipelining; answers go out as they come, section 7).
	maxPipeline = 64
	// maxWrite is how many bytes of answers wait for a slow reader.
	maxWrite = 4 * (2 + dns.MaxMessage)
	// idleTime is how long a connection may say nothing (RFC 7766, section
	// 6.2.3: a few seconds; 1.05: 10).
	idleTime = 10 * resolver.Second
)

type conn struct {
	fd      int
	gen     uint32
	from    netip.AddrPort
	in      []byte // not yet a whole message
	out     []byte // not yet sent
	working int    // questions at work
	eof     bool   // the client sends no more; answers still go out
	paused  bool   // not reading: too much at work or unsent
	writing bool   // waiting to write
	last    resolver.Time
	why     string // the reason for closing once out is empty
}

type tcpState struct {
	conns []conn
	free  []int32
	n     int
	deaf  bool // not accepting for want of descriptors
}

func (s *tcpState) init() {
	s.conns = make([]conn, maxConns)
	s.free = make([]int32, maxConns)
	for i := range s.free {
		s.free[i] = int32(maxConns - 1 - i)
	}
}

// accept takes new connections, a few at a time.
func (w *worker) accept(fd int) {
	var sa sockaddr
	for n := range batch {
		c, e := acceptNow(fd, &sa)
		if e == unix.EMFILE || e == unix.ENFILE {
			// it would be readable again at once: give up a connection for it
			w.tcp.closeOldest(w)
			return
		}
		if e != 0 {
			return
		}
		if n > 0 {
			w.freshNames() // it may have come after the round began
		}
		from := sa.addrPort()
		if privileged(from.Port()) || !w.allows(from.Addr()) {
			closeNow(c)
			continue
		}
		if !w.tcp.room(w, from.Addr()) {
			closeNow(c)
			continue
		}
		i := w.tcp.free[len(w.tcp.free)-1]
		w.tcp.free = w.tcp.free[:len(w.tcp.free)-1]
		k := &w.tcp.conns[i]
		*k = conn{fd: c, gen: k.gen + 1, from: from, last: w.now, in: k.in[:0], out: k.out[:0]}
		unix.SetsockoptInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if epollCtl(w.ep, unix.EPOLL_CTL_ADD, c, unix.EPOLLIN|unix.EPOLLRDHUP, watch{watchConn, k.gen, i}) != 0 {
			closeNow(c)
			k.fd = -1
			w.tcp.free = append(w.tcp.free, i)
			continue
		}
		w.tcp.n++
		w.s.tcpActive.Add(1)
		w.log.TCPOpen(from)
	}
}

// room makes sure that there is a place: at the limit the connection that has
// been idle longest goes, of the same client if that has too many.
func (s *tcpState) room(w *worker, a netip.Addr) bool {
	p := clientPrefix(a)
	mine, oldest, oldestMine := 0, int32(-1), int32(-1)
	if s.n < maxConnClient {
		return true
	}
	for i := range s.conns {
		k := &s.conns[i]
		if k.fd < 0 || k.gen == 0 {
			continue
		}
		if oldest < 0 || k.last < s.conns[oldest].last {
			oldest = int32(i)
		}
		if p.Contains(k.from.Addr()) {
			mine++
			if oldestMine < 0 || k.last < s.conns[oldestMine].last {
				oldestMine = int32(i)
			}
		}
	}
	switch {
	case mine >= maxConnClient:
		w.closeConn(oldestMine, errTimedOut)
	case len(s.free) == 0:
		w.closeConn(oldest, errTimedOut)
	}
	return len(s.free) > 0
}

// closeOldest makes a descriptor free. Without connections to close it stops
// listening until the next tick.
func (s *tcpState) closeOldest(w *worker) {
	oldest := int32(-1)
	for i := range s.conns {
		if k := &s.conns[i]; k.gen > 0 && k.fd >= 0 && (oldest < 0 || k.last < s.conns[oldest].last) {
			oldest = int32(i)
		}
	}
	if oldest >= 0 {
		w.closeConn(oldest, errTimedOut)
		return
	}
	for _, fd := range w.acceptors {
		epollCtl(w.ep, unix.EPOLL_CTL_DEL, fd, 0, watch{})
	}
	s.deaf = true
}

// listenAgain ends what closeOldest began.
func (s *tcpState) listenAgain(w *worker) {
	if s.deaf {
		s.deaf = false
		w.watchAcceptors()
	}
}

// closeConn ends a connection; questions at work for it get no answer.
func (w *worker) closeConn(i int32, why string) {
	k := &w.tcp.conns[i]
	if k.fd < 0 {
		return
	}
	if k.working > 0 {
		for _, q := range w.queries {
			if q.active && q.tcp && q.conn == i && q.cgen == k.gen {
				w.log.Drop(q.q.Serial, why)
				w.release(q)
			}
		}
	}
	closeNow(k.fd)
	k.fd = -1
	w.tcp.n--
	w.s.tcpActive.Add(-1)
	w.tcp.free = append(w.tcp.free, i)
	w.log.TCPClose(k.from, why)
	if cap(k.in) > 4096 {
		k.in = nil
	}
	if cap(k.out) > 4096 {
		k.out = nil
	}
}

func (s *tcpState) ready(w *worker, at watch, what uint32) {
	k := &s.conns[at.index]
	if k.fd < 0 || k.gen&0xFFFFFF != at.gen {
		return
	}
	if what&unix.EPOLLOUT != 0 {
		if !w.flushConn(at.index) {
			return
		}
		w.later = append(w.later, at.index) // questions may be waiting for the room
	}
	if what&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 && !k.paused && !k.eof {
		w.readConn(at.index)
		return
	}
	if what&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		w.closeConn(at.index, errReset)
	}
}

func (w *worker) readConn(i int32) {
	k := &w.tcp.conns[i]
	n, e := readNow(k.fd, w.buf[:])
	switch {
	case e == unix.EAGAIN || e == unix.EINTR:
		return
	case e != 0:
		w.closeConn(i, errReset)
		return
	case n == 0:
		k.eof = true
		k.why = errPipe
		w.settle(i)
		return
	}
	k.last = w.now
	k.in = append(k.in, w.buf[:n]...)
	w.messages(i)
}

// messages takes whole messages out of what has been read, as many as may be
// at work.
func (w *worker) messages(i int32) {
	k := &w.tcp.conns[i]
	gen := k.gen
	used := 0
	for k.fd >= 0 && k.gen == gen && k.takes() {
		b := k.in[used:]
		n := wholeMessage(b)
		if n < 0 {
			break
		}
		if n == 0 {
			k.why, k.eof = errProto, true
			break
		}
		used += 2 + n
		if !w.stream(i, b[2:2+n]) {
			k.why, k.eof = errProto, true
			break
		}
	}
	if k.fd < 0 || k.gen != gen {
		return
	}
	k.in = append(k.in[:0], k.in[used:]...)
	w.settle(i)
	// What was sent at once has made room, and no event will tell.
	if used > 0 && k.fd >= 0 && k.gen == gen && k.takes() && wholeMessage(k.in) >= 0 {
		w.later = append(w.later, i)
	}
}

// takes reports whether further questions of the connection may be looked at.
func (k *conn) takes() bool {
	return k.working < maxPipeline && len(k.out) < maxWrite && k.why != errProto
}

// wholeMessage gives the length of the message that b begins with, -1 if it is
// not whole.
func wholeMessage(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	if n := int(binary.BigEndian.Uint16(b)); len(b) >= 2+n {
		return n
	}
	return -1
}

// settle writes what can be written, closes a finished connection, and reads
// on or pauses.
func (w *worker) settle(i int32) {
	if !w.flushConn(i) {
		return
	}
	k := &w.tcp.conns[i]
	if k.eof && k.working == 0 && len(k.out) == 0 {
		w.closeConn(i, k.why)
		return
	}
	pause := k.eof || k.working >= maxPipeline || len(k.out) >= maxWrite
	if pause != k.paused {
		k.paused = pause
		w.rearm(i)
	}
}

func (w *worker) rearm(i int32) {
	k := &w.tcp.conns[i]
	var ev uint32
	if !k.paused {
		ev |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if k.writing {
		ev |= unix.EPOLLOUT
	}
	epollCtl(w.ep, unix.EPOLL_CTL_MOD, k.fd, ev, watch{watchConn, k.gen, i})
}

// flushConn writes; false if the connection is gone.
func (w *worker) flushConn(i int32) bool {
	k := &w.tcp.conns[i]
	sent := 0
	for sent < len(k.out) {
		n, e := sendNow(k.fd, k.out[sent:])
		if e == unix.EAGAIN {
			break
		}
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			w.closeConn(i, errPipe)
			return false
		}
		sent += n
		k.last = w.now
	}
	k.out = append(k.out[:0], k.out[sent:]...)
	if writing := len(k.out) > 0; writing != k.writing {
		k.writing = writing
		w.rearm(i)
	}
	return true
}

// stream handles one message of a connection; false closes it.
func (w *worker) stream(i int32, msg []byte) bool {
	k := &w.tcp.conns[i]
	from := k.from
	var a asked
	qname, t := w.parse(msg, w.asking[:0], &a, from.Addr(), true)
	if a.drop {
		return false
	}
	if !w.mayAsk(from.Addr()) {
		return true // no answer, as over UDP; the connection has done nothing wrong
	}
	var small [dns.MinUDP]byte
	if qname == nil {
		w.queue(k, w.appendError(small[:0], &a, nil, 0, from.Addr()))
		return true
	}
	if a.rcode != 0 {
		w.refused(from, &a, qname, t)
		w.queue(k, w.appendError(small[:0], &a, qname, t, from.Addr()))
		return true
	}
	n := w.s.serial.Add(1)
	w.log.Query(n, from, a.id, t, qname)
	if w.s.direct.Load() {
		key := w.s.cache.MakeKey(cache.KindRRset, t, dnsname.AppendLower(w.lower[:0], qname))
		if out, ok := w.hit(w.answerBuf[:0], key, qname, &a, from.Addr()); ok {
			w.log.Hit(len(out))
			w.queue(k, out)
			return true
		}
	}
	q := w.newQuery(from, true)
	if q == nil {
		w.log.Drop(n, errTimedOut)
		return false
	}
	q.conn, q.cgen = i, k.gen
	k.working++
	w.take(q, qname, t, n, &a)
	w.ask(q)
	return true
}

func (w *worker) queue(k *conn, msg []byte) {
	k.out = binary.BigEndian.AppendUint16(k.out, uint16(len(msg)))
	k.out = append(k.out, msg...)
}

// answer sends an answer that was worked for.
func (s *tcpState) answer(w *worker, i int32, gen uint32, msg []byte) {
	k := &s.conns[i]
	if k.fd < 0 || k.gen != gen {
		return
	}
	k.working--
	if len(msg) > 0 { // else a policy wants silence
		w.queue(k, msg)
	}
	w.later = append(w.later, i)
}

// settleLater goes on with connections that got answers in this round.
func (w *worker) settleLater() {
	for len(w.later) > 0 {
		i := w.later[len(w.later)-1]
		w.later = w.later[:len(w.later)-1]
		if k := &w.tcp.conns[i]; k.fd >= 0 && k.gen > 0 {
			w.messages(i)
		}
	}
}

// sweep closes idle connections.
func (s *tcpState) sweep(w *worker) {
	s.listenAgain(w)
	if s.n == 0 {
		return
	}
	for i := range s.conns {
		if k := &s.conns[i]; k.gen > 0 && k.fd >= 0 && k.working == 0 && w.now-k.last > idleTime {
			w.closeConn(int32(i), errTemp) // 1.05's word for it
		}
	}
}
