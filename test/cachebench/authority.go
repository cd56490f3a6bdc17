package main

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The Internet of the benchmark. Names are dNNNNN.tNN, below them www and
// hNNNNNN hosts.
//
//	10.53.0.1-2      root
//	10.54.TLD.1-2    TLD
//	10.55.0.1-250    hosters, which serve each fifth zone, whose NS have no glue
//	10.56.X.1-2      the other zones, X = zone mod 175
//
// One www in ten is an alias into another zone; one name in ten does not exist.
const (
	tlds    = 50
	zones   = 10000
	hosters = 250
	leaves  = 175
	control = "127.0.0.1:5399"
)

func zoneName(z int) string { return fmt.Sprintf("d%05d.t%02d", z, z%tlds) }

// questions makes n of them: kind 0 existing www hosts of distinct zones, 1 a
// mixture in random order, 2 distinct hosts of all zones, others the mixture
// with hosts of its own.
func questions(n, kind int) []string {
	rng := rand.New(rand.NewPCG(uint64(kind), 7))
	out := make([]string, n)
	for i := range out {
		z := i % zones
		switch kind {
		case 0:
			out[i] = "www." + zoneName(z)
		case 2:
			out[i] = fmt.Sprintf("h%06d.%s", i, zoneName(z))
		default:
			z = rng.IntN(zones)
			switch rng.IntN(10) {
			case 0:
				out[i] = fmt.Sprintf("nx%06d.%s", i+(kind-1)*1000, zoneName(z))
			case 1, 2, 3, 4:
				out[i] = fmt.Sprintf("h%06d.%s", i+(kind-1)*1000, zoneName(z))
			default:
				out[i] = fmt.Sprintf("www.%s", zoneName(z))
			}
		}
	}
	return out
}

// network is the running authority process.
type network struct {
	cmd  *exec.Cmd
	conn net.Conn
}

func startAuthority() (*network, error) {
	n := &network{cmd: exec.Command(os.Args[0], "-role", "authority")}
	n.cmd.Stderr = os.Stderr
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	for range 500 {
		c, err := net.Dial("udp", control)
		if err == nil {
			n.conn = c
			if _, err := n.ask("asked"); err == nil {
				return n, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	n.stop()
	return nil, fmt.Errorf("authority does not start")
}

func (n *network) ask(q string) (string, error) {
	n.conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := n.conn.Write([]byte(q)); err != nil {
		return "", err
	}
	var b [256]byte
	k, err := n.conn.Read(b[:])
	return string(b[:k]), err
}

func (n *network) set(delay, jitter time.Duration, loss float64) {
	n.ask(fmt.Sprintf("set %d %d %f", delay.Nanoseconds(), jitter.Nanoseconds(), loss))
}

func (n *network) asked() int {
	s, _ := n.ask("asked")
	var v int
	fmt.Sscan(s, &v)
	return v
}

func (n *network) stop() { n.cmd.Process.Kill(); n.cmd.Wait() }

// authority serves all addresses with one socket a family of them: bound to
// 0.0.0.0, the address asked tells who is meant.
func authority() {
	runtime.GOMAXPROCS(1)
	pin(loadCPU)
	// it must preempt the load generator, which spins on the same core
	unix.Setpriority(unix.PRIO_PROCESS, 0, -10)
	var asked atomic.Int64
	var delay, jitter atomic.Int64
	var loss atomic.Uint64 // of 2^32
	c, err := net.ListenPacket("udp", control)
	if err != nil {
		fmt.Fprintln(os.Stderr, "authority:", err)
		os.Exit(111)
	}
	go func() {
		b := make([]byte, 256)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var d, j int64
			var l float64
			if k, _ := fmt.Sscanf(string(b[:n]), "set %d %d %f", &d, &j, &l); k == 3 {
				delay.Store(d)
				jitter.Store(j)
				loss.Store(uint64(l * (1 << 32)))
			}
			c.WriteTo([]byte(fmt.Sprint(asked.Load())), from)
		}
	}()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		// the original dnscache binds port 53 of one address beside us
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: 53})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "authority:", err)
		os.Exit(111)
	}
	in, oob, out := make([]byte, 4096), make([]byte, 256), make([]byte, 0, 4096)
	for {
		n, on, _, from, err := unix.Recvmsg(fd, in, oob, 0)
		if err != nil {
			continue
		}
		asked.Add(1)
		if l := loss.Load(); l > 0 && uint64(rand.Uint32()) < l {
			continue
		}
		to := destination(oob[:on])
		out = answer(out[:0], in[:n], to)
		if len(out) == 0 {
			continue
		}
		if d := delay.Load(); d > 0 {
			wait := d + rand.Int64N(2*jitter.Load()+1) - jitter.Load()
			reply := append([]byte(nil), out...)
			time.AfterFunc(time.Duration(wait), func() { send(fd, reply, to, from) })
			continue
		}
		send(fd, out, to, from)
	}
}

