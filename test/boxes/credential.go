package boxes

import "syscall"

func credential() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 61950, Gid: 61951}}
}
