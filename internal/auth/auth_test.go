package auth

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/testbin"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"
)

func compile(t testing.TB, data string) *Data {
	t.Helper()
	var m testbin.Memory
	w := cdb.NewWriter(&m)
	if _, err := tinydata.Compile(strings.NewReader(data), w, 1, tinydata.Watch{}); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	d, err := NewData(m.B, nil, zindex.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func wireName(t testing.TB, s string) []byte {
	n, err := dnsname.ParseDot(s)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(n)
}

func question(t testing.TB, name string, typ dns.Type) *content.Question {
	n := wireName(t, name)
	return &content.Question{ID: 1, Bits: wire.BitQR | wire.BitAA, QName: n, Name: dnsname.Lower(bytes.Clone(n)), Type: typ,
		Class: dns.ClassIN, Limit: dns.MinUDP, Now: 1 << 62, Client: content.AddrFrom4([4]byte{127, 0, 0, 1})}
}

// text shows an answer: flags, then one line a record.
func text(t testing.TB, msg []byte) string {
	t.Helper()
	c, err := wire.Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", c.Header.RCode())
	if c.Header.Bits&wire.BitAA != 0 {
		b.WriteString(" aa")
	}
	if c.Header.Bits&wire.BitTC != 0 {
		b.WriteString(" tc")
	}
	b.WriteByte('\n')
	if err := c.SkipQuestions(); err != nil {
		t.Fatal(err)
	}
	var r wire.RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		owner, _, err := wire.AppendName(nil, msg, r.Owner)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s %s", [...]string{"", "an", "ns", "ar"}[r.Section], dnsname.AppendText(nil, owner), r.Type)
		switch r.Type {
		case dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypePTR:
			n, _, _ := wire.AppendName(nil, msg, r.Data)
			fmt.Fprintf(&b, " %s", dnsname.AppendText(nil, n))
		case dns.TypeMX:
			n, _, _ := wire.AppendName(nil, msg, r.Data+2)
			fmt.Fprintf(&b, " %s", dnsname.AppendText(nil, n))
		case dns.TypeSOA:
			fmt.Fprintf(&b, " ttl=%d", r.TTL)
		case dns.TypeA:
			fmt.Fprintf(&b, " %d", r.RData(msg))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const sample = `
.z.test:192.0.2.1:a:600
Zother.test:ns.z.test:h.z.test:1:2:3:4:60:3600
&other.test::ns.z.test:600
+ns.z.test:192.0.2.2
:ns.z.test:28:\040\001\015\270\000\000\000\000\000\000\000\000\000\000\000\001:300
+www.z.test:192.0.2.3
Calias.z.test:www.z.test
Cfar.z.test:www.other.test
+www.other.test:192.0.2.4
Cout.z.test:www.example.net
Cdead.z.test:nothing.other.test
Cloop1.z.test:loop2.z.test
Cloop2.z.test:loop1.z.test
Cself.z.test:self.z.test
+a.ent.z.test:192.0.2.5
+*.w.z.test:192.0.2.6
+x.ent.w.z.test:192.0.2.7
&cut.z.test:192.0.2.8:ns.cut.z.test
&cut.z.test::ns.sibling.z.test
+ns.sibling.z.test:192.0.2.9
+hidden.cut.z.test:192.0.2.10
&sub.cut.z.test:192.0.2.11:ns.sub.cut.z.test
:cut.z.test:43:\000\001\010\002abcd
:d.z.test:DNAME:other.test.
+below.d.z.test:192.0.2.12
.child.z.test:192.0.2.13:ns.child.z.test
+www.child.z.test:192.0.2.14
&orphan.example:192.0.2.15:ns.orphan.example
@z.test:192.0.2.16:mx.z.test
Cwc.z.test:q.w.z.test
Cbeyond.z.test:x.cut.z.test
`

// Each of RFC 1034, section 4.3.2's states.
func TestStates(t *testing.T) {
	d := compile(t, sample)
	for _, x := range []struct {
		name string
		typ  dns.Type
		want string
	}{
		{"www.z.test", dns.TypeA, "NOERROR aa\nan www.z.test A [192 0 2 3]\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"www.z.test", dns.TypeTXT, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{"nx.z.test", dns.TypeA, "NXDOMAIN aa\nns z.test SOA ttl=2560\n"},
		{"nx.other.test", dns.TypeA, "NXDOMAIN aa\nns other.test SOA ttl=60\n"},
		{"example.net", dns.TypeA, "REFUSED\n"},
		{"test", dns.TypeA, "REFUSED\n"},
		{"ent.z.test", dns.TypeA, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{"w.z.test", dns.TypeA, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{"q.w.z.test", dns.TypeTXT, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{"y.ent.w.z.test", dns.TypeA, "NXDOMAIN aa\nns z.test SOA ttl=2560\n"},
		{"a.b.c.w.z.test", dns.TypeA, "NOERROR aa\nan a.b.c.w.z.test A [192 0 2 6]\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"alias.z.test", dns.TypeA, "NOERROR aa\nan alias.z.test CNAME www.z.test\nan www.z.test A [192 0 2 3]\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"far.z.test", dns.TypeA, "NOERROR aa\nan far.z.test CNAME www.other.test\nan www.other.test A [192 0 2 4]\nns other.test NS ns.z.test\nar ns.z.test A [192 0 2 2]\nar ns.z.test AAAA\n"},
		{"out.z.test", dns.TypeA, "NOERROR aa\nan out.z.test CNAME www.example.net\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"dead.z.test", dns.TypeA, "NXDOMAIN aa\nan dead.z.test CNAME nothing.other.test\nns other.test SOA ttl=60\n"},
		{"loop1.z.test", dns.TypeA, "NOERROR aa\nan loop1.z.test CNAME loop2.z.test\nan loop2.z.test CNAME loop1.z.test\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"self.z.test", dns.TypeA, "NOERROR aa\nan self.z.test CNAME self.z.test\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"hidden.cut.z.test", dns.TypeA, "NOERROR\nns cut.z.test NS ns.cut.z.test\nns cut.z.test NS ns.sibling.z.test\nar ns.cut.z.test A [192 0 2 8]\nar ns.sibling.z.test A [192 0 2 9]\n"},
		{"x.sub.cut.z.test", dns.TypeA, "NOERROR\nns cut.z.test NS ns.cut.z.test\nns cut.z.test NS ns.sibling.z.test\nar ns.cut.z.test A [192 0 2 8]\nar ns.sibling.z.test A [192 0 2 9]\n"},
		{"cut.z.test", dns.TypeDS, "NOERROR aa\nan cut.z.test DS\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"child.z.test", dns.TypeDS, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{"z.test", dns.TypeDS, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{"www.child.z.test", dns.TypeA, "NOERROR aa\nan www.child.z.test A [192 0 2 14]\nns child.z.test NS ns.child.z.test\nar ns.child.z.test A [192 0 2 13]\n"},
		{"www.d.z.test", dns.TypeA, "NOERROR aa\nan d.z.test DNAME other.test\nan www.d.z.test CNAME www.other.test\nan www.other.test A [192 0 2 4]\nns other.test NS ns.z.test\nar ns.z.test A [192 0 2 2]\nar ns.z.test AAAA\n"},
		{"below.d.z.test", dns.TypeA, "NXDOMAIN aa\nan d.z.test DNAME other.test\nan below.d.z.test CNAME below.other.test\nns other.test SOA ttl=60\n"},
		{"d.z.test", dns.TypeA, "NOERROR aa\nns z.test SOA ttl=2560\n"},
		{strings.Repeat("x.", 122) + "d.z.test", dns.TypeA, "YXDOMAIN aa\nan d.z.test DNAME other.test\n"},
		{"x.orphan.example", dns.TypeA, "NOERROR\nns orphan.example NS ns.orphan.example\nar ns.orphan.example A [192 0 2 15]\n"},
		{"z.test", dns.TypeMX, "NOERROR aa\nan z.test MX mx.z.test\nns z.test NS a.ns.z.test\nar mx.z.test A [192 0 2 16]\nar a.ns.z.test A [192 0 2 1]\n"},
		{"wc.z.test", dns.TypeA, "NOERROR aa\nan wc.z.test CNAME q.w.z.test\nan q.w.z.test A [192 0 2 6]\nns z.test NS a.ns.z.test\nar a.ns.z.test A [192 0 2 1]\n"},
		{"beyond.z.test", dns.TypeA, "NOERROR aa\nan beyond.z.test CNAME x.cut.z.test\nns cut.z.test NS ns.cut.z.test\nns cut.z.test NS ns.sibling.z.test\nar ns.cut.z.test A [192 0 2 8]\nar ns.sibling.z.test A [192 0 2 9]\n"},
	} {
		var a Answerer
		q := question(t, x.name, x.typ)
		if len(x.name) > 200 {
			q.Limit = dns.EDNSUDPSize
		}
		msg, _ := a.Answer(nil, d, q)
		if got := text(t, msg); got != x.want {
			t.Errorf("%s %s:\n%swant\n%s", x.name, x.typ, got, x.want)
		}
	}
}

// The fast path answers as the full path does, byte for byte where no NSEC is
// involved.
func TestFastIsFull(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	types := []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeCNAME, 99}
	fast := 0
	for round := range 300 {
		data := sample
		if round > 0 {
			data = randomData(r)
		}
		d := compile(t, data)
		var a, full Answerer
		full.fast.off = true
		for range 300 {
			name := randomName(r)
			if r.IntN(3) == 0 {
				lines := strings.Split(data, "\n")
				if l := lines[r.IntN(len(lines))]; len(l) > 1 {
					name, _, _ = strings.Cut(l[1:], ":")
				}
			}
			q := question(t, name, types[r.IntN(len(types))])
			q.DO = r.IntN(3) == 0
			q.Limit = []int{512, 1232, 90}[r.IntN(3)]
			if q.Limit < len(q.QName)+16 {
				continue
			}
			a.data, a.q, a.located, a.res = d, q, false, content.Result{Found: true}
			got, ok := a.fastAnswer(nil)
			if !ok {
				continue
			}
			fast++
			want, _ := full.Answer(nil, d, q)
			if !bytes.Equal(got, want) && !sameSet(got, want) {
				t.Fatalf("%s %s in\n%s\ngot  %s%x\nwant %s%x", name, q.Type, data, text(t, got), got, text(t, want), want)
			}
		}
	}
	if fast < 5000 {
		t.Errorf("only %d answers were fast", fast)
	}
}

// sameSet compares two messages that may have addresses in another order.
func sameSet(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	var ca, cb [256]int
	for i := range a {
		ca[a[i]]++
		cb[b[i]]++
	}
	return ca == cb && bytes.Equal(a[:12], b[:12])
}

var labels = []string{"a", "b", "ns", "www", "*", "x", "mx", "\\052", "A"}

func randomName(r *rand.Rand) string {
	s := []string{"z.test", "z.test", "sub.z.test", "other.test", "test"}[r.IntN(5)]
	for range r.IntN(4) {
		s = labels[r.IntN(len(labels))] + "." + s
	}
	return s
}

func randomData(r *rand.Rand) string {
	b := new(strings.Builder)
	ttl := func() string { return []string{"", "60", "3600", "0"}[r.IntN(4)] }
	fmt.Fprintf(b, ".z.test:192.0.2.1:a:%s\n", ttl())
	if r.IntN(2) == 0 {
		fmt.Fprintf(b, ".other.test:192.0.2.1:ns.z.test:%s\n", ttl())
	}
	for range r.IntN(25) {
		n := randomName(r)
		switch r.IntN(12) {
		case 0:
			fmt.Fprintf(b, "&%s:192.0.2.%d:%s:%s\n", n, r.IntN(9), randomName(r), ttl())
		case 1:
			fmt.Fprintf(b, "C%s:%s:%s\n", n, randomName(r), ttl())
		case 2:
			fmt.Fprintf(b, "@%s:192.0.2.%d:%s:%d:%s\n", n, r.IntN(9), randomName(r), r.IntN(3), ttl())
		case 3:
			fmt.Fprintf(b, "'%s:some text:%s\n", n, ttl())
		case 4:
			fmt.Fprintf(b, "%c%s:192.0.2.%d:%s\n", ".&"[r.IntN(2)], n, r.IntN(9), labels[r.IntN(len(labels))])
		case 5:
			fmt.Fprintf(b, ":%s:28:\\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\%03o:%s\n", n, r.IntN(8), ttl())
		case 6:
			if r.IntN(3) == 0 {
				fmt.Fprintf(b, ":%s:39:\\004test\\000:%s\n", n, ttl())
			}
		case 7:
			fmt.Fprintf(b, "+%s:192.0.2.%d:%s:%s\n", n, r.IntN(9), ttl(), []string{"4000000000000001", "4100000000000000"}[r.IntN(2)])
		default:
			fmt.Fprintf(b, "+%s:192.0.2.%d:%s\n", n, r.IntN(9), ttl())
		}
	}
	return b.String()
}

// An answer always keeps within its limit, and counts what it has.
func TestLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString(".z.test:192.0.2.1:a\n")
	for i := range 40 {
		fmt.Fprintf(&b, "+many.z.test:192.0.2.%d\n@mx.z.test:192.0.2.%d:host%d.z.test:%d\n&cut.z.test:192.0.2.%d:ns%d.cut.z.test\n&sib.z.test:192.0.2.%d:ns%d.z.test\n", i, i, i, i, i, i, i, i)
	}
	fmt.Fprintf(&b, "&three.z.test:192.0.2.1:ns1.three.z.test\n&three.z.test:192.0.2.1:ns2.elsewhere.z.test\n")
	d := compile(t, b.String())
	for _, name := range []string{"many.z.test", "mx.z.test", "cut.z.test", "sib.z.test", "three.z.test", "z.test", "nx.z.test"} {
		for _, typ := range []dns.Type{dns.TypeA, dns.TypeMX, dns.TypeANY} {
			for limit := 40; limit < 3000; limit += 7 {
				var a Answerer
				q := question(t, name, typ)
				q.Limit = limit
				msg, _ := a.Answer(nil, d, q)
				if len(msg) > limit {
					t.Fatalf("%s: %d bytes, limit %d", name, len(msg), limit)
				}
				s := text(t, msg) // counts agree with records
				if strings.Contains(s, " tc") && strings.Count(s, "\n") != 1 {
					t.Fatalf("%s: truncated, yet %s", name, s)
				}
				if name == "three.z.test" && !strings.Contains(s, " tc") && !strings.Contains(s, "ar ns1.three.z.test") {
					t.Fatalf("limit %d: glue inside the delegated zone is missing:\n%s", limit, s)
				}
			}
		}
	}
}

// All addresses of an RRset are given, in an order that differs, each as often
// first as the others; with Addresses set, at most so many.
func TestAddressOrder(t *testing.T) {
	var b strings.Builder
	b.WriteString(".z.test:192.0.2.1:a\n")
	const n = 12
	for i := range n {
		fmt.Fprintf(&b, "+many.z.test:192.0.2.%d\n", i+1)
	}
	d := compile(t, b.String())
	for _, most := range []int{0, 8} {
		var first [n + 1]int
		a := Answerer{Addresses: most, Rand: Rand{State: 1}}
		const rounds = 24000
		for range rounds {
			msg, _ := a.Answer(nil, d, question(t, "many.z.test", dns.TypeA))
			want := n
			if most > 0 {
				want = most
			}
			if int(msg[7]) != want {
				t.Fatalf("%d addresses, want %d", msg[7], want)
			}
			first[msg[12+13+4+15]]++
		}
		for i := 1; i <= n; i++ {
			if e := rounds / n; first[i] < e*8/10 || first[i] > e*12/10 {
				t.Errorf("address %d came first %d times of %d", i, first[i], rounds)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	d := compile(t, sample+"%ex:127\n+only.inside.z.test:192.0.2.1:::in\n+late.inside.z.test:192.0.2.2:60:4100000000000000:ex\n")
	buf := make([]byte, 0, 4096)
	for _, full := range []bool{false, true} {
		var a Answerer
		a.fast.off = full
		for _, name := range []string{"www.z.test", "nx.z.test", "alias.z.test", "hidden.cut.z.test", "q.w.z.test", "www.d.z.test", "z.test", "example.net",
			"inside.z.test", "nx.inside.z.test", "x.only.inside.z.test"} {
			for _, typ := range []dns.Type{dns.TypeA, dns.TypeMX, dns.TypeANY, dns.TypeDS} {
				q := question(t, name, typ)
				a.Answer(buf, d, q)
				if n := testing.AllocsPerRun(100, func() { a.Answer(buf, d, q) }); n != 0 {
					t.Errorf("%s %s: %v allocations", name, typ, n)
				}
			}
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(sample, []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x01z\x04test\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, data string, packet []byte) {
		var m testbin.Memory
		w := cdb.NewWriter(&m)
		if _, err := tinydata.Compile(strings.NewReader(data), w, 1, tinydata.Watch{}); err != nil || w.Finish() != nil {
			return
		}
		d, err := NewData(m.B, nil, zindex.Identity{})
		if err != nil {
			return
		}
		p := &fuzzProgram{d: d}
		resp := content.Responder{Program: p}
		var q content.Question
		msg, _ := resp.Respond(nil, packet, &q, &content.Peer{}, false, content.Time{TAI: 1 << 62})
		if msg == nil {
			return
		}
		if packet[2]&0x80 != 0 {
			t.Fatal("answered an answer")
		}
		if len(msg) > dns.EDNSUDPSize {
			t.Fatalf("%d bytes", len(msg))
		}
		text(t, msg)
	})
}

// FuzzIndex damages an index behind its header, whose checksum Open looks at:
// a question may panic, as the server expects of faults in the data (package
// server), but it comes to an end and no answer is longer than allowed.
func FuzzIndex(f *testing.F) {
	text := sign(f, "%in:127\n"+sample+"+l.z.test:192.0.2.1:::in\n+x.t.z.test:192.0.2.1:0:4100000000000000\n&g.z.test::ns.z.test:60::in\n", "z.test", bySignNSEC3, dnssec.NSEC3Params{})
	var m testbin.Memory
	w := cdb.NewWriter(&m)
	if _, err := tinydata.Compile(strings.NewReader(text), w, 1, tinydata.Watch{}); err != nil || w.Finish() != nil {
		f.Fatal(err)
	}
	id := zindex.Identity{Size: uint64(len(m.B))}
	good, err := zindex.Build(m.B, id)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(200), []byte{1, 2, 3, 4}, "www.z.test", uint16(1))
	f.Add(uint32(5000), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "x.nx.z.test", uint16(1))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, name string, typ uint16) {
		const header = 128
		idx := bytes.Clone(good)
		for i, c := range change {
			idx[header+(int(at)+i)%(len(idx)-header)] ^= c
		}
		d, err := NewData(m.B, idx, id)
		if err != nil {
			return
		}
		n, err := dnsname.ParseDot(name)
		if err != nil {
			return
		}
		var a Answerer
		q := question(t, "z.test", dns.Type(typ))
		q.QName, q.Name, q.DO = []byte(n), dnsname.Lower([]byte(n)), true
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(runtime.Error); !ok {
					panic(r)
				}
			}
		}()
		if msg, _ := a.Answer(nil, d, q); len(msg) > q.Limit {
			t.Fatalf("%d bytes", len(msg))
		}
	})
}

// Each single byte of an index that is wrong, likewise.
func TestDamagedIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	d := compile(t, sign(t, "%in:127\n"+sample+"+l.z.test:192.0.2.1:::in\n&g.z.test::ns.z.test:60::in\n", "z.test", bySignNSEC, dnssec.NSEC3Params{}))
	good, err := zindex.Build(d.CDB(), zindex.Identity{Size: uint64(len(d.CDB()))})
	if err != nil {
		t.Fatal(err)
	}
	var a Answerer
	for range 10000 {
		idx := bytes.Clone(good)
		for range 1 + r.IntN(4) {
			idx[128+r.IntN(len(idx)-128)] ^= byte(1 << r.IntN(8))
		}
		bad, err := NewData(d.CDB(), idx, zindex.Identity{})
		if err != nil {
			continue
		}
		func() {
			defer func() {
				if x := recover(); x != nil {
					if _, ok := x.(runtime.Error); !ok {
						panic(x)
					}
				}
			}()
			q := question(t, randomName(r), dns.TypeA)
			q.DO = r.IntN(2) == 0
			if msg, _ := a.Answer(nil, bad, q); len(msg) > q.Limit {
				t.Errorf("%d bytes", len(msg))
			}
		}()
	}
}

type fuzzProgram struct {
	a Answerer
	d *Data
}

func (p *fuzzProgram) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	return p.a.Answer(dst, p.d, q)
}

func TestMain(m *testing.M) { os.Exit(m.Run()) }

// Locations: the longest prefix decides, of either form and family; records
// for others do not exist, and the answer says that it is located.
func TestLocations(t *testing.T) {
	d := compile(t, `%aa:10
%bb:10.1
%cc:[10.1.128.0]/17
%dd:[2001:db8::]/32
%ee:[2001:db8:1::]/48
%ff
.z.test:192.0.2.1:a
+w.z.test:192.0.2.10:::aa
+w.z.test:192.0.2.11:::bb
+w.z.test:192.0.2.12:::cc
+w.z.test:192.0.2.13:::dd
+w.z.test:192.0.2.14:::ee
+w.z.test:192.0.2.15:::ff
+only.z.test:192.0.2.16:::aa
`)
	for _, x := range []struct {
		ip    string
		want  byte
		scope uint8
	}{
		{"10.2.3.4", 10, 17}, {"10.1.3.4", 11, 17}, {"10.1.200.4", 12, 17}, {"10.1.127.255", 11, 17}, {"192.0.2.1", 15, 17},
		{"2001:db8:2::1", 13, 48}, {"2001:db8:1::1", 14, 48}, {"2001:db9::1", 15, 48},
	} {
		var a Answerer
		q := question(t, "w.z.test", dns.TypeA)
		q.Client = content.Addr(netip.MustParseAddr(x.ip).As16())
		msg, res := a.Answer(nil, d, q)
		if s := text(t, msg); !strings.Contains(s, fmt.Sprintf("an w.z.test A [192 0 2 %d]\nns", x.want)) || res.Scope != x.scope {
			t.Errorf("%s: want %d, scope %d\n%s", x.ip, x.want, res.Scope, s)
		}
	}
	var a Answerer
	q := question(t, "only.z.test", dns.TypeA)
	if msg, _ := a.Answer(nil, d, q); !strings.HasPrefix(text(t, msg), "NXDOMAIN") {
		t.Error(text(t, msg))
	}
	q = question(t, "a.ns.z.test", dns.TypeA)
	if _, res := a.Answer(nil, d, q); res.Scope != 0 {
		t.Error("located without need")
	}
}

// An answer's scope is honest: whoever shares so many bits of the address with
// the client is in the same location (RFC 7871, section 7.2.1). Without location
// lines the answer is the same for all, whatever locations records ask for.
func TestScope(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for round := range 300 {
		var b strings.Builder
		ip4 := func() string { return fmt.Sprintf("10.%d.%d.%d", r.IntN(3), r.IntN(3), r.IntN(256)) }
		for range r.IntN(8) {
			lo := string("abc"[r.IntN(3)])
			switch r.IntN(3) {
			case 0:
				fmt.Fprintf(&b, "%%%s:%s\n", lo, strings.Join(strings.Split(ip4(), ".")[:r.IntN(5)], "."))
			case 1:
				n := r.IntN(33)
				fmt.Fprintf(&b, "%%%s:[%s]/%d\n", lo, netip.PrefixFrom(netip.MustParseAddr(ip4()), n).Masked().Addr(), n)
			default:
				n := r.IntN(129)
				a := netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::%x", r.IntN(4), r.IntN(4)))
				fmt.Fprintf(&b, "%%%s:[%s]/%d\n", lo, netip.PrefixFrom(a, n).Masked().Addr(), n)
			}
		}
		lines := b.String()
		d := compile(t, lines+".z.test:192.0.2.1:a\n+w.z.test:192.0.2.2:::a\n+w.z.test:192.0.2.3:::b\n")
		for range 40 {
			ip := netip.MustParseAddr(ip4())
			if r.IntN(3) == 0 {
				ip = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::%x", r.IntN(5), r.IntN(5)))
			}
			client := content.Addr(ip.As16())
			loc, scope, err := d.Location(&client)
			if err != nil || lines == "" && scope != 0 || int(scope) > ip.BitLen() {
				t.Fatalf("%s: scope %d, %v\n%s", ip, scope, err, lines)
			}
			skip := 128 - ip.BitLen() + int(scope)
			for range 20 {
				other := client
				for bit := skip; bit < 128; bit++ {
					if r.IntN(2) == 0 {
						other[bit/8] ^= 0x80 >> (bit % 8)
					}
				}
				if l, _, _ := d.Location(&other); l != loc {
					t.Fatalf("round %d: %s is in %q with scope %d, but %s is in %q\n%s", round, ip, loc, scope, netip.AddrFrom16(other), l, lines)
				}
			}
		}
	}
	d := compile(t, ".z.test:192.0.2.1:a\n+w.z.test:192.0.2.2:::ex\n")
	var a Answerer
	if _, res := a.Answer(nil, d, question(t, "w.z.test", dns.TypeA)); res.RCode != dns.RCodeNXDomain || res.Scope != 0 {
		t.Errorf("without location lines: %+v", res)
	}
}

// What a client can not see now is not there: neither the name, nor for
// wildcards and for the names above it (RFC 4592, section 2.2.2; RFC 8020).
func TestInvisibleNames(t *testing.T) {
	const now = 1 << 62
	d := compile(t, `%in:10
.z.test:192.0.2.1:a
+host.inside.z.test:192.0.2.1::`+`:in
+a.deep.mixed.z.test:192.0.2.2:::in
+b.mixed.z.test:192.0.2.3:60:4100000000000000
+*.z.test:192.0.2.4
+x.w.z.test:192.0.2.5:::in
+*.w.z.test:192.0.2.6
+gone.t.z.test:192.0.2.7:0:3fffffffffffffff
+last.t.z.test:192.0.2.8:0:4000000000000000
+born.u.z.test:192.0.2.9:60:3fffffffffffffff
+later.u.z.test:192.0.2.9:60:4000000000000000
+gone.u.z.test:192.0.2.9:0:3fffffffffffffff
+unborn.v.z.test:192.0.2.10:60:4000000000000000
:sub.y.z.test:16:\004text:::in
Zin.test:a:b:1:2:3:4:5::`+`:in
&in.test::ns.z.test::`+`:in
+*.locs.z.test:192.0.2.11:::in
.q.test:192.0.2.1:a
+m.n.o.p.q.test:192.0.2.12:::in
+x.*.e.z.test:192.0.2.13
+x.*.f.z.test:192.0.2.14:::in
`)
	const in, out = "10.1.1.1", "192.0.2.1"
	for _, x := range []struct {
		name, from string
		want       string
	}{
		{"host.inside.z.test", in, "[192 0 2 1]"}, {"inside.z.test", in, "NODATA"}, {"x.inside.z.test", in, "NXDOMAIN"},
		{"x.host.inside.z.test", in, "NXDOMAIN"},
		{"host.inside.z.test", out, "[192 0 2 4]"}, {"inside.z.test", out, "[192 0 2 4]"}, {"x.inside.z.test", out, "[192 0 2 4]"},
		{"x.host.inside.z.test", out, "[192 0 2 4]"},
		{"mixed.z.test", in, "NODATA"}, {"b.mixed.z.test", in, "NXDOMAIN"}, {"x.deep.mixed.z.test", in, "NXDOMAIN"},
		{"mixed.z.test", out, "[192 0 2 4]"}, {"b.mixed.z.test", out, "[192 0 2 4]"}, {"x.deep.mixed.z.test", out, "[192 0 2 4]"},
		{"y.x.w.z.test", in, "NXDOMAIN"}, {"y.x.w.z.test", out, "[192 0 2 6]"}, {"x.w.z.test", out, "[192 0 2 6]"},
		{"t.z.test", out, "NODATA"}, {"gone.t.z.test", out, "NXDOMAIN"}, {"last.t.z.test", out, "[192 0 2 8]"},
		{"u.z.test", out, "NODATA"}, {"v.z.test", out, "[192 0 2 4]"}, {"unborn.v.z.test", out, "[192 0 2 4]"},
		{"sub.y.z.test", in, "NODATA"}, {"sub.y.z.test", out, "[192 0 2 4]"}, {"y.z.test", out, "[192 0 2 4]"},
		{"k.locs.z.test", in, "[192 0 2 11]"}, {"k.locs.z.test", out, "[192 0 2 4]"}, {"*.locs.z.test", out, "[192 0 2 4]"},
		{"in.test", in, "NODATA"}, {"in.test", out, "REFUSED"},
		{"p.q.test", in, "NODATA"}, {"n.o.p.q.test", in, "NODATA"}, {"p.q.test", out, "NXDOMAIN"}, {"n.o.p.q.test", out, "NXDOMAIN"},
		{"y.e.z.test", out, "NODATA"}, {"y.x.e.z.test", out, "NODATA"}, {"y.*.e.z.test", out, "NXDOMAIN"}, {"x.*.e.z.test", out, "[192 0 2 13]"},
		{"y.f.z.test", in, "NODATA"}, {"y.f.z.test", out, "[192 0 2 4]"},
		{"x.o.p.q.test", out, "NXDOMAIN"}, {"m.n.o.p.q.test", out, "NXDOMAIN"}, {"l.m.n.o.p.q.test", out, "NXDOMAIN"},
	} {
		var a Answerer
		q := question(t, x.name, dns.TypeA)
		q.Now, q.Client = now, content.Addr(netip.MustParseAddr(x.from).As16())
		msg, _ := a.Answer(nil, d, q)
		s := text(t, msg)
		got := strings.Fields(s)[0]
		if i := strings.Index(s, "\nan "); i >= 0 {
			got = s[strings.Index(s, "["):][:strings.Index(s[strings.Index(s, "["):], "]")+1]
		} else if got == "NOERROR" {
			got = "NODATA"
		}
		if got != x.want {
			t.Errorf("%s from %s: want %s\n%s", x.name, x.from, x.want, s)
		}
	}
}

// An answer is the one that data without the invisible records would give, and
// with the visible ones as always visible.
func TestOnlyTheVisibleCounts(t *testing.T) {
	const now = 1<<62 + 1000
	r := rand.New(rand.NewPCG(9, 10))
	var a, b Answerer
	b.fast.off = true
	differ, maybe := 0, 0
	for range 400 {
		var all, some strings.Builder
		client, loc := "127.0.0.1", ""
		if r.IntN(3) > 0 {
			loc = []string{"in", "ex"}[r.IntN(2)]
			fmt.Fprintf(&all, "%%%s:127\n", loc)
		}
		add := func(line string, dynamic bool) {
			lo, ttl, when := "", []string{"5", "60"}[r.IntN(2)], ""
			visible := true
			if dynamic {
				if lo = []string{"", "in", "ex", "xx"}[r.IntN(4)]; lo != "" && lo != loc {
					visible = false
				}
				as := ttl
				switch at := uint64(now - 2 + r.IntN(5)); r.IntN(4) {
				case 0: // dies
					visible = visible && at >= now
					ttl, as, when = "0", "2", fmt.Sprintf("%016x", at)
				case 1: // is born
					visible = visible && at < now
					when = fmt.Sprintf("%016x", at)
				}
				fmt.Fprintf(&all, "%s:%s:%s:%s\n", line, ttl, when, lo)
				ttl = as
			} else {
				fmt.Fprintf(&all, "%s:%s\n", line, ttl)
			}
			if visible {
				fmt.Fprintf(&some, "%s:%s\n", line, ttl)
			}
		}
		apex := r.IntN(5) == 0
		add("Zz.test:a.ns.z.test:h.z.test:1:2:3:4:60", apex)
		add("&z.test:192.0.2.1:a", apex)
		share := r.IntN(4)
		for range r.IntN(25) {
			n, dynamic := randomName(r), r.IntN(4) <= share
			switch r.IntN(10) {
			case 0:
				add(fmt.Sprintf("&%s:192.0.2.%d:%s", n, r.IntN(9), randomName(r)), dynamic)
			case 1:
				add(fmt.Sprintf("C%s:%s", n, randomName(r)), dynamic)
			case 2:
				add(fmt.Sprintf("Z%s:a.z.test:b.z.test:1:2:3:4:5", n), dynamic)
				add(fmt.Sprintf("&%s::ns.z.test", n), dynamic)
			case 3:
				add(fmt.Sprintf("'%s:text", n), dynamic)
			case 4:
				add(fmt.Sprintf(":%s:39:\\004test\\000", n), dynamic)
			default:
				add(fmt.Sprintf("+%s:192.0.2.%d", n, r.IntN(9)), dynamic)
			}
		}
		d, want := compile(t, all.String()), compile(t, some.String())
		if n, ok := d.Find([]byte{0}, zindex.Hash(d.Seed(), []byte{0})); ok && n.Has(zindex.FlagMaybe) {
			maybe++
		}
		for range 200 {
			q := question(t, randomName(r), []dns.Type{dns.TypeA, dns.TypeTXT, dns.TypeNS, dns.TypeDS, dns.TypeANY}[r.IntN(5)])
			q.Now, q.Client, q.TCP, q.Limit = now, content.Addr(netip.MustParseAddr(client).As16()), true, dns.MaxMessage
			got, _ := a.Answer(nil, d, q)
			exp, _ := b.Answer(nil, want, q)
			if !sameSet(got, exp) {
				t.Fatalf("%s %s, client in %q:\n%s\ngot  %swant %s", dnsname.AppendText(nil, q.Name), q.Type, loc, all.String(), text(t, got), text(t, exp))
			}
			if all.Len() != some.Len() {
				differ++
			}
		}
	}
	if differ < 10000 || maybe < 4 {
		t.Errorf("%d questions where something is invisible, %d files without any record for all", differ, maybe)
	}
}

// A name with more locations below it than the index lists exists for all.
func TestManyLocations(t *testing.T) {
	for _, n := range []int{1024, 1025} {
		var b strings.Builder
		b.WriteString("%ex:127\n.z.test:192.0.2.1:a\n")
		for i := range n {
			fmt.Fprintf(&b, "+h%d.ent.many.z.test:192.0.2.2:::%c%c\n", i, 'A'+i/50, 'A'+i%50)
		}
		d := compile(t, b.String())
		for _, name := range []string{"many.z.test", "ent.many.z.test", "x.ent.many.z.test"} {
			var a Answerer
			_, res := a.Answer(nil, d, question(t, name, dns.TypeA))
			want := dns.RCodeNXDomain
			if n > 1024 && name[0] != 'x' {
				want = dns.RCodeSuccess
			}
			if res.RCode != want {
				t.Errorf("%d locations, %s: %s", n, name, res.RCode)
			}
		}
		q := question(t, "many.z.test", dns.TypeA)
		var a Answerer
		d = compile(t, strings.Replace(b.String(), "%ex", "%HB", 1))
		if _, res := a.Answer(nil, d, q); res.RCode != dns.RCodeSuccess || n == 1024 && res.Scope != 8 {
			t.Errorf("%d locations, from one of them: %+v", n, res)
		}
	}
}

// Timestamps: with ttl 0 a time to die, whose distance is the ttl, at least 2
// and at most 3600 seconds; else a time to be born (compat: djbdns.md section
// 5.2). At the very second a record has not died, and is not born.
func TestTimestamps(t *testing.T) {
	const now = 1<<62 + 1000
	for _, x := range []struct {
		ttl     uint32
		at      uint64
		want    uint32
		visible bool
	}{
		{0, 0, 0, true}, {60, 0, 60, true}, {1<<32 - 1, 0, 1<<32 - 1, true},
		{0, now - 1, 0, false}, {0, now, 2, true}, {0, now + 1, 2, true}, {0, now + 2, 2, true}, {0, now + 3, 3, true},
		{0, now + 3599, 3599, true}, {0, now + 3600, 3600, true}, {0, now + 3601, 3600, true}, {0, 1<<64 - 1, 3600, true}, {0, 1, 0, false},
		{60, now - 1, 60, true}, {60, now, 60, false}, {60, now + 1, 60, false}, {60, 1<<64 - 1, 60, false}, {60, 1, 60, true},
	} {
		ttl, visible := timed(&zindex.Record{TTL: x.ttl, Time: x.at}, now)
		if visible != x.visible || visible && ttl != x.want {
			t.Errorf("ttl %d at %d: %d %v", x.ttl, int64(x.at-now), ttl, visible)
		}
	}
	// In an answer: the whole set gets the smallest, and the zone goes with its SOA.
	d := compile(t, fmt.Sprintf(`Zz.test:a.ns.z.test:h.z.test:1:2:3:4:60:0:%016x
&z.test:192.0.2.1:a
+w.z.test:192.0.2.2:0:%016x
+w.z.test:192.0.2.3:600
+w.z.test:192.0.2.4:5:%016x
+w.z.test:192.0.2.5:5:%016x
`, now+50, now+30, now, now+40))
	for _, x := range []struct {
		at, ttl uint64
		answers int
		rcode   dns.RCode
	}{{now, 30, 2, 0}, {now + 1, 5, 3, 0}, {now + 30, 2, 3, 0}, {now + 31, 5, 2, 0}, {now + 41, 5, 3, 0}, {now + 50, 5, 3, 0}, {now + 51, 0, 0, dns.RCodeSuccess}} {
		var a Answerer
		q := question(t, "w.z.test", dns.TypeA)
		q.Now = x.at
		msg, res := a.Answer(nil, d, q)
		_, rs := records(t, msg)
		n := 0
		for _, r := range rs {
			if r.sec == wire.Answer {
				n++
				if uint64(r.ttl) != x.ttl {
					t.Errorf("after %d s: ttl %d, want %d", x.at-now, r.ttl, x.ttl)
				}
			}
		}
		if n != x.answers || res.RCode != x.rcode {
			t.Errorf("after %d s: %d answers, %s\n%s", x.at-now, n, res.RCode, text(t, msg))
		}
	}
}
