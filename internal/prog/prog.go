// Package prog is the frame of every program: exit codes and the form of
// messages on standard error. Main is the only caller of os.Exit.
//
//	NAME: fatal: unable to X: reason      exit 111, may work later
//	NAME: usage: NAME arguments           exit 100, will fail again the same way
//	NAME: warning: text                   the program goes on
//
// Messages are one line, written in one piece (compat: daemontools.md 1.2).
// The package imports neither fmt nor net: it is part of the smallest programs.
package prog

import (
	"errors"
	"os"

	"bulkhead/internal/errtext"
)

// Exit codes (compat: daemontools.md section 1.1).
const (
	ExitPermanent = 100 // usage, or a request that can not be honoured
	ExitTemporary = 111 // a system call, a file, the network
)

// Error is an error that knows how the program ends.
type Error struct {
	Code int
	Line string // whole message after "NAME: "; "" exits without a word
	Err  error  // the cause, for errors.Is; may be nil
}

func (e *Error) Error() string { return e.Line }
func (e *Error) Unwrap() error { return e.Err }

// Fatal makes the error "NAME: fatal: TEXT", exit 111. When err is not nil its
// words follow after ": ".
func Fatal(text string, err error) error { return fatal(ExitTemporary, text, err) }

// Permanent is Fatal with exit 100.
func Permanent(text string, err error) error { return fatal(ExitPermanent, text, err) }

func fatal(code int, text string, err error) error {
	line := "fatal: " + text
	if err != nil {
		line += ": " + errtext.Of(err)
	}
	return &Error{Code: code, Line: line, Err: err}
}

// Usage makes the error "NAME: usage: TEXT", exit 100.
func Usage(text string) error {
	return &Error{Code: ExitPermanent, Line: "usage: " + text}
}

// Exit ends the program with code and prints nothing.
func Exit(code int) error { return &Error{Code: code} }

var name = "bulkhead"

// Name is the fixed program name that Main was given, not argv[0].
func Name() string { return name }

// Main runs a program. run gets the arguments without the program's name; what
// it returns decides the message and the exit code, nil being 0. An error that
// is no *Error counts as Fatal.
func Main(program string, run func(args []string) error) {
	name = program
	err := run(os.Args[1:])
	if err == nil {
		os.Exit(0)
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: ExitTemporary, Line: "fatal: " + errtext.Of(err)}
	}
	if e.Line != "" {
		Print(e.Line)
	}
	os.Exit(e.Code)
}

// Warn prints "NAME: warning: TEXT", with err's words after ": " unless nil.
func Warn(text string, err error) {
	if err != nil {
		text += ": " + errtext.Of(err)
	}
	Print("warning: " + text)
}

// Print writes "NAME: LINE" and a newline to standard error in one piece.
func Print(line string) {
	os.Stderr.WriteString(name + ": " + line + "\n")
}
