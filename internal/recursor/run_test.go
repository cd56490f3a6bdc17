package recursor_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"bulkhead/internal/testbin"
)

// authority is a name server of the test: it serves one zone, the root, flat.
type authority struct {
	addr string
	mu   sync.Mutex
	rrs  map[string][]string // "name type" -> records
	slow map[string]time.Duration
	hold map[string]chan bool // answers wait until it is closed
	n    int
	srv  []*dns.Server
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{rrs: map[string][]string{}, slow: map[string]time.Duration{}, hold: map[string]chan bool{}}
	var pc net.PacketConn
	var l net.Listener
	for range 20 { // the same port for both
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if l == nil {
		t.Fatal("no port free for UDP and TCP")
	}
	a.addr = pc.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: a}, {Listener: l, Handler: a}} {
		a.srv = append(a.srv, s)
		go s.ActivateAndServe()
	}
	t.Cleanup(a.close)
	a.add(". 3600 IN NS ns.root.test.", "ns.root.test. 3600 IN A 127.0.0.1")
	return a
}

func (a *authority) close() {
	for _, s := range a.srv {
		s.Shutdown()
	}
	a.srv = nil
}

func (a *authority) add(rrs ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range rrs {
		rr, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		h := rr.Header()
		k := strings.ToLower(h.Name) + dns.TypeToString[h.Rrtype]
		a.rrs[k] = append(a.rrs[k], s)
	}
}

func (a *authority) asked() int { a.mu.Lock(); defer a.mu.Unlock(); return a.n }

func (a *authority) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	a.mu.Lock()
	a.n++
	name := strings.ToLower(q.Question[0].Name)
	rrs := a.rrs[name+dns.TypeToString[q.Question[0].Qtype]]
	if len(rrs) == 0 {
		rrs = a.rrs[name+"CNAME"]
	}
	exists := false
	for k := range a.rrs {
		exists = exists || strings.HasPrefix(k, name) || strings.Contains(k, "."+name)
	}
	wait, hold := a.slow[name], a.hold[name]
	a.mu.Unlock()
	time.Sleep(wait)
	if hold != nil {
		<-hold
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	for _, s := range rrs {
		rr, _ := dns.NewRR(s)
		m.Answer = append(m.Answer, rr)
	}
	if len(rrs) == 0 {
		soa, _ := dns.NewRR(". 60 IN SOA ns.root.test. h.root.test. 1 2 3 4 60")
		m.Ns = append(m.Ns, soa)
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
	}
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	if b, err := m.Pack(); err == nil && len(b) > 1232 && !tcp {
		m.Answer, m.Truncated = nil, true
	}
	w.WriteMsg(m)
}

// cache is a running dnscache.
type cacheServer struct {
	t    *testing.T
	root string
	addr string
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  []string
	done chan struct{}
}

// freePort finds one that is free for UDP and TCP on 127.0.0.1.
func freePort(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", fmt.Sprint("127.0.0.1:", port))
		l.Close()
		if err == nil {
			p.Close()
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no free port")
	return ""
}

func makeRoot(t *testing.T, a *authority) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/" && d != "."; d = filepath.Dir(d) {
		if strings.HasPrefix(d, os.TempDir()+"/") {
			os.Chmod(d, 0o755) // the server runs as somebody else
		}
	}
	os.MkdirAll(dir+"/ip", 0o755)
	os.MkdirAll(dir+"/servers", 0o755)
	os.WriteFile(dir+"/ip/127.0.0.1", nil, 0o644)
	os.WriteFile(dir+"/servers/@", []byte(strings.Replace(a.addr, ":", "@", 1)+"\n"), 0o644)
	return dir
}

