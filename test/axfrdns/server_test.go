package axfrdns

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"bulkhead/internal/testbin"
)

const data = `.example:192.0.2.1:a
+www.example:192.0.2.2
&sub.example:192.0.2.3:a
+x.sub.example:192.0.2.4
`

// serve starts axfrdns as a server of its own and gives its address.
func serve(t *testing.T, rules string, env ...string) (addr string, cmd *exec.Cmd) {
	t.Helper()
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "axfrdns", "tinydns-data", "tcprules")
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
	dir := t.TempDir()
	if rules != "" {
		tr := exec.Command(filepath.Join(bin, "tcprules"), "tcp.cdb", "tcp.tmp")
		tr.Dir = dir
		tr.Stdin = strings.NewReader(rules)
		if out, err := tr.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer l.Close()
	// the socket is handed over, so that no port is guessed
	cmd = exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0"`, filepath.Join(bin, "axfrdns"))
	cmd.Dir = dir
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append([]string{"ROOT=" + root, "UID=61950", "GID=61951", "IP=127.0.0.1"}, env...)
	cmd.Stderr = os.Stderr
	if testing.Verbose() == false {
		cmd.Stderr = nil
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return addr, cmd
}

func ask(t *testing.T, addr string, m *mdns.Msg) *mdns.Msg {
	t.Helper()
	c := &mdns.Client{Net: "tcp", Timeout: 30 * time.Second}
	r, _, err := c.Exchange(m, addr)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func question(name string, typ uint16) *mdns.Msg {
	m := new(mdns.Msg)
	m.SetQuestion(name, typ)
	return m
}

func transfer(addr, zone string) (records int, err error) {
	ch, err := new(mdns.Transfer).In(question(zone, mdns.TypeAXFR), addr)
	if err != nil {
		return 0, err
	}
	for e := range ch {
		if e.Error != nil {
			return records, e.Error
		}
		records += len(e.RR)
	}
	return records, nil
}

func TestServer(t *testing.T) {
	addr, cmd := serve(t, "127.0.0.1:allow,AXFR=\"example\"\n:deny\n")
	if r := ask(t, addr, question("www.example.", mdns.TypeA)); len(r.Answer) != 1 || !r.Authoritative {
		t.Errorf("answer: %v", r)
	}
	m := question("www.example.", mdns.TypeA)
	m.SetEdns0(1232, false)
	if r := ask(t, addr, m); r.IsEdns0() == nil {
		t.Errorf("no EDNS: %v", r)
	}
	if n, err := transfer(addr, "example."); err != nil || n != 7 {
		t.Errorf("transfer of %d records: %v", n, err)
	}
	if r := ask(t, addr, question("outside.", mdns.TypeA)); r.Rcode != mdns.RcodeRefused {
		t.Errorf("outside: %v", r)
	}
	n := question("example.", mdns.TypeSOA)
	n.Opcode = mdns.OpcodeNotify
	if r := ask(t, addr, n); r.Rcode != mdns.RcodeNotImplemented || r.Opcode != mdns.OpcodeNotify {
		t.Errorf("NOTIFY: %v", r)
	}
	// nonsense that has an id is FORMERR, and the connection stays
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	c.Write([]byte{0, 13, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63})
	buf := make([]byte, 14)
	if _, err := io.ReadFull(c, buf); err != nil || buf[2] != 1 || buf[3] != 2 || buf[5]&15 != 1 {
		t.Errorf("FORMERR: %v %v", buf, err)
	}
	p, _ := question("www.example.", mdns.TypeA).Pack()
	c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...))
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Errorf("after FORMERR: %v", err)
	}
	// TERM is an orderly end
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after TERM: %v", err)
	}
}

func TestServerWithoutRules(t *testing.T) {
	addr, _ := serve(t, "")
	if r := ask(t, addr, question("example.", mdns.TypeAXFR)); r.Rcode != mdns.RcodeRefused {
		t.Errorf("transfer without rules: %v", r)
	}
	addr, _ = serve(t, "", "AXFR=example")
	if n, err := transfer(addr, "example."); err != nil || n != 7 {
		t.Errorf("transfer of %d records: %v", n, err)
	}
}

func TestServerDenies(t *testing.T) {
	addr, _ := serve(t, ":deny\n")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("served")
	}
}

// New data are served from the next question on, and a damaged file changes
// nothing.
func TestServerFollowsData(t *testing.T) {
	addr, cmd := serve(t, "", "AXFR=example")
	root := strings.TrimPrefix(cmd.Env[0], "ROOT=")
	bin := testbin.Dir(t, "tinydns-data")
	os.WriteFile(filepath.Join(root, "data"), []byte(data+"+new.example:192.0.2.9\n"), 0o644)
	mk := exec.Command(filepath.Join(bin, "tinydns-data"))
	mk.Dir = root
	if err := mk.Run(); err != nil {
		t.Fatal(err)
	}
	appears := func() bool {
		for range 3000 {
			if n, err := transfer(addr, "example."); err == nil && n == 8 {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	}
	if !appears() {
		t.Fatal("the new data are not served")
	}
	tmp := filepath.Join(root, "damaged")
	os.WriteFile(tmp, []byte("damaged"), 0o644)
	os.Rename(tmp, filepath.Join(root, "data.cdb"))
	for range 50 {
		if n, err := transfer(addr, "example."); err != nil || n != 8 {
			t.Fatalf("with a damaged file: %d, %v", n, err)
		}
	}
}
