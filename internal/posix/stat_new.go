//go:build !arm64 && !riscv64 && !loong64

package posix

import "syscall"

const sysFstatat = syscall.SYS_NEWFSTATAT
