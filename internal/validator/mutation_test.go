package validator

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/wire"
)

// mutations is how many changed bytes TestMutations tries: 100,000 by default,
// $MUTATIONS on demand.
func mutations(t *testing.T) int {
	if s := os.Getenv("MUTATIONS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 5000
	}
	return 100000
}

// same compares a message with the true one. A DNAME without the CNAME made
// from it says the same.
func same(m, was *resolver.Message) bool {
	return content(m, true) == content(was, true) || content(m, true) == content(was, false)
}

// content is what of a message counts: code and answer, in canonical form,
// with or without CNAMEs that were made from a DNAME.
func content(m *resolver.Message, made bool) string {
	var out [][]byte
	for _, s := range m.Answer {
		if !made && s.Type == dns.TypeCNAME && len(s.Sigs) == 0 {
			continue
		}
		for data, rest, ok := s.Records.Next(); ok; data, rest, ok = rest.Next() {
			b := dnsname.AppendLower(nil, s.Owner)
			b = append(b, byte(s.Type>>8), byte(s.Type))
			out = append(out, rdata.AppendCanonical(b, s.Type, data))
		}
	}
	slices.SortFunc(out, bytes.Compare)
	return m.RCode.String() + string(bytes.Join(slices.CompactFunc(out, bytes.Equal), []byte{0}))
}

// Whatever byte of whatever response of a signed tree is changed on the wire,
// of an answer, a signature, a key, a DS or a proof: the verdict stays what it
// was, with the same data, or becomes bogus. It never turns other data secure,
// nor a secure answer insecure.
func TestMutations(t *testing.T) {
	total := mutations(t)
	questions := []struct {
		name string
		t    dns.Type
	}{
		{"www.example.", dns.TypeA}, {"mx.example.", dns.TypeMX}, {"nothing.example.", dns.TypeA}, {"www.example.", dns.TypeMX},
		{"a.star.example.", dns.TypeA}, {"a.star.example.", dns.TypeMX}, {"t.example.", dns.TypeA}, {"a.dn.example.", dns.TypeA},
		{"cn.example.", dns.TypeA}, {"plain.example.", dns.TypeDS}, {"signed.example.", dns.TypeDS}, {"example.", dns.TypeDNSKEY},
		{"www.plain.example.", dns.TypeA}, {"www.signed.example.", dns.TypeA}, {"example.", dns.TypeSOA}, {"nx.", dns.TypeA},
		{"a.wild.signed.example.", dns.TypeTXT}, {"b.c.ent.signed.example.", dns.TypeA},
	}
	type setup struct {
		alg dnssec.Algorithm
		n3  *dnssec.NSEC3Params
	}
	setups := []setup{{dnssec.ED25519, nil}, {dnssec.ED25519, &dnssec.NSEC3Params{Iterations: 1, Salt: []byte{7}}},
		{dnssec.ECDSAP256SHA256, nil}, {dnssec.ED25519, &dnssec.NSEC3Params{OptOut: true}}, {dnssec.RSASHA256, &dnssec.NSEC3Params{}}}
	seed := uint64(1)
	if s := os.Getenv("SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	for i, c := range setups {
		tree, root := build(c.alg, c.n3)
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		w := newWorld(tree, root)
		type truth struct {
			sec  resolver.Security
			m    *resolver.Message
			wire []byte
		}
		truths := make([]truth, len(questions))
		for k, q := range questions {
			v, m, _ := w.ask(q.name, q.t)
			n := signedtree.Name(q.name)
			a := tree.ZoneFor(n, q.t).Ask(n, q.t)
			truths[k] = truth{v.Sec, m, a.Wire(1, n, q.t)}
		}
		changed := 0
		for n := range total / len(setups) {
			k := rnd.IntN(len(questions))
			q, tr := questions[k], truths[k]
			name := signedtree.Name(q.name)
			var v resolver.Verdict
			var m *resolver.Message
			if n%8 != 0 {
				// the answer itself; the chain is known from before
				m = parse(mutate(rnd, tr.wire), name, q.t)
				if m == nil {
					continue
				}
				v, _ = w.validate(m)
			} else {
				// one message of the chain, from the start
				w.v.Forget()
				hit, at := false, rnd.IntN(6)
				w.forge = func(_ dnsname.Name, ty dns.Type, msg []byte) []byte {
					if at--; at == -1 {
						hit = true
						return mutate(rnd, msg)
					}
					return msg
				}
				v, m, _ = w.ask(q.name, q.t)
				w.forge = nil
				w.v.Forget()
				if !hit || m == nil {
					continue
				}
			}
			changed++
			if c.n3 != nil && c.n3.OptOut && v.Sec == resolver.Insecure {
				continue // any name may be an unsigned delegation there
			}
			if v.Sec == resolver.Bogus || v.Sec == tr.sec && (v.Sec != resolver.Secure || same(m, tr.m)) {
				continue
			}
			t.Fatalf("seed %d, setup %d, mutation %d: %s %v: %s, was %s\n%s", seed, i, n, q.name, q.t, secName(v.Sec), secName(tr.sec), show(m))
		}
		if changed < total/len(setups)/4 {
			t.Errorf("setup %d: only %d of %d mutations gave messages to judge", i, changed, total/len(setups))
		}
	}
}

