package tcpserver

import (
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/errtext"
	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/ucspi"
)

// drop starts the warning about a connection that is given up.
const drop = "tcpserver: warning: dropping connection, "

// Run is the program.
func Run(args []string) error {
	o, err := ParseArgs(args)
	if err != nil {
		return err
	}
	if state := os.Getenv(MarkerVar); state != "" {
		return o.child(state)
	}
	err = o.run()
	if err != nil && o.Verbosity == silent {
		return prog.Exit(prog.ExitTemporary)
	}
	return err
}

type server struct {
	o        *Options
	listener int
	self     int    // descriptor of this program, to run it again
	wake     [2]int // pipe that ends a wait for connections, with GRACE only
	base     []string
	files    []string // candidates for the program to run
	rules    Rules

	resolver stub.Resolver
	mu       sync.Mutex
	changed  *sync.Cond // children fell, or the server stops
	children uint64
	peers    map[int]netip.Addr // by process id, those counted in nets
	nets     counter
	early    map[int]bool // ended before the accept loop knew them
	stopping bool
}

func (o *Options) run() error {
	port, ok := ucspi.Port(o.Port)
	if !ok {
		return o.noPort(o.Port)
	}
	fd, inherited, err := inheritedSocket()
	if err != nil {
		return err
	}
	if !inherited {
		if fd, err = o.listen(port); err != nil {
			return err
		}
	}
	if sa, err := unix.Getsockname(fd); err == nil {
		a, _ := ucspi.AddrPort(sa)
		port = a.Port()
	} else {
		return prog.Fatal("unable to get local address", err)
	}
	if !inherited {
		if err := unix.Listen(fd, int(min(o.Backlog, 1<<30))); err != nil {
			return prog.Fatal("unable to listen", err)
		}
	}
	if o.GID != 0 {
		if err := syscall.Setgroups([]int{int(o.GID)}); err != nil {
			return prog.Fatal("unable to set gid", err)
		}
		if err := syscall.Setgid(int(o.GID)); err != nil {
			return prog.Fatal("unable to set gid", err)
		}
	}
	if o.UID != 0 {
		if err := syscall.Setuid(int(o.UID)); err != nil {
			return prog.Fatal("unable to set uid", err)
		}
	}
	if o.PrintPort {
		os.Stdout.WriteString(ucspi.Utoa(port) + "\n")
	}
	s := &server{o: o, listener: fd, peers: map[int]netip.Addr{}, nets: counter{}, early: map[int]bool{}}
	s.changed = sync.NewCond(&s.mu)
	s.rules = Rules{File: o.Rules, Open: o.RulesOpen}
	s.base = environ()
	s.files = candidates(o.Argv[0])
	if o.asksOthers() || len(o.Proxy) > 0 {
		if s.self, err = unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return prog.Fatal("unable to open /proc/self/exe", err)
		}
	}
	// No process of this uid, a program of ours that was taken over above all,
	// may trace us or read our memory. It is the one wall that exec takes down
	// again; the others our programs would inherit (docs/compartments.md).
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	// A reader of -1 sees the end; what we accept is not given these numbers.
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		unix.Dup3(null, 0, unix.O_CLOEXEC)
		unix.Dup3(null, 1, unix.O_CLOEXEC)
		if null > 2 {
			unix.Close(null)
		}
	} else {
		unix.Close(0)
		unix.Close(1)
	}
	if o.GraceSet {
		if err := unix.Pipe2(s.wake[:], unix.O_CLOEXEC); err != nil {
			return prog.Fatal("unable to create pipe", err)
		}
	}
	go s.signals()
	go s.reap()
	s.mu.Lock()
	s.status()
	s.mu.Unlock()
	return s.accept()
}

// listen makes the socket and binds it.
func (o *Options) listen(port uint16) (int, error) {
	addr, err := o.address()
	if err != nil {
		return -1, err
	}
	fd, err := ucspi.Socket(addr)
	dual := o.Host == "" || o.Host == "0"
	if err != nil && dual && addr.Is6() && !o.Force6 { // a kernel without IPv6
		addr = netip.IPv4Unspecified()
		fd, err = ucspi.Socket(addr)
	}
	if err != nil {
		return -1, prog.Fatal("unable to create socket", err)
	}
	if addr.Is6() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	err = ucspi.Bind(fd, netip.AddrPortFrom(addr, port))
	if err == unix.EADDRNOTAVAIL && dual && addr.Is6() && !o.Force6 { // IPv6 turned off
		unix.Close(fd)
		addr = netip.IPv4Unspecified()
		if fd, err = ucspi.Socket(addr); err == nil {
			err = ucspi.Bind(fd, netip.AddrPortFrom(addr, port))
		}
	}
	if err != nil {
		return -1, prog.Fatal("unable to bind", err)
	}
	return fd, nil
}

// address turns the host argument into an address to bind.
func (o *Options) address() (netip.Addr, error) {
	if o.Host == "" || o.Host == "0" {
		if o.Force4 {
			return netip.IPv4Unspecified(), nil
		}
		return netip.IPv6Unspecified(), nil
	}
	var r stub.Resolver
	var addrs []netip.Addr
	var err error
	if !o.Force6 {
		addrs, _, err = r.Qualify(o.Host, stub.IPv4)
	}
	if err == nil && len(addrs) == 0 && !o.Force4 {
		addrs, _, err = r.Qualify(o.Host, stub.IPv6)
	}
	if err != nil {
		return netip.Addr{}, prog.Fatal("temporarily unable to figure out IP address for "+o.Host, err)
	}
	if len(addrs) == 0 {
		return netip.Addr{}, prog.Fatal("no IP address for "+o.Host, nil)
	}
	a := addrs[0]
	if o.Interface != "" && a.Is6() {
		a = a.WithZone(o.Interface)
	}
	return a, nil
}

