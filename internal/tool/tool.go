// Package tool is what the client tools share: their output, which is kept
// back until a run has succeeded, and the box they put themselves in before
// they read a stranger's bytes.
package tool

import (
	"bufio"
	"net/netip"
	"os"

	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/stub"
)

// bufferLen is how much output is kept back, bytes; on error what is in the
// buffer is lost (compat: djbdns.md section 12).
const bufferLen = 8192

// Run reads the resolver's configuration, confines the process and calls f
// with the resolver and the output. It flushes only if f succeeds.
func Run(box sandbox.Decl, f func(r *stub.Resolver, out *bufio.Writer) error) error {
	r := &stub.Resolver{EDNS: true}
	r.Freeze()
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, bufferLen)
	if err := f(r, out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	return nil
}

// Each is Run that calls f for each argument in order.
func Each(box sandbox.Decl, args []string, f func(r *stub.Resolver, out *bufio.Writer, arg string) error) error {
	if len(args) == 0 {
		return nil
	}
	return Run(box, func(r *stub.Resolver, out *bufio.Writer) error {
		for _, a := range args {
			if err := f(r, out, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Addresses writes a line of addresses, a space after each.
func Addresses(out *bufio.Writer, addrs []netip.Addr) {
	for _, a := range addrs {
		out.WriteString(a.String() + " ")
	}
	out.WriteByte('\n')
}

// Mapped turns IPv4 addresses into the IPv6 addresses that stand for them
// (RFC 4291, section 2.5.5.2): the form in which dnsip6 shows them.
func Mapped(addrs []netip.Addr) []netip.Addr {
	for i, a := range addrs {
		addrs[i] = netip.AddrFrom16(a.As16())
	}
	return addrs
}
