package content

import (
	"encoding/binary"
	"slices"

	"bulkhead/internal/dnsname"
)

// MaxLine is the longest log line, in bytes: an IPv6 address, port, id, mark,
// type, and every byte of a name as four characters.
const MaxLine = 32 + 1 + 4 + 1 + 4 + 3 + 4 + 1 + 4*255 + 1

// hex2 are the two digits of a byte, the first in the lower half.
var hex2 = func() (t [256]uint16) {
	const digits = "0123456789abcdef"
	for i := range t {
		t[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
	}
	return
}()

// put2 and put4 write the digits of one and two bytes.
func put2(b []byte, v byte) { binary.LittleEndian.PutUint16(b, hex2[v]) }

func put4(b []byte, v uint16) {
	binary.LittleEndian.PutUint32(b, uint32(hex2[v>>8])|uint32(hex2[v&0xFF])<<16)
}

// shown are the bytes of a name that a log line shows as they are.
var shown = func() (t [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789-_" {
		t[c] = true
	}
	return
}()

// AppendLog appends the log line of a query (compat: djbdns.md section 1.3),
// newline included: IIIIIIII:PPPP:QQQQ R TTTT NAME. An IPv6 client has 32
// digits. A packet that was no question shows id 0, no type and the root.
func AppendLog(dst []byte, peer *Peer, mark byte, q *Question) []byte {
	n := len(dst)
	dst = slices.Grow(dst, MaxLine)
	b := dst[n : n+MaxLine]
	ip, ok := peer.Addr.V4()
	if !ok {
		ip = peer.Addr[:]
	}
	i := 0
	for _, c := range ip {
		put2(b[i:], c)
		i += 2
	}
	b[i] = ':'
	put4(b[i+1:], peer.Port)
	i += 5
	if mark == '/' {
		i += copy(b[i:], ":0000 / 0000 .\n")
		return dst[:n+i]
	}
	t := b[i : i+13]
	t[0] = ':'
	put4(t[1:], q.ID)
	t[5], t[6], t[7] = ' ', mark, ' '
	put4(t[8:], uint16(q.Type))
	t[12] = ' '
	i += 13
	i = appendName(b, i, q.Name)
	b[i] = '\n'
	return dst[:n+i+1]
}

// appendName writes name at b[i:], where there is room, as dnsname.AppendText
// does, and gives where it ends.
func appendName(b []byte, i int, name []byte) int {
	start := i
	for left, k := 0, 0; k < len(name)-1; k++ {
		c := name[k]
		switch {
		case left == 0:
			left = int(c)
			if k == 0 {
				continue
			}
			b[i] = '.'
		case shown[c]:
			left--
			b[i] = c
		default:
			return len(dnsname.AppendText(b[:start], name))
		}
		i++
	}
	if i == start {
		b[i] = '.'
		i++
	}
	return i
}
