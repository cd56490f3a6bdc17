// Package stub asks name servers on behalf of client programs: the servers of
// $DNSCACHEIP or /etc/resolv.conf, in the rounds and with the patience that
// the old client library has, and the rewriting of host names (compat:
// djbdns.md section 11).
//
//	exchange.go   one question to a list of servers: UDP rounds, TCP
//	resolver.go   which servers, which rewriting rules; kept for ten minutes
//	lookup.go     addresses, names, texts, mail exchangers
//	rewrite.go    host names -> names to look up
//
// New in comparison: servers may have IPv6 addresses and ports, answers must
// be answers (QR, opcode; RFC 5452, section 9.1), EDNS may be used (RFC 6891),
// and randomness is the operating system's.
package stub

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// Question is what to ask and whom.
type Question struct {
	Name    dnsname.Name
	Type    dns.Type
	Class   dns.Class        // 0 means IN
	RD      bool             // recursion desired: a cache is asked
	EDNS    bool             // announce 1232 bytes; asked again without if the server objects
	DO      bool             // with EDNS: DNSSEC records wanted (RFC 3225)
	CD      bool             // checking disabled: bogus data too (RFC 4035, section 3.2.2)
	Options []byte           // with EDNS: options to send (package wire)
	TCP     bool             // by TCP only
	Errors  bool             // answers with any RCODE are answers, not failures of the server
	Servers []netip.AddrPort // at most MaxServers are used, in this order
	Local   netip.Addr       // source address; zero lets the kernel choose
}

// MaxServers is how many servers are ever asked (compat: djbdns.md section 11.2).
const MaxServers = 16

// rounds are the waits for each server, in seconds; with recursion desired the
// first is skipped (compat: djbdns.md section 11.1).
var rounds = [4]time.Duration{1 * time.Second, 3 * time.Second, 11 * time.Second, 45 * time.Second}

const (
	patientRound = 2                // in this round a bad RCODE or a refused connection is waited out
	tcpTimeout   = 10 * time.Second // to connect and write, and again for the answer
	portTries    = 10               // random source ports tried before the kernel chooses
	firstPort    = 1025             // source ports are firstPort + random below portRange
	portRange    = 64510
	maxStray     = 1000 // packets of one attempt that belong to nobody; a flood ends the attempt
)

// Exchange asks until there is an answer with RCODE 0 or 3, and gives its
// bytes. The error is that of the last attempt: syscall.ETIMEDOUT,
// syscall.EAGAIN for a bad RCODE ("temporary failure"), syscall.EIO when there
// are no servers.
func Exchange(q *Question) ([]byte, error) {
	x := exchange{q: q, edns: q.EDNS, last: syscall.EIO}
	for _, s := range q.Servers[:min(len(q.Servers), MaxServers)] {
		if a := s.Addr().Unmap(); !a.Is4() || !a.IsUnspecified() { // 0.0.0.0 is an empty place in the list
			x.servers = append(x.servers, s)
		}
	}
	if q.TCP {
		return x.overTCP()
	}
	first := 0
	if q.RD {
		first = 1
	}
	for round := first; round < len(rounds); round++ {
		for _, s := range x.servers {
			msg, err := x.udp(s, round)
			if err == nil && msg[2]&(wire.BitTC>>8) != 0 {
				return x.overTCP()
			}
			if err == nil {
				return msg, nil
			}
			x.last = err
		}
	}
	return nil, x.last
}

type exchange struct {
	q       *Question
	servers []netip.AddrPort
	edns    bool // cleared for good when a server does not understand it
	last    error
}

// query builds the message, with a new random id for every attempt.
func (x *exchange) query() []byte {
	var id [2]byte
	random(id[:])
	bits := uint16(0)
	if x.q.RD {
		bits |= wire.BitRD
	}
	if x.q.CD {
		bits |= wire.BitCD
	}
	class := x.q.Class
	if class == 0 {
		class = dns.ClassIN
	}
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, binary.BigEndian.Uint16(id[:]), bits)
	b.Question([]byte(x.q.Name), x.q.Type, class)
	if x.edns {
		b.OPT(dns.EDNSUDPSize, 0, x.q.DO, x.q.Options)
	}
	return b.Finish()
}

// udp makes one attempt at one server in one round.
func (x *exchange) udp(server netip.AddrPort, round int) ([]byte, error) {
	f, err := dial(server, x.q.Local, unix.SOCK_DGRAM)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	msg := x.query()
	deadline := time.Now().Add(rounds[round])
	f.SetDeadline(deadline)
	if _, err := f.Write(msg); err != nil {
		return nil, reason(err)
	}
	limit := dns.MinUDP
	if x.edns {
		limit = dns.EDNSUDPSize
	}
	buf := make([]byte, limit+1)
	for stray := 0; stray < maxStray; stray++ {
		n, err := f.Read(buf)
		if err == io.EOF || n > limit { // an empty packet, or one too long
			continue
		}
		if err != nil {
			err = reason(err)
			if round == patientRound && err == syscall.ECONNREFUSED {
				waitUntil(deadline)
				return nil, syscall.ECONNREFUSED
			}
			return nil, err
		}
		answer := buf[:n]
		if !Relevant(msg, answer) {
			continue
		}
		switch rcode := dns.RCode(answer[3] & wire.MaskRCode); {
		case x.q.good(rcode):
			return answer, nil
		case x.edns && (rcode == dns.RCodeFormErr || rcode == dns.RCodeNotImp):
			// RFC 6891, section 7: such a server knows no EDNS
			x.edns = false
			return x.udp(server, round)
		case round != patientRound:
			return nil, syscall.EAGAIN
		}
		// the patient round: a bad RCODE is ignored, a better answer may follow
	}
	return nil, syscall.ETIMEDOUT
}

