package rdata

import "bulkhead/internal/dnsname"

// lexer cuts one record's data into words. A word is a run of bytes without
// blanks, or a string in double quotes; backslash takes the next byte, or
// three decimal digits, literally (RFC 1035, section 5.1). Words are returned
// as they stand in the text, escapes included.
type lexer struct {
	s      []byte
	i      int
	quoted bool   // the last word was in quotes
	bad    string // why the text ended early, "" when it did not
	origin dnsname.Name
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next gives the next word; false at the end or when l.bad is set.
func (l *lexer) next() ([]byte, bool) {
	for l.i < len(l.s) && blank(l.s[l.i]) {
		l.i++
	}
	if l.i == len(l.s) {
		return nil, false
	}
	if l.s[l.i] == '"' {
		return l.inQuotes()
	}
	l.quoted = false
	from := l.i
	for l.i < len(l.s) {
		switch c := l.s[l.i]; c {
		case ' ', '\t', '\n', '\r', '"':
			return l.s[from:l.i], true
		case '(', ')', ';':
			l.bad = "unescaped parenthesis or semicolon"
			return nil, false
		case '\\':
			l.i++
			if l.i == len(l.s) {
				l.bad = "backslash at the end"
				return nil, false
			}
		}
		l.i++
	}
	return l.s[from:l.i], true
}

// inQuotes reads the string whose opening quote is the next byte.
func (l *lexer) inQuotes() ([]byte, bool) {
	l.quoted = true
	from := l.i + 1
	for l.i = from; l.i < len(l.s); l.i++ {
		switch l.s[l.i] {
		case '"':
			l.i++
			return l.s[from : l.i-1], true
		case '\\':
			l.i++
		}
	}
	l.i = len(l.s)
	l.bad = "quotes not closed"
	return nil, false
}

func (l *lexer) peek() ([]byte, bool) {
	i, q := l.i, l.quoted
	w, ok := l.next()
	l.i, l.quoted = i, q
	return w, ok
}

// word is next, as an error when there is none.
func (l *lexer) word() ([]byte, error) {
	w, ok := l.next()
	if !ok {
		if l.bad != "" {
			return nil, fail(l.bad, nil)
		}
		return nil, fail("missing", nil)
	}
	return w, nil
}

// bare is word for what must not stand in quotes.
func (l *lexer) bare() ([]byte, error) {
	w, err := l.word()
	if err == nil && l.quoted {
		return nil, fail("must not be quoted", w)
	}
	return w, err
}

// generic takes the word \# if it comes first (RFC 3597, section 5).
func (l *lexer) generic() bool {
	i := l.i
	w, ok := l.next()
	if ok && !l.quoted && len(w) == 2 && w[0] == '\\' && w[1] == '#' {
		return true
	}
	l.i, l.bad = i, ""
	return false
}

// unescape appends the bytes that word w stands for.
func unescape(dst, w []byte) ([]byte, bool) {
	for i := 0; i < len(w); i++ {
		c := w[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		i++
		if i == len(w) {
			return dst, false
		}
		c = w[i]
		if c < '0' || c > '9' {
			dst = append(dst, c)
			continue
		}
		if i+3 > len(w) || !digit(w[i+1]) || !digit(w[i+2]) {
			return dst, false
		}
		v := int(c-'0')*100 + int(w[i+1]-'0')*10 + int(w[i+2]-'0')
		if v > 255 {
			return dst, false
		}
		dst = append(dst, byte(v))
		i += 2
	}
	return dst, true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// number reads an unsigned decimal number up to max.
func number(w []byte, max uint64) (uint64, bool) {
	if len(w) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range w {
		if !digit(c) || n > (1<<64-1-uint64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n <= max
}

// ParsePeriod reads seconds, plain or with units as in 1w2d3h4m5s, in any
// letter case, as BIND does; false when it is none or above 2^32-1.
func ParsePeriod[T ~string | ~[]byte](w T) (uint32, bool) {
	const max = 1<<32 - 1
	var total uint64
	units := false
	for i := 0; i < len(w); {
		var n uint64
		from := i
		for ; i < len(w) && digit(w[i]); i++ {
			if n = n*10 + uint64(w[i]-'0'); n > max {
				return 0, false
			}
		}
		if i == from {
			return 0, false
		}
		if i == len(w) {
			if units {
				return 0, false
			}
			return uint32(n), true
		}
		switch w[i] | 0x20 {
		case 'w':
			n *= 7 * 86400
		case 'd':
			n *= 86400
		case 'h':
			n *= 3600
		case 'm':
			n *= 60
		case 's':
		default:
			return 0, false
		}
		units = true
		i++
		if total += n; total > max {
			return 0, false
		}
	}
	return uint32(total), units
}
