package recursor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unsafe"

	"bulkhead/internal/access"
	"bulkhead/internal/cache"
	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
	"bulkhead/internal/wire"
)

// bench makes a worker without sockets: what it sends is lost, what it logs is
// kept in log.
func bench(t testing.TB, cfg *resolver.Config) (w *worker, log *strings.Builder) {
	t.Helper()
	s := &Server{cache: cache.New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)}
	s.names.fd = -1
	l, err := access.Load(fstest.MapFS{"127": {}, "2001:db8.": {}})
	if err != nil {
		t.Fatal(err)
	}
	s.allowed.Store(l)
	s.direct.Store(true)
	w, err = newWorker(s)
	if err != nil {
		t.Fatal(err)
	}
	log = &strings.Builder{}
	w.log.Write = func(b []byte) { log.Write(b) }
	w.listeners = []listener{{fd: -1}}
	w.who.use(l)
	w.clock.start()
	w.turn()
	if cfg == nil {
		cfg = &resolver.Config{}
	}
	w.newEngine(cfg)
	return w, log
}

func wireName(t testing.TB, s string) []byte {
	t.Helper()
	n, err := dnsname.ParseDot(s)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(n)
}

func (w *worker) putA(t testing.TB, owner string, ttl uint32) {
	n := wireName(t, owner)
	w.store.Put(n, &resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeA, Rank: resolver.RankAuthAnswer, TTL: ttl,
		Expires: int64(w.secs + ttl), Records: resolver.AppendPacked(nil, []byte{192, 0, 2, 1})})
}

func ask(t testing.TB, owner string, typ dns.Type, edns bool) []byte {
	var b wire.Builder
	b.Reset(nil, 512, 0x1234, wire.BitRD)
	b.Question(wireName(t, owner), typ, dns.ClassIN)
	if edns {
		b.OPT(1232, 0, true, wire.AppendOption(wire.AppendOption(nil, dns.OptCookie, "12345678"), dns.OptNSID, ""))
	}
	return b.Finish()
}

// TestHitAllocations: a question answered from the cache costs no allocation,
// from the datagram to the queued answer, log lines included.
func TestHitAllocations(t *testing.T) {
	w, _ := bench(t, nil)
	w.log.Write = func([]byte) {}
	w.s.set.NSID = "cache"
	w.putA(t, "www.example.test", 300)
	n := wireName(t, "alias.example.test")
	w.store.Put(n, &resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeCNAME, Rank: resolver.RankAuthAnswer, TTL: 300,
		Expires: int64(w.secs + 300), Records: resolver.AppendPacked(nil, wireName(t, "www.example.test"))})
	var sa sockaddr
	sa.set(netip.MustParseAddrPort("127.0.0.1:40000"))
	var local localAddr
	for _, x := range []struct {
		path string
		msg  []byte
	}{
		{"address", ask(t, "www.example.test", dns.TypeA, false)},
		{"address, EDNS with cookie and NSID", ask(t, "WWW.example.test", dns.TypeA, true)},
		{"alias", ask(t, "alias.example.test", dns.TypeA, false)},
		{"refused", ask(t, "example.test", dns.TypeAXFR, true)},
	} {
		w.datagram(0, x.msg, &sa, &local, false)
		w.finish()
		if got := testing.AllocsPerRun(500, func() {
			w.datagram(0, x.msg, &sa, &local, false)
			w.finish()
		}); got != 0 {
			t.Errorf("%s: %v allocations, want 0", x.path, got)
		}
	}
}

