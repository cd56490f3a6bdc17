// Package sandbox puts a program into its box, from one declaration: chroot,
// own uid and gid, no new privileges, Landlock, seccomp, resource limits. The
// order is the security (compat: djbdns.md section 1.2).
package sandbox

import (
	"os"
	"syscall"

	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
)

// Decl says what one program needs after its start. Everything it does not
// name is taken away.
type Decl struct {
	Program string
	Read    []string // files and folders it reads, relative to ROOT
	Write   []string // folders it writes in, relative to ROOT
	Sockets []string // sockets it makes after Enter: "udp", "tcp", "unix"
	Exec    bool     // whether it may start programs
}

// Enter confines the process: ROOT, GID and UID come from the environment, in
// this order and with the messages of the old programs. Without root
// privileges chroot and the change of ids are left out; what a user can do is
// done all the same.
func Enter(d Decl) error {
	root, err := env.Require("ROOT")
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return prog.Fatal("unable to chdir to "+root, err)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if err := syscall.Chroot("."); err != nil {
		return prog.Fatal("unable to chroot to "+root, err)
	}
	gid, err := id("GID")
	if err != nil {
		return err
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return prog.Fatal("unable to setgid", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return prog.Fatal("unable to setgid", err)
	}
	uid, err := id("UID")
	if err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return prog.Fatal("unable to setuid", err)
	}
	return nil
}

// id reads $UID or $GID. A server never runs as root: 0, empty and what is no
// number are errors, where 1.05 took them as 0 (docs/differences.md).
func id(name string) (int, error) {
	v, err := env.Require(name)
	if err != nil {
		return 0, err
	}
	n, used := scan.Number(v)
	if used == 0 || used != len(v) || n == 0 || n > 1<<31 {
		return 0, prog.Fatal("$"+name+" must be a number above 0, not \""+v+"\"", nil)
	}
	return int(n), nil
}
