package boxes

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

// works says how each program is put to work. A program that gets a box needs
// a line here: without one its calls are not proved.
var works = map[string][]work{
	"dnsip":     {{args: []string{"a.test", "b.test", "c.test", "d.test"}}},
	"dnsipq":    {{args: []string{"a.test", "b.test", "c.test", "d.test"}}},
	"dnsip6":    {{args: []string{"a.test", "b.test", "c.test", "d.test"}}},
	"dnsip6q":   {{args: []string{"a.test", "b.test", "c.test", "d.test"}}},
	"dnsname":   {{args: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"}}},
	"dnstxt":    {{args: []string{"a.test", "b.test", "c.test", "d.test"}}},
	"dnsmx":     {{args: []string{"a.test", "b.test", "c.test", "d.test"}}},
	"dnsq":      {{args: []string{"-d", "txt", "a.test", "SERVER"}}},
	"dnsqr":     {{args: []string{"-d", "txt", "a.test"}}},
	"dnsfilter": {{args: []string{"-c", "20"}, stdin: manyLines()}},
	"dnstrace":  {{args: []string{"-6d", "-p", "SERVERPORT", "a", "a.test", "127.0.0.1"}}},
	"tinydns":   {{drive: content, files: map[string]string{"data.cdb": string(emptyCDB())}}},
	"walldns":   {{drive: content}},
	"rbldns":    {{drive: content, files: map[string]string{"data.cdb": string(emptyCDB())}}},
	"pickdns":   {{drive: content, files: map[string]string{"data.cdb": string(emptyCDB())}}},
	"axfrdns": {
		{drive: overTCP, files: map[string]string{"data.cdb": string(emptyCDB())}},
		{env: []string{"IP"}, stdin: tcpQuestions(), files: map[string]string{"data.cdb": string(emptyCDB())}},
	},
	"multilog": {{args: []string{"t", "-*x", "e", "+*", "=status", "s4096", "n3", "./log"}, stdin: strings.Repeat(manyLines(), 3)},
		{args: []string{"s4096", "n3", "wgz", "./log"}, stdin: strings.Repeat(manyLines(), 3)}},
	"axfr-get": {{args: []string{"a.test", "zone", "zone.tmp", "SERVER"}}},
	"rpz-get": {
		{args: []string{"10-a.test", "SERVER"}},
		{args: []string{"10-a.test", "SERVER"}, files: map[string]string{"10-a.test": "a.test. SOA m. r. 0 1 1 1 1\n"}},
	},
	"addcr":         {{stdin: manyLines()}},
	"delcr":         {{stdin: manyLines()}},
	"tai64n":        {{stdin: manyLines()}},
	"tai64nlocal":   {{stdin: "@400000006000000000000001 line\n"}},
	"dnstracesort":  {{stdin: "1 . 192.0.2.1 answer a.test 60 A 192.0.2.1\n"}},
	"readproctitle": {{args: []string{"log:", strings.Repeat(".", 100)}, stdin: manyLines()}},
	"mconnect-io":   {{stdin: manyLines(), files: map[string]string{"from": manyLines()}, shell: `exec "$@" 6<from 7>out`}},
	"recordio":      {{args: []string{"cat"}, stdin: manyLines()}, {args: []string{"cat"}, stdin: manyLines(), slow: true, shell: nonblocking}},
	"fixcrio":       {{args: []string{"cat"}, stdin: manyLines()}, {args: []string{"cat"}, stdin: manyLines(), slow: true, shell: nonblocking}},
	"rblsmtpd":      {{args: []string{"true"}, env: []string{"RBLSMTPD=listed"}, stdin: "HELO a.test\r\nMAIL FROM:<>\r\nQUIT\r\n"}},
	"dnscache-explain": {{args: []string{"a.test"}, before: control}, {args: []string{"-s", "a.test"}, before: control},
		{args: []string{"-j", "a.test"}, before: control}},
	"tinydns-receive": {{args: []string{"ROOTDIR"}, stdin: string(emptyCDB())},
		{args: []string{"ROOTDIR"}, input: compiled, files: map[string]string{"data.cdb": string(emptyCDB())}}},
	"bind-import": {
		{args: []string{"verify", "-old", "127.0.0.1#SERVERPORT", "-new", "127.0.0.1#SERVERPORT", "-c", "named.conf", "-json", "r.json", "-html", "r.html"},
			files: map[string]string{"named.conf": "zone \"a.test\" { type primary; file \"z\"; };\n", "z": "$TTL 60\n@ SOA a b 1 1 1 1 1\n@ NS a\na A 192.0.2.1\n"}},
		{args: []string{"shadow", "-from", "127.0.0.1", "-old", "127.0.0.1#SERVERPORT", "-new", "127.0.0.1#SERVERPORT", "log"},
			files: map[string]string{"log": "x: query: a.test IN A +\nx: query: b.test IN TXT +TE(0)\n"}},
	},
	"dnscache": {{drive: cache, env: []string{"IPSEND=0.0.0.0"},
		files: map[string]string{"servers/@": "SERVER\n", "ip/127.0.0.1": ""}}},
}

// nonblocking is what some servers leave standard input as; dd sets it so.
const nonblocking = `dd iflag=nonblock count=0 2>/dev/null; exec "$@"`

// control plays the control socket of a dnscache.
func control(t *testing.T, root string) {
	t.Helper()
	os.Mkdir(root+"/state", 0o755)
	l, err := net.Listen("unix", root+"/state/control")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(root+"/state/control", 0o777)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1000))
			c.Write([]byte("question\ta.test.\tA\nend\n"))
			c.Close()
		}
	}()
}

