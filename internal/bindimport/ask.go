package bindimport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// How long a server may take. Silence is an answer too, so it must not be cut
// short; a server beside us needs milliseconds.
const (
	patience = 1500 * time.Millisecond // for one UDP packet
	tries    = 3
	tcpTime  = 10 * time.Second
	axfrTime = 5 * time.Minute
	maxAXFR  = 50_000_000 // records; bounds what a server can make us keep
)

// ParseServer reads ADDRESS, ADDRESS#PORT (as dig has it), ADDRESS:PORT or
// [ADDRESS]:PORT; the port is 53 when not given.
func ParseServer(s string) (netip.AddrPort, error) {
	if a, p, ok := strings.Cut(s, "#"); ok {
		s = net.JoinHostPort(a, p)
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap, nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.AddrPort{}, errors.New("not an address: " + s)
	}
	return netip.AddrPortFrom(a, dns.Port), nil
}

// Question is one thing to ask.
type Question struct {
	Name dnsname.Name
	Type dns.Type
	EDNS bool
	DO   bool
	TCP  bool
	AXFR bool
	raw  []byte // a recorded query, sent as it is
}

// message builds the query.
func (q *Question) message(id uint16) []byte {
	if q.raw != nil {
		m := append([]byte(nil), q.raw...)
		binary.BigEndian.PutUint16(m, id)
		return m
	}
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, id, 0)
	b.Question([]byte(q.Name), q.Type, dns.ClassIN)
	if q.EDNS {
		b.OPT(dns.EDNSUDPSize, 0, q.DO, nil)
	}
	return b.Finish()
}

// errSilent says that a server gave no answer.
var errSilent = errors.New("no answer")

// client asks one server; it is used by one goroutine.
type client struct {
	server netip.AddrPort
	from   netip.Addr // source, or the zero Addr
	udp    net.Conn
	tcp    net.Conn
	id     uint16
	buf    []byte
}

func (c *client) close() {
	if c.udp != nil {
		c.udp.Close()
	}
	if c.tcp != nil {
		c.tcp.Close()
	}
}

func (c *client) dial(network string) (net.Conn, error) {
	d := net.Dialer{Timeout: tcpTime}
	if c.from.IsValid() {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
		}
	}
	return d.Dial(network, c.server.String())
}

// ask gives the answer, errSilent, or another error that made asking
// impossible. The answer is valid until the next call.
func (c *client) ask(q *Question) ([]byte, error) {
	c.id++
	msg := q.message(c.id)
	if q.TCP {
		// a connection may have been closed for being idle: one fresh one
		for fresh := c.tcp == nil; ; fresh = true {
			a, err := c.askTCP(msg)
			if err == nil || fresh {
				return a, err
			}
		}
	}
	if c.udp == nil {
		var err error
		if c.udp, err = c.dial("udp"); err != nil {
			return nil, err
		}
		c.buf = make([]byte, dns.MaxMessage+1)
	}
	for range tries {
		if _, err := c.udp.Write(msg); err != nil {
			continue // a refused port shows here, after the packet before
		}
		c.udp.SetReadDeadline(time.Now().Add(patience))
		for {
			n, err := c.udp.Read(c.buf)
			if err != nil {
				break
			}
			if a := c.buf[:n]; answers(a, msg) {
				return a, nil
			}
		}
	}
	return nil, errSilent
}

// answers reports whether a is an answer to msg: id, QR, and the question
// where there is one (a FORMERR may lack it).
func answers(a, msg []byte) bool {
	ha, ok := wire.ParseHeader(a)
	hq, ok2 := wire.ParseHeader(msg)
	return ok && ok2 && ha.ID == hq.ID && ha.Bits&wire.BitQR != 0
}

func (c *client) askTCP(msg []byte) ([]byte, error) {
	if c.tcp == nil {
		var err error
		if c.tcp, err = c.dial("tcp"); err != nil {
			return nil, err
		}
	}
	a, err := func() ([]byte, error) {
		c.tcp.SetDeadline(time.Now().Add(tcpTime))
		if _, err := c.tcp.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
			return nil, errSilent
		}
		a, err := readTCP(c.tcp)
		if err != nil || !answers(a, msg) {
			return nil, errSilent
		}
		return a, nil
	}()
	if err != nil {
		c.tcp.Close()
		c.tcp = nil
	}
	return a, err
}

