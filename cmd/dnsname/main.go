// Dnsname prints the first name of addresses; see dnsname(1).
package main

import (
	"bufio"

	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnsname", run) }

func run(args []string) error {
	return tool.Each(box, args, func(r *stub.Resolver, out *bufio.Writer, arg string) error {
		ip, ok := env.ParseAddr(arg)
		if !ok {
			return prog.Fatal("unable to parse IP address "+arg, nil)
		}
		name, _, err := r.Name(ip)
		if err != nil {
			return prog.Fatal("unable to find host name for "+arg, err)
		}
		out.WriteString(name + "\n")
		return nil
	})
}
