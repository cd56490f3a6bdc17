// Package recursor is the outside of dnscache: sockets, threads, timers, files,
// signals and the log around package resolver's engine and package cache.
//
//	server.go    start, reload, end
//	settings.go  the environment
//	files.go     servers/, forward/, trust anchors
//	names.go     ip/, watched
//	watch.go     servers/, forward/ and rpz/, watched
//	worker.go    one thread's loop; panics
//	udp.go       clients' datagrams, in batches
//	hand.go      from the thread that received a question to its name's
//	tcp.go       clients' connections
//	clients.go   questions at work, fairness
//	rates.go     RATELIMIT
//	reply.go     screening of queries, answers, EDNS options
//	upstream.go  questions to servers, implementing resolver.Net
//	store.go     the cache as the engine sees it
//	log.go       log lines
//	control.go   the control socket
//	trace.go     explanations
//	dump.go      the cache on disk
//	clock.go     time
//
// A worker is a locked thread that owns its sockets and its engine and shares
// only the cache. It waits in epoll_wait and makes all system calls itself: no
// goroutine switches between a packet and its answer.
package recursor

import (
	"crypto/rand"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkhead/internal/access"
	"bulkhead/internal/cache"
	"bulkhead/internal/cookie"
	"bulkhead/internal/policy"
	"bulkhead/internal/prog"
	"bulkhead/internal/publish"
	"bulkhead/internal/sandbox"
)

// Server is the whole program.
type Server struct {
	set     settings
	cache   *cache.Cache
	cookies cookie.Secret
	workers []*worker

	kernelPorts portRange // those it draws from itself

	serial    atomic.Uint64 // questions so far: N of the log
	tcpActive atomic.Int64
	motion    atomic.Uint64 // bytes ever written to the cache, by the old count
	direct    atomic.Bool   // whether answers may come straight from the cache

	policy atomic.Pointer[policy.Config]

	allowed atomic.Pointer[access.List]
	names   nameWatch

	policies policyWatch

	claims atomic.Pointer[claims] // of the configuration
	rates  rateTable

	dumping sync.Mutex
	moved   moving

	reloading sync.Mutex
}

// sockets are those opened while privileged.
type sockets struct {
	udp [][]listener // by worker
	tcp []int
}

// Run is the program: it returns when told to end, or with the error that kept
// it from starting. box is what it needs afterwards.
func Run(box sandbox.Decl) error {
	sandbox.Begin()
	addrs, err := clientAddrs()
	if err != nil {
		return err
	}
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	socks, err := open(addrs, workers)
	if err != nil {
		return err
	}
	raiseFiles()
	state := prepareState()
	s := &Server{kernelPorts: kernelPorts()}
	s.names.open()
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	s.readSeed()
	if s.set, err = readSettings(); err != nil {
		return err
	}
	block, err := unix.Mmap(-1, 0, int(s.set.CacheSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return prog.Fatal("not enough memory for cache of size "+os.Getenv("CACHESIZE"), nil)
	}
	servers := stamps(serversDir, forwardDir)
	cfg, err := readConfig(&s.set)
	if err != nil {
		return err
	}
	claims := claimsOf(cfg)
	s.claims.Store(&claims)
	s.cache = cache.New(block, [2]uint64{random{}.Uint64(), random{}.Uint64()}, cfg.ServeStale)
	for _, fd := range socks.tcp {
		if err := unix.Listen(fd, backlog); err != nil {
			return prog.Fatal("unable to listen on TCP socket", err)
		}
	}
	if err := s.usePolicy(); err != nil {
		return err
	}
	s.loadNames()
	for i := range workers {
		w, err := newWorker(s)
		if err != nil {
			return prog.Fatal("unable to create worker", err)
		}
		w.listeners = socks.udp[i]
		w.acceptors = socks.tcp
		if err := w.watchAll(); err != nil {
			return prog.Fatal("unable to watch sockets", err)
		}
		s.workers = append(s.workers, w)
	}
	var first Log
	first.Write = writeLog
	first.Starting()
	if s.set.Persist {
		s.load(&first, cfg)
	}
	stop := s.signals(state)
	control := s.openControl(state)
	first.Flush()
	if err := sandbox.Seal(box); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, w := range s.workers {
		wg.Go(func() { w.run(cfg) })
	}
	go s.watchFolders(servers, stop)
	wg.Wait()
	control.close()
	if s.set.Persist {
		s.dump(&first, publish.Quick)
		first.Flush()
	}
	close(stop)
	return nil
}

const (
	// maxWorkers is one thread a core, and no more than contend well for the
	// cache's 16 shards.
	maxWorkers = 16
	backlog    = 128 // compat: djbdns.md section 10.1 has 20
	// receiveBuffer is what a client socket holds while the worker is busy, in
	// bytes; 1.05 asked for 131072. The kernel may give less.
	receiveBuffer = 4 << 20
)

// open makes all client sockets, in the order and with the words of 1.05:
// first UDP, then TCP.
func open(addrs []netip.AddrPort, workers int) (s sockets, err error) {
	s.udp = make([][]listener, workers)
	for _, a := range addrs {
		for i := range workers {
			fd, err := unix.Socket(family(a.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return s, prog.Fatal("unable to create UDP socket", err)
			}
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			if workers > 1 {
				unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
			if err := bind(fd, a); err != nil {
				return s, prog.Fatal("unable to bind UDP socket", err)
			}
			bufferUp(fd)
			l := listener{fd: fd, wildcard: a.Addr().IsUnspecified()}
			if l.wildcard {
				if a.Addr().Is4() {
					unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
				} else {
					unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
				}
			}
			s.udp[i] = append(s.udp[i], l)
		}
	}
	for _, a := range addrs {
		fd, err := unix.Socket(family(a.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return s, prog.Fatal("unable to create TCP socket", err)
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err := bind(fd, a); err != nil {
			return s, prog.Fatal("unable to bind TCP socket", err)
		}
		s.tcp = append(s.tcp, fd)
	}
	return s, nil
}

func bind(fd int, a netip.AddrPort) error {
	if a.Addr().Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()})
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()})
}

func bufferUp(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}

// wantFiles is how many descriptors a worker may use: one for each question
// out, client connection, server connection, and a few.
const wantFiles = maxUps + maxConns + maxUpConns + 64

// raiseFiles raises the limit of open files: old run scripts set it to 250.
func raiseFiles() {
	want := uint64(min(runtime.GOMAXPROCS(0), maxWorkers))*wantFiles + 64
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Cur >= want {
		return
	}
	if l.Max < want {
		more := unix.Rlimit{Cur: want, Max: want}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &more) == nil {
			return
		}
	}
	l.Cur = min(want, l.Max)
	unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}

