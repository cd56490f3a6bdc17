// Package attacks measures what an attacker gets for a question: packets sent
// by dnscache and, in the same run, by unbound, over the same scripted servers
// in a network namespace of its own. The attacks are those that
// internal/resolver tests with virtual time; here it is real programs.
package attacks

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/resolver"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

func TestCostBesideUnbound(t *testing.T) {
	testbin.NeedRoot(t)
	testbin.Peer(t, "usr/sbin/unbound")
	if testing.Short() {
		t.Skip("skipped: long")
	}
	cmd := exec.Command("unshare", "-n", os.Args[0], "-test.run=^TestInside$", "-test.v")
	cmd.Env = append(os.Environ(), "ATTACKS_BIN="+testbin.Dir(t, "dnscache"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// lab holds the scripted servers: the root at 127.1.0.1, the attacker at
// 127.1.0.66, the victim at 127.1.0.10.
type lab struct {
	sent   atomic.Int64 // questions that came to any server
	victim atomic.Int64
	mu     sync.Mutex
	attack attack
	k      int
}

// attack is a script: what the attacker's server says.
type attack struct {
	name      string
	questions int
	ask       func(i int) string
	evil      func(l *lab, q *query)
	victim    func(l *lab, q *query) // nil: NXDOMAIN
	limit     int                    // packets a question that dnscache may send at most
}

type query struct {
	name dnsname.Name
	raw  []byte
	typ  dns.Type
	id   uint16
	b    wire.Builder
	none bool
}

func n(text string) []byte {
	v, err := dnsname.ParseDot(text)
	if err != nil {
		panic(err)
	}
	return []byte(v)
}

func (q *query) start(bits uint16) *query {
	q.b.Reset(nil, 4096, q.id, wire.BitQR|bits)
	q.b.Question(q.raw, q.typ, dns.ClassIN)
	return q
}

func (q *query) ns(zone, server string) *query {
	q.b.RR(wire.Authority, n(zone), dns.TypeNS, dns.ClassIN, 3600, n(server))
	return q
}

func (q *query) a(owner string, last byte) *query {
	q.b.RR(wire.Additional, n(owner), dns.TypeA, dns.ClassIN, 3600, []byte{127, 1, 0, last})
	return q
}

func (q *query) nx(zone string) {
	q.start(wire.BitAA | uint16(dns.RCodeNXDomain))
	soa := append(append(n("ns."+zone), n("hm."+zone)...), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 60)
	q.b.RR(wire.Authority, n(zone), dns.TypeSOA, dns.ClassIN, 60, soa)
}

func (l *lab) serve(t *testing.T, addr string, answer func(q *query)) {
	c, err := net.ListenPacket("udp4", addr+":53")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			p, err := wire.Parse(buf[:size])
			if err != nil {
				continue
			}
			raw, typ, _, err := p.Question(nil)
			if err != nil {
				continue
			}
			l.sent.Add(1)
			q := &query{name: dnsname.Name(raw).Lower(), raw: raw, typ: typ, id: p.Header.ID}
			l.mu.Lock()
			answer(q)
			l.mu.Unlock()
			if !q.none {
				c.WriteTo(q.b.Finish(), from)
			}
		}
	}()
}

var attacks = []attack{
	{"NXNSAttack: a delegation to 20 names of the victim", 10, func(i int) string { return fmt.Sprintf("q%d.sub%d.attacker", i, i) },
		func(l *lab, q *query) {
			q.start(0)
			l.k++
			cut := dnsname.Skip(q.name, dnsname.Labels(q.name)-2).Text()
			for i := range 20 {
				q.ns(cut, fmt.Sprintf("n%d.r%d.victim", i, l.k))
			}
		}, nil, resolver.DefaultLimits.NSLookups + 6},
	{"CAMP: every name leads to delegations and aliases", 5, func(i int) string { return fmt.Sprintf("w%d.x.y.z.attacker", i) },
		func(l *lab, q *query) {
			l.k++
			if l.k%3 == 0 {
				q.start(wire.BitAA)
				q.b.RR(wire.Answer, q.raw, dns.TypeCNAME, dns.ClassIN, 0, n(fmt.Sprintf("a%d.b%d.c%d.attacker", l.k, l.k, l.k)))
				return
			}
			q.start(0)
			for i := range 10 {
				q.ns(q.name.Text(), fmt.Sprintf("n%d.m%d.o%d.attacker", i, l.k, l.k))
			}
		}, nil, resolver.DefaultLimits.Sends},
	{"iDNS: each server is named in the next zone", 10, func(i int) string { return fmt.Sprintf("www.z%d.attacker", 1000*i+1) },
		func(l *lab, q *query) {
			var i int
			for p := q.name; p[0] != 0; p = dnsname.Parent(p) {
				fmt.Sscanf(p.Text(), "z%d.attacker", &i)
			}
			q.start(0).ns(fmt.Sprintf("z%d.attacker", i), fmt.Sprintf("ns.z%d.attacker", i+1))
		}, nil, 2*resolver.DefaultLimits.Depth + 4},
	{"TsuNAME: servers named in each other's zones", 30, func(i int) string { return fmt.Sprintf("r%d.a%d.attacker", i, i%3) },
		func(l *lab, q *query) {
			var i int
			for p := q.name; p[0] != 0; p = dnsname.Parent(p) {
				fmt.Sscanf(p.Text(), "a%d.attacker", &i)
			}
			q.start(0).ns(fmt.Sprintf("a%d.attacker", i), fmt.Sprintf("ns.a%d.attacker", (i+1)%3))
		}, nil, 12},
	{"aliases without end", 10, func(i int) string { return fmt.Sprintf("c%d.attacker", 1000*i) },
		func(l *lab, q *query) {
			l.k++
			q.start(wire.BitAA)
			q.b.RR(wire.Answer, q.raw, dns.TypeCNAME, dns.ClassIN, 60, n(fmt.Sprintf("k%d.attacker", l.k)))
		}, nil, resolver.DefaultLimits.Hops + 4},
	{"water torture: random names, the victim is silent", 20, func(i int) string { return fmt.Sprintf("r%d.victim", i) },
		func(l *lab, q *query) { q.nx("attacker") },
		func(l *lab, q *query) { q.none = true }, 13},
}

func TestInside(t *testing.T) {
	bin := os.Getenv("ATTACKS_BIN")
	if bin == "" {
		t.Skip("skipped: runs inside TestCostBesideUnbound")
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	dir := t.TempDir()
	for p := dir; p != "/"; p = filepath.Dir(p) {
		os.Chmod(p, 0o755)
	}
	l := &lab{}
	l.serve(t, "127.1.0.1", func(q *query) {
		q.start(0)
		switch {
		case dnsname.IsBelow(q.name, string(n("victim"))):
			q.ns("victim", "ns.victim").a("ns.victim", 10)
		case dnsname.IsBelow(q.name, string(n("attacker"))):
			q.ns("attacker", "ns.attacker").a("ns.attacker", 66)
		case len(q.name) == 1 && q.typ == dns.TypeNS:
			q.start(wire.BitAA)
			q.b.RR(wire.Answer, q.raw, dns.TypeNS, dns.ClassIN, 86400, n("ns"))
			q.a("ns", 1)
		default:
			q.nx("")
		}
	})
	l.serve(t, "127.1.0.66", func(q *query) { l.attack.evil(l, q) })
	l.serve(t, "127.1.0.10", func(q *query) {
		l.victim.Add(1)
		if l.attack.victim != nil {
			l.attack.victim(l, q)
			return
		}
		q.nx("victim")
	})
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	start := func(env []string, args ...string) {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = env
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	start(testbin.PeerEnv(), testbin.Peer(t, "usr/sbin/unbound"), "-d", "-c", write("unbound.conf",
		"server:\n  interface: 127.2.0.1\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \""+dir+"/unbound.log\"\n"+
			"  directory: \""+dir+"\"\n  access-control: 0.0.0.0/0 allow\n  do-not-query-localhost: no\n  do-ip6: no\n  module-config: \"iterator\"\n"+
			"  root-hints: \""+write("hints", ". 3600 NS ns.\nns. 3600 A 127.1.0.1\n")+"\"\nremote-control:\n  control-enable: no\n"))
	write("root/servers/@", "127.1.0.1\n")
	write("root/ip/127", "")
	write("root/trust-anchors", "")
	start(append(os.Environ(), "IP=127.2.0.3", "IPSEND=0.0.0.0", "CACHESIZE=20000000", "ROOT="+dir+"/root", "UID=65534", "GID=65534", "LOCALZONES=0"),
		filepath.Join(bin, "dnscache"))
	servers := []string{"127.2.0.3", "127.2.0.1"}
	l.attack = attacks[0]
	for _, s := range servers {
		up := false
		for i := 0; i < 100 && !up; i++ {
			_, up = ask(s, "version.attacker.x", time.Second)
			if !up {
				time.Sleep(100 * time.Millisecond)
			}
		}
		if !up {
			log, _ := os.ReadFile(dir + "/unbound.log")
			t.Fatalf("%s does not answer\n%s", s, log)
		}
	}
	t.Logf("%-52s %28s %28s", "packets a question (to the victim)", "dnscache", "unbound")
	for _, at := range attacks {
		l.mu.Lock()
		l.attack, l.k = at, 0
		l.mu.Unlock()
		var cost, victim [2]float64
		for k, s := range servers {
			before, hurt := l.sent.Load(), l.victim.Load()
			var wg sync.WaitGroup
			for i := range at.questions {
				wg.Add(1)
				go func() {
					defer wg.Done()
					// other names for each program: neither profits from the other
					ask(s, strings.Replace(at.ask(i), "x.y", fmt.Sprintf("x%d.y", k), 1), 20*time.Second)
				}()
				if at.victim == nil {
					wg.Wait() // one after the other
				}
			}
			wg.Wait()
			cost[k] = float64(l.sent.Load()-before) / float64(at.questions)
			victim[k] = float64(l.victim.Load()-hurt) / float64(at.questions)
		}
		t.Logf("%-52s %20.1f (%5.1f) %20.1f (%5.1f)", at.name, cost[0], victim[0], cost[1], victim[1])
		if cost[0] > float64(at.limit) {
			t.Errorf("%s: dnscache sends %.1f packets a question, limit %d", at.name, cost[0], at.limit)
		}
	}
}

// ask sends one question and waits for the answer.
func ask(server, name string, patience time.Duration) (rcode dns.RCode, ok bool) {
	c, err := net.Dial("udp4", server+":53")
	if err != nil {
		return 0, false
	}
	defer c.Close()
	var b wire.Builder
	b.Reset(nil, 512, 4711, wire.BitRD)
	b.Question(n(name), dns.TypeA, dns.ClassIN)
	if _, err := c.Write(b.Finish()); err != nil {
		return 0, false
	}
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	size, err := c.Read(buf)
	if err != nil || size < 12 || binary.BigEndian.Uint16(buf) != 4711 {
		return 0, false
	}
	return dns.RCode(buf[3] & 15), true
}
