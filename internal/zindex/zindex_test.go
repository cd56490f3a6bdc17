package zindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

type file struct{ b []byte }

func (f *file) Write(p []byte) (int, error)        { f.b = append(f.b, p...); return len(p), nil }
func (f *file) Seek(o int64, w int) (int64, error) { return 0, nil }

type rec struct {
	name string
	typ  dns.Type
	data string
}

func name(s string) []byte {
	n, err := dnsname.ParseDot(s)
	if err != nil {
		panic(err)
	}
	return []byte(n)
}

// makeCDB lays records out as tinydns-data does; hash tables are left out,
// nothing here uses them.
func makeCDB(recs []rec) []byte {
	out := make([]byte, cdb.HeaderLen)
	for _, r := range recs {
		key, mark := name(r.name), byte('=')
		if dnsname.IsWildcard(key) {
			key, mark = key[2:], '*'
		}
		d := binary.BigEndian.AppendUint16(nil, uint16(r.typ))
		d = append(d, mark, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		d = append(d, r.data...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(key)))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(d)))
		out = append(append(out, key...), d...)
	}
	for i := range 256 {
		binary.LittleEndian.PutUint32(out[i*8:], uint32(len(out)))
	}
	return out
}

func view(t testing.TB, recs []rec) *View {
	t.Helper()
	c := makeCDB(recs)
	idx, err := Build(c, Identity{Size: uint64(len(c)), Inode: 7, MTime: 8})
	if err != nil {
		t.Fatal(err)
	}
	v, err := Open(idx, c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *View) byName(s string) (Node, bool) {
	n := dnsname.Lower(name(s))
	return v.Find(n, Hash(v.seed, n))
}

func TestNodes(t *testing.T) {
	soa := string(name("a.")) + string(name("b.")) + string(make([]byte, 20))
	v := view(t, []rec{
		{"z.test", dns.TypeSOA, soa}, {"z.test", dns.TypeNS, string(name("ns.z.test"))},
		{"a.ent.z.test", dns.TypeA, "1234"}, {"*.w.z.test", dns.TypeTXT, "\x01x"},
		{"cut.z.test", dns.TypeNS, string(name("ns.cut.z.test"))}, {"x.cut.z.test", dns.TypeA, "1234"},
		{"deep.cut.z.test", dns.TypeNS, string(name("ns.z.test"))},
	})
	for _, x := range []struct {
		name  string
		flags uint64
		count int
	}{
		{"z.test", FlagMulti | FlagBelow | FlagStruct, 2},
		{"test", FlagENT | FlagBelow, 0},
		{"ent.z.test", FlagENT | FlagBelow, 0},
		{"a.ent.z.test", 0, 1},
		{"w.z.test", FlagENT | FlagHasWild, 0},
		{"*.w.z.test", FlagWild, 1},
		{".", FlagENT | FlagBelow, 0},
	} {
		n, ok := v.byName(x.name)
		if !ok || !n.Has(x.flags) || v.Count(n) != x.count {
			t.Errorf("%s: %v %x, %d records", x.name, ok, n.W, v.Count(n))
		}
	}
	for _, s := range []string{"nx.z.test", "b.ent.z.test", "*.z.test", "tes", "w"} {
		if _, ok := v.byName(s); ok {
			t.Errorf("%s found", s)
		}
	}
	n, _ := v.byName("x.cut.z.test")
	s := v.Struct(n.Ctx)
	stop, zone := v.Struct(s.Stop), v.Struct(s.Zone)
	if string(v.Name(&stop)) != string(name("cut.z.test")) || string(v.Name(&zone)) != string(name("z.test")) {
		t.Errorf("cut %q zone %q", v.Name(&stop), v.Name(&zone))
	}
	n, _ = v.byName("deep.cut.z.test")
	if s := v.Struct(v.Struct(n.Ctx).Stop); string(v.Name(&s)) != string(name("cut.z.test")) {
		t.Errorf("a cut below a cut stops the way down at %q", v.Name(&s))
	}
}

// The number of cache lines read is bounded whatever the labels, names and
// zones: MaxProbe a name, MaxDepthProbe+1 names.
func TestProbes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var recs []rec
	for i := range 20000 {
		s := fmt.Sprintf("n%d", i)
		for range r.IntN(20) {
			s += fmt.Sprintf(".l%d", r.IntN(3))
		}
		recs = append(recs, rec{s + ".test", dns.TypeA, "1234"})
	}
	deep := ""
	for range 120 {
		deep += "a."
	}
	recs = append(recs, rec{deep + "test", dns.TypeA, "1234"})
	v := view(t, recs)
	worst, sum, asked := 0, 0, 0
	for i := range 20000 {
		q := name(recs[i].name)
		switch i % 4 {
		case 1:
			q = append([]byte("\x03nix"), q...)
		case 2:
			q = name("x." + deep[r.IntN(60)*2:] + "test")
		case 3:
			q = name(deep[2*r.IntN(100):] + "other")
		}
		if len(q) > dns.MaxName {
			continue
		}
		n := 0
		v.Probes = &n
		var off [128]uint8
		k := 0
		for j := 0; q[j] != 0; j += 1 + int(q[j]) {
			off[k] = uint8(j)
			k++
		}
		if _, ok := v.Find(q, Hash(v.seed, q)); !ok {
			if e, labels := v.Encloser(q, off[:k]); labels < 0 || !e.Exists() {
				t.Fatalf("no encloser of %q", q)
			} else if want := len(q) - e.NameLen(); labels != k-dnsname.Labels(append(append([]byte{}, q[:want]...), 0)) {
				t.Fatalf("encloser of %q has %d labels", q, labels)
			}
		}
		worst, sum, asked = max(worst, n), sum+n, asked+1
	}
	v.Probes = nil
	if limit := 2 * (MaxDepthProbe + 2); worst > limit {
		t.Errorf("a look-up read %d cache lines, more than %d", worst, limit)
	}
	t.Logf("worst %d, mean %.2f", worst, float64(sum)/float64(asked))
}

