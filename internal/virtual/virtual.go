// Package virtual is the time around a resolver's engine that has none of its
// own: packets and timers in order, at once. The scenarios (package rpl) and the
// simulator (package sim) run in it, an hour in a millisecond; what the servers
// say is theirs.
package virtual

import (
	"container/heap"
	"fmt"
	"io"

	"bulkhead/internal/resolver"
)

// Engine is what runs: a resolver.Engine, or a layer in front of one.
type Engine interface {
	NextTimer() (resolver.Time, bool)
	Expire(now resolver.Time)
	Deliver(now resolver.Time, token resolver.Token, msg []byte)
	Failed(now resolver.Time, token resolver.Token)
}

// Time is the clock and what is to happen. Its user implements resolver.Net
// with Deliver and Fail; Cancel and Event are here.
type Time struct {
	Now    resolver.Time
	Origin resolver.Time // of the times in a trace
	Engine Engine
	Moved  func() // called when Now has changed, if not nil
	Trace  io.Writer
	Halt   bool // nothing happens any more

	queue queue
	seq   int
	gone  map[resolver.Token]bool
}

type event struct {
	at  resolver.Time
	seq int // events of one moment come in order
	do  func()
}

type queue []event

func (h queue) Len() int { return len(h) }
func (h queue) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h queue) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *queue) Push(x any)   { *h = append(*h, x.(event)) }
func (h *queue) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// After has do called when d has passed.
func (t *Time) After(d resolver.Time, do func()) {
	t.seq++
	heap.Push(&t.queue, event{t.Now + d, t.seq, do})
}

// Deliver has a message come for a token, unless that is cancelled meanwhile.
func (t *Time) Deliver(d resolver.Time, token resolver.Token, msg []byte) {
	t.After(d, func() {
		if !t.gone[token] {
			t.Engine.Deliver(t.Now, token, msg)
		}
	})
}

// Fail has a socket or connection fail likewise.
func (t *Time) Fail(d resolver.Time, token resolver.Token) {
	t.After(d, func() {
		if !t.gone[token] {
			t.Engine.Failed(t.Now, token)
		}
	})
}

// Cancel is resolver.Net's.
func (t *Time) Cancel(token resolver.Token) {
	if t.gone == nil {
		t.gone = map[resolver.Token]bool{}
	}
	t.gone[token] = true
}

// Cancelled reports whether nobody waits for a token any more.
func (t *Time) Cancelled(token resolver.Token) bool { return t.gone[token] }

func (t *Time) move(to resolver.Time) {
	if to > t.Now {
		t.Now = to
		if t.Moved != nil {
			t.Moved()
		}
	}
}

// Run plays what happens up to a moment, or until stop, and in the first case
// it is that moment then.
func (t *Time) Run(end resolver.Time, stop func() bool) {
	for !t.Halt {
		if stop != nil && stop() {
			return
		}
		next, has := resolver.Time(0), false
		if len(t.queue) > 0 {
			next, has = t.queue[0].at, true
		}
		if at, ok := t.Engine.NextTimer(); ok && (!has || at < next) {
			if at > end {
				break
			}
			t.move(at)
			t.Engine.Expire(t.Now)
			continue
		}
		if !has || next > end {
			break
		}
		e := heap.Pop(&t.queue).(event)
		t.move(e.at)
		e.do()
	}
	if stop == nil {
		t.move(end)
	}
}

// Say writes a line of the trace.
func (t *Time) Say(format string, args ...any) {
	if t.Trace != nil {
		fmt.Fprintf(t.Trace, "%10.3f ", float64(t.Now-t.Origin)/1e9)
		fmt.Fprintf(t.Trace, format+"\n", args...)
	}
}

// Event is resolver.Events: the log's lines, and what only an explanation shows.
func (t *Time) Event(ev *resolver.Event) {
	if t.Trace == nil {
		return
	}
	line, ok := resolver.AppendLog(nil, ev, 0, 0, 0)
	if !ok {
		line = fmt.Appendf(nil, "  [%d] q=%v %v %s %s %s", ev.Kind, ev.Question != nil, ev.Type,
			resolver.AppendLogName(nil, ev.Name), ev.Server, ev.Reason)
	}
	t.Say("%s", line)
}
