package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// peer is one recursive server.
type peer struct {
	name       string
	file       string // of the program, below the folder of peers
	persistent bool   // keeps its cache over a restart
	// prepare writes its configuration into dir and gives the command
	prepare func(dir string) (cmd, env []string, err error)
	dir     string
}

const (
	cacheMB = 256
	hints   = ". 518400 IN NS ns1.root.\n. 518400 IN NS ns2.root.\nns1.root. 518400 IN A 10.53.0.1\nns2.root. 518400 IN A 10.53.0.2\n"
)

func allPeers() []*peer {
	return []*peer{
		{name: "bulkhead", persistent: true, prepare: ours},
		{name: "unbound", file: "usr/sbin/unbound", prepare: unbound},
		{name: "knot-resolver", file: "usr/sbin/kresd", persistent: true, prepare: kresd},
		{name: "pdns-recursor", file: "usr/sbin/pdns_recursor", prepare: recursor},
		{name: "named", file: "usr/sbin/named", prepare: named},
		{name: "dnscache-1.05", file: "usr/sbin/dnscache", prepare: original},
	}
}

func (p *peer) path() string {
	if p.file == "" {
		return filepath.Join(*binDir, "dnscache")
	}
	return filepath.Join(*peerDir, p.file)
}

func (p *peer) available() bool { _, err := os.Stat(p.path()); return err == nil }

// server is a running peer.
type server struct {
	cmd   *exec.Cmd
	ready time.Duration // to the first answer
	over  bool
}

func (p *peer) start() (*server, error) {
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
	d, err := os.MkdirTemp("", "cachebench-")
	if err != nil {
		return nil, err
	}
	os.Chmod(d, 0o755)
	p.dir = d
	return p.restart("www."+zoneName(17), time.Now())
}

// restart starts the server and waits until it answers for name; ready counts
// from began.
func (p *peer) restart(name string, began time.Time) (*server, error) {
	cmd, env, err := p.prepare(p.dir)
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command("taskset", append([]string{"-c", strconv.Itoa(serverCPU), p.path()}, cmd...)...)}
	s.cmd.Dir = p.dir
	s.cmd.Env = append(os.Environ(), env...)
	logName := p.dir + "/log"
	if *tests == "soak" {
		logName = os.DevNull // 150 bytes a question for half an hour
	}
	log, _ := os.Create(logName)
	s.cmd.Stderr, s.cmd.Stdout = log, log
	target.Port = 5300
	if p.name == "dnscache-1.05" {
		target.Port = 53
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	log.Close()
	for time.Since(began) < 15*time.Second {
		if probe(name) {
			s.ready = time.Since(began)
			return s, nil
		}
	}
	s.stop()
	b, _ := os.ReadFile(p.dir + "/log")
	return nil, fmt.Errorf("does not answer: %.200s", bytes.TrimSpace(b))
}

func (s *server) stop() {
	if s.over {
		return
	}
	s.over = true
	s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		<-done
	}
}

func (s *server) stat(file string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file))
	return string(b)
}

// cpu is the processor time of all threads.
func (s *server) cpu() time.Duration {
	b := s.stat("stat")
	f := strings.Fields(b[strings.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0
	}
	u, _ := strconv.Atoi(f[11])
	k, _ := strconv.Atoi(f[12])
	return time.Duration(u+k) * 10 * time.Millisecond // USER_HZ is 100
}

// memory is the proportional set size in bytes: knot-resolver maps its cache.
func (s *server) memory() int {
	for line := range strings.Lines(s.stat("smaps_rollup")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			k, _ := strconv.Atoi(f[1])
			return k * 1024
		}
	}
	return 0
}

// files is the number of open descriptors.
func (s *server) files() int {
	l, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	return len(l)
}

