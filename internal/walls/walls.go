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
	list, err := threads(p)
	if err != nil {
		return nil, err
	}
	maps, mapsErr := os.ReadFile(p + "/maps")
	// a process for one connection says so itself, as with Landlock's mark
	brief := strings.Contains(string(maps), sandbox.MarkPrefix+"landlock"+sandbox.MarkBrief)
	// every says whether a wall stands around each thread, and gives what the
	// first thread without it shows, else what any shows.
	every := func(stands func(status map[string]string) bool, show func(status map[string]string) string) (bool, string) {
		for _, t := range list {
			if !stands(t) {
				detail := show(t)
				if len(list) > 1 {
					detail += " (thread " + t["Pid"] + ")"
				}
				return false, detail
			}
		}
		return true, show(list[0])
	}
	show := func(key string) func(map[string]string) string {
		return func(t map[string]string) string { return t[key] }
	}
	fields := func(key string) func(map[string]string) string {
		return func(t map[string]string) string { return strings.Join(strings.Fields(t[key]), " ") }
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

	stands, detail := every(func(t map[string]string) bool { return allOther(strings.Fields(t["Uid"]), "0") }, fields("Uid"))
	add("uid", confined, stands, detail)
	stands, detail = every(func(t map[string]string) bool { return allOther(strings.Fields(t["Gid"]), "0") }, fields("Gid"))
	add("gid", confined, stands, detail)
	stands, detail = every(func(t map[string]string) bool {
		groups, gids := strings.Fields(t["Groups"]), strings.Fields(t["Gid"])
		return len(groups) == 0 || len(groups) == 1 && len(gids) > 0 && groups[0] == gids[0]
	}, show("Groups"))
	add("groups", confined, stands, detail)

	held := []string{"CapInh", "CapPrm", "CapEff", "CapAmb"}
	stands, detail = every(func(t map[string]string) bool {
		for _, k := range held {
			if strings.Trim(t[k], "0") != "" {
				return false
			}
		}
		return true
	}, func(t map[string]string) string {
		var s []string
		for _, k := range held {
			s = append(s, k+" "+t[k])
		}
		return strings.Join(s, ", ")
	})
	add("capabilities", true, stands, detail)
	// only root can empty the bounding set
	stands, detail = every(func(t map[string]string) bool { return strings.Trim(t["CapBnd"], "0") == "" }, show("CapBnd"))
	if brief && !stands {
		detail += "; a process for one connection leaves it, no_new_privs makes it moot"
	}
	add("bounding set", confined && !brief, stands, detail)
	stands, detail = every(func(t map[string]string) bool { return t["NoNewPrivs"] == "1" }, show("NoNewPrivs"))
	add("no_new_privs", true, stands, detail)

	marked := strings.Contains(string(maps), sandbox.MarkPrefix+"landlock")
	detail = "marked in its memory map"
	if mapsErr != nil {
		detail = "memory map unreadable: run as root"
	} else if !marked {
		detail = "no mark in its memory map"
	}
	add("landlock", !d.Exec, marked, detail)

	stands, detail = every(func(t map[string]string) bool { return t["Seccomp"] == "2" }, func(t map[string]string) string {
		return "mode " + t["Seccomp"] + ", filters " + t["Seccomp_filters"]
	})
	add("seccomp", d.Calls != "", stands, detail+", "+strconv.Itoa(len(sandbox.CallList(d)))+" calls allowed")

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

// threads reads the status of every thread of the process with folder p.
func threads(p string) ([]map[string]string, error) {
	list, err := os.ReadDir(p + "/task")
	if err != nil {
		return nil, ErrGone
	}
	var out []map[string]string
	for _, t := range list {
		b, err := os.ReadFile(p + "/task/" + t.Name() + "/status")
		if err != nil {
			continue // this thread has ended meanwhile
		}
		status := map[string]string{}
		for _, l := range strings.Split(string(b), "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok {
				status[k] = strings.TrimSpace(v)
			}
		}
		out = append(out, status)
	}
	if len(out) == 0 {
		return nil, ErrGone
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
