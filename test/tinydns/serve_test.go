package tinydns_test

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
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

// Publishes under full load: every question is answered, and with one of the
// two generations that may be on disk then.
func TestPublishUnderLoad(t *testing.T) {
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "tinydns", "tinydns-data")
	root := tempRoot(t)
	write := func(serial int) {
		data := fmt.Sprintf("Zz.test:a.ns.z.test:h.z.test:%d\n&z.test:192.0.2.1:a\n", serial)
		for i := range 200 {
			data += fmt.Sprintf("+h%d.z.test:10.0.%d.%d\n", i, serial>>8, serial&255)
		}
		os.WriteFile(filepath.Join(root, "data"), []byte(data), 0o644)
		cmd := exec.Command(bin + "/tinydns-data")
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("tinydns-data: %v %s", err, out)
		}
	}
	write(1)
	s := start(t, bin+"/tinydns", "127.0.0.58", root)
	s.discard()
	var before, after atomic.Int64 // serial published for sure, and begun
	before.Store(1)
	after.Store(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var asked, lost, wrong atomic.Int64
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := net.Dial("udp4", "127.0.0.58:53")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			buf := make([]byte, 2048)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := uint16(i)
				q := makeQuery(fmt.Sprintf("h%d.z.test", (i+g)%200), dns.TypeA, false, id)
				// What was published more than two checks ago must be seen.
				low := before.Load()
				c.Write(q)
				c.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, err := c.Read(buf)
				high := after.Load()
				asked.Add(1)
				if err != nil {
					lost.Add(1)
					continue
				}
				m := buf[:n]
				at := bytes.Index(m, []byte{0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4, 10, 0})
				if n < 30 || binary.BigEndian.Uint16(m) != id || at < 0 {
					wrong.Add(1)
					continue
				}
				serial := int64(m[at+12])<<8 | int64(m[at+13])
				if serial > high || serial < low-1 {
					wrong.Add(1)
				}
			}
		}()
	}
	rounds := 60
	if os.Getenv("DIFFERENTIAL") != "" {
		rounds = 1000
	}
	for serial := 2; serial < 2+rounds; serial++ {
		after.Store(int64(serial))
		write(serial)
		time.Sleep(20 * time.Millisecond) // a busy server looks every 10 ms
		before.Store(int64(serial))
	}
	close(stop)
	wg.Wait()
	t.Logf("%d publishes, %d questions", rounds, asked.Load())
	if lost.Load() != 0 || wrong.Load() != 0 {
		t.Errorf("%d lost, %d wrong answers", lost.Load(), wrong.Load())
	}
}

func ask(t *testing.T, server string, q []byte) []byte {
	t.Helper()
	c, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 4096)
	for range 3 {
		c.Write(q)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := c.Read(buf); err == nil {
			return buf[:n]
		}
	}
	t.Fatalf("%s does not answer", server)
	return nil
}

// askTCP puts one question over TCP.
func askTCP(t *testing.T, server string, q []byte) []byte {
	t.Helper()
	var c net.Conn
	var err error
	for range 100 { // the server is about to start
		if c, err = net.Dial("tcp", server); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...))
	var n [2]byte
	if _, err := io.ReadFull(c, n[:]); err != nil {
		t.Errorf("TCP %x: %v", q, err)
		return nil
	}
	m := make([]byte, binary.BigEndian.Uint16(n[:]))
	if _, err := io.ReadFull(c, m); err != nil {
		t.Errorf("TCP %x: %v", q, err)
		return nil
	}
	return m
}

