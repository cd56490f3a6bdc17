package cdb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/internal/testbin"

	"pgregory.net/rapid"
)

type pair struct{ key, data string }

// build makes a database; limit below maxClassic forces the 64-bit form.
func build(t testing.TB, recs []pair, limit uint64) Reader {
	t.Helper()
	m := &testbin.Memory{}
	w := NewWriter(m)
	w.limit = limit
	for _, r := range recs {
		if err := w.Add([]byte(r.key), []byte(r.data)); err != nil {
			t.Fatal(err)
		}
	}
	size, err := w.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if size != uint64(len(m.B)) {
		t.Fatalf("Seal said %d, the file has %d bytes", size, len(m.B))
	}
	return Reader(m.B)
}

// The reference's files must come out byte for byte when their records are
// taken out and put in again.
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob(testbin.Shared(t, "compat/golden") + "/*/data.cdb")
	more, _ := filepath.Glob(testbin.Shared(t, "compat/golden") + "/*/*/data.cdb")
	if files = append(files, more...); len(files) < 10 {
		t.Fatalf("only %d golden files", len(files))
	}
	for _, fn := range files {
		b, err := os.ReadFile(fn)
		if err != nil {
			t.Fatal(err)
		}
		var recs []pair
		if err := Reader(b).Each(func(k, d []byte) error { recs = append(recs, pair{string(k), string(d)}); return nil }); err != nil {
			t.Fatal(fn, err)
		}
		if got := build(t, recs, maxClassic); !bytes.Equal(got, b) {
			t.Errorf("%s: %d bytes, want %d", fn, len(got), len(b))
		}
		if err := Reader(b).Check(); err != nil {
			t.Errorf("%s: Check: %v", fn, err)
		}
	}
}

func TestHash(t *testing.T) {
	for key, want := range map[string]uint32{"": 5381, "a": 177604, "\xff": 177573 ^ 0xff} {
		if got := Hash(key); got != want {
			t.Errorf("Hash(%q) = %d, want %d", key, got, want)
		}
	}
}

// The dump in docs/format-cdb.md.
func TestDocumentedDump(t *testing.T) {
	r := build(t, []pair{{"one", "1"}}, maxClassic)
	doc, err := os.ReadFile(filepath.Join(testbin.Root(), "docs/format-cdb.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, l := range bytes.Split(doc, []byte("\n")) {
		var at int
		if n, _ := fmt.Sscanf(string(l), "    %08x  ", &at); n != 1 || len(l) < 20 || l[4] == '|' {
			continue
		}
		lines++
		for i, x := range bytes.Fields(l)[1:] {
			var b byte
			if n, err := fmt.Sscanf(string(x), "%02x", &b); n != 1 || err != nil || len(x) != 2 || i >= 16 {
				break
			}
			if r[at+i] != b {
				t.Errorf("%s: byte %d is %02x", l, i, r[at+i])
			}
		}
	}
	if lines != 4 || len(r) != 0x81c {
		t.Errorf("%d lines, %d bytes", lines, len(r))
	}
}

func TestEmpty(t *testing.T) {
	r := build(t, nil, maxClassic)
	// the sha256 of the reference's file for empty data
	if s := fmt.Sprintf("%x", sha256.Sum256(r)); s != "ad292543e381bc50175b6b6452ccc06e579755910a528c8dc7d18019279e1f3f" {
		t.Error("empty database:", s)
	}
	if d, err := r.Get([]byte("x")); d != nil || err != nil {
		t.Error(d, err)
	}
}

// model checks a database against a plain map of what went in.
func model(t rapidTB, r Reader, recs []pair) {
	want := map[string][]string{}
	for _, p := range recs {
		want[p.key] = append(want[p.key], p.data)
	}
	for key, list := range want {
		c := r.Find([]byte(key))
		for i, data := range list {
			d, err := c.Next()
			if err != nil || d == nil || string(d) != data {
				t.Fatalf("key %q record %d: %q, %v; want %q", key, i, d, err, data)
			}
		}
		if d, err := c.Next(); d != nil || err != nil {
			t.Fatalf("key %q after its last record: %q, %v", key, d, err)
		}
		if _, ok := want[key+"x"]; !ok {
			if d, err := r.Get([]byte(key + "x")); d != nil || err != nil {
				t.Fatalf("absent key: %q, %v", d, err)
			}
		}
	}
	i := 0
	err := r.Each(func(k, d []byte) error {
		if i >= len(recs) || string(k) != recs[i].key || string(d) != recs[i].data {
			t.Fatalf("record %d: %q %q", i, k, d)
		}
		i++
		return nil
	})
	if err != nil || i != len(recs) {
		t.Fatalf("Each: %d of %d, %v", i, len(recs), err)
	}
	if err := r.Check(); err != nil {
		t.Fatalf("Check: %v", err)
	}
}

type rapidTB interface {
	Fatalf(format string, args ...any)
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.OneOf(rapid.StringN(0, 4, 8), rapid.SampledFrom([]string{"a", "b", "", "aa"}))
		recs := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) pair {
			return pair{key.Draw(rt, "key"), rapid.StringN(0, 20, 40).Draw(rt, "data")}
		}), 0, 300).Draw(rt, "records")
		limit := rapid.SampledFrom([]uint64{maxClassic, 0}).Draw(rt, "limit")
		r := build(t, recs, limit)
		if got := r.is64(); got != (limit == 0) {
			rt.Fatalf("64-bit form: %v", got)
		}
		model(rt, r, recs)
	})
}

