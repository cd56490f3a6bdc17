package axfr

import (
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

// tsigTail are the bytes of a TSIG record's data besides the algorithm's name
// and the signature (RFC 8945, section 4.2).
const tsigTail = 6 + 2 + 2 + 2 + 2 + 2

// Errors and times of RFC 8945.
const (
	badKey = 17  // section 3
	fudge  = 300 // seconds, section 10 recommends
)

// signed reports whether the question is signed with TSIG, and keeps the name
// of the key and of its algorithm. It is not ok if the record is malformed or
// not the last (RFC 8945, section 5.1).
func (d *Desk) signed() (signed, ok bool) {
	d.key = d.key[:0]
	p := d.packet
	if p[10]|p[11] == 0 || p[10] == 0 && p[11] == 1 && d.q.HasEDNS() {
		return false, true // no additional record, or OPT alone
	}
	c, err := wire.Parse(p)
	if err != nil || c.SkipQuestions() != nil {
		return false, true // counts are often nonsense, see content
	}
	var r wire.RR
	for {
		more, err := c.Next(&r)
		if err != nil || !more {
			return signed, true
		}
		if signed {
			return true, false
		}
		if r.Type != dns.TypeTSIG {
			continue
		}
		signed = true
		if r.Section != wire.Additional || r.Class != dns.ClassANY {
			return true, false
		}
		if d.key, _, err = wire.AppendName(d.key, p, r.Owner); err != nil {
			return true, false
		}
		var end int
		if d.key, end, err = wire.AppendName(d.key, p, r.Data); err != nil || end+tsigTail > r.Data+r.Len {
			return true, false
		}
	}
}

// appendTSIG ends the message that starts at start by saying that its key is
// not known here, unsigned (RFC 8945, sections 5.2.1 and 5.3.2). All keys are
// unknown: who may transfer is for the rules to say, by address.
func (d *Desk) appendTSIG(msg []byte, start int) []byte {
	name := 0
	for d.key[name] != 0 {
		name += 1 + int(d.key[name])
	}
	name++
	algorithm := d.key[name:]
	binary.BigEndian.PutUint16(msg[start+10:], binary.BigEndian.Uint16(msg[start+10:])+1)
	msg = append(msg, d.key[:name]...)
	msg = append(msg, byte(dns.TypeTSIG>>8), byte(dns.TypeTSIG&0xFF), byte(dns.ClassANY>>8), byte(dns.ClassANY&0xFF), 0, 0, 0, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(algorithm)+tsigTail))
	msg = append(msg, algorithm...)
	msg = append(msg, 0, 0)
	msg = binary.BigEndian.AppendUint32(msg, d.now.Unix)
	msg = binary.BigEndian.AppendUint16(msg, fudge)
	msg = append(msg, 0, 0) // no signature
	msg = binary.BigEndian.AppendUint16(msg, d.q.ID)
	return append(msg, 0, badKey, 0, 0)
}
