package axfrdns

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/axfr"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/generation"
	"bulkhead/internal/listen/tcp"
	"bulkhead/internal/prog"
	"bulkhead/internal/proxyv2"
	"bulkhead/internal/qlog"
	"bulkhead/internal/sandbox"
)

const (
	defaultGrace = 5 // seconds that answers on their way have after TERM
	spareThreads = 2 // besides those that answer: the log, loading data

	// maxTransfers at once: each holds a generation of the data and, when its
	// client reads slowly, 64 KiB. Others are refused and come again (RFC
	// 5936, section 4.2 lets a server limit them).
	maxTransfers = 256
)

// serve is the long-running server.
func serve(box sandbox.Decl) error {
	sandbox.Begin()
	addrs, err := env.Addrs("IP")
	if err != nil {
		return err
	}
	port, err := env.Port(dns.Port)
	if err != nil {
		return err
	}
	s := &server{}
	socks, err := sockets(addrs, port)
	if err != nil {
		return err
	}
	if s.rules, err = openRules(); err != nil {
		return err
	}
	if s.rules.folder >= 0 {
		box.Folders = []int{s.rules.folder}
	}
	c, grace, err := limits()
	if err != nil {
		return err
	}
	if v := os.Getenv("PROXYFROM"); v != "" {
		l, ok := proxyv2.ParseAllowList(v)
		if !ok {
			return prog.Permanent("unable to parse $PROXYFROM: "+v+": not a list of addresses and networks", nil)
		}
		c.Proxied = l.Has
	}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	if s.settings, err = fromEnv(); err != nil {
		return err
	}
	s.Keepalive = uint16(min(c.Idle/(100*time.Millisecond), 1<<16-1))
	s.log = qlog.New("axfrdns")
	s.rules.report = func(line string) { s.log.Print(line) }
	s.rules.verify()
	s.store = generation.New(func(line string) { s.log.Print("axfrdns: warning: " + line) })
	s.spare = make(chan *generation.Reader, maxTransfers)
	for range maxTransfers {
		s.spare <- nil
	}
	c.Listeners = socks
	c.Threads = runtime.GOMAXPROCS(0)
	c.Handler = func() tcp.Handler { return s.handler() }
	runtime.GOMAXPROCS(c.Threads + spareThreads)
	s.log.Print("starting axfrdns")
	running, err := tcp.Start(c)
	if err != nil {
		return prog.Fatal("unable to serve", err)
	}
	go func() {
		sig := make(chan os.Signal, 1)
		signal.Notify(sig, syscall.SIGTERM)
		<-sig
		s.log.Last()
		running.Stop(grace)
	}()
	if err := running.Wait(); err != nil {
		return prog.Fatal("unable to serve", err)
	}
	s.log.Last()
	return nil
}

