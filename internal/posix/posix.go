// Package posix holds the few system calls that the supervision programs need
// in exactly the form C has them: blocking, on bare descriptors, without the
// runtime's poller (which would cost two descriptors and more memory a process,
// and would switch inherited descriptors to non-blocking mode).
//
// Every function retries what a signal has interrupted.
package posix

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"unsafe"
)

// Events of Poll, from poll.h.
const (
	POLLIN  = 0x1
	POLLOUT = 0x4
	POLLERR = 0x8
	POLLHUP = 0x10
)

// PollFd is struct pollfd.
type PollFd struct {
	Fd      int32
	Events  int16
	Revents int16
}

// Step, when set, is called before every call that changes something, with its
// name. Tests set it to kill the process at each step in turn; it is nil in
// programs.
var Step func(call string)

func step(call string) {
	if Step != nil {
		Step(call)
	}
}

// retry calls f until a signal no longer gets in between.
func retry(f func() error) error {
	for {
		if err := f(); err != syscall.EINTR {
			return err
		}
	}
}

// Open opens a file; the descriptor is closed on exec.
func Open(name string, flags int, mode uint32) (fd int, err error) {
	if flags&syscall.O_CREAT != 0 {
		step("open")
	}
	err = retry(func() error {
		fd, err = syscall.Open(name, flags|syscall.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// OpenRead opens for reading without waiting for a FIFO's writer (compat:
// daemontools.md section 1.7, also for the two below).
func OpenRead(name string) (int, error) {
	return Open(name, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// OpenAppend opens for appending, created with mode 0600.
func OpenAppend(name string) (int, error) {
	return Open(name, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_APPEND|syscall.O_CREAT, 0o600)
}

// OpenTrunc opens for writing from the start, created with mode 0644.
func OpenTrunc(name string) (int, error) {
	return Open(name, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_TRUNC|syscall.O_CREAT, 0o644)
}

// Read is read(2).
func Read(fd int, p []byte) (n int, err error) {
	err = retry(func() error {
		n, err = syscall.Read(fd, p)
		return err
	})
	return n, err
}

// ReadAll reads a small file to its end, at most limit bytes.
func ReadAll(name string, limit int) ([]byte, error) {
	fd, err := OpenRead(name)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	return ReadFd(fd, limit)
}

// ReadFd reads a descriptor to its end, at most limit bytes.
func ReadFd(fd, limit int) ([]byte, error) {
	buf := make([]byte, 0, 256)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := Read(fd, buf[len(buf):cap(buf)])
		if err != nil {
			return buf, err
		}
		buf = buf[:len(buf)+n]
		if n == 0 {
			return buf, nil
		}
		if len(buf) > limit {
			return buf[:limit], syscall.EFBIG
		}
	}
}

// Write is write(2): it may write less than all.
func Write(fd int, p []byte) (n int, err error) {
	step("write")
	err = retry(func() error {
		n, err = syscall.Write(fd, p)
		return err
	})
	return n, err
}

// WriteAll writes all of p.
func WriteAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := Write(fd, p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// Rename, Unlink, Link, Fchmod, Chmod, Fsync, Mkdir, Mkfifo are the calls of those
// names.
func Rename(from, to string) error {
	step("rename")
	return retry(func() error { return syscall.Rename(from, to) })
}

func Unlink(name string) error {
	step("unlink")
	return retry(func() error { return syscall.Unlink(name) })
}

func Link(from, to string) error {
	step("link")
	return retry(func() error { return syscall.Link(from, to) })
}

func Fchmod(fd int, mode uint32) error {
	step("fchmod")
	return retry(func() error { return syscall.Fchmod(fd, mode) })
}

func Chmod(name string, mode uint32) error {
	step("chmod")
	return retry(func() error { return syscall.Chmod(name, mode) })
}

func Fsync(fd int) error {
	step("fsync")
	return retry(func() error { return syscall.Fsync(fd) })
}

func Mkdir(name string, mode uint32) error {
	step("mkdir")
	return retry(func() error { return syscall.Mkdir(name, mode) })
}

func Mkfifo(name string, mode uint32) error {
	step("mkfifo")
	return retry(func() error { return syscall.Mkfifo(name, mode) })
}

// ForkExec is syscall.ForkExec.
func ForkExec(file string, argv []string, attr *syscall.ProcAttr) (int, error) {
	step("fork")
	return syscall.ForkExec(file, argv, attr)
}

// IsFIFO reports whether an open descriptor is a FIFO.
func IsFIFO(fd int) bool {
	var st syscall.Stat_t
	return retry(func() error { return syscall.Fstat(fd, &st) }) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFIFO
}

// Exists reports whether name can be stat'ed; ENOENT is no error.
func Exists(name string) (bool, error) {
	var st syscall.Stat_t
	err := retry(func() error { return syscall.Stat(name, &st) })
	switch err {
	case nil:
		return true, nil
	case syscall.ENOENT:
		return false, nil
	}
	return false, err
}

// Entry is one name of a directory. Name is valid until the next call of the
// function that got it.
type Entry struct {
	name []byte // ended by a NUL
}

// Name gives the name, of which the caller makes a string if it keeps it.
func (e Entry) Name() []byte { return e.name[:len(e.name)-1] }

// Stat is stat(2) of the entry in the working directory: links are followed.
// It allocates nothing.
func (e Entry) Stat(st *syscall.Stat_t) error {
	const atCwd = ^uintptr(99) // AT_FDCWD, -100
	for {
		_, _, no := syscall.Syscall6(sysFstatat, atCwd, uintptr(unsafe.Pointer(&e.name[0])), uintptr(unsafe.Pointer(st)), 0, 0, 0)
		switch no {
		case 0:
			return nil
		case syscall.EINTR:
		default:
			return no
		}
	}
}

// Offsets in struct linux_dirent64 (getdents64(2)).
const (
	direntIno    = 0
	direntReclen = 16
	direntName   = 19
)

// EachEntry calls f for every name in the working directory but "." and "..",
// in its order. buf is where names are read to; for a caller that looks often
// nothing is allocated.
func EachEntry(buf []byte, f func(Entry)) error {
	fd, err := Open(".", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	for {
		n, err := syscall.ReadDirent(fd, buf)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		for b := buf[:n]; len(b) > direntName; {
			size := int(binary.NativeEndian.Uint16(b[direntReclen:]))
			name := b[direntName:size]
			name = name[:bytes.IndexByte(name, 0)+1]
			ino := binary.NativeEndian.Uint64(b[direntIno:])
			b = b[size:]
			if ino != 0 && string(name) != ".\x00" && string(name) != "..\x00" {
				f(Entry{name})
			}
		}
	}
}

// Lock takes the exclusive flock of fd, waiting for it if wait is set; a lock
// that another holds gives EAGAIN.
func Lock(fd int, wait bool) error {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	return retry(func() error { return syscall.Flock(fd, how) })
}

// Pipe makes a pipe whose ends are closed on exec.
func Pipe() (r, w int, err error) {
	var p [2]int
	err = syscall.Pipe2(p[:], syscall.O_CLOEXEC)
	return p[0], p[1], err
}

// Wait4 waits for a child; pid -1 is any, options may be WNOHANG.
func Wait4(pid int, ws *syscall.WaitStatus, options int) (got int, err error) {
	err = retry(func() error {
		got, err = syscall.Wait4(pid, ws, options, nil)
		return err
	})
	return got, err
}

// Poll waits until a descriptor is ready or nanoseconds have passed; below 0
// is forever. A signal ends it early with n 0.
func Poll(fds []PollFd, nanoseconds int64) (n int, err error) {
	var ts *syscall.Timespec
	if nanoseconds >= 0 {
		t := syscall.NsecToTimespec(nanoseconds)
		ts = &t
	}
	var p unsafe.Pointer
	if len(fds) > 0 {
		p = unsafe.Pointer(&fds[0])
	}
	r, _, no := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(p), uintptr(len(fds)), uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	if no == syscall.EINTR {
		return 0, nil
	}
	if no != 0 {
		return 0, no
	}
	return int(r), nil
}

// Sleep pauses for the nanoseconds, whatever signals come.
func Sleep(nanoseconds int64) {
	ts := syscall.NsecToTimespec(nanoseconds)
	for syscall.Nanosleep(&ts, &ts) == syscall.EINTR {
	}
}

// KeepOnExec takes close-on-exec from fd: the next program inherits it.
func KeepOnExec(fd int) {
	syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFD, 0)
}

// Blocking takes O_NONBLOCK from fd.
func Blocking(fd int) error { return syscall.SetNonblock(fd, false) }

// Itoa is strconv.Itoa without the package.
func Itoa(n int) string {
	var b [20]byte
	return string(AppendInt(b[:0], n))
}

// AppendInt appends n in decimal.
func AppendInt(dst []byte, n int) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	return AppendUint(dst, uint64(n))
}

// AppendUint appends n in decimal.
func AppendUint(dst []byte, n uint64) []byte {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(dst, b[i:]...)
		}
	}
}
