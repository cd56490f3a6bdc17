// Package rpz reads response policy zones (draft-vixie-dnsop-dns-rpz-00) and
// finds the rule that holds for a name, an address or a name server. It is
// pure; what a rule does to an answer is package policy's matter.
//
// Zones are consulted in order; within one, client addresses come before
// names, names before addresses in answers, those before names of name servers,
// those before their addresses (section 5.1). Of names the most specific rule
// counts, an exact one before a wildcard; of addresses the longest prefix.
package rpz

import (
	"errors"
	"io"
	"net/netip"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/zonefile"
)

// Action is what a rule does (section 3).
type Action uint8

const (
	None     Action = iota
	NXDomain        // CNAME .
	NoData          // CNAME *.
	PassThru        // CNAME rpz-passthru.
	Drop            // CNAME rpz-drop.
	TCPOnly         // CNAME rpz-tcp-only.
	Data            // anything else: local data
)

var actionNames = [...]string{"none", "nxdomain", "nodata", "passthru", "drop", "tcp-only", "data"}

func (a Action) String() string { return actionNames[a] }

// Trigger is what a rule looks at (section 4).
type Trigger uint8

const (
	ClientIP Trigger = iota
	QName
	IP
	NSDName
	NSIP
)

var triggerNames = [...]string{"client-ip", "qname", "ip", "nsdname", "nsip"}

func (t Trigger) String() string { return triggerNames[t] }

// Record is a record of local data.
type Record struct {
	Type dns.Type
	TTL  uint32
	Data []byte
}

// Rule is what a zone says.
type Rule struct {
	Zone    dnsname.Name // lower case
	Trigger Trigger
	Owner   dnsname.Name // as in the zone, lower case, relative to it
	Action  Action
	Records []Record
}

// Limits of a zone file, so that a slip costs a message and not all memory.
const (
	maxRules   = 10_000_000 // the largest public lists have 3 million
	maxRecords = 1000       // of one rule
)

type table struct {
	rules map[netip.Prefix]*Rule
	bits  [129]bool // prefix lengths that occur, for IPv4 counted from 96
}

// Zone is a response policy zone.
type Zone struct {
	Name    dnsname.Name
	SOA     []byte // data of its SOA, nil without
	Rules   int
	names   map[dnsname.Name]*Rule // QNAME, wildcards under "*." names
	servers map[dnsname.Name]*Rule // NSDNAME
	tables  [5]table               // by trigger: ClientIP, IP, NSIP
}

// Parse reads a zone file; file is its name for messages. Owners outside the
// zone, and address triggers that can not be read, are errors.
func Parse(text []byte, file string, origin dnsname.Name) (*Zone, error) {
	z := &Zone{Name: origin.Lower(), names: map[dnsname.Name]*Rule{}, servers: map[dnsname.Name]*Rule{}}
	r := zonefile.NewReader(text, zonefile.Options{Name: file, Origin: origin, TTL: 300})
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return z, nil
		}
		if err != nil {
			return nil, err
		}
		if err := z.add(rec); err != nil {
			return nil, &zonefile.Error{File: rec.File, Line: rec.Line, Err: err}
		}
	}
}

// Labels that begin the address and name server triggers, at the end of the
// relative owner (section 4).
var markers = [...]struct {
	label   string
	trigger Trigger
}{
	{"\x0drpz-client-ip", ClientIP}, {"\x06rpz-ip", IP}, {"\x08rpz-nsip", NSIP}, {"\x0brpz-nsdname", NSDName},
}

func (z *Zone) add(rec *zonefile.Record) error {
	owner := dnsname.Name(rec.Owner).Lower()
	if !dnsname.IsBelow(owner, z.Name) {
		return errors.New("owner is not in the zone")
	}
	if owner == z.Name {
		if rec.Type == dns.TypeSOA && z.SOA == nil {
			z.SOA = append([]byte{}, rec.Data...)
		}
		return nil
	}
	switch rec.Type {
	case dns.TypeDNAME, dns.TypeNS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDNSKEY, dns.TypeDS, dns.TypeSOA:
		return nil // section 3: they mean nothing here
	}
	rel := owner[:len(owner)-len(z.Name)]
	trigger, name := QName, rel+"\x00"
	for _, m := range markers {
		if n := len(rel) - len(m.label); n >= 0 && string(rel[n:]) == m.label && boundary(rel, n) {
			trigger, name = m.trigger, rel[:n]+"\x00"
		}
	}
	rule := &Rule{Zone: z.Name, Trigger: trigger, Owner: name}
	switch trigger {
	case QName, NSDName:
		m := z.names
		if trigger == NSDName {
			m = z.servers
		}
		if old := m[name]; old != nil {
			rule = old
		} else {
			m[name] = rule
			z.Rules++
		}
	default:
		p, err := parsePrefix(name)
		if err != nil {
			return err
		}
		t := &z.tables[trigger]
		if t.rules == nil {
			t.rules = map[netip.Prefix]*Rule{}
		}
		if old := t.rules[p]; old != nil {
			rule = old
		} else {
			t.rules[p] = rule
			t.bits[length(p)] = true
			z.Rules++
		}
	}
	if z.Rules > maxRules {
		return errors.New("more than " + strconv.Itoa(maxRules) + " rules")
	}
	return rule.take(rec)
}

