// Package service is the body of supervise: it carries out what the table of
// internal/supervisor decides for the service in the working directory.
//
// One goroutine does everything; signals reach it as bytes in a pipe, so that
// its only wait is one poll over pipe, control FIFO and the service's
// readiness descriptor. Descriptors and signals are as ./run would find them
// under 0.76 (compat: daemontools.md sections 2 and 18).
package service

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"bulkhead/internal/errtext"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/supervisor"
	"bulkhead/internal/svdir"
	"bulkhead/internal/svstatus"
)

// Delays (compat: daemontools.md section 2).
const (
	throttle  = time.Second      // after every start, before anything else is looked at
	forkPause = 60 * time.Second // after a failed fork
	longest   = time.Hour        // of one wait
)

// restless is after how many starts supervise collects its garbage, of which a
// start makes about 3 kB. The runtime itself would wait for 4 MB. Not sooner,
// since the first collection leaves 0.3 MB behind in the runtime, which
// services that stay up are spared.
const restless = 64

// never is the time of a timer that is not armed.
const never = time.Duration(1<<63 - 1)

// Service is one supervised service.
type Service struct {
	dir     string // as typed, for messages
	sub     string // where supervise's files are, "supervise"
	machine *supervisor.Machine
	cfg     config
	env     []string

	pid, finishPID   int
	ownGroup         bool // the present ./run leads a process group
	stamp            svstatus.Label
	diedAt, readyAt  svstatus.Label
	starts           uint32
	begun            time.Duration // start of the present ./run
	sigRead, control int
	notify           int  // read end of the readiness pipe, -1 if none
	notifyW          int  // its write end while a start is under way, -1 if none
	unborn           bool // a start without a process, whose death is still to be told

	killAt, finishAt, resumeAt time.Duration

	throttle time.Duration // the one-second rule; tests have none
	epoch    time.Time
	buf      [svstatus.ExtendedLen]byte
	sockets  []socket
}

// Run supervises the service in dir until it is told to leave.
func Run(dir string) error {
	s := prepare(dir)
	if err := s.open(); err != nil {
		return err
	}
	s.perform(s.machine.Begin())
	s.loop()
	return nil
}

func prepare(dir string) *Service {
	return &Service{dir: dir, env: os.Environ(), notify: -1, notifyW: -1, killAt: never, finishAt: never, resumeAt: never,
		throttle: throttle, epoch: time.Now()}
}

// open does the start sequence: every failure is fatal, and the status is
// valid before ok can be opened.
func (s *Service) open() error {
	if err := s.catchSignals(); err != nil {
		return prog.Fatal("unable to create pipe for "+s.dir, err)
	}
	if err := syscall.Chdir(s.dir); err != nil {
		return prog.Fatal("unable to chdir to "+s.dir, err)
	}
	down, err := posix.Exists("down")
	if err != nil {
		return prog.Fatal("unable to stat "+s.dir+"/down", err)
	}
	s.machine = supervisor.New(down)
	s.sub = svdir.Sub()
	if posix.Mkdir(s.sub, 0o700) == syscall.EEXIST {
		// Debian: the target of a dangling link is made
		if to, err := os.Readlink(s.sub); err == nil {
			posix.Mkdir(to, 0o700)
		}
	}
	lock, err := posix.OpenAppend(s.file("lock"))
	if err == nil {
		err = posix.Lock(lock, false)
	}
	if err != nil {
		return prog.Fatal("unable to acquire "+s.name("lock"), err)
	}
	posix.Mkfifo(s.file("control"), 0o600)
	if s.control, err = openFIFO(s.file("control")); err != nil {
		return prog.Fatal("unable to read "+s.name("control"), err)
	}
	// The write end is kept so that reading never meets the end of file.
	if _, err = posix.Open(s.file("control"), syscall.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil {
		return prog.Fatal("unable to write "+s.name("control"), err)
	}
	s.touch()
	s.writeStatus()
	posix.Mkfifo(s.file("ok"), 0o600)
	if _, err = openFIFO(s.file("ok")); err != nil {
		return prog.Fatal("unable to read "+s.name("ok"), err)
	}
	return nil
}

// openFIFO opens a FIFO for reading. A file in its place would be readable
// without end, so it is refused.
func openFIFO(name string) (int, error) {
	fd, err := posix.OpenRead(name)
	if err == nil && !posix.IsFIFO(fd) {
		return fd, svdir.NotFIFO{}
	}
	return fd, err
}

func (s *Service) file(f string) string { return s.sub + "/" + f }

// name is the file as messages give it.
func (s *Service) name(f string) string {
	if s.sub[0] == '/' {
		return s.file(f)
	}
	return s.dir + "/" + s.file(f)
}

// catchSignals turns signals into bytes of a pipe. HUP and INT that were
// ignored at the start (nohup) stay ignored. PIPE is caught because a lost
// standard error is no reason to die.
func (s *Service) catchSignals() error {
	r, w, err := posix.Pipe()
	if err != nil {
		return err
	}
	syscall.SetNonblock(r, true)
	syscall.SetNonblock(w, true)
	s.sigRead = r
	ch := make(chan os.Signal, 4)
	for _, sig := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE} {
		if !signal.Ignored(sig) {
			signal.Notify(ch, sig)
		}
	}
	go func() {
		var b [1]byte
		for sig := range ch {
			b[0] = byte(sig.(syscall.Signal))
			syscall.Write(w, b[:])
		}
	}()
	return nil
}

