package ucspi

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	identPort = 113 // RFC 1413, section 3
	maxInfo   = 257 // bytes of an answer that are kept (compat: ucspi-tcp.md section 11)
	maxIdent  = 999 // bytes of an answer that are read; RFC 1413, section 5 allows 1000
)

// Ident asks the peer of a connection whose it is. Each of connecting and
// reading may take limit. Refusal, timeout and an answer without end are
// unknown.
func Ident(c *Conn, limit time.Duration) Opt {
	fd, err := Dial(netip.AddrPortFrom(c.Local.Addr(), 0), netip.AddrPortFrom(c.Remote.Addr(), identPort), limit)
	if err != nil {
		return Opt{}
	}
	defer unix.Close(fd)
	// the peer's port first
	query := Utoa(c.Remote.Port()) + " , " + Utoa(c.Local.Port()) + "\r\n"
	if _, err := unix.Write(fd, []byte(query)); err != nil {
		return Opt{}
	}
	deadline := time.Now().Add(limit)
	var answer []byte
	for len(answer) < maxIdent {
		if Wait(fd, unix.POLLIN, deadline) != nil {
			return Opt{}
		}
		var buf [128]byte
		n, err := unix.Read(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return Opt{}
		}
		for _, b := range buf[:n] {
			if b == '\n' {
				return ParseIdent(answer)
			}
			answer = append(answer, b)
		}
	}
	return Opt{}
}

// ParseIdent reads an answer without its newline: spaces, tabs and carriage
// returns do not count, the text after the third colon is the information.
func ParseIdent(answer []byte) Opt {
	colons := 0
	var info []byte
	for _, b := range answer {
		switch {
		case b == ' ' || b == '\t' || b == '\r':
		case colons < 3:
			if b == ':' {
				colons++
			}
		case len(info) < maxInfo:
			info = append(info, b)
		}
	}
	if colons < 3 {
		return Opt{}
	}
	return Known(string(info))
}