func start(t *testing.T, root string, env ...string) *cacheServer {
	t.Helper()
	port := freePort(t)
	c := &cacheServer{t: t, root: root, addr: "127.0.0.1:" + port, done: make(chan struct{})}
	c.cmd = exec.Command(filepath.Join(testbin.Dir(t, "dnscache"), "dnscache"))
	c.cmd.Env = append([]string{"IP=127.0.0.1", "PORT=" + port, "ROOT=" + root, "UID=65534", "GID=65534", "IPSEND=127.0.0.1",
		"CACHESIZE=1000000", "QMIN=0"}, env...) // of two equal ones the last counts
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = w
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		for sc := bufio.NewScanner(r); sc.Scan(); {
			c.mu.Lock()
			c.log = append(c.log, sc.Text())
			c.mu.Unlock()
		}
		close(c.done)
	}()
	t.Cleanup(c.stop)
	c.waitLog("starting")
	return c
}

func (c *cacheServer) lines() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.log, "\n") + "\n"
}

// waitLog waits for a line that contains text; a generous time-out ends a test
// that would wait for ever.
func (c *cacheServer) waitLog(text string) { c.t.Helper(); c.waitLogs(text, 1) }

func (c *cacheServer) waitLogs(text string, times int) {
	c.t.Helper()
	for range 1000 {
		if strings.Count(c.lines(), text) >= times {
			return
		}
		select {
		case <-c.done:
			if strings.Count(c.lines(), text) < times {
				c.t.Fatalf("ended without %q:\n%s", text, c.lines())
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	c.t.Fatalf("no %q in the log:\n%s", text, c.lines())
}

func (c *cacheServer) stop() {
	c.cmd.Process.Signal(syscall.SIGTERM)
	<-c.done
	c.cmd.Wait()
}

func (c *cacheServer) ask(name string, typ uint16) *dns.Msg {
	c.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	cl := dns.Client{Timeout: 10 * time.Second}
	r, _, err := cl.Exchange(m, c.addr)
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, c.lines())
	}
	return r
}

func TestResolves(t *testing.T) {
	a := newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1", "alias.example.test. 60 IN CNAME www.example.test.")
	for i := range 12 {
		a.add(fmt.Sprintf("big.example.test. 300 IN TXT %q", strings.Repeat(string(rune('a'+i)), 200)))
	}
	c := start(t, makeRoot(t, a))
	if r := c.ask("www.example.test.", dns.TypeA); len(r.Answer) != 1 || r.Answer[0].String() != "www.example.test.\t300\tIN\tA\t192.0.2.1" {
		t.Errorf("%v", r)
	}
	n := a.asked()
	if r := c.ask("WWW.example.TEST.", dns.TypeA); len(r.Answer) != 1 || a.asked() != n {
		t.Errorf("not from the cache: %v", r)
	}
	if r := c.ask("alias.example.test.", dns.TypeA); len(r.Answer) != 2 {
		t.Errorf("%v", r)
	}
	if r := c.ask("nothing.example.test.", dns.TypeA); r.Rcode != dns.RcodeNameError || r.Authoritative || len(r.Ns) != 1 {
		t.Errorf("%v", r)
	}
	if r := c.ask("big.example.test.", dns.TypeTXT); !r.Truncated || len(r.Answer) != 0 {
		t.Errorf("%v", r)
	}
	m := new(dns.Msg)
	m.SetQuestion("big.example.test.", dns.TypeTXT)
	r, _, err := (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(m, c.addr)
	if err != nil || len(r.Answer) != 12 {
		t.Errorf("over TCP: %v %v", r, err)
	}
	c.waitLog("sent 6 ")
	c.waitLog("tcpclose 7f000001:")
	for _, want := range []string{"query 1 7f000001:", " 1 www.example.test.\n", "cached 1 www.example.test.\nsent 2 50\n", "tcpopen 7f000001:"} {
		if !strings.Contains(c.lines(), want) {
			t.Errorf("log lacks %q:\n%s", want, c.lines())
		}
	}
}

// TestAddresses: several addresses of both families, and 0.0.0.0 and ::, from
// which answers must come with the address that was asked.
func TestAddresses(t *testing.T) {
	a := newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1")
	root := makeRoot(t, a)
	os.WriteFile(root+"/ip/127", nil, 0o644)
	os.WriteFile(root+"/ip/::1", nil, 0o644)
	v6 := true
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		v6 = false
	} else {
		l.Close()
	}
	for _, x := range []struct {
		ip  string
		ask []string
	}{
		{"127.0.0.1,127.0.0.3", []string{"127.0.0.1", "127.0.0.3"}},
		{"127.0.0.1/::1", []string{"127.0.0.1", "::1"}},
		{"0.0.0.0", []string{"127.0.0.1", "127.0.0.9", "127.1.2.3"}},
		{"::", []string{"::1"}},
	} {
		if strings.Contains(x.ip, ":") && !v6 {
			t.Logf("%s: no IPv6 here", x.ip)
			continue
		}
		c := start(t, root, "IP="+x.ip)
		_, port, _ := net.SplitHostPort(c.addr)
		for _, ip := range x.ask {
			for _, network := range []string{"udp", "tcp"} {
				m := new(dns.Msg)
				m.SetQuestion("www.example.test.", dns.TypeA)
				// the client's socket is connected: an answer from elsewhere does not arrive
				r, _, err := (&dns.Client{Net: network, Timeout: 10 * time.Second}).Exchange(m, net.JoinHostPort(ip, port))
				if err != nil || len(r.Answer) != 1 {
					t.Errorf("IP=%s, asked at %s over %s: %v %v\n%s", x.ip, ip, network, r, err, c.lines())
				}
			}
		}
		c.stop()
	}
}

// TestAllowList: files in root/ip count at once, both ways.
func TestAllowList(t *testing.T) {
	a := newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1")
	root := makeRoot(t, a)
	c := start(t, root)
	m := new(dns.Msg)
	m.SetQuestion("www.example.test.", dns.TypeA)
	udp := func(wait time.Duration) bool {
		_, _, err := (&dns.Client{Timeout: wait}).Exchange(m, c.addr)
		return err == nil
	}
	tcp := func() bool {
		_, _, err := (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(m, c.addr)
		return err == nil
	}
	const long, short = 10 * time.Second, 300 * time.Millisecond
	if !udp(long) || !tcp() {
		t.Fatal("refused although in ip/")
	}
	for round := range 3 {
		os.Remove(root + "/ip/127.0.0.1")
		if udp(short) || tcp() {
			t.Errorf("round %d: still answered after the file was removed", round)
		}
		os.WriteFile(root+"/ip/127.0.0.1", nil, 0o644)
		if !udp(long) || !tcp() {
			t.Errorf("round %d: not answered after the file was added", round)
		}
	}
	os.Remove(root + "/ip/127.0.0.1")
	os.Mkdir(root+"/ip/127.0.0.0", 0o755)
	os.WriteFile(root+"/ip/127.0.0.0/8", nil, 0o644)
	// a folder is seen as it comes; the file in it with the next look
	for i := 0; !udp(short); i++ {
		if i == 20 {
			t.Fatal("a prefix in its folder does not open")
		}
	}
}

// TestPipelining: answers on one connection go out as they come, not in order.
func TestPipelining(t *testing.T) {
	a := newAuthority(t)
	a.add("fast.example.test. 300 IN A 192.0.2.1", "slow.example.test. 300 IN A 192.0.2.2")
	held := make(chan bool)
	a.hold["slow.example.test."] = held
	c := start(t, makeRoot(t, a))
	k, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	k.SetDeadline(time.Now().Add(20 * time.Second))
	var out []byte
	for i, n := range []string{"slow.example.test.", "fast.example.test."} {
		m := new(dns.Msg)
		m.SetQuestion(n, dns.TypeA)
		m.Id = uint16(i + 1)
		b, _ := m.Pack()
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(b))), b...)
	}
	for _, b := range out { // in the smallest pieces
		k.Write([]byte{b})
	}
	k.(*net.TCPConn).CloseWrite() // answers still come (RFC 7766, section 6.2.4)
	var ids []uint16
	for range 2 {
		var l [2]byte
		if _, err := readFull(k, l[:]); err != nil {
			t.Fatalf("%v\n%s", err, c.lines())
		}
		b := make([]byte, binary.BigEndian.Uint16(l[:]))
		if _, err := readFull(k, b); err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, binary.BigEndian.Uint16(b)); len(ids) == 1 {
			close(held) // or both time out
		}
	}
	if ids[0] != 2 || ids[1] != 1 {
		t.Errorf("answers in order %v, want the fast one first", ids)
	}
}