// A damaged data.cdb is refused with one line, the old data stay; a stale
// index never meets new data.
func TestDamagedData(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	good := compile(t, []byte(".z.test:192.0.2.1:a\n+www.z.test:192.0.2.2\n"), 1)
	publish(t, root, good)
	s := start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.58", root, "LOG=0")
	q := makeQuery("www.z.test", dns.TypeA, false, 5)
	want := ask(t, "127.0.0.58:53", q)
	for _, bad := range [][]byte{{}, good[:100], good[:2100], bytes.Repeat([]byte{0xFF}, 5000), append(bytes.Clone(good[:2048]), bytes.Repeat([]byte{1}, 3000)...)} {
		time.Sleep(15 * time.Millisecond)
		publish(t, root, bad)
		for range 3 {
			if got := ask(t, "127.0.0.58:53", q); !bytes.Equal(got, want) {
				t.Fatalf("%d bad bytes: %x", len(bad), got)
			}
			time.Sleep(15 * time.Millisecond)
		}
		if l := s.line(t); !strings.HasPrefix(l, "tinydns: warning: unable to read data.cdb: ") {
			t.Errorf("log %q", l)
		}
	}
	publish(t, root, compile(t, []byte(".z.test:192.0.2.1:a\n+www.z.test:192.0.2.77\n"), 1))
	time.Sleep(15 * time.Millisecond)
	if got := ask(t, "127.0.0.58:53", q); bytes.Equal(got, want) || !bytes.Contains(got, []byte{192, 0, 2, 77}) {
		t.Errorf("good data after bad are not served: %x", got)
	}
	os.Remove(filepath.Join(root, "data.cdb"))
	time.Sleep(15 * time.Millisecond)
	if got := ask(t, "127.0.0.58:53", q); !bytes.Contains(got, []byte{192, 0, 2, 77}) {
		t.Errorf("nothing served after data.cdb went: %x", got)
	}
}

// Somebody writes data.cdb in place: the server must survive.
func TestDataChangedInPlace(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	data := ".z.test:192.0.2.1:a\n"
	for i := range 2000 {
		data += fmt.Sprintf("+h%d.z.test:192.0.2.2\n", i)
	}
	good := compile(t, []byte(data), 1)
	publish(t, root, good)
	s := start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.58", root, "LOG=0")
	s.discard()
	ask(t, "127.0.0.58:53", makeQuery("h1.z.test", dns.TypeA, false, 5))
	os.Truncate(filepath.Join(root, "data.cdb"), 3000)
	for i := range 200 {
		ask(t, "127.0.0.58:53", makeQuery(fmt.Sprintf("h%d.z.test", i*10), dns.TypeA, false, 5))
	}
	publish(t, root, good)
	time.Sleep(15 * time.Millisecond)
	if m := ask(t, "127.0.0.58:53", makeQuery("h1999.z.test", dns.TypeA, false, 5)); m[3]&15 != 0 || m[7] != 1 {
		t.Errorf("not recovered: %x", m)
	}
}

// Wildcard binds answer from the address that was asked; IPv6; several
// addresses; a port in use is noticed.
func TestAddresses(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	publish(t, root, compile(t, []byte(".z.test:192.0.2.1:a\n+www.z.test:192.0.2.2\n"), 1))
	program := testbin.Dir(t, "tinydns") + "/tinydns"
	exec.Command("ip", "-6", "addr", "add", "fd00::1/128", "dev", "lo", "nodad").Run()
	start(t, program, "0.0.0.0,::", root, "PORT=5300", "GOMAXPROCS=2").discard()
	s := start(t, program, "127.0.0.71,127.0.0.72,::1", root)
	q := makeQuery("www.z.test", dns.TypeA, false, 9)
	// a connected socket takes packets only from the address it asked
	for _, a := range []string{"127.0.0.1:5300", "127.0.0.99:5300", "[::1]:5300", "[fd00::1]:5300", "127.0.0.71:53", "127.0.0.72:53", "[::1]:53"} {
		if m := ask(t, a, q); m[7] != 1 {
			t.Errorf("%s: %x", a, m)
		}
	}
	var last string
	for range 3 {
		last = s.line(t)
	}
	if !strings.HasPrefix(last, strings.Repeat("0", 31)+"1:") {
		t.Errorf("IPv6 client logged as %q", last)
	}
	cmd := exec.Command(program)
	cmd.Env = []string{"ROOT=" + root, "IP=127.0.0.71", "UID=61950", "GID=61951"}
	out, _ := cmd.CombinedOutput()
	if string(out) != "tinydns: fatal: unable to bind UDP socket: address already used\n" || cmd.ProcessState.ExitCode() != 111 {
		t.Errorf("second server: %q %d", out, cmd.ProcessState.ExitCode())
	}
}

