// Package tcp serves length-prefixed DNS messages over many TCP connections in
// one process (RFC 1035, section 4.2.2; RFC 7766): an epoll loop per thread,
// no goroutine and no buffer per connection.
//
//	tcp.go     configuration, the loop
//	conn.go    one connection: reading, answering, writing, ending
//	socket.go  listening sockets
//
// What a stranger can make the server hold is bounded by named numbers: the
// connections, those of one network, the bytes of unfinished requests, the
// bytes of answers nobody reads, and the time a connection may do nothing.
// When connections run out, the one that was silent longest makes room (RFC
// 7766, section 6.2.3).
package tcp

import (
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/epoll"
)

// Handler answers the messages of the connections of one thread.
type Handler interface {
	// Open is told of a new connection; false closes it. What it gives comes
	// back with each message of the connection.
	Open(peer netip.AddrPort) (tag any, ok bool)
	// Message appends the answers to one message to dst, each with its length
	// prefix. A stream, if any, follows before the next message is looked at.
	// end closes the connection once all is written.
	Message(dst, msg []byte, peer netip.AddrPort, tag any) (out []byte, s Stream, end bool)
	// Flush is called when a round of messages is done, before answers are
	// written: time to write the log.
	Flush()
}

// Stream is a long answer, made piece by piece as the client reads.
type Stream interface {
	// Next appends the next piece, at most maxPiece bytes, to dst; more is
	// false with the last. An error ends the connection.
	Next(dst []byte) (out []byte, more bool, err error)
	// End is called once, after the last Next or when the connection is gone.
	End()
}

// Config says how to serve. Zero numbers mean the defaults.
type Config struct {
	Listeners []int // listening sockets, from Listen
	Threads   int   // loops; 0: one for each processor Go uses
	Handler   func() Handler
	Idle      time.Duration // a connection without a whole request; default DefaultIdle
	Stall     time.Duration // a client that reads nothing; default DefaultStall
	MaxConns  int           // of all threads together; default DefaultConns
	MaxPerNet int           // of one IPv4 address or IPv6 /64; 0: no limit

	// Proxied says which peers must send a PROXY header and are not counted
	// by MaxPerNet; nil: none.
	Proxied func(netip.Addr) bool
}

// Defaults and bounds.
const (
	DefaultIdle  = 30 * time.Second // RFC 7766, section 6.2.3 asks for a few seconds; named has 30
	DefaultStall = 60 * time.Second // a write may take that long (compat: djbdns.md section 6)
	DefaultConns = 20000

	maxPrefixed = 2 + 1<<16 - 1 // the longest message with its length
	maxPiece    = maxPrefixed   // of a stream
	batchLen    = 256 << 10     // bytes of output made before they are written
	maxEvents   = 256           // taken from the kernel at once
	maxAccepts  = 64            // accepted before others get their turn

	// maxPartial bounds the unfinished requests of one thread: honest ones are
	// a hundred bytes and whole, so this is room for a thousand of the longest.
	maxPartial = 64 << 20
	// maxUnread bounds the answers of one thread that clients do not read.
	maxUnread = 64 << 20
)

// Server is a running server.
type Server struct {
	Config
	conns   atomic.Int64
	wake    int // eventfd, readable once stopping
	done    chan error
	running int

	mu   sync.Mutex
	nets map[netip.Prefix]int // connections by network, with MaxPerNet only
}

// Start begins to serve.
func Start(c Config) (*Server, error) {
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.Idle <= 0 {
		c.Idle = DefaultIdle
	}
	if c.Stall <= 0 {
		c.Stall = DefaultStall
	}
	if c.MaxConns <= 0 {
		c.MaxConns = DefaultConns
	}
	// Some descriptors are not for connections.
	const spare = 64
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur > 2*spare && uint64(c.MaxConns) > l.Cur-spare {
		c.MaxConns = int(l.Cur - spare)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s := &Server{Config: c, wake: wake, done: make(chan error, c.Threads), nets: map[netip.Prefix]int{}}
	var loops []*loop
	for range c.Threads {
		w, err := s.newLoop()
		if err != nil {
			return nil, err
		}
		loops = append(loops, w)
	}
	s.running = len(loops)
	for _, w := range loops {
		go w.run()
	}
	return s, nil
}

// Wait waits until all loops have ended, which happens after Stop or when the
// kernel fails.
func (s *Server) Wait() error {
	var first error
	for ; s.running > 0; s.running-- {
		if err := <-s.done; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Stop ends the server in an orderly way: it accepts no more, closes what is
// idle, lets answers on their way finish, and ends after limit at the latest.
func (s *Server) Stop(limit time.Duration) {
	s.shut()
	time.AfterFunc(limit, func() { os.Exit(0) })
}

// shut is Stop without a limit.
func (s *Server) shut() { unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// Conns is the number of connections.
func (s *Server) Conns() int { return int(s.conns.Load()) }

// loop is one thread's share.
type loop struct {
	s       *Server
	h       Handler
	ep      int
	conns   []*conn // by descriptor
	free    *conn
	idle    list  // waiting for requests, longest silent first
	stalled list  // waiting for the client to read, longest first
	gen     int32 // counts connections, so that an old event meets no new one
	partial int   // bytes of unfinished requests
	unread  int   // bytes of unread answers
	now     time.Duration
	start   time.Time
	in      []byte // one read
	out     []byte // answers being made
	listens map[int]bool
	ending  bool
}

func (s *Server) newLoop() (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w := &loop{s: s, h: s.Handler(), ep: ep, start: time.Now(), listens: map[int]bool{},
		in: make([]byte, 2*maxPrefixed), out: make([]byte, 0, batchLen+2*maxPrefixed)}
	w.idle.init()
	w.stalled.init()
	for _, fd := range s.Listeners {
		w.listens[fd] = true
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(fd)}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			return nil, err
		}
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.wake)}
	return w, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, s.wake, &ev)
}

