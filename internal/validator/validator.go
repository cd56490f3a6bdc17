// Package validator decides what of an answer may be believed: it builds the
// chain of trust from an anchor down to the zone that signed (RFC 4035, section
// 5), checks the RRsets with that zone's keys, and the proofs of what is
// absent. The mathematics are package dnssec's; questions for DS and DNSKEY are
// asked by the resolver, whose Validator this is.
//
// A validation passes through four states:
//
//	INIT      which RRsets of the message need a verdict, and is there an anchor
//	FINDKEY   walk from the anchor down to each signer: DS, DNSKEY, DS, ...
//	VALIDATE  signatures, then proofs
//	FINISHED  the verdict
//
// FINDKEY comes whole before VALIDATE: whenever a link of a chain has to be
// asked for, Validate names it and returns, and is called again from INIT. What
// was verified of the chains is then in the table of links, so that no
// signature is paid for twice.
//
//	validator.go  the table of links, anchors, negative anchors
//	chain.go      FINDKEY: from one zone cut to the next
//	message.go    INIT, VALIDATE, FINISHED for a message
//	aggressive.go answers from proofs at hand (RFC 8198)
package validator

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
)

// Limits that are not a question's; those are dnssec's limits.go.
const (
	maxLinks    = 50000 // names in the table: about 40 MB when each has 2 keys of RSA 2048; unbound key-cache-size 4 MB
	maxLinkTTL  = 86400 // seconds a link is kept; unbound val cache-max-ttl 86400
	bogusTTL    = 60    // seconds a bad link is remembered; unbound val-bogus-ttl 60, RFC 4035, section 4.7
	maxNTAs     = 10000 // negative trust anchors
	maxChainLen = 128   // steps from an anchor to a name, one a label: dns.MaxLabels and the anchor itself
)

// Config is what an administrator decides.
type Config struct {
	Policy  dnssec.Policy
	Anchors []dnssec.Anchor
	NTAs    []dnssec.NTA

	// Private are zones whose servers the administrator has named. Where the
	// public tree proves that such a zone does not exist, it is not bogus but
	// insecure: it was never meant to be public.
	Private []dnsname.Name // lower case

	// Explain, if not nil, is told every step: the record of trust.
	Explain func(Step)

	agg *aggressive // of the validator it was taken from
}

// Step is one step of a validation, for explanations.
type Step struct {
	Name   dnsname.Name // zone or owner
	Type   dns.Type     // DS, DNSKEY, or of the RRset checked
	What   string       // the rule, in words
	Status dnssec.Status
	Reason dnssec.Reason
	KeyTag uint16
	Alg    dnssec.Algorithm
	// validity of the deciding signature, seconds since 1970 modulo 2^32
	Inception, Expiration uint32
}

// Validator implements resolver.Validator. One goroutine uses it at a time.
type Validator struct {
	cfg     Config
	anchors map[dnsname.Name]*anchor
	ntas    map[dnsname.Name]int64
	private map[dnsname.Name]bool
	now     int64 // seconds since 1970, of the last call

	links map[dnsname.Name]*link
	ring  []dnsname.Name // names of links in order of arrival; the oldest goes first
	head  int

	rejected rejected

	ver dnssec.Verifier
	agg *aggressive
}

type anchor struct {
	ds   [][]byte
	keys []*dnssec.Key
}

// kind says what is known of a name as a possible zone cut.
type kind uint8

const (
	linkSecure   kind = iota // a zone whose keys are proven
	linkInsecure             // a zone proven to be unsigned, or signed in ways not supported
	linkNoCut                // no zone begins here: its parent's zone goes on
	linkNoName               // nothing is here, nor below
	linkBogus                // the chain is broken here
	linkNone                 // no anchor above
)

// link is one zone cut of a chain of trust.
type link struct {
	kind    kind
	zone    dnsname.Name // linkSecure: the zone, lower case
	keys    []*dnssec.Key
	reason  dnssec.Reason
	expires int64 // seconds since 1970

	// of the signature that made it secure, for explanations
	tag                   uint16
	alg                   dnssec.Algorithm
	inception, expiration uint32
}

// New gives a validator with an empty table.
func New(cfg Config) *Validator {
	v := &Validator{links: map[dnsname.Name]*link{}}
	v.SetConfig(cfg)
	return v
}