// What ISC's compliance tester asks: plain, EDNS, unknown version, option and
// flag, DO; and cookies, NSID, SILENT.
func TestCompliance(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	data := ".z.test:192.0.2.1:a\n+www.z.test:192.0.2.2\n"
	for i := range 4 { // keys and a signature that do not fit into 512 bytes
		data += fmt.Sprintf(":z.test:48:\\001\\001\\003\\010%d%s\n", i, strings.Repeat("k", 150))
	}
	data += ":z.test:46:\\000\\060\\010\\002\\000\\001\\121\\200\\177\\000\\000\\000\\000\\000\\000\\000\\000\\001\\001z\\004test\\000" + strings.Repeat("s", 256) + "\n"
	publish(t, root, compile(t, []byte(data), 1))
	start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.73", root, "NSID=here", "COOKIE=000102030405060708090a0b0c0d0e0f", "ECS=1").discard()
	cmd := exec.Command(testbin.Dir(t, "axfrdns") + "/axfrdns")
	cmd.Dir = tempRoot(t)
	cmd.Env = []string{"ROOT=" + root, "UID=61950", "GID=61951", "IP=127.0.0.73", "NSID=here", "COOKIE=000102030405060708090a0b0c0d0e0f", "ECS=1"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	base := func(flags uint16, class byte) []byte {
		q := []byte{0, 1, byte(flags >> 8), byte(flags), 0, 1, 0, 0, 0, 0, 0, 0, 1, 'z', 4, 't', 'e', 's', 't', 0, 0, 6, 0, class}
		return q
	}
	opt := func(q []byte, version byte, z uint16, options string) []byte {
		q[11] = 1
		q = append(q, 0, 0, 41, 16, 0, 0, version, byte(z>>8), byte(z), byte(len(options)>>8), byte(len(options)))
		return append(q, options...)
	}
	typed := func(q []byte, typ byte) []byte { q[21] = typ; return q }
	bufsize := func(q []byte, n uint16) []byte { binary.BigEndian.PutUint16(q[27:], n); return q }
	cookieQuery := "\x00\x0a\x00\x08abcdefgh"
	const nsid, expire, subnet = "\x00\x03\x00\x00", "\x00\x09\x00\x00", "\x00\x08\x00\x04\x00\x01\x00\x00"
	for _, x := range []struct {
		name    string
		q       []byte
		rcode   dns.RCode
		edns    bool
		answers byte
		options string // must be among them
	}{
		{"plain", base(0, 1), 0, false, 1, ""},
		{"edns", opt(base(0, 1), 0, 0, ""), 0, true, 1, ""},
		{"edns1", opt(base(0, 1), 1, 0, ""), dns.RCodeBadVers, true, 0, ""},
		{"unknown option", opt(base(0, 1), 0, 0, "\x00\x64\x00\x00"), 0, true, 1, ""},
		{"version and option", opt(base(0, 1), 1, 0, "\x00\x64\x00\x00"), dns.RCodeBadVers, true, 0, ""},
		{"unknown flag", opt(base(0, 1), 0, 0x0080, ""), 0, true, 1, ""},
		{"do", opt(base(0, 1), 0, 0x8000, ""), 0, true, 1, ""},
		{"nsid", opt(base(0, 1), 0, 0, "\x00\x03\x00\x00"), 0, true, 1, "\x00\x03\x00\x04here"},
		{"cookie", opt(base(0, 1), 0, 0, cookieQuery), 0, true, 1, "\x00\x0a\x00\x18abcdefgh\x01\x00\x00\x00"},
		{"short cookie", opt(base(0, 1), 0, 0, "\x00\x0a\x00\x03abc"), dns.RCodeFormErr, true, 0, ""},
		{"cut option", opt(base(0, 1), 0, 0, "\x00\x0a\x00\x08abc"), dns.RCodeFormErr, true, 0, ""},
		{"docookie", opt(base(0, 1), 0, 0x8000, cookieQuery), 0, true, 1, "\x00\x0a\x00\x18abcdefgh\x01\x00\x00\x00"},
		{"ednsexpire", opt(base(0, 1), 0, 0, expire), 0, true, 1, ""},
		{"ednssubnet", opt(base(0, 1), 0, 0, subnet), 0, true, 1, subnet},
		{"optlist", opt(base(0, 1), 0, 0, nsid+cookieQuery+expire+subnet), 0, true, 1, subnet},
		{"edns1nsid", opt(base(0, 1), 1, 0, nsid), dns.RCodeBadVers, true, 0, ""},
		{"edns1cookie", opt(base(0, 1), 1, 0, cookieQuery), dns.RCodeBadVers, true, 0, ""},
		{"edns1flags", opt(base(0, 1), 1, 0x0080, ""), dns.RCodeBadVers, true, 0, ""},
		{"edns1do", opt(base(0, 1), 1, 0x8000, ""), dns.RCodeBadVers, true, 0, ""},
		{"edns255", opt(base(0, 1), 255, 0, ""), dns.RCodeBadVers, true, 0, ""},
		{"edns@512", bufsize(opt(typed(base(0, 1), 48), 0, 0x8000, ""), 512), 0, true, 0, ""},
		{"edns@1", bufsize(opt(base(0, 1), 0, 0, ""), 1), 0, true, 1, ""},
		{"edns@65535", bufsize(opt(typed(base(0, 1), 48), 0, 0x8000, ""), 65535), 0, true, 5, ""},
		{"signed", opt(typed(base(0, 1), 48), 0, 0x8000, ""), 0, true, 5, ""},
		{"keys, no edns", typed(base(0, 1), 48), 0, false, 0, ""},
		{"unknown type", typed(base(0, 1), 200), 0, false, 0, ""},
		{"all flags", base(0x01F0, 1), 0, false, 1, ""},
		{"opcode and flags", base(0x79F0, 1), dns.RCodeNotImp, false, 0, ""},
		{"opcode with edns", opt(base(0x7800, 1), 0, 0, ""), dns.RCodeNotImp, true, 0, "\x00\x0f\x00\x02\x00\x15"},
		{"notify", base(0x2000, 1), dns.RCodeNotImp, false, 0, ""},
		{"chaos with edns", opt(base(0, 3), 0, 0, ""), dns.RCodeRefused, true, 0, "\x00\x0f\x00\x02\x00\x14"},
		{"ad", base(0x0020, 1), 0, false, 1, ""},
		{"cd", base(0x0010, 1), 0, false, 1, ""},
		{"z", base(0x0040, 1), 0, false, 1, ""},
		{"rd", base(0x0100, 1), 0, false, 1, ""},
		{"opcode 15", base(0x7800, 1), dns.RCodeNotImp, false, 0, ""},
		{"chaos", base(0, 3), dns.RCodeRefused, false, 0, ""},
	} {
		// over TCP the same, but nothing is too long
		if m := askTCP(t, "127.0.0.73:53", x.q); m != nil {
			c, err := wire.Parse(m)
			if err == nil {
				err = c.SkipQuestions()
			}
			e, err2 := wire.FindEDNS(&c)
			if err != nil || err2 != nil || dns.RCode(e.Ext)<<4|c.Header.RCode() != x.rcode || e.Present != x.edns || c.Header.Bits&wire.BitTC != 0 || !strings.Contains(string(e.Options), x.options) {
				t.Errorf("%s over TCP: %x", x.name, m)
			}
			if n := map[string]byte{"edns@512": 5, "keys, no edns": 4}[x.name]; m[7] != max(n, x.answers) {
				t.Errorf("%s over TCP: %d answers", x.name, m[7])
			}
		}
		m := ask(t, "127.0.0.73:53", x.q)
		if want := x.name == "edns@512" || x.name == "keys, no edns"; len(m) > 1232 || m[2]&2 != 0 != want || want && len(m) > 512 {
			t.Errorf("%s: %d bytes, TC %v", x.name, len(m), m[2]&2 != 0)
		}
		c, err := wire.Parse(m)
		if err != nil || c.SkipQuestions() != nil {
			t.Errorf("%s: %x", x.name, m)
			continue
		}
		e, err := wire.FindEDNS(&c)
		rcode := dns.RCode(e.Ext)<<4 | c.Header.RCode()
		if err != nil || rcode != x.rcode || e.Present != x.edns || m[7] != x.answers || !strings.Contains(string(e.Options), x.options) {
			t.Errorf("%s: %s edns=%v answers=%d options %x", x.name, rcode, e.Present, m[7], e.Options)
		}
		if e.Present && (e.Version != 0 || e.UDPSize != dns.EDNSUDPSize) || e.DO != (len(x.q) > 31 && x.q[31]&0x80 != 0) {
			t.Errorf("%s: %+v", x.name, e)
		}
		if c.Header.Bits&(wire.BitAD|wire.BitCD|wire.BitZ|wire.BitRA) != 0 || c.Header.Bits&wire.BitRD != binary.BigEndian.Uint16(x.q[2:])&wire.BitRD {
			t.Errorf("%s: flags %04x", x.name, c.Header.Bits)
		}
		if c.Header.Opcode() != dns.Opcode(x.q[2]>>3&15) {
			t.Errorf("%s: opcode %d", x.name, c.Header.Opcode())
		}
	}
	start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.74", root, "SILENT=1").discard()
	c, _ := net.Dial("udp", "127.0.0.74:53")
	defer c.Close()
	c.Write(makeQuery("outside.example", dns.TypeA, false, 1))
	c.Write(makeQuery("z.test", dns.TypeA, false, 2))
	buf := make([]byte, 512)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(buf); err != nil || n < 2 || buf[1] != 2 {
		t.Errorf("SILENT: %x %v", buf[:n], err)
	}
}

// dig, kdig, drill and the like get sane answers.
func TestClients(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	publish(t, root, compile(t, []byte(".z.test:192.0.2.1:a\n+www.z.test:192.0.2.2\n"), 1))
	start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.75", root).discard()
	for _, cmd := range [][]string{
		{"usr/bin/dig", "+noall", "+norec", "+answer", "+comments", "@127.0.0.75", "www.z.test", "A"},
		{"usr/bin/dig", "+noall", "+norec", "+answer", "+dnssec", "+nsid", "+comments", "@127.0.0.75", "www.z.test", "A"},
		{"usr/bin/kdig", "+cookie", "@127.0.0.75", "www.z.test", "A"},
		{"usr/bin/drill", "-D", "@127.0.0.75", "www.z.test", "A"},
	} {
		c := exec.Command(testbin.Peer(t, cmd[0]), cmd[1:]...)
		c.Env = testbin.PeerEnv()
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "192.0.2.2") || strings.Contains(string(out), "WARNING") || strings.Contains(string(out), "malformed") {
			t.Errorf("%v: %v\n%s", cmd, err, out)
		}
	}
}

