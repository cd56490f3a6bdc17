package rdata

// Dates of signatures are 32-bit seconds since 1970 in serial arithmetic (RFC
// 4034, section 3.1.5); years are read modulo 2^32 seconds.

func parseDate(w []byte) (uint32, bool) {
	if len(w) != 14 {
		n, ok := number(w, 1<<32-1)
		return uint32(n), ok
	}
	var f [6]int // year, month, day, hour, minute, second
	for i, c := range w {
		if !digit(c) {
			return 0, false
		}
		k := 0
		if i >= 4 {
			k = (i - 2) / 2
		}
		f[k] = f[k]*10 + int(c-'0')
	}
	// second 60 is a leap second
	if f[0] < 1970 || f[1] < 1 || f[1] > 12 || f[2] < 1 || f[2] > monthDays(f[0], f[1]) || f[3] > 23 || f[4] > 59 || f[5] > 60 {
		return 0, false
	}
	return uint32(days(f[0], f[1], f[2])*86400 + f[3]*3600 + f[4]*60 + f[5]), true
}

func leap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

func monthDays(y, m int) int {
	switch m {
	case 2:
		if leap(y) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// days counts from 1970-01-01, in the Gregorian calendar.
func days(y, m, d int) int {
	if m <= 2 {
		y--
		m += 12
	}
	// a year begins in March, so that the leap day is its last
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1 - 719468
}

func appendDate(dst []byte, n uint32) []byte {
	day, sec := int(n/86400), int(n%86400)
	y := 1970 + day/366
	for days(y+1, 1, 1) <= day {
		y++
	}
	day -= days(y, 1, 1)
	m := 1
	for day >= monthDays(y, m) {
		day -= monthDays(y, m)
		m++
	}
	dst = append(dst, byte('0'+y/1000), byte('0'+y/100%10))
	for _, v := range [6]int{y % 100, m, day + 1, sec / 3600, sec / 60 % 60, sec % 60} {
		dst = append(dst, byte('0'+v/10), byte('0'+v%10))
	}
	return dst
}