func destination(oob []byte) (a [4]byte) {
	msgs, _ := unix.ParseSocketControlMessage(oob)
	for _, m := range msgs {
		if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12 {
			copy(a[:], m.Data[8:12])
		}
	}
	return a
}

func send(fd int, b []byte, from [4]byte, to unix.Sockaddr) {
	unix.SendmsgN(fd, b, unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from}), to, 0)
}

// answer builds the response of the server with the address.
func answer(out, q []byte, server [4]byte) []byte {
	if len(q) < 17 || q[2]&0x80 != 0 {
		return nil
	}
	var labels []string
	i := 12
	for i < len(q) && q[i] != 0 {
		n := int(q[i])
		if n > 63 || i+1+n > len(q) {
			return nil
		}
		labels = append(labels, strings.ToLower(string(q[i+1:i+1+n])))
		i += 1 + n
	}
	if i+5 > len(q) {
		return nil
	}
	t := binary.BigEndian.Uint16(q[i+1:])
	end := i + 5
	out = append(out, q[:end]...)
	out[2], out[3] = 0x80|q[2]&1, 0
	clear(out[6:12])
	m := &message{b: out}
	m.respond(labels, t, server)
	if q[11] == 1 { // OPT
		m.b = append(m.b, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)
		m.n[2]++
	}
	for s := range 3 {
		binary.BigEndian.PutUint16(m.b[6+2*s:], uint16(m.n[s]))
	}
	return m.b
}

type message struct {
	b []byte
	n [3]int
}

func (m *message) name(s string) {
	if s != "" {
		for _, l := range strings.Split(strings.TrimSuffix(s, "."), ".") {
			m.b = append(append(m.b, byte(len(l))), l...)
		}
	}
	m.b = append(m.b, 0)
}

func (m *message) rr(section int, owner string, t uint16, ttl uint32, data func()) {
	m.name(owner)
	m.b = binary.BigEndian.AppendUint16(m.b, t)
	m.b = append(m.b, 0, 1)
	m.b = binary.BigEndian.AppendUint32(m.b, ttl)
	at := len(m.b)
	m.b = append(m.b, 0, 0)
	data()
	binary.BigEndian.PutUint16(m.b[at:], uint16(len(m.b)-at-2))
	m.n[section]++
}

func (m *message) a(section int, owner string, a, b, c, d int) {
	m.rr(section, owner, 1, 86400, func() { m.b = append(m.b, byte(a), byte(b), byte(c), byte(d)) })
}

func (m *message) ns(section int, owner, target string) {
	m.rr(section, owner, 2, 86400, func() { m.name(target) })
}

func (m *message) soa(zone string) { m.soaIn(1, zone) }

func (m *message) soaIn(section int, zone string) {
	m.rr(section, zone, 6, 3600, func() {
		m.name("ns." + zone)
		m.name("admin." + zone)
		m.b = append(m.b, make([]byte, 16)...)
		m.b = binary.BigEndian.AppendUint32(m.b, 3600)
	})
}

func (m *message) negative(zone string, nx bool) {
	m.b[2] |= 4
	if nx {
		m.b[3] |= 3
	}
	m.soa(zone)
}

