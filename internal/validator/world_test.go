package validator

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/wire"
)

const testNow = 1800000000

// world lets a validator ask a tree of zones. It stands for the resolver: one
// message a question, aliases not followed.
type world struct {
	tree *signedtree.Tree
	v    *Validator
	now  int64
	// forge may change a response on the wire; nil: leave it.
	forge func(name dnsname.Name, t dns.Type, msg []byte) []byte
	asked int
}

func newWorld(tree *signedtree.Tree, anchors ...*signedtree.Zone) *world {
	var cfg Config
	for _, z := range anchors {
		cfg.Anchors = append(cfg.Anchors, z.Anchor())
	}
	return &world{tree: tree, v: New(cfg), now: testNow}
}

// message asks the tree, by way of the wire.
func (w *world) message(name dnsname.Name, t dns.Type) *resolver.Message {
	z := w.tree.ZoneFor(name, t)
	if z == nil {
		return nil
	}
	a := z.Ask(name, t)
	msg := a.Wire(1, name, t)
	if w.forge != nil {
		msg = w.forge(name, t, msg)
	}
	w.asked++
	return parse(msg, name, t)
}

// parse groups a response as the resolver does; nil if it is malformed or not
// an answer to the question.
func parse(msg []byte, name dnsname.Name, t dns.Type) *resolver.Message {
	c, err := wire.Parse(msg)
	if err != nil || c.Header.QDCount != 1 || c.Header.Bits&wire.BitQR == 0 {
		return nil
	}
	qn, qt, qc, err := c.Question(nil)
	if err != nil || !dnsname.Equal(qn, name) || qt != t || qc != dns.ClassIN {
		return nil
	}
	if rc := c.Header.RCode(); rc != dns.RCodeSuccess && rc != dns.RCodeNXDomain {
		return nil
	}
	m := &resolver.Message{QName: []byte(name), QType: t, RCode: c.Header.RCode()}
	find := func(sec wire.Section, owner []byte, ty dns.Type) *resolver.RRset {
		list := &m.Answer
		if sec == wire.Authority {
			list = &m.Authority
		}
		for i := range *list {
			if s := &(*list)[i]; s.Type == ty && string(s.Owner) == string(owner) {
				return s
			}
		}
		*list = append(*list, resolver.RRset{Section: sec, Owner: owner, Type: ty})
		return &(*list)[len(*list)-1]
	}
	var r wire.RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			return nil
		}
		if !ok {
			return clean(m)
		}
		if r.Section == wire.Additional || r.Class != dns.ClassIN {
			continue
		}
		owner, _, err := wire.AppendName(nil, msg, r.Owner)
		if err != nil {
			return nil
		}
		dnsname.Lower(owner)
		data, err := rdata.AppendUncompressed(nil, msg, r.Type, r.Data, r.Len)
		if err != nil {
			return nil
		}
		if r.Type == dns.TypeRRSIG && t != dns.TypeRRSIG {
			if len(data) < 2 {
				return nil
			}
			s := find(r.Section, owner, dns.Type(binary.BigEndian.Uint16(data)))
			s.Sigs = resolver.AppendPacked(s.Sigs, data)
			continue
		}
		s := find(r.Section, owner, r.Type)
		s.TTL = r.TTL
		s.Records = resolver.AppendPacked(s.Records, data)
	}
}

// clean drops signatures over nothing.
func clean(m *resolver.Message) *resolver.Message {
	for _, list := range []*[]resolver.RRset{&m.Answer, &m.Authority} {
		n := 0
		for _, s := range *list {
			if len(s.Records) > 0 {
				(*list)[n] = s
				n++
			}
		}
		*list = (*list)[:n]
	}
	return m
}

type fetcher struct {
	w   *world
	got map[signedtree.Key]*resolver.Message
}

func (f *fetcher) Lookup(name []byte, t dns.Type) (*resolver.Message, bool) {
	m, ok := f.got[signedtree.Key{Name: dnsname.Name(name), Type: t}]
	return m, ok
}

// validate resolves one message's verdict.
func (w *world) validate(m *resolver.Message) (resolver.Verdict, resolver.Budget) {
	b := resolver.NewBudget(resolver.Limits{})
	f := &fetcher{w, map[signedtree.Key]*resolver.Message{}}
	for range 300 {
		var need resolver.Need
		v, wait := w.v.Validate(resolver.Time(w.now)*resolver.Second, m, f, &b, &need)
		if !wait {
			return v, b
		}
		n := dnsname.Name(need.Name[:need.Len])
		k := signedtree.Key{Name: n, Type: need.Type}
		if _, twice := f.got[k]; twice {
			panic("asked twice for " + n.String() + " " + need.Type.String())
		}
		f.got[k] = w.message(n, need.Type)
	}
	panic("validation does not end")
}

// ask gives the verdict for a question and the message.
func (w *world) ask(name string, t dns.Type) (resolver.Verdict, *resolver.Message, resolver.Budget) {
	n := signedtree.Name(name)
	m := w.message(n, t)
	if m == nil {
		return resolver.Verdict{Sec: resolver.Bogus}, nil, resolver.Budget{}
	}
	v, b := w.validate(m)
	return v, m, b
}

func secName(s resolver.Security) string {
	return [...]string{"unchecked", "bogus", "indeterminate", "insecure", "secure"}[s]
}

// expect checks lines "NAME TYPE STATUS [EDE]".
func (w *world) expect(t testing.TB, lines ...string) {
	t.Helper()
	for _, line := range lines {
		f := strings.Fields(line)
		ty, _ := dns.ParseType(f[1])
		v, m, _ := w.ask(f[0], ty)
		if got := secName(v.Sec); got != f[2] || len(f) > 3 && fmt.Sprint(v.Code) != f[3] {
			t.Errorf("%s: %s, code %d %s; message %s", line, got, v.Code, v.Text, show(m))
		}
	}
}

func show(m *resolver.Message) string {
	if m == nil {
		return "none"
	}
	s := m.RCode.String()
	for _, l := range [][]resolver.RRset{m.Answer, m.Authority} {
		for _, r := range l {
			s += fmt.Sprintf(" | %s %s %d+%d %s", dnsname.Name(r.Owner), r.Type, r.Records.Count(), r.Sigs.Count(), secName(r.Sec))
		}
	}
	return s
}
