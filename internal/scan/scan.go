// Package scan reads numbers and IPv4 addresses out of text exactly as the old
// programs do: the longest prefix that fits counts, what follows is the
// caller's business (compat: djbdns.md sections 2.2 and 2.3).
package scan

// Number reads the longest run of digits at the start of s, modulo 2^64, and
// says how many bytes it took; 0 bytes means no number.
func Number[T ~string | ~[]byte](s T) (n uint64, used int) {
	for used < len(s) && '0' <= s[used] && s[used] <= '9' {
		n = n*10 + uint64(s[used]-'0')
		used++
	}
	return n, used
}

// IP4 reads four decimal numbers with single dots between, each modulo 256,
// and says how many bytes it took; ok is false if there are not four.
func IP4[T ~string | ~[]byte](s T) (ip [4]byte, used int, ok bool) {
	for i := range ip {
		if i > 0 {
			if used == len(s) || s[used] != '.' {
				return ip, used, false
			}
			used++
		}
		n, k := Number(s[used:])
		if k == 0 {
			return ip, used, false
		}
		ip[i] = byte(n)
		used += k
	}
	return ip, used, true
}
