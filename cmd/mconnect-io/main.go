// Mconnect-io is the inner half of mconnect; see mconnect(1). It copies
// standard input to descriptor 7 with CR before each LF, and descriptor 6 to
// standard output.
package main

import (
	"os"

	"bulkhead/internal/crlf"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

// Descriptors of the connection (UNIX Client-Server Program Interface).
const readFD, writeFD = 6, 7

func main() { prog.Main("mconnect-io", run) }

func run([]string) error {
	server, network := os.NewFile(readFD, "server"), os.NewFile(writeFD, "network")
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	// The end of the input, or a server that reads no more, ends nothing: the
	// server may still have something to say.
	go crlf.Copy(os.Stdin.Read, network.Write, crlf.Adder{})
	// When the server ends, everything ends.
	buf := make([]byte, 1<<13)
	for {
		n, err := server.Read(buf)
		if n > 0 {
			if _, err := os.Stdout.Write(buf[:n]); err != nil {
				return prog.Exit(prog.ExitTemporary)
			}
		}
		if err != nil {
			if err.Error() == "EOF" {
				return nil
			}
			return prog.Exit(prog.ExitTemporary)
		}
	}
}
