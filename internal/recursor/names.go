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
}

const nameEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

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
	if n.fd >= 0 {
		for _, d := range l.Dirs {
			unix.InotifyAddWatch(n.fd, "ip/"+d, nameEvents)
		}
	}
	s.allowed.Store(l)
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
