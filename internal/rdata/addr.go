package rdata

// appendIP4 reads four decimal octets, strictly: no leading zeros, nothing
// before or after.
func appendIP4[T ~string | ~[]byte](dst []byte, w T) ([]byte, bool) {
	start := len(dst)
	for i, k := 0, 0; ; k++ {
		from, n := i, 0
		for ; i < len(w) && digit(w[i]) && i-from < 3; i++ {
			n = n*10 + int(w[i]-'0')
		}
		if i == from || n > 255 || i-from > 1 && w[from] == '0' {
			return dst[:start], false
		}
		dst = append(dst, byte(n))
		if k == 3 {
			return dst, i == len(w)
		}
		if i == len(w) || w[i] != '.' {
			return dst[:start], false
		}
		i++
	}
}

// appendIP6 reads the text forms of RFC 4291, section 2.2, without zones.
func appendIP6[T ~string | ~[]byte](dst []byte, w T) ([]byte, bool) {
	start := len(dst)
	gap := -1 // offset in dst of ::
	i := 0
	if len(w) >= 2 && w[0] == ':' && w[1] == ':' {
		gap, i = start, 2
	}
	for i < len(w) {
		if len(dst)-start == 16 {
			return dst[:start], false
		}
		from, n := i, 0
		for ; i < len(w) && i-from < 4; i++ {
			d, ok := hexDigit(w[i])
			if !ok {
				break
			}
			n = n<<4 | int(d)
		}
		if i == from {
			return dst[:start], false
		}
		if i < len(w) && w[i] == '.' {
			if len(dst)-start > 12 {
				return dst[:start], false
			}
			out, ok := appendIP4(dst, w[from:])
			if !ok {
				return dst[:start], false
			}
			dst, i = out, len(w)
			break
		}
		dst = append(dst, byte(n>>8), byte(n))
		if i == len(w) {
			break
		}
		if w[i] != ':' {
			return dst[:start], false
		}
		i++
		if i < len(w) && w[i] == ':' {
			if gap >= 0 {
				return dst[:start], false
			}
			gap = len(dst)
			i++
		} else if i == len(w) {
			return dst[:start], false // a lone colon at the end
		}
	}
	have := len(dst) - start
	if gap < 0 {
		return dst, have == 16
	}
	if have >= 16 {
		return dst[:start], false // :: stands for at least one group
	}
	tail := len(dst) - gap
	for len(dst)-start < 16 {
		dst = append(dst, 0)
	}
	copy(dst[start+16-tail:], dst[gap:gap+tail])
	clear(dst[gap : start+16-tail])
	return dst, true
}
