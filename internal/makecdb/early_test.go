package makecdb

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestEarly: whatever the sizes of the pieces, the file is what was written,
// and it is written in whole huge pages, but for a first piece after Seek.
func TestEarly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := &early{File: f}
	var want []byte
	put := func(n int) {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		want = append(want, p...)
		if k, err := e.Write(p); k != n || err != nil {
			t.Fatalf("wrote %d of %d: %v", k, n, err)
		}
	}
	for range 40 {
		put(r.IntN(hugePage / 2))
		if e.pos%hugePage != 0 {
			t.Fatalf("wrote up to %d, not whole pages", e.pos)
		}
	}
	put(3 * hugePage) // one piece longer than a page
	// the header anew, then on behind what is there, as cdb.Writer does
	if _, err := e.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	head := []byte("header")
	if _, err := e.Write(head); err != nil {
		t.Fatal(err)
	}
	copy(want, head)
	if _, err := e.Seek(int64(len(want)), io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		put(hugePage)
		if e.pos%hugePage != 0 {
			t.Fatalf("wrote up to %d, not whole pages", e.pos)
		}
	}
	// over what is written, and on behind what still waits
	put(100)
	if _, err := e.WriteAt(head, 3); err != nil {
		t.Fatal(err)
	}
	copy(want[3:], head)
	more := []byte("more")
	for range 2 {
		if _, err := e.WriteAt(more, int64(len(want))); err != nil {
			t.Fatal(err)
		}
		want = append(want, more...)
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes in the file, %d written, equal: %v, %v", len(got), len(want), bytes.Equal(got, want), err)
	}
}
