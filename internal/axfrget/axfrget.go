// Package axfrget is the program axfr-get: it copies a zone from its server
// into a file of data lines (compat: djbdns.md section 7).
package axfrget

import (
	"bufio"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/axfrin"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/scan"
	"bulkhead/internal/stub"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/ucspi"
)

const usage = "axfr-get zone fn fn.tmp"

// Descriptors of the connection under tcpclient.
const readFD, writeFD = 6, 7

const (
	networkWait = 60 * time.Second // for each read and write (compat: djbdns.md section 7)
	connectWait = 60 * time.Second
)

// Words of the old program.
const (
	cantQuery = "unable to generate AXFR query"
	cantParse = "unable to parse AXFR results"
	cantRead  = "unable to read from network"
	cantWrite = "unable to write to network"
)

// Run is the program.
func Run(box sandbox.Decl, args []string) error {
	if len(args) < 3 {
		return prog.Usage(usage)
	}
	zone, err := dnsname.ParseDot(args[0])
	if err != nil {
		return prog.Fatal(cantQuery, syscall.EPROTO)
	}
	g := &getter{zone: zone, fn: args[1], tmp: args[2], in: readFD, out: writeFD}
	old, err := g.oldSerial()
	if err != nil {
		return err
	}
	if len(args) > 3 {
		// by itself: a connection and an id of its own
		if err := g.connect(args[3]); err != nil {
			return err
		}
		g.id = uint16(stub.Below(1 << 16))
	}
	// fn is replaced by rename, so what is written is folders
	box.Write = []string{filepath.Dir(g.fn), filepath.Dir(g.tmp)}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	return g.run(old)
}

type getter struct {
	zone    dnsname.Name
	fn, tmp string
	in, out int
	id      uint16
	r       *bufio.Reader
	buf     [dns.MaxMessage]byte
	line    []byte
}

// oldSerial reads the serial number of the present copy: the number after a #
// at the very start, else 0.
func (g *getter) oldSerial() (uint32, error) {
	f, err := os.Open(g.fn)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, prog.Fatal("unable to read "+g.fn, err)
	}
	defer f.Close()
	var b [64]byte // a # and a number need far less
	n, err := f.Read(b[:])
	if err != nil && n == 0 && err.Error() != "EOF" {
		return 0, prog.Fatal("unable to read "+g.fn, err)
	}
	if n == 0 || b[0] != '#' {
		return 0, nil
	}
	serial, _ := scan.Number(b[1:n])
	return uint32(serial), nil
}

// connect reaches the server: an address or a name, with @PORT if not 53.
func (g *getter) connect(server string) error {
	host, portText, ok := strings.Cut(server, "@")
	port := uint16(dns.Port)
	if ok {
		if port, ok = ucspi.Port(portText); !ok {
			return prog.Fatal("unable to figure out port number for "+portText, nil)
		}
	}
	var r stub.Resolver
	addrs, _, err := r.Qualify(host, stub.IPv4)
	if err == nil && len(addrs) == 0 {
		addrs, _, err = r.Qualify(host, stub.IPv6)
	}
	if err != nil {
		return prog.Fatal("temporarily unable to figure out IP address for "+host, err)
	}
	if len(addrs) == 0 {
		return prog.Fatal("no IP address for "+host, nil)
	}
	var fd int
	for _, a := range addrs {
		if fd, err = ucspi.Dial(netip.AddrPort{}, netip.AddrPortFrom(a, port), connectWait); err == nil {
			g.in, g.out = fd, fd
			return nil
		}
	}
	return prog.Fatal("unable to connect to "+server, err)
}

