// Package rpl plays resolver scenarios of unbound's replay language (.rpl)
// against the resolver in this process: scripted servers, virtual time, no
// socket. A scenario of minutes takes a millisecond.
//
//	parse.go   the language
//	match.go   does a message match what the scenario says?
//	play.go    servers, clock and client around one engine
//	sign.go    keys and signatures made anew, for zones signed with algorithms of old
//
// The semantics are those of the reference player (scenarios/rplrun): servers
// add the AA bit and known glue, referrals hold for all names below a cut, and
// what an answer must have is compared without regard to order.
package rpl

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// RR is a record of a scenario; Data is nil where it gives none.
type RR struct {
	Name  dnsname.Name
	TTL   uint32
	Class dns.Class
	Type  dns.Type
	Data  []byte
}

// Entry is a message of a scenario with how to match it.
type Entry struct {
	Line     int
	Match    []string // lower case
	Adjust   []string
	Flags    uint16
	RCode    dns.RCode
	HasRCode bool
	Opcode   dns.Opcode
	DO       bool
	Question *RR
	Sections [3][]RR // answer, authority, additional
	Hex      []byte
	IsHex    bool
	EDNS     []byte
	HasEDNS  bool
	extra    int
}

func (e *Entry) has(token string) bool {
	for _, m := range e.Match {
		if m == token {
			return true
		}
	}
	return false
}

