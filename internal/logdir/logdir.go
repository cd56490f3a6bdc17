// Package logdir is the engine of multilog: it cuts the input into lines, runs
// the script over each, and keeps log directories so that nothing that has
// reached a file is ever lost, whatever happens to multilog, its processor or
// the disk (compat: daemontools.md section 9).
package logdir

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"bulkhead/internal/errtext"
	"bulkhead/internal/logscript"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/tai64"
)

// Sizes in bytes.
const (
	// readSize is how much one read may bring, and thus what kill -9 can cost
	// at most. A multiple of chunkSize.
	readSize = 8 << 10
	// chunkSize is 0.76's read: buffers go out on paper at each, so that files
	// end where 0.76's end.
	chunkSize = 1 << 10
	// alertLen is how much of a line e shows.
	alertLen = 200
	// statusLen is what = writes: a line of at most 1000 bytes and newlines.
	statusLen = logscript.MaxMatch + 1
)

// retryPause is the time between tries of a step that fails.
const retryPause = 5 * time.Second

// Log is a running multilog.
type Log struct {
	script logscript.Script
	dirs   []*Dir // of the script's actions, nil for others
	status []int  // descriptors of = actions
	start  int    // the starting directory
	env    []string
	clock  func() time.Time

	line     []byte // the present line up to MaxMatch bytes
	inLine   bool   // a line has begun
	rest     bool   // its first MaxMatch bytes have been dealt with
	hexSec   uint64 // the second whose label is in label
	label    [tai64.TextLen + 1]byte
	statBuf  [statusLen]byte
	alertBuf []byte
	zip      *gzip.Writer // nil until the first log is compressed
	zipBuf   []byte

	sigRead     int
	term, alarm atomic.Bool
}

// New opens everything that the script names. Failures are fatal.
func New(script logscript.Script) (*Log, error) {
	l := &Log{script: script, env: os.Environ(), clock: time.Now, line: make([]byte, 0, logscript.MaxMatch)}
	if err := l.catchSignals(); err != nil {
		return nil, prog.Fatal("unable to create pipe", err)
	}
	var err error
	if l.start, err = posix.OpenRead("."); err != nil {
		return nil, prog.Fatal("unable to switch to current directory", err)
	}
	l.dirs = make([]*Dir, len(script.Actions))
	l.status = make([]int, len(script.Actions))
	for i, a := range script.Actions {
		if a.Kind == logscript.Status {
			if l.status[i], err = posix.Open(a.Text, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CREAT|syscall.O_APPEND, 0o600); err != nil {
				return nil, prog.Fatal("unable to create "+a.Text, err)
			}
			syscall.Close(l.status[i])
			if l.status[i], err = posix.Open(a.Text, syscall.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil {
				return nil, prog.Fatal("unable to write "+a.Text, err)
			}
		}
	}
	for i, a := range script.Actions {
		if a.Kind == logscript.Directory {
			l.dirs[i] = &Dir{name: a.Text, conf: a.Dir, log: l, out: make([]byte, 0, outSize)}
			if err := l.dirs[i].open(); err != nil {
				return nil, err
			}
			if err := syscall.Fchdir(l.start); err != nil {
				return nil, prog.Fatal("unable to switch to starting directory", err)
			}
		}
	}
	return l, nil
}

// Processes reports whether the script names a processor for any directory.
func (l *Log) Processes() bool {
	for _, d := range l.dirs {
		if d != nil && d.conf.Process {
			return true
		}
	}
	return false
}

// Directories gives the log directories, as the script names them.
func (l *Log) Directories() (names []string) {
	for _, d := range l.dirs {
		if d != nil {
			names = append(names, d.name)
		}
	}
	return names
}

// catchSignals notes TERM and ALRM. They are looked at before each read only.
// XFSZ is caught so that a file size limit shows as an error of write.
func (l *Log) catchSignals() error {
	r, w, err := posix.Pipe()
	if err != nil {
		return err
	}
	syscall.SetNonblock(r, true)
	syscall.SetNonblock(w, true)
	l.sigRead = r
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGALRM, syscall.SIGXFSZ, syscall.SIGPIPE)
	go func() {
		for sig := range ch {
			switch sig {
			case syscall.SIGTERM:
				l.term.Store(true)
			case syscall.SIGALRM:
				l.alarm.Store(true)
			}
			syscall.Write(w, []byte{0})
		}
	}()
	return nil
}

