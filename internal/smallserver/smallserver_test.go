package smallserver

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rbl"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wall"
	"bulkhead/internal/wire"
)

// compileList makes the data.cdb of a list.
func compileList(t testing.TB, lines string) []byte {
	f, err := os.Create(filepath.Join(t.TempDir(), "data.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cdb.NewWriter(f)
	for _, l := range strings.Split(lines, "\n") {
		if err := new(rbl.Parser).Line([]byte(l), w); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func question(t testing.TB, name string, typ dns.Type) *content.Question {
	n, err := dnsname.ParseDot(name)
	if err != nil {
		t.Fatal(err)
	}
	return &content.Question{Bits: wire.BitQR | wire.BitAA, QName: []byte(n), Name: dnsname.Lower([]byte(n)), Type: typ, Class: dns.ClassIN, Limit: 512}
}

// show gives rcode and answer records of a message.
func show(t testing.TB, msg []byte) string {
	t.Helper()
	out := fmt.Sprint(dns.RCode(msg[3] & 15))
	p := 12
	for msg[p] != 0 {
		p += 1 + int(msg[p])
	}
	p += 5
	for range binary.BigEndian.Uint16(msg[6:]) {
		name, next, err := wire.AppendName(nil, msg, p)
		if err != nil {
			t.Fatal(err)
		}
		typ := dns.Type(binary.BigEndian.Uint16(msg[next:]))
		n := int(binary.BigEndian.Uint16(msg[next+8:]))
		data := msg[next+10 : next+10+n]
		out += " " + typ.String()
		switch typ {
		case dns.TypeA, dns.TypeAAAA:
			out += " " + net.IP(data).String()
		case dns.TypeTXT:
			out += " " + string(data[1:])
		case dns.TypePTR:
			target, _, err := wire.AppendName(nil, msg, next+10)
			if err != nil {
				t.Fatal(err)
			}
			if string(target) != string(name) {
				out += " to another name"
			}
		}
		p = next + 10 + n
	}
	return out
}

// What is new in the list: the old answers are proved by the fixtures.
func TestList(t *testing.T) {
	open := func(lines string) *rbl.List {
		l, err := rbl.Open(compileList(t, lines))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	list := open(":127.0.0.3:see $\n203.0.113.77/30\n64.0.0.0/7\n0.0.0.0/0\n127.0.0.0/8\n2001:db8::/32\n[2001:db9::1]\n2001:dba:ffff::1/36 \n[::ffff:0:0:1]/128")
	nibbles := func(ip string) string {
		b := net.ParseIP(ip).To16()
		s := ""
		for i := 15; i >= 0; i-- {
			s += fmt.Sprintf("%x.%x.", b[i]&15, b[i]>>4)
		}
		return s
	}
	a := rbl.Answerer{Base: "\x03rbl\x04test\x00"}
	for _, c := range []struct{ name, want string }{
		{"76.113.0.203.rbl.test", "NOERROR A 127.0.0.3 TXT see 203.0.113.76"}, // host bits cleared
		{"80.113.0.203.rbl.test", "NXDOMAIN"},
		{"1.2.3.65.rbl.test", "NOERROR A 127.0.0.3 TXT see 65.3.2.1"}, // shorter than /8
		{"1.2.3.66.rbl.test", "NXDOMAIN"},                             // /0 never matches
		{"2.0.0.127.rbl.test", "NOERROR A 127.0.0.3 TXT see 127.0.0.2"},
		{"1.0.0.127.rbl.test", "NXDOMAIN"}, // RFC 5782, though 127/8 is listed
		{"3.0.0.127.rbl.test", "NOERROR A 127.0.0.3 TXT see 127.0.0.3"},
		{nibbles("2001:db8:5::1") + "rbl.test", "NOERROR A 127.0.0.3 TXT see 2001:db8:5::1"},
		{nibbles("2001:db9::1") + "RBL.test", "NOERROR A 127.0.0.3 TXT see 2001:db9::1"},
		{nibbles("2001:db9::2") + "rbl.test", "NXDOMAIN"},
		{nibbles("2001:dba:f123::2") + "rbl.test", "NOERROR A 127.0.0.3 TXT see 2001:dba:f123::2"},
		{nibbles("2001:dba:e123::2") + "rbl.test", "NXDOMAIN"},
		{strings.Repeat("0.", 8) + "rbl.test", "REFUSED"},
		{strings.Repeat("0.", 31) + "x.rbl.test", "REFUSED"},
		{strings.Repeat("0.", 31) + "00.rbl.test", "REFUSED"},
		{"rbl.test", "REFUSED"},
		{"1.2.3.4.rbl.tset", "REFUSED"},
		{"2.0.0.7.f.7.f.f.f.f." + strings.Repeat("0.", 22) + "rbl.test", "NXDOMAIN"},
		{"2.0.0.0.0.0.f.7.f.f.f.f." + strings.Repeat("0.", 20) + "rbl.test", "NOERROR A 127.0.0.3 TXT see ::ffff:127.0.0.2"},
		{"1.0.0.0.0.0.f.7.f.f.f.f." + strings.Repeat("0.", 20) + "rbl.test", "NXDOMAIN"},
	} {
		msg, _, err := a.Answer(nil, list, question(t, c.name, dns.TypeANY))
		if err != nil || show(t, msg) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, show(t, msg), err, c.want)
		}
	}
	// an empty list has the test entry, too
	empty := open("")
	msg, _, _ := a.Answer(nil, empty, question(t, "2.0.0.127.rbl.test", dns.TypeANY))
	if got := show(t, msg); got != "NOERROR A 127.0.0.2 TXT Listed 127.0.0.2" {
		t.Errorf("empty list: %s", got)
	}
	q, buf := question(t, "76.113.0.203.rbl.test", dns.TypeANY), make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { a.Answer(buf, list, q) }); n != 0 {
		t.Errorf("%v allocations an answer", n)
	}
}

func TestLineErrors(t *testing.T) {
	var b cdb.Batch
	for _, l := range []string{"[2001:db8::", "[x]", "[2001:db8::]/129", "fe80::x", "[192.0.2.1]", "[fe80::1%eth0]"} {
		if err := new(rbl.Parser).Line([]byte(l), &b); err == nil {
			t.Errorf("%s compiles", l)
		}
	}
	// what has always been an IPv4 line stays one
	for _, l := range []string{"10::", "10.0.0.1:note", "255:note::", "1.2.3.4 2001:db8::"} {
		b.Reset()
		if err := new(rbl.Parser).Line([]byte(l), &b); err != nil {
			t.Errorf("%s: %v", l, err)
		}
		b.Each(func(key, _ []byte) error {
			if len(key) != 5 {
				t.Errorf("%s makes key %x", l, key)
			}
			return nil
		})
	}
}

func TestWall6(t *testing.T) {
	var w wall.Answerer
	full := strings.Repeat("0.", 24) + "8.b.d.0.1.0.0.2.ip6.arpa"
	for _, c := range []struct {
		name string
		typ  dns.Type
		want string
	}{
		{full, dns.TypePTR, "NOERROR PTR"},
		{full, dns.TypeAAAA, "NOERROR AAAA 2001:db8::"},
		{full, dns.TypeANY, "NOERROR AAAA 2001:db8:: PTR"},
		{full, dns.TypeA, "NOERROR"},
		{full, dns.TypeMX, "REFUSED"},
		{"8.B.d.0.1.0.0.2.IP6.arpa", dns.TypePTR, "NOERROR PTR"},
		{"8.b.d.0.1.0.0.2.ip6.arpa", dns.TypeAAAA, "NOERROR"},
		{"ip6.arpa", dns.TypePTR, "NOERROR PTR"},
		{"x." + full, dns.TypePTR, "REFUSED"},
		{"0." + full, dns.TypePTR, "REFUSED"},
		{"4.3.2.1.in-addr.arpa", dns.TypeAAAA, "REFUSED"},
		{"1.2.3.4", dns.TypeAAAA, "REFUSED"},
		{"ip6.test", dns.TypeAAAA, "REFUSED"},
	} {
		msg, _ := w.Answer(nil, question(t, c.name, c.typ))
		if got := show(t, msg); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.name, c.typ, got, c.want)
		}
		if refused := msg[3]&15 == 5; refused == (msg[2]&4 != 0) {
			t.Errorf("%s %v: AA is %v", c.name, c.typ, !refused)
		}
	}
	q, buf := question(t, full, dns.TypeANY), make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { w.Answer(buf, q) }); n != 0 {
		t.Errorf("%v allocations an answer", n)
	}
}

