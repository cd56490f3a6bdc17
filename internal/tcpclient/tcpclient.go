// Package tcpclient is the program of that name: it connects and becomes
// another program, with the connection on descriptors 6 and 7 (compat:
// ucspi-tcp.md section 5).
package tcpclient

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/child"
	"bulkhead/internal/errtext"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
	"bulkhead/internal/stub"
	"bulkhead/internal/ucspi"
)

const usage = "tcpclient [ -hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ] [ -t timeoutinfo ] host port program"

// Descriptors of the connection (UNIX Client-Server Program Interface).
const readFD, writeFD = 6, 7

const (
	silent = iota
	errorsOnly
	verbose
)

type options struct {
	hostName, ident, noDelay bool
	verbosity                int
	local                    netip.AddrPort
	wait                     [2]time.Duration // for each address; then again for those that timed out
	localHost                ucspi.Opt
	identWait                time.Duration
	force4, force6           bool
	iface                    string
}

// Run is the program.
func Run(args []string) error {
	reserve()
	o := options{hostName: true, ident: true, verbosity: errorsOnly, identWait: 26 * time.Second,
		wait: [2]time.Duration{2 * time.Second, 58 * time.Second}}
	rest, err := o.parse(args)
	if err != nil {
		return err // -q or not
	}
	err = o.run(rest)
	if err != nil && o.verbosity == silent {
		var e *prog.Error
		if errors.As(err, &e) {
			return prog.Exit(e.Code)
		}
	}
	return err
}

// reserve closes what was on the connection's descriptors, which is not for the
// program, and keeps their numbers from being given to anything else, such as
// the runtime's own poller.
func reserve() {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	for _, fd := range []int{readFD, writeFD} {
		if null != fd {
			unix.Dup3(null, fd, unix.O_CLOEXEC)
		}
	}
	if null != readFD && null != writeFD {
		unix.Close(null)
	}
}

func (o *options) parse(args []string) (rest []string, err error) {
	var ip netip.Addr
	var port uint16
	g := getopt.New(args, "dDvqQhHrRi:p:t:T:l:46I:")
	for c := g.Next(); c != 0; c = g.Next() {
		switch c {
		case 'd':
			o.noDelay = false
		case 'D':
			o.noDelay = true
		case 'v':
			o.verbosity = verbose
		case 'q':
			o.verbosity = silent
		case 'Q':
			o.verbosity = errorsOnly
		case 'l':
			o.localHost = ucspi.Known(g.Arg)
		case 'H':
			o.hostName = false
		case 'h':
			o.hostName = true
		case 'R':
			o.ident = false
		case 'r':
			o.ident = true
		case 't':
			n, _ := scan.Number(g.Arg) // no number is 0, as in 0.88, here and below
			o.identWait = seconds(n)
		case 'T':
			n, used := scan.Number(g.Arg)
			o.wait[0] = seconds(n)
			if used < len(g.Arg) && g.Arg[used] == '+' {
				n, _ = scan.Number(g.Arg[used+1:])
				o.wait[1] = seconds(n)
			}
		case 'i':
			var ok bool
			if ip, ok = parseIP(g.Arg); !ok {
				return nil, prog.Usage(usage)
			}
		case 'p':
			n, _ := scan.Number(g.Arg)
			port = uint16(n)
		case '4':
			o.force4, o.force6 = true, false
		case '6':
			o.force4, o.force6 = false, true
		case 'I':
			o.iface = g.Arg
		default:
			return nil, prog.Usage(usage)
		}
	}
	if ip.IsValid() || port != 0 {
		o.local = netip.AddrPortFrom(ip, port)
	}
	return g.Args(), nil
}

// maxSeconds bounds times given on the command line, about 34 years.
const maxSeconds = 1 << 30

func seconds(n uint64) time.Duration { return time.Duration(min(n, maxSeconds)) * time.Second }

func parseIP(s string) (netip.Addr, bool) {
	if strings.IndexByte(s, ':') >= 0 {
		a, err := netip.ParseAddr(strings.Trim(s, "[]"))
		return a, err == nil
	}
	ip, used, ok := scan.IP4(s)
	return netip.AddrFrom4(ip), ok && used > 0
}

