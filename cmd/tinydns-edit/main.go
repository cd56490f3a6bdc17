// Tinydns-edit adds a line to a data file; see tinydns-edit(8).
package main

import (
	"errors"
	"net/netip"
	"os"
	"syscall"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
	"bulkhead/internal/tinydata"
)

func main() { prog.Main("tinydns-edit", run) }

const usage = "tinydns-edit data data.new add [ns|childns|host|alias|mx] domain a.b.c.d"

func run(args []string) error {
	if len(args) < 5 || args[2] != "add" {
		return prog.Usage(usage)
	}
	kind, ok := tinydata.EditKinds[args[3]]
	if !ok {
		return prog.Usage(usage)
	}
	domain, err := dnsname.ParseDot(args[4])
	if err != nil {
		return prog.Fatal("out of memory", nil) // as ever; before the address is looked at
	}
	if len(args) < 6 {
		return prog.Usage(usage)
	}
	edit := tinydata.Edit{Kind: kind, Domain: domain}
	if edit.IP, ok = address(kind, args[5]); !ok {
		return prog.Usage(usage)
	}
	return replace(args[0], args[1], &edit)
}

func address(kind byte, s string) (netip.Addr, bool) {
	if kind == '6' || kind == '3' {
		ip, err := netip.ParseAddr(s)
		return ip, err == nil && ip.Is6() && ip.Zone() == ""
	}
	ip, _, ok := scan.IP4(s)
	return netip.AddrFrom4(ip), ok
}

func replace(fn, tmp string, edit *tinydata.Edit) error {
	// these two name the program twice and exit 100, as ever
	const again = "tinydns-edit: fatal: unable to "
	syscall.Umask(0o077)
	in, err := os.Open(fn)
	if err != nil {
		return prog.Permanent(again+"read "+fn, err)
	}
	st, err := in.Stat()
	if err != nil {
		return prog.Permanent(again+"read "+fn, err)
	}
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err == nil {
		err = out.Chmod(st.Mode() & 0o644)
	}
	if err != nil {
		return prog.Permanent(again+"write "+tmp, err)
	}
	err = edit.Run(in, out)
	var refused tinydata.Refused
	var reading *tinydata.ReadError
	var writing *tinydata.WriteError
	switch {
	case errors.As(err, &refused):
		return prog.Permanent(refused.Error(), nil)
	case errors.As(err, &reading):
		return prog.Permanent(again+"read "+fn, reading.Err)
	case errors.As(err, &writing):
		return prog.Permanent(again+"write "+tmp, writing.Err)
	case err != nil:
		return prog.Fatal("out of memory", nil) // a name that can not be read
	}
	if err = out.Sync(); err == nil {
		err = out.Close()
	}
	if err != nil {
		return prog.Permanent(again+"write "+tmp, err)
	}
	if err := syscall.Rename(tmp, fn); err != nil {
		return prog.Fatal("unable to move "+tmp+" to "+fn, err)
	}
	return nil
}
