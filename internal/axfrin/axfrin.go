// Package axfrin reads the messages of an incoming zone transfer (RFC 5936)
// and gives its records one by one, each checked and uncompressed. It is pure:
// whoever uses it reads the network and writes the file.
package axfrin

import (
	"encoding/binary"
	"errors"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
)

// ErrTransfer says that what came is no transfer of the zone. Its words are
// those of EPROTO, which the old program printed.
var ErrTransfer = errors.New("protocol error")

// Query appends a query for zone with its length prefix. The name goes out in
// the letter case given.
func Query(dst []byte, zone dnsname.Name, t dns.Type, id uint16) []byte {
	var b wire.Builder
	at := len(dst)
	b.Reset(append(dst, 0, 0), dns.MaxMessage, id, 0)
	b.Question([]byte(zone), t, dns.ClassIN)
	dst = b.Finish()
	binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}

// SOA reads the answer to a query for the zone's SOA and gives the serial
// number. The first record must be the SOA of the zone.
func SOA(msg []byte, zone dnsname.Name, id uint16) (serial uint32, err error) {
	data, err := SOAData(msg, zone, id)
	if err != nil {
		return 0, err
	}
	return serialOf(data), nil
}

// SOAData is SOA for all of the record's data.
func SOAData(msg []byte, zone dnsname.Name, id uint16) ([]byte, error) {
	var rd reader
	if err := rd.start(msg, id, zone); err != nil || binary.BigEndian.Uint16(msg[6:]) == 0 {
		return nil, ErrTransfer
	}
	var r tinydata.Record
	ok, err := rd.next(&r)
	if err != nil || !ok || r.Type != dns.TypeSOA || !dnsname.Equal(r.Owner, zone) || rd.class != dns.ClassIN {
		return nil, ErrTransfer
	}
	return r.Data, nil
}

// serialOf reads the serial number of well-formed SOA data.
func serialOf(data []byte) uint32 { return binary.BigEndian.Uint32(data[len(data)-20:]) }

// Receiver takes the messages of one transfer in order.
type Receiver struct {
	zone   dnsname.Name
	id     uint16
	begun  bool
	done   bool
	serial uint32
	rd     reader
}

// New expects a transfer of zone in answer to a query with id.
func New(zone dnsname.Name, id uint16) *Receiver { return &Receiver{zone: zone, id: id} }

// Serial is the serial number of the transfer's SOA, once there was one.
func (t *Receiver) Serial() uint32 { return t.serial }

// Message takes one message, calling record for each record of the zone: the
// SOA first, and not again at the end. r is valid during the call only. Records
// outside the zone, of other classes, and SOA records of other zones are
// passed over. done is true when the SOA has come a second time with the same
// serial number; the message it stands in is read to its end. All records of a
// message count, whatever the counts of its sections say (compat: djbdns.md
// section 7).
func (t *Receiver) Message(msg []byte, record func(r *tinydata.Record) error) (done bool, err error) {
	if t.done {
		return true, ErrTransfer
	}
	if err := t.rd.start(msg, t.id, t.zone); err != nil {
		return false, err
	}
	var r tinydata.Record
	for {
		ok, err := t.rd.next(&r)
		if err != nil {
			return false, err
		}
		if !ok {
			return t.done, nil
		}
		apex := dnsname.Equal(r.Owner, t.zone)
		if !t.begun {
			// RFC 5936, section 2.2: the zone's SOA comes first
			if !apex || r.Type != dns.TypeSOA || t.rd.class != dns.ClassIN {
				return false, ErrTransfer
			}
			t.begun, t.serial = true, serialOf(r.Data)
			if err := record(&r); err != nil {
				return false, err
			}
			continue
		}
		if t.rd.class != dns.ClassIN || r.Type == dns.TypeOPT || r.Type == dns.TypeTSIG || !dnsname.IsBelow(r.Owner, t.zone) {
			continue
		}
		if r.Type == dns.TypeSOA {
			if !apex {
				continue // of a zone below, kept by a server that mixes them
			}
			if serialOf(r.Data) != t.serial {
				return false, ErrTransfer // the zone changed meanwhile
			}
			t.done = true
			continue
		}
		if err := record(&r); err != nil {
			return false, err
		}
	}
}

// reader walks through the records of one message.
type reader struct {
	msg   []byte
	off   int
	class dns.Class
	name  [dns.MaxName]byte
	data  []byte
}

// start checks the header (RFC 5936, section 2.2.1). Questions may be left out,
// as 1.05 does, but those that are there are about the zone.
func (rd *reader) start(msg []byte, id uint16, zone dnsname.Name) error {
	h, ok := wire.ParseHeader(msg)
	if !ok || h.ID != id || h.Bits&wire.BitQR == 0 || h.Opcode() != dns.OpcodeQuery ||
		h.RCode() != dns.RCodeSuccess || h.Bits&wire.BitTC != 0 {
		return ErrTransfer
	}
	rd.msg, rd.off = msg, dns.HeaderLen
	for n := h.QDCount; n > 0; n-- {
		name, off, err := wire.AppendName(rd.name[:0], msg, rd.off)
		if err != nil || off+4 > len(msg) || !dnsname.Equal(name, zone) {
			return ErrTransfer
		}
		rd.off = off + 4
	}
	return nil
}

// next reads one record; false at the end of the message.
func (rd *reader) next(r *tinydata.Record) (bool, error) {
	if rd.off == len(rd.msg) {
		return false, nil
	}
	owner, off, err := wire.AppendName(rd.name[:0], rd.msg, rd.off)
	if err != nil || off+10 > len(rd.msg) {
		return false, ErrTransfer
	}
	b := rd.msg[off:]
	*r = tinydata.Record{Owner: owner, Type: dns.Type(binary.BigEndian.Uint16(b)), TTL: binary.BigEndian.Uint32(b[4:])}
	rd.class = dns.Class(binary.BigEndian.Uint16(b[2:]))
	n := int(binary.BigEndian.Uint16(b[8:]))
	off += 10
	if n > len(rd.msg)-off {
		return false, ErrTransfer
	}
	rd.off = off + n
	if rd.data, err = uncompressed(rd.data[:0], rd.msg, r.Type, off, n); err != nil {
		return false, ErrTransfer
	}
	r.Data = rd.data
	return true, nil
}

// uncompressed appends record data. What can not be taken apart, such as an
// address of the wrong length, passes as the bytes it is; but the names of the
// old types must be there, because their lines need them. Junk behind those
// was never looked at.
func uncompressed(dst, msg []byte, t dns.Type, off, n int) ([]byte, error) {
	out, err := rdata.AppendUncompressed(dst, msg, t, off, n)
	if err == nil {
		if t == dns.TypeSOA && len(out)-len(dst) < 22 {
			return nil, ErrTransfer
		}
		return out, nil
	}
	end := off + n
	names, rest := 0, 0
	switch t {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		names = 1
	case dns.TypeMX:
		if n < 2 {
			return nil, ErrTransfer
		}
		dst = append(dst, msg[off], msg[off+1])
		off, names = off+2, 1
	case dns.TypeSOA:
		names, rest = 2, 20
	default:
		return append(dst, msg[off:end]...), nil
	}
	for ; names > 0; names-- {
		if dst, off, err = wire.AppendName(dst, msg, off); err != nil || off > end {
			return nil, ErrTransfer
		}
	}
	if end-off < rest {
		return nil, ErrTransfer
	}
	return append(dst, msg[off:off+rest]...), nil
}
