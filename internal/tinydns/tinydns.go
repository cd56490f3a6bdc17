// Package tinydns joins the answer engine, the data file and the server body
// into the program tinydns.
package tinydns

import (
	"crypto/rand"
	"encoding/binary"
	"runtime"
	"time"

	"bulkhead/internal/auth"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/generation"
	"bulkhead/internal/server"
)

// Init opens the data and gives the maker of each thread's part.
func Init(s *server.Server) (func() server.Program, error) {
	addresses, err := env.Uint("ADDRESSES", 0, 1<<16)
	if err != nil {
		return nil, err
	}
	store := generation.New(s.Report)
	return func() server.Program {
		p := &program{store: store, reader: store.Reader()}
		p.a.Addresses = int(addresses)
		var seed [8]byte
		rand.Read(seed[:])
		p.a.Rand.State = binary.LittleEndian.Uint64(seed[:])
		return p
	}, nil
}

// program is one thread's part.
type program struct {
	a      auth.Answerer
	store  *generation.Store
	reader *generation.Reader
	data   *auth.Data
	guard  bool
}

func (p *program) Begin(now time.Time) {
	if !p.guard {
		server.PanicOnFault()
		p.guard = true
	}
	p.data = p.reader.Acquire(generation.At(now))
}

func (p *program) End() {
	p.data = nil
	p.reader.Release()
}

// Prepare implements server.Preparer.
func (p *program) Prepare(q []content.Question, ok []bool) {
	if p.data != nil {
		p.data.Prepare(q, ok)
	}
}

// Answer implements content.Program.
func (p *program) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	if p.data == nil {
		return q.Header(dst, dns.RCodeServFail), content.Result{RCode: dns.RCodeServFail, EDE: dns.EDENotReady}
	}
	return p.a.Answer(dst, p.data, q)
}

// Fault is told of a panic while answering: damaged or changed data. Other
// errors are ours and end the program.
func (p *program) Fault(x any) {
	if _, ok := x.(runtime.Error); !ok {
		panic(x)
	}
	p.store.Broken()
}
