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
	if len(s) == 0 {
		return "", ErrName
	}
	if len(s) == 1 && s[0] == '.' {
		return Root, nil
	}
	if len(s) == 1 && s[0] == '@' && origin != "" {
		return origin, nil
	}
	var buf [dns.MaxName + 1]byte
	label, n := 0, 1 // label's length byte, next free byte
	absolute := false
	for i := 0; i < len(s); {
		c := s[i]
		i++
		if c == '.' {
			l := n - label - 1
			if l == 0 {
				return "", ErrName
			}
			buf[label] = byte(l)
			label = n
			if n++; n > dns.MaxName {
				return "", ErrName
			}
			absolute = i == len(s)
			continue
		}
		if c == '\\' {
			if i == len(s) {
				return "", ErrName
			}
			c = s[i]
			i++
			if '0' <= c && c <= '9' {
				if i+2 > len(s) || s[i] < '0' || s[i] > '9' || s[i+1] < '0' || s[i+1] > '9' {
					return "", ErrName
				}
				v := int(c-'0')*100 + int(s[i]-'0')*10 + int(s[i+1]-'0')
				if v > 255 {
					return "", ErrName
				}
				c = byte(v)
				i += 2
			}
		}
		if n-label > dns.MaxLabel || n >= dns.MaxName {
			return "", ErrName
		}
		buf[n] = c
		n++
	}
	if absolute {
		return Name(buf[:n]), nil // buf[label] is the root's zero byte
	}
	buf[label] = byte(n - label - 1)
	if origin == "" {
		origin = Root
	}
	if n+len(origin) > dns.MaxName {
		return "", ErrName
	}
	return Name(buf[:n]) + origin, nil
}
