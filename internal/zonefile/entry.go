package zonefile

import (
	"bytes"
	"errors"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// Bytes that mean something to the scanner of entries.
const (
	plainByte = iota
	blankByte
	specialByte // newline ( ) ; " backslash
)

var class = func() (t [256]uint8) {
	t[' '], t['\t'], t['\r'] = blankByte, blankByte, blankByte
	for _, c := range "\n();\"\\" {
		t[c] = specialByte
	}
	return
}()

var (
	errParen    = errors.New("parenthesis not closed")
	errUnparen  = errors.New("closing parenthesis without an opening one")
	errQuote    = errors.New("quotes not closed before the end of the line")
	errLong     = errors.New("entry longer than 1 MiB")
	errNoType   = errors.New("no record type")
	errNoOwner  = errors.New("blank owner, but no record before it in this file")
	errEscape   = errors.New("backslash at the end of the line")
	errMidQuote = errors.New("quotes where a name, TTL, class or type should be")
)

// skipEmpty moves to the next line that holds more than blanks and comments;
// false at the end of the file.
func (f *file) skipEmpty() bool {
	for f.at < len(f.text) {
		i := f.at
		for i < len(f.text) && class[f.text[i]] == blankByte {
			i++
		}
		if i == len(f.text) {
			return false
		}
		if c := f.text[i]; c != '\n' && c != ';' {
			return true
		}
		nl := bytes.IndexByte(f.text[i:], '\n')
		if nl < 0 {
			return false
		}
		f.at = i + nl + 1
		f.line++
	}
	return false
}

// cursor reads the words of one entry, which parentheses may spread over
// several lines.
type cursor struct {
	f     *file
	depth int // open parentheses
}

// word gives the next word, nil at the end of the entry.
func (c *cursor) word() ([]byte, error) {
	f := c.f
	for {
		for f.at < len(f.text) && class[f.text[f.at]] == blankByte {
			f.at++
		}
		if f.at == len(f.text) {
			if c.depth > 0 {
				return nil, errParen
			}
			return nil, nil
		}
		switch f.text[f.at] {
		case '(':
			c.depth++
			f.at++
			continue
		case ')':
			if c.depth == 0 {
				return nil, errUnparen
			}
			c.depth--
			f.at++
			continue
		case ';':
			nl := bytes.IndexByte(f.text[f.at:], '\n')
			if nl < 0 {
				f.at = len(f.text)
			} else {
				f.at += nl
			}
			continue
		case '\n':
			if c.depth == 0 {
				return nil, nil // left for end
			}
			f.at++
			f.line++
			continue
		case '"':
			return nil, errMidQuote
		}
		break
	}
	from := f.at
	for f.at < len(f.text) {
		b := f.text[f.at]
		switch class[b] {
		case blankByte:
			return f.text[from:f.at], nil
		case specialByte:
			if b != '\\' {
				return f.text[from:f.at], nil
			}
			f.at++
			if f.at == len(f.text) || f.text[f.at] == '\n' {
				return nil, errEscape
			}
		}
		f.at++
	}
	return f.text[from:], nil
}

// rest gives the text up to the end of the entry, without parentheses,
// comments and line ends, and moves after the entry. buf is used when they
// have to be taken out. The result is valid as long as both the file's text
// and buf are.
func (c *cursor) rest(buf *[]byte) ([]byte, error) {
	f := c.f
	t := f.text
	from, i := f.at, f.at
	start := i
	out := (*buf)[:0]
	copied := false
	cut := func() { // copies t[from:i], a blank after it
		out = append(append(out, t[from:i]...), ' ')
		copied = true
	}
	for {
		if i-start > maxEntry {
			return nil, errLong
		}
		if i == len(t) {
			if c.depth > 0 {
				return nil, errParen
			}
			break
		}
		b := t[i]
		if class[b] != specialByte {
			i++
			continue
		}
		switch b {
		case '\\':
			i++
			if i == len(t) || t[i] == '\n' {
				return nil, errEscape
			}
			i++
			continue
		case '"':
			for i++; ; i++ {
				if i == len(t) || t[i] == '\n' {
					return nil, errQuote
				}
				if t[i] == '"' {
					break
				}
				if t[i] == '\\' {
					i++
					if i == len(t) || t[i] == '\n' {
						return nil, errQuote
					}
				}
			}
			i++
			continue
		case '(', ')':
			cut()
			if b == '(' {
				c.depth++
			} else if c.depth--; c.depth < 0 {
				return nil, errUnparen
			}
			i++
			from = i
			continue
		case ';':
			cut()
			if nl := bytes.IndexByte(t[i:], '\n'); nl >= 0 {
				i += nl
			} else {
				i = len(t)
			}
			from = i
			continue
		}
		// newline
		if c.depth == 0 {
			break
		}
		cut()
		i++
		f.line++
		from = i
	}
	text := t[from:i]
	if copied {
		out = append(out, text...)
		*buf = out
		text = out
	}
	if i < len(t) {
		i++ // the newline
		f.line++
	}
	f.at = i
	return text, nil
}

// entry reads one entry. It gives false for one that makes no record.
func (r *Reader) entry() (bool, error) {
	f := r.file
	r.rec.File, r.rec.Line, r.rec.Generated = f.name, f.line, false
	c := cursor{f: f}
	blankOwner := class[f.text[f.at]] == blankByte
	w, err := c.word()
	if err != nil {
		return false, err
	}
	if !blankOwner {
		if len(w) > 1 && w[0] == '$' {
			return false, r.directive(w, &c)
		}
		if w == nil { // nothing but parentheses
			return false, errNoType
		}
		owner, err := dnsname.AppendParseMaster(r.owner[:0], w, f.origin)
		if err != nil {
			return false, &wordError{"owner is not a domain name", string(cutWord(w))}
		}
		r.owner = owner
		f.last = append(f.last[:0], owner...)
		if w, err = c.word(); err != nil {
			return false, err
		}
	} else if f.last == nil {
		return false, errNoOwner
	} else {
		r.owner = append(r.owner[:0], f.last...)
	}
	r.rec.Owner = r.owner
	explicit, ttl, err := r.header(w, &c)
	if err != nil {
		return false, err
	}
	text, err := c.rest(&r.text)
	if err != nil {
		return false, err
	}
	return true, r.finish(text, explicit, ttl)
}

// header reads [TTL] [class] type, TTL and class in either order (RFC 1035,
// section 5.1), w being the first word.
func (r *Reader) header(w []byte, c *cursor) (explicit bool, ttl uint32, err error) {
	r.rec.Class = r.opt.Class
	haveClass := false
	for ; ; w, err = c.word() {
		if err != nil {
			return false, 0, err
		}
		if w == nil {
			return false, 0, errNoType
		}
		if !explicit && '0' <= w[0] && w[0] <= '9' {
			n, ok := rdata.ParsePeriod(w)
			if !ok {
				return false, 0, &wordError{"not a TTL", string(cutWord(w))}
			}
			if n > maxTTL {
				return false, 0, errTTL
			}
			explicit, ttl = true, n
			continue
		}
		if !haveClass {
			if cl, ok := parseClass(w); ok {
				if cl != r.opt.Class {
					return false, 0, &wordError{"class differs from the zone's class " + r.opt.Class.String(), string(cutWord(w))}
				}
				haveClass = true
				continue
			}
		}
		t, ok := parseType(w)
		if !ok {
			return false, 0, &wordError{"unknown record type", string(cutWord(w))}
		}
		if t.IsMeta() {
			return false, 0, &wordError{"not a type of data", string(cutWord(w))}
		}
		r.rec.Type = t
		return explicit, ttl, nil
	}
}

// parseType and parseClass take the commonest words without allocation.
func parseType(w []byte) (dns.Type, bool) {
	switch string(w) {
	case "A":
		return dns.TypeA, true
	case "AAAA":
		return dns.TypeAAAA, true
	case "CNAME":
		return dns.TypeCNAME, true
	case "MX":
		return dns.TypeMX, true
	case "NS":
		return dns.TypeNS, true
	case "PTR":
		return dns.TypePTR, true
	case "TXT":
		return dns.TypeTXT, true
	}
	return dns.ParseType(string(w))
}

func parseClass(w []byte) (dns.Class, bool) {
	if string(w) == "IN" {
		return dns.ClassIN, true
	}
	if len(w) < 2 {
		return 0, false
	}
	switch w[0] | 0x20 { // IN, CH, HS, NONE, ANY, CLASS1
	case 'i', 'c', 'h', 'n', 'a':
		return dns.ParseClass(string(w))
	}
	return 0, false
}

// wordError names the word at fault.
type wordError struct{ text, word string }

func (e *wordError) Error() string { return e.text + ": " + e.word }

// cutWord bounds and cleans what a message repeats of the input.
func cutWord(w []byte) []byte {
	const max = 60
	if len(w) > max {
		w = w[:max]
	}
	w = bytes.Clone(w)
	for i, c := range w {
		if c < ' ' || c > '~' {
			w[i] = '?'
		}
	}
	return w
}
