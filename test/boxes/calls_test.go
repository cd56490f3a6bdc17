package boxes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/boxes"
	"bulkhead/internal/dns"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

// TestCalls records the system calls that each program really makes inside its
// box, under work that reaches all of its code that calls the kernel, with the
// garbage collector running all the time. What is used must be allowed, and
// what a declaration allows must be used. RECORD=1 prints the lists.
func TestCalls(t *testing.T) {
	testbin.NeedRoot(t)
	strace := testbin.Peer(t, "usr/bin/strace")
	if os.Getenv("RECORD") == "1" {
		recordBin = buildTagged(t)
		t.Setenv("BOXRECORD", "1")
	}
	for name, box := range boxes.All {
		t.Run(name, func(t *testing.T) {
			w, ok := works[name]
			if !ok {
				t.Fatalf("no work is written for %s; see the variable works", name)
			}
			used := map[string]bool{}
			for _, w := range w {
				for c := range record(t, strace, name, w) {
					used[c] = true
				}
			}
			if os.Getenv("RECORD") == "1" {
				runtime := " " + strings.Join(sandbox.CallList(sandbox.Decl{}), " ") + " "
				var own []string
				for c := range used {
					if !strings.Contains(runtime, " "+c+" ") {
						own = append(own, c)
					}
				}
				sort.Strings(own)
				fmt.Printf("%s: %s\n", name, strings.Join(own, " "))
				return
			}
			allowed := map[string]bool{}
			for _, c := range sandbox.CallList(box) {
				allowed[c] = true
			}
			for c := range used {
				if !allowed[c] {
					t.Errorf("uses %s, which is not allowed", c)
				}
			}
			for _, c := range strings.Fields(box.Calls) {
				if !used[c] && !seldom[name+" "+c] {
					t.Errorf("%s is allowed and never used", c)
				}
			}
		})
	}
}

// seldom are calls for what no work here brings about.
var seldom = map[string]bool{
	// a trust anchor learnt or revoked is written down, thirty days after a
	// zone has announced it (RFC 5011)
	"dnscache fsync": true,
	// the work has them wait for a nonblocking input, unless they are so late
	// that it is there
	"recordio ppoll": true,
	"fixcrio ppoll":  true,
}

// work is how one program is put to work.
type work struct {
	args  []string
	env   []string
	stdin string
	input func(t *testing.T) string // in place of stdin
	slow  bool                      // standard input begins late
	shell string                    // a script that runs the program, "$@"
	files map[string]string         // in ROOT
	// before is called when ROOT is there.
	before func(t *testing.T, root string)
	// drive talks to a server that has said "starting"; nil for programs that
	// end by themselves. port is the one it was given.
	drive func(t *testing.T, port int, root string, p *os.Process)
}

func (w work) script() string {
	if w.shell == "" {
		return `exec "$@"`
	}
	return w.shell
}

// lateReader lets its reader wait for the first byte.
type lateReader struct {
	io.Reader
	once sync.Once
}

func (r *lateReader) Read(b []byte) (int, error) {
	r.once.Do(func() { time.Sleep(300 * time.Millisecond) })
	return r.Reader.Read(b)
}

// recordBin is where RECORD=1 has built programs that leave their filter out.
var recordBin string