func (e *Entry) value(key string) (string, bool) {
	for _, m := range e.Match {
		if v, ok := strings.CutPrefix(m, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

func (e *Entry) adjusts(token string) bool {
	for _, a := range e.Adjust {
		if a == token {
			return true
		}
	}
	return false
}

// Range is what some addresses answer during some steps.
type Range struct {
	Start, End int
	Addresses  []netip.Addr
	Entries    []*Entry
}

// Step is one step of the story.
type Step struct {
	Number  int
	Kind    string
	Address string
	Entry   *Entry
	Elapse  float64
}

// Option is a line of the CONFIG part.
type Option struct {
	Number  int
	Section string
	Key     string
	Values  []string
}

// Scenario is a parsed file.
type Scenario struct {
	Title   string
	Options []Option
	Ranges  []*Range
	Steps   []*Step
	Files   map[string]string // TEMPFILE_CONTENTS by name
	Deckard bool              // its dialect: no section headings
	Blocker string
}

var flagBits = map[string]uint16{"QR": 0x8000, "AA": 0x400, "TC": 0x200, "RD": 0x100, "RA": 0x80, "AD": 0x20, "CD": 0x10}

var rcodes = map[string]dns.RCode{"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMPL": 4, "NOTIMP": 4,
	"REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7, "NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10, "BADVERS": 16, "BADCOOKIE": 23}

var opcodes = map[string]dns.Opcode{"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5}

var sectionNumber = map[string]int{"ANSWER": 0, "AUTHORITY": 1, "ADDITIONAL": 2}

type parser struct {
	lines  []string
	pos    int
	origin dnsname.Name
	ttl    uint32
	sc     *Scenario
}

// Load reads a scenario file.
func Load(path string) (*Scenario, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sc, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sc, nil
}

// Parse reads a scenario.
func Parse(text string) (*Scenario, error) {
	p := &parser{lines: strings.Split(text, "\n"), origin: dnsname.Root, ttl: 3600, sc: &Scenario{Files: map[string]string{}}}
	p.config()
	if err := p.body(); err != nil {
		return nil, fmt.Errorf("line %d: %w", p.pos, err)
	}
	p.sc.Deckard = true
	for _, o := range p.sc.Options {
		if o.Number != 0 {
			p.sc.Deckard = false
		}
	}
	return p.sc, nil
}

func (p *parser) next() (string, bool) {
	if p.pos >= len(p.lines) {
		return "", false
	}
	p.pos++
	return strings.TrimRight(p.lines[p.pos-1], "\r"), true
}

// strip removes a comment, minding quotes and backslashes.
func strip(line, marks string, afterBlank bool) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && !afterBlank:
			i++
		case c == '"':
			quoted = !quoted
		case strings.IndexByte(marks, c) >= 0 && !quoted:
			if !afterBlank || i == 0 || line[i-1] == ' ' || line[i-1] == '\t' {
				return strings.TrimSpace(line[:i])
			}
		}
	}
	return strings.TrimSpace(line)
}

var (
	wordRE    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\S+`)
	keyRE     = regexp.MustCompile(`^[a-z][a-z0-9-]*:$`)
	featureRE = regexp.MustCompile(`^features?(-list)?\s*:`)
)

var configSections = map[string]bool{"server": true, "stub-zone": true, "forward-zone": true, "auth-zone": true,
	"rpz": true, "remote-control": true, "view": true, "python": true, "dynlib": true, "cachedb": true,
	"dnscrypt": true, "dnstap": true, "ipset": true, "fwd-zone": true}

func (p *parser) config() {
	has := false
	for _, l := range p.lines {
		if strings.HasPrefix(strings.TrimSpace(l), "CONFIG_END") {
			has = true
		}
	}
	if !has {
		return
	}
	section, number := "server", 0
	var pending *Option
	flush := func() {
		if pending != nil {
			p.sc.Options = append(p.sc.Options, *pending)
		}
		pending = nil
	}
	for {
		raw, ok := p.next()
		line := strings.TrimSpace(raw)
		if !ok || strings.HasPrefix(line, "CONFIG_END") {
			break
		}
		switch {
		case strings.HasPrefix(line, "TEMPFILE_CONTENTS"):
			name := strings.TrimSpace(strings.TrimPrefix(line, "TEMPFILE_CONTENTS"))
			var b strings.Builder
			for {
				raw, ok := p.next()
				if !ok || strings.HasPrefix(strings.TrimSpace(raw), "TEMPFILE_END") {
					break
				}
				b.WriteString(raw + "\n")
			}
			p.sc.Files[name] = b.String()
			continue
		case strings.HasPrefix(line, "AUTOTRUST_FILE"):
			p.sc.Blocker = "needs files of its own"
			for {
				raw, ok := p.next()
				if !ok || strings.HasPrefix(strings.TrimSpace(raw), "AUTOTRUST_END") {
					break
				}
			}
			continue
		case strings.HasPrefix(line, "TEMPFILE_NAME"):
			if f := strings.Fields(line); pending != nil && len(f) > 1 {
				pending.Values = append(pending.Values, f[1])
			}
			continue
		case strings.HasPrefix(line, "COMMANDLINE"):
			continue
		case strings.HasPrefix(line, ";"), strings.HasPrefix(line, "#"):
			continue
		}
		line = strip(line, "#;", true)
		if featureRE.MatchString(line) {
			flush()
			k, v, _ := strings.Cut(line, ":")
			p.sc.Options = append(p.sc.Options, Option{number, "server", strings.TrimSpace(k), []string{strings.TrimSpace(v)}})
			continue
		}
		for _, w := range wordRE.FindAllString(line, -1) {
			if keyRE.MatchString(w) {
				flush()
				key := strings.TrimSuffix(w, ":")
				if configSections[key] {
					section = key
					number++
				} else {
					pending = &Option{number, section, key, nil}
				}
			} else if pending != nil {
				pending.Values = append(pending.Values, strings.Trim(w, `"`))
			}
		}
	}
	flush()
}

