package recursor

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// Limits towards servers, of one worker each.
const (
	// maxUps are the UDP questions out at once, each with a socket.
	maxUps = 4096
	// maxUpConns are the connections to servers; over it the one idle longest
	// goes.
	maxUpConns = 128
	// upIdle is how long a connection is kept for the next question (RFC 7766,
	// section 6.2.3).
	upIdle = 10 * resolver.Second
	// maxOnConn are the questions out on one connection.
	maxOnConn = 64
	// maxIdle are the sockets of a family kept for a port of the kernel's.
	maxIdle = 512
	// portTries and the range of ports: compat djbdns.md section 11.1. All
	// unprivileged ports are drawn from alike.
	portTries = 10
	minPort   = 1025
)

// up is a socket with a port of its own for the question it has out, connected
// to the server, so that the kernel throws away what others send.
//
// A port is drawn for each question. Is it one the kernel itself would draw
// from, the kernel draws: connecting a socket without a port gives it one at
// random, and disconnecting takes it away again, so that such a socket serves
// many questions, each from a new port, at a quarter of the cost of opening,
// binding, watching and closing one.
type up struct {
	fd    int
	gen   uint32 // of fd
	token resolver.Token
	to    sockaddr // where token's question goes
	drawn bool     // the kernel draws the port
	clean bool     // nothing was sent before token's question
}

// portRange is a range of ports, both ends included.
type portRange struct{ low, high uint16 }

// kernelPorts reads which ports the kernel draws from (ip(7),
// ip_local_port_range). The zero value, if it can not be read, holds no port
// we use.
func kernelPorts() (r portRange) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return portRange{}
	}
	if _, err := fmt.Sscan(string(b), &r.low, &r.high); err != nil {
		return portRange{}
	}
	return r
}

// sending is a question whose socket stands ready and which goes out at the
// round's end.
type sending struct {
	token    resolver.Token
	from, to int32 // its place in upstream.text
}

// upConn is a connection to a server.
type upConn struct {
	fd        int
	gen       uint32
	to        netip.AddrPort
	connected bool
	writing   bool
	in, out   []byte
	tokens    map[uint16]resolver.Token // by message ID
	last      resolver.Time
	mute      bool // a question was given up since it said something last
}

// upstream implements resolver.Net.
type upstream struct {
	w     *worker
	ups   []up
	free  []int32    // places of ups without a socket
	idle  [2][]int32 // places with one that has no port; IPv4, IPv6
	conns []upConn
	where map[resolver.Token]place
	queue []sending
	sent  int    // how many of queue are done with
	text  []byte // the messages in queue, one behind the other
	rx    oneReceiver
	rnd   [512]byte
	left  int
}

// place says where a token is.
type place struct {
	tcp   bool
	index int32
	id    uint16
}

func (u *upstream) init(w *worker) {
	u.w = w
	u.ups = make([]up, maxUps)
	u.free = make([]int32, maxUps)
	for i := range u.free {
		u.free[i] = int32(maxUps - 1 - i)
	}
	u.conns = make([]upConn, maxUpConns)
	for i := range u.conns {
		u.conns[i].fd = -1
	}
	u.where = make(map[resolver.Token]place)
}

// random16 gives 16 bits of the kernel's generator.
func (u *upstream) random16() uint16 {
	if u.left < 2 {
		rand.Read(u.rnd[:])
		u.left = len(u.rnd)
	}
	u.left -= 2
	v := binary.NativeEndian.Uint16(u.rnd[u.left:])
	u.rnd[u.left], u.rnd[u.left+1] = 0, 0
	return v
}

// local gives the address to send from, and whether that family may be used.
func (u *upstream) local(to netip.Addr) (netip.Addr, bool) {
	if to.Is4() {
		return u.w.s.set.Send4, u.w.s.set.Send4.IsValid()
	}
	return u.w.s.set.Send6, u.w.s.set.Send6.IsValid()
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// SendUDP implements resolver.Net. The datagram leaves at the round's
// end: sent back to back, many find the receiver awake, where each by itself
// would have to wake it, which on a virtual machine costs as much as all the
// rest of a question.
func (u *upstream) SendUDP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	from, ok := u.local(to.Addr())
	if !ok {
		return false
	}
	i := u.open(from, to)
	if i < 0 {
		return false
	}
	u.ups[i].token = token
	u.where[token] = place{index: i}
	at := int32(len(u.text))
	u.text = append(u.text, msg...)
	u.queue = append(u.queue, sending{token, at, int32(len(u.text))})
	return true
}

