package testbin

import (
	"os"
	"path/filepath"
	"testing"
)

// ci reports whether nothing may be skipped.
func ci() bool { return os.Getenv("CI") == "true" }

// Lack skips the test with a reason, or fails it where nothing may be skipped.
func Lack(t testing.TB, reason string) {
	t.Helper()
	if ci() {
		t.Fatal("CI must not skip this test: " + reason)
	}
	t.Skip("skipped: " + reason)
}

// NeedRoot is for tests that change ids, make namespaces or bind low ports.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Lack(t, "needs root")
	}
}

// PeersDir is where scripts/peers unpacks: $BULKHEAD_PEERS or the cache folder.
func PeersDir() string {
	if d := os.Getenv("BULKHEAD_PEERS"); d != "" {
		return d
	}
	c := os.Getenv("BULKHEAD_CACHE")
	if c == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if base == "" {
			base = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		c = filepath.Join(base, "bulkhead")
	}
	return filepath.Join(c, "peers")
}

// Peer gives the path of a peer's file, such as "usr/sbin/tinydns", among the
// packages of test/peers.txt.
func Peer(t testing.TB, file string) string {
	t.Helper()
	p := filepath.Join(PeersDir(), file)
	if _, err := os.Stat(p); err != nil {
		Lack(t, "no "+file+" here; run: scripts/peers $(cat test/peers.txt)")
	}
	return p
}

// PeerEnv is the environment for running peers: the libraries they brought.
func PeerEnv() []string {
	env := os.Environ()
	var libs string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"} {
		dirs, _ := filepath.Glob(filepath.Join(PeersDir(), pattern))
		for _, d := range dirs {
			libs += d + ":"
		}
	}
	if old := os.Getenv("LD_LIBRARY_PATH"); old != "" {
		libs += old
	}
	return append(env, "LD_LIBRARY_PATH="+libs)
}

// Shared gives the folder of fixtures that lies beside the source tree, with
// name below it.
func Shared(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(Root(), "..", "shared", name)
	if d := os.Getenv("BULKHEAD_SHARED"); d != "" {
		p = filepath.Join(d, name)
	}
	if _, err := os.Stat(p); err != nil {
		Lack(t, "no "+p+" here")
	}
	return p
}