// mutate changes a byte, rarely several, cuts the message off or doubles a
// part of it.
func mutate(rnd *rand.Rand, msg []byte) []byte {
	out := slices.Clone(msg)
	switch rnd.IntN(32) {
	case 0:
		return out[:rnd.IntN(len(out))]
	case 1: // copy a part over another
		n := rnd.IntN(64)
		from, to := rnd.IntN(len(out)), rnd.IntN(len(out))
		copy(out[to:min(to+n, len(out))], msg[from:])
	default:
		for range 1 + rnd.IntN(8)/7 {
			out[rnd.IntN(len(out))] ^= byte(1 + rnd.IntN(255))
		}
	}
	return out
}

// The same through the whole resolver: whatever one server's packet is changed
// into, no client gets AD with other data than the truth, from the network or
// from the cache afterwards.
func TestMutationsWholeResolver(t *testing.T) {
	rounds := mutations(t) / 50
	questions := []struct {
		name string
		t    dns.Type
	}{
		{"www.example.", dns.TypeA}, {"nothing.example.", dns.TypeA}, {"a.star.example.", dns.TypeA}, {"www.dn.example.", dns.TypeA},
		{"cn.example.", dns.TypeA}, {"www.signed.example.", dns.TypeA}, {"www.plain.example.", dns.TypeA}, {"signed.example.", dns.TypeDS},
	}
	for i, n3 := range []*dnssec.NSEC3Params{nil, {}} {
		tree, root := build(dnssec.ED25519, n3)
		rnd := rand.New(rand.NewPCG(5, uint64(i)))
		truth := map[string]string{}
		secure := map[string]bool{}
		clean := newNetwork(tree, root)
		show := func(a *resolver.Answer) string {
			return content(&resolver.Message{RCode: a.RCode, Answer: answers(a)}, true)
		}
		for _, q := range questions {
			a := clean.Ask(q.name, q.t, nil)
			truth[q.name], secure[q.name] = show(a), a.AD
		}
		hits := 0
		for range rounds / 2 {
			n := newNetwork(tree, root)
			at := rnd.IntN(12)
			n.Forge = func(_ *signedtree.Zone, _ netip.Addr, _ dnsname.Name, _ dns.Type, msg []byte) []byte {
				if at--; at == -1 {
					hits++
					out := mutate(rnd, msg)
					if len(out) > 2 {
						copy(out, msg[:2]) // the ID: else it is dropped unseen
					}
					return out
				}
				return msg
			}
			first := rnd.IntN(len(questions))
			for k := range 4 { // the later ones meet what the cache has kept
				q := questions[(first+k%2)%len(questions)]
				a := n.Ask(q.name, q.t, nil)
				if a == nil {
					t.Fatalf("%s: no answer", q.name)
				}
				if a.AD && show(a) != truth[q.name] {
					t.Fatalf("%s: AD with %q, truth %q", q.name, show(a), truth[q.name])
				}
				if secure[q.name] && !a.AD && a.RCode != dns.RCodeServFail {
					t.Fatalf("%s: secure data answered without AD: %q", q.name, show(a))
				}
			}
		}
		if hits < rounds/4 {
			t.Errorf("only %d of %d packets changed", hits, rounds/2)
		}
	}
}

