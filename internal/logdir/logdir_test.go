package logdir

import (
	"testing"
	"time"

	"bulkhead/internal/logscript"
)

func TestStamps(t *testing.T) {
	at := time.Date(2026, 1, 31, 23, 59, 59, 123456789, time.FixedZone("x", 3600))
	for stamp, want := range map[logscript.Stamp]string{
		logscript.NoStamp: "",
		logscript.TAI64N:  "@40000000697e8979075bcd15 ",
		logscript.ISO8601: "2026-01-31T22:59:59.123456Z ",
		logscript.Unix:    "1769900399.123456 ",
	} {
		l := &Log{clock: func() time.Time { return at }}
		l.script.Stamp = stamp
		if got := string(l.appendStamp(nil)); got != want || len(got) != stamp.Len() {
			t.Errorf("stamp %d: %q, want %q", stamp, got, want)
		}
	}
}

// TestNoGarbage: logging a line allocates nothing.
func TestNoGarbage(t *testing.T) {
	l := &Log{clock: time.Now, line: make([]byte, 0, logscript.MaxMatch)}
	l.script = logscript.Parse([]string{"t", "-*never*", "s16777215", "./x"})
	d := &Dir{conf: l.script.Actions[1].Dir, log: l, out: make([]byte, 0, outSize)}
	l.dirs = []*Dir{nil, d}
	in := []byte("a line of some length, as servers write them\n")
	if n := testing.AllocsPerRun(1000, func() {
		l.feed(in)
		if len(d.out) > outSize/2 { // instead of the write
			d.out, d.flushed, d.bytes = d.out[:0], 0, 0
		}
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}
