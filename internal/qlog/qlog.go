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

// bufferLen is what a thread may be ahead of the log, in bytes. At 500,000
// lines a second, 22 MB, it lasts for a twentieth of a second; a stalled disk
// is not waited for longer. Only what is used of it takes memory.
const bufferLen = 1 << 20

// pause is how long the writer lets lines gather once there are some, unless a
// buffer fills up to fullEnough before. The first line after silence is written
// at once. Each time the writer wakes costs the processor that answers a few
// changes of threads, so on a busy server it should be seldom.
const (
	pause      = 20 * time.Millisecond
	fullEnough = bufferLen / 2
)

// Writer writes the logs of several threads.
type Writer struct {
	name   string
	out    func([]byte)
	mu     sync.Mutex // of logs and of writing
	logs   []*Log
	asleep atomic.Bool   // in run, until there is something
	gather atomic.Bool   // in run, for a pause
	wake   chan struct{} // ends either
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
	w := l.w
	if len(b) > 0 && w.asleep.Load() && w.asleep.CompareAndSwap(true, false) ||
		len(b) >= fullEnough && w.gather.Load() && w.gather.CompareAndSwap(true, false) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *Writer) run() {
	timer := time.NewTimer(pause)
	for {
		if w.Flush() {
			timer.Reset(pause)
			w.gather.Store(true)
			select {
			case <-w.wake:
			case <-timer.C:
				w.gather.Store(false)
			}
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

// Last flushes before the process ends, but waits a second at most: nobody may
// read the log any more.
func (w *Writer) Last() {
	flushed := make(chan struct{})
	go func() { w.Flush(); close(flushed) }()
	select {
	case <-flushed:
	case <-time.After(time.Second):
	}
}

// Print writes a line of another kind, in order with the rest.
func (w *Writer) Print(line string) {
	w.Flush()
	w.out([]byte(line + "\n"))
}
