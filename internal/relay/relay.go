// Package relay copies between the network on descriptors 0 and 1 and a program
// on two pipes, showing or changing what passes: the frame of recordio and
// fixcrio (compat: ucspi-tcp.md sections 6 and 7).
//
// The program runs in the original process, so that its exit code and process
// id are the tool's; a child relays. The old tools fork; here the child is the
// same program started again, which finds out from MarkerVar what it is.
package relay

import (
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkhead/internal/child"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

// MarkerVar is in the environment of the relaying child only.
const MarkerVar = "BULKHEAD_RELAY"

// BufferLen is how much is read at once (compat: ucspi-tcp.md section 6).
const BufferLen = 256

// Filter says what happens to the data of one direction.
type Filter interface {
	// Data gives what to write for what was read; the slice may be reused.
	Data(read []byte) []byte
	// EOF is called at the end of the direction's input.
	EOF()
}

// Descriptors in the relaying child: the network stays on 0 and 1.
const (
	toProgram   = 3
	fromProgram = 4
)

// Run runs argv with a relay in front. make builds the filters, given the
// process id of the program. box is what the relay needs; the program has none.
func Run(argv []string, box sandbox.Decl, make func(pid string) (in, out Filter)) error {
	if pid := os.Getenv(MarkerVar); pid != "" {
		if err := sandbox.Enter(box); err != nil {
			return err
		}
		in, out := make(pid)
		loop(in, out)
		return nil
	}
	var down, up [2]int // towards the program, from the program
	if err := unix.Pipe2(down[:], unix.O_CLOEXEC); err != nil {
		return prog.Fatal("unable to create pipe", err)
	}
	if err := unix.Pipe2(up[:], unix.O_CLOEXEC); err != nil {
		return prog.Fatal("unable to create pipe", err)
	}
	self, err := os.Executable()
	if err != nil {
		return prog.Fatal("unable to fork", err)
	}
	env := child.Environ(os.Environ(), []child.Edit{{Name: MarkerVar, Value: itoa(os.Getpid())}})
	p, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, os.NewFile(uintptr(down[1]), ""), os.NewFile(uintptr(up[0]), "")},
	})
	if err != nil {
		return prog.Fatal("unable to fork", err)
	}
	p.Release()
	for i, fd := range []int{down[0], up[1]} {
		if err := unix.Dup3(fd, i, 0); err != nil {
			return prog.Fatal("unable to move descriptors", err)
		}
	}
	return child.Exec(argv, os.Environ())
}

// loop relays until the program's output ends or a write fails.
func loop(in, out Filter) {
	var mu sync.Mutex // one direction's chunk at a time: log lines do not mix
	go func() {
		pump(0, toProgram, in, &mu)
		syscall.Close(toProgram)
	}()
	pump(fromProgram, 1, out, &mu)
}

// pump copies one direction until its end or a failed write. A write that
// fails ends the whole relay.
func pump(from, to int, f Filter, mu *sync.Mutex) {
	var buf [BufferLen]byte
	for {
		n, err := syscall.Read(from, buf[:])
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			p := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}}
			unix.Poll(p, -1)
			continue
		}
		mu.Lock()
		if n <= 0 {
			f.EOF()
			mu.Unlock()
			return
		}
		data := f.Data(buf[:n])
		mu.Unlock()
		for len(data) > 0 {
			w, err := syscall.Write(to, data)
			if err == syscall.EINTR {
				continue
			}
			if err == syscall.EAGAIN {
				p := []unix.PollFd{{Fd: int32(to), Events: unix.POLLOUT}}
				unix.Poll(p, -1)
				continue
			}
			if err != nil {
				os.Exit(0)
			}
			data = data[w:]
		}
	}
}

// Recorder shows the data that pass, a line at a time.
type Recorder struct{ Prefix string }

// Data logs what was read and passes it on.
func (r *Recorder) Data(read []byte) []byte {
	var b strings.Builder
	for rest := read; len(rest) > 0; {
		b.WriteString(r.Prefix)
		i := 0
		for i < len(rest) && rest[i] != '\n' {
			i++
		}
		b.Write(rest[:i])
		if i < len(rest) {
			b.WriteString(" \n")
			rest = rest[i+1:]
		} else {
			b.WriteString("+\n")
			rest = nil
		}
	}
	os.Stderr.WriteString(b.String())
	return read
}

// EOF logs the end.
func (r *Recorder) EOF() { os.Stderr.WriteString(r.Prefix + "[EOF]\n") }

// CRFixer puts CR before every LF that has none before it.
type CRFixer struct {
	afterCR bool
	out     []byte
}

// Data gives the corrected data.
func (c *CRFixer) Data(read []byte) []byte {
	c.out = c.out[:0]
	for _, b := range read {
		if b == '\n' && !c.afterCR {
			c.out = append(c.out, '\r')
		}
		c.out = append(c.out, b)
		c.afterCR = b == '\r'
	}
	return c.out
}

// EOF does nothing.
func (c *CRFixer) EOF() {}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
