package rbl

import (
	"fmt"
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// The address of an answer, where a line leaves it out, as 1.05 compiled it.
func TestAnswerWithoutAddress(t *testing.T) {
	var b cdb.Batch
	var p Parser
	for _, l := range []string{"::a", "1.2.3.4", ":192.0.2.7:b", "::c", ":192.0.2.8x:d", "::e"} {
		if err := p.Line([]byte(l), &b); (err != nil) != (l == ":192.0.2.8x:d") {
			t.Errorf("%s: %v", l, err)
		}
	}
	var got string
	b.Each(func(key, data []byte) error {
		if len(key) == 0 {
			got += fmt.Sprintf("%x ", data)
		}
		return nil
	})
	if want := "0000000061 c000020762 c000020763 c000020765 "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzLine: every line gives an error or one record with a key of a known
// length.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", ":127.0.0.2:text $", "2001:db8::/32", "[::1]/128", "1.2.3.4.5/33x", "#x", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var b cdb.Batch
		if err := new(Parser).Line(line, &b); err != nil {
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
		if err := new(Parser).Line([]byte(l), w); err != nil {
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