// Without data.cdb the answer is SERVFAIL; data that come later are served.
func TestNoData(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	s := start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.76", root)
	q := makeQuery("www.z.test", dns.TypeA, false, 9)
	if m := ask(t, "127.0.0.76:53", q); m[3]&15 != byte(dns.RCodeServFail) {
		t.Errorf("no data: %x", m)
	}
	if l := s.line(t); !strings.HasSuffix(l, ":0009 - 0001 www.z.test") {
		t.Errorf("log %q", l)
	}
	s.discard()
	publish(t, root, compile(t, []byte(".z.test:192.0.2.1:a\n+www.z.test:192.0.2.2\n"), 1))
	time.Sleep(15 * time.Millisecond)
	if m := ask(t, "127.0.0.76:53", q); m[3]&15 != 0 || m[7] != 1 {
		t.Errorf("data that came later: %x", m)
	}
}

// Over the rate half of the answers are truncated and half are not sent;
// networks in root/ip get all.
func TestRateLimit(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	os.Mkdir(filepath.Join(root, "ip"), 0o755)
	os.WriteFile(filepath.Join(root, "ip", "127.7"), nil, 0o644)
	publish(t, root, compile(t, []byte(".z.test:192.0.2.1:a\n+www.z.test:192.0.2.2\n+*.w.z.test:192.0.2.3\n"), 1))
	start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.77", root, "RRL=5", "GOMAXPROCS=1").discard()
	q := makeQuery("www.z.test", dns.TypeA, false, 9)
	last := makeQuery("last.z.test", dns.TypeA, false, 10)
	count := func(from string) (full, cut int) {
		k := socket(t, from)
		defer k.Close()
		to := &net.UDPAddr{IP: net.ParseIP("127.0.0.77"), Port: 53}
		for range 200 {
			k.WriteTo(q, to)
		}
		k.WriteTo(last, to)
		settle(t, k, 10, func(m []byte) {
			if m[2]&2 != 0 {
				cut++
				if len(m) != len(q) || m[11] != 1 || m[7]|m[9] != 0 {
					t.Errorf("truncated answer %x", m) // the question and OPT, as the query
				}
			} else {
				full++
			}
		})
		return
	}
	if full, cut := count("127.0.0.1:0"); full < 5 || full > 30 || cut < 80 || cut > 100 {
		t.Errorf("200 questions: %d answers, %d truncated", full, cut)
	}
	names := 0
	k := socket(t, "127.8.0.1:0")
	defer k.Close()
	to := &net.UDPAddr{IP: net.ParseIP("127.0.0.77"), Port: 53}
	for i := range 200 {
		k.WriteTo(makeQuery(fmt.Sprintf("x%d.w.z.test", i), dns.TypeA, false, 9), to)
	}
	k.WriteTo(last, to)
	settle(t, k, 10, func(m []byte) {
		if m[2]&2 == 0 {
			names++
		}
	})
	if names < 5 || names > 30 {
		t.Errorf("200 names of a wildcard: %d answers", names)
	}
	if full, cut := count("127.7.0.1:0"); full != 200 || cut != 0 {
		t.Errorf("200 questions from a network in root/ip: %d answers, %d truncated", full, cut)
	}
}