func (l *Log) now() time.Time { return l.clock() }

// pause warns and waits.
func (l *Log) pause(what string, err error) {
	prog.Warn(what+", pausing", err)
	posix.Sleep(int64(retryPause))
}

// persist repeats a step until it succeeds.
func (l *Log) persist(what string, f func() error) {
	for err := f(); err != nil; err = f() {
		l.pause(what, err)
	}
}

func (l *Log) home() {
	l.persist("unable to switch to starting directory", func() error { return syscall.Fchdir(l.start) })
}

func words(err error) string { return errtext.Of(err) }

// Run logs standard input until its end, or TERM.
func (l *Log) Run() {
	buf := make([]byte, readSize)
	for {
		l.sync()
		if !l.await() {
			break
		}
		n, err := posix.Read(0, buf)
		if err == syscall.EAGAIN {
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		l.feed(buf[:n])
	}
	if l.term.Load() {
		l.finishLine(buf)
	}
	if l.inLine {
		l.newline()
	}
	for _, d := range l.dirs {
		if d != nil {
			d.close()
		}
	}
}

// sync writes all that is due before a read.
func (l *Log) sync() {
	for _, d := range l.dirs {
		if d != nil {
			d.sync()
		}
	}
}

// await waits for input; false means TERM.
func (l *Log) await() bool {
	for {
		if l.alarm.Swap(false) {
			l.rotateAll(func(*Dir) bool { return true })
		}
		if l.term.Load() {
			return false
		}
		fds := [...]posix.PollFd{{Fd: 0, Events: posix.POLLIN}, {Fd: int32(l.sigRead), Events: posix.POLLIN}}
		posix.Poll(fds[:], l.nextPeriod())
		if fds[1].Revents != 0 {
			var b [64]byte
			syscall.Read(l.sigRead, b[:])
		}
		l.rotateAged()
		if fds[0].Revents != 0 && fds[1].Revents == 0 {
			return true
		}
	}
}

// nextPeriod gives the nanoseconds until a directory's current is too old, -1
// if none will be.
func (l *Log) nextPeriod() int64 {
	next := int64(-1)
	for _, d := range l.dirs {
		if d != nil && d.conf.Period > 0 && d.bytes > 0 {
			left := max(0, int64(time.Duration(d.conf.Period)*time.Second-l.now().Sub(d.born)))
			if next < 0 || left < next {
				next = left
			}
		}
	}
	return next
}

func (l *Log) rotateAged() {
	l.rotateAll(func(d *Dir) bool {
		return d.conf.Period > 0 && l.now().Sub(d.born) >= time.Duration(d.conf.Period)*time.Second
	})
}

// rotateAll rotates the nonempty directories that due chooses. All buffers are
// written.
func (l *Log) rotateAll(due func(*Dir) bool) {
	for _, d := range l.dirs {
		if d != nil && d.bytes > 0 && due(d) {
			d.rotate()
		}
	}
}

// finishLine reads on after TERM, byte by byte, to the end of a line that has
// begun; what follows stays in the pipe for the successor.
func (l *Log) finishLine(buf []byte) {
	for l.inLine {
		fds := [...]posix.PollFd{{Fd: 0, Events: posix.POLLIN}}
		l.sync()
		posix.Poll(fds[:], -1)
		n, err := posix.Read(0, buf[:1])
		if err == syscall.EAGAIN {
			continue
		}
		if n != 1 || err != nil {
			return
		}
		l.feed(buf[:1])
	}
}

// feed takes input, in pieces of 0.76's reads.
func (l *Log) feed(b []byte) {
	for len(b) > chunkSize {
		l.chunk(b[:chunkSize])
		b = b[chunkSize:]
		for _, d := range l.dirs {
			if d != nil {
				d.flush()
			}
		}
	}
	l.chunk(b)
}

func (l *Log) chunk(b []byte) {
	for len(b) > 0 {
		if !l.inLine {
			l.inLine, l.rest = true, false
			l.line = l.appendStamp(l.line[:0])
		}
		i := bytes.IndexByte(b, '\n')
		part := b
		if i >= 0 {
			part = b[:i]
		}
		if !l.rest {
			n := min(len(part), logscript.MaxMatch-len(l.line))
			l.line = append(l.line, part[:n]...)
			part = part[n:]
			if len(l.line) == logscript.MaxMatch {
				l.act()
			}
		}
		if len(part) > 0 {
			for _, d := range l.dirs {
				if d != nil && d.selected {
					d.putBytes(part)
				}
			}
		}
		if i < 0 {
			return
		}
		l.newline()
		b = b[i+1:]
	}
}

var lineEnd = []byte{'\n'}

// newline ends the present line.
func (l *Log) newline() {
	if !l.rest {
		l.act()
	}
	for _, d := range l.dirs {
		if d != nil && d.selected {
			d.put(lineEnd)
		}
	}
	l.inLine = false
}

// act runs the script over the line, of which at most MaxMatch bytes are
// known.
func (l *Log) act() {
	l.rest = true
	selected := true
	for i := range l.script.Actions {
		a := &l.script.Actions[i]
		switch a.Kind {
		case logscript.Deselect:
			if selected && logscript.Match(a.Text, l.line) {
				selected = false
			}
		case logscript.Select:
			if !selected && logscript.Match(a.Text, l.line) {
				selected = true
			}
		case logscript.Alert:
			if selected {
				l.alert()
			}
		case logscript.Status:
			if selected {
				l.writeStatus(a.Text, l.status[i])
			}
		case logscript.Directory:
			d := l.dirs[i]
			if d.selected = selected; selected {
				d.put(l.line)
			}
		}
	}
}

func (l *Log) alert() {
	b := l.alertBuf[:0]
	if len(l.line) > alertLen {
		b = append(append(b, l.line[:alertLen]...), "..."...)
	} else {
		b = append(b, l.line...)
	}
	l.alertBuf = append(b, '\n')
	posix.WriteAll(2, l.alertBuf)
}

func (l *Log) writeStatus(name string, fd int) {
	n := copy(l.statBuf[:], l.line)
	for i := n; i < statusLen; i++ {
		l.statBuf[i] = '\n'
	}
	l.persist("unable to move to beginning of "+name, func() error {
		_, err := syscall.Seek(fd, 0, 0)
		return err
	})
	for b := l.statBuf[:]; len(b) > 0; {
		l.persist("unable to write "+name, func() error {
			n, err := posix.Write(fd, b)
			if err == nil {
				b = b[n:]
			}
			return err
		})
	}
}

// appendStamp appends the stamp of a line that begins now.
func (l *Log) appendStamp(b []byte) []byte {
	if l.script.Stamp == logscript.NoStamp {
		return b
	}
	t := l.now()
	switch l.script.Stamp {
	case logscript.TAI64N:
		// The 17 bytes of "@" and the seconds are the same for many lines.
		if sec := tai64.Seconds(t); sec != l.hexSec {
			l.hexSec = sec
			tai64.AppendText(l.label[:0], t)
		}
		b = append(b, l.label[:17]...)
		nano := uint32(t.Nanosecond())
		for shift := 28; shift >= 0; shift -= 4 {
			b = append(b, "0123456789abcdef"[nano>>shift&15])
		}
	case logscript.ISO8601:
		b = appendISO(b, t)
	case logscript.Unix:
		sec := max(0, t.Unix())
		b = appendPadded(b, uint64(sec), 10)
		b = appendPadded(append(b, '.'), uint64(t.Nanosecond()/1000), 6)
	}
	return append(b, ' ')
}

// appendISO appends 2026-01-31T23:59:59.123456Z: UTC, so that lines sort.
func appendISO(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendPadded(b, uint64(year), 4)
	b = appendPadded(append(b, '-'), uint64(month), 2)
	b = appendPadded(append(b, '-'), uint64(day), 2)
	b = appendPadded(append(b, 'T'), uint64(hour), 2)
	b = appendPadded(append(b, ':'), uint64(minute), 2)
	b = appendPadded(append(b, ':'), uint64(second), 2)
	b = appendPadded(append(b, '.'), uint64(t.Nanosecond()/1000), 6)
	return append(b, 'Z')
}

func appendPadded(b []byte, n uint64, width int) []byte {
	var d [20]byte
	i := len(d)
	for n > 0 || width > 0 {
		i--
		d[i] = byte('0' + n%10)
		n /= 10
		width--
	}
	return append(b, d[i:]...)
}

// readNames lists the working directory.
func readNames() ([]string, error) {
	f, err := os.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
