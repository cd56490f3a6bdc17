// Package supervisor decides what supervise does. It is a table: for each
// phase of the service and each event the actions to take and the phase that
// follows. It knows no process, no file and no clock; internal/service carries
// the actions out and delivers the events.
//
//	            start                death                finish done
//	Down ------------------> Up ------------> Finishing ----------------+
//	 ^  ^                     |                                        |
//	 |  |                     +---------------------- settle <---------+
//	 |  |  wait over: start                              |
//	 |  +-- Waiting <------------- (back-off asked for) -+
//	 |                                                   +--> Failed (permanent)
//	 +---------------------------------------------------+--> Gone (exit asked for)
//
// Everything visible without the files that 0.76 does not know is as in compat:
// daemontools.md section 2.
package supervisor

import "bulkhead/internal/svstatus"

// Phase is what the service is doing.
type Phase uint8

const (
	Down      Phase = iota // no process
	Up                     // ./run is alive
	Finishing              // ./finish is alive
	Waiting                // no process until a delay is over
	Failed                 // no process, and none until someone says u or o
	Gone                   // supervise ends
	Phases    int   = iota
)

// Want is what the operator asked for last.
type Want uint8

const (
	WantUp Want = iota
	WantDown
	WantOnce
	Wants int = iota
)

// Event is something that happens to a service.
type Event uint8

const (
	CtlUp        Event = iota // u
	CtlDown                   // d
	CtlOnce                   // o
	CtlExit                   // x
	CtlPause                  // p
	CtlCont                   // c
	CtlHup                    // h
	CtlAlarm                  // a
	CtlInt                    // i
	CtlTerm                   // t
	CtlKill                   // k
	CtlQuit                   // q
	CtlUsr1                   // 1
	CtlUsr2                   // 2
	CtlWinch                  // w
	CtlGroup                  // +
	CtlSingle                 // =
	Died                      // ./run has ended
	FinishDied                // ./finish has ended
	NotStarted                // there was no process to be had for ./run
	ReadyNote                 // ./run says that it is ready
	WaitOver                  // the delay of Waiting is over
	KillDue                   // ./run did not end in time after d
	FinishDue                 // ./finish did not end in time
	AskedToStop               // TERM or INT to supervise: as d, x
	AskedToLeave              // HUP to supervise: as x
	Events       int   = iota
)

// controls maps bytes of the control FIFO to events.
var controls = [256]int8{'u': int8(CtlUp) + 1, 'd': int8(CtlDown) + 1, 'o': int8(CtlOnce) + 1, 'x': int8(CtlExit) + 1,
	'p': int8(CtlPause) + 1, 'c': int8(CtlCont) + 1, 'h': int8(CtlHup) + 1, 'a': int8(CtlAlarm) + 1, 'i': int8(CtlInt) + 1,
	't': int8(CtlTerm) + 1, 'k': int8(CtlKill) + 1, 'q': int8(CtlQuit) + 1, '1': int8(CtlUsr1) + 1, '2': int8(CtlUsr2) + 1,
	'w': int8(CtlWinch) + 1, '+': int8(CtlGroup) + 1, '=': int8(CtlSingle) + 1}

// Control gives the event of a control byte; unknown bytes are no event.
func Control(c byte) (Event, bool) {
	e := controls[c]
	return Event(e - 1), e > 0
}

// Action is something for the caller to do, in order.
type Action uint8

const (
	Start        Action = iota // start ./run, stamp and write the status; on failure deliver NotStarted
	WriteStatus                // write the status files
	Stamp                      // the time of the last change of pid is now
	SendDown                   // the down signal (TERM unless the service says otherwise)
	SendCont                   // CONT, STOP, HUP, ... to ./run, or its group when Group is set
	SendStop                   //
	SendHup                    //
	SendAlarm                  //
	SendInt                    //
	SendTerm                   //
	SendKill                   //
	SendQuit                   //
	SendUsr1                   //
	SendUsr2                   //
	SendWinch                  //
	RunFinish                  // start ./finish; on failure deliver FinishDied at once
	KillFinish                 // KILL to ./finish
	ArmKill                    // deliver KillDue after the service's timeout-kill, if it has one
	DisarmKill                 // no longer
	ArmFinish                  // deliver FinishDue after timeout-finish
	DisarmFinish               // no longer
	ArmBackoff                 // deliver WaitOver after Backoff
	ArmFork                    // deliver WaitOver after the pause for a failed fork
	DisarmWait                 // no longer
	Actions      int    = iota

	// What follows never leaves the package: steps on the machine itself.
	wantUp Action = iota
	wantDown
	wantOnce
	wantExit
	pause
	unpause
	group
	single
	ready
	unready
	toUp
	toWaiting
	afterDeath  // to Finishing, Failed, or settle
	afterFinish // to Failed, or settle
	settle      // to Gone, Up, Waiting or Down as the wishes are
	leaveIfIdle // to Gone: there is no process to wait for
	grow        // the back-off after one more death
)

