package recursor

import (
	"net/netip"
	"strconv"
	"syscall"

	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
)

// Log collects a worker's log lines and writes them whole, one round's at a
// time: before its answers are sent, and before it waits. Words and numbers are
// those that log tools have always read (compat: djbdns.md section 10.6); what
// 1.05 did not have begins with a new word.
type Log struct {
	Write func(lines []byte) // writes them all, or loses them
	buf   []byte
	// where the last query line's number, and its type and name, stand in buf,
	// each with the space before it
	number, subject span
}

type span struct{ from, to int }

// maxLogBuffer is when lines are written without waiting for the round's end,
// in bytes: as much as a pipe holds.
const maxLogBuffer = 1 << 16

// writeLog writes to descriptor 2. If that is a full pipe the server waits, as
// it always did: questions without their log lines would be worse.
func writeLog(b []byte) {
	for len(b) > 0 {
		n, err := syscall.Write(2, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		b = b[n:]
	}
}

// Flush writes what has been collected.
func (l *Log) Flush() {
	if len(l.buf) > 0 {
		l.Write(l.buf)
		l.buf = l.buf[:0]
	}
}

func (l *Log) word(s string) { l.buf = append(l.buf, s...) }
func (l *Log) space()        { l.buf = append(l.buf, ' ') }
func (l *Log) num(n uint64)  { l.buf = strconv.AppendUint(append(l.buf, ' '), n, 10) }
func (l *Log) end() {
	l.buf = append(l.buf, '\n')
	if len(l.buf) > maxLogBuffer {
		l.Flush()
	}
}

func (l *Log) hex16(n uint16) {
	const digits = "0123456789abcdef"
	l.buf = append(l.buf, digits[n>>12], digits[n>>8&15], digits[n>>4&15], digits[n&15])
}

func (l *Log) ip(a netip.Addr) { l.buf = resolver.AppendLogAddr(append(l.buf, ' '), a) }

func (l *Log) client(a netip.AddrPort) {
	l.ip(a.Addr())
	l.buf = append(l.buf, ':')
	l.hex16(a.Port())
}

func (l *Log) name(n []byte) { l.buf = resolver.AppendLogName(append(l.buf, ' '), n) }

// Starting is the first line.
func (l *Log) Starting() { l.word("starting"); l.end() }

// Query says that question number n has come.
func (l *Log) Query(n uint64, client netip.AddrPort, id uint16, t dns.Type, name []byte) {
	if len(l.buf) > maxLogBuffer {
		l.Flush()
	}
	l.word("query")
	l.number.from = len(l.buf)
	l.num(n)
	l.number.to = len(l.buf)
	l.client(client)
	l.buf = append(l.buf, ':')
	l.hex16(id)
	l.subject.from = len(l.buf)
	l.num(uint64(t))
	l.name(name)
	l.subject.to = len(l.buf)
	l.buf = append(l.buf, '\n')
}

// Hit says at once that the question of the query line just written was
// answered from the cache, with so many bytes.
func (l *Log) Hit(bytes int) {
	l.word("cached")
	l.buf = append(l.buf, l.buf[l.subject.from:l.subject.to]...)
	l.word("\nsent")
	l.buf = append(l.buf, l.buf[l.number.from:l.number.to]...)
	l.num(uint64(bytes))
	l.end()
}

// Sent says that the answer to question n went out with so many bytes.
func (l *Log) Sent(n uint64, bytes int) {
	l.word("sent")
	l.num(n)
	l.num(uint64(bytes))
	l.end()
}

// Drop says that question n gets no data, and why.
func (l *Log) Drop(n uint64, why string) {
	l.word("drop")
	l.num(n)
	l.space()
	l.word(why)
	l.end()
}

// TCPOpen and TCPClose frame a client's connection.
func (l *Log) TCPOpen(client netip.AddrPort) { l.word("tcpopen"); l.client(client); l.end() }
func (l *Log) TCPClose(client netip.AddrPort, why string) {
	l.word("tcpclose")
	l.client(client)
	l.space()
	l.word(why)
	l.end()
}

// Limit is new: a client had more questions than it may have.
func (l *Log) Limit(client netip.Addr, why string) {
	l.word("limit")
	l.ip(client)
	l.space()
	l.word(why)
	l.end()
}

// Note is new: something about the program itself. The first word says what.
func (l *Log) Note(text string) {
	for _, c := range []byte(text) {
		if c < 32 || c > 126 {
			c = '?'
		}
		l.buf = append(l.buf, c)
	}
	l.end()
}

// Event writes an engine's event, if it has a line. queries, udp and tcp are
// the numbers of stats lines that the engine does not have.
func (l *Log) Event(e *resolver.Event, queries uint64, udp, tcp int) {
	n := len(l.buf)
	line, ok := resolver.AppendLog(l.buf, e, queries, udp, tcp)
	if !ok {
		l.buf = line[:n]
		return
	}
	l.buf = line
	l.end()
}

// events passes an engine's events on.
type events struct{ w *worker }

func (e events) Event(ev *resolver.Event) {
	w := e.w
	if ev.Question != nil && ev.Question.Ticket&traceTicket != 0 {
		if w.trace != nil {
			w.traceEvent(ev)
		}
		return
	}
	// of all engines together
	own := ev.Motion
	ev.Motion = w.s.motion.Add(own - w.motion)
	w.motion = own
	w.log.Event(ev, w.s.serial.Load(), w.udp, int(w.s.tcpActive.Load()))
}
