// Dnsfilter puts host names beside the addresses that lines begin with; see
// dnsfilter(1).
package main

import (
	"bufio"
	"os"
	"time"

	"bulkhead/internal/getopt"
	"bulkhead/internal/logfilter"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
)

func main() { prog.Main("dnsfilter", run) }

// Defaults and bounds of -c and -l (compat: djbdns.md section 12).
const (
	defaultLookups, maxLookups = 10, 1000
	defaultLines, maxLines     = 1000, 1000000
)

func run(args []string) error {
	lookups, lines := uint64(defaultLookups), uint64(defaultLines)
	o := getopt.New(args, "c:l:")
	for {
		switch o.Next() {
		case 'c':
			lookups, _ = scan.Number(o.Arg)
			continue
		case 'l':
			lines, _ = scan.Number(o.Arg)
			continue
		case '?':
			// exit 111, unlike everybody else
			return &prog.Error{Code: prog.ExitTemporary, Line: "usage: dnsfilter [ -c concurrency ] [ -l lines ]"}
		}
		break
	}
	return tool.Run(box, func(r *stub.Resolver, _ *bufio.Writer) error {
		if _, err := r.Servers(); err != nil {
			return prog.Fatal("unable to read /etc/resolv.conf", err)
		}
		f := logfilter.Filter{
			Lookups: int(min(max(lookups, 1), maxLookups)),
			Lines:   int(min(max(lines, 1), maxLines)),
			Name:    r.Name,
			Now:     time.Now,
		}
		if err := f.Run(os.Stdin, os.Stdout); err != nil {
			return prog.Fatal("unable to filter", err)
		}
		return nil
	})
}
