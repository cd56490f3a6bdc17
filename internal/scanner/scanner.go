// Package scanner is the body of svscan: one supervise for each entry of a
// directory, two and a pipe between them for entries with a log (compat:
// daemontools.md section 6), and the orderly stop that makes it fit as process
// 1 of a container (section 19.4).
package scanner

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"bulkhead/internal/child"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/svdir"
	"bulkhead/internal/svstatus"
)

// Delays.
const (
	scanPause    = 5 * time.Second        // between passes (compat: section 6)
	restartPause = time.Second            // from one start of a supervise to the next, after a crash
	settlePause  = 50 * time.Millisecond  // between a notice of the directory and the look at it; chosen so that one ln -s of many is one pass
	stopPause    = 100 * time.Millisecond // between looks while stopping
	drainTime    = 3 * time.Second        // a logger gets for reading to the end of its pipe; chosen below the 10 s that containers give
)

// lastSignal is SIGRTMAX of signal(7).
const lastSignal = 64

// maxServices is how many services are tracked; 0.76 had 1000. Chosen far
// above what process tables hold.
const maxServices = 100_000

// maxLogName is the longest name that can have a log (compat: section 6).
const maxLogName = 255

// half is a service's main or log supervise.
type half struct {
	pid     int       // 0 = not running
	started time.Time // of the present or last pid
	crashed bool      // it did not leave by itself, so it comes back before the next pass
}

// id is what makes two names one service.
type id struct{ dev, ino uint64 }

type service struct {
	id      id
	name    string
	listed  bool // seen in the present pass
	logged  bool
	r, w    int // the pipe to the logger, -1 when closed
	main    half
	log     half
	drainBy time.Time // while stopping: until when the logger may read on
	told    bool      // while stopping: main's supervise knows
	toldLog bool
}

// stopping is how far an orderly stop is.
type stopping uint8

const (
	running stopping = iota
	asked            // TERM: services end, then their loggers read to the end
	hurried          // QUIT: services and loggers end
)

// Scanner watches the working directory.
type Scanner struct {
	services  []*service
	byID      map[id]*service
	byPid     map[int]*service
	sigRead   int
	inotify   int
	watched   bool
	stop      stopping
	mainName  string // the service whose end is the end of all, "" if none
	exitCode  int
	env       []string
	rescan    time.Time
	pruneNext bool

	// For passes that allocate nothing: svscan has one every five seconds for
	// months.
	names [32 << 10]byte
	stat  syscall.Stat_t
	look  func(posix.Entry) // entry
}

// Run scans for ever, or until TERM, INT or QUIT. The result is the exit code.
func Run() (int, error) {
	s := &Scanner{byID: map[id]*service{}, byPid: map[int]*service{}, mainName: os.Getenv("SVSCAN_MAIN"), rescan: time.Now()}
	s.look = s.entry
	notify := os.Getenv("NOTIFY_SOCKET")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NOTIFY_SOCKET=") { // it is for svscan, not for services
			s.env = append(s.env, v)
		}
	}
	if err := s.catchSignals(); err != nil {
		return 0, prog.Fatal("unable to create pipe", err)
	}
	s.watch()
	for first := true; ; first = false {
		s.reap()
		if s.stop != running {
			break
		}
		now := time.Now()
		if !now.Before(s.rescan) {
			s.pass()
			s.rescan = time.Now().Add(scanPause)
		}
		s.revive(time.Now())
		if first {
			sdNotify(notify, "READY=1")
		}
		s.wait(s.nextLook())
	}
	sdNotify(notify, "STOPPING=1")
	s.stopAll()
	return s.exitCode, nil
}

// catchSignals turns signals into bytes of a pipe. Explicit handlers matter for
// process 1, which the kernel shields from default actions.
func (s *Scanner) catchSignals() error {
	r, w, err := posix.Pipe()
	if err != nil {
		return err
	}
	syscall.SetNonblock(r, true)
	syscall.SetNonblock(w, true)
	s.sigRead = r
	ch := make(chan os.Signal, 64)
	for _, sig := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP,
		syscall.SIGALRM, syscall.SIGPIPE} { // PIPE: a lost standard error is no reason to die
		if !signal.Ignored(sig) {
			signal.Notify(ch, sig)
		}
	}
	if syscall.Getpid() == 1 {
		// The kernel spares process 1 the default actions of signals, but the
		// Go runtime has handlers for all and ends by itself.
		for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
			if sig != syscall.SIGURG && !signal.Ignored(sig) { // URG is how the runtime talks to its threads
				signal.Notify(ch, sig)
			}
		}
	}
	go func() {
		for sig := range ch {
			syscall.Write(w, []byte{byte(sig.(syscall.Signal))})
		}
	}()
	return nil
}

