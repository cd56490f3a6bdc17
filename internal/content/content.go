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

// Question is what a Program is asked. Its slices are valid during the call;
// most often they are the packet's own bytes, so nobody writes to them.
type Question struct {
	ID     uint16
	Bits   uint16 // the answer's header bits to start from: QR, RD, AA
	Type   dns.Type
	Class  dns.Class
	Limit  int    // bytes that the answer may have
	QName  []byte // as asked, uncompressed
	Name   []byte // the same in lower case
	Now    uint64 // TAI64 label
	Client Addr   // who asks, or on whose behalf (RFC 7871)
	DO     bool   // RFC 3225
	TCP    bool

	// Same is set by the program when the answer is not the name's own but a
	// wildcard's: the wildcard's name, for rate limits.
	Same []byte

	Hashed  bool // the program's own, as are Hash and Ahead; see server.Preparer
	format  bool // what stands behind the question is malformed
	none    bool // there is no question, only a cookie to be looked at
	badOPT  bool // an option is
	Hash    uint64
	Ahead   uint64
	packet  []byte // the packet asked
	edns    wire.EDNS
	opt     options               // with edns.Present only
	qname   [dns.MaxName]byte     // QName, when it was compressed
	lowered [dns.MaxName + 8]byte // Name, when QName is not in lower case
}

