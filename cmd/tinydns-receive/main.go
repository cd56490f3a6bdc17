// Tinydns-receive takes data.cdb from a primary, as the forced command of an
// ssh key; see tinydns-receive(8).
package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"bulkhead/internal/cdb"
	"bulkhead/internal/makecdb"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

func main() { prog.Main("tinydns-receive", run) }

// Names in the folder of data.cdb. rsync writes the first; what is complete and
// sound becomes the second by renaming.
const (
	arrives = "data.cdb.receive"
	serves  = "data.cdb"
)

// maxReceive bounds what a primary may send, in bytes: 64 GiB, a hundred times
// the data.cdb of ten million names.
const maxReceive = 64 << 30

func run(args []string) error {
	if len(args) != 1 || !strings.HasPrefix(args[0], "/") {
		return prog.Usage("tinydns-receive /tinydns/root")
	}
	if err := os.Chdir(args[0]); err != nil {
		return prog.Fatal("unable to switch to "+args[0], err)
	}
	syscall.Umask(0o022)
	if err := os.RemoveAll(arrives); err != nil {
		return prog.Fatal("unable to remove "+arrives, err)
	}
	defer os.Remove(arrives)
	command, ok := os.LookupEnv("SSH_ORIGINAL_COMMAND")
	stdin := !ok || command == "" || command == serves
	if !stdin {
		// rsync needs files that we know nothing of
		if err := fromRsync(command); err != nil {
			return err
		}
	}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	if stdin {
		if err := fromStdin(); err != nil {
			return err
		}
	}
	return accept()
}

// fromStdin takes the file as it comes.
func fromStdin() error {
	f, err := os.OpenFile(arrives, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return prog.Fatal("unable to create "+arrives, err)
	}
	// Write hides the file, for which io.Copy would try other system calls.
	n, err := io.Copy(struct{ io.Writer }{f}, io.LimitReader(os.Stdin, maxReceive+1))
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return prog.Fatal("unable to receive "+serves, err)
	}
	if n > maxReceive {
		return prog.Fatal("unable to receive "+serves+": file too big", nil)
	}
	return nil
}

// fromRsync runs the receiving rsync that the other side asked for, into our
// own file name. The present data.cdb lies there under a second name, so that
// only what differs has to travel; rsync itself replaces it, never writes into
// it, for no option that would make it do so is let through.
func fromRsync(command string) error {
	options, err := allowed(command)
	if err != nil {
		return err
	}
	os.Link(serves, arrives) // an optimisation: no matter if it fails
	cmd := exec.Command("rsync", append(options, ".", arrives)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return prog.Fatal("unable to receive "+serves+": rsync failed", nil)
		}
		return prog.Fatal("unable to run rsync", err)
	}
	return nil
}

// plainLetters are rsync's one-letter options that change neither what is
// written nor where: times, compression, checksums, verbosity, and t's company
// in archive mode. None of them follows links or makes devices here, because
// what arrives must be a regular file anyhow.
const plainLetters = "tzcvpogqh"

// allowed checks an rsync server command: it must receive data.cdb, nothing
// else, with plain options only.
func allowed(command string) ([]string, error) {
	refuse := func(why string) ([]string, error) {
		return nil, prog.Permanent("refused: "+why, nil)
	}
	w := strings.Fields(command)
	if len(w) < 4 || w[0] != "rsync" || w[1] != "--server" {
		return refuse("only rsync or the file itself is accepted")
	}
	if w[len(w)-2] != "." || w[len(w)-1] != serves {
		return refuse("only " + serves + " is accepted")
	}
	for _, o := range w[2 : len(w)-2] {
		switch {
		case strings.HasPrefix(o, "--timeout=") && digits(o[len("--timeout="):]):
		case len(o) > 1 && o[0] == '-' && o[1] != '-':
			letters, _, _ := strings.Cut(o[1:], "e") // behind e stands what the client can do
			if strings.Trim(letters, plainLetters) != "" {
				return refuse("rsync option " + o)
			}
		default:
			return refuse("rsync option " + o)
		}
	}
	return w[1 : len(w)-2], nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// accept checks what has arrived and puts it in the place of data.cdb.
func accept() error {
	f, err := os.OpenFile(arrives, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return prog.Fatal("unable to open "+arrives, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return prog.Permanent("refused: "+serves+" is no regular file", nil)
	}
	if old, err := os.Stat(serves); err == nil && os.SameFile(old, st) {
		return nil // nothing new was sent
	}
	b, err := mapfile.Map(f)
	if err != nil {
		return prog.Fatal("unable to read "+arrives, err)
	}
	defer mapfile.Unmap(b)
	if err := cdb.Reader(b).Check(); err != nil {
		return prog.Permanent("refused: "+serves+" is damaged", err)
	}
	if err := f.Chmod(0o644); err != nil {
		return prog.Fatal("unable to set mode of "+arrives, err)
	}
	if err := f.Sync(); err != nil {
		return prog.Fatal("unable to write "+arrives, err)
	}
	makecdb.Reindex(f)
	if err := syscall.Rename(arrives, serves); err != nil {
		return prog.Fatal("unable to move "+arrives+" to "+serves, err)
	}
	return nil
}
