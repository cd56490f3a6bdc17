// Package logfilter puts host names beside the addresses that lines of a log
// begin with: the work of dnsfilter (compat: djbdns.md section 12). Lines keep
// their order; a bounded number of them waits while a bounded number of
// look-ups is under way, so that memory does not depend on the input.
package logfilter

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"strings"
	"time"

	"bulkhead/internal/errtext"
	"bulkhead/internal/scan"
)

// Filter says how to work.
type Filter struct {
	Lookups int // look-ups under way at once
	Lines   int // lines that may wait for them
	Name    func(netip.Addr) (name string, found bool, err error)
	Now     func() time.Time
}

const (
	// pieceLen bounds the memory a line takes, bytes: a longer one is passed
	// on in pieces, of which the first is looked at.
	pieceLen = 65536
	// Answers are remembered for a short while, because logs repeat
	// themselves; the cache that is asked knows the real lifetimes.
	rememberFor  = 10 * time.Second
	rememberMost = 16384 // addresses; about 2 MB
)

// piece is a line, or a part of a long one.
type piece struct {
	text  []byte
	at    int     // where to insert, bytes
	found *lookup // nil: nothing to insert
}

// lookup is one question about an address, shared by all lines that wait for it.
type lookup struct {
	done   chan struct{}
	insert string
	until  time.Time
}

// Run filters in to out. It returns the first error of reading or writing.
func (f *Filter) Run(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, pieceLen)
	queue := make(chan piece, f.Lines)
	written := make(chan error, 1)
	stop := make(chan struct{})
	go func() { written <- write(out, queue, stop) }()
	err := f.read(r, queue, stop)
	close(queue)
	if werr := <-written; werr != nil {
		return werr
	}
	return err
}

func (f *Filter) read(r *bufio.Reader, queue chan<- piece, stop <-chan struct{}) error {
	slots := make(chan struct{}, f.Lookups)
	known := map[netip.Addr]*lookup{}
	start := true // of a line
	for {
		b, err := r.ReadSlice('\n')
		if len(b) > 0 {
			p := piece{text: bytes.Clone(b)}
			if start {
				if a, at, ok := address(b); ok {
					p.at, p.found = at, f.start(known, slots, a)
				}
			}
			start = err != bufio.ErrBufferFull
			select {
			case queue <- p:
			case <-stop:
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}

// address reads what the line begins with: everything before the first space,
// tab or newline, if it starts like an address.
func address(line []byte) (a netip.Addr, at int, ok bool) {
	at = bytes.IndexAny(line, " \t\n")
	if at < 0 {
		at = len(line)
	}
	word := line[:at]
	if ip, _, ok := scan.IP4(word); ok {
		return netip.AddrFrom4(ip), at, true
	}
	// IPv6 is recognised only as a whole word: hex digits and colons are too
	// common at the start of other words
	if len(word) < 40 && bytes.Count(word, []byte{':'}) >= 2 {
		if a, err := netip.ParseAddr(string(word)); err == nil {
			return a.Unmap(), at, true
		}
	}
	return a, 0, false
}

// start joins a look-up that is under way or just done, or begins one.
func (f *Filter) start(known map[netip.Addr]*lookup, slots chan struct{}, a netip.Addr) *lookup {
	now := f.Now()
	if l := known[a]; l != nil {
		select {
		case <-l.done:
			if now.Before(l.until) {
				return l
			}
		default:
			return l
		}
	}
	if len(known) >= rememberMost {
		clear(known) // those under way are still held by their lines
	}
	l := &lookup{done: make(chan struct{})}
	known[a] = l
	slots <- struct{}{}
	go func() {
		name, found, err := f.Name(a)
		switch {
		case err != nil:
			l.insert = ":" + strings.ReplaceAll(errtext.Of(err), " ", "-")
		case found:
			l.insert = "=" + name
		}
		l.until = f.Now().Add(rememberFor)
		<-slots
		close(l.done)
	}()
	return l
}

// write puts the pieces out in order, flushing whenever it has to wait.
func write(out io.Writer, queue <-chan piece, stop chan<- struct{}) error {
	w := bufio.NewWriter(out)
	fail := func(err error) error {
		close(stop)
		for range queue {
		}
		return err
	}
	for {
		var p piece
		var ok bool
		select {
		case p, ok = <-queue:
		default:
			if err := w.Flush(); err != nil {
				return fail(err)
			}
			p, ok = <-queue
		}
		if !ok {
			return w.Flush()
		}
		if p.found != nil {
			select {
			case <-p.found.done:
			default:
				if err := w.Flush(); err != nil {
					return fail(err)
				}
				<-p.found.done
			}
			w.Write(p.text[:p.at])
			w.WriteString(p.found.insert)
			p.text = p.text[p.at:]
		}
		if _, err := w.Write(p.text); err != nil {
			return fail(err)
		}
	}
}
