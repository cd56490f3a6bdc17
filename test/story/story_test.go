package story_test

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
	"bulkhead/test/zonegen"
)

// The addresses of the story.
const (
	cacheIP = "10.9.0.1" // dnscache for the LAN
	secIP   = "10.9.0.2"
	newIP   = "10.9.0.3" // tinydns before the takeover
	bindIP  = "10.9.0.4" // named, then tinydns
	rootIP  = "10.9.0.9" // stands for the rest of the Internet
	lanIP   = "10.9.1.10"
	outerIP = "10.9.2.10"
	zones   = 20
	perZone = 54 // owner names; with both views more than 5,000 records
)

// programs are those that the story uses.
var programs = []string{
	"svscanboot", "svscan", "supervise", "readproctitle", "svc", "svstat", "svok", "multilog", "setuidgid", "envuidgid", "envdir", "softlimit",
	"dnscache-conf", "tinydns-conf", "axfrdns-conf", "dnscache", "tinydns", "axfrdns", "tinydns-data", "tinydns-edit", "tinydns-receive", "axfr-get",
	"tcpserver", "tcpclient", "tcprules", "dnsq", "dnsqr", "dnsip", "bind-import",
}

// TestStory is the article's way, on machines of its own.
func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("the long story")
	}
	testbin.NeedRoot(t)
	testbin.Peer(t, "usr/sbin/named")
	testbin.Peer(t, "usr/sbin/sshd")
	bin := testbin.Dir(t, programs...)
	n := newNetwork(t)
	bind := n.host("bind", bindIP)
	pri := n.host("primary", cacheIP, newIP)
	sec := n.host("secondary", secIP)
	root := n.host("internet", rootIP)
	lan := n.host("lan", lanIP)
	outer := n.host("outside", outerIP)

	// A BIND as it is found: 20 zones, 2 views, their files in two folders.
	r := rand.New(rand.NewSource(9))
	var conf strings.Builder
	conf.WriteString(`// named.conf
options {
	directory "/etc/bind";
	listen-on { ` + bindIP + `; }; listen-on-v6 { none; };
	pid-file none; session-keyfile none;
	recursion no;
	allow-transfer { secondaries; };
	notify no; check-names primary ignore;
};
controls { };
acl secondaries { ` + secIP + `; };
`)
	records := 0
	for _, view := range []string{"inside", "outside"} {
		clients := "10.9.1/24; 127.0.0.1; 10.9.0.2"
		if view == "outside" {
			clients = "any"
		}
		fmt.Fprintf(&conf, "view %s {\n\tmatch-clients { %s; };\n", view, clients)
		for i := range zones {
			z := zonegen.Make(r, zonegen.Options{Origin: fmt.Sprintf("z%d.example.", i), Names: perZone, Dir: view + "/"})
			for name, text := range z.Files {
				bind.write("/etc/bind/"+view+"/"+name, text, 0o644)
				records += strings.Count(text, "\n")
			}
			fmt.Fprintf(&conf, "\tzone \"z%d.example\" { type primary; file \"%s/%s\"; };\n", i, view, z.Main)
		}
		conf.WriteString("};\n")
	}
	bind.write("/etc/bind/named.conf", conf.String(), 0o644)
	bind.peers("usr/sbin/named")
	bind.start("named -g -c /etc/bind/named.conf > /var/log/named.log 2>&1")
	bind.until(" running", "cat /var/log/named.log")

	// The rest of the Internet: a root that delegates the zones to BIND's address.
	root.install(bin)
	data := ".:" + rootIP + ":a.root-servers.example\n"
	for i := range zones {
		data += fmt.Sprintf("&z%d.example:%s:ns.z%d.example\n", i, bindIP, i)
	}
	root.sh("useradd -r tinydns; useradd -r dnslog; tinydns-conf tinydns dnslog /etc/tinydns " + rootIP)
	root.write("/etc/tinydns/root/data", data, 0o644)
	root.sh("cd /etc/tinydns/root && make && mkdir /service && ln -s /etc/tinydns /service")
	root.start("svscanboot")
	for _, h := range []*host{lan, outer} {
		h.install(bin)
		h.peers("usr/bin/dig")
	}

	// 1. Install, accounts, svscan.
	pri.install(bin)
	pri.sh("useradd -r dnscache; useradd -r dnslog; useradd -r tinydns; useradd -r axfrdns")
	pri.sh("mkdir /service")
	pri.start("svscanboot")

	// 2. A caching server, and who may use it.
	pri.sh("dnscache-conf dnscache dnslog /etc/dnscachex " + cacheIP)
	pri.write("/etc/dnscachex/root/servers/@", rootIP+"\n", 0o644)
	pri.sh("touch /etc/dnscachex/root/ip/10.9.1")
	pri.sh("ln -s /etc/dnscachex /service")
	pri.until("up (pid", "svstat /service/dnscachex")
	root.until("up (pid", "svstat /service/tinydns")
	soa := "dnsqr soa z3.example"
	lan.until("answer: z3.example ", "DNSCACHEIP="+cacheIP+" "+soa)
	// a client outside of the list gets nothing at all, and the cache has not
	// even noted a question
	if out, err := outer.try("dig +time=1 +tries=1 @" + cacheIP + " z3.example soa"); err == nil || !strings.Contains(out, "timed out") && !strings.Contains(out, "no servers") {
		t.Errorf("a client outside the allow list got: %s", out)
	}
	if out := pri.sh("cat /etc/dnscachex/log/main/current"); strings.Contains(out, "0a09020a:") {
		t.Errorf("the cache answered a client outside the allow list:\n%s", out)
	}

	// 3. The zones come over from BIND.
	files := bind.sh("cd /etc && tar cf - bind | base64")
	pri.write("/root/bind.b64", files, 0o600)
	pri.sh("cd /etc && base64 -d /root/bind.b64 | tar xf -")
	pri.sh("tinydns-conf tinydns dnslog /etc/tinydns " + newIP)
	pri.sh("axfrdns-conf axfrdns dnslog /etc/axfrdns /etc/tinydns " + newIP)
	out := pri.sh("cd /etc/tinydns/root && bind-import -f -c /etc/bind/named.conf -o data -t /etc/axfrdns/tcp")
	t.Logf("%s", out[strings.LastIndex(out[:len(out)-1], "\n")+1:])
	var imported, lines int
	if _, err := fmt.Sscanf(out[strings.LastIndex(out[:len(out)-1], "\n")+1:], "%d zones, %d records", &imported, &lines); err != nil || imported != 2*zones || lines < 5000 {
		t.Errorf("%d zones with %d records came over", imported, lines)
	}
	pri.sh("cd /etc/tinydns/root && make")
	pri.sh("cd /etc/axfrdns && make")
	pri.sh("ln -s /etc/tinydns /etc/axfrdns /service")
	pri.until("up (pid", "svstat /service/tinydns /service/axfrdns | grep axfrdns")
	lan.until("response", "dnsq soa z3.example "+newIP)

	// 4. Proof: every answer of both servers, for both views.
	for _, h := range []*host{lan, outer} {
		h.write("/root/bind.b64", files, 0o600)
		h.sh("cd /etc && base64 -d /root/bind.b64 | tar xf -")
		from := map[*host]string{lan: lanIP, outer: outerIP}[h]
		out := h.sh("bind-import verify -old " + bindIP + "#53 -new " + newIP + " -from " + from + " 2>&1 | tail -n 12; exit ${PIPESTATUS:-0}")
		t.Logf("%s:%s", h.name, out)
		if !strings.Contains(out, "       0 differ\n") {
			t.Fatalf("%s: differences without a cause: %s", h.name, h.sh("bind-import verify -old "+bindIP+"#53 -new "+newIP+" -from "+from+" | head -n 60"))
		}
	}

	// 5. Transfers: to the secondary and nobody else.
	sec.install(bin)
	sec.sh("tcpclient -RHl0 " + newIP + " 53 axfr-get z3.example z3 z3.tmp && grep -q '^Zz3.example:' z3")
	if out, err := lan.try("tcpclient -RHl0 " + newIP + " 53 axfr-get z3.example z3 z3.tmp"); err == nil {
		t.Errorf("a client may transfer the zone: %s", out)
	}

	// 6. A secondary that gets the data by rsync over ssh.
	sec.sh("useradd -r tinydns; useradd -r dnslog; useradd -m -s /bin/sh -p '*' push; id sshd 2>/dev/null || useradd -r sshd")
	sec.sh("tinydns-conf tinydns dnslog /etc/tinydns " + secIP)
	sec.sh("chown push /etc/tinydns/root && mkdir /service")
	sec.peers("usr/sbin/sshd", "usr/bin/ssh-keygen", "usr/bin/rsync")
	pri.peers("usr/bin/ssh", "usr/bin/ssh-keygen", "usr/bin/rsync")
	sec.sh("mkdir -p /run/sshd /etc/ssh && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/story_key")
	pri.sh("mkdir -p -m 700 /root/.ssh && rm -f /root/.ssh/* && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
	sec.write("/home/push/.ssh/authorized_keys", `command="/usr/local/bin/tinydns-receive /etc/tinydns/root",restrict `+pri.sh("cat /root/.ssh/id_ed25519.pub"), 0o600)
	sec.sh("chown -R push /home/push/.ssh && chmod 700 /home/push/.ssh")
	sec.write("/etc/ssh/story_config", "HostKey /etc/ssh/story_key\nUsePAM no\nPasswordAuthentication no\nPidFile none\nListenAddress "+secIP+"\n", 0o644)
	sshd := testbin.Peer(t, "usr/sbin/sshd")
	libs := sec.sh("sed -n 's/^\\(LD_LIBRARY_PATH=[^ ]*\\) .*/\\1/p' /usr/local/bin/sshd")
	sec.start(strings.TrimSpace(libs) + " " + sshd + " -D -e -f /etc/ssh/story_config > /var/log/sshd.log 2>&1")
	pri.write("/root/.ssh/known_hosts", "secondary "+sec.sh("cat /etc/ssh/story_key.pub"), 0o644)
	pri.sh("echo '" + secIP + " secondary' >> /etc/hosts")
	sec.until("listening", "cat /var/log/sshd.log")
	pri.sh("echo push@secondary > /etc/tinydns/root/secondaries")
	if out, err := pri.try("cd /etc/tinydns/root && make"); err != nil {
		t.Fatalf("make: %v\n%s%s", err, out, sec.logs())
	}
	sec.sh("ln -s /etc/tinydns /service")
	sec.start("svscanboot")
	lan.until("answer: z3.example ", "dnsq soa z3.example "+secIP)

	// 7. An edit: one line, the serial, make; the secondary has it.
	pri.sh("cd /etc/tinydns/root && sed -i 's/^\\(Zz3\\.example:[^:]*:[^:]*\\):[0-9]*:/\\1:2147483000:/' data && echo '+new.z3.example:192.0.2.33:60' >> data && make")
	for _, server := range []string{newIP, secIP} {
		lan.until(" 2147483000 ", "dnsq soa z3.example "+server)
		outer.until("192.0.2.33", "dnsq a new.z3.example "+server)
	}
	// a secondary that does not answer is named; the other one goes on
	pri.sh("cd /etc/tinydns/root && (echo push@nowhere.invalid; echo push@secondary) > secondaries && echo '+new2.z3.example:192.0.2.34:60' >> data")
	out, err := pri.try("cd /etc/tinydns/root && make")
	if err == nil || !strings.Contains(out, "nowhere.invalid") || !strings.Contains(out, "111") {
		t.Errorf("make with a dead secondary: %v\n%s", err, out)
	}
	lan.until("192.0.2.34", "dnsq a new2.z3.example "+secIP)
	// the key opens nothing else
	if out, err := pri.try("ssh -o BatchMode=yes push@secondary id"); err == nil || strings.Contains(out, "uid=") {
		t.Errorf("the key runs other commands: %s", out)
	}
	if out, err := pri.try("cd /etc/tinydns/root && echo hello > x && rsync -tz -e 'ssh -o BatchMode=yes' x push@secondary:data.cdb"); err == nil {
		t.Errorf("a file that is no data.cdb was taken: %s", out)
	}
	lan.until("192.0.2.34", "dnsq a new2.z3.example "+secIP)

	// 8. BIND stops, tinydns takes its address. A client asks fifty questions
	// a second all the time, each up to five times as a stub resolver does, a
	// second apart: every one is answered. How many needed more than one try
	// depends on how busy the machine is, so that is only said.
	const enough = 50
	loop := lan.command("mkdir /tmp/asked; i=0; while [ $i -lt 6000 ] && ! test -e /tmp/asked/stop; do i=$((i + 1)); " +
		"( try=1; while [ $try -le 5 ]; do if timeout 1 dnsq soa z5.example " + bindIP + " | grep -q '^answer: z5.example '; then echo try $try; exit; fi; try=$((try + 1)); sleep 1; done; echo lost ) >> /tmp/asked/log & " +
		"sleep 0.02; done; wait; echo asked $i")
	var asked strings.Builder
	loop.Stdout = &asked
	if err := loop.Start(); err != nil {
		t.Fatal(err)
	}
	answered := "test $(grep -c try /tmp/asked/log) -ge %d && echo enough"
	lan.until("enough", fmt.Sprintf(answered, enough))
	bind.sh("kill $(pidof named) && ip addr del " + bindIP + "/16 dev eth0")
	pri.sh("ip addr add " + bindIP + "/16 dev eth0 && echo " + bindIP + " > /etc/tinydns/env/IP && echo " + bindIP + " > /etc/axfrdns/env/IP && svc -t /service/tinydns /service/axfrdns")
	for _, h := range []*host{lan, outer, pri, root} { // as a gratuitous ARP does
		h.sh("ip neigh flush all")
	}
	lan.until(" 2147483000 ", "timeout 5 dnsq soa z3.example "+bindIP)
	done := 0
	fmt.Sscan(lan.sh("wc -l < /tmp/asked/log"), &done)
	lan.until("enough", fmt.Sprintf(answered, done+enough))
	lan.sh("touch /tmp/asked/stop")
	if err := loop.Wait(); err != nil {
		t.Fatal(err)
	}
	log := lan.sh("cat /tmp/asked/log")
	questions := 0
	fmt.Sscanf(asked.String(), "asked %d", &questions)
	lost, first := strings.Count(log, "lost\n"), strings.Count(log, "try 1\n")
	t.Logf("takeover: %d questions, fifty a second; %d answered at the first try, %d never", questions, first, lost)
	if lost > 0 || strings.Count(log, "try ") != questions || questions < 2*enough {
		t.Errorf("a client missed answers during the takeover: %d of %d lost\n%s", lost, questions, pri.logs())
	}
	lan.until("192.0.2.34", "DNSCACHEIP="+cacheIP+" dnsqr a new2.z3.example")
	t.Logf("%d lines of zone files", records)
	articleWasRun(t, n)
}

