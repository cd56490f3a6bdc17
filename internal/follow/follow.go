// Package follow keeps a mapped file current: when another file takes its name
// the new one is made ready beside the old one and swapped in, without a lock
// on the way of a query. The old mapping goes when nobody holds it any more,
// which the garbage collector finds out.
package follow

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bulkhead/internal/errtext"
	"bulkhead/internal/mapfile"
)

// checkEvery is how often a busy server looks whether the file was replaced.
const checkEvery = 10 * time.Millisecond

// smallFile is the size in bytes up to which a new file is made ready at once,
// by the query that notices it: well below a millisecond's work.
const smallFile = 64 << 10

// File follows one file. T is what the server makes of its content.
type File[T any] struct {
	name    string
	load    func(content []byte) (T, error)
	report  func(line string)
	cur     atomic.Pointer[Version[T]]
	checked atomic.Int64
	mu      sync.Mutex
	broken  id // what the last fault was reported of
	seen    id
	loading bool
}

// Version is one content of the file. Keep the pointer for as long as Value is
// in use: the mapping lasts as long as it.
type Version[T any] struct {
	Value T
}

type id struct {
	dev, ino uint64
	size     int64
	mtime    int64
	ctime    int64 // chmod and chown may be what a file was waiting for
}

func identify(st *syscall.Stat_t) id {
	return id{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// New follows name in the current folder. load gets the mapped bytes, which
// last as long as the Version. report gets a line when a new file is no good;
// the old one is then kept.
func New[T any](name string, load func([]byte) (T, error), report func(string)) *File[T] {
	f := &File[T]{name: name, load: load, report: report}
	f.check(true)
	return f
}

var start = time.Now()

// Current gives the newest version; nil when there has been none. It looks at
// the file if that has not been done for a while.
func (f *File[T]) Current() *Version[T] {
	now := int64(time.Since(start)) + 1
	if last := f.checked.Load(); (last == 0 || now-last >= int64(checkEvery)) && f.checked.CompareAndSwap(last, now) {
		f.check(false)
	}
	return f.cur.Load()
}

// Broken says that reading the mapped bytes failed: somebody wrote into the
// file instead of replacing it. It will be loaded anew.
func (f *File[T]) Broken() {
	var st syscall.Stat_t
	syscall.Stat(f.name, &st)
	now := identify(&st)
	f.mu.Lock()
	if f.broken == now { // once for each file, not for each question
		f.mu.Unlock()
		return
	}
	f.broken, f.seen = now, id{}
	f.mu.Unlock()
	f.report(f.name + " changed under the server; replace it by renaming only")
	f.checked.Store(0)
}

func (f *File[T]) check(first bool) {
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	var st syscall.Stat_t
	if f.loading || syscall.Stat(f.name, &st) != nil {
		return // a file that is gone leaves what was served
	}
	now := identify(&st)
	if now == f.seen {
		return
	}
	f.seen = now
	if first || st.Size <= smallFile {
		f.open()
		return
	}
	f.loading = true
	go func() {
		f.open()
		f.mu.Lock()
		f.loading = false
		f.mu.Unlock()
	}()
}

// errChanged is what a fault while loading means.
var errChanged = errors.New("changed while it was read")

func (f *File[T]) open() {
	if err := f.replace(); err != nil {
		f.report("unable to read " + f.name + ": " + errtext.Of(err))
		return
	}
	// the old version is garbage as soon as the batches in work are done
	time.AfterFunc(time.Second, runtime.GC)
}

func (f *File[T]) replace() (err error) {
	// whoever writes into the file meanwhile must not end the process
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var b []byte
	defer func() {
		if p := recover(); p != nil {
			mapfile.Unmap(b)
			err = errChanged
		}
	}()
	file, err := os.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	if b, err = mapfile.Map(file); err != nil {
		return err
	}
	v, err := f.load(b)
	if err != nil {
		mapfile.Unmap(b)
		return err
	}
	ver := &Version[T]{Value: v}
	runtime.AddCleanup(ver, mapfile.Unmap, b)
	f.cur.Store(ver)
	return nil
}
