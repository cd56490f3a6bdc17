package validator

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/wire"
)

// network plays the servers of a tree for a whole resolver, at once.
type network struct {
	tree  *signedtree.Tree
	e     *resolver.Engine
	now   resolver.Time
	queue []func()
	sent  int
	forge func(z *signedtree.Zone, name dnsname.Name, t dns.Type, msg []byte) []byte

	done   bool
	answer resolver.Answer
}

func (n *network) Done(q *resolver.Question, a *resolver.Answer) {
	n.done = true
	n.answer = *a
	n.answer.RRs = nil
	for _, s := range a.RRs {
		s.Owner = append([]byte(nil), s.Owner...)
		s.Records = append(resolver.Packed(nil), s.Records...)
		s.Sigs = append(resolver.Packed(nil), s.Sigs...)
		n.answer.RRs = append(n.answer.RRs, s)
	}
}

func (n *network) SendUDP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	n.sent++
	c, err := wire.Parse(msg)
	if err != nil {
		return false
	}
	name, ty, _, err := c.Question(nil)
	z := n.tree.At(to.Addr())
	if err != nil || z == nil {
		return false
	}
	a := z.Ask(dnsname.Name(name), ty)
	out := a.Wire(c.Header.ID, dnsname.Name(name), ty)
	if n.forge != nil {
		out = n.forge(z, dnsname.Name(name), ty, out)
	}
	n.queue = append(n.queue, func() { n.e.Deliver(n.now, token, out) })
	return true
}

func (n *network) SendTCP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	return n.SendUDP(to, msg, token)
}
func (n *network) Cancel(resolver.Token) {}
func (n *network) Uint64() uint64        { return rand.Uint64() }

func newNetwork(tree *signedtree.Tree, anchors ...*signedtree.Zone) *network {
	var cfg Config
	for _, z := range anchors {
		cfg.Anchors = append(cfg.Anchors, z.Anchor())
	}
	n := &network{tree: tree, now: testNow * resolver.Second}
	root := tree.Zones[dnsname.Root]
	n.e = resolver.New(&resolver.Config{IPv4: true, Validator: New(cfg),
		Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.AddrPortFrom(root.Addr, 53)}}}},
		resolver.NewMapCache(), n, n, nil, n)
	return n
}

func (n *network) ask(t testing.TB, name string, ty dns.Type, cd bool) *resolver.Answer {
	n.done = false
	n.e.Ask(n.now, &resolver.Question{Name: []byte(signedtree.Name(name)), Type: ty, CD: cd, DO: true})
	for steps := 0; !n.done; steps++ {
		if len(n.queue) > 0 {
			f := n.queue[0]
			n.queue = n.queue[1:]
			f()
			continue
		}
		next, ok := n.e.NextTimer()
		if !ok || steps > 10000 {
			t.Fatalf("%s %v: no answer", name, ty)
		}
		n.now = max(n.now, next)
		n.e.Expire(n.now)
	}
	return &n.answer
}

