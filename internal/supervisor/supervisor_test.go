package supervisor

import (
	"testing"

	"bulkhead/internal/svstatus"
)

// model is a second, independent account of what a service is, written as
// rules instead of a table: the test walks every cell of the table in every
// combination of wishes and compares.
type model struct {
	phase         Phase
	want          Want
	exit, paused  bool
	group         bool
	ready         bool
	cfg           Config
	delay         int
	death, finish Death
	did           []Action
}

func (m *model) do(a ...Action) { m.did = append(m.did, a...) }

func (m *model) start() {
	m.phase, m.paused, m.ready = Up, false, false
	m.do(Start)
}

func (m *model) next() {
	switch {
	case m.exit:
		m.phase = Gone
	case m.want != WantUp:
		m.phase = Down
	case m.delay > 1:
		m.phase = Waiting
		m.do(ArmBackoff)
	default:
		m.start()
	}
}

func (m *model) afterDeath(permanent bool) {
	if permanent && !m.exit {
		m.phase, m.want = Failed, WantDown
		m.do(WriteStatus)
		return
	}
	m.phase = Down
	m.do(WriteStatus)
	m.next()
}

func (m *model) event(e Event, d Death) {
	m.did = nil
	if m.phase == Gone {
		return
	}
	alive := m.phase == Up
	idle := m.phase == Down || m.phase == Waiting || m.phase == Failed
	disarm := func() {
		if m.phase == Waiting {
			m.do(DisarmWait)
		}
	}
	leave := func() {
		if idle {
			m.phase = Gone
		}
	}
	sig := map[Event]Action{CtlHup: SendHup, CtlAlarm: SendAlarm, CtlInt: SendInt, CtlTerm: SendTerm, CtlKill: SendKill,
		CtlQuit: SendQuit, CtlUsr1: SendUsr1, CtlUsr2: SendUsr2, CtlWinch: SendWinch}
	if a, ok := sig[e]; ok {
		if alive {
			m.do(a)
		}
		return
	}
	switch e {
	case CtlUp, CtlOnce:
		m.want = WantUp
		if e == CtlOnce {
			m.want = WantOnce
		}
		disarm()
		if idle {
			m.start()
			return
		}
		if alive && e == CtlUp {
			m.do(DisarmKill)
		}
		m.do(WriteStatus)
	case CtlDown:
		m.want = WantDown
		if alive {
			m.paused = false
			m.do(SendDown, SendCont, ArmKill)
		}
		if m.phase == Down {
			m.paused = false
		}
		if idle && m.phase != Down {
			disarm()
			m.next()
		}
		m.do(WriteStatus)
	case CtlExit, AskedToLeave:
		m.exit = true
		disarm()
		m.do(WriteStatus)
		leave()
	case AskedToStop:
		m.want, m.exit = WantDown, true
		disarm()
		if alive {
			m.paused = false
			m.do(SendDown, SendCont, ArmKill)
		}
		m.do(WriteStatus)
		leave()
	case CtlPause:
		if alive {
			m.paused = true
			m.do(SendStop)
		}
		m.do(WriteStatus)
	case CtlCont:
		if alive {
			m.do(SendCont)
		}
		if alive || m.phase == Down {
			m.paused = false
		}
		m.do(WriteStatus)
	case CtlGroup:
		m.group = true
	case CtlSingle:
		m.group = false
	case Died:
		if !alive {
			return
		}
		m.death = d
		m.paused, m.ready = false, false
		m.do(DisarmKill, Stamp)
		switch {
		case m.cfg.BackoffMax == 0 || d.Lived >= m.cfg.BackoffMax:
			m.delay = 0
		case m.delay == 0:
			m.delay = 1
		default:
			m.delay = min(m.delay*2, m.cfg.BackoffMax)
		}
		if m.cfg.Finish {
			m.phase = Finishing
			m.do(RunFinish, ArmFinish, WriteStatus)
			return
		}
		m.afterDeath(m.hopeless())
	case FinishDied:
		if m.phase == Finishing {
			m.finish = d
			m.do(DisarmFinish)
			m.afterDeath(m.hopeless() || d.Kind == svstatus.Exited && d.Code == 125)
		}
	case NotStarted:
		if alive {
			m.ready = false
			m.phase = Waiting
			m.do(WriteStatus, ArmFork)
		}
	case ReadyNote:
		if alive {
			m.ready = true
			m.do(WriteStatus)
		}
	case WaitOver:
		if m.phase == Waiting {
			m.start()
		}
	case KillDue:
		if alive {
			m.do(SendKill)
		}
	case FinishDue:
		if m.phase == Finishing {
			m.do(KillFinish)
		}
	}
}

