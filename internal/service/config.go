package service

import (
	"bytes"
	"syscall"
	"time"

	"bulkhead/internal/posix"
	"bulkhead/internal/scan"
	"bulkhead/internal/supervisor"
	"bulkhead/internal/svstatus"
)

// config is what the files of the service directory ask for that 0.76 does not
// know. Each file is read when it matters, so a change counts from the next
// start, death or command on; absent files mean 0.76's behaviour.
type config struct {
	session  bool // setsid: ./run leads a session and process group of its own
	notifyFd int  // notification-fd: ./run writes a newline there when ready; 0 none
}

// Defaults and bounds of the files.
const (
	defaultFinishTimeout = 5 * time.Second // timeout-finish, as in s6
	defaultBackoffMax    = 60              // backoff, when the file is empty; seconds
	maxNotifyFd          = 255             // chosen: far above what a run script uses
	maxConfigFile        = 256             // bytes
)

// readBeforeStart reads what changes how ./run is started.
func (c *config) readBeforeStart() {
	c.session = present("setsid")
	c.notifyFd = 0
	// 0 to 2 are the service's standard descriptors and can not be spared.
	if n, ok := number("notification-fd"); ok && n > 2 && n <= maxNotifyFd {
		c.notifyFd = int(n)
	}
}

// readAfterDeath reads what decides what follows a death.
func (c *config) readAfterDeath(m *supervisor.Config) {
	const xOK = 1 // X_OK of unistd.h
	m.Finish = syscall.Access("finish", xOK) == nil
	m.Permanent = present("permanent-failures")
	m.BackoffMax = 0
	if text, ok := word("backoff"); ok {
		m.BackoffMax = defaultBackoffMax
		if n, used := scan.Number(text); used > 0 && n <= 1<<20 {
			m.BackoffMax = int(n)
		}
	}
}

// downSignal is what svc -d sends: down-signal has a number or name.
func (c *config) downSignal() syscall.Signal { return signalFile("down-signal", syscall.SIGTERM) }

// reloadSignal is what svc -h sends.
func (c *config) reloadSignal() syscall.Signal { return signalFile("reload-signal", syscall.SIGHUP) }

func signalFile(file string, def syscall.Signal) syscall.Signal {
	if text, ok := word(file); ok {
		if n := svstatus.ParseSignal(string(text)); n > 0 {
			return syscall.Signal(n)
		}
	}
	return def
}

// killTimeout is how long ./run may take to end after svc -d; 0 is for ever.
func (c *config) killTimeout() time.Duration { return milliseconds("timeout-kill", 0) }

// finishTimeout is how long ./finish may run; 0 is for ever.
func (c *config) finishTimeout() time.Duration {
	return milliseconds("timeout-finish", defaultFinishTimeout)
}

func milliseconds(file string, def time.Duration) time.Duration {
	if n, ok := number(file); ok && n <= 1<<31 {
		return time.Duration(n) * time.Millisecond
	}
	return def
}

func present(file string) bool {
	ok, _ := posix.Exists(file)
	return ok
}

// word gives the first line of a small file without blanks around it.
func word(file string) ([]byte, bool) {
	b, err := posix.ReadAll(file, maxConfigFile)
	if err != nil {
		return nil, false
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return bytes.TrimSpace(b), true
}

func number(file string) (uint64, bool) {
	b, ok := word(file)
	if !ok {
		return 0, false
	}
	n, used := scan.Number(b)
	return n, used > 0 && used == len(b)
}

// openNotify makes the readiness pipe and puts its write end at the number
// that the service asks for.
func (s *Service) openNotify(attr *syscall.ProcAttr) {
	if s.notify >= 0 {
		s.closeNotify()
	}
	if s.cfg.notifyFd == 0 {
		return
	}
	r, w, err := posix.Pipe()
	if err != nil {
		return
	}
	syscall.SetNonblock(r, true)
	s.notify, s.notifyW = r, w
	fillInherited(attr, s.cfg.notifyFd)
	if s.cfg.notifyFd < len(attr.Files) {
		attr.Files[s.cfg.notifyFd] = uintptr(w)
	} else {
		attr.Files = append(attr.Files, uintptr(w))
	}
}

func (s *Service) closeNotifyWrite() {
	if s.notifyW >= 0 {
		syscall.Close(s.notifyW)
		s.notifyW = -1
	}
}

// closed is what attr.Files holds for a number that the child does not get.
const closed = ^uintptr(0)

// fillInherited lengthens attr.Files to n entries: descriptors that supervise
// itself has inherited are passed on, its own are not.
func fillInherited(attr *syscall.ProcAttr, n int) {
	for fd := len(attr.Files); fd < n; fd++ {
		flags, _, no := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if no == 0 && flags&syscall.FD_CLOEXEC == 0 {
			attr.Files = append(attr.Files, uintptr(fd))
		} else {
			attr.Files = append(attr.Files, closed)
		}
	}
}
