package sandbox

import (
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

const (
	readRights  = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSReadDir)
	writeRights = readRights | landlock.AccessFSSet(ll.AccessFSWriteFile|ll.AccessFSTruncate|
		ll.AccessFSMakeReg|ll.AccessFSMakeDir|ll.AccessFSMakeFifo|ll.AccessFSMakeSock|
		ll.AccessFSRemoveFile|ll.AccessFSRemoveDir|ll.AccessFSRefer)
)

// fileRights are the rights that mean something for a file that is no folder;
// the kernel refuses others there.
const fileRights = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate)

const errNoLandlock = textError("not in this kernel or not enabled")

// restrictFiles raises the Landlock wall: the declared files and nothing else;
// no TCP port but the declared ones; no signal to, no abstract socket of, a
// process outside. Newer kernels restrict more (best effort), none of it is
// needed twice.
func restrictFiles(d Decl) error {
	if v, err := ll.LandlockGetABIVersion(); err != nil || v < 1 {
		return errNoLandlock
	}
	if d.Exec {
		// What it starts inherits the rules and needs files we know nothing of.
		return nil
	}
	var rules []landlock.Rule
	for _, p := range d.Read {
		rules = appendRule(rules, p, readRights)
	}
	for _, p := range d.Write {
		rules = appendRule(rules, p, writeRights)
	}
	// V9 and not later: V10 would also judge where the sockets made before may
	// send UDP packets, and which random source ports others bind to.
	walls := landlock.V9.BestEffort()
	if has(d.Sockets, "tcp") && len(d.Ports) == 0 {
		if err := walls.RestrictPaths(rules...); err != nil {
			return err
		}
		return walls.RestrictScoped()
	}
	for _, p := range d.Ports {
		rules = append(rules, landlock.ConnectTCP(p))
	}
	return walls.Restrict(rules...)
}

// appendRule grants rights below p. A relative file counts as its folder,
// because it may be replaced by rename and rules hold to inodes; an absolute
// one stands for itself. What does not exist is granted nothing.
func appendRule(rules []landlock.Rule, p string, rights landlock.AccessFSSet) []landlock.Rule {
	st, err := os.Stat(p)
	if !filepath.IsAbs(p) && (err != nil || !st.IsDir()) {
		p = filepath.Dir(p)
		st, err = os.Stat(p)
	}
	if err != nil {
		return rules
	}
	if !st.IsDir() {
		rights &= fileRights
	}
	return append(rules, landlock.PathAccess(rights, p))
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
