// Package generation follows data.cdb on disk and gives each thread the newest
// whole generation of it. Queries never wait and never lock: a new generation
// is mapped beside the old one and swapped in by one atomic pointer; the old
// one is unmapped when no thread uses it any more.
//
//	s := generation.New(report)
//	r := s.Reader()                  // one a thread
//	d := r.Acquire(now); ...; r.Release()
//
// A data.cdb without a fitting data.idx beside it gets its index made here: at
// once when it is small or nothing is served yet, else in the background while
// the old generation goes on. A damaged data.cdb is reported once and the old
// generation stays.
package generation

import (
	"errors"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bulkhead/internal/auth"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/zindex"
)

// Names, relative to the server's root.
const (
	DataFile  = "data.cdb"
	IndexFile = "data.idx"
)

// checkEvery is how often a busy thread looks whether data.cdb was replaced.
// An idle one looks before it answers.
const checkEvery = 10 * time.Millisecond

// retryEvery is how often a file is tried again that could not be opened.
const retryEvery = time.Second

// smallFile is the size in bytes up to which a missing index is made on the
// spot: about a millisecond's work.
const smallFile = 256 << 10

// Store is where generations come from.
type Store struct {
	report   func(string) // one line about the data
	cur      atomic.Pointer[files]
	checked  atomic.Int64 // monotonic nanoseconds of the last look
	mu       sync.Mutex   // of loading
	broken   fileID       // what the last fault was reported of
	seen     fileID       // data.cdb that was looked at last, served or not
	failed   fileID       // data.cdb that could not be opened or mapped
	retry    int64        // when to try it again, as Now
	building bool
	rmu      sync.Mutex
	readers  []*Reader
	old      []*files
}

type files struct {
	data     *auth.Data
	cdb, idx []byte // mapped; idx nil if it was made here
}

type fileID struct {
	dev, ino uint64
	size     int64
	mtime    int64
	ctime    int64 // chmod and chown may be what a file was waiting for
	missing  bool
}

// Reader is one thread's access.
type Reader struct {
	s   *Store
	pin atomic.Pointer[files]
}

// New makes a Store over the files in the current folder and loads them if
// they are there. report gets one line for everything that is wrong with them.
func New(report func(string)) *Store {
	s := &Store{report: report}
	s.check(true)
	return s
}

// Reader makes the access of one thread.
func (s *Store) Reader() *Reader {
	r := &Reader{s: s}
	s.rmu.Lock()
	s.readers = append(s.readers, r)
	s.rmu.Unlock()
	return r
}

var start = time.Now()

// Now is a monotonic clock for Acquire, in nanoseconds; At is what it showed
// at t.
func Now() int64           { return int64(time.Since(start)) }
func At(t time.Time) int64 { return int64(t.Sub(start)) }

// Acquire gives the data to answer from until Release; nil when there are
// none. now is a monotonic time in nanoseconds.
func (r *Reader) Acquire(now int64) *auth.Data {
	s := r.s
	if last := s.checked.Load(); now-last >= int64(checkEvery) || last == 0 {
		if s.checked.CompareAndSwap(last, now) {
			s.check(false)
		}
	}
	for {
		g := s.cur.Load()
		r.pin.Store(g)
		if s.cur.Load() == g { // not retired in between
			if g == nil {
				return nil
			}
			return g.data
		}
	}
}

// Release says that the thread holds nothing of what Acquire gave.
func (r *Reader) Release() { r.pin.Store(nil) }

// Broken reports a fault while reading the mapped files, as when somebody
// overwrites data.cdb in place instead of renaming a new one. The generation
// is given up for what is there now.
func (s *Store) Broken() {
	now := identify(func(st *syscall.Stat_t) error { return syscall.Stat(DataFile, st) })
	s.mu.Lock()
	if s.broken == now { // once for each file, not for each question
		s.mu.Unlock()
		return
	}
	s.broken, s.seen = now, fileID{}
	s.mu.Unlock()
	s.report("data.cdb changed under the server; replace it by renaming only")
	s.checked.Store(0)
}

func identify(f func(*syscall.Stat_t) error) fileID {
	var st syscall.Stat_t
	if f(&st) != nil {
		return fileID{missing: true}
	}
	return fileID{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano(), false}
}