// now is the time of timers: monotonic.
func (s *Service) now() time.Duration { return time.Since(s.epoch) }

func label() svstatus.Label {
	t := time.Now()
	return svstatus.MakeLabel(t.Unix(), uint32(t.Nanosecond()))
}

func (s *Service) touch() { s.stamp = label() }

// loop is the main loop: reap first, then one control byte, then again.
func (s *Service) loop() {
	for s.machine.Phase != supervisor.Gone {
		busy := s.reap()
		// A service that dies in its first second keeps reap busy for ever.
		busy = s.readSignals() || busy
		busy = s.timers() || busy
		busy = s.readControl() || busy
		if busy {
			continue
		}
		fds := [...]posix.PollFd{
			{Fd: int32(s.sigRead), Events: posix.POLLIN},
			{Fd: int32(s.control), Events: posix.POLLIN},
			{Fd: int32(s.notify), Events: posix.POLLIN},
		}
		wait := min(longest, max(0, min(s.killAt, s.finishAt, s.resumeAt)-s.now()))
		posix.Poll(fds[:], int64(wait))
		if fds[2].Revents != 0 {
			s.readNotify()
		}
	}
}

// pause is the one-second rule: after a start nothing is looked at for a full
// second but what the service says about its readiness.
func (s *Service) pause() {
	for {
		left := s.begun + s.throttle - s.now()
		if left <= 0 {
			return
		}
		fds := [...]posix.PollFd{{Fd: int32(s.notify), Events: posix.POLLIN}}
		posix.Poll(fds[:], int64(left))
		if fds[0].Revents != 0 {
			s.readNotify()
		}
	}
}

func (s *Service) event(e supervisor.Event, d supervisor.Death) {
	s.perform(s.machine.Event(e, d))
}

// reap collects dead children until one of its own is seen.
func (s *Service) reap() bool {
	if s.unborn {
		s.unborn = false
		s.died(supervisor.Death{Kind: svstatus.Exited, Code: prog.ExitTemporary})
		return true
	}
	for {
		var ws syscall.WaitStatus
		pid, err := posix.Wait4(-1, &ws, syscall.WNOHANG)
		if err != nil || pid <= 0 {
			return false
		}
		d := supervisor.Death{Kind: svstatus.Exited, Code: uint8(ws.ExitStatus())}
		if ws.Signaled() {
			d = supervisor.Death{Kind: svstatus.Killed, Code: uint8(ws.Signal())}
		}
		switch pid {
		case s.pid:
			s.died(d)
			return true
		case s.finishPID:
			s.finishPID = 0
			s.event(supervisor.FinishDied, d)
			return true
		}
	}
}

func (s *Service) died(d supervisor.Death) {
	if s.notify >= 0 {
		s.closeNotify()
	}
	s.cfg.readAfterDeath(&s.machine.Config)
	d.Lived = int((s.now() - s.begun) / time.Second)
	pid := s.pid
	s.pid = 0
	s.diedAt, s.readyAt = label(), svstatus.Label{}
	what := "exit"
	if d.Kind == svstatus.Killed {
		what = "killed"
	}
	s.tell(what, pid, int(d.Code))
	s.event(supervisor.Died, d)
}

