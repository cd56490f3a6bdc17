// Tcprulescheck shows what a rules file says about a client; see
// tcprulescheck(1).
package main

import (
	"os"
	"strings"
	"syscall"

	"bulkhead/internal/cdb"
	"bulkhead/internal/prog"
	"bulkhead/internal/tcprules"
)

func main() { prog.Main("tcprulescheck", run) }

func run(args []string) error {
	if len(args) < 1 {
		return prog.Usage("tcprulescheck rules.cdb")
	}
	c := tcprules.Client{IP: "0.0.0.0"}
	if v, ok := os.LookupEnv("TCPREMOTEIP"); ok {
		c.IP = v
	}
	c.Host, c.HostKnown = os.LookupEnv("TCPREMOTEHOST")
	c.Info, c.InfoKnown = os.LookupEnv("TCPREMOTEINFO")

	unable := func(err error) error { return prog.Fatal("unable to read "+args[0], err) }
	b, err := os.ReadFile(args[0])
	if err != nil {
		return unable(err)
	}
	if len(b) == 0 {
		return unable(syscall.EINVAL) // what mapping nothing says
	}
	rule, err := tcprules.Lookup(cdb.Reader(b), c)
	if err != nil {
		return unable(syscall.EPROTO)
	}
	var out strings.Builder
	if rule.Found {
		out.WriteString("rule " + rule.Key + ":\n")
	} else {
		out.WriteString("default:\n")
	}
	deny := rule.Each(func(name, value string) {
		out.WriteString("set environment variable " + name + "=" + value + "\n")
	})
	if deny {
		out.WriteString("deny connection\n")
	} else {
		out.WriteString("allow connection\n")
	}
	os.Stdout.WriteString(out.String())
	return nil
}