// watch asks the kernel to tell of new entries, so that a link is picked up at
// once; the pass every five seconds remains the guarantee. A directory made in
// place is left to that pass: whoever makes it still has to fill it.
func (s *Scanner) watch() {
	s.inotify = -1
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return
	}
	if _, err := syscall.InotifyAddWatch(fd, ".", syscall.IN_CREATE|syscall.IN_MOVED_TO|syscall.IN_ONLYDIR); err != nil {
		syscall.Close(fd)
		return
	}
	s.inotify = fd
}

// Offsets in struct inotify_event (inotify(7)).
const (
	inotifyMask   = 4
	inotifyLen    = 12
	inotifyHeader = 16
)

// readNotices reports whether an entry came that can be complete already.
func (s *Scanner) readNotices() (news bool) {
	var buf [8192]byte
	for {
		n, err := posix.Read(s.inotify, buf[:])
		if err != nil || n <= 0 {
			return news
		}
		for b := buf[:n]; len(b) >= inotifyHeader; {
			mask := nativeUint32(b[inotifyMask:])
			if mask&syscall.IN_MOVED_TO != 0 || mask&syscall.IN_ISDIR == 0 {
				news = true
			}
			b = b[min(len(b), inotifyHeader+int(nativeUint32(b[inotifyLen:]))):]
		}
	}
}

// wait sleeps until something happens or d is over.
func (s *Scanner) wait(d time.Duration) {
	fds := [...]posix.PollFd{{Fd: int32(s.sigRead), Events: posix.POLLIN}, {Fd: int32(s.inotify), Events: posix.POLLIN}}
	posix.Poll(fds[:], int64(max(d, 0)))
	if fds[0].Revents != 0 {
		var b [256]byte
		n, _ := posix.Read(s.sigRead, b[:])
		for i := 0; i < n; i++ {
			s.signalled(syscall.Signal(b[i]))
		}
	}
	if fds[1].Revents != 0 && s.readNotices() {
		s.sooner(time.Now().Add(settlePause))
	}
}

func (s *Scanner) sooner(t time.Time) {
	if t.Before(s.rescan) {
		s.rescan = t
	}
}

func (s *Scanner) signalled(sig syscall.Signal) {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT:
		if s.stop == running {
			s.stop = asked
		}
	case syscall.SIGQUIT:
		s.stop = hurried
	case syscall.SIGALRM:
		s.sooner(time.Now())
	case syscall.SIGHUP:
		s.pruneNext = true
		s.sooner(time.Now())
	}
}

// reap collects all dead children, also those that are not its own (process 1
// gets every orphan).
func (s *Scanner) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := posix.Wait4(-1, &ws, syscall.WNOHANG)
		if err != nil || pid <= 0 {
			return
		}
		sv := s.byPid[pid]
		if sv == nil {
			continue
		}
		delete(s.byPid, pid)
		h := &sv.main
		if sv.log.pid == pid {
			h = &sv.log
		}
		h.pid = 0
		// One that left with 0 was told to; it comes back at the next pass as
		// in 0.76, so that the operator has time to remove the entry.
		h.crashed = !ws.Exited() || ws.ExitStatus() != 0 && ws.ExitStatus() != prog.ExitTemporary
		if h == &sv.main && s.mainName != "" && sv.name == s.mainName && !h.crashed && s.stop == running {
			s.exitCode = lastExit(sv.name)
			s.stop = asked
		}
	}
}

