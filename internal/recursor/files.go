package recursor

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"sort"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/resolver"
)

// Limits of what is read of the administrator's files.
const (
	maxZoneServers = 16      // addresses of one file; compat: djbdns.md section 10.2
	maxServersFile = 1 << 20 // bytes; the longest list makes sense in 1 KiB
)

// readServers reads a folder of files named after zones with an address a line
// (compat: djbdns.md section 10.2; docs/format-root-servers.md). "@" is the root.
func readServers(dir string) ([]resolver.Zone, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, prog.Fatal("unable to read servers", err)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	var zones []resolver.Zone
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		text := e.Name()
		if text == "@" {
			text = ""
		}
		file := dir + "/" + e.Name()
		name, err := dnsname.ParseDot(text)
		if err != nil {
			return nil, prog.Fatal("unable to read servers: "+file, err)
		}
		b, err := readLimited(file, maxServersFile)
		if err != nil {
			return nil, prog.Fatal("unable to read servers: "+file, err)
		}
		zones = append(zones, resolver.Zone{Name: name.Lower(), Servers: parseServers(b)})
	}
	return zones, nil
}

func readLimited(name string, limit int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	buf := make([]byte, 4096)
	for b.Len() <= limit {
		n, err := f.Read(buf)
		b.Write(buf[:n])
		if n == 0 || err != nil {
			if err != nil && err.Error() != "EOF" {
				return nil, err
			}
			break
		}
	}
	return b.Bytes()[:min(b.Len(), limit)], nil
}

// parseServers takes the lines that are addresses: IPv4 as ever (anything may
// follow it), IPv6, either with @port. Other lines are ignored.
func parseServers(b []byte) (out []netip.AddrPort) {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if a, ok := parseServer(line); ok && len(out) < maxZoneServers {
			out = append(out, a)
		}
	}
	return out
}

func parseServer(line string) (netip.AddrPort, bool) {
	word := line
	if i := strings.IndexAny(line, " \t\r"); i >= 0 {
		word = line[:i]
	}
	port := uint16(dns.Port)
	if i := strings.IndexByte(word, '@'); i >= 0 {
		n, err := strconv.ParseUint(word[i+1:], 10, 16)
		if err != nil || n == 0 {
			return netip.AddrPort{}, false
		}
		port = uint16(n)
		word = word[:i]
	}
	a, ok := env.ParseAddr(word)
	return netip.AddrPortFrom(a, port), ok
}

// addForwards reads the folder forward, if there is one: zones whose servers
// recurse for us.
func addForwards(c *resolver.Config) error {
	if _, err := os.Stat(forwardDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	zones, err := readServers(forwardDir)
	if err != nil {
		return err
	}
	for _, z := range zones {
		z.Forward = true
		c.Zones = append(c.Zones, z)
	}
	return nil
}
