// Package clients_test runs Debian's client tools and ours side by side on a
// closed network of test servers: honest, lame, slow, looping, truncating,
// lying, refusing, silent and IPv6-only ones. Output, messages and exit codes
// must be the same, or a rule of docs/differences.md must say why not.
//
//	main_test.go     the closed network: namespace, addresses, files
//	servers_test.go  the servers and the messages they make
//	compare_test.go  the cases
//	modern_test.go   what is new: options, IPv6, ports, pictures, DNSSEC
//	million_test.go  a million lines in bounded memory
package clients_test

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const inside = "BULKHEAD_CLIENTS_INSIDE"

// resolvConf is /etc/resolv.conf inside.
const resolvConf = "# test\nsearch sub.test\ttest\nnameserver 127.0.0.2\n"

// TestMain runs the tests again in network and mount namespaces of their own,
// where port 53, all of 127/8 and /etc/resolv.conf are ours.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run()) // the tests say what they lack
	}
	if os.Getenv(inside) != "" {
		if err := arrange(); err != nil {
			os.Stderr.WriteString("no closed network: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread
	err := cmd.Run()
	var e *exec.ExitError
	if errors.As(err, &e) {
		os.Exit(e.ExitCode())
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// arrange makes the network, covers the resolver's file and starts the servers.
func arrange() error {
	if err := loopback(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "clients-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(file, []byte(resolvConf), 0o644); err != nil {
		return err
	}
	// Unshareflags made all mounts private already
	if err := unix.Mount(file, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return startServers()
}

// loopback turns the interface on and gives it IPv6 addresses for servers.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r); err != nil {
		return err
	}
	fd6, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd6)
	// a second address with its whole network, as 127.0.0.1 has, for signed zones
	alias, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	for _, set := range []struct {
		call uint
		ip   [4]byte
	}{{unix.SIOCSIFADDR, [4]byte{198, 18, 0, 0}}, {unix.SIOCSIFNETMASK, [4]byte{255, 254, 0, 0}}} {
		if err := alias.SetInet4Addr(set.ip[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.call, alias); err != nil {
			return err
		}
	}
	for ip := range servers {
		a := netip.MustParseAddr(ip)
		if !a.Is6() || a.IsLoopback() {
			continue
		}
		// struct in6_ifreq of linux/ipv6.h
		add := struct {
			addr    [16]byte
			length  uint32
			ifindex int32
		}{a.As16(), 128, int32(r.Uint32())}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd6), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&add))); e != 0 {
			return e
		}
		if err := usable(a); err != nil {
			return err
		}
	}
	return nil
}

// usable waits until the kernel lets a new IPv6 address be used: also on the
// loopback interface it is tentative (RFC 4862, section 5.4) until a worker of
// the kernel's has looked at it.
func usable(a netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for range 1000 {
		if err = unix.Bind(fd, &unix.SockaddrInet6{Addr: a.As16()}); err != unix.EADDRNOTAVAIL {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