// lastExit gives the exit code of a service's last death: 128 and the signal
// if one killed it, as shells have it.
func lastExit(name string) int {
	b, err := posix.ReadAll(svdir.SubOf(name)+"/state", 4096)
	if err != nil {
		return 0
	}
	st, err := svstatus.Parse(b)
	if err != nil || st.Death == svstatus.NoDeath {
		return 0
	}
	if st.Death == svstatus.Killed {
		return 128 + int(st.Code)
	}
	return int(st.Code)
}

// nextLook is how long nothing is due.
func (s *Scanner) nextLook() time.Duration {
	next := s.rescan
	for _, sv := range s.services {
		for _, h := range [...]*half{&sv.main, &sv.log} {
			if h.crashed {
				if t := h.started.Add(restartPause); t.Before(next) {
					next = t
				}
			}
		}
	}
	return time.Until(next)
}

// revive starts crashed supervises again, one second after their last start at
// the earliest.
func (s *Scanner) revive(now time.Time) {
	for _, sv := range s.services {
		if sv.main.crashed && now.Sub(sv.main.started) >= restartPause {
			s.startMain(sv)
		}
		if sv.logged && sv.log.crashed && now.Sub(sv.log.started) >= restartPause {
			s.startLog(sv)
		}
	}
}

// pass looks at the directory once.
func (s *Scanner) pass() {
	for _, sv := range s.services {
		sv.listed = false
	}
	err := posix.EachEntry(s.names[:], s.look)
	if err == nil {
		s.startDown()
	}
	if err != nil {
		prog.Warn("unable to read directory", err)
		return
	}
	if s.pruneNext {
		s.pruneNext = false
		s.prune()
	}
	s.forget()
}

// startDown starts every listed half that does not run: the services first,
// since somebody waits for them, then their loggers, for which what services
// say meanwhile waits in the pipes.
func (s *Scanner) startDown() {
	for _, sv := range s.services {
		if sv.listed && sv.main.pid == 0 {
			s.startMain(sv)
		}
	}
	for _, sv := range s.services {
		if sv.listed && sv.logged && sv.log.pid == 0 {
			s.startLog(sv)
		}
	}
}

// entry looks at one name: a new service is taken on.
func (s *Scanner) entry(e posix.Entry) {
	if e.Name()[0] == '.' {
		return
	}
	st := &s.stat
	if err := e.Stat(st); err != nil {
		prog.Warn("unable to stat "+string(e.Name()), err)
		return
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return
	}
	key := id{uint64(st.Dev), st.Ino}
	sv := s.byID[key]
	if sv == nil {
		if sv = s.adopt(string(e.Name()), key); sv == nil {
			return
		}
	}
	if !sv.listed { // of two names in one pass the first counts
		sv.listed = true
		if string(e.Name()) != sv.name {
			sv.name = string(e.Name())
		}
	}
}

// adopt takes a directory on as a service. Whether it is logged is decided
// here once.
func (s *Scanner) adopt(name string, key id) *service {
	if len(s.services) >= maxServices {
		prog.Warn("unable to start "+name+": running too many services", nil)
		return nil
	}
	sv := &service{id: key, name: name, r: -1, w: -1}
	if len(name) <= maxLogName {
		logged, err := posix.Exists(name + "/log")
		if err != nil {
			prog.Warn("unable to stat "+name+"/log", err)
			return nil
		}
		if logged {
			if sv.r, sv.w, err = posix.Pipe(); err != nil {
				prog.Warn("unable to create pipe for "+name, err)
				return nil
			}
			sv.logged = true
		}
	}
	s.services = append(s.services, sv)
	s.byID[key] = sv
	return sv
}

func (s *Scanner) startMain(sv *service) {
	files := []uintptr{0, 1, 2}
	if sv.logged {
		files[1] = uintptr(sv.w)
	}
	s.start(sv, &sv.main, sv.name, sv.name, "", files)
}

func (s *Scanner) startLog(sv *service) {
	s.start(sv, &sv.log, sv.name+"/log", "log", sv.name, []uintptr{uintptr(sv.r), 1, 2})
}

