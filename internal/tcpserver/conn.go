package tcpserver

import (
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/child"
	"bulkhead/internal/errtext"
	"bulkhead/internal/prog"
	"bulkhead/internal/proxyv2"
	"bulkhead/internal/spawn"
	"bulkhead/internal/stub"
	"bulkhead/internal/tcprules"
	"bulkhead/internal/ucspi"
)

// MarkerVar is in the environment of a child that runs this program again to
// ask others about its connection. It never reaches the program.
const MarkerVar = "TCPSERVER_CHILD"

// Exit codes of a child that runs no program (compat: ucspi-tcp.md section 2).
const (
	exitDenied  = 100
	exitDropped = 111
)

const proxyWait = 5 * time.Second // for a PROXY header; balancers send it at once

// verdict is what becomes of a connection.
type verdict struct {
	line  string // after "tcpserver: ok PID "
	deny  bool
	edits []child.Edit // of the rule
	fail  string       // warning instead
}

// maxAskers is the limit of connections up to which the server itself asks
// others when nobody can tell; each that waits for ident holds a thread.
const maxAskers = 1000

// serve starts the child of a connection. pid is 0 if nothing needed one. With
// later the child comes when others have been asked, and fd is not to be
// closed: without a log that shows the process id, and without a banner, it
// makes no difference who asks, and a process is saved.
func (s *server) serve(fd int, sa unix.Sockaddr) (pid int, remote netip.Addr, later bool, err error) {
	o := s.o
	conn := &ucspi.Conn{}
	var zone uint32
	conn.Remote, zone = ucspi.AddrPort(sa)
	o.family(conn, zone)
	remote = conn.Remote.Addr()
	p := &spawn.Plan{Stdio: fd, NoDelay: o.NoDelay, KillOpt: !o.KeepOpts && conn.Remote.Addr().Unmap().Is4(), Banner: []byte(o.Banner)}
	if o.Verbosity > silent {
		p.Fail = drop + "unable to run " + o.Argv[0]
		p.BadBan = drop + "unable to print banner"
	}
	first := spawn.Line{Plain: true}
	if o.Verbosity >= verbose {
		first = spawn.Line{Before: "tcpserver: pid ", After: " from " + o.text(conn.Remote.Addr()) + "\n"}
	}
	p.Say = append(p.Say, first)

	local, e := unix.Getsockname(fd)
	if e == nil {
		conn.Local, _ = ucspi.AddrPort(local)
		if conn.Local.Addr().Is4In6() && !conn.V6 {
			conn.Local = netip.AddrPortFrom(conn.Local.Addr().Unmap(), conn.Local.Port())
		}
	} else {
		pid, err = s.give(p, verdict{fail: "unable to get local address: " + errtext.Of(e)})
		return pid, remote, false, err
	}
	proxied := o.Proxy.Has(remote)
	if !proxied {
		if net := s.overLimit(conn); net != "" {
			pid, err = s.give(p, verdict{fail: "too many connections from " + net})
			return pid, remote, false, err
		}
	}
	if o.asksOthers() && !proxied && o.Verbosity < verbose && o.Banner == "" && o.Limit <= maxAskers {
		go func() {
			o.ask(conn, &s.resolver)
			pid, err := s.decide(p, conn)
			unix.Close(fd)
			s.started(pid, remote, err)
		}()
		return 0, remote, true, nil
	}
	if o.asksOthers() || proxied {
		p.FD, p.Argv = s.self, os.Args
		p.Env = append(append([]string(nil), s.base...), MarkerVar+"="+state(conn, proxied))
		pid, err = spawn.Spawn(p)
		return pid, remote, false, err
	}
	conn.LocalHost = ucspi.Known(o.LocalHost)
	pid, err = s.decide(p, conn)
	return pid, remote, false, err
}

// decide consults the rules and starts the child.
func (s *server) decide(p *spawn.Plan, conn *ucspi.Conn) (int, error) {
	o := s.o
	v := o.judge(conn, &s.rules)
	if v.fail == "" && !v.deny {
		p.Files, p.Argv = s.files, o.Argv
		p.Env = child.Environ(s.base, append(conn.Edits(true), v.edits...))
	}
	return s.give(p, v)
}

