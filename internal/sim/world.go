// Package sim generates an Internet from a seed, lets the resolver loose in it,
// and checks what must always hold. A failure names its seed; the same seed
// gives the same world, the same packets and the same answers.
//
//	world.go   zones, servers and their vices, made from a seed
//	serve.go   what a server answers, and what is true
//	run.go     clock, network, client; the invariants
package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// vice is what is wrong with a server.
type vice uint8

const (
	honest      vice = iota
	slow             // answers late
	noEDNS           // FORMERR to OPT
	keepsNoCase      // answers in lower case
	truncates        // TC to everything by UDP
	wantsCookie      // BADCOOKIE to those without
	pads             // adds records that are nobody's business: poison
	floods           // sends forged packets before its own
	lossy            // loses some packets
	dead             // never answers
	refuses          // REFUSED to everything
	upward           // refers to the root
	fails            // SERVFAIL to everything
	babbles          // random bytes
	recursive        // answers as a recursive server would: RA, no AA, and what it likes
	vices
)

// works reports whether a server with this vice still lets its zones be
// resolved.
func (v vice) works() bool { return v <= floods }

type server struct {
	addr  netip.Addr
	vice  vice
	delay int64 // milliseconds
	zones map[dnsname.Name]*zone
}

type nameServer struct {
	name  dnsname.Name
	addrs []netip.Addr
	glue  bool // the parent gives its addresses
	home  *zone
}

type rrset struct {
	ttl  uint32
	data [][]byte
}

type setKey struct {
	name dnsname.Name
	typ  dns.Type
}

type zone struct {
	name    dnsname.Name
	parent  *zone
	kids    []*zone
	byName  map[dnsname.Name]*zone
	ns      []nameServer
	nsTTL   uint32
	sets    map[setKey]rrset
	names   map[dnsname.Name]bool // owner names and empty non-terminals
	removed int64                 // when the parent dropped it, seconds; 0 never
	moved   int64                 // when it got other addresses
}

// world is a generated Internet.
type world struct {
	rng     *rand.Rand
	root    *zone
	zones   []*zone
	servers map[netip.Addr]*server
	nextIP  uint32
	now     int64 // seconds since the start
	start   int64
	poison  []byte
}

// poisonAddr is in every forged or unasked record, and so must be nowhere else.
var poisonAddr = []byte{66, 66, 66, 66}

const dataTTL = 300 // seconds, of everything but delegations

func (w *world) pick(n int) int { return w.rng.IntN(n) }

func (w *world) odds(n int) bool { return w.rng.IntN(n) == 0 }

func (w *world) address() netip.Addr {
	w.nextIP++
	n := w.nextIP
	if w.odds(4) {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb9, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{11 + byte(n>>16), byte(n >> 8), byte(n), 1})
}

func (w *world) newServer(good bool) *server {
	s := &server{addr: w.address(), zones: map[dnsname.Name]*zone{}}
	switch {
	case good || w.odds(2):
		s.vice = honest
	default:
		s.vice = vice(w.pick(int(vices)))
	}
	s.delay = int64(1 + w.pick(40))
	if s.vice == slow {
		s.delay = int64(100 + w.pick(250))
	}
	w.servers[s.addr] = s
	return s
}

func label(l string, n dnsname.Name) dnsname.Name {
	return dnsname.Name(string(rune(len(l)))+l) + n
}

func (z *zone) add(name dnsname.Name, t dns.Type, ttl uint32, data ...[]byte) {
	z.sets[setKey{name, t}] = rrset{ttl, data}
	for n := name; len(n) > len(z.name); n = dnsname.Parent(n) {
		z.names[n] = true
	}
	z.names[z.name] = true
}

func (w *world) newZone(parent *zone, name dnsname.Name) *zone {
	z := &zone{name: name, parent: parent, byName: map[dnsname.Name]*zone{}, sets: map[setKey]rrset{},
		names: map[dnsname.Name]bool{}, nsTTL: uint32(60 + w.pick(3600))}
	if parent != nil {
		parent.kids = append(parent.kids, z)
		parent.byName[name] = z
		for n := name; len(n) > len(parent.name); n = dnsname.Parent(n) {
			parent.names[n] = true
		}
	}
	w.zones = append(w.zones, z)
	return z
}

func a4(b byte, c byte, d byte) []byte { return []byte{10, b, c, d} }

// newWorld makes an Internet.
func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0x5157)), servers: map[netip.Addr]*server{}}
	w.root = w.newZone(nil, dnsname.Root)
	w.root.nsTTL = 86400
	count := 6 + w.pick(40)
	if w.odds(64) {
		count = 300
	}
	for i := range 1 + w.pick(4) {
		w.newZone(w.root, label(fmt.Sprintf("t%d", i), dnsname.Root))
	}
	for len(w.zones) < count {
		p := w.zones[1+w.pick(len(w.zones)-1)]
		if dnsname.Labels(p.name) > 5 {
			continue
		}
		name := label(fmt.Sprintf("d%d", len(w.zones)), p.name)
		if w.odds(8) { // a cut two labels down
			name = label(fmt.Sprintf("e%d", len(w.zones)), name)
		}
		w.newZone(p, name)
	}
	for _, z := range w.zones {
		w.fill(z)
	}
	for _, z := range w.zones {
		w.delegate(z)
	}
	return w
}

