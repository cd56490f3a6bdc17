package account

import "testing"

const text = "root:x:0:0:root:/root:/bin/sh\n" +
	"short:x:1\n" +
	"bad:x:one:1::/:\n" +
	"+nis:x:5:5::/:\n" +
	"none:x:4294967295:1::/:\n" +
	"wide:x:4294967296:1::/:\n" +
	"user:x:1000:100:U:/home/user:/bin/sh\n" +
	"user:x:1:1:second:/:\n" +
	"last:x:7:8:no newline:/:/bin/sh"

func TestFind(t *testing.T) {
	for name, want := range map[string]IDs{"root": {0, 0}, "user": {1000, 100}, "last": {7, 8}} {
		if got, ok := Find(text, name); !ok || got != want {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
	for _, name := range []string{"short", "bad", "+nis", "none", "wide", "0", "1000", "roo", "rooty", "x"} {
		if got, ok := Find(text, name); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range []string{"", "a:b", "a\nb", "-x", "0"} {
		if _, ok := Lookup(name); ok {
			t.Errorf("%q is an account", name)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(text, "user")
	f.Add(":::::\n\n", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		if name == "" {
			return
		}
		if id, ok := Find(text, name); ok && (id.UID < 0 || id.GID < 0) {
			t.Fatal(id)
		}
	})
}
