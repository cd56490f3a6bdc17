package rrl

import (
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
		got[tb.Check(addr(192, 0, 2, byte(i)), dns.RCodeSuccess, dns.TypeA, []byte("\x01a\x00"), 1000)]++
	}
	if got != [3]int{5, 10, 10} {
		t.Errorf("sent, truncated, dropped: %v", got)
	}
	if v := tb.Check(addr(192, 0, 3, 1), dns.RCodeSuccess, dns.TypeA, []byte("\x01a\x00"), 1000); v != Send {
		t.Error("another network is limited")
	}
	if v := tb.Check(addr(192, 0, 2, 1), dns.RCodeSuccess, dns.TypeA, []byte("\x01b\x00"), 1000); v != Send {
		t.Error("another question is limited")
	}
	if v := tb.Check(addr(192, 0, 2, 1), dns.RCodeSuccess, dns.TypeA, []byte("\x01a\x00"), 1001); v != Send {
		t.Error("still limited a second later")
	}
}

func TestInventedNamesAreOneKind(t *testing.T) {
	tb := New(5, 99)
	sent := 0
	for i := range 100 {
		if tb.Check(addr(192, 0, 2, 1), dns.RCodeNXDomain, dns.TypeA, []byte{1, byte(i), 0}, 7) == Send {
			sent++
		}
	}
	if sent != 5 {
		t.Errorf("%d answers for names that do not exist", sent)
	}
}

func TestNoAllocations(t *testing.T) {
	tb := New(5, 99)
	a, n := addr(1, 2, 3, 4), []byte("\x03www\x07example\x00")
	if k := testing.AllocsPerRun(100, func() { tb.Check(a, 0, 1, n, 5) }); k != 0 {
		t.Errorf("%v allocations", k)
	}
}
