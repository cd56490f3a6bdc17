package daemontools

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/posix"
	"bulkhead/internal/testbin"
)

// echo is a service that answers on the sockets that supervise hands it: 3 is
// UDP, 4 TCP. Each answer begins with its pid. TERM ends it between two
// answers, as any careful server does.
func echo() {
	stop := make(chan os.Signal, 1)
	r, w, _ := posix.Pipe()
	signal.Notify(stop, syscall.SIGTERM)
	go func() { <-stop; posix.Write(w, []byte{0}) }()
	pid := fmt.Sprintf("%d ", os.Getpid())
	if os.Getenv("LISTEN_FDS") != "2" || os.Getenv("LISTEN_PID") != strings.TrimSpace(pid) {
		os.Exit(100)
	}
	syscall.SetNonblock(3, true)
	syscall.SetNonblock(4, true)
	buf := make([]byte, 1500)
	for {
		fds := []posix.PollFd{{Fd: int32(r), Events: posix.POLLIN}, {Fd: 3, Events: posix.POLLIN}, {Fd: 4, Events: posix.POLLIN}}
		posix.Poll(fds, -1)
		if fds[0].Revents != 0 {
			os.Exit(0)
		}
		if n, from, err := syscall.Recvfrom(3, buf, 0); err == nil {
			syscall.Sendto(3, append([]byte(pid), buf[:n]...), 0, from)
		}
		if fd, _, err := syscall.Accept(4); err == nil {
			n, _ := posix.Read(fd, buf) // one line, sent in one piece
			posix.WriteAll(fd, append([]byte(pid), buf[:max(n, 0)]...))
			syscall.Close(fd)
		}
	}
}

// replacements is how many times the service is replaced under load.
const replacements = 4

// TestReplace replaces a service again and again while packets and connections
// keep coming, once by another program: not one goes unanswered.
func TestReplace(t *testing.T) {
	bin := testbin.Dir(t, "supervise", "svc", "svok")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// ports that are free now
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, udp := l.Addr().String(), u.LocalAddr().String()
	l.Close()
	u.Close()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name+".new"), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("sockets", "udp "+udp+"\ntcp "+tcp+"\n")
	write("run", "#!/bin/sh\n"+roleEnv+"=echo exec '"+self+"'\n")
	cmd := exec.Command(filepath.Join(bin, "supervise"), dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		exec.Command(filepath.Join(bin, "svc"), "-dx", dir).Run()
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("supervise: %v %s", err, stderr.Bytes())
		}
	}()
	for exec.Command(filepath.Join(bin, "svok"), dir).Run() != nil {
		time.Sleep(10 * time.Millisecond)
	}

	// The sockets are there before ./run is; from now on everything must be
	// answered.
	seen := make(chan string, 1<<16) // pids that answered over UDP
	done := make(chan bool)
	results := make(chan error, 2)
	go func() { results <- packets(udp, seen, done) }()
	go func() { results <- connections(tcp, done) }()
	pids := map[string]bool{}
	deadline := time.After(2 * time.Minute)
	for asked := 0; len(pids) <= replacements; {
		select {
		case pid := <-seen:
			if pids[pid] {
				continue
			}
			if pids[pid] = true; asked == 1 {
				// the next one is another program
				write("run", "#!/bin/sh\n# the second version\nsleep 0.3; "+roleEnv+"=echo exec '"+self+"'\n")
			}
			if asked++; asked <= replacements {
				exec.Command(filepath.Join(bin, "svc"), "-t", dir).Run()
			}
		case <-deadline:
			t.Fatalf("only %d processes answered", len(pids))
		}
	}
	close(done)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// window is how many packets wait for an answer at once: they have to fit into
// the socket's buffer (net.core.rmem_default, 208 kB) while nobody reads it.
const window = 32

// answerLimit is far above what a replacement takes.
const answerLimit = time.Minute

