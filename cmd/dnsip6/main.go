// Dnsip6 prints the IPv6 addresses of names, IPv4 ones in mapped form; see dnsip6(1).
package main

import (
	"bufio"

	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnsip6", run) }

func run(args []string) error {
	return tool.Each(box, args, func(r *stub.Resolver, out *bufio.Writer, arg string) error {
		addrs, err := r.Addresses(arg, stub.IPv6|stub.IPv4)
		if err != nil {
			return prog.Fatal("unable to find IP address for "+arg, err)
		}
		tool.Addresses(out, tool.Mapped(addrs))
		return nil
	})
}
