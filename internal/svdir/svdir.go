// Package svdir is the operator's side of a service directory: where the files
// of supervise lie, how to send it commands, how to read and to await its
// status (compat: daemontools.md sections 3 to 5).
package svdir

import (
	"os"
	"strings"
	"syscall"
	"time"

	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/svstatus"
	"bulkhead/internal/tai64"
)

// Sub is where supervise keeps its files, seen from the service directory,
// which must be the working directory: "supervise", or what $SUPERVISEDIR says
// when service directories are read-only. An absolute one holds the files of
// all services, each below its path with '/' turned into ':'.
func Sub() string {
	d := os.Getenv("SUPERVISEDIR")
	if d == "" {
		return "supervise"
	}
	if d[0] != '/' {
		return d
	}
	wd, err := syscall.Getwd() // bare: os.Getwd would trust $PWD
	if err != nil {
		return d + "/unknown"
	}
	return d + "/" + strings.ReplaceAll(strings.TrimPrefix(wd, "/"), "/", ":")
}

// SubOf is Sub for the service directory dir instead of the working directory,
// which it leaves for a moment if $SUPERVISEDIR is absolute, because dir may
// lead over links.
func SubOf(dir string) string {
	if d := os.Getenv("SUPERVISEDIR"); d == "" || d[0] != '/' {
		return dir + "/" + Sub()
	}
	v, err := NewVisitor()
	if err != nil {
		return dir + "/supervise"
	}
	defer syscall.Close(v.home)
	if syscall.Chdir(dir) != nil {
		return dir + "/supervise"
	}
	defer v.Home()
	return Sub()
}

// Visitor changes into one directory after the other and back again.
type Visitor struct{ home int }

// NewVisitor remembers the working directory.
func NewVisitor() (*Visitor, error) {
	fd, err := posix.OpenRead(".")
	return &Visitor{fd}, err
}

// Home changes back to the remembered directory.
func (v *Visitor) Home() error { return syscall.Fchdir(v.home) }

// NotFIFO says that a file has taken the place of a FIFO.
type NotFIFO struct{}

func (NotFIFO) Error() string { return "not a fifo" }

