// Package rlimit sets soft resource limits for the next program (compat:
// daemontools.md section 14) and finds out beforehand whether a Go program can
// start under them: the Go runtime needs far more address space than programs
// in C, and dies with a page of its own text where they would run.
package rlimit

import (
	"debug/elf"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"

	"bulkhead/internal/child"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
	"bulkhead/internal/spawn/nofile"
)

// Resources that package syscall does not name (asm-generic/resource.h).
const (
	rlimitRSS     = 5
	rlimitNPROC   = 6
	rlimitMEMLOCK = 8
)

// resources of each option letter, in the order they are set.
var resources = map[byte][]int{
	'a': {syscall.RLIMIT_AS},
	'c': {syscall.RLIMIT_CORE},
	'd': {syscall.RLIMIT_DATA},
	'f': {syscall.RLIMIT_FSIZE},
	'l': {rlimitMEMLOCK},
	'm': {syscall.RLIMIT_DATA, syscall.RLIMIT_STACK, rlimitMEMLOCK, syscall.RLIMIT_AS},
	'o': {syscall.RLIMIT_NOFILE},
	'p': {rlimitNPROC},
	'r': {rlimitRSS},
	's': {syscall.RLIMIT_STACK},
	't': {syscall.RLIMIT_CPU},
}

// Options is the specification for getopt.
const Options = "a:c:d:f:l:m:o:p:r:s:t:"

// limit is one setrlimit to come.
type limit struct {
	resource int
	value    syscall.Rlimit
}

// Limits collects what the options ask for; nothing takes effect before Exec.
type Limits struct {
	list   []limit
	words  []string // the options, for the message
	memory bool     // whether a limit is among them that the Go runtime feels at its start
}

// ErrUsage says that a value is neither a number nor "=".
var ErrUsage = &prog.Error{Code: prog.ExitPermanent}

// Add takes one option and its argument: digits, or "=" for the hard limit.
func (l *Limits) Add(letter byte, arg string) error {
	n, used := scan.Number(arg)
	if arg != "=" && used != len(arg) {
		return ErrUsage
	}
	for _, r := range resources[letter] {
		var v syscall.Rlimit
		if err := syscall.Getrlimit(r, &v); err != nil {
			return prog.Fatal("getrlimit failed", err)
		}
		if arg == "=" || n > v.Max {
			v.Cur = v.Max
		} else {
			v.Cur = n
		}
		l.list = append(l.list, limit{r, v})
	}
	if strings.IndexByte("adlmps", letter) >= 0 {
		l.words = append(l.words, "-"+string([]byte{letter})+" "+arg)
		l.memory = true
	}
	return nil
}

// probeArg is the argument with which the program starts itself to see whether
// a Go program can start under the limits; no user can mean it.
const probeArg = "\x01bulkhead-probe"

// Probe reports whether this process is the probe.
func Probe(args []string) bool { return len(args) > 0 && args[0] == probeArg }

// Exec sets the limits and runs argv. Everything it will need is looked up
// before, because little can be allocated afterwards.
func (l *Limits) Exec(argv, env []string) error {
	if l.memory {
		if err := l.check(argv, env); err != nil {
			return err
		}
	}
	return l.become(argv, env)
}

// become puts the limits into force and runs argv. Under them our own runtime
// may be unable to get a single page, and it would die of that before exec (of
// 1000 starts one to ten did). So everything is prepared, the other threads
// are brought to rest, and between the first limit and exec there are only
// system calls. Where no program could be run the old limits come back, which
// soft limits can, and the error is told in peace.
func (l *Limits) become(argv, env []string) error {
	fail := func(err error) error { return prog.Fatal("unable to run "+argv[0], err) }
	var files []*byte
	for _, f := range child.Candidates(argv[0]) {
		p, err := syscall.BytePtrFromString(f)
		if err != nil {
			return fail(err)
		}
		files = append(files, p)
	}
	argvp, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return fail(err)
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return fail(err)
	}
	// The runtime has raised the limit of open files for itself.
	start := syscall.Rlimit{Cur: nofile.Start[0], Max: nofile.Start[1]}
	list := append([]limit{{syscall.RLIMIT_NOFILE, start}}, l.list...)
	old := make([]syscall.Rlimit, len(list))
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1) // stops the world once: who had a thread is parked
	set := 0
	for ; set < len(list); set++ {
		if err = prlimit(list[set].resource, &list[set].value, &old[set]); err != nil {
			break
		}
	}
	failed := err != nil
	if !failed {
		err = child.Search(len(files), func(i int) error {
			_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(files[i])),
				uintptr(unsafe.Pointer(&argvp[0])), uintptr(unsafe.Pointer(&envp[0])))
			return errno
		})
	}
	for set--; set >= 0; set-- {
		prlimit(list[set].resource, &old[set], nil)
	}
	if failed {
		return prog.Fatal("setrlimit failed", err)
	}
	return fail(err)
}

