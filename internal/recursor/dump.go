package recursor

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"bulkhead/internal/resolver"
	"bulkhead/internal/scan"
)

// stateDir, below ROOT, is the one folder that the server writes in: the dump
// of its cache, and the control socket.
const (
	stateDir    = "state"
	dumpFile    = stateDir + "/cache"
	controlFile = stateDir + "/control"
)

// prepareState makes ROOT/state while still privileged, owned by the user the
// server will be. Without it, or without the right to make it, the server runs
// all the same: it forgets its cache when it ends, and can not explain.
func prepareState() string {
	root := os.Getenv("ROOT")
	if root == "" {
		return ""
	}
	dir := filepath.Join(root, stateDir)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return ""
	}
	if os.Geteuid() == 0 {
		uid, u := scan.Number(os.Getenv("UID"))
		gid, g := scan.Number(os.Getenv("GID"))
		// not through a symbolic link that somebody may have put there
		if i, err := os.Lstat(dir); u > 0 && g > 0 && err == nil && i.IsDir() {
			os.Lchown(dir, int(uid), int(gid))
		}
	}
	linkAnchors(root)
	return dir
}

// wall is the time that entries expire by.
func wall() uint32 {
	var c clock
	c.start()
	return uint32(c.read().Seconds())
}

// usualEntry is what an entry takes at least in practice, bytes: an address of
// a name of 20 bytes. Too small a guess costs index, too large a guess time.
const usualEntry = 48

// load reads the dump of an earlier run. Whatever is wrong with it costs only
// its entries.
func (s *Server) load(l *Log, c *resolver.Config) {
	f, err := os.Open(dumpFile)
	if err != nil {
		return
	}
	defer f.Close()
	start := time.Now()
	if i, err := f.Stat(); err == nil {
		s.cache.Expect(int(i.Size() / usualEntry))
	}
	n, then, err := s.cache.Load(bufio.NewReaderSize(f, 1<<16), wall())
	n -= s.forgetOld(parseClaims(then), c)
	if err != nil {
		l.Note("loaded " + strconv.Itoa(n) + " entries, then: " + err.Error())
		return
	}
	l.Note("loaded " + strconv.Itoa(n) + " entries in " + strconv.FormatInt(time.Since(start).Milliseconds(), 10) + " ms")
}

// dump writes the cache where the next start finds it, with write: publish.File,
// or publish.Quick when the next start is waiting. Load tells a torn file.
func (s *Server) dump(l *Log, write func(fn, tmp string, content func(w *bufio.Writer) error) error) {
	s.dumping.Lock() // one at a time: they share the file that is renamed
	defer s.dumping.Unlock()
	if _, err := os.Stat(stateDir); err != nil {
		return
	}
	n := 0
	err := write(dumpFile, dumpFile+".tmp", func(w *bufio.Writer) (err error) {
		n, err = s.cache.Dump(w, wall(), s.claims.Load().append(nil))
		return err
	})
	if err != nil {
		l.Note("unable to dump: " + err.Error())
		return
	}
	l.Note("dumped " + strconv.Itoa(n) + " entries")
}
