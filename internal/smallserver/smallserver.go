// Package smallserver joins the answers of walldns, rbldns and pickdns with the
// body that all content servers share.
package smallserver

import (
	"math/rand/v2"
	"runtime"
	"time"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/env"
	"bulkhead/internal/follow"
	"bulkhead/internal/pick"
	"bulkhead/internal/prog"
	"bulkhead/internal/rbl"
	"bulkhead/internal/server"
	"bulkhead/internal/wall"
)

// dataFile is what rbldns and pickdns serve, relative to their root.
const dataFile = "data.cdb"

// Wall starts walldns.
func Wall(*server.Server) (func() server.Program, error) {
	return func() server.Program { return &wallProgram{} }, nil
}

type wallProgram struct{ wall.Answerer }

func (*wallProgram) Begin(time.Time) {}
func (*wallProgram) End()            {}

// mapped is a thread's part of a server with a data file.
type mapped[T any] struct {
	file   *follow.File[T]
	cur    *follow.Version[T]
	guard  bool
	answer func(dst []byte, data T, q *content.Question) ([]byte, content.Result, error)
}

// Begin takes the newest version for a batch.
func (m *mapped[T]) Begin(time.Time) {
	if !m.guard {
		server.PanicOnFault()
		m.guard = true
	}
	m.cur = m.file.Current()
}

// End lets go of it.
func (m *mapped[T]) End() { m.cur = nil }

// Answer implements content.Program.
func (m *mapped[T]) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	if m.cur == nil {
		return servfail(dst, q, dns.EDENotReady)
	}
	msg, res, err := m.answer(dst, m.cur.Value, q)
	if err != nil {
		return servfail(dst, q, dns.EDEInvalidData)
	}
	return msg, res
}

func servfail(dst []byte, q *content.Question, why dns.EDE) ([]byte, content.Result) {
	return q.Header(dst, dns.RCodeServFail), content.Result{RCode: dns.RCodeServFail, EDE: why}
}

// Fault is told of a panic while answering: a data file changed in place.
// Other errors are ours and end the program.
func (m *mapped[T]) Fault(x any) {
	if _, ok := x.(runtime.Error); !ok {
		panic(x)
	}
	m.file.Broken()
}

// Rbl starts rbldns.
func Rbl(s *server.Server) (func() server.Program, error) {
	v, err := env.Require("BASE")
	if err != nil {
		return nil, err
	}
	base, err := dnsname.ParseDot(v)
	if err != nil {
		return nil, prog.Fatal("unable to parse $BASE", nil)
	}
	base = base.Lower()
	file := follow.New(dataFile, rbl.Open, s.Report)
	return func() server.Program {
		a := &rbl.Answerer{Base: base}
		return &mapped[*rbl.List]{file: file, answer: a.Answer}
	}, nil
}

// Pick starts pickdns.
func Pick(s *server.Server) (func() server.Program, error) {
	open := func(b []byte) (cdb.Reader, error) {
		r := cdb.Reader(b)
		_, err := r.Get(nil) // the header is there
		return r, err
	}
	file := follow.New(dataFile, open, s.Report)
	return func() server.Program {
		a := &pick.Answerer{Below: rand.IntN}
		return &mapped[cdb.Reader]{file: file, answer: a.Answer}
	}, nil
}
