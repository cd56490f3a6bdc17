// Djbdns-adopt prepares service directories of djbdns, daemontools and
// ucspi-tcp for Bulkhead's programs; see djbdns-adopt(8).
package main

import (
	"bulkhead/internal/adopt"
	"bulkhead/internal/prog"
)

func main() { prog.Main("djbdns-adopt", adopt.Main) }
