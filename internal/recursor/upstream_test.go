package recursor

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
)

// TestSentTogether: the datagrams of a round leave at its end, one that was
// cancelled before that does not, and one the kernel refuses is given back to
// the engine.
func TestSentTogether(t *testing.T) {
	w, _ := bench(t, nil)
	w.s.set.Send4 = netip.MustParseAddr("127.0.0.1")
	server := listen(t, "127.0.0.1")
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

// TestPorts: each question leaves from a port drawn from all unprivileged ones,
// whether by us or by the kernel, and a socket is used again only for the
// kernel's.
func TestPorts(t *testing.T) {
	w, _ := bench(t, nil)
	w.s.set.Send4 = netip.MustParseAddr("127.0.0.1")
	w.s.kernelPorts = kernelPorts()
	if w.s.kernelPorts.low == 0 || w.s.kernelPorts.low >= w.s.kernelPorts.high {
		t.Fatalf("the kernel's ports: %v", w.s.kernelPorts)
	}
	server := listen(t, "127.0.0.1")
	const questions = 4000
	seen := make(map[uint16]int)
	sockets := make(map[uint32]bool)
	var drawn, low, high int
	b := make([]byte, 100)
	for i := range questions {
		token := resolver.Token(i + 1)
		if !w.up.SendUDP(server.LocalAddr().(*net.UDPAddr).AddrPort(), []byte("question"), token) {
			t.Fatal("question not taken")
		}
		w.finish()
		_, from, err := server.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		p := from.Port()
		seen[p]++
		if p < minPort {
			t.Fatalf("port %d", p)
		}
		at := w.up.where[token].index
		if w.up.ups[at].drawn {
			drawn++
			sockets[uint32(at)<<24|w.up.ups[at].gen] = true
		}
		if p < (minPort+65535)/2 {
			low++
		} else {
			high++
		}
		w.up.Cancel(token)
		if w.up.ups[at].drawn {
			// the port is closed: nobody can reach the socket any more
			server.WriteToUDPAddrPort([]byte("late"), from)
			if _, _, e := w.up.rx.receive(w.up.ups[at].fd, b); e != unix.EAGAIN {
				t.Fatalf("an idle socket received: %v", e)
			}
		}
	}
	// The expectation of questions*share, and six standard deviations.
	within := func(what string, n int, share float64) {
		mean := questions * share
		if d := float64(n) - mean; d*d > 36*mean*(1-share) {
			t.Errorf("%s: %d of %d, expected %.0f", what, n, questions, mean)
		}
	}
	r := w.s.kernelPorts
	within("drawn by the kernel", drawn, float64(r.high-max(r.low, minPort)+1)/float64(65536-minPort))
	within("lower half", low, 0.5)
	within("upper half", high, 0.5)
	for p, n := range seen {
		if n > 8 { // once in 10^11 runs
			t.Errorf("port %d used %d times of %d", p, n, questions)
		}
	}
	if len(sockets) != 1 {
		t.Errorf("%d sockets for %d questions one after the other", len(sockets), drawn)
	}
}

// TestUsedSocket: what a server sent to a socket's former question, and the
// errors it caused, do not reach the next one.
func TestUsedSocket(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		t.Run(ip, func(t *testing.T) { usedSocket(t, ip) })
	}
}

func usedSocket(t *testing.T, ip string) {
	w, _ := bench(t, nil)
	// one bound to an address, as with $IPSEND, one not
	w.s.set.Send4, w.s.set.Send6 = netip.MustParseAddr("127.0.0.1"), netip.IPv6Unspecified()
	w.s.kernelPorts = portRange{1, 65535}
	first, second := listen(t, ip), listen(t, ip)
	ask := func(to *net.UDPConn, token resolver.Token) (from netip.AddrPort) {
		t.Helper()
		if !w.up.SendUDP(to.LocalAddr().(*net.UDPAddr).AddrPort(), []byte("question"), token) {
			t.Fatal("question not taken")
		}
		w.finish()
		_, from, err := to.ReadFromUDPAddrPort(make([]byte, 100))
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	from := ask(first, 1)
	at := w.up.where[1].index
	// The first server sends more than was asked for, and the port is closed
	// only then.
	for range 3 {
		first.WriteToUDPAddrPort([]byte("a datagram for the future"), from)
	}
	w.up.Cancel(1)
	from = ask(second, 2)
	if w.up.where[2].index != at {
		t.Fatal("not the same socket")
	}
	second.WriteToUDPAddrPort([]byte("answer"), from)
	event := watch{watchUp, w.up.ups[at].gen, at}
	for range 3 {
		if token, n := w.up.take(event); token != 0 {
			t.Fatalf("%q taken for an answer", w.buf[:n])
		}
	}
	if token, n := w.up.take(event); token != 2 || string(w.buf[:n]) != "answer" {
		t.Fatalf("question %d answered by %q", token, w.buf[:n])
	}
	// An error that the first server caused before its port was closed.
	w.up.Cancel(2)
	from = ask(first, 3)
	to := first.LocalAddr().(*net.UDPAddr).AddrPort()
	first.Close()
	if _, e := sendNow(w.up.ups[at].fd, []byte("refused")); e != 0 {
		t.Fatal(e)
	}
	w.up.Cancel(3)
	ask(second, 4)
	if _, ok := w.up.where[4]; !ok {
		t.Error("a former server's error counted against the next question")
	}
	// One that refuses the question itself is told.
	w.up.Cancel(4)
	if !w.up.SendUDP(to, []byte("question"), 5) {
		t.Fatal("question not taken")
	}
	w.finish()
	if token, _ := w.up.take(event); token != 0 {
		t.Errorf("question %d answered by nobody", token)
	}
	if _, ok := w.up.where[5]; ok {
		t.Error("a refusal went unheard")
	}
}

func listen(t *testing.T, ip string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestMuteConnection: a connection on which a question was given up gets no
// further ones before it has said something, and is closed.
func TestMuteConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, _ := bench(t, nil)
	w.s.set.Send4 = netip.MustParseAddr("127.0.0.1")
	defer w.up.dropAll()
	to := l.Addr().(*net.TCPAddr).AddrPort()
	open := func() (n int) {
		for i := range w.up.conns {
			if w.up.conns[i].fd >= 0 {
				n++
			}
		}
		return n
	}
	send := func(token resolver.Token) {
		t.Helper()
		msg := ask(t, "www.example.test", dns.TypeA, false)
		msg[1] = byte(token) // ID
		if !w.up.SendTCP(to, msg, token) {
			t.Fatal("not sent")
		}
	}
	before := open()
	send(1)
	send(2)
	if n := open() - before; n != 1 {
		t.Fatalf("%d connections for two questions", n)
	}
	w.up.Cancel(1)
	send(3)
	if n := open() - before; n != 2 {
		t.Errorf("%d connections after one has kept silent, want another one", n)
	}
	w.up.Cancel(2)
	w.up.sweep(w)
	if n := open() - before; n != 1 {
		t.Errorf("%d connections after the sweep, want the one with a question out", n)
	}
}
