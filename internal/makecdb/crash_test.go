package makecdb

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/testbin"
	"bulkhead/internal/zindex"
)

// calls are the system calls by which tinydns-data touches files. Reads and
// waits change nothing, so being killed at them is being killed at the next of
// these.
var calls = []string{"openat", "write", "pwrite64", "lseek", "mmap", "munmap", "fstat", "sync_file_range", "utimensat", "fsync", "close",
	"rename", "renameat", "renameat2", "unlinkat", "unlink"}

// maxNumber bounds how often one call is counted: well above what the small
// files here need.
const maxNumber = 400

// TestKilledAtEveryCall kills the real tinydns-data with SIGKILL at each
// system call in turn: data.cdb is then the old or the new one, whole; an index
// that claims to belong to it does; and the next run succeeds.
func TestKilledAtEveryCall(t *testing.T) {
	strace := testbin.Peer(t, "usr/bin/strace")
	program := filepath.Join(testbin.Dir(t, "tinydns-data"), "tinydns-data")
	dir := t.TempDir()
	compile := func(data string) []byte {
		if err := os.WriteFile(dir+"/data", []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(dir+"/data", time.Unix(1e9, 0), time.Unix(1e9, 0)) // the SOA's serial
		cmd := exec.Command(program)
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
	const oldData = ".example.test:192.0.2.1:a\n+old.example.test:192.0.2.2\n"
	newData := strings.Replace(oldData, "old", "new", 1) + strings.Repeat("'text.example.test:more\n", 300)
	newOne := compile(newData)
	killed := map[string]int{}
	states := map[string]int{}
	for _, call := range calls {
		for n := 1; ; n++ {
			if n > maxNumber {
				t.Fatalf("%s: more than %d times", call, maxNumber)
			}
			oldOne := compile(oldData)
			os.WriteFile(dir+"/data", []byte(newData), 0o644)
			os.Chtimes(dir+"/data", time.Unix(1e9, 0), time.Unix(1e9, 0))
			cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call,
				"-e", "inject="+call+":signal=KILL:when="+strconv.Itoa(n), program)
			cmd.Dir, cmd.Env = dir, testbin.PeerEnv()
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			if err != nil && strings.Contains(stderr.String(), "PTRACE") {
				testbin.Lack(t, "no process may be traced here: "+stderr.String())
			}
			if err != nil && strings.Contains(stderr.String(), "invalid system call") {
				break // this machine does not have it
			}
			got, readErr := os.ReadFile(dir + "/data.cdb")
			switch {
			case readErr != nil:
				t.Fatalf("%s %d: %v", call, n, readErr)
			case bytes.Equal(got, oldOne):
				states["old"]++
			case bytes.Equal(got, newOne):
				states["new"]++
			default:
				t.Fatalf("%s %d: data.cdb is neither the old nor the new one", call, n)
			}
			states[checkIndex(t, dir, got)]++
			if err == nil {
				if !bytes.Equal(got, newOne) {
					t.Fatalf("%s %d: not killed and yet old", call, n)
				}
				break // the call comes less than n times
			}
			killed[call]++
		}
	}
	t.Logf("killed at %v; found %v", killed, states)
	for _, must := range []string{"write", "fsync", "openat", "close"} {
		if killed[must] == 0 {
			t.Errorf("never killed at %s", must)
		}
	}
	if killed["rename"]+killed["renameat"]+killed["renameat2"] != 2 {
		t.Errorf("killed at %d renames, want 2", killed["rename"]+killed["renameat"]+killed["renameat2"])
	}
	if states["old"] == 0 || states["new"] == 0 || states["index of another"] == 0 || states["index fits"] == 0 {
		t.Errorf("states seen: %v", states)
	}
}

// checkIndex looks whether an index that says it belongs to data.cdb does.
func checkIndex(t *testing.T, dir string, c []byte) string {
	idx, err := os.ReadFile(dir + "/data.idx")
	if err != nil {
		return "no index"
	}
	v, err := zindex.Open(idx, c)
	if err != nil {
		return "index of another"
	}
	var st syscall.Stat_t
	if err := syscall.Stat(dir+"/data.cdb", &st); err != nil {
		t.Fatal(err)
	}
	id := zindex.Identity{Size: uint64(st.Size), Inode: st.Ino, MTime: st.Mtim.Nano()}
	if v.Identity() != id {
		return "index of another"
	}
	want, err := zindex.Build(c, id)
	if err != nil || !bytes.Equal(want, idx) {
		t.Fatalf("data.idx says it belongs to data.cdb and does not: %v", err)
	}
	return "index fits"
}

// The index that the compiler makes on the side is the one that the server
// would make from the finished file.
func TestIndexBeside(t *testing.T) {
	program := filepath.Join(testbin.Dir(t, "tinydns-data"), "tinydns-data")
	dir := t.TempDir()
	var data strings.Builder
	data.WriteString(".example.test:192.0.2.1:a\n%ex:10\n%ey:[2001:db8::]/32\n")
	// records that no answer can hold must not keep the others from being served
	data.WriteString(":d.example.test:39:\\001\n." + strings.Repeat("label.", 40) + "test:192.0.2.1:ns.example.test\n")
	for i := range 30000 {
		data.WriteString("=h" + strconv.Itoa(i) + ".d" + strconv.Itoa(i%70) + ".example.test:10.0." + strconv.Itoa(i>>8&255) + "." + strconv.Itoa(i&255) + "\n")
	}
	os.WriteFile(dir+"/data", []byte(data.String()), 0o644)
	cmd := exec.Command(program)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	c, err := os.ReadFile(dir + "/data.cdb")
	if err != nil {
		t.Fatal(err)
	}
	if got := checkIndex(t, dir, c); got != "index fits" {
		t.Error(got)
	}
}
