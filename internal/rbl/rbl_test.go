package rbl

import (
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// FuzzLine: every line gives an error or one record with a key of a known
// length.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", ":127.0.0.2:text $", "2001:db8::/32", "[::1]/128", "1.2.3.4.5/33x", "#x", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var b cdb.Batch
		if err := Line(line, &b); err != nil {
			if b.Count() != 0 {
				t.Fatalf("%q: an error and a record", line)
			}
			return
		}
		b.Each(func(key, data []byte) error {
			switch len(key) {
			case 0, keyLen4:
			case keyLen6:
				if key[16] > 128 {
					t.Fatalf("%q: length %d", line, key[16])
				}
			default:
				t.Fatalf("%q: key %x", line, key)
			}
			if len(key) > 0 && len(data) > 0 {
				t.Fatalf("%q: data at a listed address", line)
			}
			return nil
		})
	})
}

// FuzzData: a damaged list is refused or answers; it never faults.
func FuzzData(f *testing.F) {
	m := &testbin.Memory{}
	w := cdb.NewWriter(m)
	for _, l := range []string{":127.0.0.2:x$", "10.0.0.0/8", "10.0.0.1/30", "2001:db8::/33"} {
		if err := Line([]byte(l), w); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		f.Fatal(err)
	}
	if _, err := Open(m.B); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(make([]byte, cdb.HeaderLen))
	f.Add(m.B)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Open(b)
		if err != nil {
			return
		}
		a := Answerer{Base: "\x00"}
		name := []byte("\x011\x010\x010\x0210\x00")
		q := content.Question{QName: name, Name: name, Type: dns.TypeANY, Class: dns.ClassIN, Limit: 512}
		a.Answer(nil, l, &q)
	})
}