// articleWasRun compares the commands of docs/article.md with those that were
// run: each must have been, letter by letter.
func articleWasRun(t *testing.T, n *network) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testbin.Root(), "docs/article.md"))
	if err != nil {
		t.Fatal(err)
	}
	parts := func(line string) []string {
		var out []string
		for _, p := range strings.Split(strings.ReplaceAll(line, ";", "&&"), "&&") {
			out = append(out, strings.TrimSpace(p))
		}
		return out
	}
	ran := map[string]bool{}
	for _, l := range n.ran {
		for _, p := range parts(l) {
			ran[strings.TrimPrefix(p, "DNSCACHEIP="+cacheIP+" ")] = true
		}
	}
	count := 0
	for _, l := range strings.Split(string(text), "\n") {
		c, ok := strings.CutPrefix(l, "    # ")
		if !ok {
			if c, ok = strings.CutPrefix(l, "    $ "); !ok {
				continue
			}
		}
		count++
		for _, p := range parts(c) {
			found := ran[p]
			for r := range ran { // redirections of the test's own
				found = found || strings.HasPrefix(r, p+" 2>")
			}
			if !found {
				t.Errorf("docs/article.md has a command that was not run: %s", p)
			}
		}
	}
	if count < 25 {
		t.Errorf("only %d commands in docs/article.md", count)
	}
}
