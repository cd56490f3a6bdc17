// Dnstrace follows the delegations to a name from root servers; see
// dnstrace(1).
package main

import (
	"bufio"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/errtext"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/show"
	"bulkhead/internal/stub"
	"bulkhead/internal/tool"
	"bulkhead/internal/trace"
)

const usage = "dnstrace type name rootip ..."

func main() { prog.Main("dnstrace", run) }

func run(args []string) error {
	t := trace.Trace{ErrText: errtext.Of}
	picture, port, full := "", uint16(dns.Port), false
	o := getopt.New(args, "6ds:p:")
	for c := o.Next(); c != 0; c = o.Next() {
		full = true
		switch c {
		case '6':
			t.IPv6 = true
		case 'd':
			t.DNSSEC = true
		case 's':
			picture = o.Arg
		case 'p':
			n, err := strconv.ParseUint(o.Arg, 10, 16)
			if err != nil {
				return prog.Usage(usage)
			}
			port = uint16(n)
		default:
			return prog.Usage(usage)
		}
	}
	args = o.Args()
	if len(args) < 2 {
		return prog.Usage(usage)
	}
	typ, ok := show.ParseType(args[0], full)
	if !ok {
		return prog.Usage(usage)
	}
	// "out of memory" is what 1.05 says here (compat: djbdns.md section 12)
	name, err := dnsname.ParseDot(args[1])
	if err != nil {
		return prog.Fatal("out of memory", nil)
	}
	var svg *os.File
	if picture != "" { // opened before the walls rise
		if svg, err = os.Create(picture); err != nil {
			return prog.Fatal("unable to create "+picture, err)
		}
	}
	progress := isTerminal(os.Stderr) && !isTerminal(os.Stdout)
	return tool.Run(box, func(r *stub.Resolver, _ *bufio.Writer) error {
		family := stub.IPv4
		if t.IPv6 {
			family |= stub.IPv6
		}
		var roots []netip.Addr
		for _, a := range args[2:] {
			ips, _, err := r.Qualify(a, family)
			if ip, err6 := netip.ParseAddr(a); err6 == nil && ip.Is6() {
				ips, err = []netip.Addr{ip}, nil
			}
			if err != nil {
				return prog.Fatal("out of memory", nil)
			}
			roots = append(roots, ips...)
		}
		if len(roots) == 0 {
			return nil
		}
		out := bufio.NewWriter(os.Stdout)
		t.Ask = func(q trace.Question) ([]byte, time.Duration, error) {
			out.Flush() // what is known is shown before the next wait
			start := time.Now()
			msg, err := stub.Exchange(&stub.Question{Name: q.Name, Type: q.Type, EDNS: true, DO: t.DNSSEC,
				Servers: []netip.AddrPort{netip.AddrPortFrom(q.IP, port)}})
			return msg, time.Since(start), err
		}
		t.Emit = func(line string) { out.WriteString(line + "\n") }
		if progress {
			t.Tell = func(asked, tasks int) {
				os.Stderr.WriteString("\rdnstrace: " + strconv.Itoa(asked) + " of " + strconv.Itoa(tasks) + " questions\x1b[K")
			}
			defer os.Stderr.WriteString("\r\x1b[K")
		}
		t.Run(typ, name, roots)
		t.Check(time.Now().Unix())
		if t.DNSSEC {
			for _, z := range t.Zones() {
				if z.Chain != "" {
					t.Emit("0:" + z.Name.Text() + ":" + z.Parent.Text() + ":chain:" + z.Chain)
				}
			}
		}
		if err := out.Flush(); err != nil {
			return prog.Fatal("unable to write output", err)
		}
		if svg != nil {
			if _, err := svg.WriteString(t.SVG("delegations to " + name.Text() + ", type " + typ.String())); err != nil {
				return prog.Fatal("unable to write "+picture, err)
			}
			if err := svg.Close(); err != nil {
				return prog.Fatal("unable to write "+picture, err)
			}
		}
		return nil
	})
}

// isTerminal takes any character device but /dev/null for a terminal.
func isTerminal(f *os.File) bool {
	var st, null syscall.Stat_t
	if syscall.Fstat(int(f.Fd()), &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFCHR {
		return false
	}
	return syscall.Stat("/dev/null", &null) != nil || st.Rdev != null.Rdev
}
