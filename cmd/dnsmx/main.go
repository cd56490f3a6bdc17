// Dnsmx prints the mail exchangers of names; see dnsmx(1).
package main

import (
	"bufio"
	"strconv"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnsmx", run) }

func run(args []string) error {
	return tool.Each(box, args, func(r *stub.Resolver, out *bufio.Writer, arg string) error {
		name, err := dnsname.ParseDot(arg)
		var list []stub.MX
		if err == nil {
			list, err = r.MX(name)
		}
		if err != nil {
			return prog.Fatal("unable to find MX records for "+arg, err)
		}
		if len(list) == 0 {
			// without MX a name is its own exchanger (RFC 5321, section 5.1)
			list = []stub.MX{{Preference: 0, Exchanger: name}}
		}
		for _, mx := range list {
			out.WriteString(strconv.Itoa(int(mx.Preference)) + " " + mx.Exchanger.Text() + "\n")
		}
		return nil
	})
}