// number reads the digits after a prefix of one letter.
func number(s string) (int, bool) {
	if len(s) < 2 {
		return 0, false
	}
	n := 0
	for _, c := range s[1:] {
		if c < '0' || c > '9' || n > 1e7 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func (m *message) respond(l []string, t uint16, server [4]byte) {
	switch server[1] {
	case 53:
		m.root(l, t)
	case 54:
		m.tld(l, t, int(server[2]))
	default:
		m.zone(l, t)
	}
}

func (m *message) root(l []string, t uint16) {
	if len(l) == 0 {
		m.b[2] |= 4
		if t == 2 {
			m.ns(0, "", "ns1.root")
			m.ns(0, "", "ns2.root")
			m.a(2, "ns1.root", 10, 53, 0, 1)
			m.a(2, "ns2.root", 10, 53, 0, 2)
			return
		}
		m.soa("")
		return
	}
	top := l[len(l)-1]
	if top == "root" {
		m.b[2] |= 4
		if n := l[0]; t == 1 && (n == "ns1" || n == "ns2") {
			m.a(0, n+".root", 10, 53, 0, int(n[2]-'0'))
			return
		}
		m.soa("")
		return
	}
	if top == "hoster" { // the hosters' own zone is at the root
		m.hoster(l, t)
		return
	}
	k, ok := number(top)
	if !ok || k >= tlds || top[0] != 't' {
		m.negative("", true)
		return
	}
	for i := 1; i <= 2; i++ {
		m.ns(1, top, fmt.Sprintf("ns%d.nic.%s", i, top))
	}
	for i := 1; i <= 2; i++ {
		m.a(2, fmt.Sprintf("ns%d.nic.%s", i, top), 10, 54, k, i)
	}
}

func (m *message) hoster(l []string, t uint16) {
	m.b[2] |= 4
	if len(l) == 2 {
		if k, ok := number(l[0]); ok && k < hosters && t == 1 {
			m.a(0, l[0]+".hoster", 10, 55, 0, k+1)
			return
		}
	}
	m.soa("hoster")
}

func (m *message) tld(l []string, t uint16, k int) {
	top := fmt.Sprintf("t%02d", k)
	if len(l) == 0 || l[len(l)-1] != top {
		m.b[3] |= 5
		return
	}
	if len(l) == 1 {
		m.b[2] |= 4
		if t == 2 {
			m.ns(0, top, "ns1.nic."+top)
			m.ns(0, top, "ns2.nic."+top)
			return
		}
		if t == 6 {
			m.soaIn(0, top)
			return
		}
		m.soa(top)
		return
	}
	if l[len(l)-2] == "nic" {
		m.b[2] |= 4
		if t == 1 && len(l) == 3 && (l[0] == "ns1" || l[0] == "ns2") {
			m.a(0, strings.Join(l, "."), 10, 54, k, int(l[0][2]-'0'))
			return
		}
		m.soa(top)
		return
	}
	z, ok := number(l[len(l)-2])
	if !ok || z >= zones || z%tlds != k {
		m.negative(top, true)
		return
	}
	zone := zoneName(z)
	if z%5 == 0 { // at a hoster, without glue
		h := z / 5 % (hosters - 1)
		m.ns(1, zone, fmt.Sprintf("h%03d.hoster", h))
		m.ns(1, zone, fmt.Sprintf("h%03d.hoster", h+1))
		return
	}
	for i := 1; i <= 2; i++ {
		m.ns(1, zone, fmt.Sprintf("ns%d.%s", i, zone))
	}
	for i := 1; i <= 2; i++ {
		m.a(2, fmt.Sprintf("ns%d.%s", i, zone), 10, 56, z%leaves, i)
	}
}

func (m *message) zone(l []string, t uint16) {
	if len(l) < 2 {
		m.b[3] |= 5
		return
	}
	z, ok := number(l[len(l)-2])
	if !ok || z >= zones {
		m.b[3] |= 5
		return
	}
	zone := zoneName(z)
	m.b[2] |= 4
	if len(l) == 2 {
		if t == 2 {
			m.ns(0, zone, "ns1."+zone)
			m.ns(0, zone, "ns2."+zone)
			return
		}
		if t == 6 {
			m.soaIn(0, zone)
			return
		}
		m.soa(zone)
		return
	}
	owner := strings.Join(l, ".")
	switch {
	case strings.HasPrefix(l[0], "nx"):
		m.negative(zone, true)
	case l[0] == "www" && z%10 == 3:
		target := fmt.Sprintf("www.%s", zoneName((z*7+1)/10*10%zones))
		m.rr(0, owner, 5, 3600, func() { m.name(target) })
	case t == 1 && (l[0] == "ns1" || l[0] == "ns2"):
		m.a(0, owner, 10, 56, z%leaves, int(l[0][2]-'0'))
	case t == 1:
		h := fnv.New32()
		h.Write([]byte(owner))
		v := h.Sum32()
		m.a(0, owner, 198, 51, int(v>>8&255), int(v&255))
	default:
		m.soa(zone)
	}
}
