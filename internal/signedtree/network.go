package signedtree

import (
	"math/rand/v2"
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// Engine is a resolver's engine, or what stands before one.
type Engine interface {
	Ask(now resolver.Time, q *resolver.Question)
	Deliver(now resolver.Time, token resolver.Token, msg []byte)
	Expire(now resolver.Time)
	NextTimer() (resolver.Time, bool)
}

// Network plays the servers of a tree for a whole resolver, at once: it is the
// resolver's Net, Front and Rand.
type Network struct {
	Tree  *Tree
	E     Engine
	Now   resolver.Time
	Sent  int // questions to servers
	Forge func(z *Zone, to netip.Addr, name dnsname.Name, t dns.Type, msg []byte) []byte

	queue  []func()
	done   bool
	answer resolver.Answer
	ticket uint64
}

func (n *Network) Done(q *resolver.Question, a *resolver.Answer) {
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

func (n *Network) SendUDP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	n.Sent++
	c, err := wire.Parse(msg)
	if err != nil {
		return false
	}
	name, ty, _, err := c.Question(nil)
	z := n.Tree.At(to.Addr())
	if err != nil || z == nil {
		return false
	}
	a := z.Ask(dnsname.Name(name), ty)
	out := a.Wire(c.Header.ID, dnsname.Name(name), ty)
	if n.Forge != nil {
		out = n.Forge(z, to.Addr(), dnsname.Name(name), ty, out)
	}
	n.queue = append(n.queue, func() { n.E.Deliver(n.Now, token, out) })
	return true
}

func (n *Network) SendTCP(to netip.AddrPort, msg []byte, token resolver.Token) bool {
	return n.SendUDP(to, msg, token)
}
func (n *Network) Cancel(resolver.Token) {}
func (n *Network) Uint64() uint64        { return rand.Uint64() }

// Ask gives the answer to a question; a nil one if there is none.
func (n *Network) Ask(name string, ty dns.Type, change func(*resolver.Question)) *resolver.Answer {
	n.done = false
	n.ticket++
	q := &resolver.Question{Name: []byte(Name(name)), Type: ty, DO: true, Ticket: n.ticket}
	if change != nil {
		change(q)
	}
	n.E.Ask(n.Now, q)
	for steps := 0; !n.done; steps++ {
		if len(n.queue) > 0 {
			f := n.queue[0]
			n.queue = n.queue[1:]
			f()
			continue
		}
		next, ok := n.E.NextTimer()
		if !ok || steps > 10000 {
			return nil
		}
		n.Now = max(n.Now, next)
		n.E.Expire(n.Now)
	}
	return &n.answer
}
