// Dnsqr asks the cache; see dnsqr(1).
package main

import (
	"bufio"

	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

// usage does not name the options: scripts compare it (compat: djbdns.md
// section 12); the manual page does.
const usage = "dnsqr type name"

func main() { prog.Main("dnsqr", run) }

func run(args []string) error {
	q, rest, ok, err := tool.ParseQuery(args)
	if !ok || err == nil && len(rest) > 0 {
		return prog.Usage(usage)
	}
	if err != nil {
		return err
	}
	return tool.Run(box, func(r *stub.Resolver, out *bufio.Writer) error {
		q.RD = true
		if q.Servers, err = r.Servers(); err != nil {
			return prog.Fatal("unable to read /etc/resolv.conf", err)
		}
		return q.Print(out)
	})
}