// SetConfig replaces anchors, negative anchors and policy. What was learnt by
// the old ones is forgotten.
func (v *Validator) SetConfig(cfg Config) {
	if cfg.agg == nil || cfg.agg == v.agg {
		cfg.agg = &aggressive{}
	}
	v.cfg, v.agg = cfg, cfg.agg
	v.anchors = make(map[dnsname.Name]*anchor, len(cfg.Anchors))
	for _, a := range cfg.Anchors {
		t := v.anchors[a.Name]
		if t == nil {
			t = &anchor{}
			v.anchors[a.Name] = t
		}
		t.ds = append(t.ds, a.DS...)
		for _, data := range a.Keys {
			if k, ok := cfg.Policy.ParseKey(data); ok {
				t.keys = append(t.keys, k)
			}
		}
	}
	v.ntas = make(map[dnsname.Name]int64, len(cfg.NTAs))
	for i, n := range cfg.NTAs {
		if i == maxNTAs {
			break
		}
		v.ntas[n.Name] = n.Expires
	}
	v.private = make(map[dnsname.Name]bool, len(cfg.Private))
	for _, n := range cfg.Private {
		v.private[n] = n != dnsname.Root
	}
	v.Forget()
}

// Fork is a validator of the same configuration with a table of its own, for
// another thread.
func (v *Validator) Fork() *Validator { return New(v.cfg) }

// Config is what the validator was made with. A validator made of it shares the
// proofs at hand.
func (v *Validator) Config() Config { return v.cfg }

// Forget empties the table of links.
func (v *Validator) Forget() {
	clear(v.links)
	v.ring, v.head = v.ring[:0], 0
}

// Covers reports whether name lies below a trust anchor and below no negative
// one that is nearer (RFC 7646, section 2) and has not ended.
func (v *Validator) Covers(now resolver.Time, name []byte) bool {
	for {
		// the map's lookup by a converted key does not allocate
		if until, ok := v.ntas[dnsname.Name(name)]; ok && (until == 0 || now.Seconds() < until) {
			return false
		}
		if v.anchors[dnsname.Name(name)] != nil {
			return true
		}
		if name[0] == 0 {
			return false
		}
		name = dnsname.Parent(name)
	}
}

// anchorOf gives the name of the nearest anchor at or above name. none says
// there is no anchor, nta that a negative anchor is nearer.
func (v *Validator) anchorOf(name dnsname.Name) (at dnsname.Name, reason dnssec.Reason) {
	for n := name; ; n = dnsname.Parent(n) {
		if until, ok := v.ntas[n]; ok && (until == 0 || v.now < until) {
			return "", dnssec.ReasonNTA
		}
		if v.anchors[n] != nil {
			return n, dnssec.ReasonNone
		}
		if n[0] == 0 {
			return "", dnssec.ReasonNoAnchor
		}
	}
}

// privateAt reports whether name lies in a private zone that begins below cut,
// or at it if that counts.
func (v *Validator) privateAt(name, cut dnsname.Name, at bool) bool {
	if len(v.private) == 0 {
		return false
	}
	for n := name; len(n) > len(cut) || at && len(n) == len(cut); n = dnsname.Parent(n) {
		if v.private[n] {
			return true
		}
		if n[0] == 0 {
			break
		}
	}
	return false
}

// get finds a link that is still good.
func (v *Validator) get(name dnsname.Name) *link {
	l := v.links[name]
	if l == nil || l.expires <= v.now {
		return nil
	}
	return l
}

// put keeps a link for ttl seconds.
func (v *Validator) put(name dnsname.Name, l *link, ttl uint32) {
	if ttl == 0 {
		// what is valid for this moment only still has to last for this
		// question's next call
		ttl = 1
	}
	l.expires = v.now + int64(min(ttl, maxLinkTTL))
	if _, ok := v.links[name]; !ok {
		if len(v.ring) < maxLinks {
			v.ring = append(v.ring, name)
		} else {
			delete(v.links, v.ring[v.head])
			v.ring[v.head] = name
			v.head = (v.head + 1) % maxLinks
		}
	}
	v.links[name] = l
}

func (v *Validator) explain(s Step) {
	if v.cfg.Explain != nil {
		v.cfg.Explain(s)
	}
}

func security(s dnssec.Status) resolver.Security {
	switch s {
	case dnssec.Secure:
		return resolver.Secure
	case dnssec.Insecure:
		return resolver.Insecure
	case dnssec.Bogus:
		return resolver.Bogus
	}
	return resolver.Indeterminate
}