// TestPipelineOfHits: a client may send thousands of questions that are answered
// at once and read later; all of them are answered, also when it has nothing
// more to say.
func TestPipelineOfHits(t *testing.T) {
	a := newAuthority(t)
	defer a.close()
	a.add("big.example.test. 300 IN TXT " + strings.Repeat(`"`+strings.Repeat("x", 200)+`" `, 4))
	c := start(t, makeRoot(t, a))
	c.ask("big.example.test.", dns.TypeTXT)
	k, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	const questions = 20000 // more answers, 17 MB, than sockets and server hold
	wrote := make(chan error, 1)
	go func() {
		m := new(dns.Msg)
		m.SetQuestion("big.example.test.", dns.TypeTXT)
		var out []byte
		for i := range questions {
			m.Id = uint16(i)
			b, _ := m.Pack()
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(b))), b...)
		}
		_, err := k.Write(out)
		k.(*net.TCPConn).CloseWrite()
		wrote <- err
	}()
	c.waitLogs(" 16 big.example.test.\n", 2) // it has begun, and fills what there is to fill
	time.Sleep(500 * time.Millisecond)
	k.SetReadDeadline(time.Now().Add(8 * time.Second)) // less than an idle connection has
	for i := range questions {
		var l [2]byte
		if _, err := readFull(k, l[:]); err != nil {
			t.Fatalf("answer %d of %d: %v", i, questions, err)
		}
		b := make([]byte, binary.BigEndian.Uint16(l[:]))
		if _, err := readFull(k, b); err != nil {
			t.Fatalf("answer %d of %d: %v", i, questions, err)
		}
		if id := binary.BigEndian.Uint16(b); id != uint16(i) {
			t.Fatalf("answer %d has ID %d", i, id)
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if n, err := k.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the last answer: %d bytes, %v; want the end", n, err)
	}
}

