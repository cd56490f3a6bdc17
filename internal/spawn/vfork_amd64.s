#include "textflag.h"

#define SYS_clone3 435

// func vfork(args *cloneArgs, size uintptr) (pid, errno uintptr)
//
// Child and parent come back on the same stack, the child first: what it
// writes there would overwrite our return address, so that is kept in a
// register.
TEXT ·vfork(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ $SYS_clone3, AX
	POPQ R12
	SYSCALL
	PUSHQ R12
	CMPQ AX, $0xfffffffffffff001
	JLS ok
	NEGQ AX
	MOVQ $0, pid+16(FP)
	MOVQ AX, errno+24(FP)
	RET
ok:
	MOVQ AX, pid+16(FP)
	MOVQ $0, errno+24(FP)
	RET