func readTCP(r io.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	a := make([]byte, binary.BigEndian.Uint16(n[:]))
	_, err := io.ReadFull(r, a)
	return a, err
}

// transfer asks for a zone and gives an Answer whose first section has all its
// records, the closing SOA not counted. A server that refuses gives its RCODE,
// or silence when it closes the connection.
func (c *client) transfer(zone dnsname.Name) (*Answer, error) {
	conn, err := c.dial("tcp")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(axfrTime))
	q := Question{Name: zone, Type: dns.TypeAXFR}
	msg := q.message(1)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
		return nil, errSilent
	}
	all := &Answer{}
	soa := ""
	for {
		m, err := readTCP(conn)
		if err != nil {
			if len(all.Sections[0]) == 0 {
				return nil, errSilent
			}
			return nil, errors.New("transfer ends too early")
		}
		a, err := ParseAnswer(m)
		if err != nil {
			return nil, err
		}
		if a.RCode != 0 {
			return a, nil
		}
		for _, rr := range a.Sections[0] {
			if rr.Type == dns.TypeSOA {
				if soa == "" {
					soa = rr.String()
				} else if strings.EqualFold(rr.String(), soa) {
					all.RCode, all.AA = a.RCode, a.AA
					return all, nil
				}
			} else if soa == "" {
				return nil, errors.New("transfer does not begin with the SOA")
			}
			all.Sections[0] = append(all.Sections[0], rr)
			if len(all.Sections[0]) > maxAXFR {
				return nil, errors.New("transfer without end")
			}
		}
	}
}

// RR is a record of an answer in text form.
type RR struct {
	Owner string // presentation form, letter case as sent
	TTL   uint32
	Class dns.Class
	Type  dns.Type
	Data  string // presentation form
	fold  string // for comparison: all of it, names in lower case
}

func (r RR) String() string {
	return r.Owner + " " + utoa(r.TTL) + " " + r.Class.String() + " " + r.Type.String() + " " + r.Data
}

// Answer is a message taken apart.
type Answer struct {
	RCode    dns.RCode
	AA, TC   bool
	OPT      bool
	Sections [3][]RR
}

// ParseAnswer reads a message.
func ParseAnswer(m []byte) (*Answer, error) {
	h, ok := wire.ParseHeader(m)
	if !ok {
		return nil, errors.New("shorter than a header")
	}
	a := &Answer{RCode: h.RCode(), AA: h.Bits&wire.BitAA != 0, TC: h.Bits&wire.BitTC != 0}
	c, err := wire.Parse(m)
	if err != nil {
		return nil, err
	}
	if err := c.SkipQuestions(); err != nil {
		return nil, err
	}
	var rr wire.RR
	var name, data, text []byte
	for {
		more, err := c.Next(&rr)
		if err != nil {
			return nil, err
		}
		if !more {
			return a, nil
		}
		if rr.Type == dns.TypeOPT {
			a.OPT = true
			a.RCode |= dns.RCode(rr.TTL>>24) << 4
			continue
		}
		if name, _, err = wire.AppendName(name[:0], m, rr.Owner); err != nil {
			return nil, err
		}
		if data, err = rdata.AppendUncompressed(data[:0], m, rr.Type, rr.Data, rr.Len); err != nil {
			return nil, errors.New("malformed " + rr.Type.String() + " data")
		}
		r := RR{Owner: dnsname.Name(name).String(), TTL: rr.TTL, Class: rr.Class, Type: rr.Type}
		text = rdata.AppendText(text[:0], rr.Type, data)
		r.Data = string(text)
		dnsname.Lower(name)
		folded := foldNames(nil, rr.Type, data)
		r.fold = string(name) + string([]byte{byte(rr.Type >> 8), byte(rr.Type)}) + string(folded)
		i := int(rr.Section) - int(wire.Answer)
		a.Sections[i] = append(a.Sections[i], r)
	}
}
