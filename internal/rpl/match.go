package rpl

import (
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// message is a parsed message.
type message struct {
	id       uint16
	flags    uint16
	opcode   dns.Opcode
	rcode    dns.RCode
	question *RR
	sections [3][]RR
	edns     wire.EDNS
}

func parseMessage(msg []byte) (*message, error) {
	c, err := wire.Parse(msg)
	if err != nil {
		return nil, err
	}
	m := &message{id: c.Header.ID, flags: c.Header.Bits, opcode: c.Header.Opcode(), rcode: c.Header.RCode()}
	if c.Header.QDCount > 0 {
		name, t, class, err := c.Question(nil)
		if err != nil {
			return nil, err
		}
		m.question = &RR{Name: dnsname.Name(name), Type: t, Class: class}
	}
	if err := c.SkipQuestions(); err != nil {
		return nil, err
	}
	var rr wire.RR
	for {
		ok, err := c.Next(&rr)
		if err != nil {
			return nil, err
		}
		if !ok {
			return m, nil
		}
		if rr.Type == dns.TypeOPT {
			m.edns = wire.EDNS{Present: true, UDPSize: uint16(rr.Class), Ext: uint8(rr.TTL >> 24),
				Version: uint8(rr.TTL >> 16), DO: rr.TTL&(1<<15) != 0, Options: rr.RData(msg)}
			m.rcode |= dns.RCode(m.edns.Ext) << 4
			continue
		}
		owner, _, err := wire.AppendName(nil, msg, rr.Owner)
		if err != nil {
			return nil, err
		}
		data, err := rdata.AppendUncompressed(nil, msg, rr.Type, rr.Data, rr.Len)
		if err != nil {
			data = append([]byte(nil), rr.RData(msg)...)
		}
		m.sections[rr.Section-1] = append(m.sections[rr.Section-1],
			RR{Name: dnsname.Name(owner), TTL: rr.TTL, Class: rr.Class, Type: rr.Type, Data: data})
	}
}

// matchesQuery: does the resolver's question q meet the entry?
func (e *Entry) matchesQuery(q *message, tcp bool) bool {
	for _, m := range e.Match {
		qn, en := q.question, e.Question
		switch m {
		case "opcode":
			if q.opcode != e.Opcode {
				return false
			}
		case "flags":
			if q.flags&0x07b0 != e.Flags&0x07b0 {
				return false
			}
		case "do":
			if !q.edns.DO {
				return false
			}
		case "noedns":
			if q.edns.Present {
				return false
			}
		case "udp":
			if tcp {
				return false
			}
		case "tcp":
			if !tcp {
				return false
			}
		case "subdomain":
			if qn == nil || en == nil || !dnsname.IsBelow(qn.Name, en.Name) {
				return false
			}
		}
		if (m == "qtype" || m == "question") && (qn == nil || en == nil || qn.Type != en.Type) {
			return false
		}
		if (m == "qname" || m == "question" || m == "qcase") && (qn == nil || en == nil || !dnsname.Equal(qn.Name, en.Name)) {
			return false
		}
	}
	return true
}

// key identifies a record for comparison.
func key(r RR) string {
	name := string(r.Name.Lower())
	if r.Type == dns.TypeRRSIG && len(r.Data) > 2 {
		return fmt.Sprintf("%x %d RRSIG %d", name, r.Class, int(r.Data[0])<<8|int(r.Data[1]))
	}
	return fmt.Sprintf("%x %d %d %x", name, r.Class, r.Type, canonical(r))
}

func canonical(r RR) []byte {
	if rdata.Check(r.Type, r.Data) != nil {
		return r.Data
	}
	d := rdata.AppendCanonical(nil, r.Type, r.Data)
	// names in SOA, MX ... compare without case; so do NSEC's
	if r.Type == dns.TypeNSEC {
		if n, ok := dnsname.Scan(d); ok {
			dnsname.Lower(d[:n])
		}
	}
	return d
}

func show(r RR) string {
	return fmt.Sprintf("%v %v %s", r.Name, r.Type, rdata.AppendText(nil, r.Type, r.Data))
}

func flagText(v uint16) string {
	var out []string
	for _, n := range []string{"QR", "AA", "TC", "RD", "RA", "AD", "CD"} {
		if v&flagBits[n] != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, " ")
}

// check compares an answer with what the scenario expects; "" if it is right.
// What any correct resolver must get right counts: RCODE, flags but AA,
// question, the answer section, the negative proof.
func (e *Entry) check(m *message, checkEDE bool) string {
	tokens := map[string]bool{}
	for _, t := range e.Match {
		switch t {
		case "all", "all_noedns":
			for _, x := range []string{"opcode", "qtype", "qname", "flags", "rcode", "answer", "authority", "all"} {
				tokens[x] = true
			}
		case "question":
			tokens["qtype"], tokens["qname"] = true, true
		default:
			tokens[t] = true
		}
	}
	full := tokens["all"]
	if tokens["opcode"] && m.opcode != e.Opcode {
		return fmt.Sprintf("opcode %d, expected %d", m.opcode, e.Opcode)
	}
	if q := e.Question; q != nil {
		if tokens["qname"] && (m.question == nil || !dnsname.Equal(m.question.Name, q.Name)) {
			return "wrong question name"
		}
		if tokens["qcase"] && (m.question == nil || m.question.Name != q.Name) {
			return "question name in other case"
		}
		if tokens["qtype"] && (m.question == nil || m.question.Type != q.Type) {
			return "wrong question type"
		}
	}
	if tokens["rcode"] && m.rcode != e.RCode {
		return fmt.Sprintf("rcode %d, expected %d", m.rcode, e.RCode)
	}
	if tokens["flags"] {
		mask := uint16(0x87b0)
		if full {
			mask = 0x81b0
		}
		if m.flags&mask != e.Flags&mask {
			return fmt.Sprintf("flags %s, expected %s", flagText(m.flags&mask), flagText(e.Flags&mask))
		}
	}
	failed := (e.RCode == dns.RCodeServFail || e.RCode == dns.RCodeRefused) && full
	if tokens["answer"] && !failed {
		want, got := map[string]RR{}, map[string]RR{}
		for _, r := range e.Sections[0] {
			if r.Data != nil {
				want[key(r)] = r
			}
		}
		for _, r := range m.sections[0] {
			got[key(r)] = r
		}
		var diff []string
		for k, r := range want {
			if _, ok := got[k]; !ok {
				diff = append(diff, "missing "+show(r))
			}
		}
		for k, r := range got {
			if _, ok := want[k]; !ok {
				diff = append(diff, "extra "+show(r))
			}
		}
		if len(diff) > 0 {
			sort.Strings(diff)
			return "answer: " + strings.Join(diff, "; ")
		}
	}
	if tokens["authority"] && !failed {
		proof := func(rrs []RR) map[string]RR {
			out := map[string]RR{}
			for _, r := range rrs {
				if r.Data != nil && (r.Type == dns.TypeSOA || r.Type == dns.TypeNSEC || r.Type == dns.TypeNSEC3) {
					out[fmt.Sprintf("%x %d", string(r.Name.Lower()), r.Type)] = r
				}
			}
			return out
		}
		have := proof(m.sections[1])
		for k, r := range proof(e.Sections[1]) {
			if _, ok := have[k]; !ok {
				return "authority: missing " + show(r)
			}
		}
	}
	if tokens["ttl"] {
		want := map[string]uint32{}
		for _, r := range e.Sections[0] {
			want[fmt.Sprintf("%x %d", string(r.Name.Lower()), r.Type)] = r.TTL
		}
		for _, r := range m.sections[0] {
			if w, ok := want[fmt.Sprintf("%x %d", string(r.Name.Lower()), r.Type)]; ok && (r.TTL > w+1 || r.TTL+4 < w) {
				return fmt.Sprintf("ttl of %v %v is %d, expected %d", r.Name, r.Type, r.TTL, w)
			}
		}
	}
	if v, ok := e.value("ede"); ok && checkEDE {
		codes := m.ede()
		good := len(codes) > 0 && (v == "any" || v == "0")
		for _, c := range codes {
			good = good || strconv.Itoa(c) == v
		}
		if !good {
			return fmt.Sprintf("EDE %v, expected %s", codes, v)
		}
	}
	if e.IsHex && len(e.Hex) >= 2 {
		return "raw answers are compared elsewhere: " + hex.EncodeToString(e.Hex)
	}
	return ""
}

func (m *message) ede() (codes []int) {
	opts := m.edns.Options
	for {
		code, data, rest, ok := wire.NextOption(opts)
		if !ok {
			return codes
		}
		if code == dns.OptEDE && len(data) >= 2 {
			codes = append(codes, int(data[0])<<8|int(data[1]))
		}
		opts = rest
	}
}
