package recursor

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
)

// TestRateIsShared: a client that comes to several threads has one limit, and
// over TCP what is over it is dropped, not the connection.
func TestRateIsShared(t *testing.T) {
	w, _ := bench(t, nil)
	w.s.set.RateLimit = 10
	other, _ := bench(t, nil)
	other.s = w.s
	w.putA(t, "www.example.test", 300)
	msg := ask(t, "www.example.test", dns.TypeA, false)
	n := 0
	for range 20 {
		for _, x := range []*worker{w, other} {
			if x.answerTo(msg, "127.0.0.1:2000") != nil {
				n++
			}
		}
	}
	if n != 10 {
		t.Errorf("%d answers of two threads at a limit of 10", n)
	}
	const k = 0
	w.tcp.conns[k] = conn{from: netip.MustParseAddrPort("127.0.0.1:2001")}
	if !w.stream(k, msg) || len(w.tcp.conns[k].out) != 0 {
		t.Error("over TCP: answered, or closed")
	}
}

func TestRateTable(t *testing.T) {
	var r rateTable
	now := 1000 * resolver.Second
	var a [16]byte
	a[0] = 0x20
	for i := range uint32(3 * maxClients) { // more than fit, each of them may ask
		binary.BigEndian.PutUint32(a[2:], i)
		if ok, _ := r.take(netip.AddrFrom16(a), 1, now); !ok {
			t.Fatalf("network %d may not ask once", i)
		}
	}
	total := 0
	for i := range r.shards {
		total += len(r.shards[i].m)
	}
	if total > maxClients {
		t.Errorf("%d networks are remembered, at most %d should", total, maxClients)
	}
	one := netip.MustParseAddr("192.0.2.1")
	for i, c := range []struct {
		at       resolver.Time
		ok, tell bool
	}{
		{0, true, false}, {0, true, false}, {0, false, true}, {0, false, false},
		{-resolver.Second, false, false}, // another thread's clock
		{resolver.Second / 2, true, false}, {resolver.Second / 2, false, false},
		{resolver.Second, true, false}, {resolver.Second, false, true},
	} {
		if ok, tell := r.take(one, 2, now+c.at); ok != c.ok || tell != c.tell {
			t.Errorf("%d: %v %v, want %v %v", i, ok, tell, c.ok, c.tell)
		}
	}
}
