package boxes

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/boxes"
	"bulkhead/internal/testbin"
)

// unboxed are the programs without a box, with the reason: the tests hold that
// every program stands here or has one.
var unboxed = []struct{ programs, why, instead string }{
	{"tcpserver",
		"It runs any program, with that program's privileges: no_new_privs would break every setuid one (a mail queue), and a filter, " +
			"Landlock, an emptied bounding set and limits are inherited. It must go on reading its rules, resolving and forking.",
		"Changes to -u and -g before the first connection; does not let itself be traced or dumped (not inherited); strangers' bytes that it reads itself are " +
			"the PROXY header (version 2 only, at most 1,040 bytes, from listed addresses), ident lines (at most 999 bytes) and DNS answers; each parser is pure and fuzzed."},
	{"tcpclient",
		"Its connection is made for the program that it then becomes.",
		"Reads DNS answers and an ident line as tcpserver does, then execs: nothing of the connection is read before."},
	{"supervise svscan svscanboot svc svok svstat svup svwait",
		"They start services and act on them as root; no byte of a stranger reaches them.",
		"Read only their own directories, which root owns."},
	{"setuidgid envuidgid envdir softlimit setlock pgrphack fghack argv0",
		"They change their own state and become another program.",
		"Read nothing but their arguments and files of the administrator."},
	{"tinydns-conf dnscache-conf axfrdns-conf walldns-conf rbldns-conf pickdns-conf djbdns-adopt",
		"Run once, by root, to write service directories where the command line says.",
		"Read only files of the administrator."},
	{"tinydns-data tinydns-edit tinydns-get rbldns-data pickdns-data cdbmake cdbget cdbdump tcprules tcprulescheck random-ip",
		"Run once, by the administrator, on the administrator's files; no network.",
		"Their parsers are pure and fuzzed; the servers check what they publish."},
	{"compartments",
		"Reads /proc of other processes, as root.",
		"Writes nothing, makes no socket, starts nothing."},
}

// TestEveryProgramIsBoxedOrListed keeps the list whole and free of what has a
// box.
func TestEveryProgramIsBoxedOrListed(t *testing.T) {
	listed := map[string]bool{}
	for _, x := range unboxed {
		for _, p := range strings.Fields(x.programs) {
			if listed[p] {
				t.Errorf("%s stands twice", p)
			}
			listed[p] = true
		}
	}
	mains, err := filepath.Glob(filepath.Join(testbin.Root(), "cmd", "*", "main.go"))
	if err != nil || len(mains) < 60 {
		t.Fatalf("%d programs, %v", len(mains), err)
	}
	for _, m := range mains {
		name := filepath.Base(filepath.Dir(m))
		_, boxed := boxes.All[name]
		if boxed == listed[name] {
			t.Errorf("%s: has a box: %v, is listed as having none: %v", name, boxed, listed[name])
		}
		delete(listed, name)
	}
	for name := range listed {
		if _, err := os.Stat(filepath.Join(testbin.Root(), "cmd", name)); err != nil {
			t.Errorf("%s is no program", name)
		}
	}
}

// TestTCPServerUntraceable: the one wall of tcpserver stands, and its programs
// do not inherit it.
func TestTCPServerUntraceable(t *testing.T) {
	testbin.NeedRoot(t)
	port := fmt.Sprint(freePort(t))
	cmd := exec.Command(filepath.Join(testbin.Dir(t, "tcpserver"), "tcpserver"), "-HRl0", "127.0.0.1", port,
		"/bin/sh", "-c", "cat /proc/self/maps >/dev/null 2>&1; echo $?; kill -0 $PPID; echo $?; cat /proc/$PPID/mem >/dev/null 2>&1; echo $?; cat /proc/$PPID/environ >/dev/null 2>&1; echo $?")
	cmd.SysProcAttr = credential()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var c net.Conn
	var err error
	for range 400 {
		if c, err = net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	// its own memory map: readable; the server: there, but closed
	if string(b) != "0\n0\n1\n1\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
