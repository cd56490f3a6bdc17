package rdata

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"bulkhead/internal/dns"
)

// SvcParamKeys (RFC 9460, section 14.3.2 and the IANA registry "Service
// Parameter Keys").
const (
	keyMandatory     = 0
	keyALPN          = 1
	keyNoDefaultALPN = 2
	keyPort          = 3
	keyIPv4Hint      = 4
	keyECH           = 5 // RFC 9848
	keyIPv6Hint      = 6
	keyDoHPath       = 7 // RFC 9461
	keyOHTTP         = 8 // RFC 9540
	keyTLSGroups     = 9
	keyInvalid       = 65535
)

var keyNames = [...]string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp", "tls-supported-groups"}

func parseKey(w []byte) (uint16, bool) {
	for i, s := range keyNames {
		if string(w) == s {
			return uint16(i), true
		}
	}
	if len(w) < 4 || string(w[:3]) != "key" || len(w) > 4 && w[3] == '0' {
		return 0, false
	}
	n, ok := number(w[3:], keyInvalid-1)
	return uint16(n), ok
}

func appendKey(dst []byte, k uint16) []byte {
	if int(k) < len(keyNames) {
		return append(dst, keyNames[k]...)
	}
	return strconv.AppendUint(append(dst, "key"...), uint64(k), 10)
}

// maxParams bounds the parameters of one record; each has at least 4 bytes.
const maxParams = dns.MaxMessage / 4

type param struct {
	key   uint16
	value []byte // wire form
}

// parseParams reads key, key=value and key="value" words in any order and
// appends them in ascending order of keys (RFC 9460, sections 2.1 and 2.2).
func parseParams(dst []byte, l *lexer) ([]byte, error) {
	var buf [8]param
	list := buf[:0]
	for {
		word, value, has, err := l.param()
		if err != nil {
			return dst, err
		}
		if word == nil {
			break
		}
		key, ok := parseKey(word)
		if !ok {
			return dst, fail("unknown key", word)
		}
		v, ok := paramValue(key, value, has)
		if int(key) < len(keyNames) && string(word) != keyNames[key] {
			// RFC 9460, section 2.1: keyNNNNN takes the value's wire form,
			// whatever key it is
			v, ok = unescape(nil, value)
			ok = ok && checkParam(key, v)
		}
		if !ok {
			return dst, fail("bad value of "+string(appendKey(nil, key)), value)
		}
		if len(list) >= maxParams || len(v) > dns.MaxMessage {
			return dst, fail("longer than 65535 bytes", nil)
		}
		list = append(list, param{key, v})
	}
	slices.SortStableFunc(list, func(a, b param) int { return int(a.key) - int(b.key) })
	start := len(dst)
	for i, p := range list {
		if i > 0 && list[i-1].key == p.key {
			return dst, fail("key twice", appendKey(nil, p.key))
		}
		dst = binary.BigEndian.AppendUint16(dst, p.key)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(p.value)))
		dst = append(dst, p.value...)
	}
	if !checkParams(dst[start:]) {
		return dst, fail("contradictory parameters", nil)
	}
	return dst, nil
}

// param reads one parameter; word is nil at the end.
func (l *lexer) param() (word, value []byte, has bool, err error) {
	for l.i < len(l.s) && blank(l.s[l.i]) {
		l.i++
	}
	from := l.i
	for l.i < len(l.s) && (alnum(l.s[l.i]) || l.s[l.i] == '-') {
		l.i++
	}
	word = l.s[from:l.i]
	if l.i < len(l.s) && l.s[l.i] == '=' && len(word) > 0 {
		l.i++
		has = true
		if l.i < len(l.s) && !blank(l.s[l.i]) {
			var ok bool
			if value, ok = l.next(); !ok {
				return nil, nil, false, fail(l.bad, nil)
			}
		}
	}
	if l.i < len(l.s) && !blank(l.s[l.i]) {
		return nil, nil, false, fail("not a parameter", l.s[from:])
	}
	if len(word) == 0 {
		return nil, nil, false, nil
	}
	return word, value, has, nil
}

// paramValue gives the wire form of a parameter's value as it stands in text.
func paramValue(key uint16, text []byte, has bool) ([]byte, bool) {
	raw, ok := unescape(nil, text)
	if !ok {
		return nil, false
	}
	var v []byte
	switch key {
	case keyMandatory:
		var keys []uint16
		for item := range splitComma(raw) {
			k, ok := parseKey(item)
			if !ok || len(keys) >= maxParams {
				return nil, false
			}
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			v = binary.BigEndian.AppendUint16(v, k)
		}
	case keyALPN:
		// RFC 9460, appendix A.1: a second level of escapes, of comma and
		// backslash
		item := []byte{0}
		for i := 0; i <= len(raw); i++ {
			switch {
			case i == len(raw) || raw[i] == ',':
				if len(item) == 1 || len(item) > 256 {
					return nil, false
				}
				item[0] = byte(len(item) - 1)
				v = append(v, item...)
				item = item[:1]
			case raw[i] == '\\':
				if i++; i == len(raw) {
					return nil, false
				}
				item = append(item, raw[i])
			default:
				item = append(item, raw[i])
			}
		}
	case keyNoDefaultALPN, keyOHTTP:
		return nil, !has
	case keyPort:
		n, ok := number(raw, 1<<16-1)
		return binary.BigEndian.AppendUint16(nil, uint16(n)), ok
	case keyIPv4Hint, keyIPv6Hint:
		for item := range splitComma(raw) {
			if key == keyIPv4Hint {
				v, ok = appendIP4(v, item)
			} else {
				v, ok = appendIP6(v, item)
			}
			if !ok {
				return nil, false
			}
		}
	case keyECH:
		var b base64Reader
		if !b.feed(&v, raw) || b.n != 0 {
			return nil, false
		}
	case keyTLSGroups:
		for item := range splitComma(raw) {
			n, ok := number(item, 1<<16-1)
			if !ok {
				return nil, false
			}
			v = binary.BigEndian.AppendUint16(v, uint16(n))
		}
	default:
		v = raw
	}
	return v, checkParam(key, v)
}

