// Dnsip prints the IPv4 addresses of names; see dnsip(1).
package main

import (
	"bufio"

	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnsip", run) }

func run(args []string) error {
	return tool.Each(box, args, func(r *stub.Resolver, out *bufio.Writer, arg string) error {
		addrs, err := r.Addresses(arg, stub.IPv4)
		if err != nil {
			return prog.Fatal("unable to find IP address for "+arg, err)
		}
		tool.Addresses(out, addrs)
		return nil
	})
}
