package zone

import (
	"testing"
	"time"
)

func TestPosix(t *testing.T) {
	summer, winter := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC), time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		tz             string
		winter, summer int // minutes east
	}{
		{"JST-9", 540, 540}, {"EST5EDT,M3.2.0,M11.1.0", -300, -240}, {"EST5EDT", -300, -240}, {"<+0330>-3:30", 210, 210},
		{"CET-1CEST,M3.5.0,M10.5.0/3", 60, 120}, {"NZST-12NZDT,M9.5.0,M4.1.0/3", 780, 720}, {"UTC0", 0, 0}, {"XXX+3", -180, -180},
	} {
		l := Posix(c.tz)
		if l == nil {
			t.Errorf("%s is no zone", c.tz)
			continue
		}
		for _, w := range []struct {
			at   time.Time
			want int
		}{{winter, c.winter}, {summer, c.summer}} {
			if _, off := w.at.In(l).Zone(); off != 60*w.want {
				t.Errorf("%s at %v: %d minutes, want %d", c.tz, w.at, off/60, w.want)
			}
		}
	}
	for _, bad := range []string{"", "X5", "ABC", "<A>3", "foo/bar", "EST", "ABC+", "ABC:3"} {
		if Posix(bad) != nil {
			t.Errorf("%q is a zone", bad)
		}
	}
}

// FuzzByName: any $TZ gives some zone.
func FuzzByName(f *testing.F) {
	for _, s := range []string{"JST-9", "EST5EDT,M3.2.0,M11.1.0", "../../etc/passwd", "<>3", "A,B,C", "XXX3YYY,45/3,300"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		time.Unix(1e9, 0).In(ByName(s)).Date()
	})
}
