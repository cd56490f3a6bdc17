package tinydns_test

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

	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// A data.cdb beyond 4 GiB, through the real programs: compiled into the 64-bit
// form from a pipe, so that the text takes no disk; served with its index and
// without; damaged ones of its size are refused. It writes 4.6 GB, so only on
// demand.
func TestOver4GiB(t *testing.T) {
	if os.Getenv("BULKHEAD_BIGCDB") == "" {
		t.Skip("set BULKHEAD_BIGCDB=1 to write a 4.6 GB file")
	}
	testbin.NeedRoot(t)
	const (
		names   = 70_000
		txtLen  = 65_000 // bytes; 512 more of string lengths
		address = "127.0.0.61"
	)
	root := tempRoot(t)
	pipe := filepath.Join(root, "data")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	compile := exec.Command(testbin.Dir(t, "tinydns-data", "tinydns", "tinydns-get") + "/tinydns-data")
	compile.Dir = root
	var stderr bytes.Buffer
	compile.Stderr = &stderr
	if err := compile.Start(); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			wrote <- err
			return
		}
		defer f.Close()
		w := bufio.NewWriterSize(f, 1<<20)
		text := strings.Repeat("x", txtLen)
		fmt.Fprint(w, ".z.test:192.0.2.1:a\n+first.z.test:192.0.2.2\n")
		for i := range names {
			fmt.Fprintf(w, "'n%d.z.test:%s\n", i, text)
		}
		fmt.Fprint(w, "+last.z.test:192.0.2.99\n+*.wild.z.test:192.0.2.98\n+a.ent.z.test:192.0.2.97\n")
		wrote <- w.Flush()
	}()
	if err := compile.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "data.cdb")
	st, err := os.Stat(file)
	if err != nil || st.Size() < 1<<32 {
		t.Fatalf("data.cdb: %v, %v", st, err)
	}
	if st, err := os.Stat(filepath.Join(root, "data.idx")); err != nil || st.Size() == 0 {
		t.Fatalf("no index: %v", err)
	}
	t.Logf("%d bytes, peak memory %d MB", st.Size(), compile.ProcessState.SysUsage().(*syscall.Rusage).Maxrss>>10)

	check := func(what string) {
		t.Helper()
		for _, x := range []struct {
			name  string
			typ   dns.Type
			rcode byte
			bits  byte // TC
			want  string
		}{
			{"first.z.test", dns.TypeA, 0, 0, "\xc0\x00\x02\x02"},
			{"last.z.test", dns.TypeA, 0, 0, "\xc0\x00\x02\x63"},
			{"x.wild.z.test", dns.TypeA, 0, 0, "\xc0\x00\x02\x62"},
			{"ent.z.test", dns.TypeA, 0, 0, ""},
			{"no.z.test", dns.TypeA, 3, 0, ""},
			{fmt.Sprintf("n%d.z.test", names-1), dns.TypeTXT, 0, 2, ""},
			{fmt.Sprintf("n%d.z.test", names-1), dns.TypeA, 0, 0, ""},
		} {
			m := ask(t, address+":53", makeQuery(x.name, x.typ, false, 7))
			if m[3]&15 != x.rcode || m[2]&2 != x.bits || (x.want != "") != (m[7] == 1) || !bytes.Contains(m, []byte(x.want)) {
				t.Errorf("%s: %s: %x", what, x.name, m)
			}
		}
	}
	tinydns := testbin.Dir(t, "tinydns") + "/tinydns"
	s := start(t, tinydns, address, root, "LOG=0")
	check("with index")

	// Files of the same size with a whole header, or with header and trailer,
	// but without what lies between.
	head, tail := make([]byte, 2048), make([]byte, 1<<16)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	f.ReadAt(head, 0)
	f.ReadAt(tail, st.Size()-int64(len(tail)))
	f.Close()
	keep := filepath.Join(root, "keep")
	if err := os.Rename(file, keep); err != nil {
		t.Fatal(err)
	}
	for i, end := range [][]byte{nil, tail, tail[:len(tail)-8]} {
		tmp := filepath.Join(root, "tmp")
		f, err := os.Create(tmp)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt(head, 0)
		f.WriteAt(end, st.Size()-int64(len(tail)))
		f.Truncate(st.Size())
		f.Close()
		if err := os.Rename(tmp, file); err != nil {
			t.Fatal(err)
		}
		if l := s.waitLine(t, address); !strings.HasPrefix(l, "tinydns: warning: unable to read data.cdb: ") {
			t.Errorf("damaged file %d: %q", i, l)
		}
		check("after a damaged one")
	}
	if err := os.Rename(keep, file); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()

	if err := os.Remove(filepath.Join(root, "data.idx")); err != nil {
		t.Fatal(err)
	}
	start(t, tinydns, address, root, "LOG=0")
	check("without index")
	get := exec.Command(testbin.Dir(t, "tinydns-get")+"/tinydns-get", "a", "last.z.test")
	get.Dir = root
	if out, err := get.Output(); err != nil || !bytes.Contains(out, []byte("192.0.2.99")) {
		t.Errorf("tinydns-get: %v\n%s", err, out)
	}
}

// waitLine asks until the server has something to say: it looks for new data
// only when asked.
func (s *server) waitLine(t *testing.T, address string) string {
	t.Helper()
	got := make(chan string, 1)
	go func() { l, _ := s.log.ReadString('\n'); got <- l }()
	for range 200 {
		ask(t, address+":53", makeQuery("first.z.test", dns.TypeA, false, 9))
		select {
		case l := <-got:
			return l
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("the server says nothing")
	return ""
}