// OpenFIFO opens a FIFO of supervise for writing. ENXIO means that supervise
// does not run, ENOENT that it never did.
func OpenFIFO(name string) (int, error) {
	fd, err := posix.Open(name, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err == nil && !posix.IsFIFO(fd) {
		syscall.Close(fd)
		return -1, NotFIFO{}
	}
	return fd, err
}

// Send writes command bytes one by one to supervise in the working directory.
// opened tells which half failed.
func Send(commands []byte) (opened bool, err error) {
	fd, err := OpenFIFO(Sub() + "/control")
	if err != nil {
		return false, err
	}
	defer syscall.Close(fd)
	posix.Blocking(fd)
	for i := range commands {
		if err := posix.WriteAll(fd, commands[i:i+1]); err != nil {
			return true, err
		}
	}
	return true, nil
}

// maxStatus bounds what is read of a status file, in bytes: a little more than
// the longest known (daemontools-encore with a log: 40).
const maxStatus = 256

// ReadStatus reads the classic status file in the working directory. Errors of
// opening are told apart by opened.
func ReadStatus() (s svstatus.Status, opened bool, err error) {
	fd, err := posix.OpenRead(Sub() + "/status")
	if err != nil {
		return s, false, err
	}
	defer syscall.Close(fd)
	var buf [maxStatus]byte
	n, err := posix.Read(fd, buf[:])
	if err != nil {
		return s, true, err
	}
	s, err = svstatus.Parse(buf[:n])
	return s, true, err
}

// Supervise replaces state and then status. A reader in between tries again:
// that takes microseconds, unless supervise was killed just there or the
// machine is so busy that it waits there for a processor. All pauses together
// are half a second.
const (
	betweenTries = 32
	betweenPause = time.Millisecond // times the number of the try
)

// ReadState reads the state file, if there is one that belongs to the status
// file; else gives the classic status.
func ReadState() (s svstatus.Status, opened bool, err error) {
	for try := range betweenTries {
		s, opened, err = ReadStatus()
		if err != nil {
			return s, opened, err
		}
		b, err := posix.ReadAll(Sub()+"/state", maxStatus)
		if err != nil {
			return s, true, nil // 0.76's supervise
		}
		x, err := svstatus.Parse(b)
		if err != nil || !x.Extended {
			return s, true, nil
		}
		if x.Stamp == s.Stamp && x.PID == s.PID && x.Want == s.Want && x.Paused == s.Paused {
			return x, true, nil
		}
		posix.Sleep(int64(betweenPause) * int64(try))
	}
	return s, true, nil // left behind by a supervise that is gone
}

// Now gives the TAI64 seconds of the present.
func Now() uint64 { return tai64.Seconds(time.Now()) }

// Goal is what Await waits for.
type Goal byte

const (
	GoalUp    Goal = 'u' // ./run is alive
	GoalReady Goal = 'U' // and, if the service tells, ready
	GoalDown  Goal = 'd' // ./run is not alive
	GoalEnded Goal = 'D' // nor is ./finish, and no start is due
)

// ParseGoal takes one of u, U, d, D.
func ParseGoal(s string) (Goal, bool) {
	if len(s) != 1 || strings.IndexByte("uUdD", s[0]) < 0 {
		return 0, false
	}
	return Goal(s[0]), true
}

// Reached reports whether a status fulfils the goal.
func (g Goal) Reached(s *svstatus.Status) bool {
	switch g {
	case GoalUp:
		return s.PID != 0
	case GoalReady:
		return s.PID != 0 && (!s.Extended || s.Ready || s.State == svstatus.Running)
	case GoalDown:
		return s.PID == 0
	}
	return s.PID == 0 && s.FinishPID == 0 && (s.Want != 'u' || s.State == svstatus.Failed)
}

// recheck is how often Await looks when nothing tells it that the status has
// changed; chosen so that a missed notice is not felt.
const recheck = 250 * time.Millisecond

// Outcome of Await.
type Outcome int

const (
	Reached Outcome = iota
	TimedOut
	NoSupervise // supervise does not run (any more), so nothing can change
)

// Await waits until the service in the working directory has reached the goal.
// deadline zero is no limit.
func Await(g Goal, deadline time.Time) Outcome {
	ino, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err == nil {
		defer syscall.Close(ino)
		syscall.InotifyAddWatch(ino, Sub(), syscall.IN_MOVED_TO)
	}
	var drain [4096]byte
	for {
		s, _, err := ReadState()
		if err == nil && g.Reached(&s) {
			return Reached
		}
		if fd, err := OpenFIFO(Sub() + "/ok"); err != nil {
			if err == syscall.ENXIO && (g == GoalDown || g == GoalEnded) {
				return Reached // supervise left, which it only does when the service is down
			}
			return NoSupervise
		} else {
			syscall.Close(fd)
		}
		left := recheck
		if !deadline.IsZero() {
			left = min(left, time.Until(deadline))
			if left <= 0 {
				return TimedOut
			}
		}
		posix.Poll([]posix.PollFd{{Fd: int32(ino), Events: posix.POLLIN}}, int64(left))
		if ino >= 0 {
			syscall.Read(ino, drain[:])
		}
	}
}

// ExitTimedOut is the exit code of programs whose time to wait was over, as in
// s6.
const ExitTimedOut = 99

// AwaitAll waits until all services have reached the goal; timeout 0 is no
// limit. Each that will not is worth a line, and decides the exit code.
func AwaitAll(v *Visitor, dirs []string, g Goal, timeout time.Duration) error {
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	code := 0
	for _, dir := range dirs {
		if err := syscall.Chdir(dir); err != nil {
			prog.Warn("unable to chdir to "+dir, err)
			code = prog.ExitTemporary
			continue
		}
		switch Await(g, deadline) {
		case TimedOut:
			prog.Warn("timed out waiting for "+dir, nil)
			code = ExitTimedOut
		case NoSupervise:
			prog.Warn("unable to wait for "+dir+": supervise not running", nil)
			code = prog.ExitPermanent
		}
		if err := v.Home(); err != nil {
			return prog.Fatal("unable to set directory", err)
		}
	}
	if code != 0 {
		return prog.Exit(code)
	}
	return nil
}
