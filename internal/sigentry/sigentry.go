// Package sigentry makes signals that were ignored when the program was started
// stay ignored, for this program and those that it starts, as they do with
// programs in C (compat: daemontools.md section 18). The Go runtime does that
// for HUP and INT only: for all others it installs its handlers before any code
// of the program runs, exec turns those into default actions, and QUIT of a job
// in the background or PIPE of a careless parent come back to life.
//
// For the wrappers that become other programs, and for supervise and svscan.
package sigentry

import (
	"os/signal"
	"syscall"
)

// Ignored reports whether a signal was ignored at the start.
func Ignored(sig syscall.Signal) bool { return sig > 0 && ignored>>(sig-1)&1 != 0 }

// Restore ignores again what was ignored. It comes first in main, before
// signal.Notify. CHLD is left out: who ignores it can not wait for children.
func Restore() {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if Ignored(sig) && sig != syscall.SIGCHLD {
			signal.Ignore(sig)
		}
	}
}
