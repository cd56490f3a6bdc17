package axfr

import (
	"bytes"
	"encoding/binary"
	"strings"

	"bulkhead/internal/auth"
	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// Allow is the list of zones that a client may transfer: $AXFR, as tcp rules
// set it. nil allows all.
type Allow struct{ zones [][]byte }

// ParseAllow reads zone names separated by slashes. Empty elements are
// ignored, so that an empty list forbids everything (compat: djbdns.md section
// 6.1).
func ParseAllow(s string) (*Allow, error) {
	a := &Allow{}
	for _, f := range strings.Split(s, "/") {
		if f == "" {
			continue
		}
		n, err := dnsname.ParseDot(f)
		if err != nil {
			return nil, err
		}
		a.zones = append(a.zones, []byte(n.Lower()))
	}
	return a, nil
}

// Has reports whether a zone, in lower case, may be transferred.
func (a *Allow) Has(zone []byte) bool {
	if a == nil {
		return true
	}
	for _, z := range a.zones {
		if bytes.Equal(z, zone) {
			return true
		}
	}
	return false
}

// Desk answers the questions of TCP clients: transfers itself, all others with
// an Answerer. It is one thread's.
type Desk struct {
	Answerer auth.Answerer
	Resp     content.Responder // without Program; Desk sets it

	// Set before each question:
	Data  *auth.Data // nil: none can be read
	DB    cdb.Reader // without Data: data.cdb alone, which is enough for transfers
	Allow *Allow

	q       content.Question
	packet  []byte
	started *Transfer
	refusal Refusal
	peer    *content.Peer
	now     content.Time
	key     []byte // name of a key that the question is signed with
	b       wire.Builder
}

// Refusal says why a transfer was not given.
type Refusal uint8

const (
	Granted      Refusal = iota
	Forbidden            // not on the client's list: REFUSED
	NotZone              // no zone of ours: NOTAUTH (RFC 5936, section 2.2.1)
	DamagedData          // SERVFAIL
	NoData               // data.cdb can not be read: SERVFAIL
	OutsideZones         // an ordinary question outside all zones: REFUSED
	BadKey               // signed with a key that we do not have: NOTAUTH
	BadSignature         // a TSIG record where none may be: FORMERR
)

// Parse takes a message apart; false if it is no question. It stays valid
// until the next.
func (d *Desk) Parse(packet []byte, peer *content.Peer, now content.Time) bool {
	d.packet = packet
	return d.Resp.Parse(&d.q, packet, peer, true, now)
}

// IsTransfer reports whether the question parsed last asks for a transfer.
func (d *Desk) IsTransfer() bool { return d.q.Type == dns.TypeAXFR || d.q.Type == dns.TypeIXFR }

// AppendLog appends the log line of the question parsed last (compat:
// djbdns.md section 6).
func (d *Desk) AppendLog(dst []byte, peer *content.Peer) []byte {
	start := len(dst)
	dst = content.AppendLog(dst, peer, '+', &d.q)
	// one space stands where UDP servers have the result
	if i := bytes.Index(dst[start:], []byte(" + ")); i >= 0 {
		i += start
		dst = append(dst[:i+1], dst[i+3:]...)
	}
	return dst
}

// Reply appends the answer to the question parsed last, without a length. A
// transfer is started instead of appending one.
func (d *Desk) Reply(dst []byte, peer *content.Peer, now content.Time) (out []byte, t *Transfer, why Refusal) {
	d.started, d.refusal = nil, Granted
	d.Resp.Program, d.peer, d.now = d, peer, now
	out, _ = d.Resp.Reply(dst, &d.q, peer, now)
	if d.refusal == BadKey {
		out = d.appendTSIG(out, len(dst))
	}
	return out, d.started, d.refusal
}

// Header appends an answer that is nothing but the question and an RCODE.
func (d *Desk) Header(dst []byte, rcode dns.RCode) []byte { return d.q.Header(dst, rcode) }

// Answer implements content.Program.
func (d *Desk) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	if signed, ok := d.signed(); !ok {
		return d.refuse(dst, q, BadSignature, dns.RCodeFormErr, 0)
	} else if signed {
		return d.refuse(dst, q, BadKey, dns.RCodeNotAuth, 0)
	}
	z := &Zone{DB: d.DB, Now: q.Now}
	if d.Data != nil {
		z.DB, z.View = d.Data.CDB(), d.Data.View
	}
	transfer := d.IsTransfer()
	if d.Data == nil && !(transfer && z.DB != nil) {
		return d.refuse(dst, q, NoData, dns.RCodeServFail, dns.EDENotReady)
	}
	if transfer {
		return d.transfer(dst, q, z)
	}
	msg, res := d.Answerer.Answer(dst, d.Data, q)
	if !res.Found {
		d.refusal = OutsideZones
	}
	return msg, res
}