// TestMayServe: what goes straight from the cache, and what the engine has to see
// first.
func TestMayServe(t *testing.T) {
	root, err := dnssec.ParseAnchors([]byte(dnssec.RootAnchors))
	if err != nil {
		t.Fatal(err)
	}
	anchors := validator.Config{Anchors: root}
	negative := anchors
	now := time.Now().Unix()
	negative.NTAs = []dnssec.NTA{{Name: dnsname.Name(wireName(t, "test"))}}
	over := anchors
	over.NTAs = []dnssec.NTA{{Name: dnsname.Name(wireName(t, "test")), Expires: now - 5}}
	const direct, engine = true, false // straight from the cache, or by the engine
	for _, c := range []struct {
		name string
		v    *validator.Config
		sec  resolver.Security
		cd   bool
		want bool
	}{
		{"no validation", nil, resolver.Unchecked, false, direct},
		{"no validation any more", nil, resolver.Secure, false, direct},
		{"no validation, bogus of before", nil, resolver.Bogus, false, engine},
		{"not validated yet", &anchors, resolver.Unchecked, false, engine},
		{"the client validates", &anchors, resolver.Unchecked, true, direct},
		{"bogus", &anchors, resolver.Bogus, false, engine},
		{"bogus, CD", &anchors, resolver.Bogus, true, engine},
		{"of a time without anchor", &anchors, resolver.Indeterminate, false, engine},
		{"insecure", &anchors, resolver.Insecure, false, direct},
		{"secure", &anchors, resolver.Secure, false, direct},
		{"below a negative anchor", &negative, resolver.Indeterminate, false, direct},
		{"below a negative anchor, stored by CD", &negative, resolver.Unchecked, false, direct},
		{"below a negative anchor that has ended", &over, resolver.Indeterminate, false, engine},
	} {
		cfg := &resolver.Config{}
		if c.v != nil {
			cfg.Validator = validator.New(*c.v)
		}
		w, _ := bench(t, nil)
		w.cfg = cfg
		n := wireName(t, "www.example.test")
		w.store.Put(n, &resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeA, Rank: resolver.RankAuthAnswer, TTL: 300,
			Expires: int64(w.secs + 300), Records: resolver.AppendPacked(nil, []byte{192, 0, 2, 1}), Sec: c.sec})
		a := asked{max: 512}
		if c.cd {
			a.bits = wire.BitCD
		}
		if _, got := w.hit(nil, w.s.cache.MakeKey(cache.KindRRset, dns.TypeA, n), n, &a, netip.Addr{}); got != c.want {
			t.Errorf("%s: straight from the cache %v, want %v", c.name, got, c.want)
		}
	}
}

// sent gives the answer that a datagram got, nil for none.
func (w *worker) answerTo(msg []byte, from string) []byte {
	var sa sockaddr
	sa.set(netip.MustParseAddrPort(from))
	var local localAddr
	w.tx.n = 0
	w.datagram(0, msg, &sa, &local, false)
	if w.tx.n == 0 {
		return nil
	}
	return w.tx.queued(0)
}

// queued is what the kernel will be told to send.
func (s *sender) queued(i int) []byte { return unsafe.Slice(s.iovs[i].Base, s.iovs[i].Len) }

