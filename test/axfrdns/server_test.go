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

// The rules follow their file too, although it lies outside ROOT; what is
// damaged, or gone, changes nothing.
func TestServerFollowsRules(t *testing.T) {
	addr, cmd := serve(t, "127.0.0.1:allow,AXFR=\"\"\n:deny\n")
	if n, err := transfer(addr, "example."); err == nil {
		t.Fatalf("transfer of %d records", n)
	}
	put := func(rules string) {
		t.Helper()
		tr := exec.Command(filepath.Join(testbin.Dir(t, "tcprules"), "tcprules"), "tcp.cdb", "tcp.tmp")
		tr.Dir = cmd.Dir
		tr.Stdin = strings.NewReader(rules)
		if out, err := tr.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for range 3000 {
			if f() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("never: " + what)
	}
	gives := func() bool { n, err := transfer(addr, "example."); return err == nil && n == 7 }
	put("127.0.0.1:allow,AXFR=\"example\"\n:deny\n")
	until("the zone is allowed", gives)
	tmp := filepath.Join(cmd.Dir, "damaged")
	os.WriteFile(tmp, []byte("damaged"), 0o644)
	os.Rename(tmp, filepath.Join(cmd.Dir, "tcp.cdb"))
	for range 30 {
		if !gives() {
			t.Fatal("a damaged file of rules counts")
		}
		time.Sleep(10 * time.Millisecond)
	}
	os.Remove(filepath.Join(cmd.Dir, "tcp.cdb"))
	for range 30 {
		if !gives() {
			t.Fatal("a file of rules that is gone counts")
		}
		time.Sleep(10 * time.Millisecond)
	}
	put(":deny\n")
	until("everybody is denied", func() bool {
		c := &mdns.Client{Net: "tcp", Timeout: 30 * time.Second}
		_, _, err := c.Exchange(question("example.", mdns.TypeSOA), addr)
		return err != nil
	})
}

// RFC 7828: how long an idle connection is kept, for those who ask.
func TestServerTellsItsPatience(t *testing.T) {
	addr, _ := serve(t, "", "IDLE=7", "AXFR=example")
	m := question("www.example.", mdns.TypeA)
	m.SetEdns0(1232, false)
	if r := ask(t, addr, m); r.IsEdns0() == nil || len(r.IsEdns0().Option) != 0 {
		t.Errorf("unasked: %v", r)
	}
	m.IsEdns0().Option = []mdns.EDNS0{&mdns.EDNS0_TCP_KEEPALIVE{Code: mdns.EDNS0TCPKEEPALIVE}}
	r := ask(t, addr, m)
	if o := r.IsEdns0(); o == nil || len(o.Option) != 1 || o.Option[0].(*mdns.EDNS0_TCP_KEEPALIVE).Timeout != 70 {
		t.Errorf("asked: %v", r)
	}
	// a transfer says it in its first message
	x := question("example.", mdns.TypeAXFR)
	x.Extra = m.Extra
	if r := ask(t, addr, x); r.IsEdns0() == nil || len(r.IsEdns0().Option) != 1 || len(r.Answer) != 7 {
		t.Errorf("transfer: %v", r)
	}
}

// RFC 8945, section 5.2.1: NOTAUTH, BADKEY, unsigned.
func TestServerKnowsNoKeys(t *testing.T) {
	addr, _ := serve(t, "", "AXFR=example")
	for _, typ := range []uint16{mdns.TypeA, mdns.TypeAXFR} {
		m := question("example.", typ)
		m.SetEdns0(1232, false)
		m.SetTsig("Some.Key.", mdns.HmacSHA256, 300, time.Now().Unix())
		signed, _, err := mdns.TsigGenerate(m, "c2VjcmV0", "", false)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(signed))), signed...))
		var l [2]byte
		io.ReadFull(c, l[:])
		b := make([]byte, binary.BigEndian.Uint16(l[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		r := new(mdns.Msg)
		if err := r.Unpack(b); err != nil {
			t.Fatal(err)
		}
		s := r.IsTsig()
		if r.Rcode != mdns.RcodeNotAuth || len(r.Answer) != 0 || r.IsEdns0() == nil || s == nil || s.Error != mdns.RcodeBadKey ||
			s.MACSize != 0 || s.Hdr.Name != "Some.Key." || s.Algorithm != mdns.HmacSHA256 || s.OrigId != m.Id {
			t.Errorf("%v", r)
		}
	}
	// a signature that is not the last record
	m := question("example.", mdns.TypeA)
	m.SetTsig("some.key.", mdns.HmacSHA256, 300, time.Now().Unix())
	m.SetEdns0(1232, false)
	if r := ask(t, addr, m); r.Rcode != mdns.RcodeFormatError {
		t.Errorf("signature in the middle: %v", r)
	}
}