// start runs supervise with arg in dir ("" for here). The failures that 0.76's
// child has after fork show up here and get its words.
func (s *Scanner) start(sv *service, h *half, what, arg, dir string, files []uintptr) {
	h.crashed = false
	h.started = time.Now()
	pid, err := child.Start([]string{"supervise", arg}, &syscall.ProcAttr{Dir: dir, Env: s.env, Files: files})
	switch {
	case err == nil:
		h.pid = pid
		s.byPid[pid] = sv
	case err == syscall.EAGAIN || err == syscall.ENOMEM || err == syscall.EMFILE || err == syscall.ENFILE:
		prog.Warn("unable to fork for "+what, err)
	case dir != "" && syscall.Access(dir, 1) != nil:
		prog.Warn("unable to switch to "+dir, err)
	default:
		prog.Warn("unable to start supervise "+what, err)
	}
}

// prune stops services whose entries have gone (HUP).
func (s *Scanner) prune() {
	for _, sv := range s.services {
		if sv.listed {
			continue
		}
		// The entry is gone, so the way to the FIFO is too; supervise takes
		// TERM as "down, exit".
		if sv.main.pid != 0 {
			syscall.Kill(sv.main.pid, syscall.SIGTERM)
		}
		if sv.log.pid != 0 {
			syscall.Kill(sv.log.pid, syscall.SIGHUP) // exits when multilog has read to the end
		}
		if sv.logged {
			sv.closePipe()
		}
	}
}

func (sv *service) closePipe() {
	if sv.w >= 0 {
		syscall.Close(sv.w)
		syscall.Close(sv.r)
		sv.r, sv.w = -1, -1
	}
}

// forget drops services whose entry is gone and whose supervises have ended.
func (s *Scanner) forget() {
	kept := s.services[:0]
	for _, sv := range s.services {
		if sv.listed || sv.main.pid != 0 || sv.log.pid != 0 {
			kept = append(kept, sv)
		} else {
			sv.closePipe()
			delete(s.byID, sv.id)
		}
	}
	clear(s.services[len(kept):])
	s.services = kept
}

// stopAll brings services down, then lets each logger read to the end of its
// pipe, and returns when no supervise is left.
func (s *Scanner) stopAll() {
	for {
		left := false
		now := time.Now()
		for _, sv := range s.services {
			switch {
			case sv.main.pid != 0:
				left = true
				if !sv.told {
					sv.told = tell(sv.name, "dx", sv.main, now)
				}
			case sv.log.pid != 0:
				left = true
				s.stopLog(sv, now)
			}
		}
		if !left {
			return
		}
		s.wait(stopPause)
		s.reap()
	}
}

// stopLog ends a logger whose service is down: its supervise is told to exit
// when it is down, then the pipe is closed, and multilog ends by itself with
// its input.
func (s *Scanner) stopLog(sv *service, now time.Time) {
	switch {
	case s.stop == hurried || !sv.drainBy.IsZero() && now.After(sv.drainBy):
		// Hurried, or somebody still holds the pipe: what has arrived is
		// written, what comes later is its own affair.
		if tell(sv.name+"/log", "dx", sv.log, now) {
			sv.drainBy = now.Add(drainTime)
		}
	case !sv.toldLog:
		sv.toldLog = tell(sv.name+"/log", "x", sv.log, now)
	case sv.drainBy.IsZero(): // one look later: supervise has read it by now
		sv.closePipe()
		sv.drainBy = now.Add(drainTime)
	}
}

// tell writes commands to a supervise; one that has not yet opened its FIFO
// gets them at the next look. A supervise whose directory is gone gets the
// signal that means the same: TERM is "dx", HUP "x".
func tell(name, commands string, h half, now time.Time) bool {
	fd, err := svdir.OpenFIFO(svdir.SubOf(name) + "/control")
	if err != nil {
		if now.Sub(h.started) > restartPause {
			sig := syscall.SIGTERM
			if commands == "x" {
				sig = syscall.SIGHUP
			}
			syscall.Kill(h.pid, sig)
			return true
		}
		return false
	}
	defer syscall.Close(fd)
	return posix.WriteAll(fd, []byte(commands)) == nil
}

// sdNotify tells systemd (sd_notify(3)); nobody else sets the variable.
func sdNotify(path, message string) {
	if path == "" || len(path) > 107 || path[0] != '/' && path[0] != '@' {
		return
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	syscall.Sendto(fd, []byte(message), 0, &syscall.SockaddrUnix{Name: path})
}
