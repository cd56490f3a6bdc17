// Package child runs other programs the way chain-loading tools do: search in
// PATH, edits of the environment, exec (compat: daemontools.md section 1.5).
package child

import (
	"os"
	"strings"
	"syscall"

	"bulkhead/internal/prog"
)

// defaultPath is used when PATH is unset (compat: daemontools.md section 1.5).
const defaultPath = "/bin:/usr/bin"

// Edit changes one variable of an environment. Unset removes it.
type Edit struct {
	Name, Value string
	Unset       bool
}

// Environ applies edits in order to a copy of base: the first existing entry
// of that name is removed (its slot is refilled by the last entry), then the
// new entry is appended. Only the first duplicate goes. No sorting.
func Environ(base []string, edits []Edit) []string {
	out := append([]string(nil), base...)
	for _, e := range edits {
		for i, v := range out {
			if strings.HasPrefix(v, e.Name) && len(v) > len(e.Name) && v[len(e.Name)] == '=' {
				out[i] = out[len(out)-1]
				out = out[:len(out)-1]
				break
			}
		}
		if !e.Unset {
			out = append(out, e.Name+"="+e.Value)
		}
	}
	return out
}

// Exec replaces this process by argv with environment env, searching PATH of
// the caller's own starting environment. It returns only on failure, with
// "NAME: fatal: unable to run PROG: reason", exit 111.
func Exec(argv, env []string) error {
	return prog.Fatal("unable to run "+argv[0], TryExec(argv, env))
}

// TryExec is Exec that returns the bare error.
func TryExec(argv, env []string) error { return TryExecFile(argv[0], argv, env) }

// TryExecFile is TryExec for a program that is to see another name than the
// one it is found by.
func TryExecFile(program string, argv, env []string) error {
	return eachCandidate(program, func(file string) error { return syscall.Exec(file, argv, env) })
}

// Start runs argv as a child, searching PATH as Exec does, and gives its pid.
// Failure to exec is reported here, in the parent. The search itself costs no
// process: a candidate that is not there is not forked for.
func Start(argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	start := func(file string) error {
		const fOK = 0 // F_OK of unistd.h
		if file[0] == '/' && syscall.Access(file, fOK) == syscall.ENOENT {
			return syscall.ENOENT
		}
		pid, err = syscall.ForkExec(file, argv, attr)
		return err
	}
	err = eachCandidate(argv[0], start)
	return pid, err
}

// Find gives the file that Exec would run: the first candidate of the search
// that is an executable regular file. For programs that must start others
// through fork and exec in one call.
func Find(program string) (string, error) {
	try := func(file string) error {
		var st syscall.Stat_t
		if err := syscall.Stat(file, &st); err != nil {
			return err
		}
		if st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			return syscall.EACCES
		}
		const xOK = 1 // X_OK of unistd.h
		return syscall.Access(file, xOK)
	}
	if strings.IndexByte(program, '/') >= 0 {
		return program, nil
	}
	var found string
	err := eachCandidate(program, func(file string) error {
		err := try(file)
		if err == nil {
			found = file
			return nil
		}
		return err
	})
	if found != "" {
		return found, nil
	}
	return "", err
}

// Candidates gives the files that a search for program tries, in order: those
// in each element of PATH of our own environment, or program itself if it has
// a slash.
func Candidates(program string) []string {
	if strings.IndexByte(program, '/') >= 0 {
		return []string{program}
	}
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = defaultPath
	}
	var files []string
	for _, dir := range strings.Split(path, ":") {
		if dir == "" {
			dir = "."
		}
		files = append(files, dir+"/"+program)
	}
	return files
}

// Search goes through n candidates in order: ENOENT of try goes on silently;
// EACCES, EPERM and EISDIR are remembered and the search goes on; any other
// result ends it. It allocates nothing.
func Search(n int, try func(i int) error) error {
	var remembered error
	for i := range n {
		switch err := try(i); err {
		case syscall.ENOENT:
		case syscall.EACCES, syscall.EPERM, syscall.EISDIR:
			remembered = err
		default:
			return err
		}
	}
	if remembered != nil {
		return remembered
	}
	return syscall.ENOENT
}

// eachCandidate searches for program.
func eachCandidate(program string, try func(file string) error) error {
	files := Candidates(program)
	return Search(len(files), func(i int) error { return try(files[i]) })
}
