package recursor

import (
	"maps"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/prog"
)

// fileStamp tells versions of a file apart.
type fileStamp struct {
	size  int64
	ctime time.Time // which chmod and rename change too
	inode uint64
}

// stamps looks at folders without reading their files. A folder that can not
// be read looks as if it were empty; who reads it says why.
func stamps(dirs ...string) map[string]fileStamp {
	out := map[string]fileStamp{}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
				continue
			}
			// not DirEntry.Info: a link to a file counts as the file
			var st unix.Stat_t
			name := dir + "/" + e.Name()
			if unix.Stat(name, &st) != nil {
				continue
			}
			out[name] = fileStamp{st.Size, time.Unix(st.Ctim.Unix()), st.Ino}
		}
	}
	return out
}

// watchLook is how often the folders are looked at. Who waits for a policy
// waits for a transfer before; and it works on network file systems too.
const watchLook = time.Second

// The folders of lists of servers.
const (
	serversDir = "servers"
	forwardDir = "forward"
)

// watchFolders reads the policy, and the lists of servers, again whenever their
// folders have changed, beside the workers: no question waits for it. What can
// not be read leaves all as it was. A policy counts at once, since what fetches
// one renames it into place. Lists of servers are written by hand: a change
// counts when the next look finds nothing newer, lest a zone be without servers
// between two lines of an editor's or a script's.
func (s *Server) watchFolders(servers map[string]fileStamp, stop <-chan struct{}) {
	t := time.NewTicker(watchLook)
	defer t.Stop()
	last := servers
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if changed, err := s.policyChanged(); err != nil {
			warnUnchanged("policy not changed", err)
		} else if changed {
			s.spreadPolicy()
			prog.Print("policy reloaded")
		}
		now := stamps(serversDir, forwardDir)
		if !maps.Equal(now, servers) && maps.Equal(now, last) {
			servers = now
			s.reload()
		}
		last = now
	}
}
