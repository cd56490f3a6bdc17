// Package attacks measures what an attacker gets for a question: packets sent
// and processor time spent by dnscache and, in the same run, by unbound, over
// the same scripted servers in a network namespace of its own, and whether he
// gets what he wants. Many of the attacks are also those that internal/resolver
// tests with virtual time; here it is real programs. list_test.go has them;
// make bench-attacks prints the table.
package attacks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
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
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

func TestCostBesideUnbound(t *testing.T) {
	testbin.NeedRoot(t)
	testbin.Peer(t, "usr/sbin/unbound")
	if testing.Short() {
		t.Skip("skipped: long")
	}
	testbin.Inside(t, "TestInside", "ATTACKS_BIN", testbin.Dir(t, "dnscache"))
}

// lab holds the scripted servers: the root at 127.1.0.1, the attacker at
// 127.1.0.66, the victim at 127.1.0.10. Zones attacker, ghost and victim hang
// below the root.
type lab struct {
	sent   atomic.Int64 // questions that came to any server
	victim atomic.Int64
	mu     sync.Mutex
	attack *attack
	k      int
	self   net.IP // of the resolver that is attacked
	// gone: the root has taken the delegation of ghost away
	gone bool
	// what the victim saw
	ports, ids []uint16
	out, most  int // questions for slow names waiting for their answers
	size       uint16
	byTCP      int
}

// attack is a script: what the attacker's server says.
type attack struct {
	name      string
	questions int
	atOnce    bool
	ask       func(i int) string
	typ       dns.Type           // 0: A
	options   func(i int) []byte // EDNS options of the question; nil: none
	evil      func(l *lab, q *query)
	victim    func(l *lab, q *query) // nil: the victim's zone as it is
	limit     int                    // packets a question that dnscache may send at most
	// after is asked when the questions are answered: what the attacker got.
	// won: it is what he wanted.
	after func(l *lab, server string) (what string, won bool)
}

type query struct {
	name dnsname.Name
	raw  []byte
	typ  dns.Type
	id   uint16
	port uint16
	tcp  bool
	edns wire.EDNS
	b    wire.Builder
	none bool
	send func([]byte)  // something besides the answer
	wait time.Duration // the answer goes out so much later
	done func()        // when it has
}

func n(text string) []byte {
	v, err := dnsname.ParseDot(text)
	if err != nil {
		panic(err)
	}
	return []byte(v)
}

func (q *query) start(bits uint16) *query {
	q.b.Reset(nil, 65000, q.id, wire.BitQR|bits)
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

// handle answers one message; reply sends.
func (l *lab) handle(answer func(q *query), msg []byte, from uint16, tcp bool, reply func([]byte)) {
	p, err := wire.Parse(msg)
	if err != nil {
		return
	}
	raw, typ, _, err := p.Question(nil)
	if err != nil {
		return
	}
	l.sent.Add(1)
	q := &query{name: dnsname.Name(raw).Lower(), raw: raw, typ: typ, id: p.Header.ID, port: from, tcp: tcp, send: reply}
	q.edns, _ = wire.FindEDNS(&p)
	l.mu.Lock()
	defer l.mu.Unlock()
	answer(q)
	if q.none {
		return
	}
	out := bytes.Clone(q.b.Finish())
	if q.wait == 0 {
		reply(out)
		return
	}
	time.AfterFunc(q.wait, func() {
		if q.done != nil {
			l.mu.Lock()
			q.done()
			l.mu.Unlock()
		}
		reply(out)
	})
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
			l.handle(answer, buf[:size], uint16(from.(*net.UDPAddr).Port), false, func(b []byte) { c.WriteTo(b, from) })
		}
	}()
	k, err := net.Listen("tcp4", addr+":53")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := k.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					c.SetDeadline(time.Now().Add(10 * time.Second))
					var head [2]byte
					if _, err := io.ReadFull(c, head[:]); err != nil {
						return
					}
					msg := make([]byte, binary.BigEndian.Uint16(head[:]))
					if _, err := io.ReadFull(c, msg); err != nil {
						return
					}
					l.handle(answer, msg, 0, true, func(b []byte) {
						c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
					})
				}
			}()
		}
	}()
}

