package recursor

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/dns64"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/policy"
	"bulkhead/internal/prog"
	"bulkhead/internal/rpz"
)

// policyDir, below ROOT, holds response policy zones, files named NN-ZONE, in
// the order of their names (docs/format-rpz.md).
const (
	policyDir      = "rpz"
	maxPolicyBytes = 1 << 30 // of one file
)

// readPolicy reads DNS64_PREFIX and the policy zones. Neither is there: no
// policy.
func readPolicy() (*policy.Config, error) {
	c := &policy.Config{}
	for _, f := range strings.FieldsFunc(os.Getenv("DNS64_PREFIX"), func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := dns64.Parse(f)
		if err != nil {
			return nil, prog.Permanent("unable to parse DNS64_PREFIX "+f, err)
		}
		c.DNS64 = append(c.DNS64, p)
	}
	entries, err := os.ReadDir(policyDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, prog.Fatal("unable to read "+policyDir, err)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		_, zone, ok := strings.Cut(e.Name(), "-")
		if !ok {
			return nil, prog.Permanent("unable to read "+policyDir+"/"+e.Name(), errors.New("name is not NN-ZONE"))
		}
		origin, err := dnsname.ParseDot(zone)
		if err != nil {
			return nil, prog.Permanent("unable to read "+policyDir+"/"+e.Name(), err)
		}
		b, err := readLimited(policyDir+"/"+e.Name(), maxPolicyBytes)
		if err != nil {
			return nil, prog.Fatal("unable to read "+policyDir+"/"+e.Name(), err)
		}
		z, err := rpz.Parse(b, policyDir+"/"+e.Name(), origin)
		if err != nil {
			return nil, prog.Permanent("unable to read policy", err)
		}
		c.Zones = append(c.Zones, z)
	}
	return c, nil
}

// policyWatch is what is known of the folder rpz.
type policyWatch struct {
	mu    sync.Mutex
	stamp map[string]policyStamp // of the files that were read last, or failed
}

// policyStamp tells versions of a file apart.
type policyStamp struct {
	size  int64
	ctime time.Time // which chmod and rename change too
	inode uint64
}

// policyStamps looks at the folder without reading its files. A folder that can
// not be read looks as if it were empty; readPolicy says why.
func policyStamps() map[string]policyStamp {
	out := map[string]policyStamp{}
	entries, _ := os.ReadDir(policyDir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		// not DirEntry.Info: a link to a file counts as the file
		var st unix.Stat_t
		if unix.Stat(policyDir+"/"+e.Name(), &st) != nil {
			continue
		}
		out[e.Name()] = policyStamp{st.Size, time.Unix(st.Ctim.Unix()), st.Ino}
	}
	return out
}

// usePolicy reads the policy for all workers. With one, no answer goes out
// past it straight from the cache.
func (s *Server) usePolicy() error {
	s.policies.mu.Lock()
	defer s.policies.mu.Unlock()
	return s.usePolicyLocked(policyStamps())
}

// usePolicyLocked is given what the folder looked like before its files are
// read, so that a change meanwhile is seen the next time.
func (s *Server) usePolicyLocked(stamp map[string]policyStamp) error {
	s.policies.stamp = stamp
	c, err := readPolicy()
	if err != nil {
		return err
	}
	s.policy.Store(c)
	s.direct.Store(!c.Active())
	return nil
}

// policyLook is how often the folder is looked at. Who waits for a policy waits
// for a transfer before; and it works on network file systems too.
const policyLook = time.Second

// watchPolicy reads the policy again whenever the folder has changed, beside
// the workers: no question waits for it. What can not be read leaves the policy
// as it was.
func (s *Server) watchPolicy(stop <-chan struct{}) {
	t := time.NewTicker(policyLook)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if changed, err := s.policyChanged(); err != nil {
			warnPolicy(err)
		} else if changed {
			s.spreadPolicy()
			prog.Print("policy reloaded")
		}
	}
}

// policyChanged reads the policy if the folder is not as it was.
func (s *Server) policyChanged() (changed bool, err error) {
	s.policies.mu.Lock()
	defer s.policies.mu.Unlock()
	stamp := policyStamps()
	if maps.Equal(stamp, s.policies.stamp) {
		return false, nil
	}
	return true, s.usePolicyLocked(stamp)
}

// spreadPolicy hands the policy to the workers.
func (s *Server) spreadPolicy() {
	for _, w := range s.workers {
		w.call(func(w *worker) { w.eng.SetPolicy(w.s.policy.Load()) })
	}
}

// warnPolicy says why the policy stays as it was: file, line and reason.
func warnPolicy(err error) {
	prog.Warn("policy not changed: "+strings.TrimPrefix(err.Error(), "fatal: "), nil)
}