// open gives the place of a socket with a new port, connected to a server; -1
// if it can not.
func (u *upstream) open(from netip.Addr, to netip.AddrPort) int32 {
	port := u.port()
	drawn := u.w.s.kernelPorts.low <= port && port <= u.w.s.kernelPorts.high
	v4 := to.Addr().Is4()
	idle := &u.idle[side(v4)]
	var sa sockaddr
	if n := len(*idle); drawn && n > 0 {
		i := (*idle)[n-1]
		*idle = (*idle)[:n-1]
		p := &u.ups[i]
		p.to.set(to)
		if connectNow(p.fd, &p.to) != 0 {
			u.discard(i)
			return -1
		}
		p.clean = false
		return i
	}
	if len(u.free) == 0 {
		other := &u.idle[side(!v4)]
		if len(*idle) > 0 {
			other = idle
		}
		n := len(*other)
		if n == 0 {
			return -1
		}
		u.discard((*other)[n-1])
		*other = (*other)[:n-1]
	}
	fd, e := socketNow(family(to.Addr()), unix.SOCK_DGRAM)
	if e != 0 {
		return -1
	}
	if drawn {
		if !from.IsUnspecified() {
			sa.set(netip.AddrPortFrom(from, 0))
			if bindNow(fd, &sa) != 0 {
				closeNow(fd)
				return -1
			}
		}
	} else {
		for range portTries {
			sa.set(netip.AddrPortFrom(from, port))
			if e = bindNow(fd, &sa); e == 0 {
				break
			}
			port = u.port()
		}
	}
	// if all tries met busy ports, the kernel chooses one as it connects
	sa.set(to)
	if connectNow(fd, &sa) != 0 {
		closeNow(fd)
		return -1
	}
	tellFragments(fd, v4)
	i := u.free[len(u.free)-1]
	p := &u.ups[i]
	p.gen++
	if epollCtl(u.w.ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, watch{watchUp, p.gen, i}) != 0 {
		closeNow(fd)
		return -1
	}
	u.free = u.free[:len(u.free)-1]
	p.fd, p.to, p.drawn, p.clean = fd, sa, drawn, true
	return i
}

// port draws one; all unprivileged ones alike, so no modulo.
func (u *upstream) port() uint16 {
	for {
		if p := u.random16(); p >= minPort {
			return p
		}
	}
}

// sendQueue sends what SendUDP has gathered. Whom the kernel refuses, as by a
// packet filter, the engine hears of, and what it sends instead goes out too.
func (u *upstream) sendQueue() {
	for u.sent < len(u.queue) {
		q := u.queue[u.sent]
		u.sent++
		p, ok := u.where[q.token]
		if !ok {
			continue // cancelled meanwhile
		}
		at := &u.ups[p.index]
		_, e := sendNow(at.fd, u.text[q.from:q.to])
		if e != 0 && !at.clean {
			// an error that waited, about what the socket sent before: it is
			// told once
			_, e = sendNow(at.fd, u.text[q.from:q.to])
		}
		if e != 0 {
			u.fail(q.token)
		}
	}
	u.emptyQueue()
}

func (u *upstream) emptyQueue() { u.queue, u.text, u.sent = u.queue[:0], u.text[:0], 0 }

// Cancel implements resolver.Net.
func (u *upstream) Cancel(token resolver.Token) {
	p, ok := u.where[token]
	if !ok {
		return
	}
	delete(u.where, token)
	if p.tcp {
		// A path that has forgotten the connection, or a server that does not
		// read, must not get further questions: they would be lost, and pile up.
		c := &u.conns[p.index]
		delete(c.tokens, p.id)
		c.mute = true
		return
	}
	u.close(p.index)
}

// close ends the use of a port: what comes for it now, the kernel turns away.
func (u *upstream) close(i int32) {
	p := &u.ups[i]
	p.token = 0
	idle := &u.idle[side(p.to.is4())]
	if !p.drawn || len(*idle) >= maxIdle {
		u.discard(i)
		return
	}
	var none sockaddr // AF_UNSPEC: connect(2)
	none.n = uint32(len(none.b))
	if connectNow(p.fd, &none) != 0 {
		u.discard(i)
		return
	}
	*idle = append(*idle, i)
}