// check looks whether data.cdb is another file than before and loads it then.
func (s *Store) check(first bool) {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	id := identify(func(st *syscall.Stat_t) error { return syscall.Stat(DataFile, st) })
	if id == s.seen || s.building || id == s.failed && Now() < s.retry {
		return
	}
	s.seen = id
	if id.missing {
		if !first {
			s.report("unable to read data.cdb: " + reason(fs.ErrNotExist))
		}
		return
	}
	if err := s.load(); err != nil {
		told := id == s.failed
		var no syscall.Errno
		if errors.As(err, &no) { // as when descriptors have run out: it may pass
			s.seen, s.failed, s.retry = fileID{}, id, Now()+int64(retryEvery)
		}
		if !told {
			s.report("unable to read data.cdb: " + reason(err))
		}
	}
}

func reason(err error) string {
	var no syscall.Errno
	if errors.Is(err, fs.ErrNotExist) {
		return "file does not exist"
	}
	if errors.As(err, &no) {
		return no.Error()
	}
	return err.Error()
}

// load maps the files and publishes a generation, or starts making the index.
func (s *Store) load() (err error) {
	// whoever writes into the files meanwhile must not end the process
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var c []byte
	defer func() {
		if p := recover(); p != nil {
			mapfile.Unmap(c)
			err = zindex.ErrFormat
		}
	}()
	f, err := os.Open(DataFile)
	if err != nil {
		return err
	}
	defer f.Close()
	id := identify(func(st *syscall.Stat_t) error { return syscall.Fstat(int(f.Fd()), st) })
	if c, err = mapfile.Map(f); err != nil {
		return err
	}
	zid := zindex.Identity{Size: uint64(id.size), Inode: id.ino, MTime: id.mtime}
	if idx := openIndex(c, zid); idx != nil {
		if d, err := auth.NewData(c, idx, zid); err == nil {
			s.publish(&files{d, c, idx})
			return nil
		}
		mapfile.Unmap(idx)
	}
	if s.cur.Load() == nil || len(c) <= smallFile {
		return s.make(c, zid)
	}
	s.building = true
	go func() {
		err := s.make(c, zid)
		s.mu.Lock()
		s.building = false
		s.mu.Unlock()
		if err != nil {
			s.report("unable to read data.cdb: " + reason(err))
		}
	}()
	return nil
}

// make makes the index in memory and publishes.
func (s *Store) make(c []byte, id zindex.Identity) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = zindex.ErrFormat
		}
		if err != nil {
			mapfile.Unmap(c)
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	d, err := auth.NewData(c, nil, id)
	if err != nil {
		return err
	}
	s.publish(&files{d, c, nil})
	if len(c) > smallFile {
		// what making it took, nearly as much as the index, is free again and
		// would stay resident until the next collection, which may never come
		debug.FreeOSMemory()
	}
	return nil
}

// openIndex maps data.idx if it was made for exactly this data.cdb.
func openIndex(c []byte, id zindex.Identity) []byte {
	f, err := os.Open(IndexFile)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := mapfile.Map(f)
	if err != nil {
		return nil
	}
	if v, err := zindex.Open(b, c); err == nil && v.Identity() == id {
		return b
	}
	mapfile.Unmap(b)
	return nil
}

func (s *Store) publish(g *files) {
	s.rmu.Lock()
	old := s.cur.Swap(g)
	if old != nil {
		s.old = append(s.old, old)
		time.AfterFunc(reapEvery, s.reap)
	}
	s.rmu.Unlock()
}

// reapEvery is how long to wait before looking whether an old generation is
// still in use. Threads hold one for a batch only.
const reapEvery = 100 * time.Millisecond

// reap unmaps what no thread uses.
func (s *Store) reap() {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	keep := s.old[:0]
	for _, g := range s.old {
		used := false
		for _, r := range s.readers {
			used = used || r.pin.Load() == g
		}
		if used {
			keep = append(keep, g)
			continue
		}
		mapfile.Unmap(g.cdb)
		mapfile.Unmap(g.idx)
	}
	s.old = keep
	if len(keep) > 0 {
		time.AfterFunc(reapEvery, s.reap)
	}
}
