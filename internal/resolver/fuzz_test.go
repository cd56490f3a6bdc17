package resolver

import (
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// FuzzDeliver lets a server of one zone answer with any bytes, header and
// question put right now and then so that the rest is looked at. Whatever they
// are, the question ends, within its budget, and nothing about other zones is
// believed.
func FuzzDeliver(f *testing.F) {
	q := (&asked{raw: []byte(n("www.attacker")), typ: dns.TypeA}).start(wire.BitAA)
	q.an("www.attacker", dns.TypeA, 60, ip(evil)).ns("attacker", "ns.attacker", 60).a("ns.attacker", evil, 60)
	f.Add(uint8(0), q.b.Finish())
	f.Add(uint8(1), q.b.Finish())
	q.start(0).ns("sub.attacker", "ns.victim", 60).a("ns.victim", evil, 60)
	f.Add(uint8(3), q.b.Finish())
	q.start(wire.BitAA).an("attacker", dns.TypeDNAME, 60, []byte(n("victim"))).an("www.attacker", dns.TypeCNAME, 60, []byte(n("www.victim")))
	f.Add(uint8(3), q.b.Finish())
	q.start(wire.BitAA | uint16(dns.RCodeNXDomain)).soa("attacker")
	f.Add(uint8(3), q.b.Finish())
	q.start(wire.BitTC)
	f.Add(uint8(7), q.b.Finish())
	f.Fuzz(func(t *testing.T, how uint8, data []byte) {
		if len(data) > 4096 {
			return
		}
		net := newFake(t, func(c *Config) { c.QMin = how&8 != 0 })
		victim(net)
		net.servers[evil] = func(q *asked) {
			msg := append([]byte(nil), data...)
			if how&1 != 0 && len(msg) >= 12 {
				msg[0], msg[1] = byte(q.id>>8), byte(q.id)
				msg[2] |= 0x80
			}
			if how&2 != 0 && len(msg) >= 12 {
				// the question asked, and then the records of data
				c, err := wire.Parse(msg)
				if err == nil && c.Header.QDCount == 1 && c.SkipQuestions() == nil {
					end := dns.HeaderLen + len(q.raw) + 4
					msg = append(append(append([]byte(nil), msg[:12]...), q.msg[12:end]...), msg[c.Offset():]...)
				}
			}
			q.deliver(msg, Millisecond)
		}
		_, cost := net.ask("www.attacker", dns.TypeA)
		if cost > DefaultLimits.Sends {
			t.Errorf("%d packets", cost)
		}
		net.wait(30 * Second)
		if q, p := net.e.InWork(); q+p > 0 {
			t.Errorf("%d questions, %d packets left", q, p)
		}
		net.cache.Each(func(name string, e *Entry) {
			if e.Kind == KindFailure || dnsname.IsBelow(name, n("attacker")) || e.Kind == KindDelegation {
				return
			}
			// what the honest servers said
			if dnsname.Name(name) == n("www.victim") && string(e.Records) == "\x00\x04"+string(ip("198.51.100.7")) {
				return
			}
			if len(e.Records) > 0 {
				t.Errorf("%v %v in the cache: %x", dnsname.Name(name), e.Type, e.Records)
			}
		})
	})
}