// give lets a child carry a verdict out. Without a log and a banner nobody
// could tell a child that runs nothing from none.
func (s *server) give(p *spawn.Plan, v verdict) (int, error) {
	switch {
	case v.fail != "":
		p.Files, p.Exit = nil, exitDropped
		if s.o.Verbosity > silent {
			p.Say = append(p.Say, spawn.Line{Before: drop + v.fail + "\n", Plain: true})
		}
	case v.deny:
		p.Files, p.Exit = nil, exitDenied
		if s.o.Verbosity >= verbose {
			p.Say = append(p.Say, spawn.Line{Before: "tcpserver: deny ", After: " " + v.line})
		} else if len(p.Banner) == 0 {
			return 0, nil
		}
	case s.o.Verbosity >= verbose:
		p.Say = append(p.Say, spawn.Line{Before: "tcpserver: ok ", After: " " + v.line})
	}
	return spawn.Spawn(p)
}

// overLimit gives the network that has too many connections; the limits come
// from the environment and may be set for an address in the rules.
func (s *server) overLimit(conn *ucspi.Conn) string {
	maxIP, maxNet := s.o.MaxConnIP, s.o.MaxConnNet
	if s.o.Rules != "" {
		rule, err := s.rules.Lookup(tcprules.Client{IP: s.o.text(conn.Remote.Addr())})
		if err == nil && rule.Found {
			rule.Each(func(name, value string) {
				switch name {
				case "MAXCONNIP":
					maxIP = limitOr(value, maxIP)
				case "MAXCONNC":
					maxNet = limitOr(value, maxNet)
				}
			})
		}
	}
	if maxIP == 0 && maxNet == 0 {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nets.over(conn.Remote.Addr(), maxIP, maxNet)
}

// family decides how the addresses of a connection look: an IPv4 client on an
// IPv6 socket is an IPv4 client, unless -6.
func (o *Options) family(c *ucspi.Conn, zone uint32) {
	a := c.Remote.Addr()
	c.V6 = a.Is6() && (o.Force6 || !a.Is4In6())
	if !c.V6 {
		c.Remote = netip.AddrPortFrom(a.Unmap(), c.Remote.Port())
	}
	c.Mapped = o.Force6
	if zone != 0 {
		c.Interface = ucspi.InterfaceName(zone)
	}
}

func (o *Options) text(a netip.Addr) string {
	if o.Force6 {
		return string(tcprules.AppendAddr6(nil, a.WithZone("")))
	}
	return ucspi.Text(a)
}

// judge consults the rules and writes the ok or deny line.
func (o *Options) judge(c *ucspi.Conn, rules *Rules) (v verdict) {
	if o.Rules != "" {
		rule, err := rules.Lookup(tcprules.Client{
			IP:   o.text(c.Remote.Addr()),
			Host: c.RemoteHost.Value, HostKnown: c.RemoteHost.Known,
			Info: c.RemoteInfo.Value, InfoKnown: c.RemoteInfo.Known,
		})
		if err != nil {
			v.fail = "unable to read " + o.Rules + ": " + errtext.Of(err)
			return v
		}
		v.deny = rule.Each(func(name, value string) {
			v.edits = append(v.edits, child.Edit{Name: name, Value: value})
		})
	}
	if o.Verbosity >= verbose {
		var b strings.Builder
		field(&b, c.LocalHost.Value, c.V6)
		b.WriteString(":" + o.text(c.Local.Addr()) + ":" + ucspi.Utoa(c.Local.Port()) + " ")
		field(&b, c.RemoteHost.Value, c.V6)
		b.WriteString(":" + o.text(c.Remote.Addr()) + ":")
		field(&b, c.RemoteInfo.Value, c.V6)
		b.WriteString(":" + ucspi.Utoa(c.Remote.Port()) + "\n")
		v.line = b.String()
	}
	return v
}

// state tells the child what the server knows of its connection.
func state(c *ucspi.Conn, proxied bool) string {
	f := []string{c.Local.String(), c.Remote.String(), "", c.Interface}
	if proxied {
		f[2] = "proxied"
	}
	return strings.Join(f, "|")
}

// child is the whole of the program in a child's process: it asks whoever must
// be asked, prints the verdict and becomes the program.
func (o *Options) child(state string) error {
	f := strings.Split(state, "|")
	if len(f) != 4 {
		return prog.Permanent("$"+MarkerVar+" is for internal use", nil)
	}
	local, err1 := netip.ParseAddrPort(f[0])
	remote, err2 := netip.ParseAddrPort(f[1])
	if err1 != nil || err2 != nil {
		return prog.Permanent("$"+MarkerVar+" is for internal use", nil)
	}
	c := &ucspi.Conn{Local: local, Remote: remote}
	if f[2] != "" {
		h, err := readProxy()
		if err != nil {
			return o.dropped("unable to read PROXY header: " + errtext.Of(err))
		}
		if !h.Local {
			c.Local, c.Remote = h.Dst, h.Src
		}
	}
	o.family(c, 0)
	c.Interface = f[3]
	if !c.V6 {
		c.Local = netip.AddrPortFrom(c.Local.Addr().Unmap(), c.Local.Port())
	}
	o.ask(c, new(stub.Resolver))
	v := o.judge(c, &Rules{File: o.Rules, Open: o.RulesOpen})
	if v.fail != "" {
		return o.dropped(v.fail)
	}
	if o.Verbosity >= verbose {
		word := "ok"
		if v.deny {
			word = "deny"
		}
		say("tcpserver: " + word + " " + itoa(os.Getpid()) + " " + v.line)
	}
	if v.deny {
		return prog.Exit(exitDenied)
	}
	err := child.TryExec(o.Argv, child.Environ(environ(), append(c.Edits(true), v.edits...)))
	return o.dropped("unable to run " + o.Argv[0] + ": " + errtext.Of(err))
}

// ask finds out what the options want to know of a connection.
func (o *Options) ask(c *ucspi.Conn, r *stub.Resolver) {
	c.LocalHost = ucspi.Known(o.LocalHost)
	if !o.LocalSet {
		c.LocalHost = lookupName(r, c.Local.Addr())
	}
	if o.HostName {
		c.RemoteHost = lookupName(r, c.Remote.Addr())
		if o.Paranoid && c.RemoteHost.Known && !confirmed(r, c) {
			c.RemoteHost = ucspi.Opt{}
		}
	}
	if o.Ident {
		c.RemoteInfo = ucspi.Ident(c, o.IdentWait)
	}
}

func (o *Options) dropped(why string) error {
	if o.Verbosity > silent {
		say(drop + why + "\n")
	}
	return prog.Exit(exitDropped)
}

// lookupName gives the host name of an address; empty names count as unknown.
func lookupName(r *stub.Resolver, a netip.Addr) ucspi.Opt {
	name, found, err := r.Name(a.WithZone(""))
	if err != nil || !found || name == "" {
		return ucspi.Opt{}
	}
	return ucspi.Known(name)
}

// confirmed reports whether the name of a client leads back to its address.
func confirmed(r *stub.Resolver, c *ucspi.Conn) bool {
	want := c.Remote.Addr().Unmap().WithZone("")
	f := stub.IPv4
	if want.Is6() {
		f = stub.IPv6
	}
	addrs, err := r.Addresses(c.RemoteHost.Value, f)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if a == want {
			return true
		}
	}
	return false
}

// readProxy takes the header from descriptor 0, byte for byte no more.
func readProxy() (proxyv2.Header, error) {
	return proxyv2.Read(&timedReader{deadline: time.Now().Add(proxyWait)})
}

type timedReader struct{ deadline time.Time }

func (t *timedReader) Read(b []byte) (int, error) {
	if err := ucspi.Wait(0, unix.POLLIN, t.deadline); err != nil {
		return 0, err
	}
	n, err := syscall.Read(0, b)
	if n == 0 && err == nil {
		return 0, proxyv2.ErrFormat
	}
	return n, err
}
