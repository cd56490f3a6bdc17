package axfrdns

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/axfr"
	"bulkhead/internal/cdb"
	"bulkhead/internal/errtext"
	"bulkhead/internal/prog"
	"bulkhead/internal/tcprules"
)

const (
	rulesFile  = "tcp.cdb"              // in the service directory, $TCPRULES instead
	rulesEvery = 100 * time.Millisecond // how often a busy server looks whether they are new
	maxRules   = 256 << 20              // bytes; tcprules itself stops at 4 GiB
)

// rules are who may connect and what they may transfer. The file is read again
// when another one has taken its name; what is damaged is reported and changes
// nothing. The folder is opened before the box is closed, because it is
// outside ROOT as a rule.
type rules struct {
	folder  int // -1: the file is not looked at again
	name    string
	report  func(string)
	def     *axfr.Allow // $AXFR
	cur     atomic.Pointer[ruleSet]
	checked atomic.Int64 // monotonic nanoseconds of the last look
	mu      sync.Mutex   // of loading
	seen    rulesID
}

// ruleSet is one content of the file. Nobody writes to it; allowed grows.
type ruleSet struct {
	db      cdb.Reader // nil if there is no file
	mu      sync.Mutex
	allowed map[string]*axfr.Allow // by the text of AXFR
}

type rulesID struct {
	dev, ino    uint64
	size, mtime int64
	ctime       int64 // chmod and chown may be what a file was waiting for
	missing     bool
}

var started = time.Now()

// openRules reads the rules. Without a file everybody may ask and, unless
// $AXFR says otherwise, nobody transfer.
func openRules() (*rules, error) {
	file := os.Getenv("TCPRULES")
	named := file != ""
	if !named {
		file = rulesFile
	}
	r := &rules{folder: -1, name: filepath.Base(file)}
	var err error
	if r.def, err = allowed(); err != nil {
		return nil, err
	}
	r.folder, err = unix.Open(filepath.Dir(file), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		r.folder = -1
		if named || err != unix.ENOENT {
			return nil, prog.Fatal("unable to read "+file, err)
		}
	}
	set := &ruleSet{}
	if r.folder >= 0 {
		set, r.seen, err = r.read()
	}
	switch {
	case err == unix.ENOENT && !named:
	case err != nil:
		return nil, prog.Fatal("unable to read "+file, err)
	}
	r.cur.Store(set)
	return r, nil
}

// verify closes the folder unless Landlock holds us below it: a folder outside
// ROOT leads out of the chroot otherwise. Then the rules stay as they were read.
func (r *rules) verify() {
	if r.folder < 0 {
		return
	}
	var up string // further than any path is deep
	for len(up) < unix.PathMax-len("../") {
		up += "../"
	}
	fd, err := unix.Openat(r.folder, up, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	var top, root unix.Stat_t
	same := unix.Fstat(fd, &top) == nil && unix.Stat("/", &root) == nil && top.Dev == root.Dev && top.Ino == root.Ino
	unix.Close(fd)
	if same {
		return // the folder is inside ROOT, or there is no chroot to get out of
	}
	unix.Close(r.folder)
	r.folder = -1
	r.report("axfrdns: warning: without Landlock " + r.name + " is read only once")
}

// read reads the file and says which it was.
func (r *rules) read() (*ruleSet, rulesID, error) {
	fd, err := unix.Openat(r.folder, r.name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &ruleSet{}, rulesID{missing: true}, err
	}
	f := os.NewFile(uintptr(fd), r.name)
	defer f.Close()
	id := identifyRules(func(st *unix.Stat_t) error { return unix.Fstat(fd, st) })
	if id.size > maxRules {
		return nil, id, syscall.EFBIG
	}
	b := make([]byte, id.size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, id, syscall.EPROTO
	}
	set := &ruleSet{db: b}
	if set.db.Check() != nil {
		return nil, id, syscall.EPROTO
	}
	return set, id, nil
}

func identifyRules(stat func(*unix.Stat_t) error) rulesID {
	var st unix.Stat_t
	if stat(&st) != nil {
		return rulesID{missing: true}
	}
	return rulesID{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
}

// current gives the rules of now.
func (r *rules) current() *ruleSet {
	if r.folder >= 0 {
		now := int64(time.Since(started)) + 1
		if last := r.checked.Load(); now-last >= int64(rulesEvery) && r.checked.CompareAndSwap(last, now) {
			r.check()
		}
	}
	return r.cur.Load()
}

// check loads the file if it is another one. A file that was removed changes
// nothing: to have no rules is a decision for a start.
func (r *rules) check() {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := identifyRules(func(st *unix.Stat_t) error { return unix.Fstatat(r.folder, r.name, st, 0) })
	if id.missing || id == r.seen {
		return
	}
	set, id, err := r.read()
	r.seen = id
	if err != nil {
		r.report("axfrdns: warning: unable to read " + r.name + ", the old rules stay: " + errtext.Of(err))
		return
	}
	r.cur.Store(set)
}

// admit asks the rules about a client.
func (r *rules) admit(a netip.Addr) (*axfr.Allow, bool) {
	set := r.current()
	if set.db == nil {
		if r.def == nil {
			return &axfr.Allow{}, true // nobody may transfer
		}
		return r.def, true
	}
	rule, err := tcprules.Lookup(set.db, tcprules.Client{IP: string(tcprules.AppendAddr(nil, a.WithZone("")))})
	if err != nil {
		return nil, false
	}
	allow, bad := r.def, false
	deny := rule.Each(func(name, value string) {
		if name == "AXFR" {
			allow, err = set.list(value)
			bad = bad || err != nil
		}
	})
	return allow, !deny && !bad
}

// list parses a value of AXFR once.
func (s *ruleSet) list(value string) (*axfr.Allow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.allowed[value]
	if ok {
		return l, nil
	}
	l, err := axfr.ParseAllow(value)
	if err == nil {
		if s.allowed == nil {
			s.allowed = map[string]*axfr.Allow{}
		}
		s.allowed[value] = l
	}
	return l, err
}
