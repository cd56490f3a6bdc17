package virtual

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/internal/resolver"
)

// engine notes what it is told and has one timer.
type engine struct {
	log   []string
	timer resolver.Time
}

func (e *engine) note(format string, args ...any) {
	e.log = append(e.log, fmt.Sprintf(format, args...))
}

func (e *engine) NextTimer() (resolver.Time, bool) { return e.timer, e.timer != 0 }
func (e *engine) Expire(now resolver.Time)         { e.timer = 0; e.note("timer %d", now) }
func (e *engine) Deliver(now resolver.Time, t resolver.Token, msg []byte) {
	e.note("%s for %d at %d", msg, t, now)
}
func (e *engine) Failed(now resolver.Time, t resolver.Token) { e.note("%d failed at %d", t, now) }

// What is due comes in order of time, then of request; timers in between; what
// is cancelled does not come.
func TestOrder(t *testing.T) {
	e := &engine{timer: 15}
	w := Time{Engine: e}
	moves := 0
	w.Moved = func() { moves++ }
	w.Deliver(20, 1, []byte("late"))
	w.Deliver(10, 2, []byte("first"))
	w.Deliver(10, 3, []byte("second"))
	w.Deliver(12, 4, []byte("never"))
	w.Cancel(4)
	w.Fail(30, 5)
	w.After(10, func() { e.note("between") })
	w.Run(25, nil)
	if got := strings.Join(e.log, ", "); got != "first for 2 at 10, second for 3 at 10, between, timer 15, late for 1 at 20" {
		t.Error(got)
	}
	if w.Now != 25 || moves != 5 { // 10, 12, 15, 20, 25
		t.Errorf("now %d after %d moves", w.Now, moves)
	}
	w.Run(100, func() bool { return len(e.log) == 6 })
	if w.Now != 30 || e.log[5] != "5 failed at 30" {
		t.Errorf("now %d, %v", w.Now, e.log[5:])
	}
	w.After(1, func() { t.Error("went on after Halt") })
	w.Halt = true
	w.Run(100, nil)
}
