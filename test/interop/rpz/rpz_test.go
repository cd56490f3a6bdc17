// Package rpz runs named, rpz-get and dnscache together: a response policy zone
// on its way from its server into answers.
package rpz

import (
	"testing"

	"bulkhead/test/interop"
)

const results = 21 // lines of rpz.sh

func TestPolicyZone(t *testing.T) {
	interop.Script(t, "rpz.sh", nil, results, []string{"usr/sbin/named", "usr/bin/dig"},
		[]string{"tinydns", "tinydns-data", "dnscache", "rpz-get"}, []string{"servers.log", "cache.log", "get.log", "key.log"})
}
