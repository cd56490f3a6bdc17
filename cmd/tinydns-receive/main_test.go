package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		command string
		ok      bool
	}{
		{"rsync --server -tze.iLsfxCIvu --timeout=60 . data.cdb", true},
		{"rsync --server -vlogDtprze.iLsfxCIvu . data.cdb", false}, // links, devices, recursion
		{"rsync --server -tz . data.cdb", true},
		{"rsync --server --sender -tz . data.cdb", false},
		{"rsync --server -tz --inplace . data.cdb", false},
		{"rsync --server -tz --append . data.cdb", false},
		{"rsync --server -tz --delete . data.cdb", false},
		{"rsync --server -tz --log-file=/etc/x . data.cdb", false},
		{"rsync --server -tz --timeout=1x . data.cdb", false},
		{"rsync --server -tz . data.cdb /etc/passwd", false},
		{"rsync --server -tz . /etc/passwd", false},
		{"rsync --server -tz . ../data.cdb", false},
		{"rsync -e sh data.cdb . data.cdb", false},
		{"sh -c reboot", false},
		{"cat data", false},
	} {
		got, err := allowed(c.command)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", c.command, got, err)
		}
	}
}

// compiled makes a data.cdb.
func compiled(t *testing.T, bin, data string) []byte {
	dir := t.TempDir()
	os.WriteFile(dir+"/data", []byte(data), 0o644)
	cmd := exec.Command(filepath.Join(bin, "tinydns-data"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(dir + "/data.cdb")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStdin(t *testing.T) {
	bin := testbin.Dir(t, "tinydns-receive", "tinydns-data")
	good := compiled(t, bin, "+a.test:192.0.2.1\n")
	root := t.TempDir()
	send := func(b []byte) (string, error) {
		cmd := exec.Command(filepath.Join(bin, "tinydns-receive"), root)
		cmd.Stdin = bytes.NewReader(b)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := send(good); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for what, bad := range map[string][]byte{"cut short": good[:len(good)-1], "empty": nil, "no cdb": bytes.Repeat([]byte("x"), 5000),
		"one byte changed": append(bytes.Clone(good[:len(good)-3]), good[len(good)-3]^1, good[len(good)-2], good[len(good)-1])} {
		out, err := send(bad)
		if err == nil || !strings.Contains(out, "tinydns-receive: fatal: refused: data.cdb is damaged") {
			t.Errorf("%s: %v %q", what, err, out)
		}
	}
	got, err := os.ReadFile(root + "/data.cdb")
	if err != nil || !bytes.Equal(got, good) {
		t.Errorf("data.cdb is not the good one: %v", err)
	}
	des, _ := os.ReadDir(root)
	for _, de := range des {
		if n := de.Name(); n != "data.cdb" && n != "data.idx" {
			t.Errorf("%s is left over", n)
		}
	}
}

// TestRsync sends through a real rsync with the shell in ssh's place.
func TestRsync(t *testing.T) {
	rsync := testbin.Peer(t, "usr/bin/rsync")
	bin := testbin.Dir(t, "tinydns-receive", "tinydns-data")
	root, from := t.TempDir(), t.TempDir()
	// what sshd does with a forced command
	shell := filepath.Join(from, "shell")
	os.WriteFile(shell, []byte("#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND=\"$*\" exec "+filepath.Join(bin, "tinydns-receive")+" "+root+"\n"), 0o755)
	send := func(b []byte, args ...string) (string, error) {
		os.WriteFile(from+"/data.cdb", b, 0o644)
		cmd := exec.Command(rsync, append(append([]string{"-tz", "--timeout=60", "-e", shell}, args...), "data.cdb", "host:data.cdb")...)
		cmd.Dir = from
		cmd.Env = append(testbin.PeerEnv(), "PATH="+filepath.Dir(rsync)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	first := compiled(t, bin, "+a.test:192.0.2.1\n")
	second := compiled(t, bin, strings.Repeat("+b.test:192.0.2.1\n", 5000))
	for i, b := range [][]byte{first, second, second} {
		if out, err := send(b); err != nil {
			t.Fatalf("sending number %d: %v %s", i, err, out)
		}
		if got, err := os.ReadFile(root + "/data.cdb"); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("sending number %d: not what was sent: %v", i, err)
		}
	}
	if _, err := send(second[:len(second)-100]); err == nil {
		t.Error("a damaged file was taken")
	}
	if _, err := send(first, "--inplace"); err == nil {
		t.Error("--inplace was let through")
	}
	if got, err := os.ReadFile(root + "/data.cdb"); err != nil || !bytes.Equal(got, second) {
		t.Error("data.cdb is not the last good one")
	}
}
