//go:build testclock

package recursor

import (
	"os"
	"strings"
	"time"

	"bulkhead/internal/resolver"
	"bulkhead/internal/scan"
)

// warper moves the clock forward by the decimal number of seconds in the file
// $TEST_CLOCK_FILE, relative to ROOT.
type warper struct{ last time.Time }

// clockTick is how often the file is read again.
const clockTick = 50 * time.Millisecond

func (w *warper) read(t time.Time, old resolver.Time) resolver.Time {
	if t.Sub(w.last) < clockTick {
		return old
	}
	w.last = t
	name := os.Getenv("TEST_CLOCK_FILE")
	if name == "" {
		return 0
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return old
	}
	whole, frac, _ := strings.Cut(strings.TrimSpace(string(b)), ".")
	s, n := scan.Number(whole)
	if n == 0 || n != len(whole) || s > 1<<32 {
		return old
	}
	v := resolver.Time(s) * resolver.Second
	unit := resolver.Second
	for _, c := range []byte(frac) {
		if c < '0' || c > '9' {
			break
		}
		unit /= 10
		v += resolver.Time(c-'0') * unit
	}
	return v
}
