package recursor

import (
	"net"
	"net/netip"
	"testing"

	"bulkhead/internal/resolver"
)

// TestSentTogether: the datagrams of a round leave at its end, one that was
// cancelled before that does not, and one the kernel refuses is given back to
// the engine.
func TestSentTogether(t *testing.T) {
	w, _ := bench(t, nil)
	w.s.set.Send4 = netip.MustParseAddr("127.0.0.1")
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	msgs := map[resolver.Token]string{1001: "first", 1002: "cancelled", 1003: string(make([]byte, 65508)), 1004: "last"}
	for token := resolver.Token(1001); token <= 1004; token++ {
		if !w.up.SendUDP(to, []byte(msgs[token]), token) {
			t.Fatalf("question %d not taken", token)
		}
	}
	w.up.Cancel(1002)
	// over loopback a datagram is there when the call that sends it returns
	read := func() (got []string) {
		b := make([]byte, 100)
		for {
			n, err := readReady(server, b)
			if err != nil || n == 0 {
				return
			}
			got = append(got, string(b[:n]))
		}
	}
	if got := read(); got != nil {
		t.Fatalf("%q sent before the end of the round", got)
	}
	w.finish()
	if got := read(); len(got) != 2 || got[0] != "first" || got[1] != "last" {
		t.Fatalf("sent %q, want first and last", got)
	}
	if _, ok := w.up.where[1003]; ok {
		t.Error("what the kernel refused still counts as out")
	}
	if len(w.up.queue) != 0 || len(w.up.where) != 2 {
		t.Errorf("%d to send, %d out; want 0 and 2", len(w.up.queue), len(w.up.where))
	}

	// after a panic: what waited is forgotten, though its token comes again
	if !w.up.SendUDP(to, []byte("old"), 1) {
		t.Fatal("question not taken")
	}
	w.up.dropAll()
	if !w.up.SendUDP(to, []byte("new"), 1) {
		t.Fatal("question not taken")
	}
	w.finish()
	if got := read(); len(got) != 1 || got[0] != "new" {
		t.Errorf("sent %q, want new alone", got)
	}
	w.up.dropAll()
}

// readReady reads a datagram that is there already; 0 if there is none.
func readReady(c *net.UDPConn, b []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	raw.Control(func(fd uintptr) {
		if got, e := readNow(int(fd), b); e == 0 {
			n = got
		}
	})
	return n, nil
}
