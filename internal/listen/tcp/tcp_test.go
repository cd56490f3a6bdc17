package tcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers every message with itself. Messages that start with "big" get
// an answer of the greatest length, with "stream" a hundred of those, with
// "bye" themselves and the end.
type echo struct {
	ended  *atomic.Int64
	denied bool
}

func (e *echo) Open(netip.AddrPort) (any, bool) { return nil, !e.denied }
func (e *echo) Flush()                          {}

func frame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

var biggest = frame(bytes.Repeat([]byte("x"), 65535))

func (e *echo) Message(dst, msg []byte, _ netip.AddrPort, _ any) ([]byte, Stream, bool) {
	switch {
	case bytes.HasPrefix(msg, []byte("big")):
		return append(dst, biggest...), nil, false
	case bytes.HasPrefix(msg, []byte("stream")):
		return dst, &pieces{100, e.ended}, false
	}
	return append(dst, frame(msg)...), nil, bytes.HasPrefix(msg, []byte("bye"))
}

type pieces struct {
	left  int
	ended *atomic.Int64
}

func (p *pieces) Next(dst []byte) ([]byte, bool, error) {
	p.left--
	return append(dst, biggest...), p.left > 0, nil
}
func (p *pieces) End() { p.ended.Add(1) }

type fixture struct {
	*Server
	t     *testing.T
	addr  string
	ended atomic.Int64
}

func start(t *testing.T, c Config) *fixture {
	t.Helper()
	fd, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t}
	c.Listeners = []int{fd}
	if c.Threads == 0 {
		c.Threads = 2
	}
	if c.Handler == nil {
		c.Handler = func() Handler { return &echo{ended: &f.ended} }
	}
	if f.Server, err = Start(c); err != nil {
		t.Fatal(err)
	}
	f.addr = localAddr(t, fd)
	t.Cleanup(func() {
		f.shut()
		if err := f.Wait(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) dial() *net.TCPConn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second)) // a bound for a broken server, nothing measured
	return c.(*net.TCPConn)
}

func ask(t *testing.T, c net.Conn, msg string) {
	t.Helper()
	if _, err := c.Write(frame([]byte(msg))); err != nil {
		t.Fatal(err)
	}
	expect(t, c, msg)
}

func expect(t *testing.T, c net.Conn, msg string) {
	t.Helper()
	got, err := receive(c)
	if err != nil || string(got) != msg {
		t.Fatalf("got %.80q, %v; want %.80q", got, err, msg)
	}
}