// run is the loop.
func (w *loop) run() {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, maxEvents)
	for {
		n, err := epoll.Wait(w.ep, events, w.timeout())
		if err != nil && err != unix.EINTR {
			w.s.done <- err
			return
		}
		w.now = time.Since(w.start)
		for i := range events[:max(n, 0)] {
			ev := &events[i]
			fd := int(ev.Fd)
			switch {
			case w.listens[fd]:
				w.accept(fd)
			case fd == w.s.wake:
				w.ending = true
				unix.EpollCtl(w.ep, unix.EPOLL_CTL_DEL, fd, nil)
			case fd < len(w.conns) && w.conns[fd] != nil && w.conns[fd].gen == ev.Pad:
				w.event(w.conns[fd], ev.Events)
			}
		}
		w.h.Flush()
		w.expire()
		if w.ending && w.stop() {
			w.s.done <- nil
			return
		}
	}
}

// timeout is how long the loop may sleep, in milliseconds.
func (w *loop) timeout() int {
	first := time.Duration(-1)
	for _, l := range []struct {
		list  *list
		limit time.Duration
	}{{&w.idle, w.s.Idle}, {&w.stalled, w.s.Stall}} {
		if c := l.list.first(); c != nil {
			if at := c.since + l.limit; first < 0 || at < first {
				first = at
			}
		}
	}
	if first < 0 {
		return -1
	}
	left := first - time.Since(w.start)
	return int(min(max(left/time.Millisecond+1, 0), 1<<30))
}

// expire ends connections that have done nothing for too long.
func (w *loop) expire() {
	for c := w.idle.first(); c != nil && w.now-c.since >= w.s.Idle; c = w.idle.first() {
		w.close(c)
	}
	for c := w.stalled.first(); c != nil && w.now-c.since >= w.s.Stall; c = w.stalled.first() {
		w.close(c)
	}
}

// stop ends what can end now; true when nothing is left.
func (w *loop) stop() bool {
	for fd := range w.listens {
		unix.EpollCtl(w.ep, unix.EPOLL_CTL_DEL, fd, nil)
		delete(w.listens, fd)
	}
	for c := w.idle.first(); c != nil; c = w.idle.first() {
		w.close(c)
	}
	return w.stalled.first() == nil
}

// accept takes waiting connections.
func (w *loop) accept(listener int) {
	for range maxAccepts {
		fd, peer, err := rawAccept(listener)
		switch err {
		case nil:
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			// Somebody must go, or the loop would spin.
			if c := w.idle.first(); c != nil {
				w.close(c)
				continue
			}
			time.Sleep(10 * time.Millisecond)
			return
		case unix.EAGAIN:
			return
		default: // a connection that is gone already
			continue
		}
		w.open(fd, peer)
	}
}

func (w *loop) open(fd int, peer netip.AddrPort) {
	if int(w.s.conns.Load()) >= w.s.MaxConns {
		c := w.idle.first()
		if c == nil {
			unix.Close(fd)
			return
		}
		w.close(c)
	}
	proxied := w.s.Proxied != nil && w.s.Proxied(peer.Addr())
	var tag any
	if !proxied {
		if !w.s.enter(peer.Addr()) {
			unix.Close(fd)
			return
		}
		var ok bool
		if tag, ok = w.h.Open(peer); !ok {
			w.s.leave(peer.Addr())
			unix.Close(fd)
			return
		}
	}
	c := w.free
	if c != nil {
		w.free = c.next
	} else {
		c = new(conn)
	}
	w.gen++
	*c = conn{fd: fd, peer: peer, tag: tag, gen: w.gen, header: proxied, proxied: proxied}
	for fd >= len(w.conns) {
		w.conns = append(w.conns, nil)
	}
	w.conns[fd] = c
	w.s.conns.Add(1)
	c.since = w.now
	w.idle.push(c)
	// The request is often here already.
	w.read(c)
}

// network is what MaxPerNet counts.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// enter counts a connection of a network; false if it has its share.
func (s *Server) enter(a netip.Addr) bool {
	if s.MaxPerNet <= 0 {
		return true
	}
	net := network(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nets[net] >= s.MaxPerNet {
		return false
	}
	s.nets[net]++
	return true
}

func (s *Server) leave(a netip.Addr) {
	if s.MaxPerNet <= 0 {
		return
	}
	net := network(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nets[net]--; s.nets[net] == 0 {
		delete(s.nets, net)
	}
}
