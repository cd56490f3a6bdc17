package model

import (
	"bytes"
	"encoding/binary"
	"sort"
)

// Canon puts the A records of an answer section in order and, if blank is set
// and there are eight or more, hides which they are.
func Canon(msg []byte, blank bool) []byte {
	if len(msg) < 12 {
		return msg
	}
	msg = bytes.Clone(msg)
	skip := func(p int) int {
		for p < len(msg) {
			c := int(msg[p])
			if c >= 192 {
				return p + 2
			}
			if c == 0 {
				return p + 1
			}
			p += 1 + c
		}
		return len(msg) + 1
	}
	p := 12
	for range int(binary.BigEndian.Uint16(msg[4:])) {
		p = skip(p) + 4
	}
	var at []int
	var as []string
	for range int(binary.BigEndian.Uint16(msg[6:])) {
		p = skip(p)
		if p+10 > len(msg) {
			break
		}
		typ, n := binary.BigEndian.Uint16(msg[p:]), int(binary.BigEndian.Uint16(msg[p+8:]))
		if p+10+n > len(msg) {
			break
		}
		if (typ == 1 && n == 4) || (typ == 28 && n == 16) {
			at = append(at, p+10)
			as = append(as, string([]byte{byte(typ)})+string(msg[p+10:p+10+n]))
		}
		p += 10 + n
	}
	sort.Strings(as)
	sort.SliceStable(at, func(i, j int) bool { // A before AAAA, as the strings sort
		return msg[at[i]-9] < msg[at[j]-9]
	})
	for i, x := range as {
		if blank && len(as) >= 8 {
			x = string(make([]byte, len(x)))
		}
		copy(msg[at[i]:], x[1:])
	}
	return msg
}

// Same compares two answers but for the order of their addresses.
func Same(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return bytes.Equal(Canon(a, true), Canon(b, true))
}
