#include "textflag.h"

#define SYS_prlimit64 302
#define RLIMIT_NOFILE 7

TEXT ·get(SB), NOSPLIT, $0-8
	MOVQ $0, DI
	MOVQ $RLIMIT_NOFILE, SI
	MOVQ $0, DX
	MOVQ l+0(FP), R10
	MOVQ $SYS_prlimit64, AX
	SYSCALL
	RET
