// Package transfer moves zones between our programs and named, nsd and knotd.
package transfer

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

const results = 6 + 3 + 3*5 + 1 // lines of transfer.sh

func TestTransfers(t *testing.T) {
	testbin.NeedRoot(t)
	for _, p := range []string{"usr/sbin/named", "usr/sbin/nsd", "usr/sbin/knotd", "usr/bin/dig", "usr/bin/kdig", "usr/bin/drill"} {
		testbin.Peer(t, p)
	}
	bin := testbin.Dir(t, "tinydns", "tinydns-data", "axfrdns", "axfr-get", "tcpserver", "tcpclient", "tcprules")
	for _, way := range []string{"server", "tcpserver"} {
		t.Run(way, func(t *testing.T) {
			dir := t.TempDir()
			for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
				os.Chmod(d, 0o755)
			}
			here, _ := filepath.Abs(".")
			// a bound for servers that hang, nothing measured
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "unshare", "-n", "sh", filepath.Join(here, "transfer.sh"), bin, here, way)
			cmd.Dir = dir
			peers := testbin.PeersDir()
			cmd.Env = append(testbin.PeerEnv(), "PATH="+os.Getenv("PATH")+":"+filepath.Join(peers, "usr/sbin")+":"+filepath.Join(peers, "usr/bin"))
			cmd.WaitDelay = 5 * time.Second
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			ok := strings.Count("\n"+out.String(), "\nok ")
			if err != nil || ok != results || strings.Contains(out.String(), "not ok ") {
				log, _ := os.ReadFile(filepath.Join(dir, "servers.log"))
				if len(log) > 4000 {
					log = log[len(log)-4000:]
				}
				t.Errorf("%v, %d of %d\n%s\n--- servers\n%s", err, ok, results, out.String(), log)
			}
		})
	}
}