// TERM ends the server as it ended 1.05, and no log line is lost.
func TestTerm(t *testing.T) {
	testbin.NeedRoot(t)
	root := tempRoot(t)
	publish(t, root, compile(t, []byte(".z.test:192.0.2.1:a\n"), 1))
	s := start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.78", root)
	for range 50 {
		ask(t, "127.0.0.78:53", makeQuery("z.test", dns.TypeA, false, 9))
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	for range 50 {
		s.line(t)
	}
	s.cmd.Wait()
	if ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", s.cmd.ProcessState)
	}
}

// TestWrittenInPlace: data that somebody writes into instead of renaming new
// data over them cost answers while they are damaged, and nothing else. The log,
// which the thread that meets the fault has in its hands then, gets one line of
// it, the next good file counts, and TERM ends the server.
func TestWrittenInPlace(t *testing.T) {
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "tinydns", "tinydns-data", "rbldns", "rbldns-data")
	for _, c := range []struct{ program, data, name, ip string }{
		{"tinydns", ".z.test:192.0.2.1:a\n+www.z.test:10.0.0.1\n", "www.z.test", "127.0.0.59"},
		{"rbldns", ":127.0.0.2:listed $\n10.0.0.1\n", "1.0.0.10.z.test", "127.0.0.60"},
	} {
		root := tempRoot(t)
		write := func() {
			os.WriteFile(filepath.Join(root, "data"), []byte(c.data), 0o644)
			cmd := exec.Command(bin + "/" + c.program + "-data")
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s-data: %v %s", c.program, err, out)
			}
		}
		write()
		s := start(t, bin+"/"+c.program, c.ip, root, "BASE=z.test", "GOMAXPROCS=1")
		var log bytes.Buffer
		read := make(chan struct{})
		go func() { io.Copy(&log, s.log); close(read) }()
		rcode := func() dns.RCode {
			return dns.RCode(ask(t, c.ip+":53", makeQuery(c.name, dns.TypeA, false, 7))[3] & 15)
		}
		if r := rcode(); r != dns.RCodeSuccess {
			t.Fatalf("%s: rcode %d at first", c.program, r)
		}
		if err := os.Truncate(filepath.Join(root, "data.cdb"), 0); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if r := rcode(); r != dns.RCodeServFail {
				t.Errorf("%s: rcode %d from a file of no bytes", c.program, r)
			}
		}
		write()
		good := false
		for end := time.Now().Add(10 * time.Second); !good && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			good = rcode() == dns.RCodeSuccess
		}
		if !good {
			t.Errorf("%s: a good file does not count", c.program)
		}
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-read:
		case <-time.After(20 * time.Second):
			s.cmd.Process.Kill()
			t.Fatalf("%s: TERM does not end it", c.program)
		}
		if n := strings.Count(log.String(), "changed under the server"); n != 1 {
			t.Errorf("%s: %d lines of it in the log:\n%s", c.program, n, log.String())
		}
	}
}

