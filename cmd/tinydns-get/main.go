// Tinydns-get shows what tinydns would answer, from data.cdb in the current
// folder.
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydns"
)

func main() { prog.Main("tinydns-get", tinydns.Get) }
