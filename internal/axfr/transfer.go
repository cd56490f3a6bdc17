// Package axfr answers zone transfers: a pure function from one generation of
// data to the messages of an outgoing AXFR or IXFR (RFC 5936, RFC 1995). It
// opens nothing and has no clock.
//
//	transfer.go   the records of a zone as framed messages
//	cuts.go       zone cuts and glue: what belongs to the zone
//	request.go    who may transfer what, and with which answer
//
// Records go out in the order of the data file, straight from its mapped
// bytes: a transfer costs one pass over the file and no memory beyond its
// output buffer and the names of the zone's cuts.
package axfr

import (
	"bytes"
	"encoding/binary"
	"errors"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/zindex"
)

// ErrFormat says that data.cdb is damaged, or holds a record that no message
// can carry.
var ErrFormat = errors.New("format error")

// MaxMessage is how long a message of a transfer gets; a single larger record
// may exceed it up to the limit of the length prefix.
const MaxMessage = dns.MaxMessage

// pointerLimit: a compression pointer has 14 bits (RFC 1035, section 4.1.4).
const pointerLimit = 0x4000

// Transfer is an outgoing transfer of one zone. Next gives its messages.
type Transfer struct {
	db   cdb.Reader
	zone []byte // lower case
	cuts *cuts
	now  uint64
	loc  [2]byte

	id    uint16
	bits  uint16
	qname []byte // as asked; nil once the first message has it
	qtype dns.Type
	qcls  dns.Class
	opt   []byte // as qname

	pos, end uint64
	soa      zindex.Record
	stage    stage

	// the message being filled
	zoff     int // offset of the zone's name in it, 0 if it has none yet
	last     []byte
	lastWild bool
	lastOff  int
	hidden   bool // the last owner is below a cut
}

type stage uint8

const (
	opening stage = iota // the SOA comes first
	body
	closing // and last
	done
)

// Zone is what a transfer needs to know before it starts.
type Zone struct {
	DB   cdb.Reader
	View *zindex.View // speeds up finding the cuts; may be nil
	Name []byte       // lower case
	Now  uint64       // TAI64 label
	Loc  [2]byte      // the client's location
}

// SOA gives the zone's visible SOA record; false when there is none: not a
// zone of ours, or not now, or not for this client.
func (z *Zone) SOA() (r zindex.Record, ok bool, err error) {
	c := z.DB.Find(z.Name)
	for {
		d, err := c.Next()
		if err != nil {
			return r, false, ErrFormat
		}
		if d == nil {
			return r, false, nil
		}
		if !zindex.ParseData(d, &r) {
			return r, false, ErrFormat
		}
		if r.Type != dns.TypeSOA || r.Wild {
			continue
		}
		if ttl, ok := visible(&r, z.Now, z.Loc); ok {
			r.TTL = ttl
			if _, ok := Serial(r.Data); !ok {
				return r, false, ErrFormat
			}
			return r, true, nil
		}
	}
}

// Serial reads the serial number of SOA data.
func Serial(data []byte) (uint32, bool) {
	n, ok := dnsname.Scan(data)
	if !ok {
		return 0, false
	}
	m, ok := dnsname.Scan(data[n:])
	if !ok || len(data) != n+m+20 {
		return 0, false
	}
	return binary.BigEndian.Uint32(data[n+m:]), true
}

// visible applies location and timestamp (compat: djbdns.md sections 5.2 and
// 6.1). A record about to die goes to secondaries with the shortest ttl.
func visible(r *zindex.Record, now uint64, loc [2]byte) (ttl uint32, ok bool) {
	const dying = 2 // seconds
	if r.Loc != [2]byte{} && r.Loc != loc {
		return 0, false
	}
	switch {
	case r.Time == 0:
		return r.TTL, true
	case r.TTL != 0:
		return r.TTL, r.Time < now
	}
	return dying, r.Time >= now
}

// Header is the part of a request that the messages repeat.
type Header struct {
	ID    uint16
	Bits  uint16 // of the answers: QR, AA, RD
	QName []byte
	Type  dns.Type
	Class dns.Class
	OPT   []byte // record for the first message; nil: none (RFC 6891, section 7)
}

// New starts a transfer. soa is what z.SOA gave.
func New(z *Zone, soa zindex.Record, h Header) (*Transfer, error) {
	start, end, err := z.DB.Records()
	if err != nil {
		return nil, ErrFormat
	}
	c, err := findCuts(z)
	if err != nil {
		return nil, err
	}
	return &Transfer{db: z.DB, zone: z.Name, cuts: c, now: z.Now, loc: z.Loc,
		id: h.ID, bits: h.Bits, qname: h.QName, qtype: h.Type, qcls: h.Class, opt: h.OPT,
		pos: start, end: end, soa: soa}, nil
}

