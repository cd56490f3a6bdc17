package tinydata

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/scan"
)

// Finding is something that compiles, or would but for its own line, and is
// probably not meant.
type Finding struct {
	Line uint64
	Text string
}

// linter reads a whole file: first each line for itself, then the names
// together.
type linter struct {
	findings []Finding
	nodes    map[dnsname.Name]*node // by lower-case name, asterisk label included
	above    map[dnsname.Name]bool  // every name that has a name of the file below it
	refs     []ref
	lo       map[[2]byte]uint64 // locations that records ask for: first line
	defined  map[[2]byte]bool   // locations that % lines give
	prefixes map[string]uint64  // keys of % lines
	line     uint64
	kind     byte // of the present line
}

// node is one owner name.
type node struct {
	recs    []lintRec
	covered []dns.Type
}

type lintRec struct {
	t     dns.Type
	ttl   uint32
	line  uint64
	plain bool // no timestamp, no location
	lo    [2]byte
	hash  uint64 // of all that makes a record the same
}

// ref is a name that a record points to.
type ref struct {
	line   uint64
	owner  dnsname.Name
	t      dns.Type
	target dnsname.Name
}

// Lint reads data and gives what it finds, in the order of lines.
func Lint(r io.Reader) ([]Finding, error) {
	l := &linter{nodes: map[dnsname.Name]*node{}, above: map[dnsname.Name]bool{}, lo: map[[2]byte]uint64{}, defined: map[[2]byte]bool{}, prefixes: map[string]uint64{}}
	p := &Parser{Serial: 1}
	var b cdb.Batch
	err := Lines(r, func(line []byte) error {
		l.line++
		b.Reset()
		if err := p.Line(line, &b); err != nil {
			if errors.Is(err, cdb.ErrFull) {
				return err
			}
			if IsNameError(err) {
				err = Reason("label over 63 or name over 255 bytes")
			}
			if len(line) > 0 && line[0] == ':' && len(p.f[1]) > 0 && (p.f[1][0] < '0' || p.f[1][0] > '9') {
				// 1.05 takes any other word for the number 0
				if _, known := dns.ParseType(string(p.f[1])); !known {
					err = Reason("unknown type " + string(p.f[1]))
				}
			}
			l.say("does not compile: " + err.Error())
			return nil
		}
		l.kind = 0
		if len(line) > 0 {
			l.kind = line[0]
		}
		l.fields(line, p, b.Count())
		return b.Each(l.record)
	})
	if err != nil {
		return nil, err
	}
	l.names()
	slices.SortStableFunc(l.findings, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return l.findings, nil
}

func (l *linter) say(text string) { l.findings = append(l.findings, Finding{l.line, text}) }

func (l *linter) sayAt(line uint64, text string) {
	l.findings = append(l.findings, Finding{line, text})
}

// layout says which fields of a line kind are what; -1 is none.
type layout struct {
	ip      int
	numbers []int
	ttl     int // timestamp and location follow
}

var layouts = map[byte]layout{
	'+': {1, nil, 2}, '=': {1, nil, 2}, '.': {1, nil, 3}, '&': {1, nil, 3}, '@': {1, []int{3}, 4},
	'\'': {-1, nil, 2}, '^': {-1, nil, 2}, 'C': {-1, nil, 2}, ':': {-1, []int{1}, 3},
	'Z': {-1, []int{3, 4, 5, 6, 7}, 8}, '3': {-1, nil, 2}, '6': {-1, nil, 2},
	'S': {1, []int{3, 4, 5}, 6}, 'N': {-1, []int{1, 2}, 7},
}

// fields looks at one line that has compiled into n records.
func (l *linter) fields(line []byte, p *Parser, n int) {
	if len(line) > 0 && line[len(line)-1] == '\r' {
		l.say("ends in a carriage return, which becomes part of the last field")
	}
	line = bytes.TrimRight(line, " \t")
	if len(line) == 0 || line[0] == '#' || line[0] == '-' {
		return
	}
	f := bytes.Split(line[1:], []byte(":"))
	get := func(i int) []byte {
		if i < len(f) {
			return f[i]
		}
		return nil
	}
	if line[0] == '%' {
		l.locationLine(get(0), get(1), f)
		return
	}
	lay := layouts[line[0]]
	if n == 0 {
		l.say("makes no record: no address")
	}
	if ip := get(lay.ip & 15); lay.ip >= 0 && len(ip) > 0 {
		l.address(ip, line[0])
	}
	for _, i := range lay.numbers {
		if line[0] == ':' && len(get(i)) > 0 && (get(i)[0] < '0' || get(i)[0] > '9') {
			continue // a mnemonic
		}
		max := uint64(65535)
		if line[0] == 'Z' {
			max = 1<<32 - 1
		}
		l.number(get(i), max)
	}
	l.number(get(lay.ttl), 1<<31-1) // RFC 2181, section 8
	l.timestamp(get(lay.ttl + 1))
	if lo := get(lay.ttl + 2); len(lo) > 2 {
		l.say("location \"" + printable(lo) + "\" is longer than two bytes: \"" + printable(lo[:2]) + "\" counts")
	}
	for i := lay.ttl + 3; i < len(f); i++ {
		if len(f[i]) > 0 {
			l.say("field " + strconv.Itoa(i+1) + " \"" + printable(f[i]) + "\" is ignored")
			break
		}
	}
	for i, x := range f {
		if i < lay.ttl && bytes.HasSuffix(x, []byte(`\`)) && !bytes.HasSuffix(x, []byte(`\\`)) {
			l.say("field " + strconv.Itoa(i+1) + " ends in a backslash: a colon is \\072")
		}
	}
}

func (l *linter) address(s []byte, kind byte) {
	_, used, ok := scan.IP4(s)
	if !ok {
		if kind != '+' && kind != '=' { // those have already been told
			l.say("\"" + printable(s) + "\" is no address: no A record is made")
		}
		return
	}
	if used < len(s) {
		l.say("address \"" + printable(s) + "\": what follows the fourth number is ignored")
	}
	for _, x := range bytes.Split(s[:used], []byte(".")) {
		if n, _ := scan.Number(x); n > 255 {
			l.say("address \"" + printable(s) + "\": " + string(x) + " is taken modulo 256")
			return
		}
	}
}

func (l *linter) number(s []byte, max uint64) {
	if len(s) == 0 {
		return
	}
	n, used := scan.Number(s)
	switch {
	case used == 0:
		l.say("\"" + printable(s) + "\" is no number: the default counts")
	case used < len(s):
		l.say("number \"" + printable(s) + "\": what follows " + string(s[:used]) + " is ignored")
	case n > max || used > 19:
		l.say("number " + string(s) + " is over " + strconv.FormatUint(max, 10))
	}
}

func (l *linter) timestamp(s []byte) {
	if len(s) == 0 {
		return
	}
	for _, c := range s {
		if 'A' <= c && c <= 'F' {
			l.say("timestamp \"" + printable(s) + "\": upper-case digits count as 0")
			return
		}
		if hexValue(c) < 0 {
			l.say("timestamp \"" + printable(s) + "\": what is no hexadecimal digit counts as 0")
			return
		}
	}
	if len(s) != 16 {
		l.say("timestamp \"" + printable(s) + "\" has " + strconv.Itoa(len(s)) + " digits, not 16")
	}
}

func (l *linter) locationLine(lo, prefix []byte, f [][]byte) {
	if len(lo) > 2 {
		l.say("location \"" + printable(lo) + "\" is longer than two bytes: \"" + printable(lo[:2]) + "\" counts")
	}
	if bytes.HasPrefix(prefix, []byte("[")) {
		return
	}
	key := AppendPrefix4(nil, prefix)
	if len(key) > 4 {
		l.say("prefix \"" + printable(prefix) + "\" has more than four numbers and never matches")
	}
	if rest := bytes.TrimLeft(prefix, "0123456789."); len(rest) > 0 {
		l.say("prefix \"" + printable(prefix) + "\": \"" + printable(rest) + "\" is ignored; write [address]/length for a prefix length or IPv6")
	} else if len(f) > 2 && len(f[2]) > 0 {
		l.say("field 3 \"" + printable(f[2]) + "\" is ignored; write [address]/length for IPv6")
	}
	for _, x := range bytes.Split(prefix, []byte(".")) {
		if n, _ := scan.Number(x); n > 255 {
			l.say("prefix \"" + printable(prefix) + "\": a number over 255 is taken modulo 256")
			break
		}
	}
}

// record takes in one record of the present line.
func (l *linter) record(key, data []byte) error {
	if IsLocation(key) {
		if len(data) == 2 {
			l.defined[[2]byte(data)] = true
		}
		if first, twice := l.prefixes[string(key)]; twice {
			l.say("the same prefix as line " + utoa(int(first)) + ", which counts")
		} else {
			l.prefixes[string(key)] = l.line
		}
		return nil
	}
	r, ok := Decode(nil, key, data)
	if !ok {
		return nil
	}
	if r.Loc != [2]byte{} && l.lo[r.Loc] == 0 {
		l.lo[r.Loc] = l.line
	}
	name := dnsname.Name(r.Owner)
	for i, first := 0, true; name[i] != 0; i, first = i+1+int(name[i]), false {
		if !first && dnsname.IsWildcard(name[i:]) {
			l.say("an asterisk that is not the first label is an ordinary label: " + name.Text())
			break
		}
	}
	if err := rdata.Check(r.Type, r.Data); err != nil && !(r.Type == dns.TypeTXT && len(r.Data) == 0) {
		l.say("bad " + r.Type.String() + " data at " + name.Text() + ": " + err.Error())
	}
	n := l.nodes[name]
	if n == nil {
		n = &node{}
		l.nodes[name] = n
	}
	h := fnv(fnv(fnv(14695981039346656037, r.Data), r.Time[:]), r.Loc[:])
	// lines for several servers of one zone repeat its SOA, lines for several
	// zones of one server its address
	repeats := l.kind == '.' && r.Type == dns.TypeSOA || r.Type == dns.TypeA && (l.kind == '.' || l.kind == '&' || l.kind == '@' || l.kind == 'S')
	for _, o := range n.recs {
		if o.t == r.Type && o.hash == h && !repeats {
			l.say("the same " + r.Type.String() + " record of " + name.Text() + " is in line " + utoa(int(o.line)))
			break
		}
	}
	n.recs = append(n.recs, lintRec{r.Type, r.TTL, l.line, r.Time == [8]byte{} && r.Loc == [2]byte{}, r.Loc, h})
	if r.Type == dns.TypeRRSIG && len(r.Data) > 2 {
		n.covered = append(n.covered, dns.Type(binary.BigEndian.Uint16(r.Data)))
	}
	var target []byte
	switch r.Type {
	case dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME:
		target = r.Data
	case dns.TypeMX, dns.TypeSRV, dns.TypeSVCB, dns.TypeHTTPS:
		target, _ = rdata.Target(r.Type, r.Data)
	}
	if target != nil && dnsname.Valid(target) && len(target) > 1 {
		l.refs = append(l.refs, ref{l.line, name, r.Type, dnsname.Name(target).Lower()})
	}
	return nil
}

// fnv is FNV-1a, 64 bits.
func fnv(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return (h ^ 0xff) * 1099511628211
}

func (n *node) has(types ...dns.Type) bool {
	if n == nil {
		return false
	}
	return slices.ContainsFunc(n.recs, func(r lintRec) bool { return slices.Contains(types, r.t) })
}

func (n *node) first(t dns.Type) uint64 {
	for _, r := range n.recs {
		if r.t == t {
			return r.line
		}
	}
	return 0
}

// place is where a name stands among the zones of the file.
type place struct {
	zone, cut dnsname.Name // "" for none
}

// locate finds the closest zone of ours at or above name, and the highest cut
// between the zone and the name, the name itself included.
func (l *linter) locate(name dnsname.Name) (p place) {
	for n := name; ; n = dnsname.Parent(n) {
		if node := l.nodes[n]; node.has(dns.TypeNS) {
			if node.has(dns.TypeSOA) {
				p.zone = n
				return p
			}
			p.cut = n
		}
		if n == dnsname.Root {
			return p
		}
	}
}

// exists reports whether name exists by itself, as an empty non-terminal, or
// by a wildcard (RFC 4592, section 3.3).
func (l *linter) exists(name, zone dnsname.Name) bool {
	if l.nodes[name] != nil || l.above[name] {
		return true
	}
	for n := dnsname.Parent(name); dnsname.IsBelow(n, zone); n = dnsname.Parent(n) {
		if l.nodes[n] != nil || l.above[n] { // the closest encloser
			return l.nodes["\x01*"+n] != nil
		}
	}
	return false
}

// names looks at the names together.
func (l *linter) names() {
	for name := range l.nodes {
		for n := dnsname.Parent(name); ; n = dnsname.Parent(n) {
			if l.above[n] || name == dnsname.Root {
				break
			}
			l.above[n] = true
			if n == dnsname.Root {
				break
			}
		}
	}
	pointed := map[dnsname.Name]bool{}
	for _, r := range l.refs {
		pointed[r.target] = true
	}
	for name, n := range l.nodes {
		l.node(name, n, pointed)
	}
	for _, r := range l.refs {
		l.target(r)
	}
	for lo, line := range l.lo {
		if !l.defined[lo] {
			l.sayAt(line, "location \""+printable(bytes.TrimRight(lo[:], "\x00"))+"\" is given to no client by any % line")
		}
	}
}

func (l *linter) node(name dnsname.Name, n *node, pointed map[dnsname.Name]bool) {
	text := name.Text()
	line := n.recs[0].line
	if n.has(dns.TypeSOA) && !n.has(dns.TypeNS) {
		l.sayAt(n.first(dns.TypeSOA), "SOA of "+text+" without NS records is not noticed")
	}
	if dnsname.IsWildcard(name) {
		for _, t := range []dns.Type{dns.TypeSOA, dns.TypeNS, dns.TypeDNAME} {
			if n.has(t) {
				l.sayAt(n.first(t), t.String()+" of the wildcard "+text+" makes no zone or cut (RFC 4592, section 4)")
			}
		}
	}
	if n.has(dns.TypeCNAME) {
		cnames := 0
		los := map[[2]byte]bool{}
		for _, r := range n.recs {
			switch r.t {
			case dns.TypeCNAME:
				if los[r.lo] && r.plain {
					cnames++
				}
				los[r.lo] = true
			case dns.TypeRRSIG, dns.TypeNSEC: // RFC 4034, section 2.5
			default:
				l.sayAt(n.first(dns.TypeCNAME), "CNAME of "+text+" beside "+r.t.String()+" of line "+utoa(int(r.line))+" (RFC 1034, section 3.6.2)")
				cnames = -len(n.recs)
			}
			if cnames < 0 {
				break
			}
		}
		if cnames > 0 {
			l.sayAt(n.first(dns.TypeCNAME), "more than one CNAME of "+text)
		}
	}
	type set struct {
		t  dns.Type
		lo [2]byte
	}
	ttls := map[set]lintRec{}
	for _, r := range n.recs {
		if !r.plain && r.lo == [2]byte{} || r.t == dns.TypeRRSIG {
			continue // ttls of timed records change by themselves; RRSIGs go by what they cover
		}
		if o, ok := ttls[set{r.t, r.lo}]; !ok {
			ttls[set{r.t, r.lo}] = r
		} else if o.ttl != r.ttl {
			l.sayAt(r.line, "ttl "+utoa(int(r.ttl))+" of "+text+" "+r.t.String()+" differs from "+utoa(int(o.ttl))+" in line "+utoa(int(o.line))+" (RFC 2181, section 5.2)")
			break
		}
	}
	p := l.locate(name)
	switch {
	case p.zone == "" && p.cut == "" && !pointed[name]:
		l.sayAt(line, text+" is in no zone of this file: it is not served")
	case p.cut != "" && p.cut != name && !pointed[name]:
		l.sayAt(line, text+" is below the delegation of "+p.cut.Text()+" and no glue: it is not served")
	case p.cut == name && p.zone != "":
		for _, r := range n.recs {
			switch r.t {
			case dns.TypeNS, dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			case dns.TypeA, dns.TypeAAAA:
				if !pointed[name] {
					l.sayAt(r.line, r.t.String()+" of "+text+" at its own delegation is not served")
				}
			default:
				l.sayAt(r.line, r.t.String()+" of "+text+" at its own delegation is not served")
			}
		}
	}
	if n.has(dns.TypeDS) && !n.has(dns.TypeNS) {
		l.sayAt(n.first(dns.TypeDS), "DS of "+text+" without a delegation there")
	}
	if n.has(dns.TypeDNAME) && l.above[name] {
		l.sayAt(n.first(dns.TypeDNAME), "names below the DNAME of "+text+" are not served (RFC 6672, section 2.4)")
	}
	for _, t := range n.covered {
		if !n.has(t) {
			l.sayAt(n.first(dns.TypeRRSIG), "RRSIG of "+text+" for "+t.String()+", which is not there")
			break
		}
	}
	if z := l.nodes[name]; z.has(dns.TypeSOA) && z.has(dns.TypeDNSKEY) && !slices.Contains(n.covered, dns.TypeDNSKEY) {
		l.sayAt(n.first(dns.TypeDNSKEY), "DNSKEY of "+text+" without RRSIG: validators will refuse the zone once the parent has its DS")
	}
}

// target looks at what a record points to.
func (l *linter) target(r ref) {
	what := r.t.String() + " of " + r.owner.Text() + " points to " + r.target.Text()
	n := l.nodes[r.target]
	if r.t != dns.TypeCNAME && r.t != dns.TypeDNAME && n.has(dns.TypeCNAME) {
		l.sayAt(r.line, what+", which is a CNAME (RFC 2181, section 10.3)")
		return
	}
	if r.t == dns.TypeDNAME {
		return
	}
	addressed := n.has(dns.TypeA, dns.TypeAAAA)
	if r.t == dns.TypeNS && !addressed && dnsname.IsBelow(r.target, r.owner) {
		l.sayAt(r.line, what+" without an address there: glue is missing")
		return
	}
	p := l.locate(r.target)
	if p.zone == "" || p.cut != "" || addressed {
		return
	}
	if !l.exists(r.target, p.zone) {
		l.sayAt(r.line, what+", which does not exist in our zone "+p.zone.Text())
	} else if n != nil && r.t != dns.TypeCNAME {
		l.sayAt(r.line, what+", which has no address")
	}
}

// printable shows bytes of a file in a message.
func printable(s []byte) string {
	var out []byte
	for _, c := range s {
		if c >= ' ' && c < 127 {
			out = append(out, c)
		} else {
			out = append(out, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	}
	return string(out)
}
