package bindimport

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/internal/dns"
)

// Verdict of comparing two answers.
type Verdict uint8

const (
	Equal     Verdict = iota
	Explained         // they differ where the standards leave it open; Cause says where
	Different
)

// Causes of explained differences.
const (
	causeCase       = "letter case of names only (RFC 4343)"
	causeZeroSOA    = "TTL 0 of the SOA in a negative answer about an SOA (zero-no-soa-ttl of BIND)"
	causeAuthority  = "name servers in the authority section of a positive answer are optional (RFC 1034, section 6.2)"
	causeAdditional = "additional section is optional (RFC 1034, section 3.7; RFC 2181, section 9)"
	causeANY        = "ANY may be answered in part (RFC 8482)"
	causeTruncated  = "truncated at another record; the question over TCP decides (RFC 2181, section 9)"
	causeSilence    = "silence where the other server says REFUSED (RFC 8906, section 3)"
	causeChain      = "one server follows a CNAME out of the zone into another zone of its own, the other leaves it to the client (RFC 1034, section 4.3.2)"
	causeTransfer   = "nothing in named.conf says who may transfer the zone"
	causeLeads      = "a CNAME into a delegated zone: name servers beside it are a hint, the client asks for the target anew (RFC 1034, section 5.3.3)"
	causeChild      = "a child zone in the same data: its own NS records and glue stand at the cut for both"
	causeNSEC       = "NSEC of a zone cut: one server answers with the parent's, the other refers; only DS has a rule of its own (RFC 4035, section 3.1.4.1)"
	causeDS         = "DS in the referral of a zone without signatures, which proves nothing (RFC 4035, section 3.1.4)"
	causeOccluded   = "records below a delegation that are no glue are not transferred (RFC 5936, section 3.5)"
)

// reply is an answer or silence.
type reply struct {
	a      *Answer
	silent bool
	err    error // malformed, or the server could not be asked
}

// Compare gives the verdict on two replies to q and its cause. For Different
// the cause names what differs first.
func Compare(q *Question, old, new reply) (Verdict, string) {
	switch {
	case old.err != nil || new.err != nil:
		return Different, fmt.Sprintf("old: %v, new: %v", errText(old.err), errText(new.err))
	case old.silent && new.silent:
		return Equal, ""
	case old.silent || new.silent:
		a := old.a
		if old.silent {
			a = new.a
		}
		if a.RCode == dns.RCodeRefused {
			return Explained, causeSilence
		}
		return Different, "one server does not answer"
	}
	a, b := old.a, new.a
	if a.RCode != b.RCode {
		if chain(a, b) {
			return Explained, causeChain
		}
		return Different, "response code: " + a.RCode.String() + " and " + b.RCode.String()
	}
	if a.AA != b.AA {
		if q.Type == dns.TypeNSEC && (cutNSEC(a, b) || cutNSEC(b, a)) {
			return Explained, causeNSEC
		}
		return Different, "authoritative answer bit"
	}
	if a.OPT != b.OPT {
		return Different, "OPT record present in one only"
	}
	if a.TC || b.TC {
		if a.TC && b.TC {
			return Equal, "" // nothing in a truncated answer counts
		}
		return Explained, causeTruncated
	}
	cause := ""
	for i, name := range [3]string{"answer", "authority", "additional"} {
		x, y := a.Sections[i], b.Sections[i]
		if same(x, y, false) {
			if cause == "" && !same(x, y, true) {
				cause = causeCase
			}
			continue
		}
		switch {
		case i == 0 && q.Type == dns.TypeANY && part(x, y):
			cause = causeANY
		case i == 0 && chain(a, b):
			return Explained, causeChain
		case i == 1 && len(a.Sections[0]) > 0 && servers(x, y):
			cause = causeAuthority
		case i == 1 && onlyCNAME(a.Sections[0]) && onlyNS(x) && onlyNS(y):
			cause = causeLeads
		case i == 1 && q.Type == dns.TypeSOA && len(a.Sections[0]) == 0 && zeroSOA(x, y):
			cause = causeZeroSOA
		case i == 1 && len(a.Sections[0]) == 0 && dsOnly(x, y):
			cause = causeDS
		case i == 2 && glue(a, x, y):
			cause = causeAdditional
		default:
			return Different, name + " section"
		}
	}
	if cause != "" {
		return Explained, cause
	}
	return Equal, ""
}

