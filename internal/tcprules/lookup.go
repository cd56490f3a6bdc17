package tcprules

import (
	"bytes"
	"net/netip"
	"strings"

	"bulkhead/internal/cdb"
)

// Client is what rules look at. Host and Info count only when they are known;
// known and empty is not the same as unknown.
type Client struct {
	IP        string // as AppendAddr writes it
	Host      string
	HostKnown bool
	Info      string
	InfoKnown bool
}

// Rule is the record that decided. The zero Rule is "no rule": allowed.
type Rule struct {
	Found bool
	Key   string
	data  []byte
}

// Deny reports whether the rule denies.
func (r *Rule) Deny() bool {
	denied := false
	r.each(func(s []byte) bool {
		denied = s[0] == 'D'
		return !denied
	})
	return denied
}

// Each calls set for every variable of the rule in order, until the verdict is
// deny; it gives that verdict.
func (r *Rule) Each(set func(name, value string)) (deny bool) {
	r.each(func(s []byte) bool {
		switch s[0] {
		case 'D':
			deny = true
			return false
		case '+':
			if i := bytes.IndexByte(s, '='); i > 0 {
				set(string(s[1:i]), string(s[i+1:]))
			}
		}
		return true
	})
	return deny
}

// each walks through the strings of the data; an unterminated rest and empty
// strings are ignored.
func (r *Rule) each(f func(s []byte) bool) {
	d := r.data
	for {
		i := bytes.IndexByte(d, 0)
		if i < 0 {
			return
		}
		if i > 0 && !f(d[:i]) {
			return
		}
		d = d[i+1:]
	}
}

// Lookup finds the rule for a client. The first key present decides, in this
// order (compat: ucspi-tcp.md section 3.3, with networks in between):
//
//	INFO@IP  INFO@=HOST  IP  =HOST
//	prefixes of IP, longest first: text ending in . or :, and IP/bits
//	=.rest of HOST, from each dot on  = (host known)  the empty key
func Lookup(db cdb.Reader, c Client) (Rule, error) {
	var l lookup
	l.db = db
	if c.InfoKnown {
		if l.try(c.Info, "@", c.IP) {
			return l.rule, l.err
		}
		if c.HostKnown && l.try(c.Info, "@=", c.Host) {
			return l.rule, l.err
		}
	}
	if l.try(c.IP) || c.HostKnown && l.try("=", c.Host) {
		return l.rule, l.err
	}
	if l.networks(c.IP) {
		return l.rule, l.err
	}
	if c.HostKnown {
		for i := 0; i < len(c.Host); i++ {
			if c.Host[i] == '.' && l.try("=", c.Host[i:]) {
				return l.rule, l.err
			}
		}
		if l.try("=") {
			return l.rule, l.err
		}
	}
	l.try("")
	return l.rule, l.err
}

type lookup struct {
	db   cdb.Reader
	buf  []byte
	rule Rule
	err  error
}

// try looks for the key made of parts; true ends the search.
func (l *lookup) try(parts ...string) bool {
	l.buf = l.buf[:0]
	for _, p := range parts {
		l.buf = append(l.buf, p...)
	}
	d, err := l.db.Get(l.buf)
	if err != nil {
		l.err = err
		return true
	}
	if d == nil {
		return false
	}
	l.rule = Rule{Found: true, Key: string(l.buf), data: d}
	return true
}

// networks tries the prefixes of ip, longest first. A text prefix counts as
// many bits as its groups have; behind a "::" that number is unknown and the
// text comes first.
func (l *lookup) networks(ip string) bool {
	a, err := netip.ParseAddr(ip)
	bits, group := -1, 0
	if err == nil {
		a = a.WithZone("")
		bits = a.BitLen()
		if group = 8; bits == 128 {
			group = 16
		}
	}
	end := len(ip)
	for {
		cut := strings.LastIndexAny(ip[:end], ".:") + 1
		prefixBits := 0
		if cut > 0 && err == nil {
			prefixBits = textBits(ip[:cut], group)
			if prefixBits < 0 { // unknown: not before the networks of its length
				prefixBits = bits
			}
		}
		for ; bits >= 0 && (bits > prefixBits || cut == 0); bits-- {
			p, _ := a.Prefix(bits)
			l.buf = appendNet(l.buf[:0], p)
			if l.try(string(l.buf)) {
				return true
			}
		}
		if cut == 0 {
			return false
		}
		if l.try(ip[:cut]) {
			return true
		}
		end = cut - 1
	}
}

// textBits gives the number of bits that a prefix such as "1.2." or
// "2001:db8:" fixes; -1 if it can not be said because of "::".
func textBits(prefix string, group int) int {
	if strings.Contains(prefix, "::") {
		return -1
	}
	n := 0
	for i := 0; i < len(prefix); i++ {
		if prefix[i] == '.' || prefix[i] == ':' {
			n++
		}
	}
	return n * group
}
