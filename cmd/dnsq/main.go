// Dnsq asks one server, without recursion; see dnsq(1).
package main

import (
	"bufio"

	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

// usage does not name the options: scripts compare it (compat: djbdns.md
// section 12); the manual page does.
const usage = "dnsq type name server"

func main() { prog.Main("dnsq", run) }

func run(args []string) error {
	q, rest, ok, err := tool.ParseQuery(args)
	if !ok || err == nil && len(rest) == 0 {
		return prog.Usage(usage)
	}
	if err != nil {
		return err
	}
	return tool.Run(box, func(r *stub.Resolver, out *bufio.Writer) error {
		if q.Servers, err = tool.Servers(r, rest[0]); err != nil {
			return prog.Fatal("unable to parse", err)
		}
		return q.Print(out)
	})
}
