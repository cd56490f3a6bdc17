package axfrin

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
)

// IncrementalQuery appends a query for what has changed in zone since the
// version with this SOA (RFC 1995, section 3), with its length prefix.
func IncrementalQuery(dst []byte, zone dnsname.Name, soa []byte, id uint16) []byte {
	var b wire.Builder
	at := len(dst)
	b.Reset(append(dst, 0, 0), dns.MaxMessage, id, 0)
	b.Question([]byte(zone), dns.TypeIXFR, dns.ClassIN)
	b.RR(wire.Authority, []byte(zone), dns.TypeSOA, dns.ClassIN, 0, soa)
	dst = b.Finish()
	binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}

// Changes takes the messages that answer an incremental query (RFC 1995,
// section 4): differences, or the whole zone, or its SOA alone if nothing has
// changed.
type Changes struct {
	zone    dnsname.Name
	id      uint16
	state   changeState
	current uint32 // serial number that the differences have come to
	serial  uint32 // of the first SOA
	whole   bool
	soa     tinydata.Record
	owner   []byte
	data    []byte
	rd      reader
	from    uint32
}

type changeState uint8

const (
	wantFirst  changeState = iota // the newest SOA
	wantSecond                    // which says what kind of answer it is
	inWhole
	inDeleted
	inAdded
	ended
)

// NewChanges expects the changes of zone since serial number from in answer to
// a query with id.
func NewChanges(zone dnsname.Name, id uint16, from uint32) *Changes {
	return &Changes{zone: zone, id: id, from: from}
}

// SOA is the newest one, once there was one.
func (t *Changes) SOA() *tinydata.Record { return &t.soa }

// Whole reports whether the records are those of the whole zone and not
// differences; the first call of record is the earliest time to ask.
func (t *Changes) Whole() bool { return t.whole }

// Message takes one message, calling record for each record but the zone's
// SOAs; r is valid during the call only. What Receiver passes over is passed
// over here. done is true at the end.
func (t *Changes) Message(msg []byte, record func(deleted bool, r *tinydata.Record) error) (done bool, err error) {
	if t.state == ended {
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
			if t.state == wantFirst { // some servers say so that they know no IXFR, and keep silent then
				return false, ErrTransfer
			}
			return t.state == ended, nil
		}
		apexSOA := r.Type == dns.TypeSOA && t.rd.class == dns.ClassIN && dnsname.Equal(r.Owner, t.zone)
		if t.state == wantFirst {
			if !apexSOA {
				return false, ErrTransfer
			}
			t.first(&r)
			continue
		}
		if t.rd.class != dns.ClassIN || r.Type == dns.TypeOPT || r.Type == dns.TypeTSIG ||
			!dnsname.IsBelow(r.Owner, t.zone) || r.Type == dns.TypeSOA && !apexSOA {
			continue
		}
		if apexSOA {
			if !t.mark(serialOf(r.Data)) {
				return false, ErrTransfer
			}
			continue
		}
		if t.state == ended {
			return false, ErrTransfer
		}
		if t.state == wantSecond {
			t.state, t.whole = inWhole, true
		}
		if err := record(t.state == inDeleted, &r); err != nil {
			return false, err
		}
	}
}

func (t *Changes) first(r *tinydata.Record) {
	t.owner, t.data = append(t.owner, r.Owner...), append(t.data, r.Data...)
	t.soa = *r
	t.soa.Owner, t.soa.Data = t.owner, t.data
	t.serial = serialOf(r.Data)
	t.state = wantSecond
	if t.serial == t.from {
		t.state = ended // section 2: one SOA, that which we have
	}
}

// mark takes the serial number of an SOA between records; false if it does not
// belong there.
func (t *Changes) mark(serial uint32) bool {
	switch {
	case t.state == wantSecond && serial == t.serial:
		t.state, t.whole = ended, true // a zone of nothing but its SOA
	case t.state == wantSecond && serial == t.from:
		t.state = inDeleted
	case t.state == inWhole && serial == t.serial:
		t.state = ended
	case t.state == inDeleted:
		t.state, t.current = inAdded, serial
	case t.state == inAdded && serial == t.current && serial == t.serial:
		t.state = ended
	case t.state == inAdded && serial == t.current:
		t.state = inDeleted
	default:
		return false
	}
	return true
}
