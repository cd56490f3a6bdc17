package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

func name(s string) dnsname.Name {
	n, err := dnsname.ParseDot(s)
	if err != nil {
		panic(err)
	}
	return n
}

type reply struct {
	rcode   dns.RCode
	records []string // "section owner type data"; data is a name or an address
	took    time.Duration
	err     error
	raw     []byte
}

func (r reply) message(q Question) []byte {
	if r.raw != nil {
		return r.raw
	}
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, 0, wire.BitQR|uint16(r.rcode))
	b.Question([]byte(q.Name), q.Type, dns.ClassIN)
	for _, l := range r.records {
		f := strings.Fields(l)
		sec := map[string]wire.Section{"an": wire.Answer, "ns": wire.Authority, "ar": wire.Additional}[f[0]]
		t, _ := dns.ParseType(f[2])
		var data []byte
		switch t {
		case dns.TypeA, dns.TypeAAAA:
			data = netip.MustParseAddr(f[3]).AsSlice()
		case dns.TypeSOA:
			data = append([]byte{0, 0}, make([]byte, 20)...)
		default:
			data = []byte(name(f[3]))
		}
		b.RR(sec, []byte(name(f[1])), t, dns.ClassIN, 300, data)
	}
	return b.Finish()
}

// world answers by "ip name type".
func run(t *testing.T, tr *Trace, world func(q Question) reply, typ dns.Type, n string, roots ...string) []string {
	t.Helper()
	var out []string
	tr.Emit = func(l string) { out = append(out, l) }
	tr.ErrText = func(err error) string { return err.Error() }
	tr.Ask = func(q Question) ([]byte, time.Duration, error) {
		r := world(q)
		if r.err != nil {
			return nil, r.took, r.err
		}
		return r.message(q), r.took, nil
	}
	var ips []netip.Addr
	for _, r := range roots {
		ips = append(ips, netip.MustParseAddr(r))
	}
	tr.Run(typ, name(n), ips)
	return out
}

var errTimeout = errors.New("timed out")

// zoo has a slow, a lame, a dead and an IPv6 server on the way to www.x.test.
func zoo(q Question) reply {
	switch q.IP.String() {
	case "192.0.2.1": // root
		return reply{records: []string{"ns test NS a.test", "ns test NS b.test", "ar a.test A 192.0.2.2",
			"ar b.test A 192.0.2.3", "ar a.test AAAA 2001:db8::2"}}
	case "192.0.2.2", "2001:db8::2":
		if q.Name == name("a.test") {
			return reply{records: []string{"an a.test A 192.0.2.2"}}
		}
		return reply{took: 1500 * time.Millisecond, records: []string{"ns x.test NS ns.x.test", "ar ns.x.test A 192.0.2.4"}}
	case "192.0.2.3":
		return reply{records: []string{"ns . NS elsewhere"}}
	case "192.0.2.4":
		if q.Name == name("www.x.test") {
			return reply{records: []string{"an www.x.test A 192.0.2.99"}}
		}
		return reply{rcode: dns.RCodeNXDomain}
	}
	return reply{err: errTimeout}
}

func TestEvents(t *testing.T) {
	got := strings.Join(run(t, &Trace{}, zoo, dns.TypeA, "WWW.x.test", "192.0.2.1"), "\n")
	for _, want := range []string{
		"0:.:.:start:NS:.:.\n0:.:.:start:A:.:192.0.2.1\n1:www.x.test:.:192.0.2.1:tx\n",
		"1:www.x.test:test:192.0.2.2:tx\n1:www.x.test:test:192.0.2.2:ALERT:took more than 1 second\n" +
			"1:www.x.test:test:192.0.2.2:NS:x.test:ns.x.test\n",
		"1:www.x.test:test:192.0.2.3:ALERT:lame server; refers to .",
		"1:www.x.test:x.test:192.0.2.4:answer:www.x.test 300 A 192.0.2.99",
		"1:ns.x.test:x.test:192.0.2.4:NXDOMAIN",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing:\n%s\nin:\n%s", want, got)
		}
	}
	if strings.Contains(got, "AAAA") || strings.Contains(got, "28:") {
		t.Error("IPv6 without -6")
	}
}

func TestIPv6(t *testing.T) {
	got := strings.Join(run(t, &Trace{IPv6: true}, zoo, dns.TypeA, "www.x.test", "192.0.2.1"), "\n")
	for _, want := range []string{
		"1:www.x.test:.:192.0.2.1:AAAA:a.test:20010db8000000000000000000000002\n",
		"1:www.x.test:test:20010db8000000000000000000000002:tx\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing:\n%s\nin:\n%s", want, got)
		}
	}
}