// signal gives the number of a Send action; 0 for others.
var signals = [Actions]int{SendCont: 18, SendStop: 19, SendHup: 1, SendAlarm: 14, SendInt: 2, SendTerm: 15,
	SendKill: 9, SendQuit: 3, SendUsr1: 10, SendUsr2: 12, SendWinch: 28}

// Signal gives the signal number that a Send action sends, 0 for others.
func (a Action) Signal() int { return signals[a] }

// row is one phase's reaction to each event.
type row [Events][]Action

// table is the whole behaviour. An empty cell ignores the event.
var table = [Phases]row{
	Down: {
		CtlUp:    {wantUp, toUp},
		CtlDown:  {wantDown, unpause, WriteStatus},
		CtlOnce:  {wantOnce, toUp},
		CtlExit:  {wantExit, WriteStatus, leaveIfIdle},
		CtlPause: {WriteStatus}, CtlCont: {unpause, WriteStatus},
		CtlGroup: {group}, CtlSingle: {single},
		AskedToStop:  {wantDown, wantExit, WriteStatus, leaveIfIdle},
		AskedToLeave: {wantExit, WriteStatus, leaveIfIdle},
	},
	Up: {
		CtlUp:    {wantUp, DisarmKill, WriteStatus},
		CtlDown:  {wantDown, unpause, SendDown, SendCont, ArmKill, WriteStatus},
		CtlOnce:  {wantOnce, WriteStatus},
		CtlExit:  {wantExit, WriteStatus},
		CtlPause: {pause, SendStop, WriteStatus},
		CtlCont:  {unpause, SendCont, WriteStatus},
		CtlHup:   {SendHup}, CtlAlarm: {SendAlarm}, CtlInt: {SendInt}, CtlTerm: {SendTerm}, CtlKill: {SendKill},
		CtlQuit: {SendQuit}, CtlUsr1: {SendUsr1}, CtlUsr2: {SendUsr2}, CtlWinch: {SendWinch},
		CtlGroup: {group}, CtlSingle: {single},
		Died:         {DisarmKill, unready, unpause, Stamp, afterDeath},
		NotStarted:   {unready, toWaiting, WriteStatus, ArmFork},
		ReadyNote:    {ready, WriteStatus},
		KillDue:      {SendKill},
		AskedToStop:  {wantDown, wantExit, unpause, SendDown, SendCont, ArmKill, WriteStatus},
		AskedToLeave: {wantExit, WriteStatus},
	},
	Finishing: {
		CtlUp:    {wantUp, WriteStatus},
		CtlDown:  {wantDown, WriteStatus},
		CtlOnce:  {wantOnce, WriteStatus},
		CtlExit:  {wantExit, WriteStatus},
		CtlPause: {WriteStatus}, CtlCont: {WriteStatus},
		CtlGroup: {group}, CtlSingle: {single},
		FinishDied:   {DisarmFinish, afterFinish},
		FinishDue:    {KillFinish},
		AskedToStop:  {wantDown, wantExit, WriteStatus},
		AskedToLeave: {wantExit, WriteStatus},
	},
	Waiting: {
		CtlUp:    {wantUp, DisarmWait, toUp},
		CtlDown:  {wantDown, DisarmWait, settle, WriteStatus},
		CtlOnce:  {wantOnce, DisarmWait, toUp},
		CtlExit:  {wantExit, DisarmWait, WriteStatus, leaveIfIdle},
		CtlPause: {WriteStatus}, CtlCont: {WriteStatus},
		CtlGroup: {group}, CtlSingle: {single},
		WaitOver:     {toUp},
		AskedToStop:  {wantDown, wantExit, DisarmWait, WriteStatus, leaveIfIdle},
		AskedToLeave: {wantExit, DisarmWait, WriteStatus, leaveIfIdle},
	},
	Failed: {
		CtlUp:    {wantUp, toUp},
		CtlDown:  {wantDown, settle, WriteStatus},
		CtlOnce:  {wantOnce, toUp},
		CtlExit:  {wantExit, WriteStatus, leaveIfIdle},
		CtlPause: {WriteStatus}, CtlCont: {WriteStatus},
		CtlGroup: {group}, CtlSingle: {single},
		AskedToStop:  {wantDown, wantExit, WriteStatus, leaveIfIdle},
		AskedToLeave: {wantExit, WriteStatus, leaveIfIdle},
	},
	Gone: {},
}

// Config is what the service's folder asks for beyond 0.76. The zero value is
// 0.76's behaviour.
type Config struct {
	Finish     bool // there is a ./finish
	Permanent  bool // exit code 100 of ./run is for ever
	BackoffMax int  // longest delay before a restart, in seconds; 0 = no back-off
}

