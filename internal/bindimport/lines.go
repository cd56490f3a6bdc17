package bindimport

import (
	"bufio"
	"bytes"
	"fmt"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/tinydata"
)

// line is the record as the data language has it. lo is its location, "" for
// everybody.
func (r *Record) line(lo string) *tinydata.Record {
	l := &tinydata.Record{Owner: []byte(r.Owner), Type: r.Type, TTL: r.TTL, Data: r.Data}
	copy(l.Loc[:], lo)
	return l
}

// checkLine compiles a line and compares the one record it must give: nothing
// is ever rewritten in silence.
func checkLine(p *tinydata.Parser, line []byte, r *tinydata.Record) error {
	line = bytes.TrimSuffix(line, []byte("\n"))
	var b cdb.Batch
	if err := p.Line(line, &b); err != nil {
		return fmt.Errorf("the line %s does not compile: %w", line, err)
	}
	n := 0
	err := b.Each(func(key, data []byte) error {
		n++
		got, ok := tinydata.Decode(nil, key, data)
		if !ok || !dnsname.Equal(got.Owner, r.Owner) || got.Type != r.Type || got.TTL != r.TTL || got.Loc != r.Loc || got.Time != r.Time || !bytes.Equal(got.Data, r.Data) {
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
				l := r.line(v.Lo)
				var err error
				if buf, err = tinydata.AppendLine(buf[:0], l); err == nil {
					err = checkLine(&p, buf, l)
				}
				if err != nil {
					return fmt.Errorf("%s:%d: %w", r.File, r.Line, err)
				}
				w.Write(buf)
			}
		}
	}
	return nil
}

// Header is the first line of a file that bind-import may replace.
const Header = "# made by bind-import"