func TestScreening(t *testing.T) {
	w, _ := bench(t, nil)
	w.putA(t, "www.example.test", 300)
	good := ask(t, "www.example.test", dns.TypeA, false)
	change := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), good...)) }
	at := func(i int, v byte) []byte { return change(func(b []byte) []byte { b[i] = v; return b }) }
	opt := func(tail string) []byte {
		return change(func(b []byte) []byte { b[11]++; return append(b, tail...) })
	}
	const none = -1
	const client = "127.0.0.1:40000"
	for _, x := range []struct {
		what  string
		msg   []byte
		from  string
		rcode int
	}{
		{"good", good, client, 0},
		{"IPv6 client", good, "[2001:db8::7]:40000", 0},
		{"client outside ip/", good, "192.0.2.1:40000", none},
		{"IPv6 client outside ip/", good, "[2001:db9::7]:40000", none},
		{"port 53", good, "127.0.0.1:53", 0},
		{"port 1023", good, "127.0.0.1:1023", none},
		{"port 1024", good, "127.0.0.1:1024", 0},
		{"port 7", good, "127.0.0.1:7", none},
		{"empty", nil, client, none},
		{"11 bytes", good[:11], client, none},
		{"header only", good[:12], client, 1},
		{"question cut", good[:20], client, 1},
		{"QR", at(2, 0x81), client, none},
		{"TC", at(2, 0x03), client, none},
		{"AA", at(2, 0x05), client, 0},
		{"RD clear", at(2, 0), client, 5},
		{"opcode STATUS", at(2, 0x11), client, 4},
		{"opcode NOTIFY", at(2, 0x21), client, 4},
		{"two questions", at(5, 2), client, 1},
		{"no question", at(5, 0), client, 1},
		{"no question, a client cookie", []byte("\x124\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x0812345678"), client, 0},
		{"no question, a cookie that is not ours", []byte("\x124\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x1c\x00\x0a\x00\x1812345678\x01\x00\x00\x00\x00\x00\x00\x0112345678"), client, 23},
		{"no question, OPT without a cookie", []byte("\x124\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"), client, 1},
		{"class CH", at(len(good)-1, 3), client, 5},
		{"class ANY", at(len(good)-1, 255), client, 0},
		{"AXFR", at(len(good)-3, 252), client, 5},
		{"IXFR", at(len(good)-3, 251), client, 5},
		{"type OPT asked", at(len(good)-3, 41), client, 1},
		{"type 0", at(len(good)-3, 0), client, 1},
		{"an answer that is not there, nor anything", at(7, 1), client, 0}, // as 1.05
		{"an answer that is not there, but OPT is", append(at(7, 1), "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"...), client, 1},
		{"bytes behind the question that no count names", append(at(0, 0x12), "\x00\x00\x29\x04"...), client, 0},
		{"EDNS", opt("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"), client, 0},
		{"EDNS version 1", opt("\x00\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00"), client, 16},
		{"OPT owner not the root", opt("\x01a\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"), client, 1},
		{"option cut", opt("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x03\x00\x0a\x00"), client, 1},
		{"cookie of 7 bytes", opt("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0b\x00\x0a\x00\x071234567"), client, 1},
		{"cookie of 41 bytes", opt("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x2d\x00\x0a\x00\x29" + strings.Repeat("x", 41)), client, 1},
		{"unknown option", opt("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x05\xff\x0a\x00\x01x"), client, 0},
		{"OPT cut", opt("\x00\x00\x29\x04"), client, 1},
		{"data of OPT cut", opt("\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x05"), client, 1},
	} {
		got := w.answerTo(x.msg, x.from)
		if got == nil {
			if x.rcode != none {
				t.Errorf("%s: no answer, want rcode %d", x.what, x.rcode)
			}
			continue
		}
		c, err := wire.Parse(got)
		if err != nil {
			t.Fatalf("%s: %x: %v", x.what, got, err)
		}
		if err := c.SkipQuestions(); err != nil {
			t.Fatalf("%s: %v", x.what, err)
		}
		e, err := wire.FindEDNS(&c)
		if err != nil {
			t.Errorf("%s: answer %x: %v", x.what, got, err)
		}
		rcode := int(c.Header.RCode()) | int(e.Ext)<<4
		if rcode != x.rcode || got[0] != 0x12 || got[1] != 0x34 || c.Header.Bits&wire.BitQR == 0 {
			t.Errorf("%s: rcode %d, want %d: %x", x.what, rcode, x.rcode, got)
		}
	}
	// A cookie that an answer brought is good without a question, too.
	c, err := wire.Parse(w.answerTo(ask(t, "www.example.test", dns.TypeA, true), client))
	if err != nil || c.SkipQuestions() != nil {
		t.Fatal(err)
	}
	e, err := wire.FindEDNS(&c)
	if err != nil || len(e.Options) < 4+cookie.Len {
		t.Fatalf("no cookie: %x, %v", e.Options, err)
	}
	var b wire.Builder
	b.Reset(nil, 512, 0x1234, 0)
	b.OPT(1232, 0, false, e.Options[:4+cookie.Len])
	if got := w.answerTo(b.Finish(), client); len(got) != dns.HeaderLen+wire.OPTLen+4+cookie.Len || got[3]&15 != 0 || got[dns.HeaderLen+5] != 0 {
		t.Errorf("our cookie without a question: %x", got)
	}
}

// TestTruncation: an answer never exceeds what the client takes, and what is
// cut says so with counts of 0.
func TestTruncation(t *testing.T) {
	w, _ := bench(t, nil)
	n := wireName(t, "big.example.test")
	var recs resolver.Packed
	for i := range 5 {
		recs = resolver.AppendPacked(recs, append([]byte{200}, strings.Repeat(string(rune('a'+i)), 200)...))
	}
	w.store.Put(n, &resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeTXT, Rank: resolver.RankAuthAnswer, TTL: 300,
		Expires: int64(w.secs + 300), Records: recs})
	for _, x := range []struct {
		size uint16
		tc   bool
	}{{0, true}, {512, true}, {1100, true}, {1232, false}, {65535, false}} {
		var b wire.Builder
		b.Reset(nil, 512, 7, wire.BitRD)
		b.Question(n, dns.TypeTXT, dns.ClassIN)
		limit := 512
		if x.size > 0 {
			b.OPT(x.size, 0, false, nil)
			limit = int(min(x.size, 1232))
		}
		got := w.answerTo(b.Finish(), "127.0.0.1:40000")
		c, err := wire.Parse(got)
		if err != nil || len(got) > limit {
			t.Fatalf("size %d: %d bytes, %v", x.size, len(got), err)
		}
		if tc := c.Header.Bits&wire.BitTC != 0; tc != x.tc || tc && c.Header.ANCount != 0 || !tc && c.Header.ANCount != 5 {
			t.Errorf("size %d: TC %v, %d records", x.size, tc, c.Header.ANCount)
		}
	}
}

