package dnsname

// Octet reads the first label of n as a number from 0 to 255 in one to three
// decimal digits without a leading zero (compat: djbdns.md section 9.2).
func Octet[T bytes](n T) (byte, bool) {
	l := int(n[0])
	if l < 1 || l > 3 || l > 1 && n[1] == '0' {
		return 0, false
	}
	v := 0
	for i := 1; i <= l; i++ {
		c := n[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return byte(v), v < 256
}

// Nibble reads the first label of n as one hexadecimal digit (RFC 3596,
// section 2.5).
func Nibble[T bytes](n T) (byte, bool) {
	if n[0] != 1 {
		return 0, false
	}
	switch c := LowerByte(n[1]); {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
