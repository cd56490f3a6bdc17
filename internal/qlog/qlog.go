// Package qlog writes query logs without making answers wait for them: each
// thread appends lines to a buffer of its own, and one goroutine writes the
// buffers to standard error. When the log can not be written as fast as
// queries come, lines are dropped and counted, never queries.
package qlog

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bufferLen is what a thread may be ahead of the log, in bytes: a quarter of a
// second at 500,000 lines a second would be 6 MB; a stalled disk is not waited
// for longer than a hundredth of that.
const bufferLen = 1 << 18

// pause is how long the writer lets lines gather once there are some. The
// first line after silence is written at once.
const pause = 2 * time.Millisecond

// Writer writes the logs of several threads.
type Writer struct {
	name   string
	out    func([]byte)
	mu     sync.Mutex // of logs and of writing
	logs   []*Log
	asleep atomic.Bool
	wake   chan struct{}
	lost   atomic.Uint64
}

// Log is one thread's part.
type Log struct {
	w     *Writer
	mu    sync.Mutex
	buf   []byte
	spare []byte
}

// New makes a Writer to standard error; name is for its own messages.
func New(name string) *Writer { return NewTo(name, func(b []byte) { os.Stderr.Write(b) }) }

// NewTo makes a Writer that gives whole lines to out.
func NewTo(name string, out func([]byte)) *Writer {
	w := &Writer{name: name, out: out, wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

// Log makes a thread's log.
func (w *Writer) Log() *Log {
	l := &Log{w: w, buf: make([]byte, 0, bufferLen), spare: make([]byte, 0, bufferLen)}
	w.mu.Lock()
	w.logs = append(w.logs, l)
	w.mu.Unlock()
	return l
}

// Begin locks the buffer and gives it, to append whole lines; End gives it
// back. room is what must be left for a line that has been begun.
func (l *Log) Begin() []byte {
	l.mu.Lock()
	return l.buf
}

// Fits reports whether a line of n bytes may be appended to b; if not it
// counts it as lost.
func (l *Log) Fits(b []byte, n int) bool {
	if len(b)+n <= cap(b) {
		return true
	}
	l.w.lost.Add(1)
	return false
}

// End takes the buffer back and sees to it that it gets written.
func (l *Log) End(b []byte) {
	l.buf = b
	l.mu.Unlock()
	if len(b) > 0 && l.w.asleep.Load() && l.w.asleep.CompareAndSwap(true, false) {
		select {
		case l.w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *Writer) run() {
	for {
		if w.Flush() {
			time.Sleep(pause)
			continue
		}
		w.asleep.Store(true)
		if w.Flush() { // a line came before anyone could see that we sleep
			w.asleep.Store(false)
			continue
		}
		<-w.wake
	}
}

// Flush writes what there is and reports whether there was anything.
func (w *Writer) Flush() (any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.logs {
		l.mu.Lock()
		b := l.buf
		if len(b) == 0 {
			l.mu.Unlock()
			continue
		}
		l.buf, l.spare = l.spare[:0], nil
		l.mu.Unlock()
		w.out(b)
		l.spare = b
		any = true
	}
	if n := w.lost.Swap(0); n > 0 {
		w.out([]byte(w.name + ": warning: " + strconv.FormatUint(n, 10) + " log lines lost\n"))
	}
	return any
}

// Print writes a line of another kind, in order with the rest.
func (w *Writer) Print(line string) {
	w.Flush()
	w.out([]byte(line + "\n"))
}
