// Package content is what all content servers do with a packet, whatever they
// answer: screening, EDNS, cookies, the result's letter in the log (compat:
// djbdns.md section 1.3). It is pure: bytes in, bytes out. A server differs
// from another in its Program only.
//
//	content.go  questions, results, Respond
//	edns.go     options asked and answered
//	log.go      the query log line
package content

import (
	"encoding/binary"

	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// Addr is an address in 16 bytes, IPv4 mapped (RFC 4291, section 2.5.5.2).
type Addr [16]byte

var mapped = [12]byte{10: 0xff, 11: 0xff}

// V4 gives the 4 bytes of a mapped IPv4 address.
func (a *Addr) V4() ([]byte, bool) {
	return a[12:], [12]byte(a[:12]) == mapped
}

// AddrFrom4 maps an IPv4 address.
func AddrFrom4(ip [4]byte) (a Addr) {
	copy(a[:], mapped[:])
	copy(a[12:], ip[:])
	return
}

// Peer is who asks.
type Peer struct {
	Addr Addr
	Port uint16
}

// Time is the moment of a question, in the two forms that are needed.
type Time struct {
	TAI  uint64 // TAI64 label
	Unix uint32 // seconds modulo 2^32, for cookies
}

// Question is what a Program is asked. Its slices are valid during the call.
type Question struct {
	ID     uint16
	Bits   uint16 // the answer's header bits to start from: QR, RD, AA
	QName  []byte // as asked, uncompressed
	Name   []byte // the same in lower case
	Type   dns.Type
	Class  dns.Class
	Client Addr   // who asks, or on whose behalf (RFC 7871)
	Now    uint64 // TAI64 label
	Limit  int    // bytes that the answer may have
	DO     bool   // RFC 3225
	TCP    bool

	Hash    uint64 // the program's own, as is Ahead; see server.Preparer
	Ahead   uint64
	Hashed  bool
	qname   [dns.MaxName]byte
	name    [dns.MaxName]byte
	qlen    int    // bytes of the question in the packet, 0 if it is not plain
	packet  []byte // the packet asked
	edns    wire.EDNS
	opt     options
	badOPT  bool
	refused bool
}

// Result says what an answer is, for the log and for EDNS.
type Result struct {
	RCode  dns.RCode
	EDE    dns.EDE // with HasEDE only
	HasEDE bool
	Found  bool // "+" in the log, else "-"
	// Located: a record for one location decided, so the answer holds for the
	// client's network only (RFC 7871, section 7.2.1).
	Located bool
}

// Program answers questions of class IN or ANY with opcode QUERY. It appends
// the whole message but OPT to dst; nil means that nothing is sent.
type Program interface {
	Answer(dst []byte, q *Question) ([]byte, Result)
}

// Config is what a server's environment says about answering.
type Config struct {
	NSID    []byte          // RFC 5001; nil: none
	Cookies []cookie.Secret // RFC 7873: made with the first, believed from all; none: off
	Silent  bool            // no answer instead of REFUSED outside our zones
	ECS     bool            // believe client subnet options (RFC 7871)
}

// Responder answers packets, one at a time.
type Responder struct {
	Config
	Program Program
}

// Entry is what the log says about a packet.
type Entry struct {
	Mark byte // '+' '-' 'I' 'C' '/'
	// Cookie: the client proved its address (RFC 9018); no rate limit needed.
	Cookie bool
	RCode  dns.RCode
}

// maxPlain is the longest query that counts without EDNS, in bytes (compat:
// djbdns.md section 1.3).
const maxPlain = 512

// Parse takes a packet apart into q; false: it gets no answer. Nothing of the
// packet is checked that 1.05 did not, except what an OPT record says.
func (r *Responder) Parse(q *Question, packet []byte, peer *Peer, tcp bool, now Time) bool {
	if len(packet) < dns.HeaderLen || packet[2]&0x80 != 0 || packet[4] != 0 || packet[5] != 1 {
		return false
	}
	q.packet, q.TCP, q.Client, q.Now, q.Hashed = packet, tcp, peer.Addr, now.TAI, false
	q.ID = binary.BigEndian.Uint16(packet)
	// The name is nearly always plain.
	i, n := dns.HeaderLen, 0
	for {
		if i >= len(packet) {
			return false
		}
		l := int(packet[i])
		if l == 0 {
			q.qname[n], q.name[n] = 0, 0
			n++
			i++
			break
		}
		if l > dns.MaxLabel {
			name, next, err := wire.AppendName(q.qname[:0], packet, dns.HeaderLen)
			if err != nil {
				return false
			}
			n, i = len(name), next
			dnsname.AppendLower(q.name[:0], name)
			break
		}
		if i+1+l > len(packet) || n+1+l >= dns.MaxName {
			return false
		}
		q.qname[n], q.name[n] = byte(l), byte(l)
		for _, c := range packet[i+1 : i+1+l] {
			n++
			q.qname[n] = c
			q.name[n] = dnsname.LowerByte(c)
		}
		n++
		i += 1 + l
	}
	if i+4 > len(packet) {
		return false
	}
	q.QName, q.Name = q.qname[:n], q.name[:n]
	q.Type = dns.Type(binary.BigEndian.Uint16(packet[i:]))
	q.Class = dns.Class(binary.BigEndian.Uint16(packet[i+2:]))
	i += 4
	q.edns.Present, q.badOPT, q.DO = false, false, false
	if i < len(packet) && packet[10]|packet[11] != 0 {
		q.findOPT(i)
	}
	if len(packet) > maxPlain && !q.edns.Present && !tcp {
		return false
	}
	q.Bits = wire.BitQR | binary.BigEndian.Uint16(packet[2:])&(wire.MaskOpcode|wire.BitRD)
	q.Limit = dns.MinUDP
	if tcp {
		q.Limit = dns.MaxMessage
	}
	q.opt = options{}
	if q.edns.Present {
		q.DO = q.edns.DO
		if !tcp {
			q.Limit = min(max(int(q.edns.UDPSize), dns.MinUDP), dns.EDNSUDPSize)
		}
		if !r.parseOptions(q) {
			q.badOPT = true
		}
		q.Limit -= r.reserve(q)
	}
	return true
}

// Reply appends the answer to the question that Parse took apart.
func (r *Responder) Reply(dst []byte, q *Question, peer *Peer, now Time) ([]byte, Entry) {
	e := Entry{Cookie: r.valid(q, peer, now)}
	bits := binary.BigEndian.Uint16(q.packet[2:])
	var res Result
	msg := dst
	switch {
	case q.Class != dns.ClassIN && q.Class != dns.ClassANY:
		e.Mark = 'C'
		res.RCode = dns.RCodeRefused
		msg = q.Header(dst, res.RCode)
	case bits&(wire.MaskOpcode|wire.BitAA|wire.BitTC) != 0 || q.Type == dns.TypeAXFR && !q.TCP:
		e.Mark = 'I'
		res.RCode = dns.RCodeNotImp
		if q.Class == dns.ClassIN {
			q.Bits |= wire.BitAA // as 1.05
		}
		msg = q.Header(dst, res.RCode)
	case q.badOPT:
		e.Mark = 'I'
		res.RCode = dns.RCodeFormErr
		msg = q.Header(dst, res.RCode)
	case q.edns.Present && q.edns.Version != 0: // RFC 6891, section 6.1.3
		e.Mark = 'I'
		res.RCode = dns.RCodeBadVers
		msg = q.Header(dst, res.RCode)
	default:
		if q.Class == dns.ClassIN {
			q.Bits |= wire.BitAA
		}
		msg, res = r.Program.Answer(dst, q)
		e.Mark = '-'
		if res.Found {
			e.Mark = '+'
		} else if r.Silent {
			return nil, e
		}
		if msg == nil {
			return nil, e
		}
	}
	e.RCode = res.RCode
	if q.edns.Present {
		msg = r.appendOPT(msg, len(dst), q, &res, peer, now)
	}
	return msg, e
}

// Respond does both for a single packet. The packet must not change before the
// answer is used.
func (r *Responder) Respond(dst, packet []byte, q *Question, peer *Peer, tcp bool, now Time) ([]byte, Entry) {
	if !r.Parse(q, packet, peer, tcp, now) {
		return nil, Entry{Mark: '/'}
	}
	return r.Reply(dst, q, peer, now)
}

// Header appends a message that has nothing but the question.
func (q *Question) Header(dst []byte, rcode dns.RCode) []byte {
	dst = binary.BigEndian.AppendUint16(dst, q.ID)
	dst = binary.BigEndian.AppendUint16(dst, q.Bits|uint16(rcode&wire.MaskRCode))
	dst = append(dst, 0, 1, 0, 0, 0, 0, 0, 0)
	dst = append(dst, q.QName...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(q.Type))
	return binary.BigEndian.AppendUint16(dst, uint16(q.Class))
}

// Begin starts an answer in b.
func (q *Question) Begin(b *wire.Builder, dst []byte) {
	b.Reset(dst, q.Limit, q.ID, q.Bits)
	b.Question(q.QName, q.Type, q.Class)
}

// HasEDNS reports whether the query had an OPT record.
func (q *Question) HasEDNS() bool { return q.edns.Present }
