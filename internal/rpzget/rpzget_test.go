package rpzget

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

const zoneName = dnsname.Name("\x03rpz\x04test\x00")

// records makes wire records of lines "owner type data".
func message(t *testing.T, id uint16, rcode dns.RCode, lines []string) []byte {
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, id, wire.BitQR|wire.BitAA|uint16(rcode))
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		owner, err := dnsname.ParseDot(f[0])
		if err != nil {
			t.Error(err)
		}
		typ := map[string]dns.Type{"SOA": dns.TypeSOA, "CNAME": dns.TypeCNAME, "A": dns.TypeA}[f[1]]
		data, err := rdata.Parse(nil, typ, []byte(f[2]), "")
		if err != nil {
			t.Error(err)
		}
		b.RR(wire.Answer, []byte(owner), typ, dns.ClassIN, 300, data)
	}
	return b.Finish()
}

// serve answers queries by type; a nil list with rcode 0 ends the connection.
// It counts what was asked.
type server struct {
	soa, ixfr, axfr             []string
	soaCode, ixfrCode, axfrCode dns.RCode
	cut                         bool // the connection ends before the last record
	asked                       string
}

func (s *server) run(t *testing.T, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		for {
			var n [2]byte
			if _, err := io.ReadFull(c, n[:]); err != nil {
				break
			}
			q := make([]byte, binary.BigEndian.Uint16(n[:]))
			if _, err := io.ReadFull(c, q); err != nil {
				break
			}
			cur, err := wire.Parse(q)
			if err != nil {
				t.Error(err)
				break
			}
			_, typ, _, _ := cur.Question(nil)
			list, code := s.soa, s.soaCode
			switch typ {
			case dns.TypeIXFR:
				s.asked += "i"
				list, code = s.ixfr, s.ixfrCode
			case dns.TypeAXFR:
				s.asked += "a"
				list, code = s.axfr, s.axfrCode
				if s.cut {
					list = list[:len(list)-1]
				}
			}
			m := message(t, cur.Header.ID, code, list)
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
			if s.cut && typ == dns.TypeAXFR {
				break
			}
		}
		c.Close()
	}
}

func TestRounds(t *testing.T) {
	soa := func(n string) string { return "rpz.test SOA ns.rpz.test. h.rpz.test. " + n + " 60 50 604800 300" }
	line := func(l string) string {
		f := strings.SplitN(l, " ", 3)
		return f[0] + ".\t300\tIN\t" + f[1] + "\t" + f[2] + "\n"
	}
	file := func(lines ...string) string {
		s := ""
		for _, l := range lines {
			s += line(l)
		}
		return s
	}
	const bad, worse, odd = "bad.test.rpz.test CNAME .", "worse.test.rpz.test CNAME .", "99.1.2.0.192.rpz-ip.rpz.test CNAME ."
	old := file(soa("3"), bad)
	whole := []string{soa("5"), worse, soa("5")}
	for _, c := range []struct {
		name  string
		old   string
		s     server
		want  string // "" is old
		asked string
		err   string
	}{
		{"no file", "", server{soa: []string{soa("5")}, axfr: whole}, file(soa("5"), worse), "a", ""},
		{"same serial", old, server{soa: []string{soa("3")}}, "", "", ""},
		{"older at the server", old, server{soa: []string{soa("1")}, axfr: []string{soa("1"), worse, soa("1")}}, file(soa("1"), worse), "a", ""},
		{"changes", old, server{soa: []string{soa("5")}, ixfr: []string{soa("5"), soa("3"), bad, soa("5"), worse, soa("5")}}, file(soa("5"), worse), "i", ""},
		{"changes, other letters", old, server{soa: []string{soa("5")}, ixfr: []string{soa("5"), soa("3"), strings.Replace(bad, "bad", "BAD", 1), soa("5"), worse, soa("5")}}, file(soa("5"), worse), "i", ""},
		{"whole zone for changes", old, server{soa: []string{soa("5")}, ixfr: whole}, file(soa("5"), worse), "i", ""},
		{"changes refused", old, server{soa: []string{soa("5")}, ixfrCode: dns.RCodeNotImp, axfr: whole}, file(soa("5"), worse), "ia", ""},
		{"changes that do not fit", old, server{soa: []string{soa("5")}, ixfr: []string{soa("5"), soa("3"), worse, soa("5"), soa("5")}, axfr: whole}, file(soa("5"), worse), "ia", ""},
		{"damaged copy", old + "broken\n", server{soa: []string{soa("5")}, ixfr: []string{soa("5"), soa("3"), bad, soa("5"), worse, soa("5")}, axfr: whole}, file(soa("5"), worse), "ia", ""},
		{"no SOA in the file", file(bad), server{soa: []string{soa("5")}, axfr: whole}, file(soa("5"), worse), "a", ""},
		{"broken off", old, server{soa: []string{soa("5")}, ixfrCode: dns.RCodeRefused, axfr: whole, cut: true}, "", "ia", "protocol error"},
		{"not a policy", old, server{soa: []string{soa("5")}, ixfrCode: dns.RCodeRefused, axfr: []string{soa("5"), odd, soa("5")}}, "", "ia", "zone is not usable"},
		{"changes to no policy", old, server{soa: []string{soa("5")}, ixfr: []string{soa("5"), soa("3"), soa("5"), odd, soa("5")}}, "", "i", "zone is not usable"},
		{"no SOA", old, server{}, "", "", "unable to parse SOA: protocol error"},
		{"SOA refused", old, server{soaCode: dns.RCodeRefused}, "", "", "unable to parse SOA: server says REFUSED"},
		{"transfer refused", "", server{soa: []string{soa("5")}, axfrCode: dns.RCodeNotAuth}, "", "a", "unable to parse transfer: server says NOTAUTH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan bool)
			go func() { c.s.run(t, l); close(ended) }()
			dir := t.TempDir() + "/"
			g := &getter{zone: zoneName, fn: dir + "10-rpz.test", tmp: dir + ".10-rpz.test", server: "there",
				addrs: []netip.AddrPort{netip.MustParseAddrPort(l.Addr().String())}}
			if c.old != "" {
				os.WriteFile(g.fn, []byte(c.old), 0o644)
			}
			err = g.round()
			l.Close()
			<-ended
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if c.want == "" {
				c.want = c.old
			}
			if b, _ := os.ReadFile(g.fn); string(b) != c.want {
				t.Errorf("file\n%swant\n%s", b, c.want)
			}
			if c.s.asked != c.asked {
				t.Errorf("asked %q, want %q", c.s.asked, c.asked)
			}
			if err == nil && (g.have.refresh != 60 || g.have.retry != 50) {
				t.Errorf("refresh %d, retry %d", g.have.refresh, g.have.retry)
			}
		})
	}
}
