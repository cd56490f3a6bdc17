package rdata

import (
	"math/bits"

	"bulkhead/internal/dns"
)

// Type bit maps of NSEC, NSEC3 and CSYNC: blocks of (window, length, bits),
// windows ascending, no empty block, no zero byte at a block's end (RFC 4034,
// section 4.1.2).

func parseBitmap(dst []byte, l *lexer) ([]byte, error) {
	var set [65536 / 8]byte
	for {
		w, ok := l.next()
		if !ok {
			break
		}
		t, ok := dns.ParseType(string(w))
		if !ok || l.quoted {
			return dst, fail("unknown type", w)
		}
		set[t>>3] |= 0x80 >> (t & 7)
	}
	for window := 0; window < 256; window++ {
		b := set[window*32 : window*32+32]
		n := 32
		for n > 0 && b[n-1] == 0 {
			n--
		}
		if n > 0 {
			dst = append(dst, byte(window), byte(n))
			dst = append(dst, b[:n]...)
		}
	}
	return dst, nil
}

func checkBitmap(b []byte) bool {
	last := -1
	for len(b) > 0 {
		if len(b) < 2 {
			return false
		}
		window, n := int(b[0]), int(b[1])
		if window <= last || n < 1 || n > 32 || len(b) < 2+n || b[1+n] == 0 {
			return false
		}
		last = window
		b = b[2+n:]
	}
	return true
}

func printBitmap(dst, b []byte) ([]byte, bool) {
	start := len(dst)
	for len(b) > 0 {
		window, n := int(b[0]), int(b[1])
		dst = printBits(dst, start, window*256, b[2:2+n])
		b = b[2+n:]
	}
	return dst, true
}

func printBits(dst []byte, start, base int, b []byte) []byte {
	for i, c := range b {
		for c != 0 {
			k := bits.LeadingZeros8(c)
			c &^= 0x80 >> k
			if len(dst) > start {
				dst = append(dst, ' ')
			}
			dst = append(dst, dns.Type(base+i*8+k).String()...)
		}
	}
	return dst
}

// NXT's single bit map for types 1 to 127 (RFC 2535, section 5.2); bit 0 set
// would mean another format, which nobody defined. Text may have numbers
// (section 5.3).

const maxOldType = 127

func parseOldBitmap(dst []byte, l *lexer) ([]byte, error) {
	var set [16]byte
	n := 0
	for {
		w, ok := l.next()
		if !ok {
			break
		}
		t, ok := dns.ParseType(string(w))
		if n, is := number(w, maxOldType); is {
			t, ok = dns.Type(n), true
		}
		if !ok || l.quoted || t == 0 || t > maxOldType {
			return dst, fail("not a type from 1 to 127", w)
		}
		set[t>>3] |= 0x80 >> (t & 7)
		n = max(n, int(t>>3)+1)
	}
	return append(dst, set[:n]...), nil
}

func checkOldBitmap(b []byte) bool {
	return len(b) <= 16 && (len(b) == 0 || b[0]&0x80 == 0 && b[len(b)-1] != 0)
}

func printOldBitmap(dst, b []byte) ([]byte, bool) {
	return printBits(dst, len(dst), 0, b), true
}