// A server that makes up new zones and servers for ever costs MaxTasks
// questions and no more.
func TestEndlessDelegations(t *testing.T) {
	asked := 0
	out := run(t, &Trace{}, func(q Question) reply {
		asked++
		// every answer names eight new servers of the same zone
		rec := []string{"an " + q.Name.Text() + " A 192.0.2.9"}
		for i := range 8 {
			z := fmt.Sprintf("n%d-%d.test", asked, i)
			rec = append(rec, "ns test NS "+z, fmt.Sprintf("ar %s A 10.%d.%d.%d", z, asked>>8, asked&255, i))
		}
		return reply{records: rec}
	}, dns.TypeA, "a.www.x.test", "192.0.2.1")
	if asked > MaxTasks {
		t.Fatalf("%d questions", asked)
	}
	if !strings.Contains(out[len(out)-1], "the rest is not asked") {
		t.Fatalf("the end is not told: %s", out[len(out)-1])
	}
}

func TestCNAMELoopEnds(t *testing.T) {
	asked := 0
	run(t, &Trace{}, func(q Question) reply {
		asked++
		other := "a.test"
		if q.Name == name("a.test") {
			other = "b.test"
		}
		return reply{records: []string{"an " + q.Name.Text() + " CNAME " + other}}
	}, dns.TypeA, "a.test", "192.0.2.1")
	if asked != 2 {
		t.Fatalf("%d questions", asked)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x80\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\x01a\x00\x00\x05\x00\x01\x00\x00\x00\x01\x00\x03\x01b\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		n := 0
		tr := &Trace{IPv6: true, DNSSEC: true}
		run(t, tr, func(Question) reply {
			n++
			return reply{raw: append(msg[:len(msg):len(msg)], byte(n))[:len(msg)]}
		}, dns.TypeA, "a", "192.0.2.1")
		if n > MaxTasks {
			t.Fatal(n)
		}
		tr.Check(0)
		tr.SVG("fuzz")
	})
}

func TestSort(t *testing.T) {
	in := "1:a.test:.:192.0.2.1:tx\n1:a.test:test:192.0.2.2:answer:a.test 300 A 192.0.2.9\n" +
		"1:a.test:test:192.0.2.2:answer:a.test 300 A 192.0.2.9\n1:a.test:.:192.0.2.1:NS:test:ns.test\n1:a.test:.:192.0.2.1:see:test\n"
	want := "\n1 a._\bt_\be_\bs_\bt 192.0.2.2        300 A 192.0.2.9\n1 a.test 192.0.2.1        see test\n\nglue test 192.0.2.1        NS ns.test\n"
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := Sort(strings.NewReader(in), w); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	if out.String() != want {
		t.Fatalf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestPictureShowsWhatIsWrong(t *testing.T) {
	tr := &Trace{IPv6: true}
	run(t, tr, zoo, dns.TypeA, "www.x.test", "192.0.2.1", "192.0.2.250")
	svg := tr.SVG("delegations to <www.x.test>")
	for _, want := range []string{"&lt;www.x.test&gt;", "LAME", "timed out", "1.5s", colourSlow, ">x.test<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in the picture", want)
		}
	}
	if f := os.Getenv("SVG"); f != "" { // to look at it: SVG=/tmp/trace.svg go test ./internal/trace
		os.WriteFile(f, []byte(svg), 0o644)
	}
}

// The root is never asked for anything but its keys, and without a question
// there is nothing to tell.
func TestNothingToAsk(t *testing.T) {
	world := func(Question) reply { t.Error("a question"); return reply{} }
	if out := run(t, &Trace{}, world, dns.TypeNS, ".", "192.0.2.1"); len(out) != 0 {
		t.Errorf("%q", out)
	}
	if out := run(t, &Trace{}, world, dns.TypeA, "www.test"); len(out) != 0 {
		t.Errorf("%q", out)
	}
}

// How long a failure took is not told.
func TestSlowFailure(t *testing.T) {
	world := func(Question) reply { return reply{took: time.Minute, err: errors.New("dead")} }
	out := run(t, &Trace{}, world, dns.TypeA, "www.test", "192.0.2.1")
	want := "1:www.test:.:192.0.2.1:tx\n1:www.test:.:192.0.2.1:ALERT:query failed; dead"
	if got := strings.Join(out[2:], "\n"); got != want {
		t.Errorf("%q", got)
	}
}