// Result says what an answer is, for the log and for EDNS. It has four fields
// because the compiler keeps no more in registers, and this is handed up three
// times for each question.
type Result struct {
	RCode dns.RCode
	EDE   dns.EDE // 0: none; "Other" is nothing to say
	Found bool    // "+" in the log, else "-"
	// Scope is how many bits of the client's address the answer depends on; 0:
	// it holds for everybody (RFC 7871, section 7.2.1).
	Scope uint8
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

	// Keepalive is how long an idle TCP connection is kept, in units of 100
	// ms; told to clients that ask (RFC 7828). 0: nothing is told.
	Keepalive uint16
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
// packet is checked that 1.05 did not, except what stands behind the question.
func (r *Responder) Parse(q *Question, packet []byte, peer *Peer, tcp bool, now Time) bool {
	if len(packet) < dns.HeaderLen || packet[2]&0x80 != 0 || packet[4] != 0 || packet[5] > 1 {
		return false
	}
	i := dns.HeaderLen
	if q.none = packet[5] == 0; q.none {
		q.QName, q.Name, q.Type, q.Class = noName, noName, 0, dns.ClassIN
	} else {
		if i = q.parseName(packet); i == 0 || i+4 > len(packet) {
			return false
		}
		q.Type = dns.Type(binary.BigEndian.Uint16(packet[i:]))
		q.Class = dns.Class(binary.BigEndian.Uint16(packet[i+2:]))
		i += 4
	}
	q.packet, q.TCP, q.Client, q.Now, q.Hashed = packet, tcp, peer.Addr, now.TAI, false
	q.Same = nil
	q.ID = binary.BigEndian.Uint16(packet)
	q.Bits = wire.BitQR | binary.BigEndian.Uint16(packet[2:])&(wire.MaskOpcode|wire.BitRD)
	q.format, q.badOPT, q.DO = q.edns.FromQuery(packet, i) != nil, false, false
	if len(packet) > maxPlain && !q.edns.Present && !tcp {
		return false
	}
	q.Limit = dns.MinUDP
	if tcp {
		q.Limit = dns.MaxMessage
	}
	if q.edns.Present {
		q.DO = q.edns.DO
		if !tcp {
			q.Limit = min(max(int(q.edns.UDPSize), dns.MinUDP), dns.EDNSUDPSize)
		}
		q.opt = options{}
		// What options of another version look like nobody knows.
		if len(q.edns.Options) > 0 && q.edns.Version == 0 && !r.parseOptions(q) {
			q.badOPT = true
		}
		q.Limit -= r.reserve(q)
	}
	return !q.none || q.asksCookie()
}

// noName stands in the place of the name where there is no question.
var noName = []byte{0}

// asksCookie reports whether a query without a question is one that wants a
// cookie, or to know whether it has a good one (RFC 7873, section 5.4).
func (q *Question) asksCookie() bool {
	return q.edns.Present && q.edns.Version == 0 && q.opt.hasCookie && !q.format && !q.badOPT &&
		binary.BigEndian.Uint16(q.packet[2:])&(wire.MaskOpcode|wire.BitAA|wire.BitTC) == 0
}

// parseName sets QName and Name and gives the offset behind the name, 0 if
// there is none. The name is nearly always plain and in lower case: then
// nothing is copied.
func (q *Question) parseName(packet []byte) int {
	i := dns.HeaderLen
	for {
		if i >= len(packet) {
			return 0
		}
		l := int(packet[i])
		if l > dns.MaxLabel {
			name, next, err := wire.AppendName(q.qname[:0], packet, dns.HeaderLen)
			if err != nil {
				return 0
			}
			q.QName = name
			q.Name = dnsname.AppendLower(q.lowered[:0], name)
			return next
		}
		i += 1 + l
		if i > dns.HeaderLen+dns.MaxName {
			return 0
		}
		if l == 0 {
			break
		}
	}
	// Eight bytes at a time, the last time with some of the header in front.
	// Lengths of labels are no letters.
	const eight = 8
	upper := uint64(0)
	for k := dns.HeaderLen; k+eight < i; k += eight {
		upper |= dnsname.UpperIn(binary.LittleEndian.Uint64(packet[k:]))
	}
	upper |= dnsname.UpperIn(binary.LittleEndian.Uint64(packet[i-eight : i]))
	q.QName = packet[dns.HeaderLen:i:i]
	q.Name = q.QName
	if upper != 0 {
		n := 0
		for k := dns.HeaderLen; k < i; k += eight {
			var w uint64
			if k+eight <= len(packet) {
				w = binary.LittleEndian.Uint64(packet[k:])
			} else {
				var end [eight]byte
				copy(end[:], packet[k:])
				w = binary.LittleEndian.Uint64(end[:])
			}
			binary.LittleEndian.PutUint64(q.lowered[n:], w|dnsname.UpperIn(w)>>2)
			n += eight
		}
		q.Name = q.lowered[:i-dns.HeaderLen]
	}
	return i
}

// Reply appends the answer to the question that Parse took apart.
func (r *Responder) Reply(dst []byte, q *Question, peer *Peer, now Time) ([]byte, Entry) {
	e := Entry{Cookie: r.valid(q, peer, now)}
	bits := binary.BigEndian.Uint16(q.packet[2:])
	var res Result
	msg := dst
	switch {
	case q.none:
		e.Mark = '/'
		if len(q.opt.cookie) > cookie.ClientLen && !e.Cookie {
			res.RCode = dns.RCodeBadCookie
		}
		msg = q.Header(dst, res.RCode)
	case q.Class != dns.ClassIN && q.Class != dns.ClassANY:
		e.Mark = 'C'
		res.RCode, res.EDE = dns.RCodeRefused, dns.EDENotAuthoritative
		msg = q.Header(dst, res.RCode)
	case bits&(wire.MaskOpcode|wire.BitAA|wire.BitTC) != 0 || q.Type == dns.TypeAXFR && !q.TCP:
		e.Mark = 'I'
		res.RCode, res.EDE = dns.RCodeNotImp, dns.EDENotSupported
		if q.Class == dns.ClassIN {
			q.Bits |= wire.BitAA // as 1.05
		}
		msg = q.Header(dst, res.RCode)
	case q.format:
		e.Mark = 'I'
		res.RCode = dns.RCodeFormErr
		msg = q.Header(dst, res.RCode)
	case q.edns.Present && q.edns.Version != 0: // RFC 6891, section 6.1.3
		e.Mark = 'I'
		res.RCode = dns.RCodeBadVers
		msg = q.Header(dst, res.RCode)
	case q.badOPT: // section 7
		e.Mark = 'I'
		res.RCode = dns.RCodeFormErr
		msg = q.Header(dst, res.RCode)
	default:
		if q.Class == dns.ClassIN || q.TCP { // for any class over TCP (compat: djbdns.md section 6)
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

// Header appends a message that has nothing but the question, if there is one.
func (q *Question) Header(dst []byte, rcode dns.RCode) []byte {
	dst = binary.BigEndian.AppendUint16(dst, q.ID)
	dst = binary.BigEndian.AppendUint16(dst, q.Bits|uint16(rcode&wire.MaskRCode))
	if q.none {
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	dst = append(dst, 0, 1, 0, 0, 0, 0, 0, 0)
	dst = append(dst, q.QName...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(q.Type))
	return binary.BigEndian.AppendUint16(dst, uint16(q.Class))
}

// Truncated puts in the place of an answer one that has nothing but the
// question, TC and OPT.
func (r *Responder) Truncated(msg []byte, q *Question, rcode dns.RCode, peer *Peer, now Time) []byte {
	q.Bits = binary.BigEndian.Uint16(msg[2:])&^wire.MaskRCode | wire.BitTC
	msg = q.Header(msg[:0], rcode)
	if q.edns.Present {
		msg = r.appendOPT(msg, 0, q, &Result{RCode: rcode}, peer, now)
	}
	return msg
}

// Begin starts an answer in b.
func (q *Question) Begin(b *wire.Builder, dst []byte) {
	b.Reset(dst, q.Limit, q.ID, q.Bits)
	b.Question(q.QName, q.Type, q.Class)
}

// HasEDNS reports whether the query had an OPT record.
func (q *Question) HasEDNS() bool { return q.edns.Present }
