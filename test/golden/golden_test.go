// Package golden plays the fixtures of tinydns-edit, rbldns-data, pickdns-data,
// walldns, rbldns and pickdns against the real programs. A fixture may differ
// from 1.05 only where a named rule of docs/differences.md explains that case.
package golden

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/testbin"
)

// block is one group of "key: value" lines.
type block [][2]string

func blocks(t *testing.T, fn string) (out []block) {
	b, err := os.ReadFile(fn)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(b), "\n\n") {
		var bl block
		for _, l := range strings.Split(part, "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok && !strings.HasPrefix(l, "#") {
				bl = append(bl, [2]string{k, strings.TrimPrefix(v, " ")})
			}
		}
		if bl != nil {
			out = append(out, bl)
		}
	}
	return out
}

func (b block) get(key string) string {
	for _, kv := range b {
		if kv[0] == key {
			return kv[1]
		}
	}
	return ""
}

func glob(t *testing.T, pattern string, least int) []string {
	files, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "compat/golden"), pattern))
	if len(files) < least {
		t.Fatalf("only %d fixtures %s", len(files), pattern)
	}
	return files
}

func run(t *testing.T, dir, program string, args ...string) (exit int, stderr string) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var b bytes.Buffer
	cmd.Stderr = &b
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

var quoted = regexp.MustCompile(`'(.*?)'(?: |$)`)

func TestEdit(t *testing.T) {
	program := filepath.Join(testbin.Dir(t, "tinydns-edit"), "tinydns-edit")
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	for _, fn := range glob(t, "tinydns-edit/*.case", 20) {
		base := strings.TrimSuffix(fn, ".case")
		dir := t.TempDir()
		var all block
		for _, b := range blocks(t, fn) {
			all = append(all, b...)
		}
		if b, err := os.ReadFile(base + ".before"); err == nil {
			os.WriteFile(dir+"/data", b, 0o644)
			mode, _ := strconv.ParseUint(all.get("before-mode"), 8, 32)
			os.Chmod(dir+"/data", os.FileMode(mode))
		}
		for i := 0; i < len(all); i++ {
			if all[i][0] != "run" {
				continue
			}
			var args []string
			for _, m := range quoted.FindAllStringSubmatch(all[i][1], -1) {
				args = append(args, m[1])
			}
			wantExit, wantErr := "", ""
			for _, kv := range all[i+1:] {
				if kv[0] == "run" {
					break
				}
				if kv[0] == "exit" {
					wantExit = kv[1]
				}
				if kv[0] == "stderr" {
					wantErr += kv[1] + "\n"
				}
			}
			exit, stderr := run(t, dir, program, args...)
			if fmt.Sprint(exit) != wantExit || stderr != wantErr {
				t.Errorf("%s %q: %d %q, want %s %q", filepath.Base(fn), args, exit, stderr, wantExit, wantErr)
			}
		}
		want, err := os.ReadFile(base + ".after")
		if err != nil {
			continue
		}
		got, err := os.ReadFile(dir + "/data")
		st, _ := os.Stat(dir + "/data")
		if err != nil || !bytes.Equal(got, want) || fmt.Sprintf("%04o", st.Mode().Perm()) != all.get("after-mode") {
			t.Errorf("%s: data is %q mode %v, want %q mode %s", filepath.Base(fn), got, st.Mode(), want, all.get("after-mode"))
		}
	}
}

func TestSmallData(t *testing.T) {
	bin := testbin.Dir(t, "rbldns-data", "pickdns-data")
	for _, p := range []string{"rbldns-data", "pickdns-data"} {
		for _, fn := range glob(t, p+"/*/data", 3) {
			data, err := os.ReadFile(fn)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(fn + ".cdb")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			os.WriteFile(dir+"/data", data, 0o644)
			exit, stderr := run(t, dir, filepath.Join(bin, p))
			if got, _ := os.ReadFile(dir + "/data.cdb"); exit != 0 || !bytes.Equal(got, want) {
				t.Errorf("%s: exit %d %s, %d bytes, want %d", fn, exit, stderr, len(got), len(want))
			}
		}
		for _, fn := range glob(t, p+"/errors/*.expect", 8) {
			var want block
			for _, b := range blocks(t, fn) {
				want = append(want, b...)
			}
			data, err := os.ReadFile(strings.TrimSuffix(fn, "expect") + "data")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			os.WriteFile(dir+"/data", data, 0o644)
			exit, stderr := run(t, dir, filepath.Join(bin, p))
			wantErr := want.get("stderr")
			if wantErr != "" {
				wantErr += "\n"
			}
			var files []string
			des, _ := os.ReadDir(dir)
			for _, de := range des {
				files = append(files, de.Name())
			}
			if fmt.Sprint(exit) != want.get("exit") || stderr != wantErr || strings.Join(files, " ") != want.get("files") {
				t.Errorf("%s: %d %q %q, want %v", fn, exit, stderr, files, want)
			}
		}
	}
}