func receive(c net.Conn) ([]byte, error) {
	var l [2]byte
	if _, err := io.ReadFull(c, l[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(l[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

// empties waits until the server has no connection left.
func (f *fixture) empties() {
	f.t.Helper()
	for range 3000 {
		if f.Conns() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("%d connections are left", f.Conns())
}

func TestSplitAtEveryByte(t *testing.T) {
	f := start(t, Config{})
	two := append(frame([]byte("first message")), frame([]byte("second"))...)
	for i := 1; i < len(two); i++ {
		c := f.dial()
		c.Write(two[:i])
		if i > len("first message")+2 {
			expect(t, c, "first message") // so the rest comes in another read
			c.Write(two[i:])
		} else {
			// nothing can be answered yet; another connection shows that the
			// server has looked at this one
			other := f.dial()
			ask(t, other, "other")
			other.Close()
			c.Write(two[i:])
			expect(t, c, "first message")
		}
		expect(t, c, "second")
		c.Close()
	}
	f.empties()
}

func TestPipelining(t *testing.T) {
	f := start(t, Config{})
	c := f.dial()
	var all []byte
	for i := range 5000 {
		all = append(all, frame(binary.BigEndian.AppendUint32([]byte("q"), uint32(i)))...)
	}
	go c.Write(all)
	for i := range 5000 {
		expect(t, c, string(binary.BigEndian.AppendUint32([]byte("q"), uint32(i))))
	}
}

func TestLongestMessage(t *testing.T) {
	f := start(t, Config{})
	c := f.dial()
	msg := string(bytes.Repeat([]byte("m"), 65535))
	for range 3 {
		ask(t, c, msg)
	}
	ask(t, c, "") // and the shortest
	ask(t, c, "x")
}

func TestHalfClosed(t *testing.T) {
	f := start(t, Config{})
	c := f.dial()
	c.Write(append(frame([]byte("one")), frame([]byte("stream"))...))
	c.Write(append(frame([]byte("two")), 0, 9, 'x'))
	c.CloseWrite()
	expect(t, c, "one")
	for range 100 {
		if b, err := receive(c); err != nil || len(b) != 65535 {
			t.Fatal(len(b), err)
		}
	}
	expect(t, c, "two")
	if b, err := receive(c); err != io.EOF {
		t.Fatalf("after all answers: %q, %v", b, err)
	}
	f.empties()
}

func TestEndOfServersChoice(t *testing.T) {
	f := start(t, Config{})
	c := f.dial()
	c.Write(append(frame([]byte("bye")), frame([]byte("more"))...))
	expect(t, c, "bye")
	if _, err := receive(c); err == nil {
		t.Fatal("answered after the end")
	}
	f.empties()
}

func TestResetInTheMiddle(t *testing.T) {
	f := start(t, Config{})
	for i := range 200 {
		c := f.dial()
		switch i % 4 {
		case 0:
			c.Write([]byte{0})
		case 1:
			c.Write(append(frame([]byte("x")), 1, 2, 3))
		case 2:
			c.Write(frame([]byte("stream")))
			io.ReadFull(c, make([]byte, 100))
		}
		c.SetLinger(0)
		c.Close()
	}
	f.empties()
	if n := f.ended.Load(); n != 50 {
		t.Errorf("%d of 50 streams were ended", n)
	}
	ask(t, f.dial(), "still here")
}

// Clients that never read cost a bounded amount of memory and, in the end,
// their connection; others notice nothing.
func TestNeverReading(t *testing.T) {
	f := start(t, Config{Stall: 300 * time.Millisecond, Threads: 1})
	var bad []*net.TCPConn
	for i := range 30 {
		c := f.dial()
		c.SetReadBuffer(4096)
		if i%2 == 0 {
			c.Write(frame([]byte("stream")))
		} else {
			c.Write(bytes.Repeat(frame([]byte("big")), 1000))
		}
		bad = append(bad, c)
		ask(t, f.dial(), "are you there")
	}
	for range 3000 { // all of them are thrown out
		if f.ended.Load() == 15 && f.Conns() <= 30 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if f.ended.Load() != 15 {
		t.Errorf("%d of 15 streams were ended", f.ended.Load())
	}
	for _, c := range bad {
		c.Close()
	}
	ask(t, f.dial(), "still here")
}

func TestUnreadBytesAreBounded(t *testing.T) {
	l := &loop{s: &Server{}}
	c := &conn{fd: -1}
	l.unread = maxUnread
	l.conns = make([]*conn, 1)
	defer func() {
		if l.unread > maxUnread {
			t.Errorf("%d bytes are kept", l.unread)
		}
	}()
	// park closes the connection instead of keeping more
	c.fd = 0
	fds := pair(t)
	c.fd = fds[0]
	for len(l.conns) <= c.fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.fd] = c
	l.park(c, make([]byte, 100))
	if l.free != c {
		t.Error("the connection was kept")
	}
}

func TestPartialRequestsAreBounded(t *testing.T) {
	l := &loop{s: &Server{}}
	l.partial = maxPartial - 10
	c := &conn{}
	if l.keep(c, make([]byte, 11)) {
		t.Error("kept more than allowed")
	}
	if !l.keep(c, make([]byte, 10)) || l.partial != maxPartial {
		t.Error("room was left")
	}
	if !l.keep(c, nil) || l.partial != maxPartial-10 {
		t.Error("not given back")
	}
}

// A connection that sends a byte now and then does not live longer than one
// that sends none.
func TestSlowRequest(t *testing.T) {
	f := start(t, Config{Idle: 300 * time.Millisecond})
	c := f.dial()
	c.Write([]byte{0xFF, 0xFF})
	var err error
	for i := 0; i < 3000 && err == nil; i++ {
		time.Sleep(20 * time.Millisecond)
		_, err = c.Write([]byte{'x'})
	}
	if err == nil {
		t.Error("a request was waited for without end")
	}
	f.empties()
}

func TestSilentOnesMakeRoom(t *testing.T) {
	f := start(t, Config{MaxConns: 10, Threads: 1})
	var first *net.TCPConn
	for i := range 50 {
		c := f.dial()
		ask(t, c, "hello")
		if i == 0 {
			first = c
		}
		if n := f.Conns(); n > 10 {
			t.Fatalf("%d connections", n)
		}
	}
	if _, err := receive(first); err == nil {
		t.Error("the longest silent one is still there")
	}
}

func TestOneNetworksShare(t *testing.T) {
	f := start(t, Config{MaxPerNet: 3})
	var conns []*net.TCPConn
	for range 3 {
		c := f.dial()
		ask(t, c, "in")
		conns = append(conns, c)
	}
	c := f.dial()
	c.Write(frame([]byte("out")))
	if _, err := receive(c); err == nil {
		t.Error("a fourth connection was served")
	}
	conns[0].Close()
	for range 3000 {
		c := f.dial()
		c.Write(frame([]byte("again")))
		if _, err := receive(c); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the share is not given back")
}

func TestDenied(t *testing.T) {
	f := start(t, Config{Handler: func() Handler { return &echo{denied: true} }})
	c := f.dial()
	c.Write(frame([]byte("x")))
	if _, err := receive(c); err == nil {
		t.Error("answered")
	}
	f.empties()
}

func TestProxyHeader(t *testing.T) {
	seen := make(chan netip.AddrPort, 10)
	f := start(t, Config{
		Proxied: func(a netip.Addr) bool { return a.IsLoopback() },
		Handler: func() Handler { return &noting{seen: seen} },
	})
	header := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x35"
	for i := range len(header) { // split anywhere
		c := f.dial()
		c.Write([]byte(header[:i]))
		if i%5 == 0 {
			time.Sleep(time.Millisecond)
		}
		c.Write([]byte(header[i:]))
		ask(t, c, "hello")
		if a := <-seen; a.String() != "192.0.2.1:4660" {
			t.Fatalf("client is %v", a)
		}
		c.Close()
	}
	// without a header, and with a wrong one, there is no answer
	for _, bad := range []string{"\x00\x05hello", header[:13] + "\x41" + header[14:]} {
		c := f.dial()
		c.Write([]byte(bad))
		c.Write(frame([]byte("hello")))
		if b, err := receive(c); err == nil {
			t.Errorf("answered %q", b)
		}
	}
	f.empties()
}

type noting struct {
	echo
	seen chan netip.AddrPort
}

func (n *noting) Open(peer netip.AddrPort) (any, bool) {
	n.seen <- peer
	return nil, true
}

func TestStop(t *testing.T) {
	f := start(t, Config{Threads: 1})
	idle, busy := f.dial(), f.dial()
	ask(t, idle, "hello")
	busy.Write(frame([]byte("stream")))
	if b, err := receive(busy); err != nil || len(b) != 65535 {
		t.Fatal(err)
	}
	f.shut()
	for range 99 { // what is on its way arrives
		if b, err := receive(busy); err != nil || len(b) != 65535 {
			t.Fatal(len(b), err)
		}
	}
	if _, err := receive(idle); err == nil {
		t.Error("an idle connection was kept")
	}
	if err := f.Wait(); err != nil {
		t.Error(err)
	}
	f.running = 0
	if _, err := receive(busy); !errors.Is(err, io.EOF) && err == nil {
		t.Error("not closed")
	}
}