// The whole resolver over a tree: verdicts, from the network and again from the
// cache, AD, and the chain of aliases.
func TestResolver(t *testing.T) {
	for how, n3 := range denials {
		t.Run(how, func(t *testing.T) {
			tree, root := build(p256, n3)
			n := newNetwork(tree, root)
			opt := n3 != nil && n3.OptOut
			for range 2 {
				for _, c := range []struct {
					name string
					t    dns.Type
					rc   dns.RCode
					ad   bool
				}{
					{"www.example.", dns.TypeA, 0, true}, {"example.", dns.TypeDNSKEY, 0, true}, {"signed.example.", dns.TypeDS, 0, true},
					{"nothing.example.", dns.TypeA, dns.RCodeNXDomain, !opt}, {"www.example.", dns.TypeMX, 0, true},
					{"a.star.example.", dns.TypeA, 0, !opt}, {"a.star.example.", dns.TypeMX, 0, !opt}, {"t.example.", dns.TypeA, 0, true},
					{"cn.example.", dns.TypeA, 0, true}, {"cnx.example.", dns.TypeA, dns.RCodeNXDomain, !opt},
					{"cnw.example.", dns.TypeA, 0, !opt}, {"www.dn.example.", dns.TypeA, 0, true},
					{"alias.signed.example.", dns.TypeA, 0, false}, {"alias.plain.example.", dns.TypeA, 0, false},
					{"alias.dn.example.", dns.TypeA, 0, false},
					{"www.plain.example.", dns.TypeA, 0, false}, {"www.plain.example.", dns.TypeMX, 0, false},
					{"www.past.example.", dns.TypeA, dns.RCodeServFail, false}, {"www.future.example.", dns.TypeA, dns.RCodeServFail, false},
					{"www.wrong.example.", dns.TypeA, dns.RCodeServFail, false}, {"www.unknown.example.", dns.TypeA, 0, false},
					{"www.other.example.", dns.TypeA, 0, false}, {"www.island.plain.example.", dns.TypeA, 0, false},
				} {
					a := n.ask(t, c.name, c.t, false)
					if a.RCode != c.rc || a.AD != c.ad {
						t.Errorf("%s %v: %v AD %v, want %v %v; code %d %s", c.name, c.t, a.RCode, a.AD, c.rc, c.ad, a.Code, a.Text)
					}
					if c.rc == dns.RCodeServFail && (!a.EDE || a.Code == 0) {
						t.Errorf("%s %v: SERVFAIL without a reason", c.name, c.t)
					}
				}
			}
			// CD: the data, whatever they are
			if a := n.ask(t, "www.past.example.", dns.TypeA, true); a.RCode != 0 || a.AD || len(a.RRs) == 0 {
				t.Errorf("CD: %v AD %v %d RRsets", a.RCode, a.AD, len(a.RRs))
			}
			// and after that still not without CD
			if a := n.ask(t, "www.past.example.", dns.TypeA, false); a.RCode != dns.RCodeServFail {
				t.Errorf("after CD: %v", a.RCode)
			}
		})
	}
}

// One validated cold question costs as many packets as it must: keys and DS are
// asked for once.
func TestPackets(t *testing.T) {
	tree := signedtree.New(testNow)
	o := signedtree.Options{Algorithm: p256}
	var tlds []string
	for _, z := range []string{"a.t.", "b.t.", "c.t."} {
		tree.Add(z, o, "www A 192.0.2.1", "mail A 192.0.2.2")
		tlds = append(tlds, z[:1]+" NS x")
	}
	tree.Add("t.", o, tlds...)
	n := newNetwork(tree, tree.Add(".", o, "t NS x"))
	for i, c := range []struct {
		name string
		max  int
	}{
		// root keys; referral to t. with DS, its keys; referral to a., its keys; the answer
		{"www.a.t.", 6}, {"mail.a.t.", 1}, {"www.b.t.", 3}, {"mail.b.t.", 1}, {"www.c.t.", 3},
	} {
		n.sent = 0
		if a := n.ask(t, c.name, dns.TypeA, false); !a.AD {
			t.Errorf("%s: no AD: %s", c.name, a.Text)
		}
		if n.sent > c.max {
			t.Errorf("question %d, %s: %d packets, want at most %d", i, c.name, n.sent, c.max)
		}
	}
}

// One server of two lies: the other one's data are had (unbound calls this the
// blacklist).
func TestOtherServer(t *testing.T) {
	tree := signedtree.New(testNow)
	o := signedtree.Options{Algorithm: p256}
	tree.Add("x.", o, "www A 192.0.2.1")
	n := newNetwork(tree, tree.Add(".", o, "x NS x"))
	for _, lie := range []dns.Type{dns.TypeA, dns.TypeDNSKEY, dns.TypeDS} {
		n.e = newNetwork(tree, tree.Zones[dnsname.Root]).e
		n = newNetwork(tree, tree.Zones[dnsname.Root])
		lies := 0
		n.forge = func(z *signedtree.Zone, name dnsname.Name, ty dns.Type, msg []byte) []byte {
			if ty == lie && lies == 0 {
				lies++
				msg[len(msg)-20] ^= 1
			}
			return msg
		}
		a := n.ask(t, "www.x.", dns.TypeA, false)
		_ = a
	}
	_ = dnssec.Secure
}
