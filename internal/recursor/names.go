package recursor

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/access"
)

// nameWatch sees changes of the folder ip as they happen (inotify), and looks
// at its time of change once a second in case the kernel can not tell, as on a
// network file system.
type nameWatch struct {
	fd      int
	busy    atomic.Int32 // somebody has taken an event and not finished with it
	mu      sync.Mutex
	checked time.Time
	stamp   unix.Stat_t
	watched map[int]bool // descriptors of the watches
}

const nameEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// maxRereads bounds how often ip is read in a row while folders come and go in
// it; each one that comes later is an event.
const maxRereads = 10

func (n *nameWatch) open() {
	n.fd = -1
	if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
		n.fd = fd
	}
}

// namesChanged loads the folder anew if it has changed, and reports that.
func (s *Server) namesChanged() bool {
	n := &s.names
	n.busy.Add(1)
	defer n.busy.Add(-1)
	var b [4096]byte
	changed := false
	for n.fd >= 0 {
		k, e := readNow(n.fd, b[:])
		if e != 0 || k <= 0 {
			break
		}
		changed = true
	}
	if !changed {
		// for every refused packet: a system call a second at most
		n.mu.Lock()
		now := time.Now()
		if now.Sub(n.checked) < time.Second {
			n.mu.Unlock()
			return false
		}
		n.checked = now
		var st unix.Stat_t
		unix.Stat("ip", &st)
		changed = st.Mtim != n.stamp.Mtim || st.Ino != n.stamp.Ino
		n.mu.Unlock()
		if !changed {
			return false
		}
	}
	s.loadNames()
	return true
}

// loadNames reads the folder. If that fails nobody may ask.
func (s *Server) loadNames() {
	n := &s.names
	n.mu.Lock()
	defer n.mu.Unlock()
	unix.Stat("ip", &n.stamp)
	if n.fd >= 0 {
		unix.InotifyAddWatch(n.fd, "ip", nameEvents)
	}
	l, _ := access.Load(os.DirFS("ip"))
	// A folder below is read once more if it was not watched then: what came in
	// between would be missed.
	for tries := 0; n.fd >= 0 && n.watch(l.Dirs) && tries < maxRereads; tries++ {
		l, _ = access.Load(os.DirFS("ip"))
	}
	s.allowed.Store(l)
}

// watch watches these folders below ip and reports whether one was not before.
func (n *nameWatch) watch(dirs []string) (fresh bool) {
	old := n.watched
	n.watched = make(map[int]bool, len(dirs))
	for _, d := range dirs {
		wd, err := unix.InotifyAddWatch(n.fd, "ip/"+d, nameEvents)
		if err != nil {
			continue // gone again: there is an event for that
		}
		n.watched[wd] = true
		fresh = fresh || !old[wd]
	}
	return fresh
}

// settleNames waits until no other thread is in the middle of a change: a client
// that was shut out before it asked must not slip through.
func (s *Server) settleNames() {
	for s.names.busy.Load() != 0 {
		s.names.mu.Lock()
		s.names.mu.Unlock()
		runtime.Gosched()
	}
}
