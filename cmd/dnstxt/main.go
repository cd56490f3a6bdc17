// Dnstxt prints the text of names' TXT records; see dnstxt(1).
package main

import (
	"bufio"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnstxt", run) }

func run(args []string) error {
	return tool.Each(box, args, func(r *stub.Resolver, out *bufio.Writer, arg string) error {
		name, err := dnsname.ParseDot(arg)
		var text []byte
		if err == nil {
			text, _, err = r.Text(name)
		}
		if err != nil {
			return prog.Fatal("unable to find TXT records for "+arg, err)
		}
		for i, c := range text {
			if c < 32 || c > 126 { // safe on a terminal
				text[i] = '?'
			}
		}
		out.Write(append(text, '\n'))
		return nil
	})
}
