// Package ucspi is what TCP servers and clients of the ucspi-tcp family share:
// the environment they give a program, connecting with a time limit, and the
// ident question (compat: ucspi-tcp.md sections 1, 5, 11, 12).
//
//	ucspi.go   the environment, ports
//	dial.go    connect with a time limit; addresses of sockets
//	ident.go   who is at the other end, RFC 1413
package ucspi

import (
	"bufio"
	"net/netip"
	"os"
	"strings"

	"bulkhead/internal/child"
	"bulkhead/internal/scan"
	"bulkhead/internal/tcprules"
)

// Opt is a value that may be unknown.
type Opt struct {
	Value string
	Known bool
}

// Known makes a known value.
func Known(s string) Opt { return Opt{s, true} }

// Conn is what is known of a connection.
type Conn struct {
	Local, Remote         netip.AddrPort
	LocalHost, RemoteHost Opt
	RemoteInfo            Opt
	V6                    bool   // the socket speaks IPv6 to the peer: PROTO is TCP6
	Mapped                bool   // show IPv4 addresses as ::ffff:1.2.3.4
	Interface             string // of a peer address with a scope, else ""
}

// Text gives an address as the variables have it.
func Text(a netip.Addr) string { return string(tcprules.AppendAddr(nil, a.WithZone(""))) }

// Edits gives the variables of a connection. Unknown ones are removed, even if
// they were inherited. Extra adds the TCP6 variables, which servers set and
// clients do not (compat: ucspi-tcp.md section 12).
func (c *Conn) Edits(extra bool) []child.Edit {
	proto := "TCP"
	if c.V6 {
		proto = "TCP6"
	}
	text := Text
	if c.Mapped {
		text = func(a netip.Addr) string { return string(tcprules.AppendAddr6(nil, a.WithZone(""))) }
	}
	lport, rport := Utoa(c.Local.Port()), Utoa(c.Remote.Port())
	e := make([]child.Edit, 0, 16)
	set := func(name string, o Opt) { e = append(e, child.Edit{Name: name, Value: o.Value, Unset: !o.Known}) }
	set("PROTO", Known(proto))
	set("TCPLOCALIP", Known(text(c.Local.Addr())))
	set("TCPLOCALPORT", Known(lport))
	set("TCPLOCALHOST", c.LocalHost)
	set("TCPREMOTEIP", Known(text(c.Remote.Addr())))
	set("TCPREMOTEPORT", Known(rport))
	set("TCPREMOTEHOST", c.RemoteHost)
	set("TCPREMOTEINFO", c.RemoteInfo)
	if !extra {
		return e
	}
	six := func(a netip.Addr) Opt { return Known(string(tcprules.AppendAddr6(nil, a.WithZone("")))) }
	set("TCP6LOCALIP", six(c.Local.Addr()))
	set("TCP6LOCALPORT", Known(lport))
	set("TCP6LOCALHOST", c.LocalHost)
	set("TCP6REMOTEIP", six(c.Remote.Addr()))
	set("TCP6REMOTEPORT", Known(rport))
	set("TCP6REMOTEHOST", c.RemoteHost)
	set("TCP6REMOTEINFO", c.RemoteInfo)
	set("TCP6INTERFACE", Opt{c.Interface, c.Interface != ""})
	return e
}

// Utoa writes a port.
func Utoa(n uint16) string {
	var b [5]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}

// ServicesFile is where service names are looked up.
const ServicesFile = "/etc/services"

// Port reads a port: decimal digits, empty as 0, or a TCP service name.
func Port(s string) (uint16, bool) {
	if n, used := scan.Number(s); used == len(s) {
		return uint16(n), true
	}
	f, err := os.Open(ServicesFile)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		line, _, _ := strings.Cut(in.Text(), "#")
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		port, proto, ok := strings.Cut(w[1], "/")
		if !ok || proto != "tcp" {
			continue
		}
		for i, name := range w {
			if i == 1 || name != s {
				continue
			}
			if n, used := scan.Number(port); used == len(port) {
				return uint16(n), true
			}
		}
	}
	return 0, false
}