// discard gives a socket back to the kernel.
func (u *upstream) discard(i int32) {
	p := &u.ups[i]
	closeNow(p.fd)
	p.fd, p.token = -1, 0
	u.free = append(u.free, i)
}

// side is the place of a family in upstream.idle.
func side(v4 bool) int {
	if v4 {
		return 0
	}
	return 1
}

// ready reads the answer, or the error, of a UDP socket.
func (u *upstream) ready(at watch) {
	if token, n := u.take(at); token != 0 {
		u.w.guard(func() { u.w.eng.Deliver(u.w.now, token, u.w.buf[:n]) })
	}
}

// take reads into the worker's buffer what came for a question: whose, and how
// many bytes. Token 0 if nothing did.
func (u *upstream) take(at watch) (resolver.Token, int) {
	p := &u.ups[at.index]
	if p.fd < 0 || p.gen&0xFFFFFF != at.gen {
		return 0, 0
	}
	n, fragments, e := u.rx.receive(p.fd, u.w.buf[:])
	switch {
	case p.token == 0:
		return 0, 0 // came before its port was closed: read, so that it is gone
	case e == unix.EAGAIN || e == unix.EINTR:
		return 0, 0
	case e != 0:
		u.fail(p.token)
		return 0, 0
	case !u.rx.from.same(&p.to):
		return 0, 0 // of the server the socket was connected to before
	}
	if fragments && n >= dns.HeaderLen {
		// Any fragment but the first has no port, no ID and no question: a
		// forger who knows the first can add his own (Herzberg and Shulman,
		// Fragmentation Considered Poisonous, 2012; RFC 9715). We ask for so
		// little that nobody has to fragment; it counts as truncated, and the
		// question is put again over TCP.
		u.w.buf[2] |= byte(wire.BitTC >> 8)
	}
	return p.token, n
}

func (u *upstream) fail(token resolver.Token) {
	u.w.guard(func() { u.w.eng.Failed(u.w.now, token) })
	u.Cancel(token)
}

// SendTCP implements resolver.Net. A question goes onto a connection to the
// same server if one is open and has no question with this ID out.
func (u *upstream) SendTCP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	from, ok := u.local(to.Addr())
	if !ok || len(msg) < dns.HeaderLen || len(msg) > dns.MaxMessage {
		return false
	}
	id := binary.BigEndian.Uint16(msg)
	at := int32(-1)
	for i := range u.conns {
		c := &u.conns[i]
		if c.fd >= 0 && c.to == to && !c.mute && len(c.tokens) < maxOnConn {
			if _, taken := c.tokens[id]; !taken {
				at = int32(i)
				break
			}
		}
	}
	if at < 0 {
		if at = u.dial(from, to); at < 0 {
			return false
		}
	}
	c := &u.conns[at]
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(msg)))
	c.out = append(c.out, msg...)
	c.tokens[id] = token
	c.last = u.w.now
	u.where[token] = place{tcp: true, index: at, id: id}
	if c.connected {
		u.flushSoon(at)
	}
	return true
}

// flushSoon writes at the round's end: never from within the engine's call.
func (u *upstream) flushSoon(i int32) { u.w.laterUp = append(u.w.laterUp, i) }

