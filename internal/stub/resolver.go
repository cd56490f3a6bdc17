package stub

import (
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/scan"
)

// Resolver looks names up through the caches this system is set up to ask. It
// may be used by several goroutines. The zero value reads the system's files.
type Resolver struct {
	EDNS       bool   // announce EDNS in lookups
	ResolvConf string // instead of /etc/resolv.conf
	Rewrite    string // instead of $DNSREWRITEFILE or /etc/dnsrewrite

	mu      sync.Mutex
	servers kept[[]netip.AddrPort]
	rules   kept[[]string]
}

// Configuration is read anew after that time or number of uses (compat:
// djbdns.md sections 11.2 and 11.4).
const (
	keepFor  = 600 * time.Second
	keepUses = 10000
)

type kept[T any] struct {
	value T
	until time.Time
	uses  int

	frozen bool // value and err are final
	err    error
}

func (k *kept[T]) get(load func() (T, error)) (T, error) {
	if k.frozen {
		return k.value, k.err
	}
	if k.uses > 0 && time.Now().Before(k.until) {
		k.uses--
		return k.value, nil
	}
	v, err := load()
	if err == nil {
		k.value, k.until, k.uses = v, time.Now().Add(keepFor), keepUses
	}
	return v, err
}

// Freeze reads the configuration now and keeps it, failures included, for as
// long as the program runs: for tools that are about to give up their access
// to files.
func (r *Resolver) Freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers.value, r.servers.err = r.loadServers()
	r.rules.value, r.rules.err = r.loadRules()
	r.servers.frozen, r.rules.frozen = true, true
}

// Servers gives the caches to ask, in order.
func (r *Resolver) Servers() ([]netip.AddrPort, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.servers.get(r.loadServers)
}

func (r *Resolver) loadServers() ([]netip.AddrPort, error) {
	if s := parseServers(os.Getenv("DNSCACHEIP")); len(s) > 0 {
		return s, nil
	}
	text, err := readConf(r.resolvConf())
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, line := range strings.Split(text, "\n") {
		rest, ok := keyword(line, "nameserver")
		if !ok || len(out) == MaxServers {
			continue
		}
		if f := strings.Fields(rest); len(f) > 0 {
			if a, ok := parseServer(f[0]); ok {
				out = append(out, a)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dns.Port))
	}
	return out, nil
}

// parseServers reads $DNSCACHEIP: IPv4 addresses separated by dots, as ever;
// or, when it holds a colon or comma, addresses separated by commas, IPv6 too,
// with a port as in 127.0.0.1@5353 where it is not 53.
func parseServers(s string) (out []netip.AddrPort) {
	if strings.ContainsAny(s, ":,@") {
		for _, f := range strings.Split(s, ",") {
			if a, ok := parseServer(strings.TrimSpace(f)); ok && len(out) < MaxServers {
				out = append(out, a)
			}
		}
		return out
	}
	for len(out) < MaxServers {
		ip, n, ok := scan.IP4(s)
		if !ok {
			break
		}
		out = append(out, netip.AddrPortFrom(netip.AddrFrom4(ip), dns.Port))
		s = s[n:]
		if s == "" || s[0] != '.' {
			break
		}
		s = s[1:]
	}
	return out
}

// parseServer reads one address with an optional @port. 0.0.0.0 and :: mean
// this host.
func parseServer(s string) (netip.AddrPort, bool) {
	port := uint64(dns.Port)
	if i := strings.IndexByte(s, '@'); i >= 0 {
		n, used := scan.Number(s[i+1:])
		if used == 0 || used != len(s)-i-1 || n > 65535 {
			return netip.AddrPort{}, false
		}
		port, s = n, s[:i]
	}
	var a netip.Addr
	if strings.IndexByte(s, ':') >= 0 {
		v, err := netip.ParseAddr(s)
		if err != nil {
			return netip.AddrPort{}, false
		}
		if a = v; a.WithZone("").IsUnspecified() {
			a = netip.AddrFrom16([16]byte{15: 1})
		}
	} else {
		ip, _, ok := scan.IP4(s)
		if !ok {
			return netip.AddrPort{}, false
		}
		if a = netip.AddrFrom4(ip); a.IsUnspecified() {
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	return netip.AddrPortFrom(a, uint16(port)), true
}

func (r *Resolver) resolvConf() string {
	if r.ResolvConf != "" {
		return r.ResolvConf
	}
	return "/etc/resolv.conf"
}

// readConf gives the text of a file, nothing when it does not exist.
func readConf(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		if os.IsNotExist(err) {
			return "", nil
		}
		return "", reason(err)
	}
	return string(b), nil
}

// keyword splits a line that starts with word and a space or tab.
func keyword(line, word string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(line, word)
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return "", false
	}
	return rest[1:], true
}

// Ask sends one recursive question to the caches.
func (r *Resolver) Ask(name dnsname.Name, t dns.Type) ([]byte, error) {
	servers, err := r.Servers()
	if err != nil {
		return nil, err
	}
	return Exchange(&Question{Name: name, Type: t, RD: true, EDNS: r.EDNS, Servers: servers})
}

// ErrName is what a name that can not be one fails with.
var ErrName error = syscall.EPROTO