func (g *getter) run(old uint32) error {
	g.r = bufio.NewReaderSize(waitingReader(g.in), 1<<16)
	msg, err := g.ask(dns.TypeSOA)
	if err != nil {
		return err
	}
	serial, err := axfrin.SOA(msg, g.zone, g.id)
	if err != nil {
		return prog.Fatal(cantParse, err)
	}
	if serial == old && serial != 0 {
		return nil
	}
	f, err := os.OpenFile(g.tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to write "+g.tmp, err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<16)
	t := axfrin.New(g.zone, g.id)
	msg, err = g.ask(dns.TypeAXFR)
	for {
		if err != nil {
			return err
		}
		done, err2 := t.Message(msg, func(r *tinydata.Record) error { return g.write(w, r) })
		if err2 != nil {
			if _, ok := err2.(*prog.Error); ok {
				return err2
			}
			return prog.Fatal(cantParse, err2)
		}
		if done {
			break
		}
		msg, err = g.receive()
	}
	bad := func(err error) error { return prog.Fatal("unable to write "+g.tmp, err) }
	if err := w.Flush(); err != nil {
		return bad(err)
	}
	if err := f.Sync(); err != nil {
		return bad(err)
	}
	if err := f.Close(); err != nil {
		return bad(err)
	}
	if err := syscall.Rename(g.tmp, g.fn); err != nil {
		return prog.Fatal("unable to move "+g.tmp+" to "+g.fn, err)
	}
	return nil
}

// write appends the line of one record.
func (g *getter) write(w *bufio.Writer, r *tinydata.Record) error {
	var err error
	g.line = g.line[:0]
	if r.Type == dns.TypeSOA {
		g.line = append(g.line, '#')
		g.line = appendUint(g.line, binary.BigEndian.Uint32(r.Data[len(r.Data)-20:]))
		g.line = append(g.line, " auto axfr-get\n"...)
	}
	if g.line, err = tinydata.AppendClassic(g.line, r); err != nil {
		return axfrin.ErrTransfer // a record that no line can express
	}
	if _, err := w.Write(g.line); err != nil {
		return prog.Fatal("unable to write "+g.tmp, err)
	}
	return nil
}

// ask sends a query and gives the first message of the answer.
func (g *getter) ask(t dns.Type) ([]byte, error) {
	for b := axfrin.Query(nil, g.zone, t, g.id); len(b) > 0; {
		if err := wait(g.out, unix.POLLOUT); err != nil {
			return nil, prog.Fatal(cantWrite, err)
		}
		n, err := syscall.Write(g.out, b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			return nil, prog.Fatal(cantWrite, err)
		}
		b = b[n:]
	}
	return g.receive()
}

// receive gives the next message; it is valid until the following one.
func (g *getter) receive() ([]byte, error) {
	if err := g.fill(g.buf[:2]); err != nil {
		return nil, err
	}
	msg := g.buf[:binary.BigEndian.Uint16(g.buf[:2])]
	return msg, g.fill(msg)
}

// fill reads exactly len(b) bytes; a connection that ends before is as bad as
// a malformed message.
func (g *getter) fill(b []byte) error {
	for len(b) > 0 {
		n, err := g.r.Read(b)
		if err == errEnd {
			return prog.Fatal(cantParse, syscall.EPROTO)
		}
		if err != nil {
			return prog.Fatal(cantRead, err)
		}
		b = b[n:]
	}
	return nil
}

// waitingReader reads a descriptor with a time limit.
type waitingReader int

var errEnd = &endError{}

type endError struct{}

func (*endError) Error() string { return "end of file" }

func (fd waitingReader) Read(b []byte) (int, error) {
	for {
		if err := wait(int(fd), unix.POLLIN); err != nil {
			return 0, err
		}
		n, err := syscall.Read(int(fd), b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err == nil && n == 0 {
			return 0, errEnd
		}
		return max(n, 0), err
	}
}

func wait(fd int, events int16) error {
	return ucspi.Wait(fd, events, time.Now().Add(networkWait))
}

func appendUint(b []byte, v uint32) []byte {
	if v >= 10 {
		b = appendUint(b, v/10)
	}
	return append(b, byte('0'+v%10))
}
