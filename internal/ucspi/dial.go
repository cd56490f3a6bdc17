package ucspi

import (
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to remote within limit. A local address that is not valid or
// unspecified with port 0 is left to the kernel. The descriptor is blocking
// and closes on exec. BindError wraps what bind(2) said.
func Dial(local, remote netip.AddrPort, limit time.Duration) (fd int, err error) {
	fd, err = Socket(remote.Addr())
	if err != nil {
		return -1, err
	}
	if local.IsValid() {
		if err := Bind(fd, local); err != nil {
			unix.Close(fd)
			return -1, &BindError{err}
		}
	}
	if err := Connect(fd, remote, limit); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// BindError is a failure to use the local address.
type BindError struct{ Err error }

func (e *BindError) Error() string { return e.Err.Error() }
func (e *BindError) Unwrap() error { return e.Err }

// Socket makes a TCP socket of the family of a.
func Socket(a netip.Addr) (int, error) {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// Bind gives a socket its local address.
func Bind(fd int, a netip.AddrPort) error {
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	return unix.Bind(fd, Sockaddr(a))
}

// Connect connects fd within limit and leaves it blocking.
func Connect(fd int, remote netip.AddrPort, limit time.Duration) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	err := unix.Connect(fd, Sockaddr(remote))
	if err == unix.EINPROGRESS || err == unix.EINTR {
		if err = Wait(fd, unix.POLLOUT, time.Now().Add(limit)); err != nil {
			return err
		}
		code, e := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if e != nil {
			return e
		}
		if code != 0 {
			return syscall.Errno(code)
		}
	} else if err != nil {
		return err
	}
	return unix.SetNonblock(fd, false)
}

// Wait waits until fd is ready for events or the deadline has passed
// (syscall.ETIMEDOUT).
func Wait(fd int, events int16, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return syscall.ETIMEDOUT
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(p, int(min(left/time.Millisecond+1, 1<<30)))
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return err
		}
	}
}

// Sockaddr gives a in the form of system calls.
func Sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	s := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if z := a.Addr().Zone(); z != "" {
		s.ZoneId, _ = InterfaceIndex(z)
	}
	return s
}

// AddrPort gives an address as system calls have it; zone is the interface
// index of a scoped one.
func AddrPort(sa unix.Sockaddr) (a netip.AddrPort, zone uint32) {
	switch s := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port)), 0
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr), uint16(s.Port)), s.ZoneId
	}
	return netip.AddrPort{}, 0
}

// InterfaceIndex gives the number of a network interface.
func InterfaceIndex(name string) (uint32, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := onSocket(unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, err
	}
	return ifr.Uint32(), nil
}

// InterfaceName gives the name of a network interface, "" if there is none.
func InterfaceName(index uint32) string {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(index)
	if onSocket(unix.SIOCGIFNAME, ifr) != nil {
		return ""
	}
	return ifr.Name()
}

func onSocket(request uint, ifr *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, request, ifr)
}
