// Package server is the body shared by the UDP content servers tinydns,
// walldns, rbldns and pickdns: what happens in which order at the start, and a
// listen.Handler that screens packets, asks the server's Program, logs, and
// answers (compat: djbdns.md section 1.1 and 1.3).
//
//	main -> env -> sockets -> box -> Spec.Init -> threads
//	packet -> content.Responder -> Program -> rate limit -> log -> packet
package server

import (
	"crypto/rand"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"bulkhead/internal/content"
	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/listen"
	"bulkhead/internal/prog"
	"bulkhead/internal/qlog"
	"bulkhead/internal/rrl"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/tai64"
)

// Program is a server's own part, one a thread.
type Program interface {
	content.Program
	// Begin is called before the questions of a batch, with the time, End after
	// their answers are made.
	Begin(now time.Time)
	End()
}

// Spec is what makes a server.
type Spec struct {
	Name string
	Box  sandbox.Decl
	// Init runs after the box is closed, before "starting NAME" is logged. It
	// gives the maker of Programs.
	Init func(s *Server) (newProgram func() Program, err error)
}

// Server is a running server.
type Server struct {
	Name   string
	Log    *qlog.Writer
	Config content.Config
	limit  *limits
	quiet  bool // LOG=0
}

// spare is how many threads besides those that answer may run Go code: the
// log's writer and whoever loads new data.
const spare = 2

// Run starts a server and serves until the process ends.
func Run(spec Spec) error {
	sandbox.Begin()
	addrs, err := env.Addrs("IP")
	if err != nil {
		return err
	}
	port, err := env.Port(dns.Port)
	if err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	socks, err := listen.Bind(addrs, port, workers)
	if err != nil {
		var e *listen.ErrStage
		errors.As(err, &e)
		return prog.Fatal("unable to "+e.Stage+" UDP socket", e.Err)
	}
	limit, limitErr := newLimits(workers) // reported after what the box says
	if err := sandbox.Enter(spec.Box); err != nil {
		return err
	}
	s := &Server{Name: spec.Name, quiet: !env.Logs()}
	if s.limit, err = limit, limitErr; err != nil {
		return err
	}
	if s.Config, err = config(); err != nil {
		return err
	}
	s.Log = qlog.New(spec.Name)
	newProgram, err := spec.Init(s)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(workers + spare)
	s.Log.Print("starting " + spec.Name)
	go s.flushAtEnd()
	return prog.Fatal("unable to receive", socks.Run(func() listen.Handler { return s.handler(newProgram()) }))
}

// flushAtEnd writes what the log still holds when the process is told to end,
// and lets it end by the same signal.
func (s *Server) flushAtEnd() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	sig := (<-c).(syscall.Signal)
	s.Log.Last()
	signal.Reset(sig)
	syscall.Kill(syscall.Getpid(), sig)
}

// Report logs a line of the server's own.
func (s *Server) Report(line string) { s.Log.Print(s.Name + ": warning: " + line) }

// config reads what all content servers understand.
func config() (c content.Config, err error) {
	c.Silent = env.IsOn("SILENT")
	c.ECS = env.IsOn("ECS")
	if v := os.Getenv("NSID"); v != "" {
		c.NSID = []byte(v[:min(len(v), dns.MaxNSID)])
	}
	switch v := os.Getenv("COOKIE"); v {
	case "0":
	case "":
		var k cookie.Secret
		rand.Read(k[:])
		c.Cookies = []cookie.Secret{k}
	default:
		var ok bool
		if c.Cookies, ok = cookie.ParseSecrets(v); !ok {
			return c, prog.Fatal("unable to parse $COOKIE: not 32 hex digits, or several such secrets separated by commas", nil)
		}
	}
	return c, nil
}

// aheadLen is how many questions are taken apart before the first is answered,
// so that a Preparer can have memory read for all of them at once. More would
// not be read at once (a processor waits for a dozen cache lines or so) and the
// questions themselves would leave its first cache.
const aheadLen = 16

