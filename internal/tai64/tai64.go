// Package tai64 handles the time labels of data files, status files and logs
// (compat: daemontools.md section 1.6): seconds are 2^62 + 10 + Unix seconds,
// without a table of leap seconds; TAI64N adds nanoseconds.
package tai64

import (
	"encoding/binary"
	"time"
)

// UnixOffset is what a TAI64 label adds to Unix seconds.
const UnixOffset = 1<<62 + 10

// Sizes in bytes: packed forms, and the text form "@" and 24 hex digits.
const (
	PackLen  = 8
	NPackLen = 12
	TextLen  = 25
)

// Seconds gives the TAI64 label of t.
func Seconds(t time.Time) uint64 { return uint64(t.Unix()) + UnixOffset }

// AppendNPack appends the 12-byte TAI64N form of t.
func AppendNPack(dst []byte, t time.Time) []byte {
	dst = binary.BigEndian.AppendUint64(dst, Seconds(t))
	return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond()))
}

// AppendText appends "@" and 24 lower-case hex digits for t.
func AppendText(dst []byte, t time.Time) []byte {
	var b [NPackLen]byte
	AppendNPack(b[:0], t)
	dst = append(dst, '@')
	for _, c := range b {
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return dst
}

const hex = "0123456789abcdef"