func (m *model) hopeless() bool {
	return m.cfg.Permanent && m.death.Kind == svstatus.Exited && m.death.Code == 100
}

// TestEveryCell walks phases x events x wishes x configurations x deaths.
func TestEveryCell(t *testing.T) {
	deaths := []Death{{}, {svstatus.Exited, 0, 5}, {svstatus.Exited, 100, 0}, {svstatus.Exited, 125, 70}, {svstatus.Killed, 9, 3}, {svstatus.Killed, 100, 0}}
	bools := []bool{false, true}
	cells := 0
	for phase := Phase(0); int(phase) < Phases; phase++ {
		for want := Want(0); int(want) < Wants; want++ {
			for e := Event(0); int(e) < Events; e++ {
				for _, exit := range bools {
					for _, paused := range bools {
						for _, delay := range []int{0, 1, 4, 60} {
							for _, cfg := range []Config{{}, {Finish: true}, {Permanent: true}, {BackoffMax: 60}, {true, true, 60}} {
								for _, d := range deaths {
									m := New(false)
									m.Phase, m.Want, m.Exit, m.Paused, m.Delay, m.Config = phase, want, exit, paused, delay, cfg
									w := model{phase: phase, want: want, exit: exit, paused: paused, delay: delay, cfg: cfg}
									got := append([]Action(nil), m.Event(e, d)...)
									w.event(e, d)
									if m.Phase != w.phase || m.Want != w.want || m.Exit != w.exit || m.Paused != w.paused || m.Group != w.group || m.Ready != w.ready || m.Delay != w.delay || !equal(got, w.did) {
										t.Fatalf("phase %d event %d want %d exit %v paused %v delay %d cfg %+v death %+v:\ntable %+v %v\nmodel %+v", phase, e, want, exit, paused, delay, cfg, d, m, got, w)
									}
									invariants(t, m, got)
									cells++
								}
							}
						}
					}
				}
			}
		}
	}
	t.Log(cells, "cells")
}

// invariants hold after any event whatsoever.
func invariants(t *testing.T, m *Machine, did []Action) {
	t.Helper()
	starts, signals := 0, 0
	for i, a := range did {
		if int(a) >= Actions {
			t.Fatalf("inner step %d left the machine", a)
		}
		if a == Start {
			starts++
			if i != len(did)-1 {
				t.Fatal("something follows a start")
			}
		}
		if a.Signal() != 0 || a == SendDown {
			signals++
		}
	}
	if starts > 1 || starts == 1 && m.Phase != Up {
		t.Fatalf("%d starts, phase %d", starts, m.Phase)
	}
	if starts == 1 && signals > 0 {
		t.Fatal("a signal to a service being started")
	}
}

func equal(a, b []Action) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestBackoffDoubles follows a service that keeps dying.
func TestBackoffDoubles(t *testing.T) {
	m := New(false)
	m.Config.BackoffMax = 10
	m.Begin()
	for i, want := range []int{1, 2, 4, 8, 10, 10} {
		m.Event(Died, Death{Kind: svstatus.Exited})
		if m.Delay != want {
			t.Errorf("death %d: delay %d, want %d", i, m.Delay, want)
		}
		if want > 1 {
			if m.Phase != Waiting {
				t.Fatalf("death %d: phase %d", i, m.Phase)
			}
			m.Event(WaitOver, Death{})
		}
		if m.Phase != Up {
			t.Fatalf("death %d: not started again", i)
		}
	}
	if m.Event(Died, Death{Kind: svstatus.Exited, Lived: 10}); m.Delay != 0 || m.Phase != Up {
		t.Errorf("one that lived: delay %d phase %d", m.Delay, m.Phase)
	}
}

// TestNoGarbage: a restart makes none in the machine.
func TestNoGarbage(t *testing.T) {
	m := New(false)
	m.Begin()
	if n := testing.AllocsPerRun(100, func() {
		m.Event(CtlTerm, Death{})
		m.Event(Died, Death{Kind: svstatus.Killed, Code: 15})
	}); n != 0 {
		t.Errorf("%v allocations a restart", n)
	}
}

func TestControlBytes(t *testing.T) {
	known := "udopchaitkxq12w+="
	n := 0
	for c := 0; c < 256; c++ {
		if _, ok := Control(byte(c)); ok {
			n++
		}
	}
	if n != len(known) {
		t.Errorf("%d control bytes, want %d", n, len(known))
	}
	for i := range known {
		if _, ok := Control(known[i]); !ok {
			t.Errorf("%c is unknown", known[i])
		}
	}
}