// TestOverLimit: whatever the size of the record that does not fit, the
// datagram is a whole message: all of the RRset, or none of it and TC (RFC 2181,
// section 9), with its counts and in the sender's own room.
func TestOverLimit(t *testing.T) {
	w, _ := bench(t, nil)
	r := rand.New(rand.NewPCG(7, 7))
	truncated := 0
	for k := range 600 {
		name := fmt.Sprintf("n%d.test", k)
		typ := []dns.Type{dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypePTR, dns.TypeA}[k%6]
		count, size := 1+r.IntN(90), 1+r.IntN(255)
		if r.IntN(4) == 0 {
			count, size = 1+r.IntN(3), 1+r.IntN(3000)
		}
		var records resolver.Packed
		for i := range count {
			long := wireName(t, fmt.Sprintf("%s%d.%s%d.test", strings.Repeat("x", size%60), i, strings.Repeat("y", size%59), k))
			data := []byte{10, 0, 0, byte(i)}
			switch typ {
			case dns.TypeTXT:
				data = bytes.Repeat([]byte{0}, size) // empty strings
				data = append(data, 2, byte(i), byte(i>>8))
			case dns.TypeMX:
				data = append([]byte{0, 1}, long...)
			case dns.TypeNS, dns.TypePTR:
				data = long
			case dns.TypeSOA:
				data = append(append(bytes.Clone(long), long...), make([]byte, 20)...)
			}
			records = resolver.AppendPacked(records, data)
		}
		w.store.Put(wireName(t, name), &resolver.Entry{Kind: resolver.KindRRset, Type: typ, Rank: resolver.RankAuthAnswer, TTL: 300,
			Expires: int64(w.secs + 300), Records: records, Sec: resolver.Insecure})
		edns := k%2 == 0
		limit := 512
		if edns {
			limit = dns.EDNSUDPSize
		}
		got := w.answerTo(ask(t, name, typ, edns), "127.0.0.1:40001")
		if got == nil {
			t.Fatalf("%s %d: no answer at once", name, typ)
		}
		m, err := wire.Parse(got)
		if err != nil || len(got) > limit || m.Header.QDCount != 1 {
			t.Fatalf("%s %d, %d records of %d: %d bytes, %v: %x", name, typ, count, size, len(got), err, got[:min(len(got), 40)])
		}
		tc := m.Header.Bits&wire.BitTC != 0
		if tc {
			truncated++
		}
		if want := count; tc && m.Header.ANCount != 0 || !tc && int(m.Header.ANCount) != want {
			t.Errorf("%s %d, %d records of %d: TC %v, %d records", name, typ, count, size, tc, m.Header.ANCount)
		}
		if &got[0] != &w.tx.bufs[0][0] {
			t.Errorf("%s %d, %d records of %d: a message in memory of its own", name, typ, count, size)
		}
	}
	if truncated < 100 || truncated > 500 {
		t.Errorf("%d of 600 truncated: the test does not test", truncated)
	}
}

