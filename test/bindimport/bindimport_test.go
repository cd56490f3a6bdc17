// Package bindimport_test runs bind-import against Debian's named: zones with
// hairy syntax are imported, both servers are asked everything, and no
// difference may be left without a cause.
package bindimport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/testbin"
	"bulkhead/test/zonegen"
)

// freePort gives a port that is free for UDP and TCP on 127.0.0.1.
func freePort(t *testing.T) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// start runs a process and ends it with the test. Its output goes to a file,
// whose text is shown when the test fails.
func start(t *testing.T, cmd *exec.Cmd) (logFile string) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			if len(b) > 4000 {
				b = b[len(b)-4000:]
			}
			t.Logf("%s:\n%s", cmd.Args[0], b)
		}
	})
	return log.Name()
}

// waitTCP waits until somebody listens; bounded, and only so long because the
// machine may be busy.
func waitTCP(t *testing.T, port int) {
	t.Helper()
	for range 600 {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nobody listens on port ", port)
}

// writeZones writes the zones and a named.conf for them.
func writeZones(t *testing.T, dir string, zones []*zonegen.Zone, port int) {
	t.Helper()
	var conf strings.Builder
	fmt.Fprintf(&conf, `options {
	directory "%s"; # where files are
	listen-on port %d { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none; session-keyfile none;
	recursion no; // authoritative only
	allow-transfer { 127.0.0.1; };
	notify no; minimal-responses no;
	check-names primary ignore;
	/* nothing
	   else */
};
controls {};
`, dir, port)
	for _, z := range zones {
		for name, text := range z.Files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&conf, "zone \"%s\" IN { type primary; file \"%s\"; };\n", strings.TrimSuffix(z.Origin, "."), z.Main)
	}
	if err := os.WriteFile(filepath.Join(dir, "named.conf"), []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startNamed gives the name of its log.
func startNamed(t *testing.T, dir string, port int) (logFile string) {
	t.Helper()
	cmd := exec.Command(testbin.Peer(t, "usr/sbin/named"), "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	cmd.Env = testbin.PeerEnv()
	log := start(t, cmd)
	for range 600 { // it listens before its zones are loaded
		b, _ := os.ReadFile(log)
		if bytes.Contains(b, []byte(" running\n")) {
			return log
		}
		if bytes.Contains(b, []byte("exiting (due to")) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("named does not run")
	return ""
}

// startBulkhead compiles data in dir and serves it over UDP and TCP.
func startBulkhead(t *testing.T, bin, dir string, port int) {
	t.Helper()
	for _, step := range [][]string{{"tinydns-data"}, {"tcprules", "tcp.cdb", "tcp.tmp"}} {
		cmd := exec.Command(filepath.Join(bin, step[0]), step[1:]...)
		cmd.Dir = dir
		if step[0] == "tcprules" {
			f, err := os.Open(filepath.Join(dir, "tcp"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			cmd.Stdin = f
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, out)
		}
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // no server runs as root
		uid, gid = 65534, 65534
	}
	env := append(os.Environ(), "IP=127.0.0.1", "PORT="+strconv.Itoa(port), "ROOT="+dir, fmt.Sprintf("UID=%d", uid), fmt.Sprintf("GID=%d", gid))
	udp := exec.Command(filepath.Join(bin, "tinydns"))
	udp.Dir, udp.Env = dir, env
	start(t, udp)
	tcp := exec.Command(filepath.Join(bin, "tcpserver"), "-DRHl0", "-c", "40", "-x", "tcp.cdb", "--", "127.0.0.1", strconv.Itoa(port), filepath.Join(bin, "axfrdns"))
	tcp.Dir, tcp.Env = dir, env
	start(t, tcp)
	waitTCP(t, port)
}

type report struct {
	Asked, Equal, Different int
	Explained               map[string]int
	Cases                   []struct{ Question, Verdict, Cause, Old, New string }
}

// verify runs bind-import verify and gives its report.
func verify(t *testing.T, bin, dir string, old, new int) report {
	t.Helper()
	out := filepath.Join(dir, "report.json")
	cmd := exec.Command(filepath.Join(bin, "bind-import"), "verify", "-c", filepath.Join(dir, "named.conf"),
		"-old", "127.0.0.1#"+strconv.Itoa(old), "-new", "127.0.0.1#"+strconv.Itoa(new), "-json", out, "-html", filepath.Join(dir, "report.html"))
	text, err := cmd.CombinedOutput()
	b, rerr := os.ReadFile(out)
	var r report
	if rerr != nil || json.Unmarshal(b, &r) != nil {
		t.Fatalf("no report: %v %v\n%s", err, rerr, text)
	}
	if (err == nil) != (r.Different == 0) {
		t.Errorf("exit %v with %d differences", err, r.Different)
	}
	tail := text[max(0, bytes.LastIndex(text, []byte("\nold "))):]
	t.Logf("%s", tail)
	return r
}

func programs() []string {
	return []string{"bind-import", "tinydns", "tinydns-data", "axfrdns", "tcpserver", "tcprules"}
}

// TestHairyZones imports generated zones and verifies them against named. By
// default 200 zones in batches; BULKHEAD_SEED and BULKHEAD_ZONES change that.
func TestHairyZones(t *testing.T) {
	testbin.Peer(t, "usr/sbin/named")
	bin := testbin.Dir(t, programs()...)
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	count, seed := number("BULKHEAD_ZONES", 200), number("BULKHEAD_SEED", 1)
	r := rand.New(rand.NewSource(int64(seed)))
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	zones := make([]*zonegen.Zone, count)
	for i := range zones {
		origin := fmt.Sprintf("z%d.test.", i)
		switch {
		case i%17 == 1:
			origin = fmt.Sprintf("sub.z%d.test.", i-1) // a child beside its parent
		case i%23 == 2:
			origin = fmt.Sprintf("%d.168.192.in-addr.arpa.", i)
		}
		if i%34 == 1 { // half of the parents delegate to it, with other data
			zones[i-1].Files[zones[i-1].Main] += fmt.Sprintf("\n$ORIGIN z%d.test.\nsub 77 IN NS ns1.sub\n 77 IN NS elsewhere.test.\nns1.sub 7 IN A 192.0.2.9\nsub DS 1 13 2 %064d\n", i-1, i)
		}
		zones[i] = zonegen.Make(r, zonegen.Options{Origin: origin, Names: 3 + r.Intn(12)})
	}
	named, ours := freePort(t), freePort(t)
	writeZones(t, dir, zones, named)
	cmd := exec.Command(filepath.Join(bin, "bind-import"), "-c", "named.conf")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bind-import: %v\n%s", err, out)
	}
	startNamed(t, dir, named)
	startBulkhead(t, bin, dir, ours)
	rep := verify(t, bin, dir, named, ours)
	if rep.Asked < 40*count {
		t.Errorf("only %d questions", rep.Asked)
	}
	for i, c := range rep.Cases {
		if c.Verdict == "different" && i < 20 {
			t.Errorf("%s: %s\nold: %s\nnew: %s", c.Question, c.Cause, c.Old, c.New)
		}
	}
	if rep.Different > 0 {
		t.Errorf("seed %d: %d differences without a cause", seed, rep.Different)
	}
}

// TestVerifyFindsDamage changes the data behind the new server's back in ways
// that conversions go wrong, and each time verify must tell.
func TestVerifyFindsDamage(t *testing.T) {
	testbin.Peer(t, "usr/sbin/named")
	bin := testbin.Dir(t, programs()...)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	zone := &zonegen.Zone{Origin: "d.test.", Main: "db.d", Files: map[string]string{"db.d": `$TTL 3600
@ SOA ns1 host 7 7200 900 1209600 300
@ NS ns1
ns1 A 192.0.2.1
www 600 A 192.0.2.80
www TXT "first" "second"
mail MX 10 www
*.wild A 192.0.2.99
sub NS ns.sub
ns.sub A 192.0.2.55
alias CNAME www
`}}
	named := freePort(t)
	writeZones(t, dir, []*zonegen.Zone{zone}, named)
	startNamed(t, dir, named)
	cmd := exec.Command(filepath.Join(bin, "bind-import"), "-c", "named.conf")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	good, err := os.ReadFile(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, from, to string }{
		{"nothing", "", ""},
		{"address", "192.0.2.80", "192.0.2.81"},
		{"TTL", "192.0.2.80:600", "192.0.2.80:601"},
		{"record lost", "@mail.d.test", "#"},
		{"wildcard lost", "+*.wild", "#"},
		{"strings swapped", `"first" "second"`, `"second" "first"`},
		{"serial", ":7:7200", ":8:7200"},
		{"delegation lost", "&sub.d.test", "#"},
		{"glue", "192.0.2.55", "192.0.2.56"},
		{"alias", "Calias.d.test:www", "Calias.d.test:ns1"},
		{"preference", ":10:3600", ":11:3600"},
		{"record added", "+www", "+extra.d.test:192.0.2.1:5\n+www"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(string(good), c.from, c.to, 1)
			if c.from != "" && changed == string(good) {
				t.Fatalf("%s is not in\n%s", c.from, good)
			}
			// a copy of its own for each server
			d := t.TempDir()
			os.Chmod(d, 0o755)
			tcp, _ := os.ReadFile(filepath.Join(dir, "tcp"))
			conf, _ := os.ReadFile(filepath.Join(dir, "named.conf"))
			for f, text := range map[string][]byte{"data": []byte(changed), "tcp": tcp, "named.conf": conf} {
				if err := os.WriteFile(filepath.Join(d, f), text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			ours := freePort(t)
			startBulkhead(t, bin, d, ours)
			if rep := verify(t, bin, d, named, ours); (rep.Different > 0) != (c.from != "") {
				t.Errorf("%d differences: %+v", rep.Different, rep.Cases)
			}
		})
	}
}