func (p *parser) body() error {
	for {
		raw, ok := p.next()
		if !ok {
			return nil
		}
		f := strings.Fields(strip(raw, ";", false))
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "SCENARIO_BEGIN":
			p.sc.Title = strings.Join(f[1:], " ")
		case "SCENARIO_END":
			return nil
		case "RANGE_BEGIN":
			r := &Range{}
			if len(f) < 3 {
				return fmt.Errorf("RANGE_BEGIN without numbers")
			}
			r.Start, _ = strconv.Atoi(f[1])
			r.End, _ = strconv.Atoi(f[2])
			if err := p.rangeBlock(r); err != nil {
				return err
			}
			p.sc.Ranges = append(p.sc.Ranges, r)
		case "STEP":
			if err := p.step(f); err != nil {
				return err
			}
		default:
			p.directive(f)
		}
	}
}

func (p *parser) directive(f []string) bool {
	if len(f) < 2 {
		return false
	}
	switch f[0] {
	case "$ORIGIN":
		if n, err := dnsname.ParseMaster(f[1], dnsname.Root); err == nil {
			p.origin = n
		}
		return true
	case "$TTL":
		if v, ok := ttl(f[1]); ok {
			p.ttl = v
		}
		return true
	}
	return false
}

func (p *parser) rangeBlock(r *Range) error {
	for {
		raw, ok := p.next()
		if !ok {
			return nil
		}
		f := strings.Fields(strip(raw, ";", false))
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "RANGE_END", "END_RANGE":
			return nil
		case "ADDRESS":
			for _, a := range f[1:] {
				if ip, err := netip.ParseAddr(a); err == nil {
					r.Addresses = append(r.Addresses, ip)
				}
			}
		case "ENTRY_BEGIN":
			e, err := p.entry()
			if err != nil {
				return err
			}
			r.Entries = append(r.Entries, e)
		default:
			p.directive(f)
		}
	}
}

func (p *parser) step(f []string) error {
	if len(f) < 3 {
		return fmt.Errorf("STEP without kind")
	}
	s := &Step{Kind: f[2]}
	s.Number, _ = strconv.Atoi(f[1])
	rest := f[3:]
	if s.Kind == "TIME_PASSES" {
		if len(rest) > 1 && rest[0] == "ELAPSE" {
			s.Elapse, _ = strconv.ParseFloat(rest[1], 64)
		} else {
			s.Kind = "TIME_PASSES_EVAL"
		}
	}
	for i, w := range rest {
		if w == "ADDRESS" && i+1 < len(rest) {
			s.Address = rest[i+1]
		}
	}
	p.sc.Steps = append(p.sc.Steps, s)
	switch s.Kind {
	case "QUERY", "CHECK_ANSWER", "CHECK_OUT_QUERY", "REPLY":
		for {
			save := p.pos
			raw, ok := p.next()
			if !ok {
				return nil
			}
			g := strings.Fields(strip(raw, ";", false))
			if len(g) == 0 {
				continue
			}
			switch {
			case g[0] == "ADDRESS" && len(g) > 1:
				s.Address = g[1]
			case g[0] == "ENTRY_BEGIN":
				e, err := p.entry()
				s.Entry = e
				return err
			default:
				p.pos = save
				return nil
			}
		}
	case "CHECK_AUTOTRUST", "CHECK_TEMPFILE":
		p.sc.Blocker = "checks files"
		for {
			raw, ok := p.next()
			if !ok || strings.HasPrefix(strings.TrimSpace(raw), "FILE_END") {
				return nil
			}
		}
	}
	return nil
}

func (p *parser) hexUntil(end string) ([]byte, error) {
	var text strings.Builder
	for {
		raw, ok := p.next()
		l := strip(raw, ";", false)
		if !ok || strings.HasPrefix(l, end) {
			break
		}
		text.WriteString(strings.Join(strings.Fields(l), ""))
	}
	return hex.DecodeString(text.String())
}

