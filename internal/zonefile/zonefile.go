// Package zonefile reads and writes master files: RFC 1035, section 5, with
// $TTL (RFC 2308, section 4), $INCLUDE, unknown types (RFC 3597) and BIND's
// $GENERATE and TTL units.
//
//	zonefile.go   Reader: records one after the other, each with file and line
//	entry.go      entries, words, parentheses, comments
//	directive.go  lines that begin with $
//	generate.go   $GENERATE
//	write.go      records back to text
//
// The package opens no files: text is handed in, $INCLUDE asks a function.
package zonefile

import (
	"errors"
	"io"
	"iter"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// Limits on what one Reader does for hostile or mistaken input.
const (
	maxIncludeDepth = 16        // files open at a time; catches a file that includes itself
	maxIncludes     = 10_000    // files in all; chosen above any zone met
	maxGenerated    = 1 << 24   // records of all $GENERATE lines: a whole /8 network
	maxEntry        = 1 << 20   // bytes of one record's text: 65535 bytes of data as \DDD and room for blanks
	maxTTL          = 1<<31 - 1 // seconds, RFC 2181, section 8
)

// Record is one record of a zone file. Owner and Data are valid until the next
// call of Next.
type Record struct {
	Owner []byte // wire form, letter case as written
	TTL   uint32 // seconds
	Class dns.Class
	Type  dns.Type
	Data  []byte // wire form, uncompressed

	File      string
	Line      int  // where the entry begins, from 1
	Generated bool // made by the $GENERATE at that line
}

// Error is a fault with its place.
type Error struct {
	File string
	Line int
	Err  error
}

func (e *Error) Error() string { return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Options say how to read.
type Options struct {
	Name   string       // of the file, for Record.File and errors
	Origin dnsname.Name // the zone's name; "" is the root
	Class  dns.Class    // of the zone; 0 is IN. Records of another are an error
	TTL    int64        // default before any $TTL, in seconds; 0 is none, so that the rules of RFC 1035 and RFC 2308 apply

	// Include gives the text of a file named by $INCLUDE, which may be
	// relative to whatever the caller thinks right. nil forbids $INCLUDE.
	Include func(name string) ([]byte, error)
}

// Reader reads one file and those it includes. It is used by one goroutine.
type Reader struct {
	opt      Options
	file     *file // the innermost open file
	rec      Record
	owner    []byte // buffer of rec.Owner
	data     []byte // buffer of rec.Data
	text     []byte // buffer for entries with parentheses or comments
	includes int
	made     int // records generated

	ttl      uint32 // of the last record with its own TTL
	ttlKnown bool
	defTTL   uint32 // $TTL
	defKnown bool
	gen      generator
	err      error
}

// file is one open file: its text and the place in it.
type file struct {
	parent *file
	depth  int
	name   string
	text   []byte
	at     int // offset of the next byte
	line   int // line of the next byte, from 1
	origin dnsname.Name
	last   []byte // last owner in this file, nil before the first
}

// NewReader starts to read text.
func NewReader(text []byte, opt Options) *Reader {
	if opt.Origin == "" {
		opt.Origin = dnsname.Root
	}
	if opt.Class == 0 {
		opt.Class = dns.ClassIN
	}
	r := &Reader{opt: opt, file: &file{name: opt.Name, text: text, line: 1, origin: opt.Origin}}
	if opt.TTL > 0 {
		r.defTTL, r.defKnown = uint32(opt.TTL), true
	}
	return r
}

// Next gives the next record, io.EOF after the last one, or an *Error, after
// which there are no more records.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	for {
		if r.gen.active {
			ok, err := r.generate()
			if err != nil {
				return nil, r.stop(r.gen.line, err)
			}
			if ok {
				return &r.rec, nil
			}
		}
		f := r.file
		if !f.skipEmpty() {
			if f.parent == nil {
				r.err = io.EOF
				return nil, io.EOF
			}
			r.file = f.parent
			continue
		}
		line := f.line
		ok, err := r.entry()
		if err != nil {
			return nil, r.stop(line, err)
		}
		if ok {
			return &r.rec, nil
		}
	}
}

func (r *Reader) stop(line int, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{File: r.file.name, Line: line, Err: err}
	}
	r.err = e
	return e
}

// All gives the records for a range loop; an error comes last, with a nil
// record.
func (r *Reader) All() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for {
			rec, err := r.Next()
			if err == io.EOF || !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// setTTL decides the TTL of the record being read (RFC 1035, section 5.1; RFC
// 2308, section 4; the rest as BIND does it).
func (r *Reader) setTTL(explicit bool, ttl uint32) error {
	switch {
	case explicit:
		r.ttl, r.ttlKnown = ttl, true
	case r.defKnown:
		r.ttl = r.defTTL
	case r.ttlKnown:
		// RFC 1035: the last one stated
	case r.rec.Type == dns.TypeSOA && len(r.rec.Data) >= 4:
		b := r.rec.Data[len(r.rec.Data)-4:] // minimum
		r.ttl = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if r.ttl > maxTTL {
			return errTTL
		}
		r.defTTL, r.defKnown = r.ttl, true
	default:
		return errors.New("no TTL: there is none on the line, no $TTL and no earlier record")
	}
	r.rec.TTL = r.ttl
	return nil
}

var errTTL = errors.New("TTL above 2147483647 (RFC 2181, section 8)")

// finish parses data in text form into r.rec.
func (r *Reader) finish(text []byte, explicit bool, ttl uint32) error {
	data, err := rdata.Parse(r.data[:0], r.rec.Type, text, r.file.origin)
	if err != nil {
		return err
	}
	r.data, r.rec.Data = data, data
	return r.setTTL(explicit, ttl)
}