func tcpQuestions() string {
	var b bytes.Buffer
	for i := range 20 {
		writeTCP(&b, question(i))
	}
	return b.String()
}

func manyLines() string {
	s := ""
	for i := range 500 {
		s += fmt.Sprintf("192.0.2.%d line\n", i%200)
	}
	return s
}

func question(i int) []byte {
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, uint16(i), wire.BitRD)
	n, _ := dnsname.ParseDot(fmt.Sprintf("n%d.test", i%50))
	b.Question([]byte(n), []dns.Type{dns.TypeA, dns.TypeTXT, dns.TypeANY, dns.TypePTR}[i%4], dns.ClassIN)
	if i%3 == 0 {
		b.OPT(dns.EDNSUDPSize, 0, i%2 == 0, nil)
	}
	return b.Finish()
}

// askUDP sends n questions and takes what answers come.
func askUDP(t *testing.T, port, n int) {
	t.Helper()
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 4096)
	for i := range n {
		c.Write(question(i))
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		c.Read(b)
	}
}

// askTCP asks n questions on one connection, and leaves a second one idle.
func askTCP(t *testing.T, port, n int) {
	t.Helper()
	idle, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range n {
		writeTCP(c, question(i))
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := readTCP(c); err != nil {
			return
		}
	}
}

// content drives a content server, with a publish under way.
func content(t *testing.T, port int, root string, p *os.Process) {
	askUDP(t, port, 100)
	publish(t, root)
	time.Sleep(100 * time.Millisecond) // for the server to notice
	askUDP(t, port, 100)
}

// compiled is a data.cdb of some names.
func compiled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	data := ".test:127.0.0.1:a\n"
	for i := range 50 {
		data += fmt.Sprintf("=n%d.test:192.0.2.%d\n", i, i)
	}
	if err := os.WriteFile(dir+"/data", []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(testbin.Dir(t, "tinydns-data"), "tinydns-data"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(dir + "/data.cdb")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// publish puts real data in place by rename, when the program has any.
func publish(t *testing.T, root string) {
	t.Helper()
	if _, err := os.Stat(root + "/data.cdb"); err != nil {
		return
	}
	b := []byte(compiled(t))
	if err := os.WriteFile(root+"/new", b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(root+"/new", root+"/data.cdb"); err != nil {
		t.Fatal(err)
	}
}

func overTCP(t *testing.T, port int, root string, p *os.Process) {
	askTCP(t, port, 50)
	publish(t, root)
	time.Sleep(100 * time.Millisecond)
	askTCP(t, port, 50)
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, 7, 0)
	n, _ := dnsname.ParseDot("test")
	b.Question([]byte(n), dns.TypeAXFR, dns.ClassIN)
	writeTCP(c, b.Finish())
	c.SetReadDeadline(time.Now().Add(time.Second))
	readTCP(c)
}

func cache(t *testing.T, port int, root string, p *os.Process) {
	askUDP(t, port, 100)
	askTCP(t, port, 50)
	os.WriteFile(root+"/ip/127.0.0", nil, 0o644)
	p.Signal(syscall.SIGHUP)
	askUDP(t, port, 100)
	p.Signal(syscall.SIGALRM) // the cache, to the disk
	for range 500 {
		if _, err := os.Stat(root + "/state/cache"); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
}