// sockets listens on every address, or takes over the sockets that whoever
// started us holds: $LISTEN_FDS, if $LISTEN_PID is this process.
func sockets(addrs []netip.Addr, port uint16) (fds []int, err error) {
	pid, e1 := env.Uint("LISTEN_PID", 0, 1<<31)
	n, e2 := env.Uint("LISTEN_FDS", 0, 1024)
	if e1 == nil && e2 == nil && n > 0 && int(pid) == os.Getpid() {
		for fd := 3; fd < 3+int(n); fd++ {
			if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || v == 0 {
				return nil, prog.Fatal("unable to use $LISTEN_FDS: a descriptor is no listening TCP socket", nil)
			}
			unix.CloseOnExec(fd)
			unix.SetNonblock(fd, true)
			fds = append(fds, fd)
		}
		return fds, nil
	}
	for _, a := range addrs {
		fd, err := tcp.Listen(netip.AddrPortFrom(a, port))
		var bind *tcp.BindError
		if errors.As(err, &bind) {
			return nil, prog.Fatal("unable to bind TCP socket", bind.Err)
		}
		if err != nil {
			return nil, prog.Fatal("unable to create TCP socket", err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// limits reads how much clients may take.
func limits() (c tcp.Config, grace time.Duration, err error) {
	const maxSeconds = 1 << 20
	var n [4]uint64
	for i, v := range []struct {
		name     string
		def, max uint64
	}{{"MAXCONN", tcp.DefaultConns, 1 << 24}, {"MAXCONNIP", 0, 1 << 24},
		{"IDLE", uint64(tcp.DefaultIdle / time.Second), maxSeconds}, {"GRACE", defaultGrace, maxSeconds}} {
		if n[i], err = env.Uint(v.name, v.def, v.max); err != nil {
			return c, 0, err
		}
	}
	c.MaxConns, c.MaxPerNet = int(n[0]), int(n[1])
	c.Idle, grace = time.Duration(n[2])*time.Second, time.Duration(n[3])*time.Second
	return c, grace, nil
}

type server struct {
	settings
	store *generation.Store
	log   *qlog.Writer
	spare chan *generation.Reader // of transfers; nil ones are yet to be made
	rules *rules
}

// handler is one thread's.
type handler struct {
	s      *server
	desk   *axfr.Desk
	reader *generation.Reader
	log    *qlog.Log
	now    content.Time
	round  bool // now and the data are those of this round
	guard  bool
}

func (s *server) handler() *handler {
	return &handler{s: s, desk: s.desk(), reader: s.store.Reader(), log: s.log.Log()}
}

// client is what Open finds out.
type client struct {
	peer  content.Peer
	allow *axfr.Allow
}

// Open implements tcp.Handler.
func (h *handler) Open(peer netip.AddrPort) (any, bool) {
	allow, ok := h.s.rules.admit(peer.Addr())
	if !ok {
		return nil, false
	}
	return &client{content.Peer{Addr: content.Addr(peer.Addr().As16()), Port: peer.Port()}, allow}, true
}

// Flush implements tcp.Handler.
func (h *handler) Flush() {
	if h.round {
		h.round = false
		h.desk.Data = nil
		h.reader.Release()
	}
}

// Message implements tcp.Handler.
func (h *handler) Message(dst, msg []byte, _ netip.AddrPort, tag any) (out []byte, s tcp.Stream, end bool) {
	c := tag.(*client)
	if !h.round {
		if !h.guard {
			faultsPanic()
			h.guard = true
		}
		h.round = true
		h.now = moment()
		h.desk.Data = h.reader.Acquire(generation.Now())
	}
	if len(msg) < dns.HeaderLen || msg[2]&0x80 != 0 {
		return dst, nil, true // nothing that an answer could be given to
	}
	at := len(dst)
	dst = append(dst, 0, 0)
	if !h.desk.Parse(msg, &c.peer, h.now) {
		// FORMERR with the id and the opcode asked; no question that made sense
		dst = append(dst, msg[0], msg[1], 0x80|msg[2]&0x79, byte(dns.RCodeFormErr), 0, 0, 0, 0, 0, 0, 0, 0)
		binary.BigEndian.PutUint16(dst[at:], dns.HeaderLen)
		return dst, nil, false
	}
	if !h.s.quiet {
		lines := h.log.Begin()
		if h.log.Fits(lines, content.MaxLine) {
			lines = h.desk.AppendLog(lines, &c.peer)
		}
		h.log.End(lines)
	}
	h.desk.Allow = c.allow
	var pin *generation.Reader
	data := h.desk.Data
	if h.desk.IsTransfer() {
		// A transfer outlives the round and holds the data it started with.
		select {
		case pin = <-h.s.spare:
			if pin == nil {
				pin = h.s.store.Reader()
			}
			h.desk.Data = pin.Acquire(generation.Now())
		default:
			dst = h.desk.Header(dst, dns.RCodeRefused)
			binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
			return dst, nil, false
		}
	}
	var t *axfr.Transfer
	var why axfr.Refusal
	if !guarded(func() { out, t, why = h.desk.Reply(dst, &c.peer, h.now) }) {
		h.s.store.Broken()
		out, t, why = h.desk.Header(dst[:at+2], dns.RCodeServFail), nil, axfr.DamagedData
	}
	h.desk.Data = data
	if pin != nil && t == nil {
		h.s.unpin(pin)
	}
	switch why {
	case axfr.Forbidden:
		h.s.log.Print("axfrdns: warning: " + saysDisallowed)
	case axfr.DamagedData:
		h.s.log.Print("axfrdns: warning: unable to read data.cdb: format error")
	}
	if t != nil {
		return dst[:at], &pinned{t, h.s, pin}, false
	}
	if out == nil {
		return dst[:at], nil, h.s.Silent
	}
	binary.BigEndian.PutUint16(out[at:], uint16(len(out)-at-2))
	return out, nil, false
}

func (s *server) unpin(r *generation.Reader) {
	r.Release()
	s.spare <- r
}

// pinned is a transfer and its hold on the data.
type pinned struct {
	t   *axfr.Transfer
	s   *server
	pin *generation.Reader
}

// Next implements tcp.Stream.
func (p *pinned) Next(dst []byte) (out []byte, more bool, err error) {
	if !guarded(func() { out, more, err = p.t.Next(dst) }) {
		p.s.store.Broken()
		return dst, false, axfr.ErrFormat
	}
	return out, more, err
}

// End implements tcp.Stream.
func (p *pinned) End() { p.s.unpin(p.pin) }