// readSeed reads descriptor 0, where run scripts put the file seed, and closes
// it. It is mixed into the cookie secret only: the kernel's generator needs no
// help.
func (s *Server) readSeed() {
	b := make([]byte, 128)
	for n := 0; n < len(b); {
		k, err := syscall.Read(0, b[n:])
		if k <= 0 || err != nil {
			b = b[:n]
			break
		}
		n += k
	}
	syscall.Close(0)
	// descriptor 0 must not become a socket that something reads by mistake
	if fd, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0); err == nil && fd != 0 {
		syscall.Close(fd)
	}
	rand.Read(s.cookies[:])
	for i, c := range b {
		s.cookies[i%len(s.cookies)] ^= c
	}
}

// watchAll puts the worker's sockets into its epoll set. All workers wait for
// connections; the kernel wakes one.
func (w *worker) watchAll() error {
	for i := range w.listeners {
		if e := epollCtl(w.ep, unix.EPOLL_CTL_ADD, w.listeners[i].fd, unix.EPOLLIN, watch{what: watchUDP, index: int32(i)}); e != 0 {
			return e
		}
	}
	if err := w.watchAcceptors(); err != nil {
		return err
	}
	if fd := w.s.names.fd; fd >= 0 {
		if e := epollCtl(w.ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, watch{what: watchNames}); e != 0 {
			return e
		}
	}
	return nil
}

func (w *worker) watchAcceptors() error {
	for i, fd := range w.acceptors {
		if e := epollCtl(w.ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, watch{what: watchAccept, index: int32(i)}); e != 0 {
			return e
		}
	}
	return nil
}

// signals handles them: TERM and INT end, HUP reads the files again, ALRM
// writes the dump without ending.
func (s *Server) signals(string) chan struct{} {
	c := make(chan os.Signal, 4)
	stop := make(chan struct{})
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGALRM)
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		for {
			select {
			case sig := <-c:
				switch sig {
				case syscall.SIGHUP:
					s.reload()
				case syscall.SIGALRM:
					var l Log
					l.Write = writeLog
					s.dump(&l, publish.File)
					l.Flush()
				default:
					for _, w := range s.workers {
						w.call(func(w *worker) { w.stop = true })
					}
				}
			case <-stop:
				return
			}
		}
	}()
	return stop
}

// reload reads servers, forward, trust anchors and ip again. A file that can
// not be read leaves all as it was.
func (s *Server) reload() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.loadNames()
	cfg, err := readConfig(&s.set)
	if err != nil {
		warnUnchanged("reload: nothing changed", err)
		return
	}
	if zone, ok := s.claims.Load().left(cfg); ok {
		warnUnchanged("reload: nothing changed", prog.Fatal("no address of a server in "+zone, nil))
		return
	}
	if err := s.usePolicy(); err != nil {
		warnUnchanged("policy not changed", err)
	}
	s.cache.SetStale(cfg.ServeStale)
	forget := s.claim(cfg)
	var all sync.WaitGroup
	for _, w := range s.workers {
		all.Add(1)
		w.call(func(w *worker) {
			defer all.Done()
			cfg := forWorker(cfg, w.step)
			w.cfg = cfg
			w.eng.SetConfig(w.now, cfg)
			w.follow(cfg)
			w.eng.SetPolicy(w.s.policy.Load())
			w.guard(func() { w.eng.Prime(w.now) })
		})
	}
	all.Wait()
	forget()
	prog.Print("reloaded")
}
