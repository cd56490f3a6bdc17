#include "textflag.h"

// System calls and constants of linux/amd64.
#define SYS_rt_sigaction 13
#define SYS_arch_prctl 158
#define ARCH_SET_FS 0x1002
#define SIG_IGN 1
#define NSIG 64

// entryInit is called by rt0_go, on the system stack, before anything of Go
// works: it may use registers and system calls, nothing else.
TEXT entryInit(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BP
	MOVQ SP, BP
	SUBQ $64, SP            // struct sigaction of the kernel: 32 bytes
	ANDQ $~15, SP
	MOVQ $1, R12            // signal
	MOVQ $0, R13            // bit n-1 = signal n was ignored
next:
	MOVQ $SYS_rt_sigaction, AX
	MOVQ R12, DI
	MOVQ $0, SI             // change nothing
	LEAQ 0(SP), DX
	MOVQ $8, R10            // size of the mask, in bytes
	SYSCALL
	CMPQ AX, $0
	JNE skip
	CMPQ 0(SP), $SIG_IGN
	JNE skip
	MOVQ R12, CX
	DECQ CX
	MOVQ $1, BX
	SHLQ CX, BX
	ORQ BX, R13
skip:
	INCQ R12
	CMPQ R12, $NSIG
	JLE next
	MOVQ R13, ·ignored(SB)
	// With an _cgo_init the runtime leaves thread-local storage to it. Go keeps
	// its g at -8(FS).
	LEAQ ·tls+16(SB), SI
	MOVQ $ARCH_SET_FS, DI
	MOVQ $SYS_arch_prctl, AX
	SYSCALL
	MOVQ BP, SP
	POPQ BP
	RET
