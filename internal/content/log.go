package content

import (
	"encoding/binary"
	"slices"

	"bulkhead/internal/dnsname"
)

// MaxLine is the longest log line, in bytes: an IPv6 address, port, id, mark,
// type, and every byte of a name as four characters.
const MaxLine = 32 + 1 + 4 + 1 + 4 + 3 + 4 + 1 + 4*255 + 1

// hex8 gives the eight digits of v, the first in the highest byte: all at
// once, since most of a log line's cost is its numbers.
func hex8(v uint32) uint64 {
	const ones = 0x0101010101010101
	w := uint64(v) // a digit's value in each byte, by halving
	w = (w | w<<16) & 0x0000FFFF0000FFFF
	w = (w | w<<8) & 0x00FF00FF00FF00FF
	w = (w | w<<4) & (0x0F * ones)
	letters := (w + 6*ones) >> 4 & ones // 1 where the value is 10 or more
	return w + '0'*ones + letters*('a'-'0'-10)
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
	for ; len(ip) > 0; ip = ip[4:] {
		binary.BigEndian.PutUint64(b[i:], hex8(binary.BigEndian.Uint32(ip)))
		i += 8
	}
	const fixed = 18 // bytes from the address to the name
	t := (*[fixed]byte)(b[i : i+fixed])
	d := hex8(uint32(peer.Port)<<16 | uint32(q.ID))
	t[0], t[5], t[10], t[11], t[12], t[17] = ':', ':', ' ', mark, ' ', ' '
	binary.BigEndian.PutUint32(t[1:], uint32(d>>32))
	if mark == '/' {
		return dst[:n+i+5+copy(b[i+5:], ":0000 / 0000 .\n")]
	}
	binary.BigEndian.PutUint32(t[6:], uint32(d))
	binary.BigEndian.PutUint32(t[13:], uint32(hex8(uint32(q.Type))))
	i = appendName(b, i+fixed, q.Name)
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