// fill gives a zone its data.
func (w *world) fill(z *zone) {
	id := byte(w.pick(200))
	soa := append([]byte("\x02ns"), z.name...)
	soa = append(append(soa, "\x02hm"...), z.name...)
	soa = append(soa, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 2, 88, 0, 9, 58, 128, 0, 0, 0, 60)
	z.add(z.name, dns.TypeSOA, dataTTL, soa)
	z.add(z.name, dns.TypeA, dataTTL, a4(1, id, 1))
	z.add(label("www", z.name), dns.TypeA, dataTTL, a4(2, id, 1), a4(2, id, 2))
	z.add(label("www", z.name), dns.TypeAAAA, dataTTL, []byte{0x20, 1, 15: id})
	z.add(label("a", label("b", label("ent", z.name))), dns.TypeTXT, dataTTL, []byte("\x03ent"))
	z.add(label("mx", z.name), dns.TypeMX, dataTTL, append([]byte{0, 10}, label("www", z.name)...))
	if w.odds(2) {
		z.add(label("*", label("wild", z.name)), dns.TypeA, dataTTL, a4(3, id, 1))
	}
	if w.odds(3) {
		var big [][]byte
		for i := range 10 + w.pick(20) {
			txt := make([]byte, 121)
			txt[0] = 120
			for k := 1; k < len(txt); k++ {
				txt[k] = 'a' + byte((i+k)%26)
				txt[1] = 'A' + byte(i)
			}
			big = append(big, txt)
		}
		z.add(label("big", z.name), dns.TypeTXT, dataTTL, big...)
	}
	other := w.zones[w.pick(len(w.zones))]
	z.add(label("alias", z.name), dns.TypeCNAME, dataTTL, []byte(label("www", other.name)))
	z.add(label("chain", z.name), dns.TypeCNAME, dataTTL, []byte(label("alias", other.name)))
	if w.odds(6) {
		z.add(label("loop", z.name), dns.TypeCNAME, dataTTL, []byte(label("loop2", z.name)))
		z.add(label("loop2", z.name), dns.TypeCNAME, dataTTL, []byte(label("loop", z.name)))
	}
	if w.odds(5) {
		z.add(label("dn", z.name), dns.TypeDNAME, dataTTL, []byte(other.name))
	}
}

// delegate gives a zone its servers: in the zone with glue, or elsewhere, with
// or without.
func (w *world) delegate(z *zone) {
	n := 1 + w.pick(4)
	if w.odds(200) {
		n = 40 // a delegation to many names
	}
	core := z == w.root || z.parent == w.root && !w.odds(4)
	for i := range n {
		s := w.newServer(core || i == 0 && !w.odds(4))
		s.zones[z.name] = z
		ns := nameServer{name: label(fmt.Sprintf("ns%d", i), z.name), addrs: []netip.Addr{s.addr}, glue: true, home: z}
		if core && s.addr.Is6() {
			ns.addrs = append(ns.addrs, w.twin(s))
		}
		if !core && w.odds(3) {
			// a name in another zone: no glue unless it is below the parent
			h := w.zones[w.pick(len(w.zones))]
			if h != w.root {
				ns.name = label(fmt.Sprintf("x%d", len(w.servers)), h.name)
				ns.home = h
				ns.glue = dnsname.IsBelow(ns.name, z.parent.name) && w.odds(2)
			}
		}
		for _, a := range ns.addrs {
			t, b := dns.TypeA, a.AsSlice()
			if a.Is6() {
				t = dns.TypeAAAA
			}
			ns.home.add(ns.name, t, dataTTL, b)
		}
		z.ns = append(z.ns, ns)
	}
	var names [][]byte
	for _, ns := range z.ns {
		names = append(names, []byte(ns.name))
	}
	z.add(z.name, dns.TypeNS, z.nsTTL, names...)
}

// twin gives a server a second address.
func (w *world) twin(s *server) netip.Addr {
	w.nextIP++
	n := w.nextIP
	a := netip.AddrFrom4([4]byte{11 + byte(n>>16), byte(n >> 8), byte(n), 1})
	w.servers[a] = &server{addr: a, vice: s.vice, delay: s.delay, zones: s.zones}
	return a
}

// renumber moves a zone to new servers; the old ones are gone.
func (w *world) renumber(z *zone) {
	for i := range z.ns {
		ns := &z.ns[i]
		for k, a := range ns.addrs {
			s := w.servers[a]
			n := &server{vice: s.vice, delay: s.delay, zones: s.zones}
			w.nextIP++
			if a.Is4() {
				n.addr = netip.AddrFrom4([4]byte{111, byte(w.nextIP >> 16), byte(w.nextIP >> 8), byte(w.nextIP)})
			} else {
				n.addr = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xba, 13: byte(w.nextIP >> 16), 14: byte(w.nextIP >> 8), 15: byte(w.nextIP)})
			}
			w.servers[n.addr] = n
			w.servers[a] = &server{addr: a, vice: dead, zones: map[dnsname.Name]*zone{}}
			ns.addrs[k] = n.addr
		}
		for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
			var data [][]byte
			for _, a := range ns.addrs {
				if a.Is4() == (t == dns.TypeA) {
					data = append(data, a.AsSlice())
				}
			}
			if data != nil {
				ns.home.add(ns.name, t, dataTTL, data...)
			}
		}
	}
	z.moved = max(w.now, 1)
}

// healthy reports whether a question about z must succeed: every server on the
// way works, and none has moved lately. depth bounds how deep servers without
// glue may nest.
func (w *world) healthy(z *zone, depth int) bool {
	if depth == 0 {
		return false
	}
	for ; z != nil; z = z.parent {
		if z.removed != 0 || z.moved != 0 || len(z.ns) > 13 {
			return false
		}
		for _, ns := range z.ns {
			for _, a := range ns.addrs {
				if !w.servers[a].vice.works() {
					return false
				}
			}
			if !ns.glue && (dnsname.IsBelow(ns.home.name, z.name) || !w.healthy(ns.home, depth-1)) {
				return false
			}
		}
	}
	return true
}
