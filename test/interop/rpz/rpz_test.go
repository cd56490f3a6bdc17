// Package rpz runs named, rpz-get and dnscache together: a response policy zone
// on its way from its server into answers.
package rpz

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/testbin"
)

const results = 16 // lines of rpz.sh

func TestPolicyZone(t *testing.T) {
	testbin.NeedRoot(t)
	testbin.Peer(t, "usr/sbin/named")
	testbin.Peer(t, "usr/bin/dig")
	bin := testbin.Dir(t, "tinydns", "tinydns-data", "dnscache", "rpz-get")
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	script, _ := filepath.Abs("rpz.sh")
	// a bound for servers that hang, nothing measured
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-n", "sh", script, bin)
	cmd.Dir = dir
	peers := testbin.PeersDir()
	cmd.Env = append(testbin.PeerEnv(), "PATH="+os.Getenv("PATH")+":"+filepath.Join(peers, "usr/sbin")+":"+filepath.Join(peers, "usr/bin"))
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	ok := strings.Count("\n"+out.String(), "\nok ")
	if err != nil || ok != results || strings.Contains(out.String(), "not ok ") {
		t.Errorf("%v, %d of %d\n%s", err, ok, results, out.String())
		for _, l := range []string{"servers.log", "cache.log", "get.log"} {
			b, _ := os.ReadFile(filepath.Join(dir, l))
			t.Logf("--- %s\n%s", l, b[max(0, len(b)-4000):])
		}
	}
}
