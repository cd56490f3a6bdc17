// Tinydns-receive is the forced command of a secondary: it lets a primary put
// one file, and publishes it only if it is a sound data.cdb; see
// tinydns-receive(8).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/receive"
)

func main() { prog.Main("tinydns-receive", receive.Main) }