// TestUnreadableForAWhile: new data that the server may not read yet count as
// soon as it may; until then the old ones do, and the log has one line of it.
func TestUnreadableForAWhile(t *testing.T) {
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "tinydns", "tinydns-data")
	root := tempRoot(t)
	write := func(address string) {
		os.WriteFile(filepath.Join(root, "data"), []byte(".z.test:192.0.2.1:a\n+www.z.test:"+address+"\n"), 0o644)
		cmd := exec.Command(bin + "/tinydns-data")
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("tinydns-data: %v %s", err, out)
		}
	}
	write("10.0.0.1")
	start(t, bin+"/tinydns", "127.0.0.61", root).discard()
	has := func(last byte) bool {
		return bytes.Contains(ask(t, "127.0.0.61:53", makeQuery("www.z.test", dns.TypeA, false, 7)), []byte{0, 4, 10, 0, 0, last})
	}
	if !has(1) {
		t.Fatal("no answer at first")
	}
	// as another tool may publish: with rights of its own
	other := tempRoot(t)
	os.Rename(filepath.Join(root, "data.cdb"), filepath.Join(other, "old"))
	write("10.0.0.2")
	os.Rename(filepath.Join(root, "data.cdb"), filepath.Join(other, "new"))
	os.Chmod(filepath.Join(other, "new"), 0o600)
	os.Remove(filepath.Join(root, "data.idx"))
	os.Rename(filepath.Join(other, "new"), filepath.Join(root, "data.cdb"))
	for range 30 {
		if !has(1) {
			t.Fatal("the old data do not count, or the new ones may be read")
		}
		time.Sleep(50 * time.Millisecond)
	}
	os.Chmod(filepath.Join(root, "data.cdb"), 0o644)
	for end := time.Now().Add(10 * time.Second); !has(2); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what may be read now does not count")
		}
	}
}
