package dnsname

import (
	"errors"

	"bulkhead/internal/dns"
)

// ErrName says that text is no name: a label over 63 bytes, a name over 255,
// or, in master file form only, an empty label or a bad escape.
var ErrName = errors.New("protocol error")

// ParseDot reads the text form of data files and command lines ("fromdot",
// compat specification 2.1): empty labels vanish, \ooo is octal modulo 256,
// backslash and any other byte is that byte, a lone final backslash is
// dropped. Case is kept. The final dot is optional: names are always absolute.
func ParseDot[T bytes](s T) (Name, error) {
	b, err := AppendDot(nil, s)
	return Name(b), err
}

// AppendDot is ParseDot into a caller's buffer. On error dst is returned
// unchanged.
func AppendDot[T bytes](dst []byte, s T) ([]byte, error) {
	start := len(dst)
	label := len(dst)
	out := append(dst, 0)
	end := func() bool {
		n := len(out) - label - 1
		if n == 0 {
			return true
		}
		// the root's zero byte still has to fit
		if n > dns.MaxLabel || len(out)-start+1 > dns.MaxName {
			return false
		}
		out[label] = byte(n)
		label = len(out)
		out = append(out, 0)
		return true
	}
	for i := 0; i < len(s); {
		c := s[i]
		i++
		if c == '.' {
			if !end() {
				return dst, ErrName
			}
			continue
		}
		if c == '\\' {
			if i == len(s) {
				break
			}
			c = s[i]
			i++
			if '0' <= c && c <= '7' {
				v := int(c - '0')
				for k := 0; k < 2 && i < len(s) && '0' <= s[i] && s[i] <= '7'; k++ {
					v = v*8 + int(s[i]-'0')
					i++
				}
				c = byte(v)
			}
		}
		out = append(out, c)
		if len(out)-label > dns.MaxLabel+1 {
			return dst, ErrName
		}
	}
	if !end() {
		return dst, ErrName
	}
	return out, nil
}

// AppendText appends the form of logs and client tools ("todot", compat
// specification 1.3 and 2.5): lower case, labels joined by dots with no final
// dot, the root as ".", every byte but a-z 0-9 - _ as backslash and three
// octal digits.
func AppendText[T bytes](dst []byte, n T) []byte {
	if n[0] == 0 {
		return append(dst, '.')
	}
	for i := 0; n[i] != 0; {
		if i > 0 {
			dst = append(dst, '.')
		}
		end := i + 1 + int(n[i])
		for i++; i < end; i++ {
			c := lower[n[i]]
			if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			}
		}
	}
	return dst
}

// Text gives AppendText as a string.
func (n Name) Text() string { return string(AppendText(nil, n)) }

// AppendMaster appends the presentation form of master files (RFC 1035,
// section 5.1): case kept, always a final dot, backslash before special
// printable bytes and \DDD (decimal) for others.
func AppendMaster[T bytes](dst []byte, n T) []byte {
	if n[0] == 0 {
		return append(dst, '.')
	}
	for i := 0; n[i] != 0; {
		end := i + 1 + int(n[i])
		for i++; i < end; i++ {
			switch c := n[i]; {
			case c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$':
				dst = append(dst, '\\', c)
			case c > ' ' && c < 127:
				dst = append(dst, c)
			default:
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		}
		dst = append(dst, '.')
	}
	return dst
}

// String gives the master file form.
func (n Name) String() string {
	if n == "" {
		return "<no name>"
	}
	return string(AppendMaster(nil, n))
}

// ParseMaster reads the presentation form of RFC 1035, section 5.1, with \X
// and \DDD escapes. A name without a final dot is completed with origin; when
// origin is "" it is taken as absolute. "@" alone is origin.
func ParseMaster[T bytes](s T, origin Name) (Name, error) {
	var buf [dns.MaxName]byte
	b, err := AppendParseMaster(buf[:0], s, origin)
	return Name(b), err
}

// AppendParseMaster is ParseMaster into a caller's buffer, without allocation
// when there is room. On error dst is returned unchanged.
func AppendParseMaster[T bytes](dst []byte, s T, origin Name) ([]byte, error) {
	start := len(dst)
	if len(s) == 0 {
		return dst, ErrName
	}
	if len(s) == 1 && s[0] == '.' {
		return append(dst, 0), nil
	}
	if len(s) == 1 && s[0] == '@' && origin != "" {
		return append(dst, origin...), nil
	}
	out := append(dst, 0)
	label := start // where the present label's length byte stands
	for i := 0; i < len(s); {
		c := s[i]
		i++
		if c == '.' {
			l := len(out) - label - 1
			if l == 0 || len(out)-start >= dns.MaxName {
				return dst, ErrName
			}
			out[label] = byte(l)
			label = len(out)
			out = append(out, 0)
			if i == len(s) {
				return out, nil // the byte just added is the root
			}
			continue
		}
		if c == '\\' {
			if i == len(s) {
				return dst, ErrName
			}
			c = s[i]
			i++
			if '0' <= c && c <= '9' {
				if i+2 > len(s) || s[i] < '0' || s[i] > '9' || s[i+1] < '0' || s[i+1] > '9' {
					return dst, ErrName
				}
				v := int(c-'0')*100 + int(s[i]-'0')*10 + int(s[i+1]-'0')
				if v > 255 {
					return dst, ErrName
				}
				c = byte(v)
				i += 2
			}
		}
		if len(out)-label > dns.MaxLabel || len(out)-start >= dns.MaxName {
			return dst, ErrName
		}
		out = append(out, c)
	}
	out[label] = byte(len(out) - label - 1)
	if origin == "" {
		origin = Root
	}
	if len(out)-start+len(origin) > dns.MaxName {
		return dst, ErrName
	}
	return append(out, origin...), nil
}
