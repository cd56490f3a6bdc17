package resolver

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

// loop answers every question of the benchmark: the root delegates 1000 zones,
// each has any name.
type loop struct {
	e     *Engine
	now   Time
	token Token
	msg   []byte
	b     wire.Builder
	done  int
	sends int
	q     Question
}

func (l *loop) SendUDP(to netip.AddrPort, msg []byte, token Token) bool {
	l.token = token
	l.sends++
	end := 12
	for msg[end] != 0 {
		end += 1 + int(msg[end])
	}
	name := msg[12 : end+1]
	bits := uint16(wire.BitQR)
	if to.Addr().As4()[0] == 10 {
		bits |= wire.BitAA
	}
	l.b.Reset(l.msg[:0], 1232, binary.BigEndian.Uint16(msg), bits)
	l.b.Question(name, dns.Type(binary.BigEndian.Uint16(msg[end+1:])), dns.ClassIN)
	if to.Addr().As4()[0] == 10 {
		l.b.RR(wire.Answer, name, dns.TypeA, dns.ClassIN, 300, []byte{192, 0, 2, 1})
	} else {
		cut := name
		for cut[1+int(cut[0])] != 0 {
			cut = cut[1+int(cut[0]):]
		}
		ns := append([]byte{2, 'n', 's'}, cut...)
		l.b.RR(wire.Authority, cut, dns.TypeNS, dns.ClassIN, 3600, ns)
		l.b.RR(wire.Additional, ns, dns.TypeA, dns.ClassIN, 3600, []byte{10, 0, 0, 1})
	}
	l.msg = l.b.Finish()
	return true
}
func (l *loop) SendTCP(to netip.AddrPort, msg []byte, token Token) bool { return false }
func (l *loop) Cancel(Token)                                            {}
func (l *loop) Done(q *Question, a *Answer)                             { l.done++ }

// nothing is a cache that keeps delegations alone, in an array.
type fixedCache struct {
	key  [4096][32]byte
	len  [4096]uint8
	e    [4096]Entry
	rec  [4096][64]byte
	glue [4096][32]byte
}

func (c *fixedCache) at(name []byte) int {
	h := uint32(2166136261)
	for _, b := range name {
		h = (h ^ uint32(b)) * 16777619
	}
	return int(h % 4096)
}

func (c *fixedCache) Get(e *Entry, kind Kind, t dns.Type, name []byte) bool {
	if kind != KindDelegation {
		return false
	}
	i := c.at(name)
	if string(c.key[i][:c.len[i]]) != string(name) {
		return false
	}
	*e = c.e[i]
	return true
}

func (c *fixedCache) Put(name []byte, e *Entry) {
	if e.Kind != KindDelegation || len(name) > 32 || len(e.Records) > 64 || len(e.Proof) > 32 {
		return
	}
	i := c.at(name)
	c.len[i] = uint8(copy(c.key[i][:], name))
	c.e[i] = *e
	c.e[i].Records = c.rec[i][:copy(c.rec[i][:], e.Records)]
	c.e[i].Proof = c.glue[i][:copy(c.glue[i][:], e.Proof)]
}

func (c *fixedCache) Delete(kind Kind, t dns.Type, name []byte) {}

func newLoop() *loop {
	l := &loop{now: 1_700_000_000 * Second}
	cfg := &Config{Zones: []Zone{{Name: "\x00", Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}}},
		IPv4: true, LocalZones: true, Case0x20: true}
	l.e = New(cfg, &fixedCache{}, l, l, nil, rand.New(rand.NewPCG(1, 2)))
	return l
}

// cold asks a name never asked before, of one of 1000 zones.
func (l *loop) cold(i int, name []byte) {
	name = name[:0]
	name = append(name, 8, 'n')
	for k := 10000000; k > 1; k /= 10 {
		name = append(name, '0'+byte(i/(k/10)%10))
	}
	name = append(name, 4, 'z', '0'+byte(i/100%10), '0'+byte(i/10%10), '0'+byte(i%10), 0)
	l.q = Question{Name: name, Type: dns.TypeA, Ticket: uint64(i)}
	l.now += Millisecond
	l.e.Ask(l.now, &l.q)
	for n := 0; l.token != 0 && n < 10; n++ {
		t := l.token
		l.token = 0
		l.now += Millisecond
		l.e.Deliver(l.now, t, l.msg)
	}
}

// BenchmarkCold is the engine's share of a question that the cache does not
// know: goal 30 us with sockets and cache.
func BenchmarkCold(b *testing.B) {
	l := newLoop()
	name := make([]byte, 0, 64)
	for i := range 2000 {
		l.cold(i, name)
	}
	b.ReportAllocs()
	l.sends = 0
	for i := range b.N {
		l.cold(i+2000, name)
	}
	b.ReportMetric(float64(l.sends)/float64(b.N), "packets/op")
	if l.done != b.N+2000 {
		b.Fatal(l.done, b.N)
	}
}

// TestColdAllocs: a cold question allocates (almost) nothing once the pools are
// warm.
func TestColdAllocs(t *testing.T) {
	l := newLoop()
	name := make([]byte, 0, 64)
	for i := range 3000 {
		l.cold(i, name)
	}
	i := 3000
	n := testing.AllocsPerRun(2000, func() {
		i++
		l.cold(i, name)
	})
	t.Log(strconv.FormatFloat(n, 'f', 2, 64), "allocations a cold question")
	if n > maxColdAllocs {
		t.Errorf("%v allocations, want at most %d", n, maxColdAllocs)
	}
}

const maxColdAllocs = 0
