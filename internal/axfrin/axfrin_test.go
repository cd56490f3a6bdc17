package axfrin

import (
	"encoding/binary"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
)

const zone = dnsname.Name("\x04zone\x04test\x00")

// rr is a record of a test message.
type rr struct {
	owner string
	t     dns.Type
	class dns.Class
	data  string
}

func soa(serial uint32) string {
	return "\x01a\x00\x01b\x00" + string(binary.BigEndian.AppendUint32(nil, serial)) + "0123456789abcdef"
}

func message(id, bits uint16, rrs ...rr) []byte {
	var b wire.Builder
	b.Reset(nil, 65535, id, bits)
	for _, r := range rrs {
		if r.class == 0 {
			r.class = dns.ClassIN
		}
		n, _ := dnsname.ParseDot(r.owner)
		b.Name([]byte(n))
		b.Uint16(uint16(r.t))
		b.Uint16(uint16(r.class))
		b.Uint32(5)
		b.Uint16(uint16(len(r.data)))
		b.Bytes([]byte(r.data))
	}
	m := b.Finish()
	binary.BigEndian.PutUint16(m[6:], uint16(len(rrs)))
	return m
}

// asked puts a question into a message.
func asked(name string, m []byte) []byte {
	n, _ := dnsname.ParseDot(name)
	out := append(append(append([]byte(nil), m[:12]...), n...), 0, 252, 0, 1)
	out[5] = 1
	return append(out, m[12:]...)
}

// promised says that there are 65535 records of each section.
func promised(m []byte) []byte {
	for i := 6; i < 12; i++ {
		m[i] = 0xFF
	}
	return m
}

const answer = wire.BitQR | wire.BitAA

func TestTransfers(t *testing.T) {
	start := rr{owner: "zone.test", t: dns.TypeSOA, data: soa(7)}
	a := rr{owner: "a.zone.test", t: dns.TypeA, data: "\x01\x02\x03\x04"}
	for _, c := range []struct {
		name string
		msgs [][]byte
		want int  // records
		done bool // else an error or more to come
		bad  bool
	}{
		{"whole", [][]byte{message(9, answer, start, a, start)}, 2, true, false},
		{"one record a message", [][]byte{message(9, answer, start), message(9, answer, a), message(9, answer, start)}, 2, true, false},
		{"upper case", [][]byte{message(9, answer, rr{owner: "ZONE.test", t: dns.TypeSOA, data: soa(7)}, rr{owner: "A.zOne.test", t: dns.TypeA, data: "abcd"}, start)}, 2, true, false},
		{"cut", [][]byte{message(9, answer, start, a)}, 2, false, false},
		{"empty", [][]byte{message(9, answer)}, 0, false, false},
		{"foreign records", [][]byte{message(9, answer, start, rr{owner: "test", t: dns.TypeA, data: "abcd"}, rr{owner: "b.zone.test", t: dns.TypeA, class: dns.ClassCH, data: "abcd"}, start)}, 1, true, false},
		{"SOA of a zone below", [][]byte{message(9, answer, start, rr{owner: "sub.zone.test", t: dns.TypeSOA, data: soa(1)}, a, start)}, 2, true, false},
		{"does not start with SOA", [][]byte{message(9, answer, a, start, start)}, 0, false, true},
		{"starts with another zone's", [][]byte{message(9, answer, rr{owner: "sub.zone.test", t: dns.TypeSOA, data: soa(7)})}, 0, false, true},
		{"starts in another class", [][]byte{message(9, answer, rr{owner: "zone.test", t: dns.TypeSOA, class: dns.ClassCH, data: soa(7)})}, 0, false, true},
		{"changes on the way", [][]byte{message(9, answer, start, a, rr{owner: "zone.test", t: dns.TypeSOA, data: soa(8)})}, 2, false, true},
		{"wrong id", [][]byte{message(8, answer, start, a, start)}, 0, false, true},
		{"another question", [][]byte{asked("other.test", message(9, answer, start, a, start))}, 0, false, true},
		{"the question", [][]byte{asked("ZONE.test", message(9, answer, start, a, start))}, 2, true, false},
		{"a loop of pointers", [][]byte{append(message(9, answer, start), 0xC0, 0x0C+100, 0xC0)}, 1, false, true},
		{"many records promised", [][]byte{promised(message(9, answer, start, a, start))}, 2, true, false},
		{"a query", [][]byte{message(9, 0, start, a, start)}, 0, false, true},
		{"refused", [][]byte{message(9, answer|5)}, 0, false, true},
		{"refused on the way", [][]byte{message(9, answer, start, a), message(9, answer|2)}, 2, false, true},
		{"truncated", [][]byte{message(9, answer|wire.BitTC, start, a, start)}, 0, false, true},
		{"goes on after the end", [][]byte{message(9, answer, start, start), message(9, answer, a)}, 1, false, true},
		{"junk behind the records", [][]byte{append(message(9, answer, start, start), 1)}, 1, false, true},
		{"short SOA", [][]byte{message(9, answer, rr{owner: "zone.test", t: dns.TypeSOA, data: "\x00\x00abc"})}, 0, false, true},
		{"NS with half a name", [][]byte{message(9, answer, start, rr{owner: "zone.test", t: dns.TypeNS, data: "\x03ab"})}, 1, false, true},
		{"MX with nothing", [][]byte{message(9, answer, start, rr{owner: "zone.test", t: dns.TypeMX, data: "\x00"})}, 1, false, true},
		{"NS with junk", [][]byte{message(9, answer, start, rr{owner: "zone.test", t: dns.TypeNS, data: "\x01a\x00junk"}, start)}, 2, true, false},
	} {
		r := New(zone, 9)
		n, done := 0, false
		var err error
		for _, m := range c.msgs {
			if done, err = r.Message(m, func(r *tinydata.Record) error { n++; return nil }); err != nil {
				break
			}
		}
		if n != c.want || done != c.done && err == nil || (err != nil) != c.bad {
			t.Errorf("%s: %d records, done %v, %v", c.name, n, done, err)
		}
	}
}