func (d *Desk) refuse(dst []byte, q *content.Question, why Refusal, rcode dns.RCode, ede dns.EDE) ([]byte, content.Result) {
	d.refusal = why
	q.Bits &^= wire.BitAA
	return q.Header(dst, rcode), content.Result{RCode: rcode, EDE: ede, Found: true}
}

// transfer starts one.
func (d *Desk) transfer(dst []byte, q *content.Question, z *Zone) ([]byte, content.Result) {
	if !d.Allow.Has(q.Name) {
		return d.refuse(dst, q, Forbidden, dns.RCodeRefused, dns.EDEProhibited)
	}
	z.Name = append([]byte(nil), q.Name...)
	var err error
	if z.Loc, _, err = auth.Location(z.DB, &q.Client); err != nil {
		return d.refuse(dst, q, DamagedData, dns.RCodeServFail, dns.EDEInvalidData)
	}
	soa, ok, err := z.SOA()
	if err != nil {
		return d.refuse(dst, q, DamagedData, dns.RCodeServFail, dns.EDEInvalidData)
	}
	if !ok {
		return d.refuse(dst, q, NotZone, dns.RCodeNotAuth, dns.EDENotAuthoritative)
	}
	if q.Type == dns.TypeIXFR {
		theirs, known := clientSerial(d.packet)
		ours, _ := Serial(soa.Data)
		// RFC 1995, section 2: a client that is up to date, or ahead, gets
		// our SOA alone; serial arithmetic of RFC 1982
		if known && int32(ours-theirs) <= 0 {
			q.Begin(&d.b, dst)
			if d.b.RR(wire.Answer, q.Name, dns.TypeSOA, dns.ClassIN, soa.TTL, soa.Data) {
				return d.b.Finish(), content.Result{Found: true}
			}
		}
		// Older versions are not kept: section 4 lets us answer in full.
	}
	h := Header{ID: q.ID, Bits: q.Bits, QName: append([]byte(nil), q.QName...), Type: q.Type, Class: q.Class}
	if q.HasEDNS() {
		h.OPT = d.Resp.OPT(q, d.peer, d.now)
	}
	d.started, err = New(z, soa, h)
	if err != nil {
		d.started = nil
		return d.refuse(dst, q, DamagedData, dns.RCodeServFail, dns.EDEInvalidData)
	}
	return nil, content.Result{Found: true}
}

// clientSerial reads the serial number of the SOA record that an IXFR query
// has in its authority section (RFC 1995, section 3).
func clientSerial(packet []byte) (serial uint32, ok bool) {
	c, err := wire.Parse(packet)
	if err != nil || c.SkipQuestions() != nil {
		return 0, false
	}
	var r wire.RR
	for {
		more, err := c.Next(&r)
		if err != nil || !more {
			return 0, false
		}
		if r.Section != wire.Authority || r.Type != dns.TypeSOA {
			continue
		}
		off, err := wire.SkipName(packet, r.Data)
		if err == nil {
			off, err = wire.SkipName(packet, off)
		}
		if err != nil || off+20 > r.Data+r.Len {
			return 0, false
		}
		return binary.BigEndian.Uint32(packet[off:]), true
	}
}
