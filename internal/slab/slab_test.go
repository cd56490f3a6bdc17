package slab

import (
	"testing"
	"unsafe"
)

// What is handed out is zeroed, aligned, and nobody else's.
func TestGet(t *testing.T) {
	var s Slab
	var all [][]byte
	for i, n := range []int{1, 7, 8, 1000, huge - 16, 3*huge + 1, 0, 5, 64 << 10} {
		b := s.Get(n)
		if len(b) != n || cap(b) != n {
			t.Fatalf("asked for %d, got %d with room for %d", n, len(b), cap(b))
		}
		if n > 0 && uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
			t.Errorf("%d bytes are not aligned", n)
		}
		for j := range b {
			if b[j] != 0 {
				t.Fatalf("%d bytes: byte %d is %d", n, j, b[j])
			}
			b[j] = byte(i + 1)
		}
		all = append(all, b)
	}
	for i, b := range all {
		for j := range b {
			if b[j] != byte(i+1) {
				t.Fatalf("piece %d: byte %d was overwritten", i, j)
			}
		}
	}
}
