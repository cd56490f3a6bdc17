package bindimport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/internal/bindconf"
	"bulkhead/internal/tcprules"
)

var (
	all4 = netip.MustParsePrefix("0.0.0.0/0")
	all6 = netip.MustParsePrefix("::/0")
)

// nobody is the location of clients that no view wants: no record has it.
const nobody = "no"

// locate gives each view its location.
func (c *Config) locate() {
	if len(c.Views) == 1 {
		l := c.Views[0].Clients
		if l == nil || len(l) == 1 && l[0].Any && !l[0].Deny {
			return
		}
	}
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	n := 0
	for _, v := range c.Views {
		for {
			v.Lo = string([]byte{'v' - byte(n/len(digits)), digits[n%len(digits)]})
			n++
			if v.Lo != nobody {
				break
			}
		}
	}
}

// viewOf gives the view of the clients in p: the first that wants them.
func (c *Config) viewOf(p netip.Prefix) *View {
	for _, v := range c.Views {
		if v.Clients == nil || bindconf.Decide(v.Clients, p) == bindconf.Allow {
			return v
		}
	}
	return nil
}

// prefixes collects what lists speak of, and all of IPv4 and IPv6, shortest
// first.
func prefixes(lists ...[]bindconf.Element) []netip.Prefix {
	seen := map[netip.Prefix]bool{all4: true, all6: true}
	for _, l := range lists {
		bindconf.Prefixes(l, func(p netip.Prefix) { seen[p] = true })
	}
	out := make([]netip.Prefix, 0, len(seen))
	for p := range seen {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		if a.Addr().Is4() != b.Addr().Is4() {
			if a.Addr().Is4() {
				return -1
			}
			return 1
		}
		if a.Bits() != b.Bits() {
			return a.Bits() - b.Bits()
		}
		return a.Addr().Compare(b.Addr())
	})
	return out
}

// outer gives the value of the longest prefix in decided that holds p.
func outer[T any](decided map[netip.Prefix]T, p netip.Prefix) (T, bool) {
	for bits := p.Bits() - 1; bits >= 0; bits-- {
		q, _ := p.Addr().Prefix(bits)
		if v, ok := decided[q]; ok {
			return v, true
		}
	}
	var zero T
	return zero, false
}

// locations gives the % lines.
func (c *Config) locations() []string {
	if len(c.Views) == 0 || c.Views[0].Lo == "" {
		return nil
	}
	var lists [][]bindconf.Element
	out := []string{}
	for _, v := range c.Views {
		lists = append(lists, v.Clients)
		out = append(out, fmt.Sprintf("# location %s: view %s", v.Lo, v.Name))
	}
	decided := map[netip.Prefix]string{}
	all := prefixes(lists...)
	for _, p := range all {
		lo := nobody
		if v := c.viewOf(p); v != nil {
			lo = v.Lo
		}
		if before, ok := outer(decided, p); ok && before == lo {
			continue
		}
		decided[p] = lo
	}
	four, six := decided[all4], decided[all6]
	for _, p := range all {
		lo, ok := decided[p]
		switch {
		case !ok:
		case p == all4 && four == six:
			out = append(out, "%"+lo+":")
		case p == all6 && four == six:
		case p.Addr().Is4() && p.Bits()%8 == 0 && p.Bits() > 0:
			b := p.Addr().As4()
			s := make([]string, 0, 4)
			for _, o := range b[:p.Bits()/8] {
				s = append(s, fmt.Sprint(o))
			}
			out = append(out, "%"+lo+":"+strings.Join(s, "."))
		case p == all4 || p == all6:
			// in halves: only the whole of both families can be written
			for _, half := range halves(p) {
				out = append(out, "%"+lo+":["+half.Addr().String()+"]/1")
			}
		default:
			out = append(out, fmt.Sprintf("%%%s:[%s]/%d", lo, p.Addr(), p.Bits()))
		}
	}
	return out
}

func halves(p netip.Prefix) [2]netip.Prefix {
	if p == all4 {
		return [2]netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")}
	}
	return [2]netip.Prefix{netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1")}
}

// Rules gives the tcp rules for axfrdns: who may transfer which zones.
func (c *Config) Rules() []string {
	var lists [][]bindconf.Element
	for _, v := range c.Views {
		lists = append(lists, v.Clients)
		for _, z := range v.Zones {
			lists = append(lists, z.transfer)
		}
	}
	decided := map[netip.Prefix]string{}
	all := prefixes(lists...)
	for _, p := range all {
		zones := []string{}
		if v := c.viewOf(p); v != nil {
			for _, z := range v.Zones {
				if bindconf.Decide(z.transfer, p) == bindconf.Allow {
					zones = append(zones, z.Name.Text())
				}
			}
		}
		slices.Sort(zones)
		s := strings.Join(slices.Compact(zones), "/")
		if before, ok := outer(decided, p); ok && before == s {
			continue
		}
		decided[p] = s
	}
	out := []string{Header, "# everybody may ask over TCP; AXFR lists the zones that the address may transfer"}
	four, six := decided[all4], decided[all6]
	for _, p := range all {
		zones, ok := decided[p]
		if !ok || p == all4 || p == all6 {
			continue
		}
		a := string(tcprules.AppendAddr(nil, p.Addr()))
		if p.Bits() < p.Addr().BitLen() {
			if b := p.Addr().As4; p.Addr().Is4() && p.Bits()%8 == 0 {
				octets := strings.Split(netip.AddrFrom4(b()).String(), ".")
				a = strings.Join(octets[:p.Bits()/8], ".") + "."
			} else {
				a += fmt.Sprintf("/%d", p.Bits())
			}
		}
		out = append(out, fmt.Sprintf("%s:allow,AXFR=\"%s\"", a, zones))
	}
	if four != six {
		out = append(out, fmt.Sprintf("::/0:allow,AXFR=\"%s\"", six))
	}
	return append(out, fmt.Sprintf(":allow,AXFR=\"%s\"", four))
}
