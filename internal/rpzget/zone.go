package rpzget

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"bulkhead/internal/axfrin"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/rpz"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/zonefile"
)

// maxText is the most bytes of a zone file, and of messages in one transfer:
// what dnscache reads of one file.
const maxText = 1 << 30

var (
	errNoSOA   = errors.New("zone does not begin with its SOA")
	errTooBig  = errors.New("zone is too large")
	errDiffers = errors.New("changes do not fit the present copy")
)

// version is what the SOA of a zone says.
type version struct {
	soa            []byte // data
	serial         uint32
	refresh, retry uint32 // seconds
}

func versionOf(soa []byte) version {
	n := soa[len(soa)-20:] // five numbers of 32 bits (RFC 1035, section 3.3.13)
	return version{bytes.Clone(soa), binary.BigEndian.Uint32(n), binary.BigEndian.Uint32(n[4:]), binary.BigEndian.Uint32(n[8:])}
}

// readVersion reads the first record of a zone file, which must be its SOA.
func readVersion(text []byte, file string, zone dnsname.Name) (version, error) {
	r := zonefile.NewReader(text, zonefile.Options{Name: file, Origin: zone, TTL: 300})
	rec, err := r.Next()
	if err == io.EOF || err == nil && (rec.Type != dns.TypeSOA || !dnsname.Equal(rec.Owner, zone)) {
		err = errNoSOA
	}
	if err != nil {
		return version{}, err
	}
	return versionOf(rec.Data), nil
}

// copyOf is a zone to which changes are applied: the lines of its file in
// order, and where each record stands.
type copyOf struct {
	lines [][]byte // the SOA's first; nil where one was deleted
	at    map[string]int
	size  int
	rec   zonefile.Record
	key   []byte
}

func newCopy() *copyOf { return &copyOf{lines: make([][]byte, 1), at: map[string]int{}} }

// readCopy reads a zone file whole.
func readCopy(text []byte, file string, zone dnsname.Name) (*copyOf, error) {
	c := newCopy()
	r := zonefile.NewReader(text, zonefile.Options{Name: file, Origin: zone, TTL: 300})
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if rec.Type == dns.TypeSOA {
			continue // the newest is set at the end
		}
		if err := c.add(&tinydata.Record{Owner: rec.Owner, Type: rec.Type, TTL: rec.TTL, Data: rec.Data}); err != nil && err != errDiffers {
			return nil, err
		}
	}
}

// keyOf makes what tells records of a zone apart: all but the TTL.
func (c *copyOf) keyOf(r *tinydata.Record) []byte {
	c.key = binary.BigEndian.AppendUint16(c.key[:0], uint16(r.Type))
	c.key = append(c.key, dnsname.Name(r.Owner).Lower()...)
	c.key = rdata.AppendCanonical(c.key, r.Type, r.Data)
	return c.key
}

func (c *copyOf) line(r *tinydata.Record) []byte {
	c.rec = zonefile.Record{Owner: r.Owner, TTL: min(r.TTL, 1<<31-1), Class: dns.ClassIN, Type: r.Type, Data: r.Data}
	return zonefile.AppendRecord(nil, &c.rec)
}

// add puts a record at the end; errDiffers if it is there already.
func (c *copyOf) add(r *tinydata.Record) error {
	k := c.keyOf(r)
	if _, ok := c.at[string(k)]; ok {
		return errDiffers
	}
	l := c.line(r)
	if c.size += len(l); c.size > maxText {
		return errTooBig
	}
	c.at[string(k)] = len(c.lines)
	c.lines = append(c.lines, l)
	return nil
}

// remove takes a record away; errDiffers if it is not there.
func (c *copyOf) remove(r *tinydata.Record) error {
	k := c.keyOf(r)
	i, ok := c.at[string(k)]
	if !ok {
		return errDiffers
	}
	c.size -= len(c.lines[i])
	c.lines[i] = nil
	delete(c.at, string(k))
	return nil
}

// text is the zone file, with soa before all other records.
func (c *copyOf) text(soa *tinydata.Record) []byte {
	c.lines[0] = c.line(soa)
	return bytes.Join(c.lines, nil)
}

// full collects the text of a whole transfer, message by message.
type full struct {
	text []byte
	soa  []byte
	rec  zonefile.Record
	t    *axfrin.Receiver
}

func (f *full) message(msg []byte) (done bool, err error) {
	return f.t.Message(msg, func(r *tinydata.Record) error {
		if r.Type == dns.TypeSOA {
			f.soa = bytes.Clone(r.Data)
		}
		f.rec = zonefile.Record{Owner: r.Owner, TTL: min(r.TTL, 1<<31-1), Class: dns.ClassIN, Type: r.Type, Data: r.Data}
		if f.text = zonefile.AppendRecord(f.text, &f.rec); len(f.text) > maxText {
			return errTooBig
		}
		return nil
	})
}

// changed applies an incremental answer to the present copy. text is parsed at
// the first difference.
type changed struct {
	t    *axfrin.Changes
	load func() (*copyOf, error)
	c    *copyOf
}

func (x *changed) message(msg []byte) (done bool, err error) {
	return x.t.Message(msg, func(deleted bool, r *tinydata.Record) error {
		if err := x.ready(); err != nil {
			return err
		}
		if deleted {
			return x.c.remove(r)
		}
		err := x.c.add(r)
		if err == errDiffers && x.t.Whole() {
			return nil // the same record twice in a whole zone harms nobody
		}
		return err
	})
}

// ready makes the copy: the present one, or an empty one for a whole zone.
func (x *changed) ready() (err error) {
	if x.c != nil {
		return nil
	}
	if x.t.Whole() {
		x.c = newCopy()
		return nil
	}
	x.c, err = x.load()
	return err
}

// finish gives the new text.
func (x *changed) finish() ([]byte, error) {
	if err := x.ready(); err != nil {
		return nil, err
	}
	return x.c.text(x.t.SOA()), nil
}

// check refuses what dnscache would refuse, and counts the rules, or the records
// of the root: whether that is good, dnscache finds out by its ZONEMD.
func check(text []byte, file string, zone dnsname.Name) (n int, err error) {
	if zone != dnsname.Root {
		z, err := rpz.Parse(text, file, zone)
		if err != nil {
			return 0, err
		}
		return z.Rules, nil
	}
	r := zonefile.NewReader(text, zonefile.Options{Name: file, Origin: zone})
	for ; ; n++ {
		if _, err := r.Next(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
}
