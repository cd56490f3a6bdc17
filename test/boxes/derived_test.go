package boxes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/boxes"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/testbin"
)

// The systemd units and the manual pages repeat what a program declares, so
// they are made from the declaration: the part between two marks, written anew
// by make compartments and compared by every test run.

func TestUnits(t *testing.T) {
	for name, b := range boxes.All {
		if b.User {
			continue
		}
		derived(t, "scripts/pkg/bulkhead-"+name+".service", "# walls: made from cmd/"+name+"/box.go", "# end of walls",
			"Restart=always", unitWalls(b))
	}
}

func TestManualPages(t *testing.T) {
	for name, b := range boxes.All {
		file := ""
		for _, section := range []string{"8", "1"} {
			if _, err := os.Stat(filepath.Join(testbin.Root(), "man", name+"."+section)); err == nil {
				file = "man/" + name + "." + section
			}
		}
		if file == "" {
			t.Errorf("%s has no manual page", name)
			continue
		}
		derived(t, file, `.\" walls: made from cmd/`+name+`/box.go`, `.\" end of walls`, "", manualWalls(b))
	}
}

// derived checks that text stands between the marks of a file. Where the marks
// are missing, make compartments puts them before the line that starts with
// before, or at the end (where mandoc wants SECURITY CONSIDERATIONS).
func derived(t *testing.T, file, begin, end, before, text string) {
	t.Helper()
	p := filepath.Join(testbin.Root(), file)
	b, err := os.ReadFile(p)
	if err != nil {
		t.Error(err)
		return
	}
	s := string(b)
	block := begin + "\n" + text + end + "\n"
	if strings.Contains(s, block) {
		return
	}
	if os.Getenv("UPDATE") != "1" {
		t.Errorf("%s does not repeat the declaration; run: make compartments", file)
		return
	}
	if i, j := strings.Index(s, begin), strings.Index(s, end); i >= 0 && j > i {
		s = s[:i] + block + s[j+len(end)+1:]
	} else if before == "" {
		s += block
	} else if i := strings.Index(s, "\n"+before); i >= 0 {
		s = s[:i+1] + block + s[i+1:]
	} else {
		t.Errorf("%s: no line %q to put the walls before", file, before)
		return
	}
	if err := os.WriteFile(p, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unitWalls is what systemd can add around a program that raises its own
// walls: it starts as root to bind port 53 and to leave root for good.
func unitWalls(b sandbox.Decl) string {
	caps := "CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_SETUID CAP_SETGID CAP_SETPCAP"
	if len(b.Write) > 0 {
		caps += " CAP_CHOWN CAP_FOWNER"
	}
	var s strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&s, format+"\n", a...) }
	line("CapabilityBoundingSet=%s", caps)
	line("NoNewPrivileges=yes")
	line("ProtectSystem=strict")
	for _, w := range b.Write {
		line("ReadWritePaths=-/etc/%s/root/%s", b.Program, w)
	}
	for _, l := range []string{"ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "ProtectClock=yes",
		"ProtectControlGroups=yes", "ProtectHostname=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes",
		"ProtectKernelTunables=yes", "RestrictNamespaces=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes",
		"LockPersonality=yes", "MemoryDenyWriteExecute=yes", "SystemCallArchitectures=native"} {
		line("%s", l)
	}
	line("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX")
	return s.String()
}

func manualWalls(b sandbox.Decl) string {
	var s strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&s, format+"\n", a...) }
	line(".Sh SECURITY CONSIDERATIONS")
	line(".Nm")
	if !b.User {
		line("confines itself before it reads a packet: it changes its root to")
		line(".Ev ROOT ,")
		line("takes the ids")
		line(".Ev UID")
		line("and")
		line(".Ev GID ,")
		line("neither of which may be 0, and gives up all capabilities, new privileges and core files.")
	} else {
		line("runs as the user who calls it.")
		if b.When == "" {
			line("Before it reads a stranger's first byte")
		} else {
			line("Only %s,", b.When)
		}
		line("it gives up all capabilities, new privileges and core files.")
	}
	line("After that it")
	switch {
	case len(b.Read) == 0:
		line("opens no file,")
	case !b.User:
		line("reads below")
		line(".Ev ROOT ,")
	default:
		line("reads %s,", strings.Join(b.Read, ", "))
	}
	if len(b.Write) == 0 {
		line("writes none,")
	} else {
		line("writes in %s,", strings.Join(b.Write, ", "))
	}
	if len(b.Sockets) == 0 {
		line("makes no socket,")
	} else {
		line("makes sockets of the kinds %s only,", strings.Join(b.Sockets, ", "))
	}
	if !b.Exec {
		line("starts no program,")
	}
	line("and may make %d system calls; the kernel refuses all others", len(sandbox.CallList(b)))
	line(".Pq Landlock, seccomp .")
	if !b.User {
		line("Where a kernel lacks one of these walls, a line of the log names it;")
		line(".Ev REQUIRE ,")
		line("a list such as")
		line(".Ql landlock,seccomp ,")
		line("makes that fatal.")
		line(".Xr compartments 8")
		line("shows which walls stand.")
	}
	return s.String()
}
