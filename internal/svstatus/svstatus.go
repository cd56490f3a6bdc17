// Package svstatus reads and writes what supervise says about its service:
// the 18 bytes of supervise/status, which every daemontools knows (compat:
// daemontools.md section 2.1), and the longer supervise/state, which begins
// with the same 18 bytes (docs/format-status.md).
//
//	offset size
//	     0    8  TAI64 seconds, big-endian, of the last change of pid
//	     8    4  nanoseconds, big-endian
//	    12    4  pid of ./run, little-endian, 0 = down
//	    16    1  1 if paused
//	    17    1  'u' want up, 'd' want down, 0 once
//	    -- end of status; state goes on:
//	    18    1  state, numbered as in daemontools-encore
//	    19    1  0, as in daemontools-encore
//	    20    1  flags: 1 ready
//	    21    1  last death: 0 none yet, 1 exited, 2 killed by a signal
//	    22    1  its exit code or signal
//	    23    1  0
//	    24   12  TAI64N of the last death, 0 if none
//	    36   12  TAI64N of when the service became ready, 0 if it is not
//	    48    4  starts of ./run by this supervise, big-endian
//	    52    4  pid of ./finish, little-endian, 0 = none
package svstatus

import (
	"encoding/binary"
	"errors"

	"bulkhead/internal/tai64"
)

// Sizes in bytes.
const (
	Len         = 18
	EncoreLen   = 20 // what daemontools-encore writes without a log
	ExtendedLen = 56
)

// State is what supervise is doing, in daemontools-encore's numbers.
type State uint8

const (
	Stopped  State = 0
	Starting State = 1 // run is up, and has said that it will tell when it is ready
	Started  State = 2 // not used here
	Running  State = 3
	Stopping State = 4 // told to stop, or ./finish is running
	Failed   State = 5 // permanently
)

