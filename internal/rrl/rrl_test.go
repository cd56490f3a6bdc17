package rrl

import (
	"strings"
	"testing"

	"bulkhead/internal/content"
	"bulkhead/internal/dns"
)

func addr(a, b, c, d byte) *content.Addr {
	x := content.AddrFrom4([4]byte{a, b, c, d})
	return &x
}

func TestRateAndSlip(t *testing.T) {
	tb := New(5, 99)
	var got [3]int
	for i := range 25 {
		got[tb.check(addr(192, 0, 2, byte(i)), dns.RCodeSuccess, dns.TypeA, []byte("\x01a\x00"), 1000)]++
	}
	if got != [3]int{5, 10, 10} {
		t.Errorf("sent, truncated, dropped: %v", got)
	}
	if v := tb.check(addr(192, 0, 3, 1), dns.RCodeSuccess, dns.TypeA, []byte("\x01a\x00"), 1000); v != Send {
		t.Error("another network is limited")
	}
	if v := tb.check(addr(192, 0, 2, 1), dns.RCodeSuccess, dns.TypeA, []byte("\x01b\x00"), 1000); v != Send {
		t.Error("another question is limited")
	}
	if v := tb.check(addr(192, 0, 2, 1), dns.RCodeSuccess, dns.TypeA, []byte("\x01a\x00"), 1001); v != Send {
		t.Error("still limited a second later")
	}
}

func TestInventedNamesAreOneKind(t *testing.T) {
	tb := New(5, 99)
	sent := 0
	for i := range 100 {
		if tb.check(addr(192, 0, 2, 1), dns.RCodeNXDomain, dns.TypeA, []byte{1, byte(i), 0}, 7) == Send {
			sent++
		}
	}
	if sent != 5 {
		t.Errorf("%d answers for names that do not exist", sent)
	}
}

// What an attacker could invent names or types for is one kind of answer.
func TestKinds(t *testing.T) {
	q := func(name string) *content.Question {
		return &content.Question{QName: []byte(name), Name: []byte(name), Type: dns.TypeA, Class: dns.ClassIN}
	}
	// no answer, one authority record whose owner points to the last label
	nodata := func(name string) []byte {
		m := append([]byte{0, 1, 0x84, 0, 0, 1, 0, 0, 0, 1, 0, 0}, name...)
		m = append(m, 0, 1, 0, 1, 0xC0, byte(12+strings.LastIndexByte(name[:len(name)-1], 1)), 0, 6, 0, 1)
		return m
	}
	positive := []byte{0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0}
	for _, x := range []struct {
		what  string
		check func(tb *Table, i byte) Verdict
		same  bool
	}{
		{"no data", func(tb *Table, i byte) Verdict {
			n := string([]byte{1, i, 1, 'z', 0})
			return tb.Check(addr(1, 2, 3, 4), nodata(n), q(n), 0, 7)
		}, true},
		{"no data of several zones", func(tb *Table, i byte) Verdict {
			n := string([]byte{1, 'a', 1, i, 0})
			return tb.Check(addr(1, 2, 3, 4), nodata(n), q(n), 0, 7)
		}, false},
		{"types", func(tb *Table, i byte) Verdict {
			x := q("\x01a\x01z\x00")
			x.Type = dns.Type(i)
			return tb.Check(addr(1, 2, 3, 4), nodata("\x01a\x01z\x00"), x, 0, 7)
		}, true},
		{"wildcard", func(tb *Table, i byte) Verdict {
			x := q(string([]byte{1, i, 1, 'z', 0}))
			x.Same = []byte("\x01*\x01z\x00")
			return tb.Check(addr(1, 2, 3, 4), positive, x, 0, 7)
		}, true},
		{"names that exist", func(tb *Table, i byte) Verdict {
			return tb.Check(addr(1, 2, 3, 4), positive, q(string([]byte{1, i, 1, 'z', 0})), 0, 7)
		}, false},
		{"refused", func(tb *Table, i byte) Verdict {
			return tb.Check(addr(1, 2, 3, 4), positive[:12], q(string([]byte{1, i, 0})), dns.RCodeRefused, 7)
		}, true},
		{"cut off", func(tb *Table, i byte) Verdict {
			n := string([]byte{1, i, 1, 'z', 0})
			return tb.Check(addr(1, 2, 3, 4), nodata(n)[:22], q(n), 0, 7)
		}, true},
	} {
		tb := New(5, 99)
		sent := 0
		for i := range 100 {
			if x.check(tb, byte('0'+i)) == Send {
				sent++
			}
		}
		if x.same != (sent == 5) {
			t.Errorf("%s: %d of 100 sent", x.what, sent)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	tb := New(5, 99)
	a, n := addr(1, 2, 3, 4), []byte("\x03www\x07example\x00")
	q := &content.Question{QName: n, Name: n}
	if k := testing.AllocsPerRun(100, func() {
		tb.Check(a, []byte("\x00\x01\x84\x00\x00\x01\x00\x00\x00\x01\x00\x00\x03www\x07example\x00\x00\x01\x00\x01\xc0\x10\x00\x06"), q, 0, 5)
	}); k != 0 {
		t.Errorf("%v allocations", k)
	}
}