// TestPanic: the question that makes the engine panic answers SERVFAIL, others
// at work are asked anew, the stack is logged.
func TestPanic(t *testing.T) {
	w, log := bench(t, &resolver.Config{Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}}}, IPv4: true})
	w.s.set.Send4 = netip.IPv4Unspecified()
	if got := w.answerTo(ask(t, "other.test", dns.TypeA, false), "127.0.0.1:40001"); got != nil {
		t.Fatalf("answered at once: %x", got)
	}
	if got := w.answerTo(ask(t, "bad.test", dns.TypeA, false), "127.0.0.1:40002"); got != nil {
		t.Fatalf("answered at once: %x", got)
	}
	var bad *query
	for _, q := range w.queries {
		if q.active && q.from.Port() == 40002 {
			bad = q
		}
	}
	w.tx.n = 0
	w.serving = bad.q.Ticket
	w.guard(func() { panic("a broken invariant") })
	if w.tx.n != 1 || w.tx.queued(0)[3]&15 != byte(dns.RCodeServFail) {
		t.Fatalf("%d answers", w.tx.n)
	}
	if w.udp != 1 {
		t.Errorf("%d questions at work, want the other one", w.udp)
	}
	if !strings.Contains(log.String(), "panic a broken invariant\n") || !strings.Contains(log.String(), "hit_test.go") {
		t.Errorf("log: %s", log.String())
	}
	// the server lives
	w.putA(t, "www.example.test", 300)
	if got := w.answerTo(ask(t, "www.example.test", dns.TypeA, false), "127.0.0.1:40000"); got == nil || got[7] != 1 {
		t.Errorf("after the panic: %x", got)
	}
	// a second panic ends what lived through the first
	w.tx.n = 0
	w.guard(func() { panic("another") })
	if w.udp != 0 || w.tx.n != 1 {
		t.Errorf("%d questions at work, %d answers", w.udp, w.tx.n)
	}
	w.up.dropAll()
}

// TestFairness: a client that fills the places can not keep another out.
func TestFairness(t *testing.T) {
	w, log := bench(t, &resolver.Config{Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}}}})
	take := func(from string) *query { return w.newQuery(netip.MustParseAddrPort(from), false) }
	n := 0
	for n < 2*maxQueries && take("127.0.0.1:2000") != nil {
		n++
	}
	if n < maxQueries/2 {
		t.Fatalf("one client alone gets %d places", n)
	}
	for i := range 10 {
		if take("127.0.0.2:2000") == nil {
			t.Fatalf("question %d of another client found no place", i)
		}
	}
	if w.udp > maxQueries || len(w.free) != maxQueries-w.udp {
		t.Errorf("%d at work, %d free", w.udp, len(w.free))
	}
	// everything comes back
	for _, q := range w.queries {
		if q.active {
			w.release(q)
		}
	}
	if w.udp != 0 || len(w.free) != maxQueries || w.clients.asking != 0 || w.oldest != -1 || w.newest != -1 {
		t.Errorf("after release: %d at work, %d free, %d clients, list %d %d", w.udp, len(w.free), w.clients.asking, w.oldest, w.newest)
	}
	_ = log
}

func TestRateLimit(t *testing.T) {
	w, log := bench(t, nil)
	w.s.set.RateLimit = 10
	w.putA(t, "www.example.test", 300)
	msg := ask(t, "www.example.test", dns.TypeA, false)
	count := func(from string) (n int) {
		for range 30 {
			if w.answerTo(msg, from) != nil {
				n++
			}
		}
		return n
	}
	if n := count("127.0.0.1:2000"); n != 10 {
		t.Errorf("%d answers of 30 at a limit of 10 a second", n)
	}
	if n := count("127.0.0.2:2000"); n != 10 {
		t.Errorf("%d answers for another client", n)
	}
	if n := count("[2001:db8::1]:2000"); n != 10 {
		t.Errorf("%d answers for an IPv6 client", n)
	}
	if n := count("[2001:db8:0:ff::1]:2000"); n != 0 {
		t.Errorf("%d answers for the same /56", n)
	}
	if n := count("[2001:db8:0:100::1]:2000"); n != 10 {
		t.Errorf("%d answers for another /56", n)
	}
	w.now += resolver.Second / 2
	if n := count("127.0.0.1:2000"); n != 5 {
		t.Errorf("%d answers half a second later", n)
	}
	w.log.Flush()
	if n := strings.Count(log.String(), "limit 7f000001 "); n != 1 {
		t.Errorf("%d log lines for one client's limit:\n%s", n, log.String())
	}
}

// BenchmarkHit is everything but the system calls.
func BenchmarkHit(b *testing.B) {
	w, _ := bench(b, nil)
	w.log.Write = func([]byte) {}
	w.putA(b, "www.example.test", 300000)
	msg := ask(b, "www.example.test", dns.TypeA, false)
	var sa sockaddr
	sa.set(netip.MustParseAddrPort("127.0.0.1:40000"))
	var local localAddr
	b.ReportAllocs()
	for b.Loop() {
		w.datagram(0, msg, &sa, &local, false)
		w.tx.n = 0
	}
}