// rules explain differences: each gives the reply that is expected here for a
// case, or "" where it does not apply.
var rules = []struct {
	name  string
	apply func(program string, c block) string
}{
	{"class-refused", func(_ string, c block) string {
		if !strings.Contains(c.get("log"), " C ") {
			return ""
		}
		q := c.get("reply") // FORMERR with RD and RA becomes REFUSED, RD as asked
		rd, _ := strconv.ParseUint(c.get("udp")[4:6], 16, 8)
		return q[:4] + fmt.Sprintf("8%d05", rd&1) + q[8:]
	}},
	{"opcode-echo", func(_ string, c block) string {
		if !strings.Contains(c.get("log"), " I ") {
			return ""
		}
		op, _ := strconv.ParseUint(c.get("udp")[4:6], 16, 8)
		r := c.get("reply")
		flags, _ := strconv.ParseUint(r[4:6], 16, 8)
		return r[:4] + fmt.Sprintf("%02x", flags|op&0x78) + r[6:]
	}},
	{"host-bits", func(program string, c block) string {
		// 203.0.113.77/30 of the fixture's data
		m := regexp.MustCompile(`^(A|TXT|ANY) (7[6-9])\.113\.0\.203\.rbl\.example\.test$`).FindStringSubmatch(c.get("note"))
		if program != "rbldns" || m == nil {
			return ""
		}
		r := c.get("reply")
		text := "Blocked: see http://www.rbl.test/203.0.113." + m[2]
		a := "c00c000100010000080000047f000002"
		txt := "c00c0010000100000800" + fmt.Sprintf("%04x%02x", len(text)+1, len(text)) + hex.EncodeToString([]byte(text))
		answer, n := a, 1
		switch m[1] {
		case "TXT":
			answer = txt
		case "ANY":
			answer, n = a+txt, 2
		}
		return r[:4] + "8400" + "0001" + fmt.Sprintf("%04x", n) + r[16:] + answer
	}},
}

// TestServers plays the packets in a network namespace of its own, where the
// fixtures' addresses and ports are free.
func TestServers(t *testing.T) {
	testbin.NeedRoot(t)
	const inner = "BULKHEAD_GOLDEN_INNER"
	if os.Getenv(inner) == "" {
		bin := testbin.Dir(t, "walldns", "rbldns", "pickdns")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run", "^TestServers$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1", "BULKHEAD_BIN="+bin)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	loopbackUp(t)
	count := map[string]int{}
	identical := 0
	play := func(program, fn, data string) {
		same := serve(t, program, fn, data, count)
		identical += same
	}
	for _, fn := range glob(t, "rbldns-data/*/udp.cases", 5) {
		play("rbldns", fn, filepath.Dir(fn)+"/data.cdb")
	}
	for _, fn := range glob(t, "pickdns-data/*/udp.cases", 1) {
		play("pickdns", fn, filepath.Dir(fn)+"/data.cdb")
	}
	for _, fn := range glob(t, "walldns/udp.cases", 1) {
		play("walldns", fn, "")
	}
	t.Logf("%d cases identical; explained by a rule: %v", identical, count)
}

func loopbackUp(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		t.Fatal(err)
	}
}

var remark = regexp.MustCompile(`(?m)^# env: (.*)$`)

func serve(t *testing.T, program, fn, data string, count map[string]int) (identical int) {
	root, err := os.MkdirTemp("", "golden")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	os.Chmod(root, 0o755)
	if data != "" {
		b, err := os.ReadFile(data)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(root+"/data.cdb", b, 0o644)
	}
	cmd := exec.Command(filepath.Join(testbin.Dir(t), program))
	cmd.Env = []string{"UID=61950", "GID=61951", "IP=127.0.0.53", "ROOT=" + root}
	text, _ := os.ReadFile(fn)
	for _, m := range remark.FindAllSubmatch(text, -1) {
		cmd.Env = append(cmd.Env, string(m[1]))
	}
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	log := bufio.NewReader(pipe)
	if l, _ := log.ReadString('\n'); l != "starting "+program+"\n" {
		rest, _ := io.ReadAll(log)
		t.Fatalf("%s %s: %q %s", program, fn, l, rest)
	}
	for _, c := range blocks(t, fn) {
		if c.get("udp") == "" {
			continue
		}
		src, err := net.ResolveUDPAddr("udp4", c.get("src"))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.DialUDP("udp4", src, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 53), Port: 53})
		if err != nil {
			t.Fatal(err)
		}
		packet, _ := hex.DecodeString(c.get("udp"))
		conn.Write(packet)
		line, err := log.ReadString('\n') // comes with the answer, or without one
		if err != nil {
			t.Fatalf("%s: %v", fn, err)
		}
		got, buf := "none", make([]byte, 1500)
		if c.get("reply") != "none" {
			conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // only a lost answer waits
			n, err := conn.Read(buf)
			if err == nil {
				got = hex.EncodeToString(buf[:n])
			}
		}
		conn.Close()
		what := fmt.Sprintf("%s %s case %s (%s)", program, filepath.Base(filepath.Dir(fn)), c.get("case"), c.get("note"))
		if line != c.get("log")+"\n" {
			t.Errorf("%s: log %q, want %q", what, line, c.get("log"))
		}
		want := c.get("reply")
		if rnd := c.get("random"); rnd != "" {
			if unordered(got) != unordered(want) && !(program == "pickdns" && len(got) == len(want)) {
				t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
			}
			identical++
			continue
		}
		if got == want {
			identical++
			continue
		}
		explained := false
		for _, r := range rules {
			if r.apply(program, c) == got {
				count[r.name]++
				explained = true
				break
			}
		}
		if !explained {
			t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
		}
	}
	return identical
}

// unordered sorts the 32 hex digits of each A record with a pointer for its
// owner, which is all that comes in random order.
func unordered(msg string) string {
	const rr = "c00c00010001"
	i := strings.Index(msg, rr)
	if i < 0 {
		return msg
	}
	var list []string
	rest := msg[i:]
	for strings.HasPrefix(rest, rr) && len(rest) >= 32 {
		list = append(list, rest[:32])
		rest = rest[32:]
	}
	sort.Strings(list)
	return msg[:i] + strings.Join(list, "") + rest
}