// truth is the victim's zone: www has an address, nothing else is there.
func (l *lab) truth(q *query) {
	switch q.name.Text() {
	case "www.victim":
		q.start(wire.BitAA)
		if q.typ == dns.TypeA {
			q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 60, []byte{192, 0, 2, 1})
		}
	case "victim", "ns.victim":
		q.start(wire.BitAA)
		switch {
		case q.typ == dns.TypeNS && q.name.Text() == "victim":
			q.b.RR(wire.Answer, q.raw, dns.TypeNS, dns.ClassIN, 3600, n("ns.victim"))
		case q.typ == dns.TypeA && q.name.Text() == "ns.victim":
			q.b.RR(wire.Answer, q.raw, dns.TypeA, dns.ClassIN, 3600, []byte{127, 1, 0, 10})
		}
	default:
		q.nx("victim")
	}
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
	if out, err := exec.Command("ip", "link", "set", "lo", "mtu", "1500").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out) // for fragments
	}
	l := &lab{}
	l.serve(t, "127.1.0.1", func(q *query) {
		q.start(0)
		switch {
		case dnsname.IsBelow(q.name, string(n("victim"))):
			q.ns("victim", "ns.victim").a("ns.victim", 10)
		case dnsname.IsBelow(q.name, string(n("attacker"))):
			q.ns("attacker", "ns.attacker").a("ns.attacker", 66)
		case dnsname.IsBelow(q.name, string(n("ghost"))) && !l.gone:
			q.b.RR(wire.Authority, n("ghost"), dns.TypeNS, dns.ClassIN, ghostTTL, n("ns.ghost"))
			q.b.RR(wire.Additional, n("ns.ghost"), dns.TypeA, dns.ClassIN, ghostTTL, []byte{127, 1, 0, 66})
		case len(q.name) == 1 && q.typ == dns.TypeNS:
			q.start(wire.BitAA)
			q.b.RR(wire.Answer, q.raw, dns.TypeNS, dns.ClassIN, 86400, n("ns"))
			q.a("ns", 1)
		default:
			q.nx("")
		}
	})
	l.serve(t, "127.1.0.66", func(q *query) {
		if l.attack.evil == nil {
			q.nx("attacker")
			return
		}
		l.attack.evil(l, q)
	})
	l.serve(t, "127.1.0.10", func(q *query) {
		l.victim.Add(1)
		if q.tcp {
			l.byTCP++
		}
		if l.attack.victim != nil && q.name.Text() != "www.victim" {
			l.attack.victim(l, q)
			return
		}
		l.truth(q)
	})
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	start := func(env []string, args ...string) int {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = env
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd.Process.Pid
	}
	var pids [2]int
	pids[1] = start(testbin.PeerEnv(), testbin.Peer(t, "usr/sbin/unbound"), "-d", "-c", write("unbound.conf",
		"server:\n  interface: 127.2.0.1\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \""+dir+"/unbound.log\"\n"+
			"  directory: \""+dir+"\"\n  access-control: 0.0.0.0/0 allow\n  do-not-query-localhost: no\n  do-ip6: no\n  module-config: \"iterator\"\n"+
			"  root-hints: \""+write("hints", ". 3600 NS ns.\nns. 3600 A 127.1.0.1\n")+"\"\nremote-control:\n  control-enable: no\n"))
	write("root/servers/@", "127.1.0.1\n")
	write("root/ip/127", "")
	write("root/trust-anchors", "")
	pids[0] = start(append(os.Environ(), "IP=127.2.0.3", "IPSEND=0.0.0.0", "CACHESIZE=20000000", "ROOT="+dir+"/root", "UID=65534", "GID=65534", "LOCALZONES=0"),
		filepath.Join(bin, "dnscache"))
	servers := []string{"127.2.0.3", "127.2.0.1"}
	l.attack = &attacks[0]
	for _, s := range servers {
		up := false
		for i := 0; i < 100 && !up; i++ {
			_, up = ask(s, "version.attacker.x", dns.TypeA, nil, time.Second)
			if !up {
				time.Sleep(100 * time.Millisecond)
			}
		}
		if !up {
			log, _ := os.ReadFile(dir + "/unbound.log")
			t.Fatalf("%s does not answer\n%s", s, log)
		}
	}
	t.Logf("%-58s | %-42s | %s", "packets a question (to the victim), processor time", "dnscache", "unbound")
	for i := range attacks {
		at := &attacks[i]
		var cell [2]string
		for k, s := range servers {
			l.mu.Lock()
			l.attack, l.k, l.self, l.gone, l.ports, l.ids, l.out, l.most, l.byTCP, l.size = at, 0, net.ParseIP(s).To4(), false, nil, nil, 0, 0, 0, 0
			l.mu.Unlock()
			began := time.Now()
			before, hurt, cpu := l.sent.Load(), l.victim.Load(), cpuTime(pids[k])
			var wg sync.WaitGroup
			for i := range at.questions {
				wg.Go(func() {
					typ := at.typ
					if typ == 0 {
						typ = dns.TypeA
					}
					var options []byte
					if at.options != nil {
						options = at.options(i)
					}
					// other names for each program: neither profits from the other
					ask(s, strings.Replace(at.ask(i), "x.y", fmt.Sprintf("x%d.y", k), 1), typ, options, patience)
				})
				if !at.atOnce {
					wg.Wait()
				}
			}
			wg.Wait()
			packets := float64(l.sent.Load()-before) / float64(at.questions)
			cell[k] = fmt.Sprintf("%7.2f (%6.2f) %7.0f us", packets, float64(l.victim.Load()-hurt)/float64(at.questions),
				float64((cpuTime(pids[k])-cpu).Microseconds())/float64(at.questions))
			if k == 0 && packets > float64(at.limit) {
				t.Errorf("%s: dnscache sends %.1f packets a question, limit %d", at.name, packets, at.limit)
			}
			if d := time.Since(began); d > time.Second {
				cell[k] += fmt.Sprintf("  %.0f s", d.Seconds())
			}
			if at.after != nil {
				what, won := at.after(l, s)
				cell[k] += "  " + what
				if k == 0 && won {
					t.Errorf("%s: the attacker got what he wanted: %s", at.name, what)
				}
			}
		}
		t.Logf("%-58s | %-42s | %s", at.name, cell[0], cell[1])
	}
}