func errText(err error) string {
	if err == nil {
		return "answer"
	}
	return err.Error()
}

// same compares sections as sets, TTLs included.
func same(x, y []RR, exact bool) bool {
	if len(x) != len(y) {
		return false
	}
	key := func(list []RR) []string {
		out := make([]string, len(list))
		for i, r := range list {
			if exact {
				out[i] = r.String()
			} else {
				out[i] = r.fold + utoa(r.TTL) + r.Class.String()
			}
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(key(x), key(y))
}

// part reports whether one of two answers is a subset of the other, or both
// have records: RFC 8482 leaves the choice open.
func part(x, y []RR) bool { return len(x) > 0 && len(y) > 0 }

// servers reports whether one of two authority sections has name servers, with
// their signature, and they are alike but for that.
func servers(x, y []RR) bool {
	ns := func(r RR) bool {
		return r.Type == dns.TypeNS || r.Type == dns.TypeRRSIG && strings.HasPrefix(r.Data, dns.TypeNS.String()+" ")
	}
	if slices.ContainsFunc(x, ns) == slices.ContainsFunc(y, ns) {
		return false
	}
	drop := func(list []RR) []RR { return slices.DeleteFunc(slices.Clone(list), ns) }
	return same(drop(x), drop(y), false)
}

// cutNSEC reports whether a is the NSEC record of a zone cut and b the referral.
func cutNSEC(a, b *Answer) bool {
	cut := func(r RR) bool { return r.Type == dns.TypeNS && strings.EqualFold(r.Owner, a.Sections[0][0].Owner) }
	return a.AA && len(a.Sections[0]) > 0 && a.Sections[0][0].Type == dns.TypeNSEC &&
		len(b.Sections[0]) == 0 && slices.ContainsFunc(b.Sections[1], cut)
}

func onlyNS(list []RR) bool {
	return !slices.ContainsFunc(list, func(r RR) bool { return r.Type != dns.TypeNS })
}

// onlyCNAME reports whether an answer is nothing but a chain.
func onlyCNAME(list []RR) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(r RR) bool { return r.Type != dns.TypeCNAME && r.Type != dns.TypeDNAME })
}

// zeroSOA reports whether two sections have the same SOA and nothing else, and
// one has it with TTL 0: so that a negative answer about an SOA, which only
// servers ask for, is not cached (zero-no-soa-ttl, "yes" in BIND if not said).
func zeroSOA(x, y []RR) bool {
	return len(x) == 1 && len(y) == 1 && x[0].Type == dns.TypeSOA && x[0].fold == y[0].fold && x[0].Class == y[0].Class && (x[0].TTL == 0) != (y[0].TTL == 0)
}

// dsOnly reports whether only DS records differ, and nothing is signed.
func dsOnly(x, y []RR) bool {
	var rest [2][]RR
	for i, list := range [2][]RR{x, y} {
		for _, r := range list {
			switch r.Type {
			case dns.TypeRRSIG:
				return false
			case dns.TypeDS:
			default:
				rest[i] = append(rest[i], r)
			}
		}
	}
	return same(rest[0], rest[1], false)
}

// chain reports whether both answers begin with the same CNAMEs and only one
// goes on behind them.
func chain(a, b *Answer) bool {
	x, y := a.Sections[0], b.Sections[0]
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(x) == 0 || len(x) == len(y) && a.RCode == b.RCode {
		return false
	}
	for i, r := range x {
		if r.Type != dns.TypeCNAME && r.Type != dns.TypeDNAME || r.fold != y[i].fold || r.TTL != y[i].TTL {
			return false
		}
	}
	return true
}

// glue reports whether a difference of additional sections is without
// consequence: in a referral both must have every address of name servers
// inside the delegated zone (RFC 9471).
func glue(a *Answer, x, y []RR) bool {
	if len(a.Sections[0]) > 0 || a.AA {
		return true
	}
	needed := func(list []RR) []RR {
		var out []RR
		for _, r := range list {
			for _, ns := range a.Sections[1] {
				if ns.Type == dns.TypeNS && strings.EqualFold(ns.Data, r.Owner) && (strings.HasSuffix(strings.ToLower(r.Owner), "."+strings.ToLower(ns.Owner)) || strings.EqualFold(r.Owner, ns.Owner)) {
					out = append(out, r)
					break
				}
			}
		}
		return out
	}
	return same(needed(x), needed(y), false)
}
