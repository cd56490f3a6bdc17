package axfr

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"bulkhead/internal/auth"
	"bulkhead/internal/axfrin"
	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/testbin"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"
)

func compile(t testing.TB, data string) []byte {
	t.Helper()
	var m testbin.Memory
	w := cdb.NewWriter(&m)
	if _, err := tinydata.Compile(strings.NewReader(data), w, 1, tinydata.Watch{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return m.B
}

func name(t testing.TB, s string) dnsname.Name {
	n, err := dnsname.ParseDot(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// transfer gives the framed messages of a whole transfer.
func transfer(t testing.TB, db []byte, zone string, view bool) []byte {
	t.Helper()
	z := &Zone{DB: db, Name: []byte(name(t, zone).Lower()), Now: 1<<62 + 10 + 1_700_000_000}
	if view {
		d, err := auth.NewData(db, nil, zindex.Identity{})
		if err != nil {
			t.Fatal(err)
		}
		z.View = d.View
	}
	soa, ok, err := z.SOA()
	if err != nil || !ok {
		t.Fatalf("no SOA of %s: %v", zone, err)
	}
	x, err := New(z, soa, Header{ID: 4711, Bits: wire.BitQR | wire.BitAA, QName: []byte(name(t, zone)), Type: dns.TypeAXFR, Class: dns.ClassIN})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for more := true; more; {
		if out, more, err = x.Next(out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// messages splits frames.
func messages(t testing.TB, b []byte) (out [][]byte) {
	for len(b) > 0 {
		n := 2 + int(binary.BigEndian.Uint16(b))
		if len(b) < n {
			t.Fatal("a frame is cut")
		}
		out = append(out, b[2:n])
		b = b[n:]
	}
	return out
}

// records gives the records in presentation form, read by another library.
func records(t testing.TB, b []byte) (out []string) {
	for i, m := range messages(t, b) {
		var p mdns.Msg
		if err := p.Unpack(m); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if p.Id != 4711 || !p.Response || !p.Authoritative || p.Rcode != 0 || len(p.Ns)+len(p.Extra) > 0 {
			t.Fatalf("message %d: header %v", i, p.MsgHdr)
		}
		if want := 0; i > 0 && len(p.Question) != want || i == 0 && len(p.Question) != 1 {
			t.Fatalf("message %d has %d questions", i, len(p.Question))
		}
		for _, r := range p.Answer {
			out = append(out, strings.ReplaceAll(r.String(), "\t", " "))
		}
	}
	return out
}

const sample = `.example:192.0.2.1:a:259200
&example:192.0.2.2:ns.child.example
&child.example:192.0.2.3:a
&child.example:192.0.2.4:ns.other.child.example
&signed.example::ns.elsewhere
:signed.example:43:\001\002\003
:signed.example:16:x
+www.example:192.0.2.5:300
+WWW.child.example:192.0.2.6
+a.www.child.example:192.0.2.6
Zsub.example:a.ns.sub.example:host.sub.example
&sub.example:192.0.2.7:a
@sub.example:192.0.2.8:mx
@*.wild.example::mail.example:10
Calias.example:Www.Example
+notexample:192.0.2.9
+xexample.com:192.0.2.9
+dying.example:192.0.2.10:0:4000000075b50000
+dead.example:192.0.2.10:0:4000000035b50000
+unborn.example:192.0.2.10:10:4000000075b50000
+located.example:192.0.2.11:10::ab
%xx:127.0.0.1
`

func TestWhatBelongsToAZone(t *testing.T) {
	want := []string{
		"example. 2560 IN SOA a.ns.example. hostmaster.example. 1 16384 2048 1048576 2560",
		"example. 259200 IN NS a.ns.example.",
		"a.ns.example. 259200 IN A 192.0.2.1",
		"example. 259200 IN NS ns.child.example.",
		"ns.child.example. 259200 IN A 192.0.2.2", // glue, though only the zone's own NS names it
		"child.example. 259200 IN NS a.ns.child.example.",
		"a.ns.child.example. 259200 IN A 192.0.2.3",
		"child.example. 259200 IN NS ns.other.child.example.",
		"ns.other.child.example. 259200 IN A 192.0.2.4",
		"signed.example. 259200 IN NS ns.elsewhere.",
		"signed.example. 86400 IN DS ",
		"www.example. 300 IN A 192.0.2.5",
		"sub.example. 259200 IN NS a.ns.sub.example.",
		"a.ns.sub.example. 259200 IN A 192.0.2.7",
		"*.wild.example. 86400 IN MX 10 mail.example.",
		"alias.example. 86400 IN CNAME Www.Example.",
		"dying.example. 2 IN A 192.0.2.10",
		"example. 2560 IN SOA a.ns.example. hostmaster.example. 1 16384 2048 1048576 2560",
	}
	db := compile(t, sample)
	for _, view := range []bool{false, true} {
		got := records(t, transfer(t, db, "EXAMPLE", view))
		for i := range got {
			if strings.Contains(got[i], " DS ") {
				got[i] = "signed.example. 86400 IN DS " // three bytes of nonsense
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("with index %v:\n%s\nwant\n%s", view, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	got := records(t, transfer(t, db, "sub.example", true))
	if len(got) != 6 {
		t.Errorf("the zone below:\n%s", strings.Join(got, "\n"))
	}
}

// Where parent and child stand in the same data, each record at the cut goes
// with its own zone only.
func TestCutInTheSameData(t *testing.T) {
	const (
		sig    = `\010\002\000\000\000\020\000\000\000\020\000\000\000\020\000\007` // algorithm to key tag
		parent = `\007example\000`
		child  = `\003sub\007example\000`
	)
	data := `.example:192.0.2.1:a
.sub.example:192.0.2.2:a
:sub.example:43:\000\007\010\002abcd
:sub.example:46:\000\053` + sig + parent + `s
:sub.example:47:\001x\007example\000\000\001\040
:sub.example:46:\000\057` + sig + parent + `s
:sub.example:47:\001y\003sub\007example\000\000\001\042
:sub.example:46:\000\057` + sig + child + `s
:sub.example:46:\000\002` + sig + child + `s
:*.sub.example:43:\000\007\010\002abcd
`
	for _, db := range [][]byte{compile(t, data), compile(t, strings.SplitN(data, "\n", 2)[1])} {
		for _, view := range []bool{false, true} {
			var got []string
			for _, s := range records(t, transfer(t, db, "sub.example", view)) {
				f := strings.Fields(s)
				got = append(got, f[0]+" "+strings.Join(f[3:min(len(f), 5)], " "))
			}
			want := []string{"sub.example. SOA a.ns.sub.example.", "sub.example. NS a.ns.sub.example.", "a.ns.sub.example. A 192.0.2.2",
				"sub.example. NSEC y.sub.example.", "sub.example. RRSIG NSEC", "sub.example. RRSIG NS", "*.sub.example. DS 7",
				"sub.example. SOA a.ns.sub.example."}
			if !slices.Equal(got, want) {
				t.Errorf("with index %v:\n%s\nwant\n%s", view, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	got := strings.Join(records(t, transfer(t, compile(t, data), "example", true)), "\n")
	for _, s := range []string{"sub.example. 86400 IN DS ", "NSEC x.example.", "RRSIG DS ", "RRSIG NSEC "} {
		if strings.Count(got, s) != 1 {
			t.Errorf("%q is not once in the parent's transfer:\n%s", s, got)
		}
	}
}

// Zones of every size arrive whole, however the records fall into messages,
// and reading them back gives the same records.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 10, 1000, 20000} {
		var b strings.Builder
		b.WriteString("Zexample:Ns.example:h.x:77\n&example::ns.example\n")
		for range n {
			owner := fmt.Sprintf("h%x.%s", rnd.IntN(n+1), strings.Repeat("sub.", rnd.IntN(3)))
			switch rnd.IntN(6) {
			case 0:
				fmt.Fprintf(&b, "+%sexample:10.0.0.%d:%d\n", owner, rnd.IntN(256), rnd.IntN(5))
			case 1:
				fmt.Fprintf(&b, "@*.%sexample::mx%d.%sexample:%d\n", owner, rnd.IntN(9), owner, rnd.IntN(99))
			case 2:
				fmt.Fprintf(&b, "'%sexample:%s\n", owner, strings.Repeat("text ", rnd.IntN(400)))
			case 3:
				fmt.Fprintf(&b, "^%sexample:p%d.elsewhere\n", owner, rnd.IntN(9))
			case 4:
				fmt.Fprintf(&b, ":%sexample:65280:%s\n", owner, strings.Repeat(`\000\377`, rnd.IntN(300)))
			case 5:
				fmt.Fprintf(&b, "C%sexample:c.%sExample\n", owner, owner)
			}
		}
		db := compile(t, b.String())
		stream := transfer(t, db, "example", n < 1000)
		var lines []byte
		rx := axfrin.New(name(t, "example"), 4711)
		msgs := messages(t, stream)
		for i, m := range msgs {
			if i > 0 && i < len(msgs)-1 && len(m) < MaxMessage/2 {
				t.Errorf("message %d has only %d bytes", i, len(m))
			}
			done, err := rx.Message(m, func(r *tinydata.Record) (err error) {
				lines, err = tinydata.AppendLine(lines, r)
				return err
			})
			if err != nil || done != (i == len(msgs)-1) {
				t.Fatalf("message %d of %d: %v, %v", i, len(msgs), done, err)
			}
		}
		again := transfer(t, compile(t, string(lines)), "example", false)
		if !bytes.Equal(stream, again) {
			t.Errorf("%d records: another transfer after a round trip", n)
		}
	}
}

func TestLargestRecords(t *testing.T) {
	for _, n := range []int{65535 - 12 - 13 - 60, 65000} {
		db := compile(t, "Zexample:a:b:1\n:big.example:65280:"+strings.Repeat("x", n)+"\n+a.example:1.2.3.4\n")
		got := records(t, transfer(t, db, "example", false))
		if len(got) != 4 {
			t.Errorf("%d bytes: %d records", n, len(got))
		}
	}
	// one that no message can carry ends the transfer with an error, not with a lie
	db := compile(t, "Zexample:a:b:1\n:big.example:65280:"+strings.Repeat("x", 65535)+"\n")
	z := &Zone{DB: db, Name: []byte("\x07example\x00")}
	soa, _, _ := z.SOA()
	x, err := New(z, soa, Header{Type: dns.TypeAXFR, Class: dns.ClassIN, QName: []byte("\x07example\x00")})
	for more := true; more && err == nil; {
		_, more, err = x.Next(nil)
	}
	if err == nil {
		t.Error("a record of 65535 bytes was sent")
	}
}

func TestAllow(t *testing.T) {
	a, err := ParseAllow("/Heaven.AF.mil//3.2.1.in-addr.arpa/")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[string]bool{"heaven.af.mil": true, "3.2.1.in-addr.arpa": true, "af.mil": false, ".": false} {
		if a.Has([]byte(name(t, n))) != want {
			t.Errorf("%s: %v", n, !want)
		}
	}
	if none, _ := ParseAllow(""); none.Has([]byte(name(t, "."))) {
		t.Error("an empty list allows")
	}
	if !(*Allow)(nil).Has([]byte(name(t, "x"))) {
		t.Error("no list forbids")
	}
	if _, err := ParseAllow(strings.Repeat("x", 64)); err == nil {
		t.Error("a label of 64 bytes")
	}
}

// ask sends one question to a Desk and gives the answer.
func ask(t testing.TB, d *Desk, q *mdns.Msg) (*mdns.Msg, *Transfer, Refusal) {
	t.Helper()
	p, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	peer := &content.Peer{}
	now := content.Time{TAI: 1<<62 + 10 + 1_700_000_000}
	if !d.Parse(p, peer, now) {
		t.Fatal("not parsed")
	}
	out, x, why := d.Reply(nil, peer, now)
	if out == nil {
		return nil, x, why
	}
	m := new(mdns.Msg)
	if err := m.Unpack(out); err != nil {
		t.Fatal(err)
	}
	return m, x, why
}

func TestRequests(t *testing.T) {
	data, err := auth.NewData(compile(t, sample), nil, zindex.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	d := &Desk{Data: data}
	q := func(n string, typ uint16) *mdns.Msg {
		m := new(mdns.Msg)
		m.SetQuestion(mdns.Fqdn(n), typ)
		return m
	}
	if _, x, why := ask(t, d, q("example", mdns.TypeAXFR)); x == nil || why != Granted {
		t.Error("no transfer")
	}
	for _, c := range []struct {
		zone  string
		allow string
		rcode int
		why   Refusal
	}{
		{"example", "other", mdns.RcodeRefused, Forbidden}, {"example", "", mdns.RcodeRefused, Forbidden},
		{"www.example", "www.example", mdns.RcodeNotAuth, NotZone}, {"outside", "outside", mdns.RcodeNotAuth, NotZone},
		{"child.example", "child.example", mdns.RcodeNotAuth, NotZone},
	} {
		d.Allow, _ = ParseAllow(c.allow)
		m, x, why := ask(t, d, q(c.zone, mdns.TypeAXFR))
		if x != nil || why != c.why || m.Rcode != c.rcode || m.Authoritative || len(m.Question) != 1 {
			t.Errorf("%+v: %v, %v", c, why, m)
		}
	}
	d.Allow = nil
	// RFC 1995: up to date, ahead, behind, unknown
	for _, c := range []struct {
		serial int64
		full   bool
	}{{1, false}, {2, false}, {0, true}, {-1, true}, {1<<31 + 10, true}} {
		m := q("example", mdns.TypeIXFR)
		if c.serial >= 0 {
			m.Ns = []mdns.RR{&mdns.SOA{Hdr: mdns.RR_Header{Name: "example.", Rrtype: mdns.TypeSOA, Class: 1}, Ns: "a.", Mbox: "b.", Serial: uint32(c.serial)}}
		}
		r, x, _ := ask(t, d, m)
		if (x != nil) != c.full {
			t.Errorf("serial %d: transfer %v", c.serial, x != nil)
		}
		if !c.full && (len(r.Answer) != 1 || r.Answer[0].Header().Rrtype != mdns.TypeSOA) {
			t.Errorf("serial %d: %v", c.serial, r)
		}
	}
	if m, _, why := ask(t, d, q("outside", mdns.TypeA)); m.Rcode != mdns.RcodeRefused || why != OutsideZones {
		t.Errorf("outside: %v", m)
	}
	d.Data = nil
	if m, _, _ := ask(t, d, q("example", mdns.TypeA)); m.Rcode != mdns.RcodeServerFailure {
		t.Errorf("without data: %v", m)
	}
}

func TestNoAllocations(t *testing.T) {
	var b strings.Builder
	b.WriteString(".example:192.0.2.1:a\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "+h%d.example:10.0.0.1\n", i)
	}
	db := compile(t, b.String())
	z := &Zone{DB: db, Name: []byte("\x07example\x00")}
	soa, _, _ := z.SOA()
	x, err := New(z, soa, Header{Type: dns.TypeAXFR, Class: dns.ClassIN, QName: []byte("\x07example\x00")})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 2+2*MaxMessage)
	if n := testing.AllocsPerRun(5, func() {
		if _, more, err := x.Next(buf); !more || err != nil {
			t.Fatal(more, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message of a transfer", n)
	}
	data, err := auth.NewData(db, nil, zindex.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	d := &Desk{Data: data}
	m := new(mdns.Msg)
	m.SetQuestion("h77.example.", mdns.TypeA)
	p, _ := m.Pack()
	peer, now := &content.Peer{}, content.Time{TAI: 1 << 62}
	if n := testing.AllocsPerRun(100, func() {
		if !d.Parse(p, peer, now) {
			t.Fatal("not parsed")
		}
		d.AppendLog(buf[:0], peer)
		if out, _, _ := d.Reply(buf[:0], peer, now); len(out) < 20 {
			t.Fatal("no answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations for an answer", n)
	}
}

// FuzzTransfer gives a transfer arbitrary data.cdb records: it ends, with an
// error or with messages that another library can read.
func FuzzTransfer(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x00"), []byte("\x00\x01=\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04"))
	f.Add([]byte("\x01c\x07example\x00"), []byte("\x00\x02=\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01n\x01c\x07example\x00"))
	f.Fuzz(func(t *testing.T, key, data []byte) {
		var m testbin.Memory
		w := cdb.NewWriter(&m)
		zone := []byte("\x07example\x00")
		w.Add(zone, []byte("\x00\x06=\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05"))
		w.Add(key, data)
		w.Add(key, data)
		if w.Finish() != nil {
			return
		}
		z := &Zone{DB: m.B, Name: zone, Now: 1 << 62}
		soa, ok, err := z.SOA()
		if err != nil || !ok {
			return
		}
		x, err := New(z, soa, Header{Type: dns.TypeAXFR, Class: dns.ClassIN, QName: zone})
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			out, more, err := x.Next(nil)
			if err != nil {
				return
			}
			if n > 10 {
				t.Fatal("no end")
			}
			rx := axfrin.New("\x07example\x00", 0)
			if n == 0 {
				rx.Message(out[2:], func(*tinydata.Record) error { return nil })
			}
			if !more {
				return
			}
		}
	})
}