var stateNames = [...]string{"stopped", "starting", "started", "running", "stopping", "failed"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Kinds of death.
const (
	NoDeath = 0
	Exited  = 1
	Killed  = 2
)

// Label is a packed TAI64N label.
type Label [tai64.NPackLen]byte

// Seconds gives the TAI64 seconds of the label.
func (l Label) Seconds() uint64 { return binary.BigEndian.Uint64(l[:]) }

// Unix gives Unix seconds and nanoseconds.
func (l Label) Unix() (sec int64, nano uint32) {
	return int64(l.Seconds() - tai64.UnixOffset), binary.BigEndian.Uint32(l[8:])
}

// MakeLabel is the label of a Unix time.
func MakeLabel(sec int64, nano uint32) (l Label) {
	binary.BigEndian.PutUint64(l[:], uint64(sec)+tai64.UnixOffset)
	binary.BigEndian.PutUint32(l[8:], nano)
	return l
}

// Status is the content of either file.
type Status struct {
	Stamp  Label
	PID    uint32
	Paused bool
	Want   byte // 'u', 'd' or 0

	Extended  bool // whether what follows was in the file
	State     State
	Ready     bool
	Death     uint8
	Code      uint8
	DeathTime Label
	ReadyTime Label
	Starts    uint32
	FinishPID uint32
}

// ErrFormat says that a status file is too short.
var ErrFormat = errors.New("bad format")

// Append writes the 18 bytes.
func (s *Status) Append(b []byte) []byte {
	b = append(b, s.Stamp[:]...)
	b = binary.LittleEndian.AppendUint32(b, s.PID)
	paused := byte(0)
	if s.Paused && s.PID != 0 {
		paused = 1
	}
	return append(b, paused, s.Want)
}

// AppendExtended writes the 56 bytes.
func (s *Status) AppendExtended(b []byte) []byte {
	b = s.Append(b)
	flags := byte(0)
	if s.Ready {
		flags |= 1
	}
	b = append(b, byte(s.State), 0, flags, s.Death, s.Code, 0)
	b = append(b, s.DeathTime[:]...)
	b = append(b, s.ReadyTime[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Starts)
	return binary.LittleEndian.AppendUint32(b, s.FinishPID)
}

// Parse reads any of the forms: 18 bytes of daemontools, 20 or more of
// daemontools-encore (of which the state counts), 56 of our state file.
func Parse(b []byte) (s Status, err error) {
	if len(b) < Len {
		return s, ErrFormat
	}
	copy(s.Stamp[:], b)
	s.PID = binary.LittleEndian.Uint32(b[12:])
	s.Paused = b[16] != 0
	s.Want = b[17]
	switch {
	case len(b) == ExtendedLen:
		s.Extended = true
		s.State = State(b[18])
		s.Ready = b[20]&1 != 0
		s.Death, s.Code = b[21], b[22]
		copy(s.DeathTime[:], b[24:])
		copy(s.ReadyTime[:], b[36:])
		s.Starts = binary.BigEndian.Uint32(b[48:])
		s.FinishPID = binary.LittleEndian.Uint32(b[52:])
	case len(b) >= EncoreLen && b[18] <= byte(Failed):
		s.State = State(b[18])
	case s.PID != 0:
		s.State = Running
	}
	return s, nil
}

// Age gives the whole seconds from a label to now, 0 if it lies in the future.
func Age(l Label, now uint64) uint64 {
	if then := l.Seconds(); then < now {
		return now - then
	}
	return 0
}

// AppendLine appends what svstat prints after "DIR: ", without the newline.
// down tells whether the file DIR/down exists; now is TAI64 seconds (compat:
// daemontools.md section 5).
func (s *Status) AppendLine(b []byte, down bool, now uint64) []byte {
	if s.PID != 0 {
		b = append(b, "up (pid "...)
		b = appendUint(b, uint64(s.PID))
		b = append(b, ") "...)
	} else {
		b = append(b, "down "...)
	}
	b = appendUint(b, Age(s.Stamp, now))
	b = append(b, " seconds"...)
	if s.PID != 0 && down {
		b = append(b, ", normally down"...)
	}
	if s.PID == 0 && !down {
		b = append(b, ", normally up"...)
	}
	if s.PID != 0 && s.Paused {
		b = append(b, ", paused"...)
	}
	if s.PID == 0 && s.Want == 'u' {
		b = append(b, ", want up"...)
	}
	if s.PID != 0 && s.Want == 'd' {
		b = append(b, ", want down"...)
	}
	return b
}

// AppendDeath appends the reason of the last death: "exited 1", "killed by
// signal 9 (KILL)"; nothing when there was none.
func (s *Status) AppendDeath(b []byte) []byte {
	switch s.Death {
	case Exited:
		return appendUint(append(b, "exited "...), uint64(s.Code))
	case Killed:
		b = appendUint(append(b, "killed by signal "...), uint64(s.Code))
		if n := SignalName(int(s.Code)); n != "" {
			b = append(append(append(b, " ("...), n...), ')')
		}
	}
	return b
}

// AppendVerbose appends the line of svstat -v: the classic one, then what the
// state file adds.
func (s *Status) AppendVerbose(b []byte, down bool, now uint64) []byte {
	b = s.AppendLine(b, down, now)
	if !s.Extended {
		return b
	}
	b = append(append(b, ", "...), s.State.String()...)
	if s.Ready {
		b = append(b, ", ready"...)
		b = appendUint(append(b, ' '), Age(s.ReadyTime, now))
		b = append(b, " seconds"...)
	}
	if s.FinishPID != 0 {
		b = appendUint(append(b, ", finish pid "...), uint64(s.FinishPID))
	}
	b = appendUint(append(b, ", starts "...), uint64(s.Starts))
	if s.Death != NoDeath {
		b = s.AppendDeath(append(b, ", last death: "...))
		b = appendUint(append(b, ' '), Age(s.DeathTime, now))
		b = append(b, " seconds ago"...)
	}
	return b
}

// AppendJSON appends one object for svstat -j. now is TAI64 seconds.
func (s *Status) AppendJSON(b []byte, dir string, down bool, now uint64) []byte {
	b = appendString(append(b, `{"service":`...), dir)
	b = appendBool(append(b, `,"up":`...), s.PID != 0)
	b = appendUint(append(b, `,"pid":`...), uint64(s.PID))
	b = appendUint(append(b, `,"seconds":`...), Age(s.Stamp, now))
	b = appendTime(append(b, `,"since":`...), s.Stamp)
	b = appendBool(append(b, `,"normally_up":`...), !down)
	want := "once"
	switch s.Want {
	case 'u':
		want = "up"
	case 'd':
		want = "down"
	}
	b = appendString(append(b, `,"want":`...), want)
	b = appendBool(append(b, `,"paused":`...), s.Paused && s.PID != 0)
	b = appendString(append(b, `,"state":`...), s.State.String())
	if s.Extended {
		b = appendBool(append(b, `,"ready":`...), s.Ready)
		b = appendUint(append(b, `,"starts":`...), uint64(s.Starts))
		b = append(b, `,"last_death":`...)
		if s.Death == NoDeath {
			b = append(b, "null"...)
		} else {
			b = appendTime(append(b, `{"time":`...), s.DeathTime)
			b = appendUint(append(b, `,"seconds_ago":`...), Age(s.DeathTime, now))
			if s.Death == Exited {
				b = appendUint(append(b, `,"exit_code":`...), uint64(s.Code))
			} else {
				b = appendUint(append(b, `,"signal":`...), uint64(s.Code))
				b = appendString(append(b, `,"signal_name":`...), SignalName(int(s.Code)))
			}
			b = append(b, '}')
		}
	}
	return append(b, '}')
}

// Fields are what svstat -o can be asked for.
var Fields = []string{"up", "pid", "seconds", "normallyup", "wantedup", "paused", "state", "ready", "starts", "exitcode", "signal"}

// AppendField appends one value for svstat -o: a number, a word, true or false;
// -1 for what is not known or has not happened. ok is false for a name that is
// none of Fields.
func (s *Status) AppendField(b []byte, field string, down bool, now uint64) (out []byte, ok bool) {
	death := func(kind uint8) []byte {
		if s.Death != kind {
			return append(b, "-1"...)
		}
		return appendUint(b, uint64(s.Code))
	}
	switch field {
	case "up":
		return appendBool(b, s.PID != 0), true
	case "pid":
		if s.PID == 0 {
			return append(b, "-1"...), true
		}
		return appendUint(b, uint64(s.PID)), true
	case "seconds":
		return appendUint(b, Age(s.Stamp, now)), true
	case "normallyup":
		return appendBool(b, !down), true
	case "wantedup":
		return appendBool(b, s.Want == 'u'), true
	case "paused":
		return appendBool(b, s.Paused && s.PID != 0), true
	case "state":
		return append(b, s.State.String()...), true
	case "ready":
		return appendBool(b, s.Ready), true
	case "starts":
		return appendUint(b, uint64(s.Starts)), true
	case "exitcode":
		return death(Exited), true
	case "signal":
		return death(Killed), true
	}
	return b, false
}

// AppendJSONError appends the object of a directory that gave no status.
func AppendJSONError(b []byte, dir, problem string) []byte {
	b = appendString(append(b, `{"service":`...), dir)
	b = appendString(append(b, `,"error":`...), problem)
	return append(b, '}')
}

// appendTime writes Unix seconds with nanoseconds as a JSON number.
func appendTime(b []byte, l Label) []byte {
	sec, nano := l.Unix()
	if sec < 0 {
		return append(b, '0')
	}
	b = append(appendUint(b, uint64(sec)), '.')
	for unit := uint32(100_000_000); unit > 0; unit /= 10 {
		b = append(b, '0'+byte(nano/unit%10))
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendString writes a JSON string. Bytes that are no ASCII are taken as
// Latin-1, so that any directory name gives valid JSON.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendUint(b []byte, n uint64) []byte {
	var d [20]byte
	i := len(d)
	for {
		i--
		d[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(b, d[i:]...)
		}
	}
}
