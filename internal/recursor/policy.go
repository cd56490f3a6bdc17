package recursor

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"sort"
	"strings"
	"sync"

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
			return nil, prog.Fatal("unable to parse $DNS64_PREFIX: "+f, err)
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
	stamp map[string]fileStamp // of the files that were read last, or failed
}

// usePolicy reads the policy for all workers. With one, no answer goes out
// past it straight from the cache.
func (s *Server) usePolicy() error {
	s.policies.mu.Lock()
	defer s.policies.mu.Unlock()
	return s.usePolicyLocked(stamps(policyDir))
}

// usePolicyLocked is given what the folder looked like before its files are
// read, so that a change meanwhile is seen the next time.
func (s *Server) usePolicyLocked(stamp map[string]fileStamp) error {
	s.policies.stamp = stamp
	c, err := readPolicy()
	if err != nil {
		return err
	}
	s.policy.Store(c)
	s.direct.Store(!c.Active())
	return nil
}

// policyChanged reads the policy if the folder is not as it was.
func (s *Server) policyChanged() (changed bool, err error) {
	s.policies.mu.Lock()
	defer s.policies.mu.Unlock()
	stamp := stamps(policyDir)
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

// warnUnchanged says why what was in use stays: file, line and reason.
func warnUnchanged(what string, err error) {
	prog.Warn(what+": "+strings.TrimPrefix(err.Error(), "fatal: "), nil)
}
