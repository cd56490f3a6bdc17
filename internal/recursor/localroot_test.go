package recursor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// TestLocalRoot has rpz-get copy a signed root zone with ZONEMD from nsd, and
// runs dnscache with it: with the root's servers gone all goes on; with a copy
// that was changed, is too old, or has no ZONEMD, they are asked as ever.
func TestLocalRoot(t *testing.T) {
	testbin.NeedRoot(t)
	for _, p := range []string{"usr/sbin/nsd", "usr/bin/ldns-signzone", "usr/bin/ldns-keygen"} {
		testbin.Peer(t, p)
	}
	testbin.Inside(t, "TestLocalRootInside", "LOCAL_ROOT", testbin.Dir(t, "dnscache", "rpz-get"))
}

func TestLocalRootInside(t *testing.T) {
	bin := os.Getenv("LOCAL_ROOT")
	if bin == "" {
		t.Skip("run by TestLocalRoot")
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	l := &lab{t, dir}
	child := &signed{name: "signed", tool: "ldns", alg: "13", how: "nsec"}
	l.sign(child, strings.ReplaceAll(body("signed."), "127.1.0.1", "127.1.0.2"))
	l.write("plain.zone", "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.1.0.2\nwww A 192.0.2.9\n")
	// the root, with ZONEMD
	rdir := filepath.Join(dir, "rootkeys")
	raw := l.write("rootkeys/raw", "$TTL 3600\n. IN SOA ns. hostmaster. 7 3600 900 604800 3600\n. IN NS ns.\nns. A 127.1.0.1\n"+
		"signed. NS ns.signed.\nns.signed. A 127.1.0.2\nsigned. DS "+child.ds+"\nplain. NS ns.plain.\nns.plain. A 127.1.0.2\n")
	key := strings.TrimSpace(l.run(rdir, "usr/bin/ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "."))
	l.run(rdir, "usr/bin/ldns-signzone", "-z", "1:1", "-o", ".", "-f", filepath.Join(dir, "root.zone"), raw, key)
	ds, err := os.ReadFile(filepath.Join(rdir, key+".ds"))
	if err != nil {
		t.Fatal(err)
	}
	daemon := func(name, address, zones string) *exec.Cmd {
		run := filepath.Join(dir, name)
		os.Mkdir(run, 0o755)
		conf := l.write(name+"/conf", "server:\n  ip-address: "+address+"\n  zonesdir: \""+dir+"\"\n  username: \"\"\n  database: \"\"\n  pidfile: \""+run+
			"/pid\"\n  zonelistfile: \""+run+"/list\"\n  xfrdfile: \"\"\n  xfrdir: \""+run+"\"\n  server-count: 1\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n"+zones)
		cmd := exec.Command(testbin.Peer(t, "usr/sbin/nsd"), "-d", "-c", conf)
		cmd.Env = testbin.PeerEnv()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
	const rootConf = "zone:\n  name: \".\"\n  zonefile: root.zone\n  provide-xfr: 127.0.0.0/8 NOKEY\n"
	rootServer := daemon("nsdroot", "127.1.0.1", rootConf)
	daemon("nsdtld", "127.1.0.2", "zone:\n  name: \"signed\"\n  zonefile: signed.zone\nzone:\n  name: \"plain\"\n  zonefile: plain.zone\n")
	await := func(what string, ok func() bool) {
		t.Helper()
		for range 300 {
			if ok() {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatal("never: " + what)
	}
	serves := func(address, name string) func() bool {
		return func() bool { return strings.HasPrefix(askPeer(address, name, dns.TypeSOA), "NOERROR") }
	}
	await("root", serves("127.1.0.1", "."))
	await("zones", serves("127.1.0.2", "plain."))

	l.write("c/root/servers/@", "127.1.0.1\n")
	l.write("c/root/ip/127", "")
	l.write("c/root/trust-anchors", string(ds))
	// its own folder, that another account may write: dnscache's is not touched
	copyFile := l.write("c/root/copy/none", "")[:len(dir)] + "/c/root/copy/root.zone"
	if err := os.Symlink("copy/root.zone", filepath.Join(dir, "c/root/root.zone")); err != nil {
		t.Fatal(err)
	}
	os.Chown(filepath.Dir(copyFile), 65532, 65532)
	get := exec.Command("setpriv", "--reuid", "65532", "--regid", "65532", "--clear-groups", filepath.Join(bin, "rpz-get"), copyFile, "127.1.0.1")
	if out, err := get.CombinedOutput(); err != nil || !strings.Contains(string(out), "copy/root.zone: serial 7, ") || !strings.Contains(string(out), " records (whole zone)") {
		t.Fatalf("rpz-get: %v %s", err, out)
	}
	text, err := os.ReadFile(copyFile)
	if err != nil {
		t.Fatal(err)
	}

	// run starts dnscache with the copy as it is and gives its log.
	run := func(name string, use func(log func() string)) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := exec.Command(filepath.Join(bin, "dnscache"))
		cmd.Dir, cmd.Stderr = dir, f
		cmd.Env = append(os.Environ(), "IP=127.2.0.3", "IPSEND=0.0.0.0", "CACHESIZE=20000000", "ROOT="+dir+"/c/root", "UID=65534", "GID=65534", "LOCALZONES=0", "CACHEDUMP=0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		use(func() string { b, _ := os.ReadFile(f.Name()); return string(b) })
	}
	expect := func(log func() string, questions ...string) {
		t.Helper()
		for _, q := range questions {
			f := strings.SplitN(q, " ", 2)
			begin := time.Now()
			got := askPeer("127.2.0.3", f[0], dns.TypeA)
			t.Log(q, time.Since(begin))
			if got != f[1] {
				t.Errorf("%s: %s, want %s\n%s", f[0], got, f[1], log())
			}
		}
	}
	asked := func(log string) int { return strings.Count(log, " 7f010001\n") }

	t.Log("a good copy, and the root's server gone")
	run("good", func(log func() string) {
		await("copy in use", func() bool { return strings.Contains(log(), "root zone 7 is used from root.zone") })
		rootServer.Process.Kill()
		rootServer.Wait()
		expect(log, "www.signed. NOERROR AD", "nx.signed. NXDOMAIN AD", "www.plain. NOERROR", "no.such.tld. NXDOMAIN AD")
		for _, q := range []struct {
			name string
			t    dns.Type
		}{{".", dns.TypeNS}, {".", dns.TypeSOA}, {".", dns.TypeDNSKEY}, {".", dns.TypeZONEMD}, {".", dns.TypeA}, {"signed.", dns.TypeDS}, {"plain.", dns.TypeDS}} {
			if got := askPeer("127.2.0.3", q.name, q.t); got != "NOERROR AD" {
				t.Errorf("%s %s: %s\n%s", q.name, q.t, got, log())
			}
		}
	})
	rootServer = daemon("nsdroot", "127.1.0.1", rootConf)
	await("root again", serves("127.1.0.1", "."))

	flip := strings.Replace(string(text), "ns.plain.", "ns.PLAIM.", 1)
	var bare []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "ZONEMD") {
			bare = append(bare, line)
		}
	}
	for _, c := range []struct{ name, text, why string }{
		{"changed", flip, "digest of the copy of the root zone is bad"},
		{"bare", strings.Join(bare, ""), "no ZONEMD in the copy of the root zone"},
		{"old", string(text), "older than its SOA's expiry"},
		{"cut", string(text[:len(text)/2]), ""},
		{"empty", "", "no keys in the copy of the root zone"},
	} {
		t.Log(c.name)
		if err := os.WriteFile(copyFile, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.name == "old" {
			week := time.Now().Add(-605000 * time.Second)
			os.Chtimes(copyFile, week, week)
		}
		run(c.name, func(log func() string) {
			await("word of "+c.name, func() bool {
				return strings.Contains(log(), "warning: copy of the root zone is not used: ") && strings.Contains(log(), c.why)
			})
			expect(log, "www.signed. NOERROR AD", "www.plain. NOERROR", "no.such.tld. NXDOMAIN AD")
			if asked(log()) < 2 {
				t.Errorf("%s: the root's server was not asked:\n%s", c.name, log())
			}
		})
	}
	t.Log("no copy")
	os.Remove(filepath.Join(dir, "c/root/root.zone"))
	run("none", func(log func() string) {
		await("start", serves("127.2.0.3", "signed."))
		expect(log, "www.signed. NOERROR AD")
		if strings.Contains(log(), "copy of the root") {
			t.Error(log())
		}
	})
}