// take adds a record to its rule. The first CNAME decides: a second one, and
// data beside it, are ignored.
func (r *Rule) take(rec *zonefile.Record) error {
	if r.Action != None && (r.Action != Data || rec.Type == dns.TypeCNAME || r.Records[0].Type == dns.TypeCNAME) {
		return nil
	}
	if rec.Type == dns.TypeCNAME {
		switch target := dnsname.Name(rec.Data).Lower(); target {
		case "\x00":
			r.Action = NXDomain
			return nil
		case "\x01*\x00":
			r.Action = NoData
			return nil
		case "\x0crpz-passthru\x00":
			r.Action = PassThru
			return nil
		case "\x08rpz-drop\x00":
			r.Action = Drop
			return nil
		case "\x0crpz-tcp-only\x00":
			r.Action = TCPOnly
			return nil
		default:
			// the old way to say PASSTHRU: the name itself
			if r.Trigger == QName && target == r.Owner {
				r.Action = PassThru
				return nil
			}
		}
	}
	if len(r.Records) >= maxRecords {
		return errors.New("more than " + strconv.Itoa(maxRecords) + " records for one name")
	}
	r.Action = Data
	r.Records = append(r.Records, Record{rec.Type, rec.TTL, append([]byte{}, rec.Data...)})
	return nil
}

// boundary reports whether offset n of a relative name is where a label begins.
func boundary(rel dnsname.Name, n int) bool {
	i := 0
	for i < n {
		i += 1 + int(rel[i])
	}
	return i == n
}

func length(p netip.Prefix) int {
	if p.Addr().Is4() {
		return p.Bits() + 96
	}
	return p.Bits()
}

// parsePrefix reads an address trigger: prefix length, then the address's
// parts in reverse, decimal bytes of IPv4 or hexadecimal words of IPv6, where
// "zz" stands for "::" (section 4.1.1).
func parsePrefix(name dnsname.Name) (netip.Prefix, error) {
	bad := errors.New("bad address " + name.String())
	var labels []string
	for n := name; n[0] != 0; n = dnsname.Parent(n) {
		labels = append(labels, string(n[1:1+int(n[0])]))
	}
	if len(labels) < 2 {
		return netip.Prefix{}, bad
	}
	bits, err := strconv.ParseUint(labels[0], 10, 8)
	if err != nil {
		return netip.Prefix{}, bad
	}
	labels = labels[1:]
	text := ""
	v6 := len(labels) != 4
	for _, l := range labels {
		v6 = v6 || l == "zz"
	}
	for i := len(labels) - 1; i >= 0; i-- {
		l := labels[i]
		switch {
		case !v6:
			if text != "" {
				text += "."
			}
			text += l
		case l == "zz":
			if text == "" || text[len(text)-1] != ':' {
				text += ":"
			}
			text += ":"
		default:
			if text != "" && text[len(text)-1] != ':' {
				text += ":"
			}
			text += l
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Is4() == v6 || a.Zone() != "" {
		return netip.Prefix{}, bad
	}
	p, err := a.Prefix(int(bits))
	if err != nil || p.Addr() != a {
		return netip.Prefix{}, bad // bits beyond the length are set
	}
	return p, nil
}

// find looks for an exact rule, then for wildcards from the nearest up. A name
// with a rule of its own ends the search: it is the closest encloser, and a
// wildcard above it does not reach below it (RFC 4592, section 3.3.1).
func find(m map[dnsname.Name]*Rule, name dnsname.Name) *Rule {
	if len(m) == 0 {
		return nil
	}
	if r := m[name]; r != nil {
		return r
	}
	var buf [dns.MaxName + 2]byte
	for n := name; n[0] != 0; {
		n = dnsname.Parent(n)
		w := append(append(buf[:0], 1, '*'), n...)
		if r := m[dnsname.Name(w)]; r != nil {
			return r
		}
		if m[n] != nil {
			break
		}
	}
	return nil
}

// QName finds the QNAME rule for a lower-case name.
func (z *Zone) QName(name dnsname.Name) *Rule { return find(z.names, name) }

// Server finds the NSDNAME rule for a name server's lower-case name.
func (z *Zone) Server(name dnsname.Name) *Rule { return find(z.servers, name) }

// Addr finds the rule of an address trigger with the longest prefix.
func (z *Zone) Addr(t Trigger, a netip.Addr) *Rule {
	tab := &z.tables[t]
	if len(tab.rules) == 0 {
		return nil
	}
	a = a.Unmap()
	top, base := 128, 0
	if a.Is4() {
		base = 96
	}
	for n := top; n >= base; n-- {
		if !tab.bits[n] {
			continue
		}
		p, err := a.Prefix(n - base)
		if err != nil {
			return nil
		}
		if r := tab.rules[p]; r != nil {
			return r
		}
	}
	return nil
}

// Has reports whether the zone has rules of a trigger.
func (z *Zone) Has(t Trigger) bool {
	switch t {
	case QName:
		return len(z.names) > 0
	case NSDName:
		return len(z.servers) > 0
	}
	return len(z.tables[t].rules) > 0
}
