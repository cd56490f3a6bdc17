package cache

import (
	"bytes"
	"fmt"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"pgregory.net/rapid"
)

func name(t testing.TB, s string) []byte {
	t.Helper()
	n, err := dnsname.ParseDot(s)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(n)
}

func pack(data ...string) (b []byte) {
	for _, d := range data {
		b = append(b, byte(len(d)>>8), byte(len(d)))
		b = append(b, d...)
	}
	return b
}

func TestGetGivesWhatPutStored(t *testing.T) {
	c := New(make([]byte, MinSize), [2]uint64{1, 2}, 0)
	for _, e := range []Entry{
		{Kind: KindRRset, Type: dns.TypeA, Rank: 5, Sec: 4, TTL: 300, Expire: 1300, Records: pack("\xc0\x00\x02\x01"), Sigs: pack("signature")},
		{Kind: KindRRset, Type: dns.TypeMX, TTL: 1, Expire: 1001, Proof: []byte("no such type")},
		{Kind: KindNXDomain, Rank: 1, TTL: 3600, Expire: 4600, Proof: []byte("soa"), Code: 0},
		{Kind: KindDelegation, TTL: MaxTTL, Expire: 1000 + MaxTTL, Records: pack("\x02ns\x00", "\x03ns2\x00"), Proof: []byte("glue")},
		{Kind: KindFailure, Type: dns.TypeA, TTL: 5, Expire: 1005, Code: 23},
	} {
		n := name(t, "www.example.org")
		k := c.MakeKey(e.Kind, e.Type, n)
		if !c.Put(k, &e, 1000) {
			t.Fatalf("Put %+v refused", e)
		}
	}
	for _, e := range []Entry{
		{Kind: KindRRset, Type: dns.TypeA, Rank: 5, Sec: 4, TTL: 300, Expire: 1300, Records: pack("\xc0\x00\x02\x01"), Sigs: pack("signature")},
		{Kind: KindRRset, Type: dns.TypeMX, TTL: 1, Expire: 1001, Proof: []byte("no such type")},
		{Kind: KindNXDomain, Rank: 1, TTL: 3600, Expire: 4600, Proof: []byte("soa")},
		{Kind: KindDelegation, TTL: MaxTTL, Expire: 1000 + MaxTTL, Records: pack("\x02ns\x00", "\x03ns2\x00"), Proof: []byte("glue")},
		{Kind: KindFailure, Type: dns.TypeA, TTL: 5, Expire: 1005, Code: 23},
	} {
		var g Entry
		if !c.Get(c.MakeKey(e.Kind, e.Type, name(t, "www.example.org")), &g) || !same(&g, &e) {
			t.Errorf("got %+v, want %+v", g, e)
		}
	}
	var g Entry
	for _, k := range []Key{
		c.MakeKey(KindRRset, dns.TypeAAAA, name(t, "www.example.org")),
		c.MakeKey(KindRRset, dns.TypeA, name(t, "example.org")),
		c.MakeKey(KindFailure, dns.TypeMX, name(t, "www.example.org")),
	} {
		if c.Get(k, &g) {
			t.Errorf("found what was never put: %+v", g)
		}
	}
}

func same(a, b *Entry) bool {
	return a.Kind == b.Kind && a.Type == b.Type && a.Rank == b.Rank && a.Sec == b.Sec && a.Code == b.Code &&
		a.TTL == b.TTL && a.Expire == b.Expire && bytes.Equal(a.Records, b.Records) &&
		bytes.Equal(a.Sigs, b.Sigs) && bytes.Equal(a.Proof, b.Proof)
}

// check walks all rings of a cache: sizes add up, every live entry is found
// through the index, every slot points to a live entry.
func check(t interface{ Fatalf(string, ...any) }, c *Cache) (live int) {
	for i := range c.shards {
		s := &c.shards[i]
		n := 0
		for _, r := range []*ring{&s.main, &s.small} {
			if r.used < 0 || r.used > r.cap || r.head > r.cap {
				t.Fatalf("ring %+v", *r)
			}
			s.each(r, func(off int) {
				m := s.entry(off)
				if !valid(m) {
					t.Fatalf("entry %x is not valid", m)
				}
				k := keyOf(m)
				k.hash = c.hashEntry(m)
				if got := s.find(k); got != off {
					t.Fatalf("live entry at %d is not found by its key, but %d", off, got)
				}
				n++
			})
		}
		slots := 0
		for b := 0; b < len(s.index); b += slotBytes {
			if s.slot(b, 0) != 0 {
				slots++
			}
		}
		if slots != n || s.live != n {
			t.Fatalf("%d live entries, %d slots, counted %d", n, slots, s.live)
		}
		live += n
	}
	return live
}