func (o *options) run(args []string) error {
	if len(args) < 2 {
		return prog.Usage(usage)
	}
	port, ok := ucspi.Port(args[1])
	if !ok {
		return prog.Fatal("unable to figure out port number for "+args[1], nil)
	}
	if len(args) < 3 {
		return prog.Usage(usage)
	}
	var r stub.Resolver
	addrs, err := o.addresses(&r, args[0])
	if err != nil {
		return err
	}
	fd, err := o.connect(addrs, port)
	if err != nil {
		return err
	}
	if o.noDelay {
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	c := ucspi.Conn{LocalHost: o.localHost}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return prog.Fatal("unable to get local address", err)
	}
	c.Local, _ = ucspi.AddrPort(sa)
	if sa, err = unix.Getpeername(fd); err != nil {
		return prog.Fatal("unable to get remote address", err)
	}
	c.Remote, _ = ucspi.AddrPort(sa)
	c.V6 = c.Remote.Addr().Is6() && !c.Remote.Addr().Is4In6()
	if !c.LocalHost.Known {
		c.LocalHost = lookupName(&r, c.Local.Addr())
	}
	if o.hostName {
		c.RemoteHost = lookupName(&r, c.Remote.Addr())
	}
	if o.ident {
		c.RemoteInfo = ucspi.Ident(&c, o.identWait)
	}
	if err := place(fd); err != nil {
		return err
	}
	return child.Exec(args[2:], child.Environ(os.Environ(), c.Edits(false)))
}

// place moves the connection to descriptors 6 and 7, open across exec.
func place(fd int) error {
	for _, to := range []int{readFD, writeFD} {
		if fd == to {
			continue
		}
		if err := unix.Dup3(fd, to, 0); err != nil {
			return prog.Fatal("unable to set up descriptor "+string(rune('0'+to)), err)
		}
	}
	if fd == readFD || fd == writeFD {
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	} else {
		unix.Close(fd)
	}
	return nil
}

// addresses gives the addresses of the host argument in the order to try.
func (o *options) addresses(r *stub.Resolver, host string) ([]netip.Addr, error) {
	if host == "" || host == "0" {
		if o.force6 {
			return []netip.Addr{netip.IPv6Loopback()}, nil
		}
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	var addrs []netip.Addr
	var err error
	if !o.force6 {
		addrs, _, err = r.Qualify(host, stub.IPv4)
	}
	if err == nil && !o.force4 && (o.local.Addr().Is6() || len(addrs) == 0 || wantsV6(host)) {
		var six []netip.Addr
		if six, _, err = r.Qualify(host, stub.IPv6); err == nil && !hasSame(addrs, six) {
			addrs = append(addrs, six...)
		}
	}
	if err != nil {
		return nil, prog.Fatal("temporarily unable to figure out IP address for "+host, err)
	}
	usable := addrs[:0]
	for _, a := range addrs {
		if l := o.local.Addr(); l.IsValid() && l.Is4() != a.Is4() {
			continue
		}
		if o.iface != "" && a.Is6() {
			a = a.WithZone(o.iface)
		}
		usable = append(usable, a)
	}
	if len(usable) == 0 {
		return nil, prog.Fatal("no IP address for "+host, nil)
	}
	return usable, nil
}

// wantsV6 reports whether IPv6 addresses are looked for beside IPv4 ones:
// always for names, never for what is an address already.
func wantsV6(host string) bool {
	for i := 0; i < len(host); i++ {
		if c := host[i]; (c < '0' || c > '9') && c != '.' && c != '[' && c != ']' {
			return true
		}
	}
	return false
}

func hasSame(a, b []netip.Addr) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// connect tries each address, and those that timed out a second time with more
// patience. A single address gets both times together.
func (o *options) connect(addrs []netip.Addr, port uint16) (int, error) {
	wait := o.wait
	if len(addrs) == 1 {
		wait[0] += wait[1]
		wait[1] = 0
	}
	timedOut := make([]bool, len(addrs))
	for round := range wait {
		for i, a := range addrs {
			if round > 0 && !timedOut[i] {
				continue
			}
			timedOut[i] = false
			remote := netip.AddrPortFrom(a, port)
			local := o.local
			if local.IsValid() == false && local.Port() != 0 {
				any := netip.IPv4Unspecified()
				if a.Is6() {
					any = netip.IPv6Unspecified()
				}
				local = netip.AddrPortFrom(any, local.Port())
			}
			fd, err := ucspi.Dial(local, remote, wait[round])
			if err == nil {
				if o.verbosity >= verbose {
					prog.Print("connected to " + ucspi.Text(a) + " port " + ucspi.Utoa(port))
				}
				return fd, nil
			}
			var bind *ucspi.BindError
			if errors.As(err, &bind) {
				return -1, prog.Fatal("unable to bind socket", bind.Err)
			}
			if err == syscall.ETIMEDOUT && round == 0 && len(addrs) > 1 {
				timedOut[i] = true
				continue
			}
			if o.verbosity >= errorsOnly {
				prog.Print("unable to connect to " + ucspi.Text(a) + " port " + ucspi.Utoa(port) + ": " + errtext.Of(err))
			}
		}
	}
	return -1, prog.Exit(prog.ExitTemporary)
}

// lookupName gives a host name; no record at all is known and empty, a failed
// lookup unknown.
func lookupName(r *stub.Resolver, a netip.Addr) ucspi.Opt {
	name, _, err := r.Name(a.WithZone(""))
	if err != nil {
		return ucspi.Opt{}
	}
	return ucspi.Known(name)
}
