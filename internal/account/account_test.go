package account

import (
	"os"
	"path/filepath"
	"testing"
)

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

// TestGetent: an account that is not in the file is asked of getent, whatever
// PATH says; what getent prints is read as strictly as the file.
func TestGetent(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "getent")
	script := `#!/bin/sh
[ "$#.$1" = 2.passwd ] || exit 1
[ "$PATH" = /usr/bin:/bin ] || exit 1
case $2 in
ldap-user) echo 'ldap-user:*:7001:7002:L:/home/l:/bin/sh';;
other) echo 'another:*:1:2::/:';;
torn) printf 'torn:*:5';;
failed) echo 'failed:*:1:2::/:'; exit 2;;
killed) echo 'killed:*:1:2::/:'; kill -9 $$;;
endless) while :; do echo 'x:*:1:2::/:'; done;;
*) exit 2;;
esac
`
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	defer func(old []string) { getentFiles = old }(getentFiles)
	getentFiles = []string{filepath.Join(dir, "none"), fake}
	if id, ok := Lookup("ldap-user"); !ok || id != (IDs{7001, 7002}) {
		t.Errorf("ldap-user: %v %v", id, ok)
	}
	if id, ok := Lookup("root"); !ok || id != (IDs{0, 0}) {
		t.Errorf("root: %v %v", id, ok)
	}
	for _, name := range []string{"other", "torn", "failed", "killed", "endless", "nobody-knows", "-i"} {
		if id, ok := Lookup(name); ok {
			t.Errorf("%s: %v", name, id)
		}
	}
	getentFiles = []string{filepath.Join(dir, "none")}
	if id, ok := Lookup("ldap-user"); ok {
		t.Errorf("without getent: %v", id)
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
