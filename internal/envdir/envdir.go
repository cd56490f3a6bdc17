// Package envdir reads a folder of files, one a variable, into edits of the
// environment (compat: daemontools.md section 13).
package envdir

import (
	"bytes"
	"os"
	"syscall"

	"bulkhead/internal/child"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
)

// maxValue bounds one file in bytes. The kernel takes at most 128 KiB for one
// string of an environment (MAX_ARG_STRLEN), but only the first line counts,
// so longer files are read, up to what memory can be trusted with.
const maxValue = 64 << 20

// Read gives the edits that dir asks for, in the order of the folder. The
// working directory is the same afterwards.
func Read(dir string) ([]child.Edit, error) {
	start, err := posix.OpenRead(".")
	if err != nil {
		return nil, prog.Fatal("unable to switch to current directory", err)
	}
	defer syscall.Close(start)
	if err := syscall.Chdir(dir); err != nil {
		return nil, prog.Fatal("unable to switch to directory "+dir, err)
	}
	d, err := os.Open(".")
	if err != nil {
		return nil, prog.Fatal("unable to read directory "+dir, err)
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return nil, prog.Fatal("unable to read directory "+dir, err)
	}
	var edits []child.Edit
	for _, name := range names {
		if name[0] == '.' {
			continue
		}
		text, err := posix.ReadAll(name, maxValue)
		if err == syscall.ENOENT {
			continue // a dangling link, or removed since: absent
		}
		if err != nil {
			return nil, prog.Fatal("unable to read "+dir+"/"+name, err)
		}
		edits = append(edits, edit(name, text))
	}
	if err := syscall.Fchdir(start); err != nil {
		return nil, prog.Fatal("unable to switch to starting directory", err)
	}
	return edits, nil
}

// edit turns a file's content into the edit of its variable: nothing at all
// removes it; else the first line without blanks at its end, NUL standing for
// a newline.
func edit(name string, text []byte) child.Edit {
	if len(text) == 0 {
		return child.Edit{Name: name, Unset: true}
	}
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	text = bytes.TrimRight(text, " \t")
	for i, c := range text {
		if c == 0 {
			text[i] = '\n'
		}
	}
	return child.Edit{Name: name, Value: string(text)}
}