func (p *parser) entry() (*Entry, error) {
	e := &Entry{Line: p.pos}
	section := ""
	for {
		raw, ok := p.next()
		if !ok {
			return e, nil
		}
		line := strip(raw, ";", false)
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "ENTRY_END":
			return e, nil
		case "MATCH":
			for _, w := range f[1:] {
				e.Match = append(e.Match, strings.ToLower(w))
			}
		case "ADJUST":
			e.Adjust = append(e.Adjust, f[1:]...)
		case "REPLY", "FLAGS":
			for _, w := range f[1:] {
				if b, ok := flagBits[w]; ok {
					e.Flags |= b
				} else if w == "DO" {
					e.DO = true
				} else if r, ok := rcodes[w]; ok {
					e.RCode, e.HasRCode = r, true
				} else if o, ok := opcodes[w]; ok {
					e.Opcode = o
				}
			}
		case "MANDATORY":
		case "TSIG":
			p.sc.Blocker = "TSIG"
		case "EXTRA_PACKET":
			e.extra++
			p.sc.Blocker = "zone transfers"
		case "SECTION":
			section = ""
			if len(f) > 1 {
				section = f[1]
			}
		case "HEX_ANSWER_BEGIN":
			b, err := p.hexUntil("HEX_ANSWER_END")
			if err != nil {
				return nil, err
			}
			e.Hex, e.IsHex = b, true
		case "HEX_EDNSDATA_BEGIN":
			b, err := p.hexUntil("HEX_EDNSDATA_END")
			if err != nil {
				return nil, err
			}
			e.EDNS, e.HasEDNS = b, true
		case "RAW":
			var text strings.Builder
			for {
				raw, ok := p.next()
				l := strip(raw, ";", false)
				if !ok || strings.HasPrefix(l, "ENTRY_END") {
					p.pos--
					break
				}
				text.WriteString(strings.Join(strings.Fields(l), ""))
			}
			if !strings.Contains(text.String(), "NULL") {
				b, err := hex.DecodeString(text.String())
				if err != nil {
					return nil, err
				}
				e.Hex = b
			}
			e.IsHex = true
		default:
			if p.directive(f) {
				continue
			}
			if section == "QUESTION" {
				rr, err := p.rr(line, true)
				if err != nil {
					return nil, err
				}
				e.Question = &rr
				continue
			}
			n, ok := sectionNumber[section]
			if !ok {
				return nil, fmt.Errorf("cannot place %q", line)
			}
			if e.extra > 0 {
				continue
			}
			rr, err := p.rr(line, false)
			if err != nil {
				return nil, err
			}
			e.Sections[n] = append(e.Sections[n], rr)
		}
	}
}

var units = map[byte]uint32{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}

func ttl(w string) (uint32, bool) {
	mul := uint32(1)
	if n := len(w); n > 1 {
		if u, ok := units[w[n-1]|0x20]; ok {
			mul = u
			w = w[:n-1]
		}
	}
	v, err := strconv.ParseUint(w, 10, 32)
	return uint32(v) * mul, err == nil
}

var classes = map[string]dns.Class{"IN": 1, "CH": 3, "HS": 4, "NONE": 254, "ANY": 255}

func (p *parser) rr(line string, question bool) (rr RR, err error) {
	w := wordRE.FindAllString(line, -1)
	if rr.Name, err = dnsname.ParseMaster(w[0], p.origin); err != nil {
		return rr, fmt.Errorf("%s: %w", w[0], err)
	}
	w = w[1:]
	rr.TTL, rr.Class = p.ttl, dns.ClassIN
	for len(w) > 0 {
		if v, ok := ttl(w[0]); ok {
			rr.TTL = v
			w = w[1:]
			continue
		}
		c, ok := classes[strings.ToUpper(w[0])]
		if !ok || c == dns.ClassANY && len(w) == 1 {
			break
		}
		rr.Class = c
		w = w[1:]
	}
	if len(w) == 0 {
		return rr, fmt.Errorf("record without a type: %s", line)
	}
	t, ok := dns.ParseType(strings.ToUpper(w[0]))
	if !ok {
		return rr, fmt.Errorf("unknown type %s", w[0])
	}
	rr.Type = t
	if question {
		return rr, nil
	}
	var rest []string
	for _, x := range w[1:] {
		if x != "(" && x != ")" {
			rest = append(rest, x)
		}
	}
	if len(rest) == 0 {
		return rr, nil
	}
	rr.Data, err = rdata.Parse(nil, t, []byte(strings.Join(rest, " ")), p.origin)
	if err != nil {
		d := p.odd(t, rest)
		if d == nil {
			return rr, fmt.Errorf("%s: %w", line, err)
		}
		rr.Data, err = d, nil
	}
	return rr, nil
}