func answers(a *resolver.Answer) []resolver.RRset {
	var out []resolver.RRset
	for _, s := range a.RRs {
		if s.Section == wire.Answer {
			out = append(out, s)
		}
	}
	return out
}

// The fuzzer's hand on the wire: what it does to a response is a list of
// places and bytes, so that an input means the same in every process, although
// the keys are new in each.
func FuzzMessage(f *testing.F) {
	tree, root := build(dnssec.ED25519, nil)
	tree3, root3 := build(dnssec.ED25519, &dnssec.NSEC3Params{})
	type world1 struct {
		w      *world
		truths map[int]*resolver.Message
		secure map[int]bool
	}
	questions := []struct {
		name string
		t    dns.Type
	}{
		{"www.example.", dns.TypeA}, {"nothing.example.", dns.TypeA}, {"a.star.example.", dns.TypeA}, {"a.star.example.", dns.TypeMX},
		{"t.example.", dns.TypeA}, {"a.dn.example.", dns.TypeA}, {"cn.example.", dns.TypeA}, {"plain.example.", dns.TypeDS}, {"www.signed.example.", dns.TypeA},
	}
	worlds := []world1{{w: newWorld(tree, root)}, {w: newWorld(tree3, root3)}}
	for i := range worlds {
		w := &worlds[i]
		w.truths, w.secure = map[int]*resolver.Message{}, map[int]bool{}
		for k, q := range questions {
			v, m, _ := w.w.ask(q.name, q.t)
			w.truths[k], w.secure[k] = m, v.Sec == resolver.Secure
		}
	}
	f.Add(uint8(0), uint8(0), []byte{0, 40, 1})
	f.Add(uint8(3), uint8(1), []byte{0, 3, 3, 0, 90, 255, 1, 2, 3})
	f.Fuzz(func(t *testing.T, q, at uint8, edits []byte) {
		w := &worlds[int(q)%2]
		k := int(q/2) % len(questions)
		w.w.v.Forget()
		n := 0
		w.w.forge = func(_ dnsname.Name, _ dns.Type, msg []byte) []byte {
			if n++; n-1 != int(at)%8 {
				return msg
			}
			for e := edits; len(e) >= 3; e = e[3:] {
				i := int(e[0])<<8 | int(e[1])
				switch {
				case i < len(msg):
					msg[i] ^= e[2]
				case i == 0xffff:
					msg = msg[:min(len(msg), int(e[2])*8)]
				case i >= 0x8000: // a block goes elsewhere
					from, to := i&0x7f*8, int(e[2])*8
					if from+16 <= len(msg) && to+16 <= len(msg) {
						copy(msg[to:to+16], msg[from:from+16])
					}
				}
			}
			return msg
		}
		v, m, _ := w.w.ask(questions[k].name, questions[k].t)
		if v.Sec == resolver.Bogus || m == nil {
			return
		}
		if w.secure[k] != (v.Sec == resolver.Secure) || w.secure[k] && !same(m, w.truths[k]) {
			t.Fatalf("%s %v: %s\n%s", questions[k].name, questions[k].t, secName(v.Sec), show(m))
		}
	})
}
