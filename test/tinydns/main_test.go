// Package tinydns_test plays the fixtures of tinydns 1.05 and random data
// against our tinydns, and lets named rules explain each difference (package
// test/model). It runs the real programs in a network namespace of its own.
package tinydns_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/cdb"
	"bulkhead/internal/testbin"
	"bulkhead/internal/tinydata"
	"bulkhead/test/model"
)

// TestMain runs the tests again in a network namespace, where port 53 and all
// of 127/8 are ours.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv("BULKHEAD_IN_NETNS") == "1" {
		if os.Geteuid() == 0 {
			exec.Command("ip", "link", "set", "lo", "up").Run()
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "BULKHEAD_IN_NETNS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread
	err := cmd.Run()
	var e *exec.ExitError
	if errors.As(err, &e) {
		os.Exit(e.ExitCode())
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// server is a running tinydns, ours or Debian's.
type server struct {
	ip   string
	root string
	cmd  *exec.Cmd
	log  *bufio.Reader
	mu   sync.Mutex
	msgs []string // everything logged that is no query
}

// start runs program in root. Its log is read by line().
func start(t testing.TB, program, ip, root string, env ...string) *server {
	t.Helper()
	s := &server{ip: ip, root: root}
	s.cmd = exec.Command(program)
	s.cmd.Env = append(append(testbin.PeerEnv(), "ROOT="+root, "IP="+ip, "UID=61950", "GID=61951"), env...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	s.log = bufio.NewReaderSize(r, 1<<16)
	t.Cleanup(func() { s.cmd.Process.Kill(); s.cmd.Wait(); r.Close() })
	if l := s.line(t); l != "starting "+filepath.Base(program) {
		t.Fatalf("%s: %s", program, l)
	}
	return s
}

func (s *server) line(t testing.TB) string {
	l, err := s.log.ReadString('\n')
	if err != nil {
		t.Fatalf("%s ended: %v", s.cmd.Path, err)
	}
	return strings.TrimSuffix(l, "\n")
}

// discard reads the rest of the log, so that the server never waits for it.
func (s *server) discard() { go io.Copy(io.Discard, s.log) }

func tempRoot(t testing.TB) string {
	d := t.TempDir()
	os.Chmod(filepath.Dir(d), 0o755)
	os.Chmod(d, 0o755)
	return d
}

// compile makes data.cdb in memory.
func compile(t testing.TB, data []byte, serial uint32) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "cdb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w := cdb.NewWriter(f)
	if _, err := tinydata.Compile(bytes.NewReader(data), w, serial, tinydata.Watch{}); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publish puts a data.cdb into a root as tinydns-data does, without an index.
func publish(t testing.TB, root string, c []byte) {
	t.Helper()
	tmp := filepath.Join(root, "data.tmp")
	if err := os.WriteFile(tmp, c, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(root, "data.cdb")); err != nil {
		t.Fatal(err)
	}
}

// socket is a UDP socket bound to src.
func socket(t testing.TB, src string) *net.UDPConn {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp4", src)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp4", a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What counts as the same answer, whatever the order of its addresses.
var canon, same = model.Canon, model.Same

// settle waits for a reply with the given id and hands others to got.
func settle(t testing.TB, c *net.UDPConn, id uint16, got func(msg []byte)) bool {
	buf := make([]byte, 4096)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		n, err := c.Read(buf)
		if err != nil {
			t.Errorf("no answer to the last query of a batch: %v", err)
			return false
		}
		if n < 2 {
			continue
		}
		if binary.BigEndian.Uint16(buf) == id {
			return true
		}
		got(bytes.Clone(buf[:n]))
	}
}
