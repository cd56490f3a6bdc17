// Tcpserver accepts TCP connections and runs a program for each; see
// tcpserver(1).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/tcpserver"
)

func main() { prog.Main("tcpserver", tcpserver.Run) }
