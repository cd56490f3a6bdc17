// Package rdata knows what the data of each record type consist of. One row of
// a table per type lists its blocks (a number, a name, a string, ...), and
// every operation walks the same row:
//
//	table.go    the rows; a new type is one line there
//	parse.go    presentation form -> wire form (RFC 1035, section 5.1)
//	print.go    wire form -> presentation form
//	walk.go     check, decompress, canonical form, target of additional data
//	lexer.go    words, quotes and escapes of one record's data
//	others      blocks with a grammar of their own: bitmaps, SVCB, LOC, APL, ...
//
// Types without a row, and data that no presentation form can express, are
// written as \# LENGTH HEX (RFC 3597, section 5), which is read for all types.
// Names inside the package are in wire form. Class IN is understood.
package rdata

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// Error says why text or bytes are no data of a type.
type Error struct {
	Type  dns.Type
	Field string // the block's name in the table, "" when none is to blame
	Text  string // what is wrong
	Word  string // the word that was read, cut to maxWord bytes; "" at the end
}

// maxWord bounds what an error message repeats of hostile input, in bytes.
const maxWord = 60

func (e *Error) Error() string {
	s := e.Type.String()
	if e.Field != "" {
		s += " " + e.Field
	}
	s += ": " + e.Text
	if e.Word != "" {
		s += ": " + e.Word
	}
	return s
}

func fail(text string, word []byte) error {
	if len(word) > maxWord {
		word = word[:maxWord]
	}
	safe := make([]byte, 0, len(word))
	for _, c := range word {
		if c < ' ' || c > '~' {
			c = '?'
		}
		safe = append(safe, c)
	}
	return &Error{Text: text, Word: string(safe)}
}

// Parse appends the wire form of data in presentation form. Names without a
// final dot are completed with origin; "" means that they are absolute. text
// is one record's data without comments, parentheses and line ends, which
// package zonefile removes; blanks at both ends are allowed. On error dst is
// returned as it was.
func Parse(dst []byte, t dns.Type, text []byte, origin dnsname.Name) ([]byte, error) {
	start := len(dst)
	l := lexer{s: text, origin: origin}
	var out []byte
	var err error
	if l.generic() {
		out, err = parseGeneric(dst, t, &l)
	} else {
		out, err = parseRow(dst, t, &l)
	}
	if err == nil {
		if w, ok := l.peek(); ok {
			err = fail("unexpected word", w)
		} else if l.bad != "" {
			err = fail(l.bad, nil)
		} else if len(out)-start > dns.MaxMessage {
			err = fail("longer than 65535 bytes", nil)
		}
	}
	if err != nil {
		if e, ok := err.(*Error); ok {
			e.Type = t
		}
		return dst[:start], err
	}
	return out, nil
}

// AppendText appends the presentation form of data, with absolute names. Data
// that are malformed, or that the type's own form can not express, and data of
// types without a row get the form \# LENGTH HEX (RFC 3597, section 5). So
// what Parse reads back is the same bytes whenever Check accepts data.
func AppendText(dst []byte, t dns.Type, data []byte) []byte {
	start := len(dst)
	if r := rowOf(t); r != nil {
		if out, ok := printRow(dst, r, data); ok {
			return out
		}
	}
	return appendGeneric(dst[:start], data)
}

// Known reports whether t has a presentation form of its own.
func Known(t dns.Type) bool { return rowOf(t) != nil }