func readFull(k net.Conn, b []byte) (int, error) {
	for n := 0; n < len(b); {
		m, err := k.Read(b[n:])
		if err != nil {
			return n, err
		}
		n += m
	}
	return len(b), nil
}

// TestRestart: TERM dumps, the next start loads, and needs no server for what
// it knows.
func TestRestart(t *testing.T) {
	testbin.NeedRoot(t) // to give ROOT/state to the server's user
	a := newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1")
	root := makeRoot(t, a)
	c := start(t, root)
	c.ask("www.example.test.", dns.TypeA)
	c.ask("nothing.example.test.", dns.TypeA)
	c.stop()
	if !strings.Contains(c.lines(), "\ndumped ") {
		t.Errorf("log: %s", c.lines())
	}
	a.close()
	c = start(t, root)
	if r := c.ask("www.example.test.", dns.TypeA); len(r.Answer) != 1 || r.Answer[0].Header().Ttl > 300 || r.Answer[0].Header().Ttl < 200 {
		t.Errorf("after the restart: %v", r)
	}
	if r := c.ask("nothing.example.test.", dns.TypeA); r.Rcode != dns.RcodeNameError {
		t.Errorf("after the restart: %v", r)
	}
	c.stop()
	// a zone that came while the server was down is asked for anew, and it alone
	b := newAuthority(t)
	b.add("nothing.example.test. 300 IN A 192.0.2.2")
	own := root + "/servers/nothing.example.test"
	os.WriteFile(own, []byte(strings.Replace(b.addr, ":", "@", 1)+"\n"), 0o644)
	c = start(t, root)
	if r := c.ask("nothing.example.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("after the restart with a new zone: %v", r)
	}
	if r := c.ask("www.example.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("after the restart with a new zone: %v", r)
	}
	c.stop()
	// and when it has not changed, what was learnt of it stays
	b.close()
	c = start(t, root)
	if r := c.ask("nothing.example.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("after the restart with the same zone: %v", r)
	}
	c.stop()
	// a damaged dump costs the cache, not the service
	file, err := os.ReadFile(root + "/state/cache")
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)/2] ^= 1
	os.WriteFile(root+"/state/cache", file, 0o644)
	c = start(t, root)
	c.waitLog("checksum mismatch")
	if r := c.ask("localhost.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("after damage: %v", r)
	}
}