var callLine = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\(|^\d+ +<\.\.\. ([a-z0-9_]+) resumed>`)

// record runs one program under strace and gives the calls it made after the
// filter was in place (before, where it declares no calls yet: after the walls
// that precede it).
func record(t *testing.T, strace, name string, w work) map[string]bool {
	t.Helper()
	bin := recordBin
	if bin == "" {
		bin = testbin.Dir(t, name)
	}
	p := prepare(t, w)
	out := filepath.Join(t.TempDir(), "calls")
	program := append([]string{filepath.Join(bin, name)}, p.args...)
	if w.shell != "" {
		program = append([]string{"/bin/sh", "-c", w.shell, "sh"}, program...)
	}
	cmd := exec.Command(strace, append([]string{"-f", "-qq", "-o", out}, program...)...)
	cmd.Dir = p.root
	cmd.Env = append(p.env, "GOGC=5")
	cmd.Stdin = strings.NewReader(p.stdin)
	if w.slow {
		cmd.Stdin = &lateReader{Reader: cmd.Stdin}
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ready := make(chan bool, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := stderr.Read(b)
			log.Write(b[:n])
			if bytes.Contains(log.Bytes(), []byte("starting")) || err != nil {
				select {
				case ready <- err == nil:
				default:
				}
			}
			if err != nil {
				return
			}
		}
	}()
	if w.drive != nil {
		if !<-ready {
			cmd.Wait()
			t.Fatalf("%s did not start: %s", name, log.String())
		}
		c := childOf(t, cmd.Process.Pid)
		w.drive(t, p.port, p.root, c)
		c.Signal(syscall.SIGTERM)
		time.AfterFunc(5*time.Second, func() { c.Kill() })
	}
	if err := cmd.Wait(); err != nil && w.drive == nil {
		t.Errorf("%s failed: %v\n%s", name, err, log.String())
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	marker := "SECCOMP_SET_MODE_FILTER" // the last wall
	if recordBin != "" || boxes.All[name].Calls == "" {
		marker = "PR_SET_NO_NEW_PRIVS" // which comes last then
	}
	i := strings.LastIndex(text, marker)
	if i < 0 {
		t.Fatalf("%s raised no wall: %s", name, log.String())
	}
	i = strings.LastIndex(text[:i], "\n") + 1
	pid, _, _ := strings.Cut(text[i:], " ")
	threads := threadsOf(text, pid)
	text = text[i:]
	used := map[string]bool{}
	for _, l := range strings.Split(text, "\n")[1:] {
		if pid, _, _ := strings.Cut(l, " "); !threads[pid] {
			continue // a program that it has started
		}
		m := callLine.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		// seccomp is the filter's own return; restart_syscall comes from
		// being stopped by the tracer
		if c := m[1] + m[2]; c != "seccomp" && c != "restart_syscall" {
			used[c] = true
		}
	}
	return used
}

var cloneCall = regexp.MustCompile(`^(\d+) +clone\(.*CLONE_THREAD.* (?:= (\d+)|<unfinished \.\.\.>)$|^(\d+) +<\.\.\. clone resumed>.* = (\d+)$`)

// threadsOf gives the threads of the process that thread pid belongs to, from
// the record of strace.
func threadsOf(text, pid string) map[string]bool {
	group := map[string]string{} // by thread
	of := func(t string) string {
		if g := group[t]; g != "" {
			return g
		}
		return t
	}
	begun := map[string]bool{} // clone calls of threads that have not ended
	for _, l := range strings.Split(text, "\n") {
		switch m := cloneCall.FindStringSubmatch(l); {
		case m == nil:
		case m[2] != "":
			group[m[2]] = of(m[1])
		case m[1] != "":
			begun[m[1]] = true
		case begun[m[3]]:
			group[m[4]] = of(m[3])
			delete(begun, m[3])
		}
	}
	out := map[string]bool{pid: true}
	for t := range group {
		out[t] = of(t) == of(pid)
	}
	out[of(pid)] = true
	return out
}

// prepared is a folder, a server to ask and a command line, ready to run.
type prepared struct {
	root string
	port int // for the program to serve on
	args []string
	env  []string

	stdin string
}

func prepare(t *testing.T, w work) prepared {
	t.Helper()
	p := prepared{root: t.TempDir(), port: freePort(t), stdin: w.stdin}
	if w.input != nil {
		p.stdin = w.input(t)
	}
	os.Chmod(p.root, 0o755)
	os.Chmod(filepath.Dir(p.root), 0o755)
	server := fakeServer(t)
	_, serverPort, _ := strings.Cut(server, "@")
	place := strings.NewReplacer("ROOTDIR", p.root, "SERVERPORT", serverPort, "SERVER", server, "PORT", fmt.Sprint(p.port))
	for f, text := range w.files {
		os.MkdirAll(filepath.Dir(p.root+"/"+f), 0o755)
		if err := os.WriteFile(p.root+"/"+f, []byte(place.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Chown(p.root, 61950, 61951)
	if w.before != nil {
		w.before(t, p.root)
	}
	for _, a := range w.args {
		p.args = append(p.args, place.Replace(a))
	}
	p.env = append(environment(p.root, p.port), "DNSCACHEIP="+server)
	for _, e := range w.env {
		if !strings.Contains(e, "=") { // a variable to take away
			p.env = slices.DeleteFunc(p.env, func(v string) bool { return strings.HasPrefix(v, e+"=") })
			continue
		}
		p.env = append(p.env, place.Replace(e))
	}
	return p
}

// childOf finds the traced program below strace.
func childOf(t *testing.T, pid int) *os.Process {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	var child int
	fmt.Sscan(string(b), &child)
	p, err := os.FindProcess(child)
	if err != nil || child == 0 {
		t.Fatalf("no child of %d", pid)
	}
	return p
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// fakeServer answers every question over UDP and TCP; those for TXT are
// truncated over UDP. It gives the address in the form 127.0.0.1@PORT.
func fakeServer(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	u, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close(); l.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, a, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(reply(b[:n], true), a)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					q, err := readTCP(c)
					if err != nil {
						return
					}
					writeTCP(c, reply(q, false))
				}
			}()
		}
	}()
	return fmt.Sprintf("127.0.0.1@%d", port)
}

func readTCP(r io.Reader) ([]byte, error) {
	var l [2]byte
	if _, err := io.ReadFull(r, l[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(l[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeTCP(w io.Writer, msg []byte) {
	w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
}

func reply(q []byte, udp bool) []byte {
	c, err := wire.Parse(q)
	if err != nil {
		return nil
	}
	n, t, class, err := c.Question(nil)
	if err != nil {
		return nil
	}
	bits := uint16(wire.BitQR | wire.BitAA | wire.BitRA)
	if udp && t == dns.TypeTXT {
		bits |= wire.BitTC
	}
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, c.Header.ID, bits)
	b.Question(n, t, class)
	data := map[dns.Type][]byte{dns.TypeA: {192, 0, 2, 1}, dns.TypePTR: []byte("\x01h\x04test\x00"),
		dns.TypeTXT: []byte("\x01x"), dns.TypeMX: []byte("\x00\x01\x01m\x04test\x00")}[t]
	soa := []byte("\x01m\x00\x01r\x00" + "\x00\x00\x00\x01" + strings.Repeat("\x00\x00\x01\x00", 4))
	switch {
	case data != nil:
		b.RR(wire.Answer, n, t, dns.ClassIN, 60, data)
	case t == dns.TypeSOA:
		b.RR(wire.Answer, n, t, dns.ClassIN, 60, soa)
	case t == dns.TypeAXFR:
		b.RR(wire.Answer, n, dns.TypeSOA, dns.ClassIN, 60, soa)
		b.RR(wire.Answer, n, dns.TypeA, dns.ClassIN, 60, []byte{192, 0, 2, 1})
		b.RR(wire.Answer, n, dns.TypeSOA, dns.ClassIN, 60, soa)
	}
	return b.Finish()
}
