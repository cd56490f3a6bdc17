package rdata

import (
	"encoding/binary"
	"strconv"
)

// LOC (RFC 1876): version 0, size, horizontal and vertical precision as
// mantissa and power of ten in centimetres, latitude and longitude in
// thousandths of a second of arc around 2^31, altitude in centimetres above
// 100000 m below the reference ellipsoid.

const (
	locLen      = 16
	locEquator  = 1 << 31
	locBase     = 10000000  // cm, RFC 1876, section 2
	locAltMax   = 1<<32 - 1 // cm above locBase's zero
	maxLatitude = 90 * 3600 * 1000
	maxLongitud = 180 * 3600 * 1000
	locSize     = 0x12 // 1 m, the defaults of section 3
	locHoriz    = 0x16 // 10000 m
	locVert     = 0x13 // 10 m
)

func parseLOC(dst []byte, l *lexer) ([]byte, error) {
	lat, err := parseAngle(l, 'N', 'S', maxLatitude)
	if err != nil {
		return dst, err
	}
	lon, err := parseAngle(l, 'E', 'W', maxLongitud)
	if err != nil {
		return dst, err
	}
	w, err := l.bare()
	if err != nil {
		return dst, err
	}
	negative := len(w) > 0 && w[0] == '-'
	digits := w
	if negative {
		digits = w[1:]
	}
	cm, ok := metres(digits)
	alt := int64(cm) + locBase
	if negative {
		alt = locBase - int64(cm)
	}
	if !ok || alt < 0 || alt > locAltMax {
		return dst, fail("not an altitude in metres", w)
	}
	precision := [3]byte{locSize, locHoriz, locVert}
	for i := range precision {
		if _, more := l.peek(); !more {
			break
		}
		if w, err = l.bare(); err != nil {
			return dst, err
		}
		cm, ok := metres(w)
		if !ok || cm > 9000000000 { // 9e9 cm is the largest pair of nibbles
			return dst, fail("not a distance in metres", w)
		}
		precision[i] = scientific(cm)
	}
	dst = append(dst, 0, precision[0], precision[1], precision[2])
	dst = binary.BigEndian.AppendUint32(dst, lat)
	dst = binary.BigEndian.AppendUint32(dst, lon)
	return binary.BigEndian.AppendUint32(dst, uint32(alt)), nil
}

// parseAngle reads "d [m [s[.fff]]] H".
func parseAngle(l *lexer, plus, minus byte, max uint32) (uint32, error) {
	var total uint64
	for unit := 0; unit < 4; unit++ {
		w, err := l.bare()
		if err != nil {
			return 0, err
		}
		if len(w) == 1 && (w[0]&^0x20 == plus || w[0]&^0x20 == minus) {
			if unit == 0 || total > uint64(max) {
				return 0, fail("not an angle", w)
			}
			if w[0]&^0x20 == plus {
				return locEquator + uint32(total), nil
			}
			return locEquator - uint32(total), nil
		}
		ok := false
		var n uint64
		switch unit {
		case 0:
			if n, ok = number(w, 180); ok {
				total = n * 3600000
			}
		case 1:
			if n, ok = number(w, 59); ok {
				total += n * 60000
			}
		case 2:
			if n, ok = decimal(w, 3); ok && n < 60000 {
				total += n
			} else {
				ok = false
			}
		}
		if !ok {
			return 0, fail("not an angle", w)
		}
	}
	return 0, fail("angle without direction", nil)
}

// decimal reads a number with up to places digits after the point, as a whole
// number of the smallest unit.
func decimal(w []byte, places int) (uint64, bool) {
	point := len(w)
	for i, c := range w {
		if c == '.' {
			point = i
			break
		}
	}
	n, ok := number(w[:point], 1<<40)
	if !ok {
		return 0, false
	}
	frac := w[min(point+1, len(w)):]
	if len(frac) > places {
		return 0, false
	}
	for i := 0; i < places; i++ {
		n *= 10
		if i < len(frac) {
			if !digit(frac[i]) {
				return 0, false
			}
			n += uint64(frac[i] - '0')
		}
	}
	return n, true
}

// metres reads "12.34m" or "12.34" in centimetres.
func metres(w []byte) (uint64, bool) {
	if n := len(w); n > 0 && w[n-1]|0x20 == 'm' {
		w = w[:n-1]
	}
	return decimal(w, 2)
}

// scientific packs centimetres into mantissa and exponent, rounding down.
func scientific(cm uint64) byte {
	e := byte(0)
	for cm >= 10 {
		cm /= 10
		e++
	}
	return byte(cm)<<4 | e
}

func checkLOC(b []byte) bool {
	// other versions have unknown content (RFC 1876, section 2)
	if len(b) < 1 || b[0] != 0 {
		return len(b) > 0
	}
	if len(b) != locLen {
		return false
	}
	for _, c := range b[1:4] {
		if c>>4 > 9 || c&15 > 9 {
			return false
		}
	}
	return within(b[4:], maxLatitude) && within(b[8:], maxLongitud)
}

func within(b []byte, max int64) bool {
	d := int64(binary.BigEndian.Uint32(b)) - locEquator
	return -max <= d && d <= max
}

func printLOC(dst, b []byte) ([]byte, bool) {
	if b[0] != 0 {
		return dst, false
	}
	dst = printAngle(dst, binary.BigEndian.Uint32(b[4:]), 'N', 'S')
	dst = printAngle(dst, binary.BigEndian.Uint32(b[8:]), 'E', 'W')
	alt := int64(binary.BigEndian.Uint32(b[12:])) - locBase
	if alt < 0 {
		dst = append(dst, '-')
		alt = -alt
	}
	dst = printCentimetres(dst, uint64(alt))
	for _, c := range b[1:4] {
		if c>>4 == 0 && c&15 != 0 {
			return dst, false // zero times a power of ten reads back as plain zero
		}
		n := uint64(c >> 4)
		for range c & 15 {
			n *= 10
		}
		dst = printCentimetres(append(dst, ' '), n)
	}
	return dst, true
}

func printCentimetres(dst []byte, n uint64) []byte {
	dst = strconv.AppendUint(dst, n/100, 10)
	if n %= 100; n != 0 {
		dst = append(dst, '.', byte('0'+n/10), byte('0'+n%10))
	}
	return append(dst, 'm')
}

func printAngle(dst []byte, v uint32, plus, minus byte) []byte {
	n, side := v-locEquator, plus
	if v < locEquator {
		n, side = locEquator-v, minus
	}
	dst = append(strconv.AppendUint(dst, uint64(n/3600000), 10), ' ')
	dst = append(strconv.AppendUint(dst, uint64(n/60000%60), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(n/1000%60), 10)
	ms := n % 1000
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), ' ', side, ' ')
}
