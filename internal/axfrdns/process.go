package axfrdns

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/axfr"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/generation"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/scan"
)

// Limits of one connection.
const (
	readWait  = 60 * time.Second // for the next bytes (compat: djbdns.md section 6)
	writeWait = 60 * time.Second
	framed    = 2 + dns.MaxMessage // a message with its length
	batchLen  = 256 << 10          // bytes of a transfer written at once
)

// process serves the connection on descriptors 0 and 1 until the client ends
// it.
func process(box sandbox.Decl) error {
	box.Brief = true
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	set, err := fromEnv()
	if err != nil {
		return err
	}
	set.Keepalive = uint16(readWait / (100 * time.Millisecond))
	p := &connection{settings: set, desk: set.desk()}
	if p.desk.Allow, err = allowed(); err != nil {
		return err
	}
	p.peer = peerFromEnv()
	faultsPanic()
	p.timeouts()
	return p.serve()
}

// peerFromEnv reads what tcpserver says about the client; what can not be read
// is zero.
func peerFromEnv() (p content.Peer) {
	p.Addr = content.AddrFrom4([4]byte{})
	if a, ok := env.ParseAddr(os.Getenv("TCPREMOTEIP")); ok {
		p.Addr = content.Addr(a.As16())
	}
	n, _ := scan.Number(os.Getenv("TCPREMOTEPORT"))
	p.Port = uint16(n)
	return p
}

type connection struct {
	settings
	desk       *axfr.Desk
	peer       content.Peer
	store      *generation.Store
	reader     *generation.Reader
	in         [2 * framed]byte
	have       int
	out        []byte
	log        []byte
	kernelWait bool // the kernel keeps the time limits of descriptors 0 and 1
}

// timeouts lets the kernel watch over a socket; pipes and files are polled.
func (p *connection) timeouts() {
	r, w := unix.NsecToTimeval(int64(readWait)), unix.NsecToTimeval(int64(writeWait))
	p.kernelWait = unix.SetsockoptTimeval(0, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &r) == nil &&
		unix.SetsockoptTimeval(1, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &w) == nil
}

func (p *connection) serve() error {
	for {
		n, err := p.read()
		if err != nil {
			return prog.Fatal("unable to read from network", err)
		}
		if n == 0 {
			return nil // wherever it is, the end is the end
		}
		p.have += n
		used := 0
		var fatal error
		for fatal == nil && p.have-used >= 2 {
			l := 2 + int(binary.BigEndian.Uint16(p.in[used:]))
			if p.have-used < l {
				break
			}
			fatal = p.message(p.in[used+2 : used+l])
			used += l
			if len(p.out) >= batchLen && fatal == nil {
				fatal = p.flush()
			}
		}
		if err := p.flush(); fatal == nil {
			fatal = err
		}
		if fatal != nil {
			return fatal
		}
		p.have = copy(p.in[:], p.in[used:p.have])
	}
}

func (p *connection) read() (int, error) {
	for {
		if !p.kernelWait {
			if err := poll(0, unix.POLLIN, readWait); err != nil {
				return 0, err
			}
		}
		n, err := syscall.Read(0, p.in[p.have:])
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if p.kernelWait {
				return 0, syscall.ETIMEDOUT
			}
			continue
		case nil:
			return n, nil
		}
		return 0, err
	}
}

