// Package interop runs scripts in which our programs and other servers meet, each
// in a network namespace and an empty folder of its own. For tests only.
package interop

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

// limit ends a script whose servers hang; nothing is measured.
const limit = 3 * time.Minute

// Script runs a script of the test's folder, which prints "ok WHAT" or "not ok
// WHAT" as many times as results says. It is called with the folder of our
// programs and args. peers are the files that it needs of the peers, programs
// those of ours, logs the files of its folder to show when it fails.
func Script(t *testing.T, script string, args []string, results int, peers, programs, logs []string) {
	t.Helper()
	testbin.NeedRoot(t)
	for _, p := range peers {
		testbin.Peer(t, p)
	}
	bin := testbin.Dir(t, programs...)
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	path, _ := filepath.Abs(script)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-n", "sh", path, bin}, args...)...)
	cmd.Dir = dir
	own := testbin.PeersDir()
	cmd.Env = append(testbin.PeerEnv(), "PATH="+os.Getenv("PATH")+":"+filepath.Join(own, "usr/sbin")+":"+filepath.Join(own, "usr/bin"))
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	ok := strings.Count("\n"+out.String(), "\nok ")
	if err == nil && ok == results && !strings.Contains(out.String(), "not ok ") {
		return
	}
	t.Errorf("%v, %d of %d\n%s", err, ok, results, out.String())
	for _, l := range logs {
		b, _ := os.ReadFile(filepath.Join(dir, l))
		t.Logf("--- %s\n%s", l, b[max(0, len(b)-4000):])
	}
}