// cpuTime is what all threads of a process have used.
func cpuTime(pid int) (d time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		var ns int64
		fmt.Sscan(string(b), &ns)
		d += time.Duration(ns)
	}
	return d
}

// reply is what ask got.
type reply struct {
	rcode dns.RCode
	a     [4]byte // the last address in the answer
}

// patience is longer than dnscache works on any of these questions, so that no
// attack runs on into the next; unbound may go on to ask the silent ones.
const patience = 6 * time.Second

// ask sends one question, with the EDNS options given, if any, and waits for
// the answer.
func ask(server, name string, typ dns.Type, options []byte, patience time.Duration) (r reply, ok bool) {
	c, err := net.Dial("udp4", server+":53")
	if err != nil {
		return r, false
	}
	defer c.Close()
	var b wire.Builder
	b.Reset(nil, 512, 4711, wire.BitRD)
	b.Question(n(name), typ, dns.ClassIN)
	if options != nil {
		b.OPT(1232, 0, false, options)
	}
	if _, err := c.Write(b.Finish()); err != nil {
		return r, false
	}
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	size, err := c.Read(buf)
	if err != nil || size < 12 || binary.BigEndian.Uint16(buf) != 4711 {
		return r, false
	}
	r.rcode = dns.RCode(buf[3] & 15)
	p, err := wire.Parse(buf[:size])
	if err != nil || p.SkipQuestions() != nil {
		return r, true
	}
	var rr wire.RR
	for {
		ok, err := p.Next(&rr)
		if !ok || err != nil || rr.Section != wire.Answer {
			return r, true
		}
		if rr.Type == dns.TypeA && rr.Len == 4 {
			copy(r.a[:], rr.RData(buf))
		}
	}
}