// TestModel plays random operations against a map. The cache may forget, but
// never give what the map does not have.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{MinSize, MinSize, MinSize + 4096, MinSize + 64, 1 << 20, 8 << 20}).Draw(t, "size")
		c := New(make([]byte, size), [2]uint64{rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1")}, 100)
		model := map[string]Entry{}
		now := uint32(1e9)
		names := rapid.IntRange(1, 3000).Draw(t, "names")
		key := func() (Key, string) {
			i := rapid.IntRange(0, names).Draw(t, "name")
			kind := Kind(rapid.IntRange(1, int(lastKind)).Draw(t, "kind"))
			ty := dns.Type(rapid.IntRange(0, 3).Draw(t, "type"))
			n, _ := dnsname.ParseDot(fmt.Sprintf("host%d.zone%d.test", i, i%7))
			k := c.MakeKey(kind, ty, []byte(n))
			return k, fmt.Sprint(kind, k.Type, n)
		}
		var g Entry
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			k, id := key()
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0, 1, 2, 3, 4:
				ttl := rapid.Uint32Range(1, 5000).Draw(t, "ttl")
				e := Entry{Kind: k.Kind, Type: k.Type, TTL: ttl, Expire: now + ttl,
					Rank: uint8(rapid.IntRange(0, 7).Draw(t, "rank")), Sec: uint8(rapid.IntRange(0, 7).Draw(t, "sec")),
					Records: pack(string(make([]byte, rapid.IntRange(0, 3000).Draw(t, "len"))))}
				if rapid.Bool().Draw(t, "proof") {
					e.Proof = []byte(id)
					e.Code = uint16(len(id))
				}
				if c.Put(k, &e, now) {
					model[id] = e
				} else {
					delete(model, id)
					if c.Get(k, &g) {
						t.Fatalf("refused, but there")
					}
				}
			case 5:
				c.Remove(k)
				delete(model, id)
			case 6:
				now += rapid.Uint32Range(0, 1000).Draw(t, "pass")
			default:
				if c.Get(k, &g) {
					if want, ok := model[id]; !ok || !same(&g, &want) {
						t.Fatalf("%s: got %+v, want %+v %v", id, g, want, ok)
					}
				}
			}
		}
		check(t, c)
		// all names of a zone go, nothing else does
		zone := byte('0' + rapid.IntRange(0, 6).Draw(t, "zone"))
		in := func(e *Entry) bool { return dnsname.Skip(e.Name, 1)[5] == zone }
		before := c.Stats().Entries
		if gone := c.RemoveIf(in); c.Stats().Entries != before-gone || check(t, c) != before-gone || c.RemoveIf(in) != 0 {
			t.Fatalf("%d of %d removed, then %d left", gone, before, c.Stats().Entries)
		}
		var file bytes.Buffer
		label := []byte(rapid.StringN(0, 20, -1).Draw(t, "label"))
		n, err := c.Dump(&file, now, label)
		if err != nil {
			t.Fatalf("Dump: %v", err)
		}
		d := New(make([]byte, size), [2]uint64{1, 2}, 100)
		d.Expect(rapid.IntRange(0, 1000).Draw(t, "expect"))
		m, told, err := d.Load(&file, now)
		if err != nil || m != n || !bytes.Equal(told, label) {
			t.Fatalf("Load: %d of %d, %q of %q, %v", m, n, told, label, err)
		}
		check(t, d)
		for i := range d.shards {
			for _, r := range []*ring{&d.shards[i].main, &d.shards[i].small} {
				s := &d.shards[i]
				s.each(r, func(off int) {
					raw := s.entry(off)
					k := keyOf(raw)
					var g Entry
					g.load(raw, len(k.Name))
					want, ok := model[fmt.Sprint(k.Kind, k.Type, dnsname.Name(k.Name))]
					if !ok || !same(&g, &want) || g.Kind == KindFailure {
						t.Fatalf("after the restart: got %+v, want %+v", g, want)
					}
				})
			}
		}
	})
}