// Codes with a meaning of their own.
const (
	PermanentExit   = 100 // of ./run, when Config.Permanent
	FinishPermanent = 125 // of ./finish, as in s6
)

// Death is how a process ended.
type Death struct {
	Kind  uint8 // svstatus.Exited or svstatus.Killed
	Code  uint8 // exit code or signal
	Lived int   // seconds since its start; for ./run only
}

// Machine is the state of one service.
type Machine struct {
	Config Config // the caller renews it before Died
	Phase  Phase
	Want   Want
	Exit   bool // supervise ends when the service is down
	Paused bool
	Group  bool // signals go to the process group
	Ready  bool
	Death  Death // of ./run, the last one
	Delay  int   // present back-off, in seconds

	finish Death
	out    []Action
}

// New gives a machine that has started nothing yet.
func New(down bool) *Machine {
	m := &Machine{out: make([]Action, 0, 16)}
	if down {
		m.Want = WantDown
	}
	return m
}

// Begin gives the first actions: a start unless the service is to stay down.
func (m *Machine) Begin() []Action {
	m.out = m.out[:0]
	if m.Want != WantDown {
		m.step(toUp)
	}
	return m.out
}

// Event takes an event and gives the actions, which are valid until the next
// call. d is looked at for Died and FinishDied.
func (m *Machine) Event(e Event, d Death) []Action {
	m.out = m.out[:0]
	switch e {
	case Died:
		if m.Phase == Up {
			m.Death = d
		}
	case FinishDied:
		m.finish = d
	}
	for _, a := range table[m.Phase][e] {
		m.step(a)
	}
	return m.out
}

func (m *Machine) step(a Action) {
	switch a {
	case wantUp:
		m.Want = WantUp
	case wantDown:
		m.Want = WantDown
	case wantOnce:
		m.Want = WantOnce
	case wantExit:
		m.Exit = true
	case pause:
		m.Paused = true
	case unpause:
		m.Paused = false
	case group:
		m.Group = true
	case single:
		m.Group = false
	case ready:
		m.Ready = true
	case unready:
		m.Ready = false
	case toUp:
		m.Phase, m.Paused, m.Ready = Up, false, false
		m.out = append(m.out, Start)
	case toWaiting:
		m.Phase = Waiting
	case leaveIfIdle:
		m.Phase = Gone
	case afterDeath:
		m.step(grow)
		if m.Config.Finish {
			m.Phase = Finishing
			m.out = append(m.out, RunFinish, ArmFinish, WriteStatus)
			return
		}
		m.fate(m.Config.Permanent && m.Death.Kind == svstatus.Exited && m.Death.Code == PermanentExit)
	case afterFinish:
		m.fate(m.Config.Permanent && m.Death.Kind == svstatus.Exited && m.Death.Code == PermanentExit ||
			m.finish.Kind == svstatus.Exited && m.finish.Code == FinishPermanent)
	case settle:
		m.settle()
	case grow:
		m.grow()
	default:
		m.out = append(m.out, a)
	}
}

// grow doubles the delay for a service that died sooner than the longest
// delay, and forgets it for one that lived.
func (m *Machine) grow() {
	switch {
	case m.Config.BackoffMax <= 0 || m.Death.Lived >= m.Config.BackoffMax:
		m.Delay = 0
	case m.Delay == 0:
		m.Delay = 1
	default:
		m.Delay = min(2*m.Delay, m.Config.BackoffMax)
	}
}

// fate decides after a death: for ever, or as the wishes are. The status is
// written while the service is down, before any new start.
func (m *Machine) fate(permanent bool) {
	if permanent && !m.Exit {
		m.Phase, m.Want = Failed, WantDown
		m.out = append(m.out, WriteStatus)
		return
	}
	m.Phase = Down
	m.out = append(m.out, WriteStatus)
	m.settle()
}

func (m *Machine) settle() {
	switch {
	case m.Exit:
		m.Phase = Gone
	case m.Want != WantUp:
		m.Phase = Down
	case m.Delay > 1: // the one-second rule covers the first
		m.Phase = Waiting
		m.out = append(m.out, ArmBackoff)
	default:
		m.step(toUp)
	}
}

// WantByte gives byte 17 of the status.
func (m *Machine) WantByte() byte {
	switch m.Want {
	case WantUp:
		return 'u'
	case WantDown:
		return 'd'
	}
	return 0
}

// State gives byte 18 of the state file. announces tells that the service says
// itself when it is ready.
func (m *Machine) State(announces bool) svstatus.State {
	switch m.Phase {
	case Up:
		switch {
		case m.Want == WantDown:
			return svstatus.Stopping
		case announces && !m.Ready:
			return svstatus.Starting
		}
		return svstatus.Running
	case Finishing:
		return svstatus.Stopping
	case Failed:
		return svstatus.Failed
	}
	return svstatus.Stopped
}