// Next appends one message with its length prefix to dst; more is false when
// it is the last. dst should have room for MaxMessage+2 bytes.
func (t *Transfer) Next(dst []byte) (out []byte, more bool, err error) {
	if t.stage == done {
		return dst, false, nil
	}
	base := len(dst)
	dst = append(dst, 0, 0)
	start := len(dst) // offsets in the message count from here
	dst = binary.BigEndian.AppendUint16(dst, t.id)
	dst = binary.BigEndian.AppendUint16(dst, t.bits)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	count, asked, opts := 0, 0, 0
	t.zoff, t.lastOff = 0, 0
	if t.qname != nil {
		// RFC 5936, section 2.2.1: the question in the first message
		dst = append(dst, t.qname...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(t.qtype))
		dst = binary.BigEndian.AppendUint16(dst, uint16(t.qcls))
		asked = 1
		if bytes.Equal(t.qname, t.zone) { // same letter case: a pointer keeps it
			t.zoff = dns.HeaderLen
		}
		t.qname = nil
	}
	var r zindex.Record
	for t.stage != done && count < 1<<16-1 {
		var key []byte
		next := t.pos
		switch t.stage {
		case opening, closing:
			key, r = t.zone, t.soa
		case body:
			if t.pos >= t.end {
				t.stage = closing
				continue
			}
			var data []byte
			if key, data, next, err = t.db.RecordAt(t.pos); err != nil {
				return dst[:base], false, ErrFormat
			}
			take, err := t.take(key, data, &r)
			if err != nil {
				return dst[:base], false, err
			}
			if !take {
				t.pos = next
				continue
			}
		}
		mark := len(dst)
		old := *t
		var ok bool
		dst, ok = t.record(dst, start, key, &r)
		if !ok || len(dst)-start+len(t.opt) > MaxMessage {
			dst = dst[:mark]
			t.zoff, t.last, t.lastWild, t.lastOff = old.zoff, old.last, old.lastWild, old.lastOff
			if !ok || count == 0 { // not even alone
				return dst[:base], false, ErrFormat
			}
			break
		}
		count++
		t.pos = next
		switch t.stage {
		case opening:
			t.stage = body
		case closing:
			t.stage = done
		}
	}
	if len(t.opt) > 0 {
		dst = append(dst, t.opt...)
		opts, t.opt = 1, nil
	}
	binary.BigEndian.PutUint16(dst[base:], uint16(len(dst)-start))
	binary.BigEndian.PutUint16(dst[start+4:], uint16(asked))
	binary.BigEndian.PutUint16(dst[start+6:], uint16(count))
	binary.BigEndian.PutUint16(dst[start+10:], uint16(opts))
	return dst, t.stage != done, nil
}

// take reports whether a record of the file belongs to the transfer, and loads
// it.
func (t *Transfer) take(key, data []byte, r *zindex.Record) (bool, error) {
	if !below(key, t.zone) {
		return false, nil
	}
	if !zindex.ParseData(data, r) {
		return false, ErrFormat
	}
	if r.Type == dns.TypeSOA {
		return false, nil // the zone's own stands at both ends, others are other zones'
	}
	ttl, ok := visible(r, t.now, t.loc)
	if !ok {
		return false, nil
	}
	r.TTL = ttl
	if len(key) == len(t.zone) {
		return r.Wild || !parentsOwn(t.zone, r), nil
	}
	return t.cuts == nil || t.cuts.has(t.zone, key, r), nil
}

// below reports whether key, a lower-case name or any other bytes, is zone or
// a name below it.
func below(key, zone []byte) bool {
	diff := len(key) - len(zone)
	if diff < 0 || string(key[diff:]) != string(zone) {
		return false
	}
	for i := 0; i < diff; {
		if i += 1 + int(key[i]); i == diff {
			return true
		}
	}
	return diff == 0
}

// record appends one record. It is ok=false if the data can not be put into a
// message.
func (t *Transfer) record(dst []byte, start int, key []byte, r *zindex.Record) ([]byte, bool) {
	at := len(dst) - start
	switch {
	case t.lastOff != 0 && t.lastWild == r.Wild && string(t.last) == string(key):
		dst = append(dst, 0xC0|byte(t.lastOff>>8), byte(t.lastOff))
	case len(key) == len(t.zone) && !r.Wild && t.zoff != 0:
		dst = append(dst, 0xC0|byte(t.zoff>>8), byte(t.zoff))
		t.lastOff = 0
	default:
		if r.Wild {
			dst = append(dst, 1, '*')
		}
		n := len(key) - len(t.zone)
		dst = append(dst, key[:n]...)
		if t.zoff != 0 {
			dst = append(dst, 0xC0|byte(t.zoff>>8), byte(t.zoff))
		} else {
			if z := len(dst) - start; z < pointerLimit && len(t.zone) > 1 {
				t.zoff = z
			}
			dst = append(dst, t.zone...)
		}
		t.lastOff = 0
		if at < pointerLimit {
			t.last, t.lastWild, t.lastOff = key, r.Wild, at
		}
	}
	dst = append(dst, byte(r.Type>>8), byte(r.Type), 0, byte(dns.ClassIN),
		byte(r.TTL>>24), byte(r.TTL>>16), byte(r.TTL>>8), byte(r.TTL))
	// RFC 3597, section 4: only names in the data of these types may be compressed
	fixed, names := 0, 0
	switch r.Type {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		names = 1
	case dns.TypeMX:
		fixed, names = 2, 1
	case dns.TypeSOA:
		names = 2
	default:
		n := len(r.Data)
		if n > dns.MaxMessage {
			return dst, false
		}
		dst = append(dst, byte(n>>8), byte(n))
		return append(dst, r.Data...), true
	}
	lenAt := len(dst)
	dst = append(dst, 0, 0)
	d := r.Data
	if len(d) < fixed {
		return dst, false
	}
	dst = append(dst, d[:fixed]...)
	d = d[fixed:]
	for ; names > 0; names-- {
		n, ok := dnsname.Scan(d)
		if !ok {
			return dst, false
		}
		if t.zoff != 0 && below(d[:n], t.zone) {
			dst = append(dst, d[:n-len(t.zone)]...)
			dst = append(dst, 0xC0|byte(t.zoff>>8), byte(t.zoff))
		} else {
			dst = append(dst, d[:n]...)
		}
		d = d[n:]
	}
	dst = append(dst, d...)
	n := len(dst) - lenAt - 2
	if n > dns.MaxMessage {
		return dst, false
	}
	dst[lenAt], dst[lenAt+1] = byte(n>>8), byte(n)
	return dst, true
}
