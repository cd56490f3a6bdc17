// Svstat prints the state of services; see svstat(8).
//
//go:debug containermaxprocs=0
package main

import (
	"strings"
	"syscall"

	"bulkhead/internal/errtext"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/svdir"
	"bulkhead/internal/svstatus"
)

// form of the output.
type form byte

const (
	classic form = iota // 0.76's line
	verbose             // and what is known beyond it
	asJSON              // one object a line
	asWords             // the values that -o names, in their order
)

const usage = "svstat [ -v | -j | -o field,... ] dir ..."

func main() { prog.Main("svstat", run) }

func run(args []string) error {
	f, fields := classic, []string(nil)
	if len(args) > 0 {
		switch args[0] {
		case "-v", "--verbose":
			f, args = verbose, args[1:]
		case "-j", "--json":
			f, args = asJSON, args[1:]
		case "-o":
			if len(args) < 2 {
				return prog.Usage(usage)
			}
			f, fields, args = asWords, strings.Split(args[1], ","), args[2:]
			for _, name := range fields {
				if _, ok := new(svstatus.Status).AppendField(nil, name, false, 0); !ok {
					return prog.Usage(usage)
				}
			}
		}
	}
	v, err := svdir.NewVisitor()
	if err != nil {
		return prog.Fatal("unable to open current directory", err)
	}
	var out []byte
	for _, dir := range args {
		out = show(out[:0], f, fields, dir)
		if err := posix.WriteAll(1, append(out, '\n')); err != nil {
			return prog.Exit(prog.ExitTemporary)
		}
		if err := v.Home(); err != nil {
			return prog.Fatal("unable to set directory", err)
		}
	}
	return nil
}

// show appends the line of one service.
func show(out []byte, f form, fields []string, dir string) []byte {
	read := svdir.ReadState
	if f == classic {
		read = svdir.ReadStatus // what scripts see is the classic file alone
	}
	down, s, problem := look(dir, read)
	if f == asJSON {
		if problem != "" {
			return svstatus.AppendJSONError(out, dir, problem)
		}
		return s.AppendJSON(out, dir, down, svdir.Now())
	}
	if f == asWords && problem == "" {
		for i, name := range fields {
			if i > 0 {
				out = append(out, ' ')
			}
			out, _ = s.AppendField(out, name, down, svdir.Now())
		}
		return out
	}
	out = append(append(out, dir...), ": "...)
	switch {
	case problem != "":
		return append(out, problem...)
	case f == verbose:
		return s.AppendVerbose(out, down, svdir.Now())
	}
	return s.AppendLine(out, down, svdir.Now())
}

// look changes into dir and reads what there is to know.
func look(dir string, read func() (svstatus.Status, bool, error)) (down bool, s svstatus.Status, problem string) {
	if err := syscall.Chdir(dir); err != nil {
		return false, s, "unable to chdir: " + errtext.Of(err)
	}
	down, err := posix.Exists("down")
	if err != nil {
		return false, s, "unable to stat down: " + errtext.Of(err)
	}
	fd, err := svdir.OpenFIFO(svdir.Sub() + "/ok")
	switch err {
	case nil:
		syscall.Close(fd)
	case syscall.ENXIO, svdir.NotFIFO{}:
		return down, s, "supervise not running"
	default:
		return down, s, "unable to open supervise/ok: " + errtext.Of(err)
	}
	s, opened, err := read()
	switch {
	case err == nil:
		return down, s, ""
	case !opened:
		return down, s, "unable to open supervise/status: " + errtext.Of(err)
	}
	return down, s, "unable to read supervise/status: " + errtext.Of(err)
}
