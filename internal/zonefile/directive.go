package zonefile

import (
	"bytes"
	"errors"
	"strconv"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// directive obeys a line that begins with $; w is its first word.
func (r *Reader) directive(w []byte, c *cursor) error {
	f := r.file
	line := f.line
	text, err := c.rest(&r.text)
	if err != nil {
		return err
	}
	args, err := fields(text)
	if err != nil {
		return err
	}
	switch string(bytes.ToUpper(w)) {
	case "$ORIGIN":
		if len(args) != 1 {
			return errors.New("$ORIGIN takes one name")
		}
		n, err := dnsname.ParseMaster(args[0], f.origin)
		if err != nil {
			return &wordError{"$ORIGIN: not a domain name", string(cutWord(args[0]))}
		}
		f.origin = n
		return nil
	case "$TTL":
		if len(args) != 1 {
			return errors.New("$TTL takes one time")
		}
		n, ok := rdata.ParsePeriod(args[0])
		if !ok {
			return &wordError{"$TTL: not a time", string(cutWord(args[0]))}
		}
		if n > maxTTL {
			return errTTL
		}
		r.defTTL, r.defKnown = n, true
		return nil
	case "$INCLUDE":
		return r.include(args)
	case "$GENERATE":
		return r.startGenerate(args, line)
	}
	return &wordError{"unknown directive", string(cutWord(w))}
}

// fields splits text at blanks; a field in double quotes may hold blanks, and
// loses its quotes. Escapes stay as they are, but for \" in quotes.
func fields(text []byte) ([][]byte, error) {
	var out [][]byte
	for i := 0; ; {
		for i < len(text) && (class[text[i]] == blankByte || text[i] == '\n') {
			i++
		}
		if i == len(text) {
			return out, nil
		}
		if len(out) == maxFields {
			return nil, errors.New("too many words")
		}
		from := i
		quoted := text[i] == '"'
		if quoted {
			i++
			from = i
		}
		for i < len(text) {
			b := text[i]
			if quoted && b == '"' || !quoted && (class[b] == blankByte || b == '\n') {
				break
			}
			if b == '\\' {
				i++
			}
			i++
		}
		if i > len(text) || quoted && i == len(text) {
			return nil, errQuote
		}
		field := text[from:i]
		if quoted {
			field = bytes.ReplaceAll(field, []byte(`\"`), []byte(`"`)) // as BIND's scanner does
			i++
		}
		out = append(out, field)
	}
}

// maxFields bounds the words of a directive; $GENERATE with unquoted data is
// the longest.
const maxFields = 64

func (r *Reader) include(args [][]byte) error {
	f := r.file
	if len(args) != 1 && len(args) != 2 {
		return errors.New("$INCLUDE takes a file and perhaps an origin")
	}
	if r.opt.Include == nil {
		return errors.New("$INCLUDE is not allowed here")
	}
	if f.depth+1 >= maxIncludeDepth {
		return errors.New("$INCLUDE more than " + strconv.Itoa(maxIncludeDepth) + " files deep")
	}
	if r.includes++; r.includes > maxIncludes {
		return errors.New("more than " + strconv.Itoa(maxIncludes) + " files included")
	}
	origin := f.origin
	if len(args) == 2 {
		var err error
		if origin, err = dnsname.ParseMaster(args[1], f.origin); err != nil {
			return &wordError{"$INCLUDE: not a domain name", string(cutWord(args[1]))}
		}
	}
	name := string(args[0])
	text, err := r.opt.Include(name)
	if err != nil {
		return errors.New("$INCLUDE " + string(cutWord(args[0])) + ": " + err.Error())
	}
	r.file = &file{parent: f, depth: f.depth + 1, name: name, text: text, line: 1, origin: origin}
	return nil
}
