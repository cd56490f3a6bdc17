// Package tinydns joins the answer engine, the data file and the server body
// into the program tinydns.
package tinydns

import (
	"crypto/rand"
	"encoding/binary"
	"runtime"

	"bulkhead/internal/auth"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/generation"
	"bulkhead/internal/server"
	"bulkhead/internal/zindex"
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
	touch  uint64 // keeps reads ahead from being optimised away
	guard  bool
}

func (p *program) Begin() {
	if !p.guard {
		server.PanicOnFault()
		p.guard = true
	}
	p.data = p.reader.Acquire(generation.Now())
}

func (p *program) End() {
	p.data = nil
	p.reader.Release()
}

// Prepare reads the index for all questions of a batch, then the records they
// point to, so that the processor waits for memory once, not once a question.
func (p *program) Prepare(q []content.Question, ok []bool) {
	d := p.data
	if d == nil {
		return
	}
	seed, sum := d.Seed(), p.touch
	for i := range q {
		if ok[i] {
			q[i].Hash, q[i].Hashed = zindex.Hash(seed, q[i].Name), true
			sum += d.Touch(q[i].Hash)
		}
	}
	for i := range q {
		if ok[i] {
			a, x := d.TouchNode(q[i].Hash)
			q[i].Ahead = uint64(a)
			sum += uint64(x)
		}
	}
	for i := range q {
		if ok[i] {
			sum += uint64(d.TouchRecord(zindex.Ahead(q[i].Ahead)))
		}
	}
	p.touch = sum
}

// Answer implements content.Program.
func (p *program) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	if p.data == nil {
		return q.Header(dst, dns.RCodeServFail), content.Result{RCode: dns.RCodeServFail, EDE: dns.EDENotReady, HasEDE: true}
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
