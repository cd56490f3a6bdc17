// Package walls reads from /proc which walls stand around a running process:
// the proof, from outside, of what package sandbox did from inside.
package walls

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bulkhead/internal/sandbox"
)

// Wall is one row of the report.
type Wall struct {
	Name     string `json:"wall"`
	Declared bool   `json:"declared"` // the program's declaration asks for it
	Stands   bool   `json:"stands"`
	Detail   string `json:"detail"`
}

// ErrGone says that no such process runs.
var ErrGone = errors.New("no such process")

// Program gives the name of the executable that process pid runs.
func Program(proc string, pid int) (string, error) {
	exe, err := os.Readlink(dir(proc, pid) + "/exe")
	if err != nil {
		return "", ErrGone
	}
	return filepath.Base(strings.TrimSuffix(exe, " (deleted)")), nil
}

// Inspect reads the walls of process pid from the /proc file system mounted at
// proc. d is what its program declares.
func Inspect(proc string, pid int, d sandbox.Decl) ([]Wall, error) {
	confined := !d.User
	p := dir(proc, pid)
	b, err := os.ReadFile(p + "/status")
	if err != nil {
		return nil, ErrGone
	}
	status := map[string]string{}
	for _, l := range strings.Split(string(b), "\n") {
		if k, v, ok := strings.Cut(l, ":"); ok {
			status[k] = strings.TrimSpace(v)
		}
	}
	var out []Wall
	add := func(name string, declared, stands bool, detail string) {
		out = append(out, Wall{name, declared, stands, detail})
	}

	root, err := os.Readlink(p + "/root")
	if err != nil {
		root = "unreadable: " + err.Error()
	}
	add("chroot", confined, err == nil && root != "/", root)

	uids, gids := strings.Fields(status["Uid"]), strings.Fields(status["Gid"])
	add("uid", confined, allOther(uids, "0"), strings.Join(uids, " "))
	add("gid", confined, allOther(gids, "0"), strings.Join(gids, " "))
	groups := strings.Fields(status["Groups"])
	add("groups", confined, len(groups) == 0 || len(groups) == 1 && len(gids) > 0 && groups[0] == gids[0], status["Groups"])

	none := true
	var caps []string
	for _, k := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if strings.Trim(status[k], "0") != "" {
			// the bounding set can only be emptied by root
			if k != "CapBnd" || confined {
				none = false
			}
		}
		caps = append(caps, k+" "+status[k])
	}
	add("capabilities", true, none, strings.Join(caps, ", "))
	add("no_new_privs", true, status["NoNewPrivs"] == "1", status["NoNewPrivs"])

	maps, err := os.ReadFile(p + "/maps")
	marked := strings.Contains(string(maps), sandbox.MarkPrefix+"landlock")
	detail := "marked in its memory map"
	if err != nil {
		detail = "memory map unreadable: run as root"
	} else if !marked {
		detail = "no mark in its memory map"
	}
	add("landlock", !d.Exec, marked, detail)

	filters := status["Seccomp_filters"]
	add("seccomp", d.Calls != "", status["Seccomp"] == "2", "mode "+status["Seccomp"]+", filters "+filters+
		", "+strconv.Itoa(len(sandbox.CallList(d)))+" calls allowed")

	limits, _ := os.ReadFile(p + "/limits")
	core := limit(string(limits), "Max core file size")
	add("core files", true, core == "0", core)
	if d.Files != 0 {
		files := limit(string(limits), "Max open files")
		n, err := strconv.ParseUint(files, 10, 64)
		add("open files", true, err == nil && n <= d.Files, files)
	}
	return out, nil
}

// limit gives the hard limit of a line of /proc/PID/limits.
func limit(text, name string) string {
	for _, l := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(l, name); ok {
			if f := strings.Fields(rest); len(f) >= 2 {
				return f[1]
			}
		}
	}
	return "unknown"
}

func allOther(list []string, than string) bool {
	for _, s := range list {
		if s == than {
			return false
		}
	}
	return len(list) > 0
}

func dir(proc string, pid int) string { return proc + "/" + strconv.Itoa(pid) }

// Offsets in supervise/status, bytes (compat: daemontools.md section 2.1).
const (
	statusLen = 18
	statusPID = 12
)

// ServicePID gives the process of the service directory svc, from its
// supervise/status; 0 when it is down.
func ServicePID(svc string) (int, error) {
	b, err := os.ReadFile(svc + "/supervise/status")
	if err != nil {
		return 0, err
	}
	if len(b) < statusLen {
		return 0, errors.New("bad format")
	}
	return int(binary.LittleEndian.Uint32(b[statusPID:])), nil
}
