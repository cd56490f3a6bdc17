package content

import (
	"bulkhead/internal/dnsname"
)

// MaxLine is the longest log line, in bytes: an IPv6 address, port, id, mark,
// type, and every byte of a name as four characters.
const MaxLine = 32 + 1 + 4 + 1 + 4 + 3 + 4 + 1 + 4*255 + 1

const hexDigits = "0123456789abcdef"

func hex4(dst []byte, v uint16) []byte {
	return append(dst, hexDigits[v>>12], hexDigits[v>>8&15], hexDigits[v>>4&15], hexDigits[v&15])
}

// AppendLog appends the log line of a query (compat: djbdns.md section 1.3),
// newline included: IIIIIIII:PPPP:QQQQ R TTTT NAME. An IPv6 client has 32
// digits. A packet that was no question shows id 0, no type and the root.
func AppendLog(dst []byte, peer *Peer, mark byte, q *Question) []byte {
	ip, ok := peer.Addr.V4()
	if !ok {
		ip = peer.Addr[:]
	}
	for _, c := range ip {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	dst = append(dst, ':')
	dst = hex4(dst, peer.Port)
	if mark == '/' {
		return append(dst, ":0000 / 0000 .\n"...)
	}
	dst = append(dst, ':')
	dst = hex4(dst, q.ID)
	dst = append(dst, ' ', mark, ' ')
	dst = hex4(dst, uint16(q.Type))
	dst = append(dst, ' ')
	dst = dnsname.AppendText(dst, q.Name)
	return append(dst, '\n')
}
