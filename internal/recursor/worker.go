package recursor

import (
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/access"
	"bulkhead/internal/dns"
	"bulkhead/internal/policy"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// What an epoll event is about.
const (
	watchUDP    = iota + 1 // a client socket: index into listeners
	watchAccept            // a TCP client socket: index into acceptors
	watchConn              // a client's connection: index into conns
	watchUp                // an upstream UDP socket: index into ups
	watchUpConn            // an upstream connection: index into upConns
	watchWake              // another goroutine has put work into inbox
	watchNames             // the folder ip has changed
)

// Limits of one worker.
const (
	batch     = 64 // datagrams a system call receives or sends; more gains nothing measurable
	maxEvents = 256
	// maxQueries are the clients' questions at work at once; 1.05 had 200. A
	// question takes 700 bytes here and about 4 KiB in the engine.
	maxQueries = 4096
	// tick is how often connections are looked over, and how long a worker
	// sleeps at most.
	tick = time.Second
)

// worker is one thread: its own sockets, its own engine, the common cache.
type worker struct {
	s   *Server
	ep  int
	log Log

	clock clock
	now   resolver.Time
	secs  uint32 // now, Unix time in seconds

	eng    *policy.Layer
	motion uint64 // what its stats said last
	store  store

	listeners []listener
	acceptors []int
	rx        receiver
	tx        sender

	queries []*query // as many as were ever at work at once; indexed by the lower half of a ticket
	free    []int32
	oldest  int32 // list of active UDP questions by age
	newest  int32
	udp     int // active UDP questions
	clients clientTable
	serving uint64 // ticket of the question being handed to the engine, 0 none

	tcp tcpState
	up  upstream

	hand  hand
	wakes uint32 // workers that were handed something in this round, a bit each

	wakeFD  int
	inbox   chan func(*worker)
	nextRun time.Time // next tick
	stop    bool

	who knownClients

	cfg       *resolver.Config
	buf       [65536]byte // a message from upstream, or one being built for TCP
	opts      []byte
	builder   wire.Builder
	asking    [dns.MaxName]byte // the name in the query being read, and in lower case
	lower     [dns.MaxName]byte
	later     []int32 // connections that got answers
	laterUp   []int32 // connections to servers with something to write
	answerBuf [65536]byte
	reply     resolver.Reply
	trace     *tracer // set while somebody explains
	roll      *rollover

	rootAt     int64  // when the copy of the root zone is looked at next, seconds since 1970
	rootSerial uint32 // of the copy in use
}

func newWorker(s *Server) (*worker, error) {
	w := &worker{s: s, oldest: -1, newest: -1, inbox: make(chan func(*worker), 64)}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w.ep = ep
	w.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if e := epollCtl(ep, unix.EPOLL_CTL_ADD, w.wakeFD, unix.EPOLLIN, watch{what: watchWake}); e != 0 {
		return nil, e
	}
	w.log.Write = writeLog
	w.free = make([]int32, maxQueries)
	for i := range w.free {
		w.free[i] = int32(maxQueries - 1 - i) // low places first: see newQuery
	}
	w.clients.init()
	w.tcp.init()
	w.up.init(w)
	w.rx.init()
	w.tx.init(w)
	w.store = store{c: s.cache, moved: &s.moved}
	return w, nil
}

func (w *worker) newEngine(cfg *resolver.Config) {
	cfg = forWorker(cfg, w.step)
	w.cfg = cfg
	w.follow(cfg)
	w.eng = policy.New(cfg, w.s.policy.Load(), &w.store, &w.up, w, events{w}, random{}, w.notePolicy)
	w.guard(func() { w.eng.Prime(w.now) })
}

// call has f run on the worker's thread.
func (w *worker) call(f func(*worker)) {
	w.inbox <- f
	one := [8]byte{1} // any value above 0 wakes
	unix.Write(w.wakeFD, one[:])
}

// run is the loop. It returns when stop is set.
func (w *worker) run(cfg *resolver.Config) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.clock.start()
	w.turn()
	w.newEngine(cfg)
	evs := make([]unix.EpollEvent, maxEvents)
	w.nextRun = time.Now().Add(tick)
	for !w.stop {
		w.finish()
		n := epollWait(w.ep, evs, w.patience())
		w.turn()
		for i := range evs[:n] {
			// the folder of clients first: who was just let in may have asked
			// already
			if watchOf(&evs[i]).what == watchNames {
				w.s.namesChanged()
			}
		}
		if n > 0 {
			w.s.settleNames()
			w.useNames()
		}
		for i := range evs[:n] {
			w.event(watchOf(&evs[i]), evs[i].Events)
		}
		w.timers()
	}
	w.finish()
}

