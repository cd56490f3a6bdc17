package axfrdns

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"bulkhead/internal/testbin"
)

// underTcpserver starts axfrdns as everybody knows it: a process a connection.
func underTcpserver(t *testing.T) (addr string, cmd *exec.Cmd) {
	t.Helper()
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "axfrdns", "tcpserver", "tinydns-data")
	root := t.TempDir()
	for d := root; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	os.WriteFile(filepath.Join(root, "data"), []byte(data), 0o644)
	mk := exec.Command(filepath.Join(bin, "tinydns-data"))
	mk.Dir = root
	if out, err := mk.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	cmd = exec.Command(filepath.Join(bin, "tcpserver"), "-1DRHl0", "-c100", "127.0.0.1", "0", filepath.Join(bin, "axfrdns"))
	cmd.Env = []string{"ROOT=" + root, "UID=61950", "GID=61951", "PATH=/bin:/usr/bin"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strings.TrimSpace(port), cmd
}

// Clients that mean no good, or have bad luck, with both ways of serving:
// others are served meanwhile, and when they are gone nothing of them is left.
func TestHostileClients(t *testing.T) {
	for _, way := range []struct {
		name  string
		start func(*testing.T) (string, *exec.Cmd)
	}{
		{"under tcpserver", underTcpserver},
		{"alone", func(t *testing.T) (string, *exec.Cmd) { return serve(t, "", "AXFR=example", "LOG=0") }},
	} {
		t.Run(way.name, func(t *testing.T) {
			addr, cmd := way.start(t)
			dial := func() *net.TCPConn {
				t.Helper()
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(time.Minute))
				return c.(*net.TCPConn)
			}
			frame := func(m *mdns.Msg) []byte {
				p, err := m.Pack()
				if err != nil {
					t.Fatal(err)
				}
				return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)
			}
			answer := func(what string, c net.Conn) {
				t.Helper()
				var l [2]byte
				if _, err := io.ReadFull(c, l[:]); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				b := make([]byte, binary.BigEndian.Uint16(l[:]))
				m := new(mdns.Msg)
				if _, err := io.ReadFull(c, b); err != nil || m.Unpack(b) != nil || m.Rcode != 0 || len(m.Answer) == 0 {
					t.Fatalf("%s: %v, %v", what, err, m)
				}
			}
			q := frame(question("www.example.", mdns.TypeA))
			served := func(what string) {
				t.Helper()
				c := dial()
				defer c.Close()
				c.Write(q)
				answer("another client of one who "+what, c)
			}
			served("is not there yet")
			before := things(t, cmd.Process.Pid)

			// every byte in a packet of its own
			c := dial()
			c.SetNoDelay(true)
			for i := range q {
				c.Write(q[i : i+1])
				time.Sleep(time.Millisecond)
			}
			answer("split at every byte", c)
			// half of the next, then silence
			c.Write(q[:len(q)/2])
			slow := c
			prefix := dial()
			prefix.Write(q[:1])
			served("is slow")

			// the longest message there is, filled up with EDNS padding
			long := question("www.example.", mdns.TypeA)
			long.SetEdns0(1232, false)
			long.IsEdns0().Option = []mdns.EDNS0{&mdns.EDNS0_PADDING{}}
			long.IsEdns0().Option[0].(*mdns.EDNS0_PADDING).Padding = make([]byte, 65535-(len(frame(long))-2))
			b := frame(long)
			if len(b) != 2+65535 {
				t.Fatalf("%d bytes", len(b))
			}
			c = dial()
			for range 2 {
				c.Write(b)
				answer("65535 bytes", c)
			}
			c.Close()

			// half closed, with questions on their way
			c = dial()
			c.Write(append(append([]byte(nil), q...), q...))
			c.CloseWrite()
			answer("half closed, first", c)
			answer("half closed, second", c)
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after both: %v", err)
			}
			c.Close()

			// reset in the middle of a question, and of an answer
			for range 20 {
				c = dial()
				c.Write(q[:len(q)-3])
				c.SetLinger(0)
				c.Close()
				c = dial()
				c.Write(append(append([]byte(nil), q...), frame(question("example.", mdns.TypeAXFR))...))
				c.SetLinger(0)
				c.Close()
			}
			served("resets")

			// who asks and asks and reads nothing is not heard any more
			deaf := dial()
			deaf.SetReadBuffer(4096)
			many := make([]byte, 0, 1000*len(q))
			for range 1000 {
				many = append(many, q...)
			}
			deaf.SetWriteDeadline(time.Now().Add(2 * time.Second))
			sent := 0
			for range 2000 {
				n, err := deaf.Write(many)
				if sent += n; err != nil {
					break
				}
			}
			if sent == 2000*len(many) {
				t.Errorf("%d bytes of questions were taken from a client that reads nothing", sent)
			}
			served("does not read")
			if m := memory(t, cmd.Process.Pid); m > 100<<10 {
				t.Errorf("%d kB of memory", m)
			}
			for _, c := range []net.Conn{deaf, slow, prefix} {
				c.Close()
			}
			// descriptors and processes of theirs go
			for range 3000 {
				if things(t, cmd.Process.Pid) <= before {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%d descriptors and processes are left, there were %d", things(t, cmd.Process.Pid), before)
		})
	}
}

// things counts the descriptors and children of a process.
func things(t *testing.T, pid int) (n int) {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid)
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	tasks, _ := filepath.Glob(dir + "/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		n += len(strings.Fields(string(b)))
	}
	return n + len(fds)
}

// memory gives the resident kilobytes of a process and its children.
func memory(t *testing.T, pid int) (kb int) {
	t.Helper()
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ = strconv.Atoi(f[1])
		}
	}
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, c := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(c)
			kb += memory(t, n)
		}
	}
	return kb
}