// prlimit is prlimit(2) of this process, without a word to the runtime.
func prlimit(resource int, new, old *syscall.Rlimit) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, uintptr(resource),
		uintptr(unsafe.Pointer(new)), uintptr(unsafe.Pointer(old)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// check refuses limits under which the program, if it is one made with Go,
// can not even start.
func (l *Limits) check(argv, env []string) error {
	file, err := child.Find(argv[0])
	if err != nil || !isGo(file) {
		return nil
	}
	for _, x := range l.list {
		if x.value.Cur < leastForGo[x.resource] {
			return l.refuse(argv)
		}
	}
	// The probe is this very program, the smallest of its kind, under the
	// limits; it is started by a copy of this program that has set them.
	for _, margin := range probeMargins {
		pid, err := l.startProbe(env, margin)
		if err != nil {
			return nil // then nothing is known, and exec will tell
		}
		var ws syscall.WaitStatus
		if _, err := posix.Wait4(pid, &ws, 0); err != nil {
			return nil
		}
		if !ws.Exited() || ws.ExitStatus() != 0 {
			return l.refuse(argv)
		}
	}
	return nil
}

func (l *Limits) refuse(argv []string) error {
	return prog.Fatal("unable to run "+argv[0]+": it is a Go program, which can not start under "+
		strings.Join(l.words, " ")+"; leave out these limits, the program bounds its memory itself", nil)
}

// leastForGo, in bytes by resource, lies above all limits under which starts of
// one Go program differ, as its threads happen to come up: with 38 to 44 MB of
// data some starts fail; with 680 to 830 MB of address space, too; from 1.1 to
// 1.24 GB the runtime gets what it sets aside first, and then nothing more
// (measured with Go 1.26; from there on none of 10,000 starts failed).
var leastForGo = map[int]uint64{
	syscall.RLIMIT_DATA: 64 << 20,
	syscall.RLIMIT_AS:   3 << 29,
	// The runtime takes 64 KiB of the first stack as given; as much again is
	// for arguments, environment, and the kernel's random offset.
	syscall.RLIMIT_STACK: 128 << 10,
}

// probeMargins: the probes get an eighth, a sixteenth, a thirty-second part less
// than the program will have, and the same: another release of Go may need more
// than leastForGo, and the program may be larger than the probe.
var probeMargins = [...]uint64{8, 16, 32, 0}

// stackMargin, in bytes, is the least that the probe's stack is smaller: the
// kernel counts pages, and the program's arguments may fill some more.
const stackMargin = 16 << 10

// startProbe runs this program as child with the limits, less one part in
// margin (0: none), handed over in its arguments: resource, value, resource,
// value...
func (l *Limits) startProbe(env []string, margin uint64) (int, error) {
	argv := []string{"softlimit", probeArg}
	for _, x := range l.list {
		n := x.value.Cur
		if margin > 0 {
			switch x.resource {
			case syscall.RLIMIT_AS, syscall.RLIMIT_DATA:
				n -= n / margin
			case syscall.RLIMIT_STACK:
				n -= min(n, max(n/margin, stackMargin))
			}
		}
		argv = append(argv, posix.Itoa(x.resource), string(posix.AppendUint(nil, n)))
	}
	null, err := posix.Open("/dev/null", syscall.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(null)
	n := uintptr(null)
	return syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{Env: env, Files: []uintptr{n, n, n}})
}

// RunProbe is the probe's body: with limits in its arguments it sets them and
// becomes itself once more without; then being alive is the answer.
func RunProbe(args []string) error {
	args = args[1:]
	if len(args) == 0 {
		return nil
	}
	var l Limits
	for ; len(args) >= 2; args = args[2:] {
		r, _ := scan.Number(args[0])
		n, _ := scan.Number(args[1])
		var v syscall.Rlimit
		if err := syscall.Getrlimit(int(r), &v); err != nil {
			return prog.Fatal("getrlimit failed", err)
		}
		v.Cur = n
		l.list = append(l.list, limit{int(r), v})
	}
	return l.become([]string{"/proc/self/exe", probeArg}, os.Environ())
}

// isGo reports whether file is an ELF program made by the Go tools: they note
// a build ID under the name "Go", which stripping keeps.
func isGo(file string) bool {
	f, err := elf.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Section(".note.go.buildid") != nil
}
