// Package access decides who may ask a cache, by the names of files below
// root/ip (compat: djbdns.md section 10.2; docs/format-root-ip.md):
//
//	10  10.1  10.1.2  10.1.2.3     an IPv4 address or its first octets
//	2001:db8::1                    an IPv6 address
//	2001:db8.  2001:db8:7.         the first 16-bit groups of one, ended by a dot
//	2001:db8::/32  10.64.0.0/10    a prefix: a folder with a file named after the length
//
// What the files contain does not matter, nor does any other name.
package access

import (
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// maxPrefixes bounds the list, so that a folder gone wrong can not fill the
// memory; compat gives no limit, an administrator's list has a handful.
const maxPrefixes = 1 << 16

// List is a set of prefixes. It does not change after Load.
type List struct {
	// set holds the masked prefixes; lens4 and lens6 have a bit for each
	// length that occurs, so that a look-up tries only those.
	set   map[netip.Prefix]struct{}
	lens4 uint64
	lens6 [3]uint64
	// Dirs are the folders that belong to the list besides the top one.
	Dirs []string
}

// Load reads the names in the top folder of fsys. A folder that can not be read
// is an error; the list is then empty and lets nobody in.
func Load(fsys fs.FS) (*List, error) {
	l := &List{set: map[netip.Prefix]struct{}{}}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return l, err
	}
	for _, e := range entries {
		if p, ok := Parse(e.Name()); ok {
			if !isDir(fsys, e) {
				l.add(p)
				continue
			}
			// "2001:db8::/32": the slash of the prefix is that of the path. A folder
			// named as an address admits that address too: 1.05 only asks
			// whether the name exists.
			l.add(p)
			a, err := netip.ParseAddr(e.Name())
			if err != nil {
				continue
			}
			sub, err := fs.ReadDir(fsys, e.Name())
			if err != nil {
				continue
			}
			l.Dirs = append(l.Dirs, e.Name())
			if len(sub) > 0 {
				// a folder for prefixes is none for the address itself
				l.drop(p)
			}
			for _, s := range sub {
				if n, ok := length(s.Name()); ok {
					if p, err := a.Unmap().Prefix(n); err == nil {
						l.add(p)
					}
				}
			}
		}
	}
	return l, nil
}

func isDir(fsys fs.FS, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink != 0 {
		i, err := fs.Stat(fsys, e.Name())
		return err == nil && i.IsDir()
	}
	return e.IsDir()
}

func (l *List) add(p netip.Prefix) {
	if len(l.set) >= maxPrefixes {
		return
	}
	l.set[p] = struct{}{}
	if n := p.Bits(); p.Addr().Is4() {
		l.lens4 |= 1 << n
	} else {
		l.lens6[n/64] |= 1 << (n % 64)
	}
}

func (l *List) drop(p netip.Prefix) { delete(l.set, p) }

// length reads a prefix length as people write it: no sign, no leading zero.
func length(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == s
}

// Parse reads one file name. IPv4 octets must be written as 1.05 formats the
// client's address to look for the file, without leading zeros.
func Parse(name string) (netip.Prefix, bool) {
	none := netip.Prefix{}
	if strings.IndexByte(name, ':') < 0 && !strings.HasSuffix(name, ".") {
		var ip [4]byte
		parts := strings.Split(name, ".")
		if len(parts) > 4 {
			return none, false
		}
		for i, s := range parts {
			n, ok := length(s)
			if !ok || n > 255 {
				return none, false
			}
			ip[i] = byte(n)
		}
		return netip.PrefixFrom(netip.AddrFrom4(ip), 8*len(parts)), true
	}
	if groups, ok := strings.CutSuffix(name, "."); ok {
		var ip [16]byte
		parts := strings.Split(groups, ":")
		if len(parts) > 8 {
			return none, false
		}
		for i, s := range parts {
			n, err := strconv.ParseUint(s, 16, 16)
			if err != nil || len(s) > 4 {
				return none, false
			}
			ip[2*i], ip[2*i+1] = byte(n>>8), byte(n)
		}
		return netip.PrefixFrom(netip.AddrFrom16(ip), 16*len(parts)), true
	}
	a, err := netip.ParseAddr(name)
	if err != nil || a.Zone() != "" {
		return none, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// Allows reports whether a client may ask. An IPv4-mapped IPv6 address counts as
// the IPv4 address. It does not allocate.
func (l *List) Allows(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is4() {
		for n := 32; n >= 0; n-- {
			if l.lens4&(1<<n) != 0 && l.has(a, n) {
				return true
			}
		}
		return false
	}
	a = a.WithZone("")
	for n := 128; n >= 0; n-- {
		if l.lens6[n/64]&(1<<(n%64)) != 0 && l.has(a, n) {
			return true
		}
	}
	return false
}

func (l *List) has(a netip.Addr, n int) bool {
	p, err := a.Prefix(n)
	if err != nil {
		return false
	}
	_, ok := l.set[p]
	return ok
}

// Len is the number of prefixes.
func (l *List) Len() int { return len(l.set) }
