// Package receive takes data.cdb from a primary over ssh. The primary's key
// stands in authorized_keys with
//
//	command="/usr/local/bin/tinydns-receive /etc/tinydns/root",restrict ssh-ed25519 ...
//
// so that whoever holds it can send this one file and do nothing else: the
// command that the client asks for (SSH_ORIGINAL_COMMAND) is taken apart, must
// be rsync receiving data.cdb, and rsync is started with options checked one by
// one, in a folder of its own. The file is published by renaming it, only after
// it has been read from end to end.
package receive

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"bulkhead/internal/adopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/publish"
)

const usage = "tinydns-receive root"

// maxCommand bounds the command that a client asks for, in bytes.
const maxCommand = 4096

// incoming is the folder in root where rsync works.
const incoming = "incoming"

// file is the only one that is taken.
const file = "data.cdb"

// Main is the program.
func Main(args []string) error {
	if len(args) != 1 {
		return prog.Usage(usage)
	}
	options, err := Command(os.Getenv("SSH_ORIGINAL_COMMAND"))
	if err != nil {
		return prog.Permanent("refused", err)
	}
	if err := os.Chdir(args[0]); err != nil {
		return prog.Fatal("unable to switch to "+args[0], err)
	}
	// one transfer at a time: the folder is the lock
	work := incoming + "." + strconv.Itoa(os.Getpid())
	if err := os.Mkdir(work, 0o700); err != nil {
		return prog.Fatal("unable to create "+work, err)
	}
	defer os.RemoveAll(work)
	target := filepath.Join(work, file)
	// rsync sends only what differs from the file that is there already, and
	// replaces it by renaming: a second name for it is safe
	if err := os.Link(file, target); err != nil && !os.IsNotExist(err) {
		return prog.Fatal("unable to link "+file, err)
	}
	cmd := exec.Command("rsync", append(options, ".", target)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return prog.Fatal("unable to receive "+file, err)
	}
	return Publish(target, file)
}

// Publish renames target to fn if it is a sound data.cdb of tinydns, and does
// nothing if the two are the same file.
func Publish(target, fn string) error {
	b, err := os.ReadFile(target)
	if err != nil {
		return prog.Fatal("unable to read what was received", err)
	}
	if err := adopt.Readable(b, true); err != nil {
		return prog.Fatal("what was received is no sound "+fn+"; the old one stays", err)
	}
	if a, err := os.Stat(target); err == nil {
		if c, err := os.Stat(fn); err == nil && os.SameFile(a, c) {
			return nil
		}
	}
	if err := os.Chmod(target, 0o644); err != nil {
		return prog.Fatal("unable to set mode of "+target, err)
	}
	f, err := os.Open(target)
	if err != nil {
		return prog.Fatal("unable to read what was received", err)
	}
	return publish.Commit(f, fn)
}

var (
	errCommand = errors.New("the command must be rsync sending " + file)
	errOption  = errors.New("an rsync option is not allowed")
)

// Command checks what a client asks for and gives the options for rsync.
//
//	rsync --server -tze.iLsfxCIvu --timeout=60 . data.cdb
func Command(s string) ([]string, error) {
	if len(s) > maxCommand {
		return nil, errCommand
	}
	w := strings.Fields(s)
	n := len(w)
	if n < 4 || w[0] != "rsync" || w[1] != "--server" || w[n-1] != file || w[n-2] != "." {
		return nil, errCommand
	}
	for _, o := range w[2 : n-2] {
		if !allowed(o) {
			return nil, errOption
		}
	}
	return w[1 : n-2], nil
}

// allowed lets pass what the sending rsync asks of the receiving one for its
// own -t, -z and --timeout. --sender would send files, others delete, follow
// links or name other folders.
func allowed(o string) bool {
	switch {
	case o == "--compress-choice=zlibx" || o == "--new-compress" || o == "--old-compress" || o == "--log-format=X" || o == "--partial":
		return true
	case strings.HasPrefix(o, "--timeout="):
		n, err := strconv.Atoi(o[len("--timeout="):])
		return err == nil && n > 0 && n <= 3600
	}
	if len(o) < 2 || o[0] != '-' || o[1] == '-' {
		return false
	}
	flags, protocol, _ := strings.Cut(o[1:], "e.")
	for _, c := range flags {
		if !strings.ContainsRune("tzvqWcIu", c) {
			return false
		}
	}
	for _, c := range protocol { // what the client understands: letters only
		if c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
