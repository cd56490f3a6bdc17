package content

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// stub answers every question with its header, and is REFUSED for "no".
type stub struct{ last Question }

func (s *stub) Answer(dst []byte, q *Question) ([]byte, Result) {
	s.last = *q
	if strings.Contains(string(q.Name), "no") {
		return q.Header(dst, dns.RCodeRefused), Result{RCode: dns.RCodeRefused, EDE: dns.EDENotAuthoritative}
	}
	return q.Header(dst, 0), Result{Found: true, Scope: 24}
}

const plain = "1234 0100 0001 0000 0000 0000 03777777 0474657374 00 0001 0001"

func packet(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func with(opt string) string {
	return "1234 0100 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 " + opt
}

// bare gives an OPT record with a cookie.
func bare(option string) string {
	return fmt.Sprintf("00 0029 04d0 00 00 0000 %04x 000a", len(packet(option))+2) + option
}

// count gives a packet other counts of records.
func count(s, counts string) string { return s[:15] + counts + s[29:] }

func TestRespond(t *testing.T) {
	r := Responder{Program: &stub{}, Config: Config{NSID: []byte("n1"), ECS: true, Cookies: []cookie.Secret{{1}}}}
	for _, x := range []struct {
		name, packet string
		mark         byte
		reply        string // prefix; "" none
	}{
		{"plain", plain, '+', "1234 8500 0001 0000 0000 0000 03777777 0474657374 00 0001 0001"},
		{"upper case stays", "1234 0000 0001 0000 0000 0000 03575757 00 0001 0001", '+', "1234 8400 0001 0000 0000 0000 03575757 00 0001 0001"},
		{"an answer", "1234 8100 0001 0000 0000 0000 00 0001 0001", '/', ""},
		{"two questions", "1234 0100 0002 0000 0000 0000 00 0001 0001", '/', ""},
		{"no question", "1234 0100 0000 0000 0000 0000", '/', ""},
		// A cookie alone: RFC 7873, section 5.4.
		{"no question, a client cookie", "1234 0100 0000 0000 0000 0001" + bare("0008 0102030405060708"), '/', "1234 8100 0000 0000 0000 0001 00 0029 04d0 00 00 0000 001c 000a 0018 0102030405060708 01"},
		{"no question, a cookie that is not ours", "1234 0000 0000 0000 0000 0001" + bare("0018 010203040506070801000000000000010102030405060708"), '/', "1234 8007 0000 0000 0000 0001 00 0029 04d0 01 00 0000 001c 000a 0018 0102030405060708 01"},
		{"no question, a cookie of 9 bytes", "1234 0100 0000 0000 0000 0001" + bare("0009 010203040506070809"), '/', ""},
		{"no question, OPT without a cookie", "1234 0100 0000 0000 0000 0001 00 0029 04d0 00 00 0000 0000", '/', ""},
		{"no question, a cookie, OPT of version 1", "1234 0100 0000 0000 0000 0001 00 0029 04d0 00 01 0000 000c 000a 0008 0102030405060708", '/', ""},
		{"no question, a cookie, and a second OPT", "1234 0100 0000 0000 0000 0002" + bare("0008 0102030405060708") + "00 0029 04d0 00 00 0000 0000", '/', ""},
		{"no question, a cookie, NOTIFY", "1234 2100 0000 0000 0000 0001" + bare("0008 0102030405060708"), '/', ""},
		{"short", "1234 0100", '/', ""},
		{"cut class", "1234 0100 0001 0000 0000 0000 00 0001 00", '/', ""},
		{"label 64", "1234 0100 0001 0000 0000 0000 40 0001 0001", '/', ""},
		{"pointer to itself", "1234 0100 0001 0000 0000 0000 c00c 0001 0001", '/', ""},
		{"counts that lie", "1234 0100 0001 0005 0006 0007 00 0001 0001", '+', "1234 8500 0001 0000 0000 0000 00"},
		{"status", "1234 1100 0001 0000 0000 0000 00 0001 0001", 'I', "1234 9504"},
		{"axfr", "1234 0000 0001 0000 0000 0000 00 00fc 0001", 'I', "1234 8404"},
		{"chaos", "1234 0100 0001 0000 0000 0000 00 0010 0003", 'C', "1234 8105"},
		{"class any", "1234 0000 0001 0000 0000 0000 00 0001 00ff", '+', "1234 8000"},
		{"refused", "1234 0000 0001 0000 0000 0000 026e6f 00 0001 0001", '-', "1234 8405"},
		{"edns", with("04d0 00 00 0000 0000"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 0000"},
		{"do", with("04d0 00 00 8000 0000"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 8000 0000"},
		{"version 1", with("04d0 00 01 0000 0000"), 'I', "1234 8100 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 01 00 0000 0000"},
		{"nsid", with("04d0 00 00 0000 0004 0003 0000"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 0006 0003 0002 6e31"},
		{"option beyond the end", with("04d0 00 00 0000 0004 0003 0009"), 'I', "1234 8101"},
		{"cookie of 9 bytes", with("04d0 00 00 0000 000d 000a 0009 010203040506070809"), 'I', "1234 8101"},
		{"subnet", with("04d0 00 00 0000 000b 0008 0007 0001 18 00 c00002"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 000b 0008 0007 0001 18 18 c00002"},
		{"subnet of a longer prefix", with("04d0 00 00 0000 000c 0008 0008 0001 20 00 c0000201"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 000c 0008 0008 0001 20 18 c0000201"},
		{"no subnet, please", with("04d0 00 00 0000 0008 0008 0004 0001 00 00"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 0008 0008 0004 0001 00 00"},
		{"no subnet, no family", with("04d0 00 00 0000 0008 0008 0004 0000 00 00"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 0008 0008 0004 0000 00 00"},
		{"mapped IPv4 subnet", with("04d0 00 00 0000 0017 0008 0013 0002 78 00 00000000000000000000ffffc00002"), '+', "1234 8500 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 0000 0017 0008 0013 0002 78 78 00000000000000000000ffffc00002"},
		{"subnet of no family", with("04d0 00 00 0000 0009 0008 0005 0000 08 00 0a"), 'I', "1234 8101"},
		{"subnet with a scope", with("04d0 00 00 0000 000b 0008 0007 0001 18 18 c00002"), 'I', "1234 8101"},
		{"subnet with too long an address", with("04d0 00 00 0000 000c 0008 0008 0001 18 00 c0000200"), 'I', "1234 8101"},
		{"subnet over 32 bits", with("04d0 00 00 0000 000d 0008 0009 0001 21 00 c000020000"), 'I', "1234 8101"},
		{"subnet with stray bits", with("04d0 00 00 0000 000b 0008 0007 0001 11 00 c000ff"), 'I', "1234 8101"},
		{"two OPT", strings.Replace(with("04d0 00 00 0000 0000 00 0029 04d0 00 00 0000 0000"), "0000 0000 0001", "0000 0000 0002", 1), 'I', "1234 8101"},
		{"OPT not at the root", "1234 0100 0001 0000 0000 0001 00 0001 0001 0161 00 0029 04d0 00 00 0000 0000", 'I', "1234 8101"},
		// Errors of an OPT record that can be told from others get one in return
		// (RFC 6891, section 7).
		{"OPT cut after its owner", with("")[:len(with(""))-6], 'I', "1234 8101 0001 0000 0000 0000"},
		{"OPT cut after its type", with(""), 'I', "1234 8101 0001 0000 0000 0000"},
		{"OPT cut before its length", with("04d0 00 00 0000"), 'I', "1234 8101 0001 0000 0000 0000"},
		{"OPT cut in its data", with("04d0 00 00 8000 0008 0003"), 'I', "1234 8101 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 00 00 8000 0000"},
		{"option cut in its length", with("04d0 00 00 0000 0003 0003 00"), 'I', "1234 8101 0001 0000 0000 0001"},
		{"OPT in the answer section", count(with("04d0 00 00 0000 0000"), "0001 0000 0000"), 'I', "1234 8101 0001 0000 0000 0001"},
		{"OPT in the authority section", count(with("04d0 00 00 0000 0000"), "0000 0001 0000"), 'I', "1234 8101 0001 0000 0000 0001"},
		{"OPT that a pointer says is at the root", count(plain, "0000 0000 0001") + "c015 0029 04d0 00 00 0000 0000", 'I', "1234 8101 0001 0000 0000 0001"},
		{"one of two counted records missing", count(with("04d0 00 00 0000 0000"), "0000 0000 0002"), 'I', "1234 8101 0001 0000 0000 0001"},
		{"OPT after another record", count(plain, "0000 0000 0002") + "00 0001 0001 00000000 0004 01020304 00 0029 04d0 00 00 0000 0000", '+', "1234 8500 0001 0000 0000 0001"},
		{"another record cut", count(plain, "0000 0000 0001") + "00 0001 0001 00000000 0004 010203", 'I', "1234 8101 0001 0000 0000 0000"},
		{"another version, options of who knows what form", with("04d0 00 01 0000 0004 0003 0009"), 'I', "1234 8100 0001 0000 0000 0001 03777777 0474657374 00 0001 0001 00 0029 04d0 01 00 0000 0000"},
		{"two OPT of another version", count(with("04d0 00 01 0000 0000 00 0029 04d0 00 01 0000 0000"), "0000 0000 0002"), 'I', "1234 8101 0001 0000 0000 0001"},
		// What 1.05 did not look at, beyond the counts and behind them.
		{"bytes behind OPT", with("04d0 00 00 0000 0000 99"), '+', "1234 8500 0001 0000 0000 0001"},
		{"OPT that is not counted", count(with("04d0 00 00 0000 0000"), "0000 0000 0000"), '+', "1234 8500 0001 0000 0000 0000"},
		{"zeros behind the question", plain + "00000000", '+', "1234 8500 0001 0000 0000 0000"},
		{"OPT counted, and nothing there", count(plain, "0000 0000 0001"), '+', "1234 8500 0001 0000 0000 0000"},
	} {
		var q Question
		got, e := r.Respond(nil, packet(x.packet), &q, &Peer{Addr: AddrFrom4([4]byte{127, 0, 0, 1}), Port: 53}, false, Time{TAI: 1, Unix: 1})
		if e.Mark != x.mark || (x.reply == "") != (got == nil) || !bytes.HasPrefix(got, packet(x.reply)) {
			t.Errorf("%s: %c %x, want %c %s", x.name, e.Mark, got, x.mark, x.reply)
		}
	}
}

func TestLimits(t *testing.T) {
	s := &stub{}
	r := Responder{Program: s}
	for _, x := range []struct {
		packet string
		tcp    bool
		want   int
	}{
		{plain, false, 512},
		{plain, true, 65535},
		{with("0000 00 00 0000 0000"), false, 512 - 11},
		{with("0300 00 00 0000 0000"), false, 768 - 11},
		{with("ffff 00 00 0000 0000"), false, 1232 - 11},
		{with("0200 00 00 0000 0000"), true, 65535 - 11},
	} {
		var q Question
		r.Respond(nil, packet(x.packet), &q, &Peer{}, x.tcp, Time{})
		if s.last.Limit != x.want {
			t.Errorf("%s tcp=%v: limit %d, want %d", x.packet, x.tcp, s.last.Limit, x.want)
		}
	}
	long := append(packet(plain), make([]byte, 500)...)
	var q Question
	if got, e := r.Respond(nil, long, &q, &Peer{}, false, Time{}); got != nil || e.Mark != '/' {
		t.Errorf("over 512 bytes without EDNS: %x", got)
	}
}

func TestCookieGoesRound(t *testing.T) {
	r := Responder{Program: &stub{}, Config: Config{Cookies: []cookie.Secret{{1}, {2}}}}
	peer := &Peer{Addr: AddrFrom4([4]byte{192, 0, 2, 7})}
	ask := func(r *Responder, option string, p *Peer, now uint32) ([]byte, Entry) {
		var q Question
		n := len(packet(option))
		return r.Respond(nil, packet(with("04d0 00 00 0000 "+hex.EncodeToString([]byte{byte(n >> 8), byte(n)})+option)), &q, p, false, Time{Unix: now})
	}
	msg, e := ask(&r, "000a 0008 0102030405060708", peer, 1000)
	if e.Cookie {
		t.Error("a client cookie alone proves nothing")
	}
	ours := hex.EncodeToString(msg[len(msg)-28:])
	if _, e = ask(&r, ours, peer, 1500); !e.Cookie {
		t.Error("our cookie is not believed")
	}
	var q Question
	alone := packet("1234 0000 0000 0000 0000 0001 00 0029 04d0 00 00 0000 001c" + ours)
	if msg, _ := r.Respond(nil, alone, &q, peer, false, Time{Unix: 1500}); len(msg) != len(alone) || msg[3]&15 != 0 || msg[dns.HeaderLen+5] != 0 {
		t.Errorf("our cookie without a question: %x", msg)
	}
	if _, e = ask(&r, ours, &Peer{Addr: AddrFrom4([4]byte{192, 0, 2, 8})}, 1500); e.Cookie {
		t.Error("our cookie is believed from another address")
	}
	if _, e = ask(&r, ours, peer, 5000); e.Cookie {
		t.Error("an old cookie is believed")
	}
	rolled := Responder{Program: &stub{}, Config: Config{Cookies: []cookie.Secret{{9}, {1}}}}
	if _, e = ask(&rolled, ours, peer, 1500); !e.Cookie {
		t.Error("a cookie of the old secret is not believed during a change")
	}
}

func TestLogLine(t *testing.T) {
	q := &Question{ID: 0x1234, Type: 255, Name: []byte("\x03a.*\x02\x00z\x00")}
	for _, x := range []struct {
		peer Peer
		mark byte
		want string
	}{
		{Peer{AddrFrom4([4]byte{127, 0, 0, 1}), 40000}, '+', "7f000001:9c40:1234 + 00ff a\\056\\052.\\000z\n"},
		{Peer{AddrFrom4([4]byte{127, 0, 0, 1}), 40000}, '/', "7f000001:9c40:0000 / 0000 .\n"},
		{Peer{Addr{0x20, 1, 0xd, 0xb8, 15: 1}, 1}, '-', "20010db8000000000000000000000001:0001:1234 - 00ff a\\056\\052.\\000z\n"},
	} {
		if got := string(AppendLog(nil, &x.peer, x.mark, q)); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
	long := bytes.Repeat([]byte("\x3f"+strings.Repeat("\xff", 63)), 3)
	q.Name = append(append(long, 61), strings.Repeat("\xff", 61)+"\x00"...)
	if len(q.Name) != dns.MaxName {
		t.Fatal(len(q.Name))
	}
	if n := len(AppendLog(nil, &Peer{Addr: Addr{1}}, '+', q)); n > MaxLine {
		t.Errorf("%d bytes, MaxLine is %d", n, MaxLine)
	}
}

// Names of all kinds: QName is the packet's, Name its lower case, and the log
// line shows what dnsname.AppendText makes of it.
func TestNames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const alphabet = "abcXYZ019-_*.\x00\x80\xc1\xda\xff@[`{"
	for range 20000 {
		var name []byte
		for room := r.IntN(dns.MaxName); len(name) < room; {
			n := min(1+r.IntN(12), dns.MaxName-2-len(name))
			if n < 1 {
				break
			}
			name = append(name, byte(n))
			for range n {
				name = append(name, alphabet[r.IntN(len(alphabet))])
			}
		}
		name = append(name, 0)
		p := append(append([]byte("ABCD\x00\x01ABCD\x00\x00")[:12:12], name...), 0, 1, 0, 1)
		p[2] = 0
		var q Question
		if !new(Responder).Parse(&q, p, &Peer{}, false, Time{}) {
			t.Fatalf("%x refused", p)
		}
		low := dnsname.Lower(bytes.Clone(name))
		if !bytes.Equal(q.QName, name) || !bytes.Equal(q.Name, low) {
			t.Fatalf("%q: QName %q, Name %q", name, q.QName, q.Name)
		}
		line := AppendLog([]byte("x"), &Peer{}, '+', &q)
		if want := " + 0001 " + string(dnsname.AppendText(nil, name)) + "\n"; !bytes.HasSuffix(line, []byte(want)) {
			t.Fatalf("%q, want %q at its end", line, want)
		}
	}
}

func FuzzRespond(f *testing.F) {
	f.Add(packet(plain))
	f.Add(packet(with("04d0 00 00 8000 000c 000a 0008 0102030405060708")))
	f.Add(packet("1234 0100 0001 0005 0006 0007 00 0001 0001"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := Responder{Program: &stub{}, Config: Config{NSID: []byte("x"), ECS: true, Cookies: []cookie.Secret{{1}}}}
		for _, tcp := range []bool{false, true} {
			var q Question
			msg, e := r.Respond(nil, p, &q, &Peer{}, tcp, Time{})
			AppendLog(nil, &Peer{}, e.Mark, &q)
			if msg == nil {
				continue
			}
			if p[2]&0x80 != 0 {
				t.Fatal("an answer was answered")
			}
			c, err := wire.Parse(msg)
			if err != nil || c.Header.ID != uint16(p[0])<<8|uint16(p[1]) || c.Header.Bits&wire.BitQR == 0 || c.SkipQuestions() != nil {
				t.Fatalf("bad answer %x", msg)
			}
			if _, err := wire.FindEDNS(&c); err != nil {
				t.Fatalf("bad OPT in %x", msg)
			}
		}
	})
}
