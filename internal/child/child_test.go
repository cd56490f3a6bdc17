package child

import (
	"os"
	"slices"
	"syscall"
	"testing"
)

func TestEnviron(t *testing.T) {
	got := Environ([]string{"A=1", "B=2", "A=3", "C=4"}, []Edit{{Name: "A", Value: "x"}, {Name: "B", Unset: true}, {Name: "D", Unset: true}})
	// the first A's slot is refilled by the last entry, then A is appended;
	// B's slot likewise
	if want := []string{"C=4", "A=x", "A=3"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestSearch(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a", "b", "c"} {
		os.Mkdir(dir+"/"+d, 0o755)
	}
	os.WriteFile(dir+"/a/tool", nil, 0o644) // not executable
	os.WriteFile(dir+"/c/tool", []byte("#!/bin/sh\n"), 0o755)
	os.Mkdir(dir+"/b/tool", 0o755)
	t.Setenv("PATH", dir+"/none:"+dir+"/a:"+dir+"/b:"+dir+"/c")
	if f, err := Find("tool"); err != nil || f != dir+"/c/tool" {
		t.Fatal(f, err)
	}
	t.Setenv("PATH", dir+"/none:"+dir+"/b")
	if _, err := Find("tool"); err != syscall.EACCES {
		t.Fatalf("%v: the remembered error beats file does not exist", err)
	}
	if _, err := Find("nothing"); err != syscall.ENOENT {
		t.Fatal(err)
	}
}
