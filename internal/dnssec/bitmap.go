package dnssec

import (
	"slices"

	"bulkhead/internal/dns"
)

// Bitmap is the type bit maps field of NSEC and NSEC3 (RFC 4034, section
// 4.1.2).
type Bitmap []byte

// valid checks the blocks: ascending window numbers, 1 to 32 bytes each.
func (b Bitmap) valid() bool {
	last := -1
	for len(b) > 0 {
		if len(b) < 3 || int(b[0]) <= last || b[1] == 0 || b[1] > 32 || len(b) < 2+int(b[1]) {
			return false
		}
		last = int(b[0])
		b = b[2+int(b[1]):]
	}
	return true
}

// Has reports whether type t is in a valid bit map.
func (b Bitmap) Has(t dns.Type) bool {
	for len(b) >= 2 {
		n := int(b[1])
		if int(b[0]) == int(t>>8) {
			i := int(t&0xff) / 8
			return i < n && 2+i < len(b) && b[2+i]&(0x80>>(t&7)) != 0
		}
		if len(b) < 2+n {
			return false
		}
		b = b[2+n:]
	}
	return false
}

// AppendBitmap appends the bit map of types, in any order, duplicates allowed.
func AppendBitmap(dst []byte, types []dns.Type) []byte {
	ts := slices.Clone(types)
	slices.Sort(ts)
	for i := 0; i < len(ts); {
		window := ts[i] >> 8
		var block [32]byte
		n := 0
		for ; i < len(ts) && ts[i]>>8 == window; i++ {
			k := int(ts[i] & 0xff)
			block[k/8] |= 0x80 >> (k & 7)
			n = k/8 + 1
		}
		dst = append(dst, byte(window), byte(n))
		dst = append(dst, block[:n]...)
	}
	return dst
}

// Types lists the types of a valid bit map.
func (b Bitmap) Types() []dns.Type {
	var ts []dns.Type
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		for i, c := range b[2 : 2+int(b[1])] {
			for k := range 8 {
				if c&(0x80>>k) != 0 {
					ts = append(ts, dns.Type(int(b[0])<<8|i*8|k))
				}
			}
		}
		b = b[2+int(b[1]):]
	}
	return ts
}