// TestReload: HUP reads servers/ anew and forgets nothing.
func TestReload(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1")
	b.add("www.private.test. 300 IN A 192.0.2.2")
	root := makeRoot(t, a)
	c := start(t, root)
	c.ask("www.example.test.", dns.TypeA)
	os.WriteFile(root+"/servers/private.test", []byte(strings.Replace(b.addr, ":", "@", 1)+"\n"), 0o644)
	c.cmd.Process.Signal(syscall.SIGHUP)
	c.waitLog("reloaded")
	if r := c.ask("www.private.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("%v", r)
	}
	c.ask("www.example.test.", dns.TypeA)
	c.waitLog("cached 1 www.example.test.") // or the cache was lost at the reload
	// what can not be read changes nothing
	os.WriteFile(root+"/trust-anchors", []byte("nonsense\n"), 0o644)
	c.cmd.Process.Signal(syscall.SIGHUP)
	c.waitLog("dnscache: warning: reload: nothing changed: unable to parse trust-anchors: line 1: ")
	if r := c.ask("www.private.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("%v", r)
	}
	os.Remove(root + "/trust-anchors")
	os.MkdirAll(root+"/forward/folder.test", 0o755)
	c.cmd.Process.Signal(syscall.SIGHUP)
	c.waitLog("dnscache: warning: reload: nothing changed: unable to read servers: forward/folder.test: is a directory")
}

// TestServersWatched: a file in servers/ or forward/ counts without a signal,
// and one that goes away no longer does.
func TestServersWatched(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1")
	b.add("www.private.test. 300 IN A 192.0.2.2")
	b.add("two.private.test. 300 IN A 192.0.2.3")
	b.add("three.private.test. 300 IN A 192.0.2.4")
	root := makeRoot(t, a)
	c := start(t, root)
	c.ask("www.example.test.", dns.TypeA)
	// what the cache knows of a zone is another's word when the zone comes or goes
	for _, name := range []string{"www.private.test.", "four.private.test.", "private.test."} {
		if r := c.ask(name, dns.TypeA); r.Rcode != dns.RcodeNameError {
			t.Errorf("without the zone: %v", r)
		}
	}
	list := []byte(strings.Replace(b.addr, ":", "@", 1) + "\n")
	os.WriteFile(root+"/servers/private.test", list, 0o644)
	c.waitLogs("reloaded", 1)
	if r := c.ask("www.private.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("servers/ with a new file: %v", r)
	}
	os.Mkdir(root+"/forward", 0o755)
	os.Rename(root+"/servers/private.test", root+"/forward/private.test")
	c.waitLogs("reloaded", 2)
	if r := c.ask("two.private.test.", dns.TypeA); len(r.Answer) != 1 {
		t.Errorf("forward/ with a new file: %v", r)
	}
	os.Remove(root + "/forward/private.test")
	c.waitLogs("reloaded", 3)
	for _, name := range []string{"three.private.test.", "two.private.test."} {
		if r := c.ask(name, dns.TypeA); r.Rcode != dns.RcodeNameError {
			t.Errorf("forward/ without the file: %v", r)
		}
	}
	c.ask("www.example.test.", dns.TypeA)
	c.waitLog("cached 1 www.example.test.")
}

