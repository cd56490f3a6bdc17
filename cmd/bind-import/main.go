// Bind-import brings zones from BIND into the data language and proves that
// nothing was lost; see bind-import(1).
package main

import (
	"bulkhead/internal/bindimport"
	"bulkhead/internal/prog"
)

func main() {
	prog.Main("bind-import", func(args []string) error { return bindimport.Main(args, box) })
}