// overTCP asks each server once.
func (x *exchange) overTCP() ([]byte, error) {
	for _, s := range x.servers {
		msg, err := x.tcp(s)
		if err == nil {
			return msg, nil
		}
		x.last = err
	}
	return nil, x.last
}

func (x *exchange) tcp(server netip.AddrPort) ([]byte, error) {
	f, err := dial(server, x.q.Local, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	f.SetDeadline(time.Now().Add(tcpTimeout))
	msg := x.query()
	out := binary.BigEndian.AppendUint16(nil, uint16(len(msg)))
	if _, err := f.Write(append(out, msg...)); err != nil {
		return nil, reason(err)
	}
	f.SetDeadline(time.Now().Add(tcpTimeout))
	// a server that closes early or answers something else is an input/output
	// error, as it always was; protocol errors are those of the answer itself
	var length [2]byte
	if _, err := io.ReadFull(f, length[:]); err != nil {
		return nil, cutOff(err)
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(f, answer); err != nil {
		return nil, cutOff(err)
	}
	if !Relevant(msg, answer) || answer[2]&(wire.BitTC>>8) != 0 {
		return nil, syscall.EIO
	}
	if rcode := dns.RCode(answer[3] & wire.MaskRCode); !x.q.good(rcode) {
		return nil, syscall.EAGAIN
	}
	return answer, nil
}

// good reports whether an answer with that RCODE is what the caller wants.
func (q *Question) good(rcode dns.RCode) bool {
	return q.Errors || rcode == dns.RCodeSuccess || rcode == dns.RCodeNXDomain
}

// Relevant reports whether answer is an answer to query: same id, a response,
// and the one question repeated (RFC 5452, section 9.1; compat: djbdns.md
// section 11.1). A strange opcode is no reason to drop it: showing such things
// is what dnsq is for. An error without a question is relevant
// too: a server that understood nothing can not repeat it.
func Relevant(query, answer []byte) bool {
	q, err := wire.Parse(query)
	if err != nil {
		return false
	}
	a, err := wire.Parse(answer)
	if err != nil || a.Header.ID != q.Header.ID || a.Header.Bits&wire.BitQR == 0 {
		return false
	}
	if a.Header.QDCount == 0 && len(answer) == dns.HeaderLen {
		rc := a.Header.RCode()
		return rc == dns.RCodeFormErr || rc == dns.RCodeNotImp
	}
	if a.Header.QDCount != 1 {
		return false
	}
	var qb, ab [dns.MaxName]byte
	qn, qt, qc, err := q.Question(qb[:0])
	if err != nil {
		return false
	}
	an, at, ac, err := a.Question(ab[:0])
	return err == nil && at == qt && ac == qc && dnsname.Equal(qn, an)
}

// dial makes a socket connected to server, from a random port for UDP.
func dial(server netip.AddrPort, local netip.Addr, kind int) (*os.File, error) {
	addr := server.Addr().Unmap()
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if !local.IsValid() || local.Unmap().Is4() != addr.Is4() {
		local = netip.IPv4Unspecified()
		if addr.Is6() {
			local = netip.IPv6Unspecified()
		}
	}
	if kind == unix.SOCK_DGRAM {
		bindRandom(fd, local)
	} else if !local.IsUnspecified() {
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	if err := unix.Connect(fd, sockaddr(netip.AddrPortFrom(addr, server.Port()))); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

func bindRandom(fd int, local netip.Addr) {
	for i := 0; i < portTries; i++ {
		port := firstPort + uint16(Below(portRange))
		if unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, port))) == nil {
			return
		}
	}
	unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0)))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	s := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if z := a.Addr().Zone(); z != "" {
		s.ZoneId = zoneIndex(z)
	}
	return s
}

// zoneIndex gives the index of an interface for link-local addresses.
func zoneIndex(name string) uint32 {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	if unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr) != nil {
		return 0
	}
	return ifr.Uint32()
}

// reason turns what package os says into the error that the old programs print.
func reason(err error) error {
	if os.IsTimeout(err) {
		return syscall.ETIMEDOUT
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return syscall.EPROTO
	}
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// cutOff is reason for a stream that ended too early.
func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return syscall.EIO
	}
	return reason(err)
}

func waitUntil(t time.Time) { time.Sleep(time.Until(t)) }

// random fills b from the operating system's generator (RFC 5452, section 9.2).
func random(b []byte) {
	for len(b) > 0 {
		n, err := unix.Getrandom(b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			panic("no randomness: " + err.Error())
		}
		b = b[n:]
	}
}

// Below gives a random number below n, without bias; n is above 0.
func Below(n uint32) uint32 {
	limit := -n % n // values below it would make small results likelier
	for {
		var b [4]byte
		random(b[:])
		v := binary.LittleEndian.Uint32(b[:])
		if v >= limit {
			return v % n
		}
	}
}
