// Package zone finds the local time zone the way the C library does: $TZ may
// be a file of the zone data base or a POSIX string such as "JST-9" or
// "EST5EDT,M3.2.0,M11.1.0", which package time alone does not understand.
package zone

import (
	"encoding/binary"
	"os"
	"strings"
	"time"
)

// Local gives the zone of this process.
func Local() *time.Location {
	tz, ok := os.LookupEnv("TZ")
	if !ok {
		if l := fromFile("/etc/localtime"); l != nil {
			return l
		}
		return time.UTC
	}
	return ByName(tz)
}

// dataBases are where zone files lie, the C library's place first.
var dataBases = []string{"/usr/share/zoneinfo/", "/usr/lib/zoneinfo/", "/usr/share/lib/zoneinfo/"}

// ByName gives the zone that a value of $TZ names; what is neither file nor
// POSIX string is UTC, as in the C library.
func ByName(tz string) *time.Location {
	tz = strings.TrimPrefix(tz, ":")
	if tz == "" {
		return time.UTC
	}
	if tz[0] == '/' {
		if l := fromFile(tz); l != nil {
			return l
		}
		return time.UTC
	}
	if !strings.Contains(tz, "..") {
		for _, dir := range dataBases {
			if l := fromFile(dir + tz); l != nil {
				return l
			}
		}
	}
	if l := Posix(tz); l != nil {
		return l
	}
	return time.UTC
}

// maxZoneFile is far above any zone file (the largest has 4 kB), in bytes.
const maxZoneFile = 1 << 20

func fromFile(name string) *time.Location {
	fi, err := os.Stat(name)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxZoneFile {
		return nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	l, err := time.LoadLocationFromTZData("local", b)
	if err != nil {
		return nil
	}
	return l
}

// Posix gives the zone of a POSIX TZ string, nil if tz is none. The string
// becomes the footer of a zone file without transitions (RFC 9636, section
// 3.3), which package time reads with all its rules.
func Posix(tz string) *time.Location {
	offset, ok := standardOffset(tz)
	if !ok {
		return nil
	}
	l, err := time.LoadLocationFromTZData("local", zoneFile(tz, offset))
	if err != nil {
		return nil
	}
	return l
}

// zoneFile makes a version 2 file (RFC 9636, section 3): an empty version 1
// block, then a block with one type and no transitions, then the footer.
func zoneFile(footer string, offset int) []byte {
	header := func(b []byte, types, chars uint32) []byte {
		b = append(b, "TZif2"...)
		b = append(b, make([]byte, 15)...)
		// isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt
		for _, n := range []uint32{0, 0, 0, 0, types, chars} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	body := func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(offset)))
		return append(b, 0, 0, 'L', 'T', 0) // no DST, name at 0: "LT"
	}
	b := body(header(nil, 1, 3))
	b = body(header(b, 1, 3))
	return append(append(append(b, '\n'), footer...), '\n')
}

// standardOffset reads the name and offset that a POSIX string starts with:
// three or more letters, or anything in <>, then hours west of Greenwich. The
// result is in seconds east.
func standardOffset(tz string) (int, bool) {
	rest := tz
	if strings.HasPrefix(rest, "<") {
		i := strings.IndexByte(rest, '>')
		if i < 4 {
			return 0, false
		}
		rest = rest[i+1:]
	} else {
		i := 0
		for i < len(rest) && (rest[i]|0x20 >= 'a' && rest[i]|0x20 <= 'z') {
			i++
		}
		if i < 3 {
			return 0, false
		}
		rest = rest[i:]
	}
	sign := -1
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		if rest[0] == '-' {
			sign = 1
		}
		rest = rest[1:]
	}
	if rest == "" || rest[0] < '0' || rest[0] > '9' {
		return 0, false
	}
	total := 0
	for unit := 3600; unit > 0; unit /= 60 {
		n, i := 0, 0
		for i < len(rest) && i < 2 && rest[i] >= '0' && rest[i] <= '9' {
			n, i = n*10+int(rest[i]-'0'), i+1
		}
		if i == 0 {
			return 0, false
		}
		total += n * unit
		rest = rest[i:]
		if rest == "" || rest[0] != ':' {
			break
		}
		rest = rest[1:]
	}
	return sign * total, true
}
