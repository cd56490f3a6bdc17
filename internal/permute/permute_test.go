package permute

import "testing"

func TestBijection(t *testing.T) {
	for _, bits := range []uint{0, 8, 16, 24} {
		p := New(bits, [4]uint64{1, 2, 3, 4})
		seen := make([]bool, 1<<bits)
		for i := range seen {
			v := p.At(uint32(i))
			if seen[v] {
				t.Fatalf("%d bits: %d comes twice", bits, v)
			}
			seen[v] = true
		}
	}
}

func TestKeysMatter(t *testing.T) {
	a, b := New(32, [4]uint64{1, 2, 3, 4}), New(32, [4]uint64{1, 2, 3, 5})
	same := 0
	for i := uint32(0); i < 1000; i++ {
		if a.At(i) == b.At(i) {
			same++
		}
	}
	if same > 5 {
		t.Fatalf("%d of 1000 places are the same", same)
	}
}
