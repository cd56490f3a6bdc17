package sandbox

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// vm runs the filter as the kernel would and gives its verdict.
func vm(t *testing.T, d Decl) func(nr uint32, args ...uint32) uint32 {
	t.Helper()
	ins, err := assemble(d)
	if err != nil {
		t.Fatal(err)
	}
	return func(nr uint32, args ...uint32) uint32 {
		data := make([]byte, 64)
		put := func(off int, v uint32) { binary.NativeEndian.PutUint32(data[off:], v) }
		put(dataNr, nr)
		put(dataArch, auditArch)
		for i, a := range args {
			put(dataArgs+8*i, a)
		}
		v, err := run(ins, data)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// run is a machine for the few instructions that assemble uses.
func run(ins []unix.SockFilter, data []byte) (uint32, error) {
	var a uint32
	for pc := 0; ; pc++ {
		switch i := ins[pc]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.NativeEndian.Uint32(data[i.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == i.K {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			if a >= i.K {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K, nil
		default:
			return 0, textError("instruction the test does not know")
		}
	}
}

func TestFilterVerdicts(t *testing.T) {
	const allow, deny = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	reader := vm(t, Decl{Calls: "recvmmsg openat socket"})
	writer := vm(t, Decl{Calls: "openat socket", Write: []string{"."}, Sockets: []string{"tcp", "unix"}})
	getter := vm(t, Decl{Calls: "socket", Sockets: []string{"tcp"}})
	for _, c := range []struct {
		what string
		got  uint32
		want uint32
	}{
		{"own call", reader(unix.SYS_RECVMMSG), allow},
		{"runtime's call", reader(unix.SYS_FUTEX), allow},
		{"exec", reader(unix.SYS_EXECVE), deny},
		{"open for reading", reader(unix.SYS_OPENAT, 0, 0, unix.O_RDONLY|unix.O_CLOEXEC), allow},
		{"open for writing", reader(unix.SYS_OPENAT, 0, 0, unix.O_WRONLY), deny},
		{"open read and write", reader(unix.SYS_OPENAT, 0, 0, unix.O_RDWR), deny},
		{"create", reader(unix.SYS_OPENAT, 0, 0, unix.O_CREAT), deny},
		{"writer opens for writing", writer(unix.SYS_OPENAT, 0, 0, unix.O_WRONLY|unix.O_CREAT), allow},
		{"thread", reader(unix.SYS_CLONE, unix.CLONE_THREAD|unix.CLONE_VM), allow},
		{"process", reader(unix.SYS_CLONE, uint32(unix.SIGCHLD)), deny},
		{"executable memory", reader(unix.SYS_MMAP, 0, 0, unix.PROT_READ|unix.PROT_EXEC), deny},
		{"plain memory", reader(unix.SYS_MMAP, 0, 0, unix.PROT_READ|unix.PROT_WRITE), allow},
		{"IPv4 UDP socket", reader(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), allow},
		{"IPv6 UDP socket", reader(unix.SYS_SOCKET, unix.AF_INET6, unix.SOCK_DGRAM), allow},
		{"TCP socket", reader(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM), deny},
		{"unix socket", reader(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_DGRAM), deny},
		{"crypto socket", reader(unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_DGRAM), deny},
		{"writer's TCP socket", writer(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM), allow},
		{"writer's netlink socket", writer(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_STREAM), deny},
		{"writer's crypto socket", writer(unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_STREAM), deny},
		{"writer's unix socket", writer(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM), allow},
		{"getter's TCP socket", getter(unix.SYS_SOCKET, unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC), allow},
		{"getter's UDP socket", getter(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM), deny},
		{"naming memory", reader(unix.SYS_PRCTL, unix.PR_SET_VMA), allow},
		{"other prctl", reader(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE), deny},
		{"signal to another process", reader(unix.SYS_TGKILL, 1), deny},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", c.what, c.got, c.want)
		}
	}
}

func TestForeignArchitectureKills(t *testing.T) {
	ins, _ := assemble(Decl{Calls: "read"})
	data := make([]byte, 64)
	data[dataArch] = 1
	if v, _ := run(ins, data); v != unix.SECCOMP_RET_KILL_PROCESS {
		t.Fatalf("%#x", v)
	}
}

func TestUnknownCallIsAnError(t *testing.T) {
	if _, err := assemble(Decl{Calls: "no_such_call"}); err == nil {
		t.Fatal("accepted")
	}
}

func TestBothProcessorsKnowTheRuntimesCalls(t *testing.T) {
	for _, c := range strings.Fields(runtimeCalls) {
		if _, ok := number(c); !ok {
			t.Errorf("%s", c)
		}
	}
}

// The tree says of every number what the list says.
func TestFilterKnowsEveryNumber(t *testing.T) {
	d := Decl{Calls: "recvmmsg sendmmsg openat newfstatat fstat fcntl close rt_sigaction kill"}
	verdict := vm(t, d)
	listed := map[uint32]string{}
	for _, c := range CallList(d) {
		nr, _ := number(c)
		listed[nr] = c
	}
	free := 0
	for nr := uint32(0); nr < 1024; nr++ {
		c, in := listed[nr]
		if in && len(guards(d)[c]) == 0 {
			free++
		}
		if v := verdict(nr); v == unix.SECCOMP_RET_ALLOW && !in || v != unix.SECCOMP_RET_ALLOW && in && len(guards(d)[c]) == 0 {
			t.Errorf("number %d (%s): %#x", nr, c, v)
		}
	}
	if free < 20 {
		t.Errorf("only %d calls without conditions", free)
	}
}
