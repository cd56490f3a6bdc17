package recursor

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Each name that has to be asked for has one worker, by its hash: equal
// questions of many clients meet in one engine, which merges them, and a forger
// who asks the same from many ports finds one question out, not one a thread
// (RFC 5452, section 5: the birthday attack, CVE-2008-4392 for one). The kernel
// spreads datagrams by the clients' addresses, so a question that is not in the
// cache may have to be handed over. What comes over TCP stays where its
// connection is.

// Limits of what waits to be handed over to one worker; beyond them the
// question stays where it is.
const (
	maxHanded      = 1024
	maxHandedBytes = 256 << 10
)

// handed is a datagram on its way to another worker.
type handed struct {
	lst   int32
	from  int32 // where the message begins in the bytes
	to    int32
	sa    sockaddr
	local localAddr
}

type handBox struct {
	list  []handed
	bytes []byte
}

// hand is a worker's letter box.
type hand struct {
	mu   sync.Mutex
	in   handBox // guarded by mu
	work handBox // the worker's own
}

// handOver gives the question to the worker whose name it is; false if that is
// this one, or it has too much already.
func (w *worker) handOver(name []byte, lst int, msg []byte, sa *sockaddr, local *localAddr) bool {
	if len(w.s.workers) < 2 {
		return false
	}
	k := w.s.cache.Spread(name, len(w.s.workers))
	to := w.s.workers[k]
	if to == w {
		return false
	}
	to.hand.mu.Lock()
	in := &to.hand.in
	ok := len(in.list) < maxHanded && len(in.bytes)+len(msg) <= maxHandedBytes
	if ok {
		from := len(in.bytes)
		in.bytes = append(in.bytes, msg...)
		in.list = append(in.list, handed{int32(lst), int32(from), int32(len(in.bytes)), *sa, *local})
	}
	to.hand.mu.Unlock()
	if ok {
		w.wakes |= 1 << k
	}
	return ok
}

// wakeOthers tells the workers that got something in this round.
func (w *worker) wakeOthers() {
	for k := 0; w.wakes != 0; k, w.wakes = k+1, w.wakes>>1 {
		if w.wakes&1 != 0 {
			one := [8]byte{1} // any value above 0 wakes
			unix.Write(w.s.workers[k].wakeFD, one[:])
		}
	}
}

// takeOver handles what others have handed over.
func (w *worker) takeOver() {
	h := &w.hand
	h.mu.Lock()
	h.in, h.work = h.work, h.in
	h.mu.Unlock()
	for i := range h.work.list {
		d := &h.work.list[i]
		w.datagram(int(d.lst), h.work.bytes[d.from:d.to], &d.sa, &d.local, true)
	}
	h.work.list, h.work.bytes = h.work.list[:0], h.work.bytes[:0]
}
