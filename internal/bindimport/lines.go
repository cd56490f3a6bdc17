package bindimport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/tinydata"
)

// maxQuoteLine is the longest text of a ' line: longer text would be cut into
// strings of 127 bytes (compat: djbdns.md section 4.2).
const maxQuoteLine = 127

// appendName appends a name for a field: absolute, letter case kept, octal
// escapes for what is not a letter, digit, hyphen, underscore or asterisk.
func appendName(dst []byte, n []byte) []byte {
	if n[0] == 0 {
		return append(dst, '.')
	}
	for i := 0; n[i] != 0; {
		if i > 0 {
			dst = append(dst, '.')
		}
		end := i + 1 + int(n[i])
		for i++; i < end; i++ {
			dst = appendByte(dst, n[i], false)
		}
	}
	return dst
}

func appendByte(dst []byte, c byte, text bool) []byte {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '*':
		return append(dst, c)
	case text && c > ' ' && c < 127 && c != ':' && c != '\\', text && c == ' ':
		return append(dst, c)
	}
	return append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
}

// appendTarget is appendName with a final dot, so that a server of one label
// is a whole name too.
func appendTarget(dst, n []byte) []byte {
	dst = appendName(dst, n)
	if n[0] != 0 {
		dst = append(dst, '.')
	}
	return dst
}

// AppendLine appends the data line of a record, without newline. lo is its
// location, "" for everybody.
func AppendLine(dst []byte, r *Record, lo string) []byte {
	owner, d := []byte(r.Owner), r.Data
	ok := rdata.Check(r.Type, d) == nil
	tail := func(dst []byte) []byte {
		dst = strconv.AppendUint(append(dst, ':'), uint64(r.TTL), 10)
		if lo != "" {
			dst = append(append(dst, "::"...), lo...)
		}
		return dst
	}
	switch {
	case r.Type == dns.TypeA && ok:
		dst = append(appendName(append(dst, '+'), owner), ':')
		return tail(fmt.Appendf(dst, "%d.%d.%d.%d", d[0], d[1], d[2], d[3]))
	case r.Type == dns.TypeNS && ok:
		return tail(appendTarget(append(appendName(append(dst, '&'), owner), "::"...), d))
	case r.Type == dns.TypeMX && ok:
		dst = appendTarget(append(appendName(append(dst, '@'), owner), "::"...), d[2:])
		return tail(strconv.AppendUint(append(dst, ':'), uint64(binary.BigEndian.Uint16(d)), 10))
	case (r.Type == dns.TypeCNAME || r.Type == dns.TypePTR) && ok:
		c := byte('C')
		if r.Type == dns.TypePTR {
			c = '^'
		}
		return tail(appendTarget(append(appendName(append(dst, c), owner), ':'), d))
	case r.Type == dns.TypeSOA && ok:
		m, _ := dnsname.Scan(d)
		n, _ := dnsname.Scan(d[m:])
		dst = appendTarget(append(appendName(append(dst, 'Z'), owner), ':'), d[:m])
		dst = appendTarget(append(dst, ':'), d[m:m+n])
		for b := d[m+n:]; len(b) > 0; b = b[4:] {
			dst = strconv.AppendUint(append(dst, ':'), uint64(binary.BigEndian.Uint32(b)), 10)
		}
		return tail(dst)
	case r.Type == dns.TypeTXT && ok && int(d[0])+1 == len(d) && len(d) > 1 && len(d) <= maxQuoteLine+1:
		dst = append(appendName(append(dst, '\''), owner), ':')
		for _, c := range d[1:] {
			dst = appendByte(dst, c, true)
		}
		return tail(dst)
	}
	// presentation form after the mnemonic, colons as \072
	dst = append(appendName(append(dst, ':'), owner), ':')
	dst = append(append(dst, r.Type.String()...), ':')
	for _, c := range rdata.AppendText(nil, r.Type, d) {
		if c == ':' {
			dst = append(dst, `\072`...)
		} else {
			dst = append(dst, c)
		}
	}
	return tail(dst)
}

// checkLine compiles a line and compares the one record it must give: nothing
// is ever rewritten in silence.
func checkLine(p *tinydata.Parser, line []byte, r *Record, lo string) error {
	var b cdb.Batch
	if err := p.Line(line, &b); err != nil {
		return fmt.Errorf("the line %s does not compile: %w", line, err)
	}
	n := 0
	err := b.Each(func(key, data []byte) error {
		n++
		got, ok := tinydata.Decode(nil, key, data)
		var want [2]byte
		copy(want[:], lo)
		if !ok || !dnsname.Equal(got.Owner, r.Owner) || got.Type != r.Type || got.TTL != r.TTL || got.Loc != want || got.Time != [8]byte{} || !bytes.Equal(got.Data, r.Data) {
			return fmt.Errorf("the line %s stands for another record", line)
		}
		return nil
	})
	if err == nil && n != 1 {
		err = fmt.Errorf("the line %s makes %d records", line, n)
	}
	return err
}

// Write writes the data lines: locations, then zone by zone, each record after
// a comment with its source.
func (c *Config) Write(w *bufio.Writer) error {
	fmt.Fprintf(w, "%s\n", Header)
	for _, f := range c.Files {
		fmt.Fprintf(w, "# from %s\n", f)
	}
	for _, line := range c.locations() {
		fmt.Fprintln(w, line)
	}
	var p tinydata.Parser
	var buf []byte
	for _, v := range c.Views {
		for _, z := range v.Zones {
			fmt.Fprintf(w, "\n# zone %s", z.Name)
			if v.Name != "" {
				fmt.Fprintf(w, " of view %s", v.Name)
			}
			fmt.Fprintf(w, ", file %s, %s\n", z.File, z.Place)
			file, line := "", -1
			for i := range z.Records {
				r := &z.Records[i]
				if r.File != file || r.Line != line {
					file, line = r.File, r.Line
					fmt.Fprintf(w, "# %s:%d", file, line)
					if r.Generated {
						fmt.Fprint(w, " $GENERATE")
					}
					if r.changed {
						fmt.Fprintf(w, " had TTL %d, served with %d", r.written, r.TTL)
					}
					fmt.Fprintln(w)
				}
				buf = AppendLine(buf[:0], r, v.Lo)
				if err := checkLine(&p, buf, r, v.Lo); err != nil {
					return fmt.Errorf("%s:%d: %w", r.File, r.Line, err)
				}
				w.Write(append(buf, '\n'))
			}
		}
	}
	return nil
}

// Header is the first line of a file that bind-import may replace.
const Header = "# made by bind-import"
