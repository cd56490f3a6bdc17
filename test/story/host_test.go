// Package story_test plays the whole way from BIND to Bulkhead, with the
// commands of docs/article.md in their order, on machines made for it: each
// host has a network, a file system and processes of its own (namespaces and an
// overlay), all of which vanish with the test. No address outside these
// networks is ever used.
package story_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/testbin"
)

// network is a bridge that hosts are connected to.
type network struct {
	t   *testing.T
	pid int // of the process that holds the bridge's namespace
	n   int
	dir string
	ran []string // command lines of all hosts, for comparison with the article
}

// host is one machine.
type host struct {
	net  *network
	name string
	pid  int // init of its namespaces
	root string
}

// hold starts a process in new namespaces that lives as long as the test, and
// waits until its script says ready.
func hold(t *testing.T, script string, unshare ...string) int {
	t.Helper()
	args := append(unshare, "--kill-child", "--", "sh", "-ec", script+"\necho ready $$\nexec sleep 1000000")
	cmd := exec.Command("unshare", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		t.Fatalf("namespaces can not be made: %q %v", line, err)
	}
	// the holder is the only child of unshare --fork
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if fmt.Sscan(string(b), &pid); pid == 0 {
		t.Fatal("no holder")
	}
	return pid
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	testbin.NeedRoot(t)
	for _, p := range []string{"ip", "unshare", "nsenter"} {
		if _, err := exec.LookPath(p); err != nil {
			testbin.Lack(t, "no "+p+" here")
		}
	}
	pid := hold(t, "ip link set lo up; ip link add br0 type bridge; ip link set br0 up", "-n", "--fork")
	return &network{t: t, pid: pid, dir: t.TempDir()}
}

// host makes a machine with addresses in 10.9.0.0/16.
func (n *network) host(name string, addrs ...string) *host {
	n.t.Helper()
	d := filepath.Join(n.dir, name)
	if err := os.Mkdir(d, 0o755); err != nil {
		n.t.Fatal(err)
	}
	h := &host{net: n, name: name, root: d + "/root"}
	h.pid = hold(n.t, fmt.Sprintf(`
mount --make-rprivate /
mount -t tmpfs tmpfs %[1]s
mkdir %[1]s/up %[1]s/work %[1]s/root
mount -t overlay overlay -o lowerdir=/,upperdir=%[1]s/up,workdir=%[1]s/work %[1]s/root
mount -t proc proc %[1]s/root/proc
mount --bind /dev %[1]s/root/dev
mount -t tmpfs tmpfs %[1]s/root/run
rm -rf %[1]s/root/service %[1]s/root/etc/service
`, d), "-m", "-n", "-p", "-u", "--fork")
	n.n++
	n.run("ip", "link", "add", fmt.Sprintf("v%d", n.n), "netns", fmt.Sprint(n.pid), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(h.pid))
	in := func(pid int, args ...string) {
		n.run("nsenter", append([]string{"-t", fmt.Sprint(pid), "-n", "ip"}, args...)...)
	}
	in(n.pid, "link", "set", fmt.Sprintf("v%d", n.n), "master", "br0", "up")
	in(h.pid, "link", "set", "lo", "up")
	in(h.pid, "link", "set", "eth0", "up")
	for _, a := range addrs {
		in(h.pid, "addr", "add", a+"/16", "dev", "eth0")
	}
	h.sh("hostname " + name)
	return h
}

func (n *network) run(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// command is a shell command line on the host, as root, in a clean environment.
func (h *host) command(line string) *exec.Cmd {
	h.net.ran = append(h.net.ran, line)
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(h.pid), "-m", "-n", "-p", "-u", "--", "chroot", h.root,
		"/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// try runs a command line; its output is standard output and error.
func (h *host) try(line string) (string, error) {
	cmd := h.command(line)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// sh runs a command line that must succeed.
func (h *host) sh(line string) string {
	h.net.t.Helper()
	out, err := h.try(line)
	if err != nil {
		h.net.t.Fatalf("%s# %s: %v\n%s%s", h.name, line, err, out, h.logs())
	}
	return out
}

// logs gives the ends of the host's service logs.
func (h *host) logs() string {
	out, _ := h.try("for f in /service/*/log/main/current /var/log/named.log /var/log/sshd.log; do test -f $f && echo == $f && tail -n 15 $f; done; svstat /service/*")
	return "\n" + out
}

// start runs a command line in the background until the test ends.
func (h *host) start(line string) *exec.Cmd {
	h.net.t.Helper()
	cmd := h.command(line)
	if err := cmd.Start(); err != nil {
		h.net.t.Fatal(err)
	}
	h.net.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// until repeats a command line until its output has want; the bound is
// generous because the machine may be busy.
func (h *host) until(want, line string) string {
	h.net.t.Helper()
	var out string
	for range 100 {
		if out, _ = h.try(line); strings.Contains(out, want) {
			return out
		}
		time.Sleep(100 * time.Millisecond)
	}
	h.net.t.Fatalf("%s# %s\nnever gave %q, but\n%s%s", h.name, line, want, out, h.logs())
	return ""
}

// write makes a file on the host.
func (h *host) write(fn, text string, mode os.FileMode) {
	h.net.t.Helper()
	cmd := h.command(fmt.Sprintf("mkdir -p %s && cat > %s && chmod %o %s", filepath.Dir(fn), fn, mode, fn))
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.net.t.Fatalf("%s: %s: %v\n%s", h.name, fn, err, out)
	}
}

// peers makes peers' programs available on the host, with their libraries.
func (h *host) peers(files ...string) {
	h.net.t.Helper()
	libs := ""
	for _, e := range testbin.PeerEnv() {
		if s, ok := strings.CutPrefix(e, "LD_LIBRARY_PATH="); ok {
			libs = s
		}
	}
	// other users run them too; this is the host's copy of the folders
	h.sh("d=" + testbin.PeersDir() + "; while [ $d != / ]; do chmod a+x $d; d=$(dirname $d); done")
	for _, f := range files {
		path := testbin.Peer(h.net.t, f)
		h.write("/usr/local/bin/"+filepath.Base(f), fmt.Sprintf("#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s \"$@\"\n", libs, path), 0o755)
	}
}

// install runs make install there, on what is built in bin already.
func (h *host) install(bin string) {
	h.net.t.Helper()
	tree := h.net.t.TempDir()
	for _, part := range []string{"Makefile", "README.md", "cmd", "docs", "internal", "man", "scripts"} {
		if err := os.Symlink(filepath.Join(testbin.Root(), part), filepath.Join(tree, part)); err != nil {
			h.net.t.Fatal(err)
		}
	}
	if err := os.Symlink(bin, filepath.Join(tree, "bin")); err != nil {
		h.net.t.Fatal(err)
	}
	h.sh("make -s -C " + tree + " -o build install && for p in " + strings.Join(programs, " ") + "; do test -x /usr/local/bin/$p || exit 1; done && test -s /etc/dnsroots.global")
}
