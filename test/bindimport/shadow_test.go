package bindimport_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
	"bulkhead/test/zonegen"
)

// asked is what the clients of the old server want to know.
type asked struct {
	name    string
	t       dns.Type
	edns    bool
	do, tcp bool
}

func (a asked) message(id uint16) []byte {
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, id, wire.BitRD)
	n, _ := dnsname.ParseDot(a.name)
	b.Question([]byte(n), a.t, dns.ClassIN)
	if a.edns {
		b.OPT(dns.EDNSUDPSize, 0, a.do, nil)
	}
	return b.Finish()
}

// ask sends it and waits for the answer, so that the server has logged it.
func (a asked) ask(t *testing.T, port int, id uint16) {
	t.Helper()
	network, msg := "udp", a.message(id)
	if a.tcp {
		network, msg = "tcp", append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	}
	for range 5 {
		c, err := net.Dial(network, fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		c.Write(msg)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := c.Read(make([]byte, dns.MaxMessage))
		c.Close()
		if n > 0 && err == nil {
			return
		}
	}
	t.Fatalf("no answer about %s", a.name)
}

// serves waits until the answer holds what new data say: a server takes them a
// moment after they are published.
func serves(t *testing.T, port int, a asked, data []byte) {
	t.Helper()
	for range 200 {
		c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		c.Write(a.message(1))
		c.SetReadDeadline(time.Now().Add(time.Second))
		b := make([]byte, dns.MaxMessage)
		n, _ := c.Read(b)
		c.Close()
		if bytes.Contains(b[:n], data) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the new data are not served")
}

// traffic is a bit of everything: what is there, what is not, both transports.
func traffic() (list []asked) {
	for i, name := range []string{"www.s.test", "WWW.s.Test", "s.test", "none.s.test", "a.wild.s.test", "x.sub.s.test", "alias.s.test",
		"mail.s.test", "big.s.test", "elsewhere.example", `\052.wild.s.test`} {
		for j, ty := range []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeSOA, dns.TypeNS, dns.Type(65280)} {
			k := i + j
			list = append(list, asked{name, ty, k%2 == 0, k%4 == 0, k%5 == 0})
		}
	}
	return list
}

// TestShadow replays what a real named has logged, and a capture of the same
// questions, against that named and us: once with nothing changed, once with
// one record changed behind our back.
func TestShadow(t *testing.T) {
	testbin.Peer(t, "usr/sbin/named")
	bin := testbin.Dir(t, programs()...)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	zone := &zonegen.Zone{Origin: "s.test.", Main: "db.s", Files: map[string]string{"db.s": `$TTL 3600
@ SOA ns1 host 7 7200 900 1209600 300
@ NS ns1
@ MX 10 mail
ns1 A 192.0.2.1
www 600 A 192.0.2.80
www AAAA 2001:db8::80
mail A 192.0.2.25
*.wild A 192.0.2.99
sub NS ns.sub
ns.sub A 192.0.2.55
alias CNAME www
big TXT "` + strings.Repeat("x", 250) + `" "` + strings.Repeat("y", 250) + `" "` + strings.Repeat("z", 250) + `"
`}}
	named, ours := freePort(t), freePort(t)
	writeZones(t, dir, []*zonegen.Zone{zone}, named)
	conf, err := os.ReadFile(filepath.Join(dir, "named.conf"))
	if err != nil {
		t.Fatal(err)
	}
	withLog := strings.Replace(string(conf), "options {", "options {\n\tquerylog yes;", 1)
	if err := os.WriteFile(filepath.Join(dir, "named.conf"), []byte(withLog), 0o644); err != nil {
		t.Fatal(err)
	}
	log := startNamed(t, dir, named)
	list := traffic()
	for i, a := range list {
		a.ask(t, named, uint16(i))
	}
	// named writes all its logs to one file here; an administrator has the
	// queries in one of their own
	var queries []byte
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range bytes.SplitAfter(text, []byte("\n")) {
		if bytes.Contains(l, []byte(": query: ")) {
			queries = append(queries, l...)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "queries.log"), queries, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "packets"), capturePackets(list), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "bind-import"), "-c", "named.conf")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	startBulkhead(t, bin, dir, ours)

	shadow := func(recording string) (code int, out string, r report, page string) {
		os.Remove(filepath.Join(dir, "s.json"))
		os.Remove(filepath.Join(dir, "s.html"))
		cmd := exec.Command(filepath.Join(bin, "bind-import"), "shadow", "-old", fmt.Sprintf("127.0.0.1#%d", named),
			"-new", fmt.Sprintf("127.0.0.1#%d", ours), "-json", "s.json", "-html", "s.html", recording)
		cmd.Dir = dir
		b, _ := cmd.CombinedOutput()
		j, err := os.ReadFile(filepath.Join(dir, "s.json"))
		if err != nil || json.Unmarshal(j, &r) != nil {
			t.Fatalf("%s: no report: %v\n%s", recording, err, b)
		}
		p, err := os.ReadFile(filepath.Join(dir, "s.html"))
		if err != nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(b), r, string(p)
	}
	first := map[string]string{
		"queries.log": fmt.Sprintf("%d queries recorded; passed over: 0 TCP segments, 0 lines or packets that are no queries\n", len(list)),
		"packets":     fmt.Sprintf("%d queries recorded; passed over: 2 TCP segments, 3 lines or packets that are no queries\n", len(list)),
	}
	for recording, line := range first {
		code, out, r, _ := shadow(recording)
		if code != 0 || !strings.HasPrefix(out, line) || r.Asked != len(list) || r.Different != 0 {
			t.Errorf("%s: exit %d, %d asked, %d different\n%s", recording, code, r.Asked, r.Different, out)
		}
		for _, c := range r.Cases {
			if c.Verdict == "different" {
				t.Errorf("%s: %s: %s\nold: %s\nnew: %s", recording, c.Question, c.Cause, c.Old, c.New)
			}
		}
	}

	data, err := os.ReadFile(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(data, []byte("192.0.2.80"), []byte("192.0.2.81"), 1)
	if bytes.Equal(changed, data) {
		t.Fatalf("nothing to change in\n%s", data)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), changed, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(filepath.Join(bin, "tinydns-data"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	serves(t, ours, asked{name: "www.s.test", t: dns.TypeA}, []byte{192, 0, 2, 81})
	for recording := range first {
		code, out, r, page := shadow(recording)
		// the name in two spellings and its alias, asked for addresses
		if code != 100 || r.Different < 3 || r.Different > 6 {
			t.Errorf("%s: exit %d, %d different\n%s", recording, code, r.Different, out)
		}
		for _, want := range []string{"192.0.2.80", "192.0.2.81", "www.s.test"} {
			if !strings.Contains(strings.ToLower(out), want) || !strings.Contains(strings.ToLower(page), want) {
				t.Errorf("%s: the report does not show %s\n%s", recording, want, out)
			}
		}
	}
}

// capturePackets is a pcap as tcpdump -w writes it: the questions in IPv4 and
// IPv6, bare, padded and tagged; besides two TCP segments, an answer, a packet
// to another port and half a packet.
func capturePackets(list []asked) []byte {
	le := binary.LittleEndian
	out := le.AppendUint32(nil, 0xa1b2c3d4)
	out = append(out, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = le.AppendUint32(le.AppendUint32(out, 262144), 1) // snaplen, Ethernet
	put := func(frame []byte) {
		out = append(out, make([]byte, 8)...)
		out = le.AppendUint32(le.AppendUint32(out, uint32(len(frame))), uint32(len(frame)))
		out = append(out, frame...)
	}
	be := binary.BigEndian
	packet := func(v6, tagged bool, protocol byte, to uint16, payload []byte) []byte {
		var ip []byte
		header := 8
		if protocol == 6 {
			header = 20
		}
		body := be.AppendUint16(be.AppendUint16(nil, 5353), to)
		if protocol == 17 {
			body = append(be.AppendUint16(body, uint16(8+len(payload))), 0, 0)
		} else {
			body = append(body, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0)
		}
		body = append(body, payload...)
		kind := []byte{8, 0}
		if v6 {
			kind = []byte{0x86, 0xdd}
			ip = append([]byte{0x60, 0, 0, 0}, be.AppendUint16(nil, uint16(header+len(payload)))...)
			ip = append(append(ip, protocol, 64), make([]byte, 32)...)
		} else {
			ip = append([]byte{0x45, 0}, be.AppendUint16(nil, uint16(20+header+len(payload)))...)
			ip = append(ip, 0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 7, 192, 0, 2, 53)
		}
		frame := make([]byte, 12)
		if tagged {
			frame = append(frame, 0x81, 0, 0, 9)
		}
		frame = append(append(append(frame, kind...), ip...), body...)
		for len(frame) < 60 { // what Ethernet pads to
			frame = append(frame, 0xff)
		}
		return frame
	}
	for i, a := range list {
		put(packet(i%2 == 1, i%3 == 1, 17, 53, a.message(uint16(i))))
	}
	m := list[0].message(9)
	framed := append(be.AppendUint16(nil, uint16(len(m))), m...)
	put(packet(false, false, 6, 53, framed))
	put(packet(true, true, 6, 53, framed))
	answer := bytes.Clone(m)
	answer[2] |= 0x80
	put(packet(false, false, 17, 53, answer))
	put(packet(false, false, 17, 5353, m))
	put(packet(false, false, 17, 53, m[:20]))
	return out
}
