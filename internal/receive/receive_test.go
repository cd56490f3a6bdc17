package receive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
	"os/exec"
)

func TestCommand(t *testing.T) {
	for _, s := range []string{
		"rsync --server -tze.iLsfxCIvu --timeout=60 . data.cdb",
		"rsync --server -tz --timeout=60 . data.cdb",
		"rsync --server -vtze.LsfxCIvu --log-format=X . data.cdb",
	} {
		o, err := Command(s)
		if err != nil || strings.Join(o, " ") != strings.TrimSuffix(strings.TrimPrefix(s, "rsync "), " . data.cdb") {
			t.Errorf("%s: %q %v", s, o, err)
		}
	}
	for _, s := range []string{
		"", "sh", "rsync", "rsync --server --sender -tz . data.cdb", "rsync --server -tz . ../data.cdb", "rsync --server -tz . data.cdb /etc/passwd",
		"rsync --server -tz / data.cdb", "rsync --server -tz --rsync-path=sh . data.cdb", "rsync --server -tzl . data.cdb", "rsync --server -tzr . data.cdb",
		"rsync --server -tz --delete . data.cdb", "rsync --server -tz --timeout=x . data.cdb", "rsync --server -tz --inplace . data.cdb", "rsync --server -tze.i;sh . data.cdb",
		"rsync --server -tz --temp-dir=/ . data.cdb", "/bin/rsync --server -tz . data.cdb", "rsync --server -tz . data.cdb; sh", "rsync --daemon . data.cdb", strings.Repeat("a", 5000),
		"rsync --server - . data.cdb", "rsync --server -- . data.cdb",
	} {
		if o, err := Command(s); err == nil {
			t.Errorf("%s: passes as %q", s, o)
		}
	}
}

func TestPublish(t *testing.T) {
	bin := testbin.Dir(t, "tinydns-data")
	dir := t.TempDir()
	make := func(data string) string {
		d := t.TempDir()
		os.WriteFile(filepath.Join(d, "data"), []byte(data), 0o644)
		c := exec.Command(filepath.Join(bin, "tinydns-data"))
		c.Dir = d
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
		return filepath.Join(d, "data.cdb")
	}
	fn := filepath.Join(dir, "data.cdb")
	first := make(".a.test::ns\n%lo:10\n%l6:[2001\\072db8\\072\\072]/32\n+x.a.test:1.2.3.4:60::lo\n")
	if err := Publish(first, fn); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(fn)
	second := make("+y.a.test:1.2.3.4\n")
	b, _ := os.ReadFile(second)
	for name, bad := range map[string][]byte{"cut": b[:len(b)-3], "empty": nil, "text": []byte("hello"), "flipped": append(append([]byte{}, b[:2049]...), append([]byte{b[2049] ^ 0x40}, b[2050:]...)...)} {
		x := filepath.Join(dir, "x")
		os.WriteFile(x, bad, 0o644)
		if err := Publish(x, fn); err == nil {
			t.Errorf("%s: published", name)
		}
		if now, _ := os.ReadFile(fn); string(now) != string(old) {
			t.Fatalf("%s: the old file is gone", name)
		}
	}
	if err := Publish(second, fn); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(fn); string(now) != string(b) {
		t.Error("the new file is not there")
	}
}
