// Package sandbox puts a program into its box, from one declaration: chroot,
// own uid and gid, no capabilities, no new privileges, Landlock, seccomp,
// resource limits. The order is the security:
//
//	ROOT     chdir, chroot                    sandbox.go  (compat: djbdns.md 1.2)
//	GID UID  bounding set, setgid, setuid     ids.go
//	limits   core files, open files           ids.go
//	landlock files and ports                  landlock.go
//	seccomp  system calls and their arguments seccomp.go
//
// What a hijacked program could still reach is in docs/compartments.md, made
// from the same declarations and from attempts to break out of each box.
package sandbox

import (
	"os"
	"slices"
	"strings"
	"syscall"

	"bulkhead/internal/env"
	"bulkhead/internal/prog"
)

// Decl says what one program needs once it has started. Everything it does not
// name is taken away. It stands next to the program's main.
type Decl struct {
	Program string
	Job     string // what it does, a few words for tables and manual pages
	User    bool   // it runs as whoever calls it: no ROOT, no ids of its own
	When    string // the walls stand "only" so, if not always

	// Files, relative to ROOT; "." is ROOT itself. A program that is not
	// confined to a ROOT names absolute paths. Files that are replaced by
	// rename are named by their folder: Landlock rules hold to inodes.
	Read  []string
	Write []string

	// Folders are descriptors of folders outside ROOT below which it may
	// read. They lead out of the chroot wherever Landlock does not stand, so
	// the caller looks whether they do and then closes them.
	Folders []int

	// Sockets it makes after Enter: "udp", "tcp", "unix". Those made before
	// stay usable and need no mention.
	Sockets []string
	// Ports, if not empty, are the only ones its new TCP sockets (and, where
	// the kernel can say it, UDP sockets) connect to.
	Ports []uint16

	Exec bool // whether it starts programs

	// Calls are the system calls it makes after Enter besides those that
	// every Go program may make (runtimeCalls). Empty: no seccomp filter.
	Calls string

	// Late programs have much to do between the walls that need privilege
	// and the first stranger's byte; they call Seal themselves for the filter.
	Late bool

	// Files is the most descriptors it may have open; 0 leaves the limit.
	Files uint64

	// Brief: a process for one connection. It leaves the bounding set: only
	// the exec that Begin makes empties it at a price, and that is half of such
	// a process's start. With no_new_privs no exec can gain a capability from
	// the set.
	Brief bool
}

// The walls, by the names that REQUIRE and the log line use.
const (
	wallChroot   = "chroot"
	wallUID      = "uid"
	wallCaps     = "capabilities"
	wallNoNew    = "no_new_privs"
	wallLandlock = "landlock"
	wallSeccomp  = "seccomp"
)

var walls = []string{wallChroot, wallUID, wallCaps, wallNoNew, wallLandlock, wallSeccomp}

// Enter confines a program. ROOT, GID and UID come from the environment, in
// this order and with the messages of the old programs. Without root
// privileges chroot and the change of ids are left out, and Landlock keeps the
// process inside ROOT instead. A program declared User has none of the three
// and gets the other walls.
//
// Walls that this kernel or user can not raise are named in one warning;
// REQUIRE in the environment, a list like "landlock,seccomp", makes the lack
// of those fatal.
func Enter(d Decl) error {
	if d.User {
		return confine(d, restrictFiles(d), nil)
	}
	root, err := env.Require("ROOT")
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return prog.Fatal("unable to chdir to "+root, err)
	}
	var missing lack
	asRoot := os.Geteuid() == 0
	if asRoot {
		if err := syscall.Chroot("."); err != nil {
			return prog.Fatal("unable to chroot to "+root, err)
		}
		// chroot does not move the working directory; ROOT is "/" from now on
		if err := os.Chdir("/"); err != nil {
			return prog.Fatal("unable to chdir to "+root, err)
		}
	}
	// Landlock comes while root is still there: without root it would want
	// no_new_privs first, which is one more stop of all threads.
	files := restrictFiles(d)
	if asRoot {
		if err := dropIDs(d); err != nil {
			return err
		}
	} else {
		missing.add(wallChroot, errNotRoot)
		missing.add(wallUID, errNotRoot)
	}
	return confine(d, files, missing)
}

// confine raises what is left; files is how the wall around files went.
func confine(d Decl, files error, missing lack) error {
	if err := dropCapabilities(d); err != nil {
		missing.add(wallCaps, err)
	}
	setLimits(d)
	if files != nil {
		missing.add(wallLandlock, files)
	} else if !d.Exec {
		mark(wallLandlock, d.Brief)
	}
	if !d.Late {
		return seal(d, missing)
	}
	if err := noNewPrivs(); err != nil {
		missing.add(wallNoNew, err)
	}
	return missing.report()
}

// Seal raises the last wall, the filter of system calls, for a program that is
// declared Late: once its start is over and before it hears the first stranger.
func Seal(d Decl) error { return seal(d, nil) }

func seal(d Decl, missing lack) error {
	// Last, because it takes away the calls that the others need. It brings
	// no_new_privs with it, to all threads.
	var err error = errNoFilter
	if d.Calls != "" && !recording() {
		if err = filterCalls(d); err != nil {
			missing.add(wallSeccomp, err)
		}
	}
	if err != nil && !d.Late {
		if err := noNewPrivs(); err != nil {
			missing.add(wallNoNew, err)
		}
	}
	if err := missing.report(); err != nil {
		return err
	}
	attempts(d)
	return nil
}

// lack collects the walls that do not stand.
type lack []missingWall

type missingWall struct {
	name string
	err  error
}

type textError string

func (e textError) Error() string { return string(e) }

const errNotRoot = textError("not root")

func (l *lack) add(wall string, err error) { *l = append(*l, missingWall{wall, err}) }

// report prints the one line, or makes the error that REQUIRE asks for.
// A word there that is no wall's name is an error: it would ask for nothing.
func (l lack) report() error {
	required := strings.FieldsFunc(os.Getenv("REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' })
	for _, r := range required {
		if !slices.Contains(walls, r) {
			return prog.Fatal("unable to parse $REQUIRE: "+r+": none of "+strings.Join(walls, ", "), nil)
		}
	}
	if len(l) == 0 {
		return nil
	}
	var list []string
	for _, m := range l {
		list = append(list, m.name+" ("+m.err.Error()+")")
		if slices.Contains(required, m.name) {
			return prog.Fatal("wall missing that $REQUIRE asks for: "+m.name, m.err)
		}
	}
	prog.Warn("walls missing: "+strings.Join(list, ", "), nil)
	return nil
}