// handler is one thread's.
type handler struct {
	s     *Server
	p     Program
	ahead Preparer // p, if it is one
	resp  content.Responder
	log   *qlog.Log
	table *rrl.Table // nil: no limit
	q     [aheadLen]content.Question
	ok    [aheadLen]bool

	// Of the batch; in the handler so that fault finds them.
	w     *listen.Worker
	room  []byte // for the answers to come
	lines []byte // of the log
	next  int    // packet to be answered
}

func (s *Server) handler(p Program) *handler {
	h := &handler{s: s, p: p, resp: content.Responder{Config: s.Config, Program: p}, log: s.Log.Log(), table: s.limit.table()}
	h.ahead, _ = p.(Preparer)
	return h
}

// Handle answers a batch.
func (h *handler) Handle(w *listen.Worker, batch []listen.Packet) {
	t := time.Now()
	now := content.Time{TAI: tai64.Seconds(t), Unix: uint32(t.Unix())}
	h.room, h.next = w.Room(), 0
	h.p.Begin(t)
	if !h.s.quiet {
		h.lines = h.log.Begin()
	}
	for h.next < len(batch) {
		n := min(h.next+aheadLen, len(batch))
		h.some(batch[:n], now)
	}
	if !h.s.quiet {
		h.log.End(h.lines)
		h.lines = nil
	}
	h.p.End()
}

// Preparer is a Program that can look ahead, to have memory read for several
// questions at once.
type Preparer interface {
	Prepare(q []content.Question, ok []bool)
}

// some answers the packets of batch from h.next on, at most aheadLen.
func (h *handler) some(batch []listen.Packet, now content.Time) {
	defer h.fault(batch)
	first := h.next
	q, ok := h.q[:len(batch)-first], h.ok[:len(batch)-first]
	for i := range q {
		p := &batch[first+i]
		ok[i] = h.resp.Parse(&q[i], p.Data, &content.Peer{Addr: p.From.Addr, Port: p.From.Port}, false, now)
	}
	if h.ahead != nil && len(q) > 1 {
		h.ahead.Prepare(q, ok)
	}
	for i := range q {
		p := &batch[first+i]
		peer := content.Peer{Addr: p.From.Addr, Port: p.From.Port}
		h.next = first + i
		e := content.Entry{Mark: '/'}
		if ok[i] {
			p.Reply, e = h.resp.Reply(h.room[:0:listen.ReplyLen], &q[i], &peer, now)
			if p.Reply != nil && h.table != nil && !e.Cookie {
				p.Reply = h.limited(p.Reply, &q[i], e.RCode, &peer, now)
			}
		}
		h.done(p, &peer, e.Mark, &q[i])
	}
	h.next = len(batch)
}

// done keeps what was put into the room, and logs.
func (h *handler) done(p *listen.Packet, peer *content.Peer, mark byte, q *content.Question) {
	h.room = listen.After(h.room, len(p.Reply))
	if !h.s.quiet && h.log.Fits(h.lines, content.MaxLine) {
		h.lines = content.AppendLog(h.lines, peer, mark, q)
	}
}

// fault ends a panic: one in the data, such as a file changed under us, costs
// one answer, not the server.
func (h *handler) fault(batch []listen.Packet) {
	x := recover()
	if x == nil {
		return
	}
	f, ok := h.p.(interface{ Fault(any) })
	if !ok {
		panic(x)
	}
	// Whoever reports what has happened writes to the log, after these lines.
	if !h.s.quiet {
		h.log.End(h.lines)
		h.lines = nil
	}
	f.Fault(x)
	if !h.s.quiet {
		h.lines = h.log.Begin()
	}
	p := &batch[h.next]
	peer := content.Peer{Addr: p.From.Addr, Port: p.From.Port}
	q := &h.q[0] // looking ahead may have come upon it: each is parsed again
	if h.resp.Parse(q, p.Data, &peer, false, content.Time{}) {
		p.Reply = q.Header(h.room, dns.RCodeServFail)
		h.done(p, &peer, '-', q)
	} else {
		p.Reply = nil
		h.done(p, &peer, '/', q)
	}
	h.next++
}

// PanicOnFault makes a read beyond the end of a mapped file a panic of this
// thread, which reply catches, instead of the process's end.
func PanicOnFault() { debug.SetPanicOnFault(true) }
