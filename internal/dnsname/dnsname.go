// Package dnsname handles domain names in wire form: a sequence of labels,
// each preceded by its length byte, ended by the zero byte of the root
// (RFC 1035, section 3.1). Presentation form exists only at the edges of a
// program: data files, logs, command lines; text.go has both dialects.
//
// Functions take names as strings or byte slices alike and expect them
// well-formed: complete, uncompressed, at most dns.MaxName bytes. Valid checks
// that; ParseDot, ParseMaster and package wire only ever give such names.
package dnsname

import "bulkhead/internal/dns"

// Name is a domain name in wire form that somebody keeps. Being a string it
// compares with ==, serves as a map key, and its parents are substrings that
// cost no allocation. The zero value "" is no name; Root is the root.
// Letter case is kept; compare with Equal, or fold with Lower first.
type Name string

// Root is the name of the root.
const Root Name = "\x00"

type bytes interface{ ~string | ~[]byte }

// Valid reports whether n is one complete, uncompressed name and nothing else.
func Valid[T bytes](n T) bool {
	l, ok := Scan(n)
	return ok && l == len(n)
}

// Scan gives the length in bytes of the complete uncompressed name at the
// start of b, the root's zero byte included; false if there is none.
func Scan[T bytes](b T) (int, bool) {
	for i := 0; i < len(b) && i < dns.MaxName; {
		c := int(b[i])
		if c == 0 {
			return i + 1, true
		}
		if c > dns.MaxLabel {
			return 0, false
		}
		i += 1 + c
	}
	return 0, false
}

// Labels counts the labels, the root not counted.
func Labels[T bytes](n T) int {
	k := 0
	for i := 0; n[i] != 0; i += 1 + int(n[i]) {
		k++
	}
	return k
}

// Parent is n without its first label; the root's parent is the root.
func Parent[T bytes](n T) T {
	if n[0] == 0 {
		return n
	}
	return n[1+int(n[0]):]
}

// Skip is n without its first k labels, the root when there are fewer.
func Skip[T bytes](n T, k int) T {
	for ; k > 0 && n[0] != 0; k-- {
		n = n[1+int(n[0]):]
	}
	return n
}

// IsWildcard reports whether the first label is a lone asterisk (RFC 4592,
// section 2.1.1).
func IsWildcard[T bytes](n T) bool { return len(n) >= 3 && n[0] == 1 && n[1] == '*' }

// lower folds ASCII letters only (RFC 4343, section 3). Length bytes are at
// most 63 and no letters, so whole names fold byte by byte.
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return
}()

// LowerByte folds one byte.
func LowerByte(c byte) byte { return lower[c] }

// UpperIn marks the bytes of w that are A to Z with their highest bit, so that
// w|UpperIn(w)>>2 is w in lower case.
func UpperIn(w uint64) uint64 {
	const ones = 0x0101010101010101
	low := w &^ (0x80 * ones)
	return (low + (0x80-'A')*ones) &^ (low + (0x80-'Z'-1)*ones) &^ w & (0x80 * ones)
}

// Lower folds n in place and returns it.
func Lower(n []byte) []byte {
	for i, c := range n {
		n[i] = lower[c]
	}
	return n
}

// AppendLower appends the folded n to dst.
func AppendLower[T bytes](dst []byte, n T) []byte {
	for i := 0; i < len(n); i++ {
		dst = append(dst, lower[n[i]])
	}
	return dst
}

// Lower gives the folded name; n itself when nothing changes.
func (n Name) Lower() Name {
	for i := 0; i < len(n); i++ {
		if lower[n[i]] != n[i] {
			return Name(AppendLower(make([]byte, 0, len(n)), n))
		}
	}
	return n
}

// Equal compares two names without regard to ASCII letter case (RFC 4343).
func Equal[T, U bytes](a T, b U) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower[a[i]] != lower[b[i]] {
			return false
		}
	}
	return true
}

// IsBelow reports whether n is zone or a name below it, without regard to
// letter case. It compares from a label boundary, never in the middle.
func IsBelow[T, U bytes](n T, zone U) bool {
	for i := 0; len(n)-i >= len(zone); i += 1 + int(n[i]) {
		if len(n)-i == len(zone) {
			return Equal(n[i:], zone)
		}
	}
	return false
}

// Compare orders names canonically (RFC 4034, section 6.1): by labels from the
// right, each compared as lower-cased byte strings, shorter first.
func Compare[T, U bytes](a T, b U) int {
	var ao, bo [dns.MaxLabels + 1]uint8
	na, nb := offsets(a, &ao), offsets(b, &bo)
	for na > 0 && nb > 0 {
		na--
		nb--
		la, lb := a[ao[na]+1:], b[bo[nb]+1:]
		ca, cb := int(a[ao[na]]), int(b[bo[nb]])
		for i := 0; i < ca && i < cb; i++ {
			if x, y := lower[la[i]], lower[lb[i]]; x != y {
				if x < y {
					return -1
				}
				return 1
			}
		}
		if ca != cb {
			if ca < cb {
				return -1
			}
			return 1
		}
	}
	switch {
	case na > 0:
		return 1
	case nb > 0:
		return -1
	}
	return 0
}

// offsets fills o with the position of each label and gives their number.
func offsets[T bytes](n T, o *[dns.MaxLabels + 1]uint8) int {
	k := 0
	for i := 0; n[i] != 0; i += 1 + int(n[i]) {
		o[k] = uint8(i)
		k++
	}
	return k
}

// CommonLabels counts the labels that a and b share at the right end, the root
// not counted, without regard to letter case.
func CommonLabels[T, U bytes](a T, b U) int {
	na, nb := Labels(a), Labels(b)
	x, y := Skip(a, na-nb), Skip(b, nb-na)
	common := 0
	for x[0] != 0 {
		if x[0] == y[0] && Equal(x[:1+int(x[0])], y[:1+int(y[0])]) {
			common++
		} else {
			common = 0
		}
		x, y = Parent(x), Parent(y)
	}
	return common
}

// Join appends the labels of rel, without its root, and then base. It gives
// false when the result would exceed dns.MaxName.
func Join[T, U bytes](rel T, base U) (Name, bool) {
	l := len(rel) - 1 + len(base)
	if l > dns.MaxName {
		return "", false
	}
	b := make([]byte, 0, l)
	b = append(b, rel[:len(rel)-1]...)
	b = append(b, base...)
	return Name(b), true
}
