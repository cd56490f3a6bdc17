package recursor

import (
	"errors"
	"io/fs"
	"os"
	"sort"
	"strings"

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

// usePolicy reads the policy for all workers. With one, no answer goes out
// past it straight from the cache.
func (s *Server) usePolicy() error {
	c, err := readPolicy()
	if err != nil {
		return err
	}
	s.policy.Store(c)
	s.direct.Store(!c.Active())
	return nil
}