// TestFlood: questions that nobody answers, far more than there are places;
// the oldest go, each with its line, and hits are served all the while.
func TestFlood(t *testing.T) {
	w, log := bench(t, &resolver.Config{Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}}}, IPv4: true})
	w.s.set.Send4 = netip.MustParseAddr("127.0.0.1")
	defer w.up.dropAll()
	w.putA(t, "www.example.test", 300)
	hit := ask(t, "www.example.test", dns.TypeA, false)
	for i := range 3 * maxQueries {
		n := []byte("\x06000000\x05flood\x00")
		for j, v := 6, i; v > 0; j, v = j-1, v/10 {
			n[j] = byte('0' + v%10)
		}
		var b wire.Builder
		b.Reset(nil, 512, uint16(i), wire.BitRD)
		b.Question(n, dns.TypeA, dns.ClassIN)
		var from sockaddr
		from.set(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)}), 4000))
		var local localAddr
		w.datagram(0, b.Finish(), &from, &local, false)
		w.tx.n = 0
		if i%1000 == 0 {
			if got := w.answerTo(hit, "127.0.0.1:40000"); got == nil || got[7] != 1 {
				t.Fatalf("after %d questions a hit is not answered: %x", i, got)
			}
		}
	}
	if w.udp > maxQueries || len(w.free)+w.udp != maxQueries {
		t.Errorf("%d questions at work, %d places free", w.udp, len(w.free))
	}
	w.log.Flush()
	drops, sent := strings.Count(log.String(), " timed out\n"), strings.Count(log.String(), "sent ")
	if drops+sent+w.udp < 3*maxQueries {
		t.Errorf("%d dropped, %d answered, %d at work of %d questions", drops, sent, w.udp, 3*maxQueries)
	}
	t.Logf("%d dropped, %d answered, %d at work", drops, sent, w.udp)
}

// TestTwoClients: one client floods with questions that nobody answers, another
// asks a hundred times less. With and without RATELIMIT the second loses
// nothing; with it the flood's cost in lines is the limit, not the flood.
func TestTwoClients(t *testing.T) {
	for _, rate := range []uint64{0, 500} {
		w, log := bench(t, &resolver.Config{Zones: []resolver.Zone{{Name: dnsname.Root, Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}}}, IPv4: true})
		w.s.set.Send4 = netip.MustParseAddr("127.0.0.1")
		w.s.set.RateLimit = rate
		defer w.up.dropAll()
		w.putA(t, "www.example.test", 300)
		hit := ask(t, "www.example.test", dns.TypeA, false)
		const seconds, flood, calm = 3, 6000, 60
		from := func(last byte) (sa sockaddr) {
			sa.set(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, last}), 4000))
			return sa
		}
		one, two := from(1), from(2)
		var local localAddr
		served := 0
		for i := range seconds * flood {
			w.now += resolver.Second / flood
			w.datagram(0, ask(t, fmt.Sprintf("f%d.flood", i), dns.TypeA, false), &one, &local, false)
			if i%(flood/calm) == 0 {
				w.datagram(0, ask(t, fmt.Sprintf("c%d.calm", i), dns.TypeA, false), &two, &local, false)
				w.tx.n = 0
				w.datagram(0, hit, &two, &local, false)
				served += w.tx.n
			}
			w.tx.n = 0
		}
		w.log.Flush()
		lines := log.String()
		drops := 0
		for _, m := range regexp.MustCompile(`query (\d+) 7f000002:`).FindAllStringSubmatch(lines, -1) {
			drops += strings.Count(lines, "drop "+m[1]+" ")
		}
		asked := strings.Count(lines, " 7f000002:")
		if asked != 2*seconds*calm || served != seconds*calm || drops != 0 {
			t.Errorf("limit %d: %d of the calm client's %d questions taken, %d of %d hits answered, %d dropped", rate, asked, 2*seconds*calm, served, seconds*calm, drops)
		}
		taken := strings.Count(lines, " 7f000001:")
		if told := strings.Count(lines, "limit 7f000001 "); rate > 0 && (taken > int(rate)*(seconds+1) || told == 0 || told > seconds) {
			t.Errorf("limit %d: %d questions of the flood taken, %d lines tell of it", rate, taken, told)
		}
		t.Logf("limit %d: %d of %d of the flood taken, %d bytes of log", rate, taken, seconds*flood, len(lines))
	}
}
