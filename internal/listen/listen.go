// Package listen carries UDP packets between sockets and a Handler: one locked
// thread and one socket with SO_REUSEPORT a core and address, recvmmsg and
// sendmmsg in batches, answers from the address that was asked. Nothing is
// allocated per packet.
//
//	listen.go  addresses, sockets, what a Handler is
//	mmsg.go    the loop
//
// Another kind of loop (AF_XDP) fits under the same Handler: it fills Packets
// and sends what Handle leaves in them.
package listen

import (
	"net/netip"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes, in bytes unless said otherwise.
const (
	// BatchLen is the number of packets per system call. knot uses 128, nsd
	// 100; above 64 nothing is gained here, and the last waits longer.
	BatchLen = 64

	// MaxQuery is the longest packet taken. A query is at most a name, a few
	// options, a signature and, on its way through a proxy, padding (RFC 8467,
	// section 4.1: to 128 bytes).
	MaxQuery = 2048

	// lineLen is a cache line. Packets begin one line more apart than they are
	// long: were it a power of 2, their beginnings would displace each other
	// from the processor's first cache, which chooses places by address.
	lineLen = 64

	// ReplyLen is the room for an answer. dns.EDNSUDPSize is what we send.
	ReplyLen = 4096

	// bufferWish is what is asked of the kernel for each socket's queues. Root
	// gets it; others what net.core.rmem_max allows.
	bufferWish = 4 << 20
)

// ErrStage says which step of making sockets failed.
type ErrStage struct {
	Stage string // "create" or "bind"
	Err   error
}

func (e *ErrStage) Error() string { return e.Stage + ": " + e.Err.Error() }
func (e *ErrStage) Unwrap() error { return e.Err }

// Endpoint is a UDP address, IPv4 mapped into 16 bytes.
type Endpoint struct {
	Addr [16]byte
	Port uint16
}

// Packet is a received packet and the answer to it.
type Packet struct {
	Data []byte // valid until Handle returns
	From Endpoint
	// Reply is what Handle leaves to be sent: nil for nothing now. It may lie
	// in Worker.Room.
	Reply []byte
	// Local is where the packet arrived, for Worker.Send.
	Local Local
}

// Local is one of the addresses we answer from. The zero value lets the kernel
// choose, which is right unless a socket is bound to the wildcard address.
type Local struct {
	addr [16]byte
	set  bool
}

// Handler gets batches of packets. Handle is called from one thread only for
// one Handler; it must not block.
type Handler interface {
	Handle(w *Worker, batch []Packet)
}

// Idler is a Handler that wants to know when no packets are waiting, just
// before the thread goes to sleep.
type Idler interface {
	Idle()
}

// Sockets are bound sockets, not yet read from.
type Sockets struct {
	socks   []*sock
	Workers int // threads per address
}

type sock struct {
	fd       int
	is6      bool
	wildcard bool
}

// Bind makes the sockets: workers per address. A port that another program
// has is an error, even though the sockets of one program share it.
func Bind(addrs []netip.Addr, port uint16, workers int) (*Sockets, error) {
	s := &Sockets{Workers: workers}
	for _, a := range addrs {
		for i := range workers {
			k, err := open(a, port, i > 0, workers > 1)
			if err != nil {
				s.Close()
				return nil, err
			}
			s.socks = append(s.socks, k)
			if port == 0 { // for tests: the kernel chose
				if sa, err := syscall.Getsockname(k.fd); err == nil {
					port = PortOf(sa)
				}
			}
		}
	}
	return s, nil
}

// PortOf gives the port of a socket address.
func PortOf(sa syscall.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return uint16(sa.Port)
	case *syscall.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

// Port is the port of the first socket.
func (s *Sockets) Port() uint16 {
	sa, err := syscall.Getsockname(s.socks[0].fd)
	if err != nil {
		return 0
	}
	return PortOf(sa)
}

// Close closes all sockets. Threads reading them end only with the process.
func (s *Sockets) Close() {
	for _, k := range s.socks {
		syscall.Close(k.fd)
	}
}

func open(a netip.Addr, port uint16, more, share bool) (*sock, error) {
	k := &sock{is6: a.Is6(), wildcard: a.IsUnspecified()}
	family := syscall.AF_INET
	if k.is6 {
		family = syscall.AF_INET6
	}
	var err error
	k.fd, err = syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, &ErrStage{"create", err}
	}
	set := func(level, opt, v int) {
		if err == nil {
			err = syscall.SetsockoptInt(k.fd, level, opt, v)
		}
	}
	// The first socket of an address binds alone, so that a port in use is
	// noticed; the others join it.
	if more {
		set(syscall.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if k.is6 {
		set(syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
	}
	if k.wildcard && k.is6 {
		set(syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
	} else if k.wildcard {
		set(syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
	}
	if err != nil {
		syscall.Close(k.fd)
		return nil, &ErrStage{"create", err}
	}
	if !k.is6 {
		// Path MTU discovery on UDP lets off-path senders of ICMP shrink our
		// answers into fragments; IP_PMTUDISC_OMIT ignores them.
		syscall.SetsockoptInt(k.fd, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
	} else {
		syscall.SetsockoptInt(k.fd, syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
	}
	var sa syscall.Sockaddr = &syscall.SockaddrInet4{Port: int(port), Addr: a4(a)}
	if k.is6 {
		sa = &syscall.SockaddrInet6{Port: int(port), Addr: a.As16(), ZoneId: zone(a)}
	}
	if err := syscall.Bind(k.fd, sa); err != nil {
		syscall.Close(k.fd)
		return nil, &ErrStage{"bind", err}
	}
	if share && !more {
		if err := syscall.SetsockoptInt(k.fd, syscall.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			syscall.Close(k.fd)
			return nil, &ErrStage{"bind", err}
		}
	}
	for _, opt := range [...][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if syscall.SetsockoptInt(k.fd, syscall.SOL_SOCKET, opt[0], bufferWish) != nil {
			syscall.SetsockoptInt(k.fd, syscall.SOL_SOCKET, opt[1], bufferWish)
		}
	}
	return k, nil
}

func a4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return
}

func zone(a netip.Addr) uint32 {
	n := uint32(0)
	for _, c := range a.Zone() {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + uint32(c-'0')
	}
	return n
}

// Run starts a thread for each socket, with a Handler of its own from
// newHandler, and returns when a socket fails for good.
func (s *Sockets) Run(newHandler func() Handler) error {
	done := make(chan error, len(s.socks))
	for _, k := range s.socks {
		w := newWorker(k)
		h := newHandler()
		go func() {
			runtime.LockOSThread()
			done <- w.loop(h)
		}()
	}
	return <-done
}

// Worker is one thread with its socket and buffers.
type Worker struct {
	*sock
	used    int // of msgs, not as receiving wants them
	msgs    [BatchLen]mmsghdr
	iov     [BatchLen]syscall.Iovec
	from    [BatchLen]syscall.RawSockaddrInet6
	control [BatchLen][controlLen]byte
	packets [BatchLen]Packet
	data    [BatchLen][MaxQuery + lineLen]byte
	room    [BatchLen * ReplyLen]byte
}

// Room is memory for the answers of one batch: of length 0 and room for
// ReplyLen bytes a packet. Put one behind the other they stay in few cache
// lines and pages.
func (w *Worker) Room() []byte { return w.room[:0] }

// After gives the room that is left behind an answer that was put at the
// beginning of room.
func After(room []byte, answer int) []byte {
	n := (answer + lineLen - 1) &^ (lineLen - 1)
	return room[n:n]
}

type mmsghdr struct {
	h syscall.Msghdr
	n uint32
	_ uint32
}

// controlLen is room for one IP_PKTINFO or IPV6_PKTINFO message, in bytes.
const controlLen = 40

func newWorker(k *sock) *Worker {
	w := &Worker{sock: k, used: BatchLen}
	for i := range w.msgs {
		m := &w.msgs[i].h
		m.Iov, m.Iovlen = &w.iov[i], 1
	}
	return w
}
