package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"bulkhead/internal/dns"
)

// plainNames writes names as Builder promises to: before each label the rest of
// the name is looked for among all that was recorded.
type plainNames struct {
	buf      []byte
	suffixes []string
	offsets  []int
}

func (p *plainNames) name(name []byte) {
	for ; len(name) > 1; name = name[1+name[0]:] {
		low := string(bytes.ToLower(name))
		for i, s := range p.suffixes {
			if s == low {
				p.buf = append(p.buf, 0xC0|byte(p.offsets[i]>>8), byte(p.offsets[i]))
				return
			}
		}
		if len(name) <= 128 && len(p.suffixes) < 100 && len(p.buf) < 0x4000 {
			p.suffixes = append(p.suffixes, low)
			p.offsets = append(p.offsets, len(p.buf))
		}
		p.buf = append(p.buf, name[:1+name[0]]...)
	}
	p.buf = append(p.buf, 0)
}

// randomName makes names that share suffixes, in both letter cases, some of
// them longer than what is recorded.
func randomName(r *rand.Rand) []byte {
	var name []byte
	for range 1 + r.IntN(4) {
		l := 1 + r.IntN(2)
		if r.IntN(8) == 0 {
			l = 50 + r.IntN(14)
		}
		if len(name)+1+l > 254 {
			break
		}
		name = append(name, byte(l))
		for range l {
			name = append(name, "abAB"[r.IntN(4)])
		}
	}
	return append(name, 0)
}

func TestNamesMatchPlainCompression(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b Builder
		b.Reset(nil, 65535, 1, 0)
		p := plainNames{buf: append([]byte(nil), b.buf...)}
		for range 200 {
			mark, old := b.Mark(), p
			for range 1 + r.IntN(4) {
				n := randomName(r)
				b.Name(n)
				p.name(n)
			}
			if r.IntN(5) == 0 {
				b.Rewind(mark)
				p = plainNames{old.buf[:len(old.buf):len(old.buf)], old.suffixes[:len(old.suffixes):len(old.suffixes)],
					old.offsets[:len(old.offsets):len(old.offsets)]}
			}
		}
		if !bytes.Equal(b.buf, p.buf) {
			t.Fatalf("seed %d: %d bytes, want %d", seed, len(b.buf), len(p.buf))
		}
	}
}

// manyNames differ in the middle and are as long as can be in 64 KB.
func manyNames() [][]byte {
	var names [][]byte
	for i := range 1000 {
		n := append([]byte{63}, bytes.Repeat([]byte("a"), 59)...)
		n = append(n, "0123456789"[i/100], "0123456789"[i/10%10], "0123456789"[i%10], 'z')
		names = append(names, append(n, 0))
	}
	return names
}

// TestManyNamesCost: a message that a stranger has filled with names costs no
// allocation, and comparisons do not grow with the number of suffixes recorded:
// a slot is seldom taken twice.
func TestManyNamesCost(t *testing.T) {
	names := manyNames()
	b := new(Builder)
	buf := make([]byte, 0, 65535)
	fill := func() {
		b.Reset(buf, 65535, 1, 0)
		b.Question([]byte("\x01a\x00"), dns.TypeMX, dns.ClassIN)
		for _, n := range names {
			b.Name(n)
		}
	}
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations", n)
	}
	chain, longest := 0, 0
	for _, s := range append(b.slots[:], b.slots[:]...) { // chains wrap around
		if chain++; s == 0 {
			chain = 0
		}
		longest = max(longest, chain)
	}
	// 100 of 256 slots: a chain of 60 has a probability below 1e-15
	if !b.hashed || longest >= 60 {
		t.Errorf("hashed: %v, the longest chain of slots is %d", b.hashed, longest)
	}
}

func BenchmarkManyNames(b *testing.B) {
	names := manyNames()
	m := new(Builder)
	buf := make([]byte, 0, 65535)
	for b.Loop() {
		m.Reset(buf, 65535, 1, 0)
		for _, n := range names {
			m.Name(n)
		}
	}
}

// TestBufferStays: what does not fit is taken back, and the message is where
// the caller wants it, whether or not its buffer has room for more.
func TestBufferStays(t *testing.T) {
	const max = 512
	long := append(append([]byte{63}, bytes.Repeat([]byte("a"), 63)...), 0)
	for _, room := range []int{max, max + Slack, 4096} {
		for _, c := range []struct {
			typ  dns.Type
			data []byte
		}{
			{dns.TypeTXT, make([]byte, 300)}, {dns.TypeTXT, make([]byte, 60000)}, {dns.TypeTXT, make([]byte, 70000)},
			{dns.TypeNS, long}, {dns.TypeMX, append([]byte{0, 1}, long...)}, {dns.TypeSOA, append(append(bytes.Clone(long), long...), make([]byte, 20)...)},
		} {
			buf := make([]byte, 0, room)
			var b Builder
			b.Reset(buf, max, 1, 0)
			b.Question([]byte{0}, c.typ, dns.ClassIN)
			if !b.RR(Answer, []byte{0}, dns.TypeTXT, dns.ClassIN, 1, make([]byte, 420)) {
				t.Fatal("the first record does not fit")
			}
			fits := b.Len()
			for range 2 {
				if b.RR(Answer, long, c.typ, dns.ClassIN, 1, c.data) {
					t.Errorf("room %d, type %d, %d bytes: fits", room, c.typ, len(c.data))
				}
			}
			b.SetBits(BitTC)
			if out := b.Finish(); &out[0] != &buf[:1][0] || len(out) != fits || out[7] != 1 || out[2] != BitTC>>8 {
				t.Errorf("room %d, type %d, %d bytes: another buffer, or %d bytes for %d, %x", room, c.typ, len(c.data), len(out), fits, out[:12])
			}
		}
	}
}
