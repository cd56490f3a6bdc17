package tcpserver

import (
	"os"
	"sync"
	"syscall"

	"bulkhead/internal/cdb"
	"bulkhead/internal/tcprules"
)

// Rules is a rules file. The old server opens it for every connection; here it
// is read again when it has changed, which no client can tell.
type Rules struct {
	File string
	Open bool // a file that does not exist allows

	mu   sync.Mutex
	id   identity
	data cdb.Reader
}

type identity struct {
	dev, ino, size uint64
	mtime, ctime   syscall.Timespec
}

// Lookup finds the rule for a client. The error is the system's, or
// syscall.EPROTO for a damaged file.
func (r *Rules) Lookup(c tcprules.Client) (tcprules.Rule, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var st syscall.Stat_t
	if err := syscall.Stat(r.File, &st); err != nil {
		r.data = nil
		if err == syscall.ENOENT && r.Open {
			return tcprules.Rule{}, nil
		}
		return tcprules.Rule{}, err
	}
	id := identity{uint64(st.Dev), st.Ino, uint64(st.Size), st.Mtim, st.Ctim}
	if r.data == nil || id != r.id {
		b, err := os.ReadFile(r.File)
		if err != nil {
			r.data = nil
			if os.IsNotExist(err) && r.Open {
				return tcprules.Rule{}, nil
			}
			return tcprules.Rule{}, err
		}
		if len(b) == 0 {
			r.data = nil
			return tcprules.Rule{}, syscall.EINVAL // what mapping nothing says
		}
		r.data, r.id = cdb.Reader(b), id
	}
	rule, err := tcprules.Lookup(r.data, c)
	if err != nil {
		return rule, syscall.EPROTO
	}
	return rule, nil
}