// packets sends numbered packets until done and waits for the last answer.
func packets(to string, seen chan<- string, done <-chan bool) error {
	c, err := net.Dial("udp4", to)
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 1500)
	waiting := map[string]bool{}
	for n := 0; ; {
		stop := false
		select {
		case <-done:
			stop = true
		default:
		}
		for !stop && len(waiting) < window {
			n++
			text := fmt.Sprintf("packet %d", n)
			waiting[text] = true
			if _, err := c.Write([]byte(text)); err != nil {
				return err
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		c.SetReadDeadline(time.Now().Add(answerLimit))
		k, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("%d of %d packets lost: %v", len(waiting), n, err)
		}
		pid, text, _ := strings.Cut(string(buf[:k]), " ")
		if !waiting[text] {
			return fmt.Errorf("%q answered twice", text)
		}
		delete(waiting, text)
		select {
		case seen <- pid:
		default:
		}
	}
}

// connections connects, asks and reads the answer, until done.
func connections(to string, done <-chan bool) error {
	for n := 0; ; n++ {
		select {
		case <-done:
			return nil
		default:
		}
		c, err := net.Dial("tcp4", to)
		if err != nil {
			return fmt.Errorf("connection %d: %v", n, err)
		}
		c.SetDeadline(time.Now().Add(answerLimit))
		fmt.Fprintf(c, "line %d\n", n)
		line, err := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if want := fmt.Sprintf(" line %d\n", n); err != nil || !strings.HasSuffix(line, want) {
			return fmt.Errorf("connection %d: %q %v", n, line, err)
		}
	}
}

// TestNotify: systemd hears from svscan when it has started what there is and
// when it begins to stop; services do not find its socket.
func TestNotify(t *testing.T) {
	bin := testbin.Dir(t, "svscan", "supervise")
	for _, kind := range []string{"path", "abstract"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "notify")
			if kind == "abstract" {
				name = fmt.Sprintf("@bulkhead-test-%d-%s", os.Getpid(), filepath.Base(dir))
			}
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(answerLimit))
			hear := func(want string) {
				buf := make([]byte, 512)
				n, err := c.Read(buf)
				if string(buf[:n]) != want || err != nil {
					t.Errorf("heard %q, %v, want %q", buf[:n], err, want)
				}
			}
			services, env := oneService(t)
			cmd := exec.Command(filepath.Join(bin, "svscan"), services)
			cmd.Env = append(os.Environ(), "PATH="+bin+":/usr/bin:/bin", "NOTIFY_SOCKET="+name)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			hear("READY=1")
			if b := env(); len(b) == 0 || bytes.Contains(b, []byte("NOTIFY_SOCKET")) {
				t.Errorf("the service has %q", b)
			}
			cmd.Process.Signal(syscall.SIGTERM)
			hear("STOPPING=1")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	// What is no socket stops nobody.
	for _, bad := range []string{"relative", "/nonexistent/socket", strings.Repeat("/x", 200)} {
		services, env := oneService(t)
		cmd := exec.Command(filepath.Join(bin, "svscan"), services)
		cmd.Env = append(os.Environ(), "PATH="+bin+":/usr/bin:/bin", "NOTIFY_SOCKET="+bad)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if len(env()) == 0 {
			t.Errorf("NOTIFY_SOCKET=%s: nothing was started", bad)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("NOTIFY_SOCKET=%s: %v %s", bad, err, stderr.Bytes())
		}
	}
}

// oneService makes a folder with a service, and gives a function that waits for
// the environment that the service has found.
func oneService(t *testing.T) (services string, env func() []byte) {
	services = t.TempDir()
	dir := filepath.Join(services, "one")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run := "#!/bin/sh\nenv > env.new; mv env.new env; exec sleep 1000\n"
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte(run), 0o755); err != nil {
		t.Fatal(err)
	}
	return services, func() (b []byte) {
		for limit := time.Now().Add(answerLimit); len(b) == 0 && time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
			b, _ = os.ReadFile(filepath.Join(dir, "env"))
		}
		return b
	}
}
