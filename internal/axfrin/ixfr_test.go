package axfrin

import (
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
)

func TestChanges(t *testing.T) {
	s := func(n uint32) rr { return rr{owner: "zone.test", t: dns.TypeSOA, data: soa(n)} }
	a := func(name string) rr { return rr{owner: name + ".zone.test", t: dns.TypeA, data: "\x01\x02\x03\x04"} }
	sub := rr{owner: "sub.zone.test", t: dns.TypeSOA, data: soa(1)}
	out := rr{owner: "test", t: dns.TypeA, data: "abcd"}
	for _, c := range []struct {
		name string
		rrs  []rr
		want string // done, whole, what came
	}{
		{"unchanged", []rr{s(3)}, "done"},
		{"one difference", []rr{s(5), s(3), a("a"), s(5), a("b"), s(5)}, "done -a +b"},
		{"two", []rr{s(5), s(3), a("a"), s(4), a("b"), s(4), a("b"), s(5), a("c"), a("d"), s(5)}, "done -a +b -b +c +d"},
		{"nothing deleted, nothing added", []rr{s(5), s(3), s(5), s(5)}, "done"},
		{"whole", []rr{s(5), a("a"), a("b"), s(5)}, "done whole +a +b"},
		{"whole and empty", []rr{s(5), s(5)}, "done whole"},
		{"passed over", []rr{s(5), s(3), out, a("a"), sub, s(5), out, s(5)}, "done -a"},
		{"foreign before it begins", []rr{s(5), out, sub, s(3), s(5), a("b"), s(5)}, "done +b"},
		{"cut in the deleted", []rr{s(5), s(3), a("a")}, "more -a"},
		{"cut in the added", []rr{s(5), s(3), a("a"), s(5), a("b")}, "more -a +b"},
		{"cut after the first", []rr{s(5)}, "more"},
		{"starts from another version", []rr{s(5), s(2), a("a"), s(5), s(5)}, "bad"},
		{"a gap", []rr{s(5), s(3), s(4), a("b"), s(3), s(5), s(5)}, "bad +b"},
		{"ends early", []rr{s(5), s(3), s(4), a("b"), s(5)}, "bad +b"},
		{"goes on", []rr{s(5), s(3), s(5), s(5), a("x")}, "bad"},
		{"ends twice", []rr{s(5), s(3), s(5), s(5), s(5)}, "bad"},
		{"unchanged and more", []rr{s(3), a("x")}, "bad"},
		{"whole, changed on the way", []rr{s(5), a("a"), s(6)}, "bad whole +a"},
		{"no SOA first", []rr{a("a"), s(5)}, "bad"},
	} {
		// in one message, and each record in its own
		for _, split := range []bool{false, true} {
			msgs := [][]byte{message(9, answer, c.rrs...)}
			if split {
				msgs = nil
				for _, r := range c.rrs {
					msgs = append(msgs, message(9, answer, r))
				}
			}
			x := NewChanges(zone, 9, 3)
			state, list := "more", ""
			for _, m := range msgs {
				done, err := x.Message(m, func(deleted bool, r *tinydata.Record) error {
					list += " " + map[bool]string{true: "-", false: "+"}[deleted] + string(r.Owner[1:2])
					return nil
				})
				if err != nil {
					state = "bad"
					break
				}
				if done {
					state = "done"
				}
			}
			if x.Whole() {
				state += " whole"
			}
			if got := strings.TrimSpace(state + list); got != c.want {
				t.Errorf("%s (split %v): %s, want %s", c.name, split, got, c.want)
			}
		}
	}
	if _, err := NewChanges(zone, 9, 3).Message(message(9, answer), nil); err == nil {
		t.Error("an answer without a record is taken for the beginning of one")
	}
}

func TestIncrementalQuery(t *testing.T) {
	q := IncrementalQuery(nil, zone, []byte(soa(7)), 5)
	if int(q[0])<<8+int(q[1]) != len(q)-2 {
		t.Error("length")
	}
	c, err := wire.Parse(q[2:])
	if err != nil || c.Header.ID != 5 || c.Header.QDCount != 1 || c.Header.ANCount != 0 || c.Header.NSCount != 1 {
		t.Fatalf("%+v %v", c, err)
	}
}

// FuzzChanges takes any two messages: whatever comes, no record from outside
// the zone and no panic.
func FuzzChanges(f *testing.F) {
	s := func(n uint32) rr { return rr{owner: "zone.test", t: dns.TypeSOA, data: soa(n)} }
	a := rr{owner: "a.zone.test", t: dns.TypeA, data: "abcd"}
	f.Add(message(0, answer, s(5), s(3), a), message(0, answer, s(5), a, s(5)))
	f.Add(message(0, answer, s(5), a), message(0, answer, s(5)))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		x := NewChanges(zone, 0, 3)
		for _, m := range [][]byte{one, two} {
			done, err := x.Message(m, func(_ bool, r *tinydata.Record) error {
				if !strings.HasSuffix(strings.ToLower(string(r.Owner)), string(zone)) || r.Type == dns.TypeSOA {
					t.Fatalf("%q %v", r.Owner, r.Type)
				}
				return nil
			})
			if err != nil || done {
				return
			}
		}
	})
}