// Batches made apart give the same bytes as single Adds.
func TestBatches(t *testing.T) {
	var recs []pair
	for i := range 20000 {
		recs = append(recs, pair{fmt.Sprint("key", i%15000), fmt.Sprint("data", i)})
	}
	m := &testbin.Memory{}
	w := NewWriter(m)
	var b Batch
	for i, r := range recs {
		if i >= 500 && i < 700 { // a few by the other way in between
			if b.Count() > 0 {
				if err := w.Append(&b); err != nil {
					t.Fatal(err)
				}
				b.Reset()
			}
			if err := w.Add([]byte(r.key), []byte(r.data)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		b.Add([]byte(r.key), []byte(r.data))
		if i%777 == 0 {
			b.Seal()
			if err := w.Append(&b); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	if err := w.Append(&b); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.B, build(t, recs, maxClassic)) {
		t.Error("batches and single records differ")
	}
	model(t, m.B, recs)
}

// What is one byte too long for 32 bits takes the 64-bit form; the limit is
// the reference's: the end of the last table must be below 2^32.
func TestFormChosen(t *testing.T) {
	recs := []pair{{"a", "1"}, {"b", "2"}}
	size := uint64(len(build(t, recs, maxClassic)))
	if build(t, recs, size).is64() || !build(t, recs, size-1).is64() {
		t.Error("64-bit form not chosen at the limit")
	}
}

// To a reader that knows only the classic form a 64-bit file must never yield
// a record: not a key that is there, not one that is not.
func TestClassicReaderOn64(t *testing.T) {
	var recs []pair
	for i := range 1000 {
		recs = append(recs, pair{fmt.Sprint(i), "data"})
	}
	r := build(t, recs, 0)
	for i := range 256 {
		pos, slots := binary.LittleEndian.Uint32(r[8*i:]), binary.LittleEndian.Uint32(r[8*i+4:])
		if slots != 0 {
			t.Fatalf("classic header: table %d has %d slots", i, slots)
		}
		if pos >= HeaderLen {
			t.Fatalf("classic header: table %d is where a classic table could be", i)
		}
	}
	// and without its tail it is damaged, in either view
	for _, cut := range []int{1, 8, 16, headerLen64, len(r) - HeaderLen} {
		short := r[:len(r)-cut]
		if d, err := short.Get([]byte("1")); err != ErrFormat {
			t.Errorf("cut by %d: %q, %v", cut, d, err)
		}
		if short.Check() != ErrFormat {
			t.Errorf("cut by %d passes Check", cut)
		}
	}
}

// Every single byte changed in header or tables must not go unnoticed by
// Check, and must never make the reader fault.
func TestDamage(t *testing.T) {
	var recs []pair
	for i := range 40 {
		recs = append(recs, pair{fmt.Sprint(i), "data"})
	}
	for _, limit := range []uint64{maxClassic, 0} {
		r := build(t, recs, limit)
		_, end, _ := r.Records()
		for i := range r {
			if i >= HeaderLen && uint64(i) < end {
				continue // data may be anything
			}
			for _, x := range []byte{1, 0x80} {
				r[i] ^= x
				err := r.Check()
				for _, p := range recs {
					r.Get([]byte(p.key))
				}
				if err == nil {
					t.Errorf("byte %d of %d changed: passes Check", i, len(r))
				}
				r[i] ^= x
			}
		}
	}
}

func TestFindAllocates(t *testing.T) {
	for _, limit := range []uint64{maxClassic, 0} {
		r := build(t, []pair{{"a", "1"}, {"b", "2"}, {"a", "3"}}, limit)
		key := []byte("a")
		if n := testing.AllocsPerRun(100, func() {
			for c := r.Find(key); ; {
				if d, _ := c.Next(); d == nil {
					break
				}
			}
		}); n != 0 {
			t.Errorf("%v allocations a search", n)
		}
	}
}

// A real file beyond 4 GiB takes 5 GB of disk, so only on demand.
func TestOver4GiB(t *testing.T) {
	if os.Getenv("BULKHEAD_BIGCDB") == "" {
		t.Skip("set BULKHEAD_BIGCDB=1 to write a 5 GB file")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "big.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := NewWriter(f)
	data := make([]byte, 1<<20)
	for i := range 4500 {
		binary.LittleEndian.PutUint64(data, uint64(i))
		if err := w.Add(fmt.Append(nil, i), data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	r := mapFile(t, f)
	if !r.is64() {
		t.Fatal("classic form")
	}
	for i := range 4500 {
		d, err := r.Get(fmt.Append(nil, i))
		if err != nil || len(d) != 1<<20 || binary.LittleEndian.Uint64(d) != uint64(i) {
			t.Fatalf("record %d: %d bytes, %v", i, len(d), err)
		}
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
}

// FuzzReader feeds damaged files: no fault, and Check never passes a file in
// which a record can not be found by its key.
func FuzzReader(f *testing.F) {
	recs := []pair{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"", "x"}, {"long key", ""}}
	f.Add([]byte(build(f, recs, maxClassic)), []byte("a"))
	f.Add([]byte(build(f, recs, 0)), []byte("b"))
	f.Add([]byte(build(f, nil, maxClassic)), []byte(""))
	f.Add(make([]byte, 100), []byte("short"))
	f.Fuzz(func(t *testing.T, b, key []byte) {
		r := Reader(b)
		c := r.Find(key)
		for i := 0; ; i++ {
			d, err := c.Next()
			if d == nil || err != nil {
				break
			}
			if i > len(b) {
				t.Fatal("search does not end")
			}
		}
		if r.Check() == nil {
			err := r.Each(func(k, d []byte) error {
				if got, err := r.Get(k); err != nil || got == nil {
					t.Fatalf("key %q not found in a file that passed Check: %v", k, err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
