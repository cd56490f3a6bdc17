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
	"encoding/hex"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
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
	// Begin is called before the questions of a batch, End after their
	// answers are made.
	Begin()
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
	s := &Server{Name: spec.Name, quiet: env.IsOff("LOG")}
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
	s.Log.Flush()
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
		c.NSID = []byte(v)
	}
	switch v := os.Getenv("COOKIE"); v {
	case "0":
	case "":
		var k cookie.Secret
		rand.Read(k[:])
		c.Cookies = []cookie.Secret{k}
	default:
		for _, x := range strings.Split(v, ",") {
			var k cookie.Secret
			if n, err := hex.Decode(k[:], []byte(strings.TrimSpace(x))); err != nil || n != len(k) || len(strings.TrimSpace(x)) != 2*len(k) {
				return c, prog.Fatal("unable to parse $COOKIE: not 32 hex digits, or several such secrets separated by commas", nil)
			}
			c.Cookies = append(c.Cookies, k)
		}
	}
	return c, nil
}

// handler is one thread's.
type handler struct {
	s     *Server
	p     Program
	resp  content.Responder
	log   *qlog.Log
	table *rrl.Table // nil: no limit
	q     [listen.BatchLen]content.Question
	ok    [listen.BatchLen]bool
}

func (s *Server) handler(p Program) *handler {
	return &handler{s: s, p: p, resp: content.Responder{Config: s.Config, Program: p}, log: s.Log.Log(), table: s.limit.table()}
}

// Handle answers a batch.
func (h *handler) Handle(_ *listen.Worker, batch []listen.Packet) {
	t := time.Now()
	now := content.Time{TAI: tai64.Seconds(t), Unix: uint32(t.Unix())}
	h.p.Begin()
	for i := range batch {
		peer := content.Peer{Addr: batch[i].From.Addr, Port: batch[i].From.Port}
		h.ok[i] = h.resp.Parse(&h.q[i], batch[i].Data, &peer, false, now)
	}
	if pre, ok := h.p.(Preparer); ok && len(batch) > 1 {
		pre.Prepare(h.q[:len(batch)], h.ok[:len(batch)])
	}
	var lines []byte
	if !h.s.quiet {
		lines = h.log.Begin()
	}
	for i := range batch {
		p := &batch[i]
		peer := content.Peer{Addr: p.From.Addr, Port: p.From.Port}
		e := content.Entry{Mark: '/'}
		if h.ok[i] {
			p.Reply, e = h.reply(p, &h.q[i], &peer, now)
			if p.Reply != nil && h.table != nil && !e.Cookie {
				p.Reply = h.limited(p.Reply, &h.q[i], e.RCode, &peer, now)
			}
		}
		if !h.s.quiet && h.log.Fits(lines, content.MaxLine) {
			lines = content.AppendLog(lines, &peer, e.Mark, &h.q[i])
		}
	}
	if !h.s.quiet {
		h.log.End(lines)
	}
	h.p.End()
}

// Preparer is a Program that can look ahead at a batch, to have memory read
// for all its questions at once.
type Preparer interface {
	Prepare(q []content.Question, ok []bool)
}

// reply answers one question. A fault in the data, such as a file changed
// under us, costs this answer, not the server.
func (h *handler) reply(p *listen.Packet, q *content.Question, peer *content.Peer, now content.Time) (msg []byte, e content.Entry) {
	defer func() {
		if x := recover(); x != nil {
			f, ok := h.p.(interface{ Fault(any) })
			if !ok {
				panic(x)
			}
			f.Fault(x)
			msg, e = q.Header(p.Buf, dns.RCodeServFail), content.Entry{Mark: '-', RCode: dns.RCodeServFail}
		}
	}()
	return h.resp.Reply(p.Buf, q, peer, now)
}

// PanicOnFault makes a read beyond the end of a mapped file a panic of this
// thread, which reply catches, instead of the process's end.
func PanicOnFault() { debug.SetPanicOnFault(true) }