// dial opens a connection; -1 if it can not.
func (u *upstream) dial(from netip.Addr, to netip.AddrPort) int32 {
	at, idle := int32(-1), int32(-1)
	for i := range u.conns {
		c := &u.conns[i]
		if c.fd < 0 {
			at = int32(i)
			break
		}
		if len(c.tokens) == 0 && (idle < 0 || c.last < u.conns[idle].last) {
			idle = int32(i)
		}
	}
	if at < 0 {
		if idle < 0 {
			return -1
		}
		u.hangUp(idle)
		at = idle
	}
	fd, e := socketNow(family(to.Addr()), unix.SOCK_STREAM)
	if e != 0 {
		return -1
	}
	var sa sockaddr
	if !from.IsUnspecified() {
		sa.set(netip.AddrPortFrom(from, 0))
		if bindNow(fd, &sa) != 0 {
			closeNow(fd)
			return -1
		}
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	sa.set(to)
	if e := connectNow(fd, &sa); e != 0 && e != unix.EINPROGRESS {
		closeNow(fd)
		return -1
	}
	c := &u.conns[at]
	*c = upConn{fd: fd, gen: c.gen + 1, to: to, writing: true, in: c.in[:0], out: c.out[:0], tokens: c.tokens, last: u.w.now}
	if c.tokens == nil {
		c.tokens = make(map[uint16]resolver.Token)
	}
	clear(c.tokens)
	if epollCtl(u.w.ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLOUT, watch{watchUpConn, c.gen, at}) != 0 {
		closeNow(fd)
		c.fd = -1
		return -1
	}
	return at
}

// hangUp closes a connection nobody waits for.
func (u *upstream) hangUp(i int32) {
	c := &u.conns[i]
	closeNow(c.fd)
	c.fd = -1
	if cap(c.in) > 4096 {
		c.in = nil
	}
	if cap(c.out) > 4096 {
		c.out = nil
	}
}

// broken closes a connection and tells the engine of all that was out on it.
func (u *upstream) broken(i int32) {
	c := &u.conns[i]
	tokens := make([]resolver.Token, 0, len(c.tokens))
	for _, t := range c.tokens {
		tokens = append(tokens, t)
	}
	clear(c.tokens)
	u.hangUp(i)
	for _, t := range tokens {
		if _, ok := u.where[t]; ok {
			delete(u.where, t)
			u.w.guard(func() { u.w.eng.Failed(u.w.now, t) })
		}
	}
}

func (u *upstream) connReady(at watch, what uint32) {
	i := at.index
	c := &u.conns[i]
	if c.fd < 0 || c.gen&0xFFFFFF != at.gen {
		return
	}
	if what&unix.EPOLLOUT != 0 && !c.connected {
		if v, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || v != 0 {
			u.broken(i)
			return
		}
		c.connected = true
	}
	if what&unix.EPOLLOUT != 0 && !u.flush(i) {
		return
	}
	if what&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		u.readConn(i)
	}
}

// flush writes; false if the connection broke.
func (u *upstream) flush(i int32) bool {
	c := &u.conns[i]
	if c.fd < 0 || !c.connected {
		return c.fd >= 0
	}
	sent := 0
	for sent < len(c.out) {
		n, e := sendNow(c.fd, c.out[sent:])
		if e == unix.EAGAIN {
			break
		}
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			u.broken(i)
			return false
		}
		sent += n
	}
	c.out = append(c.out[:0], c.out[sent:]...)
	if writing := len(c.out) > 0; writing != c.writing {
		c.writing = writing
		ev := uint32(unix.EPOLLIN)
		if writing {
			ev |= unix.EPOLLOUT
		}
		epollCtl(u.w.ep, unix.EPOLL_CTL_MOD, c.fd, ev, watch{watchUpConn, c.gen, i})
	}
	return true
}

func (u *upstream) readConn(i int32) {
	c := &u.conns[i]
	n, e := readNow(c.fd, u.w.buf[:])
	if e == unix.EAGAIN || e == unix.EINTR {
		return
	}
	if e != 0 || n == 0 {
		u.broken(i)
		return
	}
	c.in = append(c.in, u.w.buf[:n]...)
	c.last, c.mute = u.w.now, false
	gen := c.gen
	for c.fd >= 0 && c.gen == gen && len(c.in) >= 2 {
		l := int(binary.BigEndian.Uint16(c.in))
		if len(c.in) < 2+l {
			return
		}
		m := append(u.w.buf[:0], c.in[2:2+l]...)
		c.in = append(c.in[:0], c.in[2+l:]...)
		if l < dns.HeaderLen {
			u.broken(i)
			return
		}
		id := binary.BigEndian.Uint16(m)
		token, ok := c.tokens[id]
		if !ok {
			continue // cancelled, or nonsense
		}
		u.w.guard(func() { u.w.eng.Deliver(u.w.now, token, m) })
	}
}

// sweep closes connections that nobody used for a while.
func (u *upstream) sweep(w *worker) {
	for i := range u.conns {
		if c := &u.conns[i]; c.fd >= 0 && len(c.tokens) == 0 && (c.mute || w.now-c.last > upIdle) {
			u.hangUp(int32(i))
		}
	}
}

// dropAll forgets everything that is out or was about to be: a new engine gives
// the same tokens again.
func (u *upstream) dropAll() {
	u.emptyQueue()
	for t := range u.where {
		u.Cancel(t)
	}
}
