// Package account finds the user and group number of an account name. It reads
// /etc/passwd itself; a name that is not there is asked of getent(1), so that
// accounts of the name service switch (LDAP, systemd) work in a static program.
package account

import (
	"strings"
	"syscall"

	"bulkhead/internal/posix"
	"bulkhead/internal/scan"
)

// IDs are the numbers of one account.
type IDs struct{ UID, GID int }

// maxPasswd bounds the account file in bytes; chosen because a university's
// 300,000 accounts take about 20 MB.
const maxPasswd = 64 << 20

// maxEntry bounds what getent may say about one account, in bytes.
const maxEntry = 64 << 10

const passwdFile = "/etc/passwd"

// getentFiles are tried in order; PATH is not asked because setuidgid runs as
// root with whatever PATH its caller had.
var getentFiles = []string{"/usr/bin/getent", "/bin/getent"}

// Lookup finds an account by name. Numbers are names like any other (compat:
// daemontools.md section 12).
func Lookup(name string) (IDs, bool) {
	if name == "" || strings.ContainsAny(name, ":\n") {
		return IDs{}, false
	}
	if b, err := posix.ReadAll(passwdFile, maxPasswd); err == nil {
		if id, ok := Find(string(b), name); ok {
			return id, true
		}
	}
	return getent(name)
}

// Find looks for name in the text of a passwd file.
func Find(text, name string) (IDs, bool) {
	for text != "" {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		// name:password:uid:gid:...; "+" and "-" lines are of old NIS.
		if len(line) <= len(name) || line[len(name)] != ':' || line[:len(name)] != name || name[0] == '+' || name[0] == '-' {
			continue
		}
		f := strings.SplitN(line, ":", 5)
		if len(f) < 4 {
			continue
		}
		uid, ok1 := number(f[2])
		gid, ok2 := number(f[3])
		if ok1 && ok2 {
			return IDs{uid, gid}, true
		}
	}
	return IDs{}, false
}

// number reads an id: 32 bits, and not the one that means "none".
func number(s string) (int, bool) {
	n, used := scan.Number(s)
	return int(n), used > 0 && used == len(s) && used <= 10 && n < 1<<32-1
}

func getent(name string) (IDs, bool) {
	if name[0] == '-' {
		return IDs{}, false
	}
	for _, file := range getentFiles {
		r, w, err := posix.Pipe()
		if err != nil {
			return IDs{}, false
		}
		null, err := posix.OpenRead("/dev/null")
		if err != nil {
			null = 0
		}
		pid, err := syscall.ForkExec(file, []string{"getent", "passwd", name},
			&syscall.ProcAttr{Env: []string{"PATH=/usr/bin:/bin"}, Files: []uintptr{uintptr(null), uintptr(w), 2}})
		syscall.Close(w)
		if null > 0 {
			syscall.Close(null)
		}
		if err != nil {
			syscall.Close(r)
			continue
		}
		out, rerr := posix.ReadFd(r, maxEntry)
		syscall.Close(r)
		var ws syscall.WaitStatus
		posix.Wait4(pid, &ws, 0)
		if rerr != nil || !ws.Exited() || ws.ExitStatus() != 0 {
			return IDs{}, false
		}
		return Find(string(out), name)
	}
	return IDs{}, false
}
