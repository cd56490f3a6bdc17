// Package transfer moves zones between our programs and named, nsd and knotd.
package transfer

import (
	"path/filepath"
	"testing"

	"bulkhead/test/interop"
)

const results = 6 + 3 + 3*5 + 1 // lines of transfer.sh

func TestTransfers(t *testing.T) {
	here, _ := filepath.Abs(".")
	for _, way := range []string{"server", "tcpserver"} {
		t.Run(way, func(t *testing.T) {
			interop.Script(t, "transfer.sh", []string{here, way}, results,
				[]string{"usr/sbin/named", "usr/sbin/nsd", "usr/sbin/knotd", "usr/bin/dig", "usr/bin/kdig", "usr/bin/drill"},
				[]string{"tinydns", "tinydns-data", "axfrdns", "axfr-get", "tcpserver", "tcpclient", "tcprules"}, []string{"servers.log"})
		})
	}
}