// TestReload replaces the list of a running rbldns under its full box many
// times while questions go on: every one is answered, and soon by the new list.
func TestReload(t *testing.T) {
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "rbldns")
	root := t.TempDir()
	os.Chmod(root, 0o755)
	for d := root; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	publish := func(n int) {
		// large enough to be made ready in the background
		var lines strings.Builder
		fmt.Fprintf(&lines, ":127.0.1.%d:\n", n)
		for i := range 5000 {
			fmt.Fprintf(&lines, "10.0.%d.%d\n", i>>8, i&255)
		}
		os.WriteFile(root+"/tmp", compileList(t, lines.String()), 0o644)
		if err := os.Rename(root+"/tmp", root+"/data.cdb"); err != nil {
			t.Fatal(err)
		}
	}
	publish(1)
	port := freePort(t)
	cmd := exec.Command(filepath.Join(bin, "rbldns"))
	cmd.Env = []string{"ROOT=" + root, "UID=61950", "GID=61951", "IP=127.0.0.1", fmt.Sprint("PORT=", port), "BASE=rbl.test", "LOG=0"}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if line != "starting rbldns\n" {
		t.Fatalf("%q, %v", line, err)
	}
	conn, err := net.Dial("udp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(id int) byte {
		q := []byte{byte(id >> 8), byte(id), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		q = append(q, "\x011\x010\x010\x0210\x03rbl\x04test\x00\x00\x01\x00\x01"...)
		if _, err := conn.Write(q); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // only a lost answer waits
		buf := make([]byte, 512)
		n, err := conn.Read(buf)
		if err != nil || n < 4 || buf[0] != q[0] || buf[1] != q[1] || buf[3]&15 != 0 {
			t.Fatalf("question %d: %x, %v", id, buf[:n], err)
		}
		return buf[n-1]
	}
	id := 0
	for n := 2; n < 30; n++ {
		publish(n)
		for tries := 0; ; tries++ {
			id++
			got := ask(id)
			if got == byte(n) {
				break
			}
			if got != byte(n-1) || tries > 1<<20 {
				t.Fatalf("list %d answers after %d was published", got, n)
			}
		}
	}
	t.Logf("%d questions, all answered", id)
}

func freePort(t *testing.T) int {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}