// turn takes the time and the current list of clients for one round.
func (w *worker) turn() {
	w.now = w.clock.read()
	w.secs = uint32(w.now.Seconds())
	w.store.now = w.secs
	w.useNames()
}

func (w *worker) useNames() {
	if l := w.s.allowed.Load(); l != w.who.list {
		w.who.use(l)
	}
}

// finish sends what a round has left: log lines before answers.
func (w *worker) finish() {
	for len(w.later) > 0 || len(w.laterUp) > 0 || len(w.up.queue) > 0 {
		w.up.sendQueue()
		w.settleLater()
		for len(w.laterUp) > 0 {
			i := w.laterUp[len(w.laterUp)-1]
			w.laterUp = w.laterUp[:len(w.laterUp)-1]
			w.up.flush(i)
		}
	}
	w.flushAnswers()
	w.wakeOthers()
}

func (w *worker) flushAnswers() {
	w.log.Flush()
	w.tx.flush()
}

func (w *worker) patience() time.Duration {
	d := tick
	if clockTick > 0 {
		d = clockTick
	}
	if t, ok := w.eng.NextTimer(); ok {
		if left := time.Duration(t - w.now); left < d {
			d = max(0, left)
		}
	}
	return d
}

func (w *worker) timers() {
	if t, ok := w.eng.NextTimer(); ok && t <= w.now {
		w.guard(func() { w.eng.Expire(w.now) })
	}
	if t := time.Now(); t.After(w.nextRun) {
		w.nextRun = t.Add(tick)
		w.tcp.sweep(w)
		w.up.sweep(w)
		w.clients.sweep()
		w.probe()
		if w == w.s.workers[0] && w.now.Seconds() >= w.rootAt {
			w.rootAt = w.now.Seconds() + rootZoneRefresh
			w.loadRoot()
		}
	}
}

func (w *worker) event(at watch, what uint32) {
	switch at.what {
	case watchUDP:
		w.receive(int(at.index))
	case watchUp:
		w.up.ready(at)
	case watchUpConn:
		w.up.connReady(at, what)
	case watchAccept:
		w.accept(w.acceptors[at.index])
	case watchConn:
		w.tcp.ready(w, at, what)
	case watchWake:
		var b [8]byte
		readNow(w.wakeFD, b[:])
		w.takeOver()
		for {
			select {
			case f := <-w.inbox:
				f(w)
				continue
			default:
			}
			break
		}
	}
}

// guard runs the engine. Should it panic, the question it was handed answers
// SERVFAIL, the stack is logged, and the others are asked anew of a new
// engine; a question that has met two panics is given up.
func (w *worker) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			w.panicked(p)
		}
	}()
	f()
}

func (w *worker) panicked(p any) {
	w.log.Note("panic " + text(p))
	for line := range strings.Lines(string(debug.Stack())) {
		w.log.Note("panic: " + strings.TrimRight(line, "\n"))
	}
	w.log.Flush()
	w.up.dropAll()
	culprit := w.serving
	w.serving = 0
	w.motion = 0
	w.eng = policy.New(w.cfg, w.s.policy.Load(), &w.store, &w.up, w, events{w}, random{}, w.notePolicy)
	if w.roll != nil {
		w.roll.asking = -1 // its question is gone; r.next says when to try again
	}
	for _, q := range w.queries {
		if !q.active {
			continue
		}
		if q.panics++; q.panics > 1 || q.q.Ticket == culprit {
			w.fail(q, "internal error")
			continue
		}
		w.ask(q)
	}
}

func text(p any) string {
	switch v := p.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return "of unknown kind"
}

// knownClients remembers the verdict on clients seen lately, so that the list
// is not searched for every packet.
type knownClients struct {
	list *access.List
	seen [256]struct {
		addr netip.Addr
		ok   bool
	}
}

func (k *knownClients) use(l *access.List) {
	k.list = l
	clear(k.seen[:])
}

func (k *knownClients) allows(a netip.Addr) bool {
	b := a.As16()
	e := &k.seen[b[15]^b[7]^b[13]]
	if e.addr != a {
		e.addr, e.ok = a, k.list.Allows(a)
	}
	return e.ok
}

// allows asks the list, and when it says no looks whether the folder has
// changed this moment, or another thread has just seen that.
func (w *worker) allows(a netip.Addr) bool {
	if w.who.allows(a) {
		return true
	}
	w.freshNames()
	return w.who.allows(a)
}

// freshNames is for those who take something in the middle of a round.
func (w *worker) freshNames() {
	w.s.namesChanged()
	w.s.settleNames()
	w.useNames()
}
