// Package env reads a program's settings from its environment, one typed
// function a kind of value. Servers get them from one file a variable under
// env/ through envdir (see docs/format-env.md). Errors are ready for
// prog.Main: missing ones say "$X not set", bad ones what would be accepted.
package env

import (
	"net/netip"
	"os"
	"strings"

	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
)

// Require gives a variable that must be set.
func Require(name string) (string, error) {
	v, ok := os.LookupEnv(name)
	if !ok {
		return "", prog.Fatal("$"+name+" not set", nil)
	}
	return v, nil
}

// IsOn reports whether a switch is on. Old switches are on when they are set,
// even to nothing (compat: djbdns.md section 10, HIDETTL); in addition here
// "0" is off.
func IsOn(name string) bool {
	v, ok := os.LookupEnv(name)
	return ok && v != "0"
}

// Logs reports whether each query gets a line: $LOG turns that off with "0". Other
// values are no error, as they are for Default: the name is a common one, and what
// another program means by it must not keep a server from starting.
func Logs() bool { return os.Getenv("LOG") != "0" }

// Default gives a switch that is on by default: "0" turns it off, "1" or nothing
// leaves it on. Another value is an error: who writes "no" does not mean on.
func Default(name string) (on bool, err error) {
	switch v := os.Getenv(name); v {
	case "", "1":
		return true, nil
	case "0":
		return false, nil
	default:
		return false, prog.Fatal("unable to parse $"+name+": "+v+": neither 0 nor 1", nil)
	}
}

// Uint gives a decimal variable, def when it is unset or empty. What is not
// all digits or over max is an error with exit 111.
func Uint(name string, def, max uint64) (uint64, error) {
	v := os.Getenv(name)
	if v == "" {
		return def, nil
	}
	n, used := scan.Number(v)
	if used != len(v) || len(v) > 19 || n > max {
		return 0, prog.Fatal("unable to parse $"+name+": "+v+": not a number from 0 to "+utoa(max), nil)
	}
	return n, nil
}

// Addrs gives the addresses of $IP: IPv4 or IPv6, several separated by commas
// or, as one old patch has it, slashes. The first that does not parse is the
// error of compat: djbdns.md section 1.1.
func Addrs(name string) ([]netip.Addr, error) {
	v, err := Require(name)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for i, s := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == '/' }) {
		text := strings.TrimRight(s, " ")
		if i > 0 { // 1.05 takes no blank before its only address
			text = strings.TrimLeft(text, " ")
		}
		a, ok := ParseAddr(text)
		if !ok {
			return nil, prog.Fatal("unable to parse IP address "+s, nil)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, prog.Fatal("unable to parse IP address "+v, nil)
	}
	return out, nil
}

// ParseAddr reads an IPv6 address, or an IPv4 address the old way: octets
// modulo 256, anything after the fourth number ignored (compat: djbdns.md
// section 2.3).
func ParseAddr(s string) (netip.Addr, bool) {
	if strings.IndexByte(s, ':') >= 0 {
		a, err := netip.ParseAddr(s)
		return a.Unmap(), err == nil
	}
	a, _, ok := scan.IP4(s)
	return netip.AddrFrom4(a), ok
}

// Port gives $PORT, the DNS port when unset.
func Port(def uint16) (uint16, error) {
	n, err := Uint("PORT", uint64(def), 65535)
	return uint16(n), err
}

func utoa(n uint64) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
