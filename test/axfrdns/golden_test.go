// Package axfrdns runs the program against recorded connections of 1.05, and
// with hostile clients.
package axfrdns

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/testbin"
	"bulkhead/test/model"
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
// with 1.05. With and without, every byte is what the rules of
// docs/differences.md make of the bytes of 1.05: the model of test/model says it
// of ordinary answers, expectTransfer of zones.
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
		built, err := os.ReadFile(filepath.Join(root, "data.cdb"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(built)
		if err != nil {
			t.Fatal(err)
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
				r := explained[c.one("note")]
				if r == "" {
					t.Errorf("%s %s (%s): exit %d, log %q; want %d, %q", set, c.one("case"), c.one("note"),
						cmd.ProcessState.ExitCode(), log.String(), exit, want)
					continue
				}
				rules[r]++
			}
			// byte by byte: what was silence stays silence
			k := &checker{t: t, m: m, rules: rules, what: set + " " + c.one("case") + " (" + c.one("note") + ")",
				all: model.All &^ model.RefusedOutside, silent: true}
			k.check(c, stdin, out.Bytes())
			transfers += k.transfers
			// and as everybody runs it
			cmd = exec.Command(filepath.Join(bin, "axfrdns"))
			cmd.Env = append([]string{"ROOT=" + root, "UID=61950", "GID=61951", "LOG=0"}, c.all("env")...)
			cmd.Stdin = bytes.NewReader(stdin)
			out.Reset()
			cmd.Stdout = &out
			cmd.Run()
			k.all, k.silent, k.what = model.All, false, k.what+" without SILENT"
			k.check(c, stdin, out.Bytes())
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
