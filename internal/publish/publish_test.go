package publish

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(s string) func(*bufio.Writer) error {
		return func(w *bufio.Writer) error { _, err := w.WriteString(s); return err }
	}
	if err := File("f", "f.tmp", write("one")); err != nil {
		t.Fatal(err)
	}
	if err := Quick("q", "q.tmp", write("one")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile("q"); string(b) != "one" {
		t.Fatalf("%q", b)
	}
	broken := errors.New("broken")
	if err := File("f", "f.tmp", func(w *bufio.Writer) error { w.WriteString("half"); return broken }); err != broken {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile("f"); string(b) != "one" {
		t.Fatalf("old content gone: %q", b)
	}
	os.Mkdir("dir", 0o755)
	os.WriteFile(filepath.Join("dir", "x"), nil, 0o644)
	if err := File("dir", "f.tmp", write("x")); err == nil || err.Error() != "fatal: unable to move f.tmp to dir: file already exists" && err.Error() != "fatal: unable to move f.tmp to dir: is a directory" {
		t.Fatal(err)
	}
	if err := File("f", "no/such/tmp", write("x")); err == nil || err.Error() != "fatal: unable to create no/such/tmp: file does not exist" {
		t.Fatal(err)
	}
}
