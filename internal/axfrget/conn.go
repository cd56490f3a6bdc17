package axfrget

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/axfrin"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tsig"
	"bulkhead/internal/ucspi"
)

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

// Conn is a connection to a zone's server. Its errors say how the program ends.
type Conn struct {
	ID      uint16    // of queries
	Until   time.Time // the end of all patience, if not zero
	Key     *tsig.Key // signs queries, and answers must be signed with it; nil: none
	signed  *tsig.Exchange
	in, out int
	r       *bufio.Reader
	buf     [dns.MaxMessage]byte
}

func newConn(in, out int, id uint16) *Conn {
	c := &Conn{ID: id, in: in, out: out}
	c.r = bufio.NewReaderSize(waitingReader{c}, 1<<16)
	return c
}

// Lookup gives the addresses of a server: an address or a name, with @PORT if
// not 53.
func Lookup(server string) ([]netip.AddrPort, error) {
	host, portText, ok := strings.Cut(server, "@")
	port := uint16(dns.Port)
	if ok {
		if port, ok = ucspi.Port(portText); !ok {
			return nil, prog.Fatal("unable to figure out port number for "+portText, nil)
		}
	}
	var r stub.Resolver
	addrs, _, err := r.Qualify(host, stub.IPv4)
	if err == nil && len(addrs) == 0 {
		addrs, _, err = r.Qualify(host, stub.IPv6)
	}
	if err != nil {
		return nil, prog.Fatal("temporarily unable to figure out IP address for "+host, err)
	}
	if len(addrs) == 0 {
		return nil, prog.Fatal("no IP address for "+host, nil)
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, port))
	}
	return out, nil
}

// Dial connects to the first address that answers and chooses an id. server is
// their name for messages.
func Dial(addrs []netip.AddrPort, server string) (*Conn, error) {
	var err error
	for _, a := range addrs {
		var fd int
		if fd, err = ucspi.Dial(netip.AddrPort{}, a, connectWait); err == nil {
			return newConn(fd, fd, uint16(stub.Below(1<<16))), nil
		}
	}
	return nil, prog.Fatal("unable to connect to "+server, err)
}

// Close ends the connection.
func (c *Conn) Close() { unix.Close(c.in) }

// Ask sends a query and gives the first message of the answer.
func (c *Conn) Ask(zone dnsname.Name, t dns.Type) ([]byte, error) {
	return c.Exchange(axfrin.Query(nil, zone, t, c.ID))
}

// Exchange sends a query with its length prefix and gives the first message of
// the answer.
func (c *Conn) Exchange(b []byte) ([]byte, error) {
	if c.Key != nil {
		var msg []byte
		msg, c.signed = c.Key.Sign(bytes.Clone(b[2:]), time.Now().Unix())
		b = append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	}
	for len(b) > 0 {
		if err := c.wait(c.out, unix.POLLOUT); err != nil {
			return nil, prog.Fatal(cantWrite, err)
		}
		n, err := syscall.Write(c.out, b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			return nil, prog.Fatal(cantWrite, err)
		}
		b = b[n:]
	}
	return c.Receive()
}

// Receive gives the next message; it is valid until the following one.
func (c *Conn) Receive() ([]byte, error) {
	if err := c.fill(c.buf[:2]); err != nil {
		return nil, err
	}
	msg := c.buf[:binary.BigEndian.Uint16(c.buf[:2])]
	if err := c.fill(msg); err != nil || c.signed == nil {
		return msg, err
	}
	msg, err := c.signed.Check(msg, time.Now().Unix())
	if err != nil {
		return nil, prog.Fatal(cantParse, err)
	}
	return msg, nil
}

// Complete is to be called after the last message of an answer: with a key it
// must have been signed (RFC 8945, section 5.3.1).
func (c *Conn) Complete() error {
	if c.signed != nil && !c.signed.Complete() {
		return prog.Fatal(cantParse, tsig.ErrUnsigned)
	}
	return nil
}

// fill reads exactly len(b) bytes; a connection that ends before is as bad as
// a malformed message.
func (c *Conn) fill(b []byte) error {
	for len(b) > 0 {
		n, err := c.r.Read(b)
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

// waitingReader reads a connection with a time limit.
type waitingReader struct{ c *Conn }

var errEnd = &endError{}

type endError struct{}

func (*endError) Error() string { return "end of file" }

func (w waitingReader) Read(b []byte) (int, error) {
	for {
		if err := w.c.wait(w.c.in, unix.POLLIN); err != nil {
			return 0, err
		}
		n, err := syscall.Read(w.c.in, b)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err == nil && n == 0 {
			return 0, errEnd
		}
		return max(n, 0), err
	}
}

func (c *Conn) wait(fd int, events int16) error {
	t := time.Now().Add(networkWait)
	if !c.Until.IsZero() && c.Until.Before(t) {
		t = c.Until
	}
	return ucspi.Wait(fd, events, t)
}
