// Dnsip6q prints names as the rewriting rules change them, and their IPv6
// addresses, IPv4 ones in mapped form; see dnsip6q(1).
package main

import (
	"bufio"

	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnsip6q", run) }

func run(args []string) error {
	return tool.Each(box, args, func(r *stub.Resolver, out *bufio.Writer, arg string) error {
		addrs, fqdn, err := r.Qualify(arg, stub.IPv6|stub.IPv4)
		if err != nil {
			return prog.Fatal("unable to find IP address for "+arg, err)
		}
		out.WriteString(fqdn + " ")
		tool.Addresses(out, tool.Mapped(addrs))
		return nil
	})
}
