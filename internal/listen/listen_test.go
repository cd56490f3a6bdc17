package listen

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// echo answers with what it got, and remembers where from.
type echo struct{ idle, batches int }

func (e *echo) Handle(w *Worker, batch []Packet) {
	e.batches++
	room := w.Room()
	for i := range batch {
		p := &batch[i]
		if len(p.Data) > 0 && p.Data[0] != 'x' {
			p.Reply = append(room, p.Data...)
			room = After(room, len(p.Reply))
		}
	}
}

func (e *echo) Idle() { e.idle++ }

func bind(t *testing.T, ip string, workers int) *Sockets {
	t.Helper()
	s, err := Bind([]netip.Addr{netip.MustParseAddr(ip)}, 0, workers)
	if err != nil {
		t.Fatal(err)
	}
	go s.Run(func() Handler { return &echo{} })
	return s
}

func dial(t *testing.T, ip string, port uint16) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func exchange(t *testing.T, c *net.UDPConn, msg, buf []byte) []byte {
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// From the wildcard address the answer comes from the address that was asked;
// a connected client would not see it otherwise.
func TestSourceAddress(t *testing.T) {
	for _, x := range []struct{ bind, ask string }{{"127.0.0.1", "127.0.0.1"}, {"0.0.0.0", "127.0.0.9"}, {"::", "::1"}, {"::1", "::1"}} {
		s := bind(t, x.bind, 2)
		buf := make([]byte, 5000)
		for range 20 {
			c := dial(t, x.ask, s.Port())
			exchange(t, c, []byte("hello"), buf)
		}
		c := dial(t, x.ask, s.Port())
		for _, n := range []int{1, 512, MaxQuery} {
			if got := exchange(t, c, bytes.Repeat([]byte{7}, n), buf); len(got) != n {
				t.Errorf("%s: %d bytes came back as %d", x.bind, n, len(got))
			}
		}
		// no answer to what the handler leaves alone, nor to what is too long
		c.Write([]byte("x"))
		c.Write(make([]byte, MaxQuery+1))
		if got := exchange(t, c, []byte("after"), buf); string(got) != "after" {
			t.Errorf("%s: %q", x.bind, got)
		}
	}
}

func TestPortInUse(t *testing.T) {
	s := bind(t, "127.0.0.1", 2)
	_, err := Bind([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, s.Port(), 2)
	var e *ErrStage
	if !errors.As(err, &e) || e.Stage != "bind" || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second bind: %v", err)
	}
}

type late struct{ w chan func() error }

func (l *late) Handle(w *Worker, batch []Packet) {
	for i := range batch {
		from, local, msg := batch[i].From, batch[i].Local, bytes.Clone(batch[i].Data)
		l.w <- func() error { return w.Send(from, local, msg) }
	}
}

func TestSendLater(t *testing.T) {
	for _, x := range []struct{ bind, ask string }{{"0.0.0.0", "127.0.0.8"}, {"::", "::1"}, {"127.0.0.1", "127.0.0.1"}} {
		s, err := Bind([]netip.Addr{netip.MustParseAddr(x.bind)}, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		l := &late{make(chan func() error, 8)}
		go s.Run(func() Handler { return l })
		c := dial(t, x.ask, s.Port())
		c.Write([]byte("one"))
		send := <-l.w
		c.Write([]byte("two"))
		second := <-l.w
		if err := errors.Join(second(), send()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		for _, want := range []string{"two", "one"} {
			if n, err := c.Read(buf); err != nil || string(buf[:n]) != want {
				t.Errorf("%s: %q %v, want %q", x.bind, buf[:n], err, want)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "0.0.0.0"} {
		s := bind(t, ip, 1)
		c := dial(t, "127.0.0.1", s.Port())
		msg, buf := []byte("hello"), make([]byte, 100)
		if n := testing.AllocsPerRun(500, func() { exchange(t, c, msg, buf) }); n != 0 {
			t.Errorf("%s: %v allocations for a packet", ip, n)
		}
	}
}
