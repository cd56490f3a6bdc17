package wire

import (
	"bytes"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

func name(s string) []byte {
	n, err := dnsname.ParseDot(s)
	if err != nil {
		panic(err)
	}
	return []byte(n)
}

func TestBuildAndParse(t *testing.T) {
	var b Builder
	b.Reset([]byte("prefix"), 512, 0x1234, BitQR|BitAA)
	b.Question(name("www.Example.com"), dns.TypeA, dns.ClassIN)
	b.RR(Answer, name("www.example.com"), dns.TypeA, dns.ClassIN, 300, []byte{192, 0, 2, 1})
	b.RR(Authority, name("example.com"), dns.TypeNS, dns.ClassIN, 600, name("ns.example.com"))
	b.OPT(1232, dns.RCodeBadVers, true, AppendOption(nil, dns.OptNSID, "x"))
	msg := b.Finish()[6:]
	want := "\x12\x34\x84\x00\x00\x01\x00\x01\x00\x01\x00\x01" +
		"\x03www\x07Example\x03com\x00\x00\x01\x00\x01" +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01" +
		"\xc0\x10\x00\x02\x00\x01\x00\x00\x02\x58\x00\x05\x02ns\xc0\x10" +
		"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x05\x00\x03\x00\x01x"
	if string(msg) != want {
		t.Fatalf("got  %q\nwant %q", msg, want)
	}
	c, err := Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	n, qt, qc, err := c.Question(nil)
	if err != nil || !bytes.Equal(n, name("www.Example.com")) || qt != dns.TypeA || qc != dns.ClassIN {
		t.Fatalf("question %q %v %v %v", n, qt, qc, err)
	}
	var r RR
	c.Next(&r)
	c.Next(&r)
	target, _, err := AppendName(nil, msg, r.Data)
	if r.Section != Authority || r.Type != dns.TypeNS || err != nil || !bytes.Equal(target, name("ns.Example.com")) {
		t.Fatalf("second record %+v %q %v", r, target, err)
	}
	e, err := FindEDNS(&c)
	if err != nil || !e.Present || !e.DO || e.UDPSize != 1232 || e.Ext != 1 {
		t.Fatalf("EDNS %+v %v", e, err)
	}
}

func TestRecordThatDoesNotFitLeavesNothing(t *testing.T) {
	var b Builder
	b.Reset(nil, 40, 1, 0)
	b.Question(name("a"), dns.TypeTXT, dns.ClassIN)
	before := b.Len()
	if b.RR(Answer, name("a"), dns.TypeTXT, dns.ClassIN, 1, make([]byte, 30)) || !b.Full() || b.Len() != before {
		t.Fatal("record kept")
	}
	if msg := b.Finish(); msg[7] != 0 {
		t.Fatal("counted")
	}
}

func TestPointerLoopIsAnError(t *testing.T) {
	msg := append(make([]byte, 12), 0xC0, 12)
	if _, _, err := AppendName(nil, msg, 12); err == nil {
		t.Fatal("loop accepted")
	}
	// a label and a pointer back to it
	msg = append(make([]byte, 12), 1, 'a', 0xC0, 12)
	if _, _, err := AppendName(nil, msg, 12); err == nil {
		t.Fatal("growing loop accepted")
	}
}

// No pointer may lead to an offset of 16384 or more (the axfrdns bug of 2009).
func TestNoPointerBeyond16K(t *testing.T) {
	var b Builder
	b.Reset(nil, dns.MaxMessage, 1, 0)
	b.Question(name("q"), dns.TypeTXT, dns.ClassIN)
	for range 70 {
		b.RR(Answer, name("q"), dns.TypeTXT, dns.ClassIN, 1, make([]byte, 255))
	}
	b.RR(Answer, name("q"), dns.TypeNS, dns.ClassIN, 1, name("late.name"))
	b.RR(Answer, name("q"), dns.TypeNS, dns.ClassIN, 1, name("late.name"))
	msg := b.Finish()
	c, _ := Parse(msg)
	c.SkipQuestions()
	var r RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if r.Type == dns.TypeNS {
			if n, _, err := AppendName(nil, msg, r.Data); err != nil || !bytes.Equal(n, name("late.name")) {
				t.Fatalf("target %q %v", n, err)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var b Builder
	buf := make([]byte, 0, 512)
	q, ns := name("www.example.com"), name("ns.example.com")
	out := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(buf, 512, 1, BitQR)
		b.Question(q, dns.TypeA, dns.ClassIN)
		b.RR(Authority, q, dns.TypeNS, dns.ClassIN, 60, ns)
		msg := b.Finish()
		c, _ := Parse(msg)
		c.Question(out)
		FindEDNS(&c)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x12\x34\x84\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, err := Parse(msg)
		if err != nil {
			return
		}
		for range int(c.Header.QDCount) {
			n, _, _, err := c.Question(nil)
			if err != nil {
				return
			}
			if !dnsname.Valid(n) {
				t.Fatalf("invalid name %q", n)
			}
		}
		var r RR
		for {
			ok, err := c.Next(&r)
			if !ok || err != nil {
				break
			}
			if n, _, err := AppendName(nil, msg, r.Owner); err == nil && !dnsname.Valid(n) {
				t.Fatalf("invalid owner %q", n)
			}
			_ = r.RData(msg)
		}
		c, _ = Parse(msg)
		if c.SkipQuestions() == nil {
			if e, err := FindEDNS(&c); err == nil {
				for o := e.Options; ; {
					_, _, rest, ok := NextOption(o)
					if !ok {
						break
					}
					o = rest
				}
			}
		}
	})
}