// odd reads data that are malformed on purpose.
func (p *parser) odd(t dns.Type, w []string) []byte {
	num := func(s string) uint64 { v, _ := strconv.ParseUint(s, 10, 32); return v }
	if len(w) > 2 && w[0] == `\#` { // RFC 3597, section 5, with data of a wrong length
		d, _ := hex.DecodeString(strings.Join(w[2:], ""))
		return d
	}
	switch t {
	case dns.TypeRRSIG:
		if len(w) < 8 {
			return nil
		}
		head, err := rdata.Parse(nil, t, []byte(strings.Join(w[:8], " ")+" AA=="), p.origin)
		if err != nil {
			return nil
		}
		text := strings.Join(w[8:], "")
		sig, _ := base64.StdEncoding.DecodeString(text[:len(text)/4*4])
		return append(head[:len(head)-1], sig...)
	case dns.TypeDS:
		if len(w) < 3 {
			return nil
		}
		d, err := hex.DecodeString(strings.Join(w[3:], ""))
		if err != nil {
			return nil
		}
		return append([]byte{byte(num(w[0]) >> 8), byte(num(w[0])), byte(num(w[1])), byte(num(w[2]))}, d...)
	case dns.TypeSOA:
		if len(w) > 7 {
			d, _ := rdata.Parse(nil, t, []byte(strings.Join(w[:7], " ")), p.origin)
			return d
		}
	case dns.TypeA:
		var b []byte
		for _, x := range strings.Split(w[0], ".") {
			b = append(b, byte(num(x)))
		}
		return b
	case dns.TypeDNSKEY:
		if len(w) >= 4 {
			text := strings.Join(w[3:], "")
			key, _ := base64.StdEncoding.DecodeString(text[:len(text)/4*4])
			return append([]byte{byte(num(w[0]) >> 8), byte(num(w[0])), byte(num(w[1])), byte(num(w[2]))}, key...)
		}
	}
	return nil
}

// build makes a message of sections.
func build(id, flags uint16, opcode dns.Opcode, rcode dns.RCode, q *RR, sections [3][]RR, opt []byte, withOPT bool, do bool) []byte {
	var b wire.Builder
	b.Reset(nil, 65535, id, flags|uint16(opcode&15)<<11|uint16(rcode&15))
	if q != nil {
		b.Question([]byte(q.Name), q.Type, q.Class)
	}
	for i, s := range sections {
		for _, rr := range s {
			// names in data stay uncompressed, as type 65280 tells the builder
			appendRaw(&b, wire.Section(i+1), rr)
		}
	}
	if withOPT {
		b.OPT(4096, rcode, do, opt)
	}
	return b.Finish()
}

func appendRaw(b *wire.Builder, s wire.Section, rr RR) {
	if b.RR(s, []byte(rr.Name), rr.Type, rr.Class, rr.TTL, rr.Data) {
		return
	}
	// malformed data of a type whose names the builder compresses: its bytes
	// are written by way of a type that it does not know
	m := b.Len()
	if b.RR(s, []byte(rr.Name), 65280, rr.Class, rr.TTL, rr.Data) {
		out := b.Finish()
		off, _ := wire.SkipName(out, m)
		out[off], out[off+1] = byte(rr.Type>>8), byte(rr.Type)
	}
}