// timers delivers what is due.
func (s *Service) timers() bool {
	now := s.now()
	for _, t := range [...]struct {
		at *time.Duration
		e  supervisor.Event
	}{{&s.killAt, supervisor.KillDue}, {&s.finishAt, supervisor.FinishDue}, {&s.resumeAt, supervisor.WaitOver}} {
		if *t.at <= now {
			*t.at = never
			s.event(t.e, supervisor.Death{})
			return true
		}
	}
	return false
}

func (s *Service) readControl() bool {
	var b [1]byte
	if n, err := posix.Read(s.control, b[:]); err != nil || n != 1 {
		return false
	}
	if e, ok := supervisor.Control(b[0]); ok {
		s.event(e, supervisor.Death{})
	}
	return true
}

func (s *Service) readSignals() (any bool) {
	var b [64]byte
	n, _ := posix.Read(s.sigRead, b[:])
	for i := 0; i < n; i++ {
		switch syscall.Signal(b[i]) {
		case syscall.SIGTERM, syscall.SIGINT:
			s.event(supervisor.AskedToStop, supervisor.Death{})
		case syscall.SIGHUP:
			s.event(supervisor.AskedToLeave, supervisor.Death{})
		}
	}
	return n > 0
}

// readNotify takes what the service writes to its readiness descriptor: a
// newline means ready.
func (s *Service) readNotify() {
	var b [64]byte
	n, err := posix.Read(s.notify, b[:])
	if err == syscall.EAGAIN {
		return
	}
	for _, c := range b[:max(n, 0)] {
		if c == '\n' {
			s.closeNotify()
			s.readyAt = label()
			s.event(supervisor.ReadyNote, supervisor.Death{})
			return
		}
	}
	if n <= 0 {
		s.closeNotify()
	}
}

func (s *Service) closeNotify() {
	syscall.Close(s.notify)
	s.notify = -1
}

// perform carries actions out. Actions of the machine are only valid until its
// next event, and Start and RunFinish may cause one, but only as the last of
// their list that matters.
func (s *Service) perform(actions []supervisor.Action) {
	var own [16]supervisor.Action
	list := append(own[:0], actions...)
	for _, a := range list {
		switch a {
		case supervisor.Start:
			s.start()
		case supervisor.WriteStatus:
			s.writeStatus()
		case supervisor.Stamp:
			s.touch()
		case supervisor.SendDown:
			s.kill(s.cfg.downSignal(), s.machine.Group)
		case supervisor.SendHup:
			s.kill(s.cfg.reloadSignal(), s.machine.Group)
		case supervisor.SendKill:
			s.kill(syscall.SIGKILL, s.machine.Group)
		case supervisor.RunFinish:
			s.runFinish()
		case supervisor.KillFinish:
			if s.finishPID > 0 {
				syscall.Kill(s.finishPID, syscall.SIGKILL)
			}
		case supervisor.ArmKill:
			if d := s.cfg.killTimeout(); d > 0 {
				s.killAt = s.now() + d
			}
		case supervisor.DisarmKill:
			s.killAt = never
		case supervisor.ArmFinish:
			if d := s.cfg.finishTimeout(); d > 0 && s.finishPID > 0 {
				s.finishAt = s.now() + d
			}
		case supervisor.DisarmFinish:
			s.finishAt = never
		case supervisor.ArmBackoff:
			s.resumeAt = s.now() + time.Duration(s.machine.Delay)*time.Second
		case supervisor.ArmFork:
			s.resumeAt = s.now() + forkPause
		case supervisor.DisarmWait:
			s.resumeAt = never
		default:
			if n := a.Signal(); n > 0 {
				s.kill(syscall.Signal(n), s.machine.Group)
			}
		}
	}
}

// kill sends a signal to ./run, or to its group if it leads one.
func (s *Service) kill(sig syscall.Signal, group bool) {
	switch {
	case s.pid <= 0:
	case group && s.ownGroup:
		syscall.Kill(-s.pid, sig)
	default:
		syscall.Kill(s.pid, sig)
	}
}

// forkFailed tells failures to get a process from failures to exec.
func forkFailed(err error) bool {
	switch err {
	case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
		return true
	}
	return false
}

