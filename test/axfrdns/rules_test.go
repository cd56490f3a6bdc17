package axfrdns

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/tai64"
	"bulkhead/internal/wire"
	"bulkhead/test/model"
)

// checker compares one connection with what 1.05 wrote and the rules say.
type checker struct {
	t         *testing.T
	m         *model.Model
	rules     map[string]int // how often each decided
	what      string
	all       model.Rule
	silent    bool // ends where 1.05 ended
	transfers int
}

// frames cuts a stream into messages; what is cut off at the end is dropped.
func frames(b []byte) (out [][]byte) {
	for len(b) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(b))
		if len(b) < n {
			break
		}
		out = append(out, b[2:n])
		b = b[n:]
	}
	return out
}

func (k *checker) check(c block, stdin, got []byte) {
	k.t.Helper()
	old, _ := hex.DecodeString(c.one("stdout"))
	was, now := frames(old), frames(got)
	if n := len(got) - 2*len(now) - len(bytes.Join(now, nil)); n != 0 {
		k.t.Errorf("%s: %d bytes that are no message", k.what, n)
	}
	ended := false // whether 1.05 had ended the connection
	for _, q := range frames(stdin) {
		if len(q) < 12 || q[2]&0x80 != 0 || q[4] != 0 || q[5] != 1 {
			break // "truncated request", "bogus query": the end in both
		}
		m := new(mdns.Msg)
		if m.Unpack(q) != nil || len(m.Question) != 1 {
			break
		}
		typ, class := m.Question[0].Qtype, m.Question[0].Qclass
		plain := m.Opcode == mdns.OpcodeQuery && !m.Authoritative && !m.Truncated && (class == mdns.ClassINET || class == mdns.ClassANY)
		if plain && (typ == mdns.TypeAXFR || typ == mdns.TypeIXFR) {
			var stop bool
			if was, now, stop = k.transfer(c, m, was, now, &ended); stop {
				break
			}
			continue
		}
		query := model.Query{Packet: q, Client: client(c), Now: tai64.Seconds(time.Now()), TCP: true}
		var a, b []byte
		if !ended && len(was) > 0 {
			a, was = was[0], was[1:]
		} else {
			ended = true
		}
		want, _ := k.m.Answer(query, k.all)
		if want != nil {
			if len(now) == 0 {
				k.t.Errorf("%s: no answer to %x, want %x", k.what, q, want)
				return
			}
			b, now = now[0], now[1:]
		}
		if !model.Same(b, want) {
			k.t.Errorf("%s: answer\n%x, the rules say\n%x", k.what, b, want)
		}
		if a != nil && !model.Same(a, b) {
			if o, _ := k.m.Answer(query, 0); !model.Same(o, a) {
				k.t.Errorf("%s: the model of 1.05 is wrong:\n%x, recorded\n%x", k.what, o, a)
			}
			why, ok := k.m.Explain(query, model.Same, a, b)
			if !ok && k.all == model.All {
				k.t.Errorf("%s: not explained:\n%x, 1.05\n%x", k.what, b, a)
			}
			for _, r := range why {
				k.rules[r]++
			}
		}
		if want == nil && k.silent {
			break
		}
		if a == nil && want != nil {
			k.rules["goes on where 1.05 ended"]++
		}
	}
	if len(now) > 0 {
		k.t.Errorf("%s: %d messages too many, the first %x", k.what, len(now), now[0])
	}
}