// TestBudget fills a cache far beyond its size: it stays right, keeps most of
// its bytes in use, and the block is all there is.
func TestBudget(t *testing.T) {
	for _, size := range []int{MinSize, 1 << 20, 16 << 20} {
		c := New(make([]byte, size), [2]uint64{3, 4}, 0)
		var buf []byte
		e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 1e5, Expire: 2e5, Records: pack("abcd")}
		for i := range size / 20 {
			buf = append(buf[:0], fmt.Sprintf("\x08%08d\x04test\x00", i)...)
			c.Put(c.MakeKey(KindRRset, dns.TypeA, buf), &e, 1e5)
		}
		live := check(t, c)
		if st := c.Stats(); st.Used < size*8/10 || st.Evicted == 0 {
			t.Errorf("size %d: %d bytes in use after a flood", size, st.Used)
		}
		if live*40 < size*7/10 {
			t.Errorf("size %d: only %d entries of 40 bytes live", size, live)
		}
	}
}

// TestRoom: while there is room hardly anything is lost, at any size of the
// index, and the index takes no more than 10 bytes an entry.
func TestRoom(t *testing.T) {
	c := New(make([]byte, 64<<20), [2]uint64{9, 10}, 0)
	var buf []byte
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 1e5, Expire: 2e5, Records: pack("abcd")}
	n := 0
	for _, upto := range []int{1000, 10000, 50000, 200000, 500000} {
		for ; n < upto; n++ {
			buf = append(buf[:0], fmt.Sprintf("\x08%08d\x04test\x00", n)...)
			c.Put(c.MakeKey(KindRRset, dns.TypeA, buf), &e, 1e5)
		}
		if st := c.Stats(); st.Entries < n-n/1000 {
			t.Errorf("%d entries of %d put into a roomy cache", st.Entries, n)
		}
		index := 0
		for i := range c.shards {
			index += c.shards[i].buckets * bucketBytes
		}
		if index > n*10+len(c.shards)*firstBuckets*bucketBytes {
			t.Errorf("%d bytes of index for %d entries", index, n)
		}
	}
	check(t, c)
}

// TestFlood asks for a working set again and again while names stream by that
// are asked for once: the working set must survive (S3-FIFO's purpose; a plain
// ring as in 1.05 loses all of it).
func TestFlood(t *testing.T) {
	c := New(make([]byte, 1<<20), [2]uint64{5, 6}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 1e5, Expire: 2e5, Records: pack("abcd")}
	var buf []byte
	key := func(set string, i int) Key {
		buf = append(buf[:0], fmt.Sprintf("\x09%s%08d\x04test\x00", set, i)...)
		return c.MakeKey(KindRRset, dns.TypeA, buf)
	}
	const set = 5000 // of about 18,000 that fit
	var g Entry
	flood := 0
	misses := func(rounds, ratio int) (n int) {
		for range rounds {
			for i := range set {
				if k := key("w", i); !c.Get(k, &g) {
					c.Put(k, &e, 1e5)
					n++
				}
				for range ratio {
					c.Put(key("f", flood), &e, 1e5)
					flood++
				}
			}
		}
		return n
	}
	misses(4, 1) // the set is found among as many names asked for once
	if n := misses(3, 1); n > set*3/50 {
		t.Errorf("%d of %d questions missed beside as many unique ones", n, 3*set)
	}
	if n := misses(20, 20); n > set*20/50 {
		t.Errorf("%d of %d questions for the working set missed during a flood", n, 20*set)
	}
}