// splitComma gives the items between commas; one empty item for no bytes.
func splitComma(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for from, i := 0, 0; i <= len(b); i++ {
			if i == len(b) || b[i] == ',' {
				if !yield(b[from:i]) {
					return
				}
				from = i + 1
			}
		}
	}
}

// checkParam checks one value in wire form.
func checkParam(key uint16, v []byte) bool {
	switch key {
	case keyMandatory: // RFC 9460, section 8
		last := 0 // mandatory must not list itself
		if len(v) == 0 || len(v)%2 != 0 {
			return false
		}
		for ; len(v) > 0; v = v[2:] {
			k := be16(v)
			if k <= last {
				return false
			}
			last = k
		}
	case keyALPN:
		if len(v) == 0 {
			return false
		}
		for len(v) > 0 {
			n, ok := prefixed(v, 1)
			if !ok {
				return false
			}
			v = v[n:]
		}
	case keyNoDefaultALPN, keyOHTTP:
		return len(v) == 0
	case keyPort:
		return len(v) == 2
	case keyIPv4Hint:
		return len(v) > 0 && len(v)%4 == 0
	case keyIPv6Hint:
		return len(v) > 0 && len(v)%16 == 0
	case keyECH:
		return len(v) > 0
	case keyTLSGroups:
		return len(v) > 0 && len(v)%2 == 0
	case keyInvalid:
		return false
	}
	return true
}

// checkParams checks order and values, and that the mandatory keys are there
// (RFC 9460, sections 2.2 and 8).
func checkParams(data []byte) bool {
	var mandatory []byte
	last := -1
	for b := data; len(b) > 0; {
		if len(b) < 4 {
			return false
		}
		k, n := be16(b), be16(b[2:])
		if k <= last || len(b) < 4+n || !checkParam(uint16(k), b[4:4+n]) {
			return false
		}
		last = k
		if k == keyMandatory {
			mandatory = b[4 : 4+n]
		}
		b = b[4+n:]
	}
	// no-default-alpn without alpn contradicts itself (section 7.1.1)
	hasALPN, hasNoDefault := false, false
	for b := data; len(b) > 0; b = b[4+be16(b[2:]):] {
		switch k := be16(b); k {
		case keyALPN:
			hasALPN = true
		case keyNoDefaultALPN:
			hasNoDefault = true
		}
		// both lists ascend
		if len(mandatory) > 0 && be16(mandatory) == be16(b) {
			mandatory = mandatory[2:]
		}
	}
	return len(mandatory) == 0 && (hasALPN || !hasNoDefault)
}

func printParams(dst, b []byte) ([]byte, bool) {
	start := len(dst)
	for len(b) > 0 {
		k, n := uint16(be16(b)), be16(b[2:])
		v := b[4 : 4+n]
		b = b[4+n:]
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = appendKey(dst, k)
		if k == keyNoDefaultALPN || k == keyOHTTP {
			continue
		}
		if len(v) == 0 { // a key of its own, without a value
			continue
		}
		dst = append(dst, '=')
		switch k {
		case keyMandatory:
			for i := 0; i < len(v); i += 2 {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendKey(dst, uint16(be16(v[i:])))
			}
		case keyALPN:
			var text []byte
			for len(v) > 0 {
				m := 1 + int(v[0])
				if text != nil {
					text = append(text, ',')
				}
				for _, c := range v[1:m] {
					if c == ',' || c == '\\' {
						text = append(text, '\\')
					}
					text = append(text, c)
				}
				v = v[m:]
			}
			dst = AppendQuoted(dst, text)
		case keyPort:
			dst = strconv.AppendUint(dst, uint64(be16(v)), 10)
		case keyIPv4Hint:
			for i := 0; i < len(v); i += 4 {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendAddr4(dst, v[i:i+4])
			}
		case keyIPv6Hint:
			for i := 0; i < len(v); i += 16 {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = netip.AddrFrom16([16]byte(v[i : i+16])).AppendTo(dst)
			}
		case keyECH:
			dst = base64.StdEncoding.AppendEncode(dst, v)
		case keyTLSGroups:
			for i := 0; i < len(v); i += 2 {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = strconv.AppendUint(dst, uint64(be16(v[i:])), 10)
			}
		default:
			dst = AppendQuoted(dst, v)
		}
	}
	return dst, true
}