func TestCompressedData(t *testing.T) {
	// SRV with a pointer in it, as old servers send it (RFC 3597, section 4)
	m := message(9, answer, rr{owner: "zone.test", t: dns.TypeSOA, data: soa(7)},
		rr{owner: "s.zone.test", t: dns.TypeSRV, data: "\x00\x01\x00\x02\x00\x03\x01x\xc0\x0c"})
	var got string
	_, err := New(zone, 9).Message(m, func(r *tinydata.Record) error { got = string(r.Data); return nil })
	if want := "\x00\x01\x00\x02\x00\x03\x01x" + string(zone); err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestSOA(t *testing.T) {
	if s, err := SOA(message(0, answer, rr{owner: "zone.test", t: dns.TypeSOA, data: soa(77)}), zone, 0); s != 77 || err != nil {
		t.Error(s, err)
	}
	for _, m := range [][]byte{nil, message(0, answer), message(0, answer, rr{owner: "test", t: dns.TypeSOA, data: soa(1)}),
		message(0, answer, rr{owner: "zone.test", t: dns.TypeA, data: "abcd"}), message(1, answer, rr{owner: "zone.test", t: dns.TypeSOA, data: soa(1)})} {
		if _, err := SOA(m, zone, 0); err == nil {
			t.Errorf("%q accepted", m)
		}
	}
}

// FuzzStream takes any two messages: nothing but an error may come of nonsense,
// every record that comes out can be written as a line, and the line read back
// is the same record.
func FuzzStream(f *testing.F) {
	start := rr{owner: "zone.test", t: dns.TypeSOA, data: soa(7)}
	f.Add(message(0, answer, start), message(0, answer, rr{owner: "a.zone.test", t: dns.TypeMX, data: "\x00\x01\xc0\x0c"}, start))
	f.Add(message(0, answer, start, rr{owner: "*.zone.test", t: dns.TypeTXT, data: "\x01x"}), message(0, answer, start))
	f.Add(message(0, answer, start, rr{owner: "s.zone.test", t: dns.TypeSRV, data: "\x00\x01\x00\x02\x00\x03\xc0\x0c"}), []byte{})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		SOA(one, zone, 0)
		r := New(zone, 0)
		for _, m := range [][]byte{one, two} {
			done, err := r.Message(m, func(r *tinydata.Record) error {
				if !dnsname.Valid(r.Owner) || !dnsname.IsBelow(r.Owner, zone) {
					t.Fatalf("owner %q", r.Owner)
				}
				if line, err := tinydata.AppendClassic(nil, r); err == nil && (len(line) == 0 || line[len(line)-1] != '\n') {
					t.Fatalf("line %q", line)
				}
				return nil
			})
			if err != nil || done {
				return
			}
		}
	})
}