func TestAppendAnswer(t *testing.T) {
	c := New(make([]byte, MinSize), [2]uint64{7, 8}, 0)
	n := name(t, "www.example.org")
	k := c.MakeKey(KindRRset, dns.TypeA, n)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04", "\x05\x06\x07\x08"), Sigs: pack("sig"), Code: 1}
	c.Put(k, &e, 1000)
	var r Reply
	head := make([]byte, 33)
	for _, x := range []struct {
		now        uint32
		sigs, hide bool
		max        int
		want       string
		ok, tc     bool
	}{
		{1000, false, false, 512, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x01\x02\x03\x04\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x05\x06\x07\x08", true, false},
		{1299, false, false, 65, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x05\x06\x07\x08", true, false},
		{1299, false, false, 64, "", true, true},
		{1299, true, false, 65, "", true, true},
		{1299, true, true, 512, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x01\x02\x03\x04\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x05\x06\x07\x08" +
			"\xc0\x0c\x00\x2e\x00\x01\x00\x00\x00\x00\x00\x03sig", true, false},
		{1300, true, true, 512, "", false, false},
	} {
		got, ok := c.AppendAnswer(head, k, x.now, x.sigs, x.hide, x.max, &r)
		if ok != x.ok || string(got[len(head):]) != x.want || ok && r.Truncated != x.tc {
			t.Errorf("%+v: got %q %v %+v", x, got[len(head):], ok, r)
		}
	}
}

func TestAllocations(t *testing.T) {
	c := New(make([]byte, 1<<20), [2]uint64{7, 8}, 0)
	n := name(t, "www.example.org")
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04"), Sigs: pack("sig")}
	var g Entry
	g.buf = make([]byte, 0, 4096)
	out := make([]byte, 33, 4096)
	var r Reply
	for _, x := range []struct {
		path string
		f    func()
	}{
		{"hit", func() { c.AppendAnswer(out, c.MakeKey(KindRRset, dns.TypeA, n), 1001, true, false, 1232, &r) }},
		{"get", func() { c.Get(c.MakeKey(KindRRset, dns.TypeA, n), &g) }},
		{"miss", func() { c.Get(c.MakeKey(KindRRset, dns.TypeNS, n), &g) }},
		{"put", func() { c.Put(c.MakeKey(KindRRset, dns.TypeA, n), &e, 1000) }},
		{"put of another size", func() {
			e.Sigs = e.Sigs[:(len(e.Sigs)+5)%6]
			c.Put(c.MakeKey(KindRRset, dns.TypeTXT, n), &e, 1000)
		}},
	} {
		if got := testing.AllocsPerRun(1000, x.f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", x.path, got)
		}
	}
}

// TestDocumentedEntry holds the example of docs/format-cache-dump.md.
func TestDocumentedEntry(t *testing.T) {
	c := New(make([]byte, MinSize), [2]uint64{1, 2}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, Rank: 5, TTL: 3600, Expire: 0x65000000, Records: pack("\xc0\x00\x02\x01")}
	k := c.MakeKey(e.Kind, e.Type, name(t, "www.example.org"))
	c.Put(k, &e, 0x65000000-3600)
	want := "\x05\x00\x01\x00\x00\x00\x00\x65\x10\x0e\x00\x0a\x06\x00\x00\x00" +
		"\x03www\x07example\x03org\x00\x00\x04\xc0\x00\x02\x01\x00"
	s := c.shardOf(k.hash)
	if got := string(s.entry(s.find(k))); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

func FuzzLoad(f *testing.F) {
	c := New(make([]byte, MinSize), [2]uint64{1, 2}, 10)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04"), Proof: []byte("p")}
	c.Put(c.MakeKey(KindRRset, dns.TypeA, []byte("\x03www\x00")), &e, 1000)
	var b bytes.Buffer
	c.Dump(&b, 1000, []byte("label"))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		c := New(make([]byte, MinSize), [2]uint64{1, 2}, 10)
		c.Load(bytes.NewReader(file), 1000)
		check(t, c)
		// what was loaded can be read without leaving its bytes
		for i := range c.shards {
			s := &c.shards[i]
			s.each(&s.main, func(off int) {
				m := s.entry(off)
				var g Entry
				g.load(m, len(keyOf(m).Name))
			})
		}
		// the checksum keeps random files out; entries are attacked apart
		if valid(file) {
			m := append([]byte(nil), file...)
			h := c.hashEntry(m)
			l := &loader{c: c, now: 1000}
			l.restore(c.shardOf(h), m, h, true)
			check(t, c)
			var g Entry
			g.load(m, len(keyOf(m).Name))
		}
	})
}

// TestLoadIntoUse: what the cache has is newer than what a dump says.
func TestLoadIntoUse(t *testing.T) {
	c := New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04")}
	k := c.MakeKey(KindRRset, dns.TypeA, name(t, "www.test"))
	c.Put(k, &e, 1000)
	var b bytes.Buffer
	c.Dump(&b, 1000, []byte("label"))
	e.Records = pack("\x05\x06\x07\x08")
	c.Put(k, &e, 1000)
	if n, _, err := c.Load(&b, 1000); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	check(t, c)
	if c.Get(k, &e); string(e.Records) != string(pack("\x05\x06\x07\x08")) {
		t.Errorf("%x", e.Records)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	c := New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, Rank: 3, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04")}
	for i := range 100 {
		c.Put(c.MakeKey(KindRRset, dns.TypeA, name(t, fmt.Sprint("h", i, ".test"))), &e, 1000)
	}
	var b bytes.Buffer
	if n, err := c.Dump(&b, 1000, []byte("label")); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	file := b.Bytes()
	for i := range file {
		if i >= 8 && i < 16 {
			continue // the time of writing is only told
		}
		bad := bytes.Clone(file)
		bad[i] ^= 0x10
		d := New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)
		if _, _, err := d.Load(bytes.NewReader(bad), 1000); err == nil {
			t.Fatalf("byte %d changed: no error", i)
		}
		check(t, d)
	}
	for i := range file {
		d := New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)
		if _, _, err := d.Load(bytes.NewReader(file[:i]), 1000); err == nil {
			t.Fatalf("cut at %d: no error", i)
		}
	}
	// entries expire rightly, also when the clock went back while we were down
	for _, x := range []struct{ now, left uint32 }{{1000, 300}, {1299, 1}, {1300, 0}, {500, 300}} {
		d := New(make([]byte, 1<<20), [2]uint64{1, 2}, 0)
		d.Load(bytes.NewReader(file), x.now)
		var g Entry
		found := d.Get(d.MakeKey(KindRRset, dns.TypeA, name(t, "h7.test")), &g)
		if found != (x.left > 0) || found && (g.Expire-x.now != x.left || g.Rank != 3) {
			t.Errorf("at %d: %v %+v", x.now, found, g)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	c := New(make([]byte, 256<<20), [2]uint64{7, 8}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04")}
	const n = 1 << 20
	names := make([][]byte, n)
	for i := range names {
		names[i] = name(b, fmt.Sprintf("www.d%05d.t%d", i, i%50))
		c.Put(c.MakeKey(KindRRset, dns.TypeA, names[i]), &e, 1000)
	}
	out := make([]byte, 33, 4096)
	var r Reply
	b.ReportAllocs()
	b.ResetTimer()
	misses := 0
	for i := 0; b.Loop(); i++ {
		if _, ok := c.AppendAnswer(out, c.MakeKey(KindRRset, dns.TypeA, names[i*7919&(n-1)]), 1001, false, false, 1232, &r); !ok {
			misses++
		}
	}
	if misses > b.N/500 {
		b.Fatalf("%d of %d missed", misses, b.N)
	}
}

func BenchmarkPut(b *testing.B) {
	c := New(make([]byte, 64<<20), [2]uint64{7, 8}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04")}
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = append(buf[:0], "\x0812345678\x04test\x00"...)
		for j, v := 1, i; v > 0; j, v = j+1, v/10 {
			buf[j] = '0' + byte(v%10)
		}
		c.Put(c.MakeKey(KindRRset, dns.TypeA, buf), &e, 1000)
	}
}

func BenchmarkLoad(b *testing.B) {
	c := New(make([]byte, 256<<20), [2]uint64{7, 8}, 0)
	e := Entry{Kind: KindRRset, Type: dns.TypeA, TTL: 300, Expire: 1300, Records: pack("\x01\x02\x03\x04")}
	for i := range 1000000 {
		c.Put(c.MakeKey(KindRRset, dns.TypeA, name(b, fmt.Sprintf("h%06d.d%05d.t%d", i, i%10000, i%50))), &e, 1000)
	}
	var file bytes.Buffer
	c.Dump(&file, 1000, nil)
	b.ResetTimer()
	for b.Loop() {
		d := New(make([]byte, 256<<20), [2]uint64{17, 18}, 0)
		d.Expect(file.Len() / 48)
		if n, _, err := d.Load(bytes.NewReader(file.Bytes()), 1000); n < 990000 || err != nil {
			b.Fatal(n, err)
		}
	}
}