func client(c block) (a [4]byte) {
	for _, e := range c.all("env") {
		if v, ok := strings.CutPrefix(e, "TCPREMOTEIP="); ok {
			fmt.Sscanf(v, "%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3])
		}
	}
	return a
}

// transfer checks the answer to one question for a zone, and gives what is left
// of both streams.
func (k *checker) transfer(c block, q *mdns.Msg, was, now [][]byte, ended *bool) (oldRest, newRest [][]byte, stop bool) {
	k.t.Helper()
	stderr := strings.Join(c.all("stderr"), "\n")
	head := func(rcode int) *mdns.Msg {
		r := new(mdns.Msg)
		r.SetRcode(q, rcode)
		r.Authoritative = false
		return r
	}
	take := func() (m message, ok bool) {
		if len(now) == 0 {
			k.t.Errorf("%s: the transfer ends early", k.what)
			return m, false
		}
		m, ok = parse(now[0])
		if !ok {
			k.t.Errorf("%s: no message: %x", k.what, now[0])
		}
		now = now[1:]
		return m, ok
	}
	if q.Question[0].Qtype == mdns.TypeIXFR {
		// 1.05 took it for an ordinary type: one message, whatever it was
		k.rules["ixfr"]++
		if len(was) > 0 {
			was = was[1:]
		}
	} else if *ended || len(was) == 0 {
		// refused: 1.05 said why and ended
		*ended = true
		rcode := mdns.RcodeNotAuth
		if strings.Contains(stderr, "disallowed zone transfer request") {
			rcode = mdns.RcodeRefused
		}
		if k.silent {
			return was, now, true
		}
		m, ok := take()
		if ok {
			k.rules["axfr-refused"]++
			if want, _ := head(rcode).Pack(); !bytes.Equal(m.raw, want) {
				k.t.Errorf("%s: refused with\n%x, want\n%x", k.what, m.raw, want)
			}
		}
		return was, now, !ok
	}
	// what 1.05 sent: a record a message, from the zone's SOA to the next
	var sent []record
	zone := wireName(q.Question[0].Name)
	ixfr := q.Question[0].Qtype == mdns.TypeIXFR
	for len(was) > 0 && !ixfr {
		m, ok := parse(was[0])
		if !ok || len(m.answer) != 1 {
			k.t.Fatalf("%s: recorded %x", k.what, was[0])
		}
		was = was[1:]
		r := m.answer[0]
		sent = append(sent, r)
		if len(sent) > 1 && r.typ == dns.TypeSOA && r.owner == zone {
			break
		}
	}
	want := k.expectTransfer(zone, sent)
	var have []record
	for first := true; first || len(have) < 2 || have[len(have)-1].typ != dns.TypeSOA; first = false {
		m, ok := take()
		if !ok {
			return was, now, true
		}
		asked := m.raw[12:m.questionEnd]
		if want := uint16(wire.BitQR|wire.BitAA) | binary.BigEndian.Uint16(m.raw[2:])&wire.BitRD; m.id != q.Id || m.bits != want ||
			q.RecursionDesired != (m.bits&wire.BitRD != 0) || m.others != 0 || (m.questions == 1) != first ||
			first && !bytes.Equal(asked, question1(q)) {
			k.t.Errorf("%s: message %x", k.what, m.raw)
		}
		if !first && len(m.raw) < 512 && len(have) < 1000 {
			k.t.Errorf("%s: a message for so little: %x", k.what, m.raw)
		}
		have = append(have, m.answer...)
		if ixfr && len(have) == 1 {
			break // the SOA alone
		}
	}
	if ixfr {
		return was, now, false
	}
	k.transfers++
	k.rules["axfr-question"]++
	k.rules["axfr-packed"]++
	if len(want) < len(sent) {
		k.rules["axfr-contents"]++
	}
	if !slices.Equal(want, have) {
		k.t.Errorf("%s: records\n%+q\nthe rules say\n%+q", k.what, fmt.Sprint(have), fmt.Sprint(want))
	}
	return was, now, false
}

// record is one with its names whole.
type record struct {
	owner string // wire form
	typ   dns.Type
	class dns.Class
	ttl   uint32
	data  string
}

type message struct {
	raw               []byte
	id, bits          uint16
	questions, others int
	questionEnd       int
	answer            []record
}

// parse takes a message of a transfer apart. Only names that RFC 3597, section
// 4 allows to be compressed are expanded.
func parse(b []byte) (m message, ok bool) {
	c, err := wire.Parse(b)
	if err != nil {
		return m, false
	}
	m.raw, m.id, m.bits = b, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	m.questions = int(binary.BigEndian.Uint16(b[4:]))
	m.others = int(binary.BigEndian.Uint16(b[8:])) + int(binary.BigEndian.Uint16(b[10:]))
	if c.SkipQuestions() != nil {
		return m, false
	}
	m.questionEnd = c.Offset()
	var r wire.RR
	for {
		more, err := c.Next(&r)
		if err != nil {
			return m, false
		}
		if !more {
			return m, true
		}
		owner, _, err := wire.AppendName(nil, b, r.Owner)
		if err != nil {
			return m, false
		}
		fixed, names := 0, 0
		switch r.Type {
		case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
			names = 1
		case dns.TypeMX:
			fixed, names = 2, 1
		case dns.TypeSOA:
			names = 2
		}
		off, end := r.Data+fixed, r.Data+r.Len
		data := bytes.Clone(b[r.Data:off])
		for ; names > 0; names-- {
			if data, off, err = wire.AppendName(data, b, off); err != nil || off > end {
				return m, false
			}
		}
		data = append(data, b[off:end]...)
		m.answer = append(m.answer, record{string(owner), r.Type, r.Class, r.TTL, string(data)})
	}
}

// wireName is a name of a question, in lower case.
func wireName(text string) string {
	var b [256]byte
	n, _ := mdns.PackDomainName(text, b[:], 0, nil, false)
	return string(dnsname.Lower(b[:n]))
}

func question1(q *mdns.Msg) []byte {
	m := mdns.Msg{Question: q.Question}
	b, _ := m.Pack()
	return b[12:]
}

// expectTransfer applies the rule axfr-contents to the records that 1.05 sent:
// nothing below the zone's cuts but the addresses of the servers that they
// name, at a cut NS and what proves it, at the apex not the parent's DS.
func (k *checker) expectTransfer(zone string, sent []record) (want []record) {
	delegated := map[string]bool{} // names below the zone with NS records
	for _, r := range sent {
		if r.typ == dns.TypeNS && r.owner != zone && !strings.HasPrefix(r.owner, "\x01*") {
			delegated[r.owner] = true
		}
	}
	// the highest cut at or above a name
	cut := func(name string) (found string) {
		for n := name; n != zone && len(n) > 1; n = n[1+int(n[0]):] {
			if delegated[n] {
				found = n
			}
		}
		return found
	}
	named := map[string]bool{} // servers of the zone and of cuts that are not below others
	for _, r := range sent {
		if r.typ == dns.TypeNS && !strings.HasPrefix(r.owner, "\x01*") && (r.owner == zone || cut(r.owner) == r.owner) {
			named[string(dnsname.Lower([]byte(r.data)))] = true
		}
	}
	for _, r := range sent {
		at := cut(r.owner)
		address := r.typ == dns.TypeA || r.typ == dns.TypeAAAA
		switch {
		case r.owner == zone:
			if r.typ == dns.TypeDS {
				continue
			}
		case at == "":
		case at == r.owner:
			if r.typ != dns.TypeNS && r.typ != dns.TypeDS && r.typ != dns.TypeNSEC && r.typ != dns.TypeRRSIG && !(address && named[r.owner]) {
				continue
			}
		case !(address && named[r.owner]):
			continue
		}
		want = append(want, r)
	}
	return want
}
