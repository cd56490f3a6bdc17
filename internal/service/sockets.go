package service

import (
	"net/netip"
	"os"
	"strings"
	"syscall"

	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
)

// socket is one line of the file sockets: supervise opens it, keeps it over
// restarts, and passes it to ./run by the LISTEN_FDS convention (sd_listen_fds(3)):
// descriptors from 3 on, $LISTEN_FDS their number, $LISTEN_PID the process they
// are for, $LISTEN_FDNAMES their names. Packets and connections that come
// while ./run is being replaced wait in the kernel.
type socket struct {
	line string
	name string
	fd   int
}

// maxSockets bounds the file; chosen, more would not fit below notification-fd.
const maxSockets = 64

// maxSocketsFile bounds the file in bytes: 64 lines of the longest kind.
const maxSocketsFile = maxSockets * 256

// listenBacklog is how many connections may wait; the kernel lowers it to
// net.core.somaxconn.
const listenBacklog = 4096

// openSockets opens what the file sockets lists and is not open yet, and
// closes what it no longer lists. A line is
//
//	udp|tcp ADDRESS:PORT [NAME]
//	unix|unix-dgram PATH [NAME]
func (s *Service) openSockets() {
	text, err := posix.ReadAll("sockets", maxSocketsFile)
	if err != nil {
		text = nil
		if err != syscall.ENOENT {
			prog.Warn("unable to read "+s.dir+"/sockets", err)
		}
	}
	if len(text) == 0 && len(s.sockets) == 0 {
		return
	}
	old := s.sockets
	s.sockets = nil
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || len(s.sockets) == maxSockets {
			continue
		}
		k := -1
		for i := range old {
			if old[i].line == line {
				k = i
			}
		}
		if k >= 0 {
			s.sockets = append(s.sockets, old[k])
			old = append(old[:k], old[k+1:]...)
			continue
		}
		sock, err := openSocket(line)
		if err != nil {
			prog.Warn("unable to open socket "+line+" of "+s.dir, err)
			continue
		}
		s.sockets = append(s.sockets, sock)
	}
	for _, o := range old {
		syscall.Close(o.fd)
	}
}

func openSocket(line string) (socket, error) {
	f := strings.Fields(line)
	if len(f) < 2 || len(f) > 3 {
		return socket{}, syscall.EINVAL
	}
	out := socket{line: line, name: f[0]}
	if len(f) == 3 {
		out.name = strings.ReplaceAll(f[2], ":", "_") // ':' separates names
	}
	family, kind, addr, err := address(f[0], f[1])
	if err != nil {
		return out, err
	}
	fd, err := syscall.Socket(family, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return out, err
	}
	out.fd = fd
	if family == syscall.AF_UNIX {
		removeStale(f[1], addr, kind)
	} else {
		if kind == syscall.SOCK_STREAM {
			syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		}
		if family == syscall.AF_INET6 {
			syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
		}
	}
	if err = syscall.Bind(fd, addr); err == nil && kind == syscall.SOCK_STREAM {
		err = syscall.Listen(fd, listenBacklog)
	}
	if err != nil {
		syscall.Close(fd)
	}
	return out, err
}

func address(kind, where string) (family, typ int, addr syscall.Sockaddr, err error) {
	switch kind {
	case "unix", "unix-dgram":
		typ = syscall.SOCK_STREAM
		if kind == "unix-dgram" {
			typ = syscall.SOCK_DGRAM
		}
		return syscall.AF_UNIX, typ, &syscall.SockaddrUnix{Name: where}, nil
	case "tcp":
		typ = syscall.SOCK_STREAM
	case "udp":
		typ = syscall.SOCK_DGRAM
	default:
		return 0, 0, nil, syscall.EINVAL
	}
	ap, perr := netip.ParseAddrPort(where)
	if perr != nil || ap.Addr().Zone() != "" {
		return 0, 0, nil, syscall.EINVAL
	}
	if ap.Addr().Is4() {
		return syscall.AF_INET, typ, &syscall.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
	}
	return syscall.AF_INET6, typ, &syscall.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, nil
}

// removeStale removes a socket file that nobody listens at any more; no other
// kind of file, and none that answers.
func removeStale(path string, addr syscall.Sockaddr, kind int) {
	var st syscall.Stat_t
	if syscall.Lstat(path, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return
	}
	probe, err := syscall.Socket(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer syscall.Close(probe)
	if syscall.Connect(probe, addr) == syscall.ECONNREFUSED {
		syscall.Unlink(path)
	}
}

// passSockets puts the sockets at 3 and up and gives the environment that
// tells of them, all but $LISTEN_PID, which the child itself adds.
func (s *Service) passSockets(attr *syscall.ProcAttr) []string {
	names := ""
	for i, k := range s.sockets {
		attr.Files = append(attr.Files, uintptr(k.fd))
		if i > 0 {
			names += ":"
		}
		names += k.name
	}
	env := make([]string, 0, len(s.env)+2)
	for _, v := range s.env {
		if !strings.HasPrefix(v, "LISTEN_") {
			env = append(env, v)
		}
	}
	return append(env, "LISTEN_FDS="+posix.Itoa(len(s.sockets)), "LISTEN_FDNAMES="+names)
}

// stubName is what supervise calls itself, as argument 0, between fork and
// exec of ./run when something is to be done there that package syscall can
// not: to say why ./run can not be executed and exit 111 as a child of its own,
// or to tell ./run its own pid. Nobody sees it longer than it takes to exec.
const stubName = "supervise: starting"

// IsStub reports whether this process is one.
func IsStub() bool { return os.Args[0] == stubName }

// RunStub is its body: args is the name of the service.
func RunStub(args []string) error {
	if len(args) != 1 {
		return prog.Exit(prog.ExitPermanent)
	}
	env := os.Environ()
	if os.Getenv("LISTEN_FDS") != "" {
		keep := env[:0]
		for _, v := range env {
			if !strings.HasPrefix(v, "LISTEN_PID=") {
				keep = append(keep, v)
			}
		}
		env = append(keep, "LISTEN_PID="+posix.Itoa(syscall.Getpid()))
	}
	err := syscall.Exec("./run", []string{"./run"}, env)
	return prog.Fatal("unable to start "+args[0]+"/run", err)
}