// message answers one question. An error ends the connection, after what has
// been answered is written.
func (p *connection) message(msg []byte) error {
	now := moment()
	switch {
	case len(msg) < dns.HeaderLen:
		return prog.Fatal(saysTruncated, nil)
	case msg[2]&0x80 != 0 || msg[4] != 0 || msg[5] != 1:
		return prog.Fatal(saysBogus, nil)
	case !p.desk.Parse(msg, &p.peer, now):
		return prog.Fatal(saysTruncated, nil)
	}
	if !p.quiet {
		p.log = p.desk.AppendLog(p.log, &p.peer)
	}
	at := len(p.out)
	p.out = append(p.out, 0, 0)
	p.open()
	var t *axfr.Transfer
	var why axfr.Refusal
	var answer []byte
	if !guarded(func() { answer, t, why = p.desk.Reply(p.out, &p.peer, now) }) {
		p.broken()
		answer, t, why = p.desk.Header(p.out[:at+2], dns.RCodeServFail), nil, axfr.DamagedData
	}
	if answer != nil {
		p.out = answer
		binary.BigEndian.PutUint16(p.out[at:], uint16(len(p.out)-at-2))
	} else {
		p.out = p.out[:at]
	}
	switch why {
	case axfr.Forbidden:
		return p.complain(at, saysDisallowed)
	case axfr.NotZone:
		return p.complain(at, saysNowhere)
	case axfr.OutsideZones:
		if p.Silent {
			return prog.Fatal(saysNowhere, nil)
		}
	case axfr.DamagedData:
		return p.complain(at, "unable to read data.cdb: format error")
	}
	if t == nil {
		return nil
	}
	return p.transfer(t)
}

// open makes the data ready for the question parsed last. A transfer does with
// data.cdb alone where there is no index of it: making one would cost more than
// the transfer.
func (p *connection) open() {
	if p.store == nil && p.desk.IsTransfer() && !indexFits() {
		p.desk.DB = nil
		if f, err := os.Open(generation.DataFile); err == nil {
			if b, err := mapfile.Map(f); err == nil {
				p.desk.DB = b // until the process ends
			}
			f.Close()
		}
		if p.desk.DB != nil {
			return
		}
	}
	if p.store == nil {
		p.store = generation.New(func(line string) { prog.Print("warning: " + line) })
		p.reader = p.store.Reader()
	}
	p.desk.DB = nil
	p.desk.Data = p.reader.Acquire(generation.Now())
}

// indexFits reports whether there is an index that seems to be newer than the
// data, so that opening both costs nothing.
func indexFits() bool {
	var c, i syscall.Stat_t
	return syscall.Stat(generation.DataFile, &c) == nil && syscall.Stat(generation.IndexFile, &i) == nil &&
		i.Mtim.Nano() >= c.Mtim.Nano()
}

func (p *connection) broken() {
	if p.store != nil {
		p.store.Broken()
	}
}

// complain says on standard error why a transfer is refused. With SILENT the
// client is not told but dropped, as 1.05 did.
func (p *connection) complain(at int, why string) error {
	if p.Silent {
		p.out = p.out[:at]
		return prog.Fatal(why, nil)
	}
	p.log = append(p.log, "axfrdns: warning: "+why+"\n"...)
	return nil
}

// transfer sends one.
func (p *connection) transfer(t *axfr.Transfer) error {
	if p.out == nil || cap(p.out) < batchLen+framed {
		p.out = append(make([]byte, 0, batchLen+framed), p.out...)
	}
	for more := true; more; {
		var err error
		if !guarded(func() { p.out, more, err = t.Next(p.out) }) {
			p.broken()
			err = axfr.ErrFormat
		}
		if err != nil {
			// what was sent does not end with the SOA: the client knows it is void
			return prog.Fatal("unable to read data.cdb", err)
		}
		if len(p.out) >= batchLen-framed {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the log and then the answers.
func (p *connection) flush() error {
	if len(p.log) > 0 {
		os.Stderr.Write(p.log)
		p.log = p.log[:0]
	}
	for b := p.out; len(b) > 0; {
		if !p.kernelWait {
			if err := poll(1, unix.POLLOUT, writeWait); err != nil {
				return prog.Fatal("unable to write to network", err)
			}
		}
		n, err := syscall.Write(1, b)
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN && !p.kernelWait:
			continue
		case err == syscall.EAGAIN:
			return prog.Fatal("unable to write to network", syscall.ETIMEDOUT)
		case err != nil:
			return prog.Fatal("unable to write to network", err)
		}
		b = b[n:]
	}
	p.out = p.out[:0]
	return nil
}

func poll(fd int, events int16, limit time.Duration) error {
	f := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(f, int(limit/time.Millisecond))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return syscall.ETIMEDOUT
		}
		return nil
	}
}