// The encloser found by halving is the one found by walking up.
func TestEncloserIsNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	word := func() string { return string(rune('a' + r.IntN(3))) }
	var recs []rec
	for range 300 {
		s := word()
		for range r.IntN(8) {
			s += "." + word()
		}
		recs = append(recs, rec{s, dns.TypeA, "1234"})
	}
	v := view(t, recs)
	for range 5000 {
		s := word()
		for range r.IntN(10) {
			s += "." + word()
		}
		q := name(s)
		if _, ok := v.Find(q, Hash(v.seed, q)); ok {
			continue
		}
		var off [128]uint8
		k := 0
		for j := 0; q[j] != 0; j += 1 + int(q[j]) {
			off[k] = uint8(j)
			k++
		}
		_, got := v.Encloser(q, off[:k])
		want := k - 1
		for p := dnsname.Parent(q); ; p = dnsname.Parent(p) {
			if _, ok := v.Find(p, Hash(v.seed, p)); ok {
				break
			}
			want--
		}
		if got != want {
			t.Fatalf("%s: encloser has %d labels, want %d", s, got, want)
		}
	}
}

func TestChainOrder(t *testing.T) {
	soa := string(name("a.")) + string(name("b.")) + string(make([]byte, 20))
	owners := []string{"example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example", "\\001.z.example", "*.z.example", "\\200.z.example"}
	recs := []rec{{"example", dns.TypeSOA, soa}, {"example", dns.TypeNS, string(name("ns."))}}
	for i, o := range owners {
		bitmap := "\x00\x01\x40"
		if i == 0 {
			bitmap = "\x00\x01\x62" // NS, SOA
		}
		recs = append(recs, rec{o, dns.TypeNSEC, string(name("x.example")) + bitmap})
	}
	rand.New(rand.NewPCG(5, 6)).Shuffle(len(recs), func(i, j int) { recs[i], recs[j] = recs[j], recs[i] })
	for i := range recs {
		recs[i].name = string(dnsname.AppendText(nil, name(recs[i].name)))
	}
	v := view(t, recs)
	n, _ := v.byName("example")
	s := v.Struct(n.Ctx)
	for i, o := range owners { // RFC 4034, section 6.1
		at, exact, ok := v.Chain(&s, dnsname.Lower(name(o)))
		if !ok || !exact || int(at) != i {
			t.Errorf("%s: at %d, %v %v", o, at, exact, ok)
		}
		after := dnsname.Lower(append([]byte("\x01\x00"), name(o)...))
		if at, exact, _ := v.Chain(&s, after); exact || int(at) != i {
			t.Errorf("below %s: at %d", o, at)
		}
	}
}

func TestDamageIsNoticed(t *testing.T) {
	c := makeCDB([]rec{{"a.test", dns.TypeA, "1234"}})
	id := Identity{Size: uint64(len(c)), Inode: 1, MTime: 2}
	idx, err := Build(c, id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range headerLen {
		bad := bytes.Clone(idx)
		bad[i] ^= 1
		if _, err := Open(bad, c); err == nil {
			t.Errorf("header byte %d changed: accepted", i)
		}
	}
	for n := range len(idx) {
		if _, err := Open(idx[:n], c); err == nil {
			t.Errorf("%d bytes accepted", n)
		}
	}
	if _, err := Open(idx, c[:len(c)-1]); err == nil {
		t.Error("shorter data accepted")
	}
	for n := cdb.HeaderLen; n < len(c); n++ {
		if _, err := Build(c[:n], id); err == nil && n != cdb.HeaderLen {
			t.Errorf("data.cdb of %d bytes accepted", n)
		}
	}
}

func FuzzBuild(f *testing.F) {
	f.Add(makeCDB([]rec{{"a.test", dns.TypeA, "1234"}, {"*.test", dns.TypeNS, "\x00"}}))
	f.Fuzz(func(t *testing.T, c []byte) {
		idx, err := Build(c, Identity{Size: uint64(len(c))})
		if err != nil {
			return
		}
		v, err := Open(idx, c)
		if err != nil {
			t.Fatal(err)
		}
		cdb.Reader(c).Each(func(key, data []byte) error {
			var r Record
			if len(key) > 1 && key[0] == 0 || !ParseData(data, &r) || r.Type == dns.TypeNSEC3 || r.Type == dns.TypeRRSIG || !wellFormed(r.Type, r.Data) {
				return nil
			}
			q := key
			if r.Wild {
				q = append([]byte{1, '*'}, key...)
			}
			n, ok := v.Find(q, Hash(v.seed, q))
			if !ok || v.Count(n) == 0 {
				t.Fatalf("%q lost", q)
			}
			return nil
		})
	})
}
