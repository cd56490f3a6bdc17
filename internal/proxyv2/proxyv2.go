// Package proxyv2 reads the header that load balancers put before a TCP
// stream, version 2, the binary one ("The PROXY protocol, Versions 1 & 2",
// HAProxy Technologies, section 2.2). Whoever may send it can claim any
// address: callers accept it only from peers on an explicit list, and refuse
// those peers' connections without it.
package proxyv2

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
)

// ErrFormat says that a stream does not start with a header. Its words are
// those of EPROTO.
var ErrFormat = errors.New("protocol error")

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	fixedLen  = 16   // signature, version and command, family, length
	maxRest   = 1024 // bytes after the fixed part; addresses take 216 at most, the rest is TLVs
)

// Header is what a header says.
type Header struct {
	Local    bool // the balancer speaks for itself: use the socket's addresses
	Src, Dst netip.AddrPort
}

// Read takes one header from r, reading no byte more.
func Read(r io.Reader) (Header, error) {
	var b [fixedLen + maxRest]byte
	if _, err := io.ReadFull(r, b[:fixedLen]); err != nil {
		return Header{}, eof(err)
	}
	n := int(binary.BigEndian.Uint16(b[14:]))
	if string(b[:len(signature)]) != signature || n > maxRest {
		return Header{}, ErrFormat
	}
	if _, err := io.ReadFull(r, b[fixedLen:fixedLen+n]); err != nil {
		return Header{}, eof(err)
	}
	return Parse(b[:fixedLen+n])
}

func eof(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrFormat
	}
	return err
}

// Len gives the length of the header that b starts with, 0 if more bytes are
// needed to know; false if b can not be the start of one.
func Len(b []byte) (n int, ok bool) {
	if k := min(len(b), len(signature)); string(b[:k]) != signature[:k] {
		return 0, false
	}
	if len(b) < fixedLen {
		return 0, true
	}
	n = fixedLen + int(binary.BigEndian.Uint16(b[14:]))
	return n, n <= fixedLen+maxRest
}

// Parse reads a complete header.
func Parse(b []byte) (h Header, err error) {
	if len(b) < fixedLen || string(b[:len(signature)]) != signature || len(b) != fixedLen+int(binary.BigEndian.Uint16(b[14:])) {
		return h, ErrFormat
	}
	rest := b[fixedLen:]
	if b[12]>>4 != 2 {
		return h, ErrFormat
	}
	switch b[12] & 15 {
	case 0: // LOCAL: the rest is to be ignored
		return Header{Local: true}, nil
	case 1: // PROXY
	default:
		return h, ErrFormat
	}
	switch b[13] {
	case 0x11: // TCP over IPv4
		if len(rest) < 12 {
			return h, ErrFormat
		}
		h.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))
		h.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[4:])), binary.BigEndian.Uint16(rest[10:]))
	case 0x21: // TCP over IPv6
		if len(rest) < 36 {
			return h, ErrFormat
		}
		h.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)), binary.BigEndian.Uint16(rest[32:]))
		h.Dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[16:])), binary.BigEndian.Uint16(rest[34:]))
	case 0x00: // UNSPEC: the receiver must use the socket's addresses
		return Header{Local: true}, nil
	default: // UDP, Unix sockets: not on a TCP port
		return h, ErrFormat
	}
	return h, nil
}

// AllowList is the set of peers that must send a header.
type AllowList []netip.Prefix

// ParseAllowList reads addresses and networks separated by commas or spaces.
func ParseAllowList(s string) (AllowList, bool) {
	var l AllowList
	for _, f := range strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' }) {
		if p, err := netip.ParsePrefix(f); err == nil {
			l = append(l, p.Masked())
			continue
		}
		a, err := netip.ParseAddr(f)
		if err != nil {
			return nil, false
		}
		l = append(l, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	return l, true
}

// Has reports whether a peer is on the list.
func (l AllowList) Has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range l {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