// stats asks our control socket (docs/format-control.md); empty for others.
func (s *server) stats() map[string]float64 {
	out := map[string]float64{}
	c, err := net.Dial("unix", s.cmd.Dir+"/root/state/control")
	if err != nil {
		return out
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	c.Write([]byte("stats\n"))
	b, _ := io.ReadAll(c)
	for line := range strings.Lines(string(b)) {
		var name string
		var v float64
		if n, _ := fmt.Sscanf(line, "%s %g", &name, &v); n == 2 {
			out[name] = v
		}
	}
	return out
}

func write(files map[string]string) error {
	for f, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

func root(dir string) error {
	return write(map[string]string{dir + "/root/ip/127.0.0.1": "", dir + "/root/servers/@": "10.53.0.1\n10.53.0.2\n"})
}

func ours(dir string) (cmd, env []string, err error) {
	return nil, []string{"ROOT=" + dir + "/root", "IP=127.0.0.1", "PORT=5300", "IPSEND=0.0.0.0", "UID=65534", "GID=65534",
		"GOMAXPROCS=1", fmt.Sprintf("CACHESIZE=%d", ourMB()<<20)}, root(dir)
}

// ourMB is small in a soak: the cache must be full before memory can be flat.
func ourMB() int {
	if *tests == "soak" {
		return 8
	}
	return cacheMB
}

// original knows no port but 53; target follows.
func original(dir string) (cmd, env []string, err error) {
	return nil, []string{"ROOT=" + dir + "/root", "IP=127.0.0.1", "IPSEND=0.0.0.0", "UID=65534", "GID=65534",
		fmt.Sprintf("CACHESIZE=%d", cacheMB<<20)}, root(dir)
}

func unbound(dir string) (cmd, env []string, err error) {
	return []string{"-d", "-c", dir + "/unbound.conf"}, nil, write(map[string]string{dir + "/hints": hints, dir + "/unbound.conf": fmt.Sprintf(`server:
	interface: 127.0.0.1@5300
	access-control: 0.0.0.0/0 allow
	do-daemonize: no
	use-syslog: no
	username: ""
	chroot: ""
	directory: "%s"
	pidfile: "%[1]s/pid"
	root-hints: "%[1]s/hints"
	do-not-query-localhost: no
	num-threads: 1
	do-ip6: no
	msg-cache-size: %dm
	rrset-cache-size: %dm
	outgoing-range: 8192
	num-queries-per-thread: 4096
	so-rcvbuf: 4m
	minimal-responses: yes
	module-config: "iterator"
	verbosity: 0
remote-control:
	control-enable: no
`, dir, cacheMB, 2*cacheMB)})
}

func kresd(dir string) (cmd, env []string, err error) {
	os.MkdirAll(dir+"/cache", 0o755)
	return []string{"-n", "-c", dir + "/kresd.conf", dir + "/cache"}, nil, write(map[string]string{dir + "/kresd.conf": fmt.Sprintf(`
net.listen('127.0.0.1', 5300)
net.ipv6 = false
cache.size = %d * MB
log_level('crit')
modules.load('hints')
hints.root({['ns1.root.'] = '10.53.0.1', ['ns2.root.'] = '10.53.0.2'})
modules.unload('ta_update') modules.unload('ta_signal_query') modules.unload('detect_time_skew') modules.unload('priming') modules.unload('detect_time_jump')
trust_anchors.remove('.')
`, 3*cacheMB)})
}

func recursor(dir string) (cmd, env []string, err error) {
	return []string{"--config-dir=" + dir}, nil, write(map[string]string{dir + "/hints": hints, dir + "/recursor.conf": fmt.Sprintf(`local-address=127.0.0.1
local-port=5300
hint-file=%s/hints
socket-dir=%[1]s
daemon=no
threads=1
pdns-distributes-queries=no
dont-query=
allow-from=0.0.0.0/0
max-cache-entries=4000000
max-packetcache-entries=2000000
max-mthreads=4096
quiet=yes
loglevel=0
disable-syslog=yes
security-poll-suffix=
server-down-max-fails=0
dnssec=off
`, dir)})
}

func named(dir string) (cmd, env []string, err error) {
	return []string{"-g", "-4", "-n", "1", "-c", dir + "/named.conf"}, nil, write(map[string]string{dir + "/hints": hints, dir + "/named.conf": fmt.Sprintf(`
options { directory "%s"; pid-file "%[1]s/pid"; session-keyfile "%[1]s/key"; listen-on port 5300 { 127.0.0.1; }; listen-on-v6 { none; };
recursion yes; allow-recursion { any; }; allow-query-cache { any; }; empty-zones-enable no; minimal-responses yes; querylog no;
dnssec-validation no; max-cache-size %dm; recursive-clients 5000; prefetch 0; };
controls {};
logging { category default { null; }; };
zone "." { type hint; file "hints"; };
`, dir, cacheMB)})
}
