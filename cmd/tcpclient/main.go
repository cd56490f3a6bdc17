// Tcpclient connects to a TCP server and runs a program with the connection on
// descriptors 6 and 7; see tcpclient(1).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/tcpclient"
)

func main() { prog.Main("tcpclient", tcpclient.Run) }
