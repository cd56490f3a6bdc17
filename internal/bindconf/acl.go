package bindconf

import (
	"net/netip"
	"strings"
)

// Element is one element of an address match list, names of other lists
// already replaced.
type Element struct {
	Deny   bool
	Prefix netip.Prefix // for an address or network
	Any    bool
	None   bool
	Key    string    // TSIG key name; "" when none
	List   []Element // a list in braces or a named one
	IsList bool
	Word   string // what can not be expressed: localnets, a geoip clause, an unknown name
}

// maxACL bounds how deep lists name lists.
const maxACL = 32

// ACLs are the named lists of a configuration, by lower-case name.
type ACLs map[string][]*Statement

// Resolve reads the elements in block.
func (a ACLs) Resolve(block []*Statement) []Element { return a.resolve(block, 0) }

func (a ACLs) resolve(block []*Statement, depth int) []Element {
	out := []Element{}
	for _, s := range block {
		parts := s.Parts
		deny := false
		for len(parts) > 0 && !parts[0].IsBlock && parts[0].Word == "!" {
			deny = !deny
			parts = parts[1:]
		}
		e := Element{Deny: deny, Word: s.String()}
		switch {
		case depth > maxACL || len(parts) == 0:
		case parts[0].IsBlock:
			e.List, e.IsList, e.Word = a.resolve(parts[0].Block, depth+1), true, ""
		case strings.EqualFold(parts[0].Word, "key") && len(parts) > 1:
			e.Key, e.Word = parts[1].Word, ""
		case len(parts) == 1:
			w := strings.ToLower(parts[0].Word)
			if p, ok := parsePrefix(w); ok {
				e.Prefix, e.Word = p, ""
			} else if w == "any" {
				e.Any, e.Word = true, ""
			} else if w == "none" {
				e.None, e.Word = true, ""
			} else if list, ok := a[w]; ok {
				e.List, e.IsList, e.Word = a.resolve(list, depth+1), true, ""
			}
		}
		out = append(out, e)
	}
	return out
}

// parsePrefix reads an address, a prefix, or BIND's short form 10.1/16.
func parsePrefix(w string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(w); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	addr, bits, ok := strings.Cut(w, "/")
	if !ok {
		return netip.Prefix{}, false
	}
	if !strings.Contains(addr, ":") {
		for strings.Count(addr, ".") < 3 {
			addr += ".0"
		}
	}
	p, err := netip.ParsePrefix(addr + "/" + bits)
	if err != nil {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

// Verdict of a list for a client.
type Verdict int

const (
	NoMatch Verdict = iota
	Allow
	Deny
)

// Decide gives the verdict of a list for all clients in p, as far as elements
// speak of p or of networks that hold it; more specific ones have rules of
// their own. The first element that matches decides; a list inside a list
// matches only where it allows: its negative matches count as none, as BIND
// has it, lest a negation of them become a surprise.
func Decide(list []Element, p netip.Prefix) Verdict {
	for _, e := range list {
		match := false
		switch {
		case e.Any:
			match = true
		case e.IsList:
			match = Decide(e.List, p) == Allow
		case e.Prefix.IsValid():
			match = e.Prefix.Addr().Is4() == p.Addr().Is4() && e.Prefix.Bits() <= p.Bits() && e.Prefix.Contains(p.Addr())
		}
		if match {
			if e.Deny {
				return Deny
			}
			return Allow
		}
	}
	return NoMatch
}

// Prefixes calls f for each network that list speaks of.
func Prefixes(list []Element, f func(netip.Prefix)) {
	for _, e := range list {
		if e.Prefix.IsValid() {
			f(e.Prefix)
		}
		Prefixes(e.List, f)
	}
}

// Inexpressible gives what list asks of clients beyond addresses: keys and
// words that are no network.
func Inexpressible(list []Element) (keys, words []string) {
	for _, e := range list {
		if e.Key != "" {
			keys = append(keys, e.Key)
		}
		if e.Word != "" {
			words = append(words, e.Word)
		}
		k, w := Inexpressible(e.List)
		keys, words = append(keys, k...), append(words, w...)
	}
	return keys, words
}
