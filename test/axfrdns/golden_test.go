// Package axfrdns runs the program against recorded connections of 1.05, and
// with hostile clients.
package axfrdns

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"bulkhead/internal/testbin"
)

// block is one case: keys and values in order.
type block [][2]string

func (b block) one(key string) string {
	for _, kv := range b {
		if kv[0] == key {
			return kv[1]
		}
	}
	return ""
}

func (b block) all(key string) (out []string) {
	for _, kv := range b {
		if kv[0] == key {
			out = append(out, kv[1])
		}
	}
	return out
}

func read(t *testing.T, file string) (out []block) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(b), "\n\n") {
		var bl block
		for _, l := range strings.Split(part, "\n") {
			if k, v, ok := strings.Cut(l, ": "); ok && !strings.HasPrefix(l, "#") {
				bl = append(bl, [2]string{k, v})
			}
		}
		if len(bl) > 0 && bl.one("case") != "" {
			out = append(out, bl)
		}
	}
	return out
}

// explained are the cases whose exit code or log differ even with SILENT, with
// the rule of docs/differences.md that says why.
var explained = map[string]string{
	"opcode": "tcp-notimp", "AA": "tcp-notimp", "TC": "tcp-notimp", "class CHAOS": "tcp-class",
	"513 bytes": "tcp-large", "unparseable TCPREMOTEIP, port 70000": "client6",
}

// With SILENT=1 a connection ends when, how and with what in the log it did
// with 1.05; transfers hold no record that 1.05 did not send.
func TestGoldenConnections(t *testing.T) {
	testbin.NeedRoot(t)
	golden := testbin.Shared(t, "compat/golden")
	bin := testbin.Dir(t, "axfrdns", "tinydns-data")
	sets, _ := filepath.Glob(golden + "/*/tcp.cases")
	ran, rules, transfers := 0, map[string]int{}, 0
	for _, file := range sets {
		set := filepath.Base(filepath.Dir(file))
		data, err := os.ReadFile(filepath.Join(filepath.Dir(file), "data"))
		if os.IsNotExist(err) {
			continue // made by a program of the fixtures
		}
		if err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		for d := root; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
			os.Chmod(d, 0o755)
		}
		os.WriteFile(filepath.Join(root, "data"), data, 0o644)
		mtime, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "mtime"))
		sec, _ := strconv.ParseInt(strings.TrimSpace(string(mtime)), 10, 64)
		os.Chtimes(filepath.Join(root, "data"), time.Unix(sec, 0), time.Unix(sec, 0))
		mk := exec.Command(filepath.Join(bin, "tinydns-data"))
		mk.Dir = root
		if out, err := mk.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", set, err, out)
		}
		for _, c := range read(t, file) {
			ran++
			stdin, _ := hex.DecodeString(c.one("stdin"))
			cmd := exec.Command(filepath.Join(bin, "axfrdns"))
			cmd.Env = append([]string{"ROOT=" + root, "UID=61950", "GID=61951", "SILENT=1"}, c.all("env")...)
			cmd.Stdin = bytes.NewReader(stdin)
			var out, log bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &log
			cmd.Run()
			want := strings.Join(append(c.all("stderr"), ""), "\n")
			exit, _ := strconv.Atoi(c.one("exit"))
			if exit != cmd.ProcessState.ExitCode() || want != log.String() {
				if r := explained[c.one("note")]; r != "" {
					rules[r]++
					continue
				}
				t.Errorf("%s %s (%s): exit %d, log %q; want %d, %q", set, c.one("case"), c.one("note"),
					cmd.ProcessState.ExitCode(), log.String(), exit, want)
				continue
			}
			if strings.Contains(want, " 00fc ") {
				old, _ := hex.DecodeString(c.one("stdout"))
				a, b := transferred(t, old), transferred(t, out.Bytes())
				transfers++
				for r := range b {
					if !a[r] {
						t.Errorf("%s %s (%s): sends %s, which 1.05 did not", set, c.one("case"), c.one("note"), r)
					}
				}
			}
		}
	}
	if ran < 200 || transfers < 10 {
		t.Errorf("only %d cases ran, %d transfers", ran, transfers)
	}
	var names []string
	for r := range rules {
		names = append(names, r)
	}
	sort.Strings(names)
	for _, r := range names {
		t.Logf("%s: %d", r, rules[r])
	}
}

// transferred gives the records of all messages with more than one record or
// of type SOA, in presentation form.
func transferred(t *testing.T, b []byte) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for len(b) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(b))
		if len(b) < n {
			t.Fatal("a frame is cut")
		}
		var m mdns.Msg
		if err := m.Unpack(b[2:n]); err == nil {
			for _, r := range m.Answer {
				out[strings.ToLower(r.String())] = true
			}
		}
		b = b[n:]
	}
	return out
}