func TestExplain(t *testing.T) {
	testbin.NeedRoot(t) // to give ROOT/state to the server's user
	a := newAuthority(t)
	a.add("www.example.test. 300 IN A 192.0.2.1")
	root := makeRoot(t, a)
	c := start(t, root)
	tool := filepath.Join(testbin.Dir(t, "dnscache", "dnscache-explain"), "dnscache-explain")
	run := func(args ...string) string {
		out, err := exec.Command(tool, append([]string{"-d", root}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, out, c.lines())
		}
		return string(out)
	}
	text := run("www.example.test")
	for _, want := range []string{"www.example.test A\n", " for www.example.test A", "192.0.2.1", "NOERROR", "packets sent: 1", "in the cache now\n  rrset      www.example.test A: authoritative answer"} {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	var doc struct {
		Steps  []map[string]any `json:"steps"`
		Answer struct{ RCode string }
	}
	if err := json.Unmarshal([]byte(run("-j", "nothing.example.test", "MX")), &doc); err != nil || doc.Answer.RCode != "NXDOMAIN" || len(doc.Steps) == 0 {
		t.Errorf("JSON: %v %+v", err, doc)
	}
	if s := run("-s", "www.example.test"); !strings.HasPrefix(s, "<svg ") || !strings.Contains(s, "cache has www.example.test A") {
		t.Errorf("SVG: %.300s", s)
	}
	if s := run("localhost"); !strings.Contains(s, "localhost A is served locally") {
		t.Errorf("a local name: %s", s)
	}
	if s := run("-f", "www.example.test"); !strings.Contains(s, "packets sent: 1") {
		t.Errorf("fresh: %s", s)
	}
	// more at once than are served at once
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if out, err := exec.Command(tool, "-d", root, "-f", "www.example.test").CombinedOutput(); err != nil {
				t.Errorf("one of twelve: %v: %s", err, out)
			}
		})
	}
	all.Wait()
	if i, err := os.Stat(root + "/state/control"); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", i, err)
	}
	if strings.Contains(c.lines(), "query 1") {
		t.Errorf("an explanation counts as a client's question:\n%s", c.lines())
	}
	for _, args := range [][]string{{}, {"a", "b", "c"}, {"-x"}} {
		out, err := exec.Command(tool, args...).CombinedOutput()
		if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 100 || !bytes.Contains(out, []byte("dnscache-explain: usage: ")) {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
	out, err := exec.Command(tool, "-d", root, "www.example.test", "AXFR").CombinedOutput()
	if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 111 {
		t.Errorf("AXFR: %v %s", err, out)
	}
}

// TestMerged: many clients ask at once, one packet goes out for each name; also
// when several threads receive the questions.
func TestMerged(t *testing.T) {
	for _, threads := range []string{"1", "4"} {
		t.Run(threads, func(t *testing.T) {
			a := newAuthority(t)
			a.add("slow.example.test. 300 IN A 192.0.2.2")
			a.slow["slow.example.test."] = 300 * time.Millisecond
			c := start(t, makeRoot(t, a), "GOMAXPROCS="+threads)
			for range 20 { // each thread knows the root
				c.ask("nothing.example.test.", dns.TypeA)
			}
			before := a.asked()
			var wg sync.WaitGroup
			for range 40 {
				wg.Go(func() {
					m := new(dns.Msg)
					m.SetQuestion("slow.example.test.", dns.TypeA)
					r, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(m, c.addr)
					if err != nil || len(r.Answer) != 1 {
						t.Errorf("%v %v\n%.2000s", r, err, c.lines())
					}
				})
			}
			wg.Wait()
			// the engine may have looked elsewhere or again, but not once a client
			if n := a.asked() - before; n > 10 {
				t.Errorf("%d packets for 40 equal questions:\n%s", n, c.lines())
			}
			if n := strings.Count(c.lines(), " slow.example.test. . "); n != 1 {
				t.Errorf("%d times out at once:\n%s", n, c.lines())
			}
		})
	}
}
