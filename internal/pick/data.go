// Package pick is what pickdns serves: names with many addresses, by the
// client's location (compat: djbdns.md sections 9.3 and 9.4).
package pick

import (
	"bytes"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/scan"
	"bulkhead/internal/tinydata"
)

// entry is one address line.
type entry struct {
	lo   [2]byte
	name string // wire form, lower case
	ip   [4]byte
}

// compare orders entries by location, then length of the name, then name.
func compare(a, b *entry) int {
	if c := bytes.Compare(a.lo[:], b.lo[:]); c != 0 {
		return c
	}
	if len(a.name) != len(b.name) {
		return len(a.name) - len(b.name)
	}
	switch {
	case a.name < b.name:
		return -1
	case a.name > b.name:
		return 1
	}
	return 0
}

// Data collects the lines of a data file.
type Data struct {
	entries []entry
	buf     []byte
}

// ErrName is the error of a name that can not be parsed, in the words it has
// always had.
var ErrName = cdb.ErrFull

// Line takes one line. Location lines go to b at once, addresses wait for
// Finish.
func (d *Data) Line(line []byte, b Adder) error {
	for len(line) > 0 && (line[len(line)-1] == ' ' || line[len(line)-1] == '\t') {
		line = line[:len(line)-1]
	}
	if len(line) == 0 || line[0] == '#' || line[0] == '-' {
		return nil
	}
	var f [3][]byte
	rest := line[1:]
	for i := range f {
		f[i], rest, _ = bytes.Cut(rest, []byte(":"))
	}
	switch line[0] {
	case '+':
		var err error
		if d.buf, err = dnsname.AppendDot(d.buf[:0], f[0]); err != nil {
			return ErrName
		}
		ip, _, ok := scan.IP4(f[1])
		if !ok {
			return tinydata.Reason("malformed IP address")
		}
		e := entry{name: string(dnsname.Lower(d.buf)), ip: ip}
		copy(e.lo[:], f[2])
		d.entries = append(d.entries, e)
		return nil
	case '%':
		var lo [2]byte
		copy(lo[:], f[0])
		d.buf = tinydata.AppendPrefix4(append(d.buf[:0], '%'), f[1])
		return b.Add(d.buf, lo[:])
	}
	return tinydata.Reason("unrecognized leading character")
}

// Finish adds the addresses, one record a location and name.
func (d *Data) Finish(b Adder) error {
	sort(d.entries)
	for i := 0; i < len(d.entries); {
		e := &d.entries[i]
		key := append([]byte{'+', e.lo[0], e.lo[1]}, e.name...)
		var data []byte
		for ; i < len(d.entries) && compare(e, &d.entries[i]) == 0; i++ {
			data = append(data, d.entries[i].ip[:]...)
		}
		if err := b.Add(key, data); err != nil {
			return err
		}
	}
	return nil
}

// sort is the heap sort of compat: djbdns.md section 9.3. Any sort would do but
// for the order in which it leaves equal entries, which decides the order of
// the addresses in a record.
func sort(entries []entry) {
	z := func(i int) *entry { return &entries[i-1] } // counts from 1
	n := len(entries)
	i, j := n, n
	for j > 1 {
		var t entry
		if i > 1 {
			i--
			t = *z(i)
		} else {
			t = *z(j)
			*z(j) = *z(i)
			j--
		}
		q := i
		p := 2 * q
		for ; p < j; p = 2 * q {
			if compare(z(p+1), z(p)) >= 0 {
				p++
			}
			*z(q) = *z(p)
			q = p
		}
		if p == j {
			*z(q) = *z(p)
			q = p
		}
		for q > i {
			p = q / 2
			if compare(&t, z(p)) <= 0 {
				break
			}
			*z(q) = *z(p)
			q = p
		}
		*z(q) = t
	}
}

// Adder takes records: a cdb.Writer or cdb.Batch.
type Adder interface{ Add(key, data []byte) error }