// firstPassed is the first descriptor handed over (sd_listen_fds(3)).
const firstPassed = 3

// inheritedSocket takes over a listening socket that whoever started us made,
// so that it outlives us: $LISTEN_FDS, if $LISTEN_PID is this process.
func inheritedSocket() (fd int, ok bool, err error) {
	if os.Getenv("LISTEN_PID") != itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") == "" {
		return -1, false, nil
	}
	if os.Getenv("LISTEN_FDS") != "1" {
		return -1, false, prog.Permanent("unable to use $LISTEN_FDS: one listening socket is needed, not "+os.Getenv("LISTEN_FDS"), nil)
	}
	if v, e := unix.GetsockoptInt(firstPassed, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); e != nil || v == 0 {
		return -1, false, prog.Fatal("unable to use $LISTEN_FDS: descriptor 3 is no listening socket", nil)
	}
	unix.CloseOnExec(firstPassed)
	unix.SetNonblock(firstPassed, false)
	return firstPassed, true, nil
}

func itoa(n int) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}

// environ is the environment for programs: ours without what was meant for us.
func environ() []string {
	var out []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", MarkerVar:
			continue
		}
		out = append(out, v)
	}
	return out
}

// candidates are the files that exec tries for a program (compat:
// daemontools.md section 1.5).
func candidates(program string) []string {
	if strings.IndexByte(program, '/') >= 0 {
		return []string{program}
	}
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = "/bin:/usr/bin"
	}
	var out []string
	for _, dir := range strings.Split(path, ":") {
		if dir == "" {
			dir = "."
		}
		out = append(out, dir+"/"+program)
	}
	return out
}

// status prints the number of children; called with the lock held.
func (s *server) status() {
	if s.o.Verbosity >= verbose {
		say("tcpserver: status: " + itoa(int(s.children)) + "/" + itoa(int(s.o.Limit)) + "\n")
	}
}

// say writes one line in one piece.
func say(line string) { syscall.Write(2, []byte(line)) }

// accept is the main loop. At the limit it does not accept: clients wait in
// the kernel's queue.
func (s *server) accept() error {
	for {
		s.mu.Lock()
		for s.children >= s.o.Limit && !s.stopping {
			s.changed.Wait()
		}
		stopping := s.stopping
		s.mu.Unlock()
		if stopping {
			select {} // signals ends the process
		}
		if s.o.GraceSet && !s.awaitClient() {
			continue
		}
		fd, sa, err := unix.Accept4(s.listener, unix.SOCK_CLOEXEC)
		if err != nil {
			if err == unix.EMFILE || err == unix.ENFILE || err == unix.ENOBUFS || err == unix.ENOMEM {
				time.Sleep(acceptPause) // the connection stays; do not spin
			}
			continue
		}
		s.mu.Lock()
		if s.stopping {
			s.mu.Unlock()
			unix.Close(fd)
			continue
		}
		s.children++
		s.status()
		s.mu.Unlock()
		if pid, remote, later, err := s.serve(fd, sa); !later {
			unix.Close(fd)
			s.started(pid, remote, err)
		}
	}
}

// started takes note of a child, or that there is none.
func (s *server) started(pid int, remote netip.Addr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil || pid == 0:
		if err != nil && s.o.Verbosity > silent {
			say(drop + "unable to fork: " + errtext.Of(err) + "\n")
		}
		s.children--
		s.status()
		s.changed.Broadcast()
	case s.early[pid]:
		delete(s.early, pid)
	default:
		s.peers[pid] = remote
		s.nets.add(remote)
		s.changed.Broadcast()
	}
}

// awaitClient waits for a client or for the end; the socket may belong to our
// successor too and is left as it is.
func (s *server) awaitClient() bool {
	p := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}, {Fd: int32(s.wake[0]), Events: unix.POLLIN}}
	unix.Poll(p, -1)
	return p[0].Revents != 0 && p[1].Revents == 0
}

// acceptPause is how long to wait when the system has no descriptors left.
const acceptPause = 50 * time.Millisecond

// reap collects children as they end.
func (s *server) reap() {
	for {
		var w syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &w, 0, nil)
		if err == syscall.ECHILD {
			s.mu.Lock()
			for len(s.peers) == 0 {
				s.changed.Wait()
			}
			s.mu.Unlock()
			continue
		}
		if err != nil || !w.Exited() && !w.Signaled() {
			continue
		}
		s.mu.Lock()
		if s.o.Verbosity >= verbose {
			say("tcpserver: end " + itoa(pid) + " status " + itoa(int(w)) + "\n")
		}
		if a, ok := s.peers[pid]; ok {
			s.nets.remove(a)
			delete(s.peers, pid)
		} else {
			s.early[pid] = true
		}
		if s.children > 0 {
			s.children--
		}
		s.status()
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

// signals ends the server: TERM at once, children keep running. With $GRACE it
// stops accepting, waits that long for them, and then ends them; a second TERM
// ends them at once.
func (s *server) signals() {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGTERM)
	<-c
	if !s.o.GraceSet {
		os.Exit(0)
	}
	s.mu.Lock()
	s.stopping = true
	s.changed.Broadcast()
	s.mu.Unlock()
	unix.Close(s.wake[1])
	idle := make(chan bool)
	go func() {
		s.mu.Lock()
		for s.children > 0 {
			s.changed.Wait()
		}
		s.mu.Unlock()
		close(idle)
	}()
	select {
	case <-idle:
		os.Exit(0)
	case <-c:
	case <-time.After(s.o.Grace):
	}
	s.mu.Lock()
	for pid := range s.peers {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	s.mu.Unlock()
	os.Exit(0)
}
