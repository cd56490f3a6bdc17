// Package labels filters lines with TAI64N labels: it adds them (tai64n) or
// turns them into local time (tai64nlocal). Compat: daemontools.md sections 10
// and 11.
package labels

import (
	"bytes"
	"io"
	"time"

	"bulkhead/internal/tai64"
)

// chunk is how many bytes one read may bring.
const chunk = 1 << 16

// Stamp copies lines from r to w with a label and a space before each, taken
// when the line's first byte arrives. What has arrived is written before the
// next read.
func Stamp(w io.Writer, r io.Reader, now func() time.Time) error {
	in, out := make([]byte, chunk), make([]byte, 0, 2*chunk)
	atStart := true
	for {
		n, err := r.Read(in)
		if n > 0 {
			t := now() // all of a chunk has arrived at once
			out = out[:0]
			for rest := in[:n]; len(rest) > 0; {
				if atStart {
					out = tai64.AppendText(out, t)
					out = append(out, ' ')
				}
				end := bytes.IndexByte(rest, '\n') + 1
				atStart = end > 0
				if !atStart {
					end = len(rest)
				}
				out = append(out, rest[:end]...)
				rest = rest[end:]
			}
			if _, err := w.Write(out); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// state of Local's walk through the bytes.
type state uint8

const (
	lineStart state = iota // next byte decides whether a label begins
	inLabel                // hex digits of a label
	inLine                 // copied as it is
)

// maxYear keeps what can be printed to what C's localtime can: years that fit
// an int. Labels outside are copied as they came.
const maxYear = 1<<31 - 1

// Local copies lines from r to w; a label at the start of a line becomes local
// time, zone telling the offset. Labels whose date is out of range are copied.
func Local(w io.Writer, r io.Reader, zone *time.Location) error {
	in, out := make([]byte, chunk), make([]byte, 0, chunk)
	var (
		st   state
		sec  uint64
		nano uint32
		raw  []byte // the label as it came
	)
	for {
		n, err := r.Read(in)
		out = out[:0]
		for i := 0; i < n; i++ {
			c := in[i]
			switch st {
			case lineStart:
				if c == '@' {
					st, sec, nano, raw = inLabel, 0, 0, append(raw[:0], c)
					continue
				}
			case inLabel:
				if d, ok := digit(c); ok {
					// 96 bits of shift register
					sec = sec<<4 | uint64(nano>>28)
					nano = nano<<4 | d
					if len(raw) < maxRaw {
						raw = append(raw, c)
					}
					continue
				}
				out = appendLocal(out, sec, nano, raw, zone)
			}
			out = append(out, c)
			if c == '\n' {
				st = lineStart
			} else {
				st = inLine
			}
		}
		if len(out) > 0 {
			if _, err := w.Write(out); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil // a label that the end cut off is dropped
		}
		if err != nil {
			return err
		}
	}
}

// maxRaw bounds what is kept of a label for copying it; digits beyond the 24
// of a label only shift older ones out of the register.
const maxRaw = 1 << 10

func digit(c byte) (uint32, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint32(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint32(c-'a') + 10, true
	}
	return 0, false
}

// appendLocal appends "YYYY-MM-DD HH:MM:SS.nnnnnnnnn" for a label. The
// nanoseconds are printed as they stand, even over 999999999.
func appendLocal(dst []byte, sec uint64, nano uint32, raw []byte, zone *time.Location) []byte {
	unix := int64(sec - tai64.UnixOffset)
	const farthest = int64(maxYear) * 366 * 86400
	if unix > farthest || unix < -farthest {
		return append(dst, raw...)
	}
	t := time.Unix(unix, 0).In(zone)
	year, month, day := t.Date()
	if year > maxYear || year < -maxYear {
		return append(dst, raw...)
	}
	if year < 0 {
		dst = append(dst, '-')
		year = -year
	}
	dst = pad(dst, uint64(year), 1)
	dst = pad(append(dst, '-'), uint64(month), 2)
	dst = pad(append(dst, '-'), uint64(day), 2)
	dst = pad(append(dst, ' '), uint64(t.Hour()), 2)
	dst = pad(append(dst, ':'), uint64(t.Minute()), 2)
	dst = pad(append(dst, ':'), uint64(t.Second()), 2)
	return pad(append(dst, '.'), uint64(nano), 9)
}

// pad appends n in decimal with at least width digits.
func pad(dst []byte, n uint64, width int) []byte {
	var b [20]byte
	i := len(b)
	for n > 0 || width > 0 {
		i--
		b[i] = byte('0' + n%10)
		n /= 10
		width--
	}
	return append(dst, b[i:]...)
}