// start runs ./run. When it can not be executed a child is started all the
// same, that says so and exits 111: this counts as a start and a death.
func (s *Service) start() {
	s.cfg.readBeforeStart()
	attr := &syscall.ProcAttr{Env: s.env, Files: []uintptr{0, 1, 2}}
	if s.cfg.session {
		attr.Sys = &syscall.SysProcAttr{Setsid: true}
	}
	stub := false
	s.openSockets()
	if len(s.sockets) > 0 {
		attr.Env = s.passSockets(attr)
		stub = true // only the child itself knows $LISTEN_PID
	}
	s.openNotify(attr)
	pid, err := 0, error(syscall.ENOENT)
	if !stub {
		pid, err = posix.ForkExec("./run", []string{"./run"}, attr)
		stub = err != nil && !forkFailed(err)
	}
	if stub {
		reason := err
		pid, err = posix.ForkExec("/proc/self/exe", []string{stubName, s.dir}, attr)
		if err != nil && !forkFailed(err) {
			// without /proc there is no child to say it
			prog.Print("fatal: unable to start " + s.dir + "/run: " + errtext.Of(reason))
			pid, err = 0, nil
		}
	}
	s.closeNotifyWrite()
	if err != nil {
		prog.Warn("unable to fork for "+s.dir+", sleeping 60 seconds", err)
		s.event(supervisor.NotStarted, supervisor.Death{})
		return
	}
	s.pid = pid
	s.ownGroup = s.cfg.session
	if s.starts++; s.starts%restless == 0 {
		runtime.GC()
	}
	s.touch()
	s.begun = s.now()
	s.unborn = pid == 0
	s.writeStatus()
	s.tell("start", pid, 0)
	s.pause()
}

// runFinish starts ./finish with the exit code (256 if a signal killed run),
// the signal, the service's name and the process id that run had, which is its
// group if it led one.
func (s *Service) runFinish() {
	d := s.machine.Death
	code, sig := int(d.Code), 0
	if d.Kind == svstatus.Killed {
		code, sig = 256, int(d.Code)
	}
	argv := []string{"./finish", posix.Itoa(code), posix.Itoa(sig), s.dir}
	pid, err := posix.ForkExec("./finish", argv, &syscall.ProcAttr{Env: s.env, Files: []uintptr{0, 1, 2}})
	if err != nil {
		prog.Warn("unable to start "+s.dir+"/finish", err)
		s.finishPID = 0
		s.event(supervisor.FinishDied, supervisor.Death{})
		return
	}
	s.finishPID = pid
}

// tell runs ./notify, if there is one, as daemontools-encore does: with "run",
// what happened, the process id and the exit code or signal. Nothing waits for
// it.
func (s *Service) tell(what string, pid, code int) {
	const xOK = 1 // X_OK of unistd.h
	if syscall.Access("notify", xOK) != nil {
		return
	}
	argv := []string{"./notify", "run", what, posix.Itoa(pid), posix.Itoa(code)}
	if _, err := posix.ForkExec("./notify", argv, &syscall.ProcAttr{Env: s.env, Files: []uintptr{0, 1, 2}}); err != nil {
		prog.Warn("unable to start "+s.dir+"/notify", err)
	}
}

// writeStatus replaces the state file, then the status file, which readers
// know; each whole.
func (s *Service) writeStatus() {
	m := s.machine
	st := svstatus.Status{Stamp: s.stamp, PID: uint32(s.pid), Paused: m.Paused, Want: m.WantByte(),
		State: m.State(s.cfg.notifyFd > 0), Ready: m.Ready, Death: m.Death.Kind, Code: m.Death.Code,
		DeathTime: s.diedAt, ReadyTime: s.readyAt, Starts: s.starts, FinishPID: uint32(s.finishPID)}
	s.replace("state", st.AppendExtended(s.buf[:0]), false)
	s.replace("status", st.Append(s.buf[:0]), true)
}

// replace writes a file under a temporary name and renames it. Only troubles
// with status are worth a line: state fails with it.
func (s *Service) replace(file string, b []byte, warn bool) {
	complain := func(what string, err error) {
		if warn {
			prog.Warn(what, err)
		}
	}
	tmp := s.file(file + ".new")
	fd, err := posix.OpenTrunc(tmp)
	if err != nil {
		complain("unable to open "+s.name(file+".new"), err)
		return
	}
	n, err := posix.Write(fd, b)
	syscall.Close(fd)
	if err != nil {
		complain("unable to write "+s.name(file+".new"), err)
		return
	}
	if n < len(b) {
		complain("unable to write "+s.name(file+".new")+": partial write", nil)
		return
	}
	if err := posix.Rename(tmp, s.file(file)); err != nil {
		complain("unable to rename "+s.name(file+".new")+" to "+file, err)
	}
}
