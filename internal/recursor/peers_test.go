package recursor

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
	"bulkhead/internal/zonefile"
)

// TestSameVerdicts signs zones with Debian's dnssec-signzone, ldns-signzone and
// kzonesign, every algorithm, NSEC and NSEC3 with and without opt-out, some
// expired or with a wrong DS, serves them with nsd, and asks dnscache, unbound,
// knot-resolver and delv: the same code and AD from all, save for the
// differences that are named below. delv, a process for each question, gets every
// 83rd; DELV=n puts every n-th to it, DELV=1 all, for which -timeout wants to be
// an hour. It runs in a network namespace of its own.
func TestSameVerdicts(t *testing.T) {
	testbin.NeedRoot(t)
	for _, p := range []string{"usr/sbin/nsd", "usr/sbin/unbound", "usr/sbin/kresd", "usr/bin/dnssec-signzone", "usr/bin/ldns-signzone", "usr/bin/kzonesign"} {
		testbin.Peer(t, p)
	}
	if testing.Short() {
		t.Skip("long")
	}
	testbin.Inside(t, "TestSameVerdictsInside", "SAME_VERDICTS", testbin.Dir(t, "dnscache"), "-m")
}

// signed is a zone that a tool has signed.
type signed struct {
	name, tool, alg, how string
	broken               string
	ds                   string
}

type lab struct {
	t   *testing.T
	dir string
}

func (l *lab) run(dir string, args ...string) string {
	l.t.Helper()
	cmd := exec.Command(testbin.Peer(l.t, args[0]), args[1:]...)
	cmd.Dir = dir
	cmd.Env = testbin.PeerEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (l *lab) write(name, text string) string {
	p := filepath.Join(l.dir, name)
	os.MkdirAll(filepath.Dir(p), 0o755)
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
	return p
}

// body is what every zone holds.
func body(zone string) string {
	return `$TTL 300
@ IN SOA ns.` + zone + ` hostmaster.` + zone + ` 1 3600 900 604800 300
@ IN NS ns.` + zone + `
ns A 127.1.0.1
www A 192.0.2.1
www AAAA 2001:db8::1
mx MX 10 www
*.wild A 192.0.2.2
*.wild TXT "w"
exact.wild TXT "x"
a.b.c.ent A 192.0.2.3
cn CNAME www
cnx CNAME nothing
cnw CNAME any.wild
far CNAME www.far
dn DNAME wild
ins NS ns.ins
ns.ins A 127.1.0.1
deep.er.ins2 NS ns.ins
UPPER.Case A 192.0.2.4
many TXT "a" "b" "c"
\042odd A 192.0.2.5
srv._tcp SRV 1 2 3 www
`
}

var algorithms = map[string][3]string{ // bind, ldns, knot
	"8": {"RSASHA256", "RSASHA256", "rsasha256"}, "10": {"RSASHA512", "RSASHA512", "rsasha512"},
	"13": {"ECDSAP256SHA256", "ECDSAP256SHA256", "ecdsap256sha256"}, "14": {"ECDSAP384SHA384", "ECDSAP384SHA384", "ecdsap384sha384"},
	"15": {"ED25519", "ED25519", "ed25519"}, "16": {"ED448", "ED448", "ed448"},
	// insecure by default (RFC 9905); the dnscache of this test has VALIDATE_SHA1
	"5": {"RSASHA1", "RSASHA1", "rsasha1"}, "7": {"NSEC3RSASHA1", "RSASHA1_NSEC3", "rsasha1-nsec3-sha1"},
}

// sign makes the files of one zone and gives its DS.
func (l *lab) sign(z *signed, text string) {
	dir := filepath.Join(l.dir, z.name)
	os.MkdirAll(dir, 0o755)
	origin := z.name + "."
	if z.name == "root" {
		origin = "."
	}
	raw := l.write(z.name+"/raw", text)
	out := filepath.Join(l.dir, z.name+".zone")
	names := algorithms[z.alg]
	end := time.Now().Add(20 * 24 * time.Hour)
	begin := time.Now().Add(-10 * 24 * time.Hour)
	if z.broken == "expired" {
		end = time.Now().Add(-3 * 24 * time.Hour) // unbound forgives a day
	}
	stamp := func(t time.Time) string { return t.UTC().Format("20060102150405") }
	size := []string{}
	if strings.HasPrefix(names[0], "RSA") || z.alg == "7" {
		size = []string{"-b", "1024"}
	}
	switch z.tool {
	case "bind":
		gen := func(extra ...string) string {
			args := append([]string{"usr/bin/dnssec-keygen", "-q", "-a", names[0]}, size...)
			out := strings.Fields(l.run(dir, append(append(args, extra...), origin)...))
			return out[len(out)-1] // warnings come first
		}
		ksk, zsk := gen("-f", "KSK"), gen()
		args := []string{"usr/bin/dnssec-signzone", "-q", "-S", "-P", "-o", origin, "-s", stamp(begin), "-e", stamp(end), "-f", out}
		switch z.how {
		case "nsec3":
			args = append(args, "-3", "ab12", "-H", "5")
		case "optout":
			args = append(args, "-3", "-", "-H", "0", "-A")
		}
		l.run(dir, append(args, "-k", ksk, raw, zsk)...)
	case "ldns":
		gen := func(extra ...string) string {
			args := append([]string{"usr/bin/ldns-keygen", "-a", names[1]}, size...)
			return strings.TrimSpace(l.run(dir, append(append(args, extra...), origin)...))
		}
		ksk, zsk := gen("-k"), gen()
		args := []string{"usr/bin/ldns-signzone", "-o", origin, "-i", stamp(begin), "-e", stamp(end), "-f", out}
		switch z.how {
		case "nsec3":
			args = append(args, "-n", "-t", "10", "-s", "c0ffee")
		case "optout":
			args = append(args, "-n", "-p", "-t", "0")
		}
		l.run(dir, append(args, raw, ksk, zsk)...)
	case "knot":
		conf := "database:\n    storage: \"" + dir + "\"\npolicy:\n  - id: p\n    algorithm: " + names[2] + "\n    rrsig-lifetime: 20d\n    rrsig-refresh: 7d\n"
		if len(size) > 0 {
			conf += "    ksk-size: 1024\n    zsk-size: 1024\n"
		}
		switch z.how {
		case "nsec3":
			conf += "    nsec3: on\n    nsec3-iterations: 7\n    nsec3-salt-length: 8\n"
		case "optout":
			conf += "    nsec3: on\n    nsec3-iterations: 0\n    nsec3-opt-out: on\n    nsec3-salt-length: 0\n"
		}
		conf += "zone:\n  - domain: " + origin + "\n    storage: \"" + dir + "\"\n    file: raw\n    dnssec-signing: on\n    dnssec-policy: p\n"
		os.Mkdir(filepath.Join(dir, "out"), 0o755)
		l.run(dir, "usr/bin/kzonesign", "-c", l.write(z.name+"/knot.conf", conf), "-o", filepath.Join(dir, "out"), origin)
		b, err := os.ReadFile(filepath.Join(dir, "out", "raw"))
		if err != nil {
			l.t.Fatal(err)
		}
		l.write(z.name+".zone", string(b))
	default: // not signed
		l.write(z.name+".zone", text)
		return
	}
	b, err := os.ReadFile(out)
	if err != nil {
		l.t.Fatal(err)
	}
	name, _ := dnsname.ParseMaster(origin, dnsname.Root)
	r := zonefile.NewReader(b, zonefile.Options{Name: out, Origin: name, TTL: 300})
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			l.t.Fatal(err)
		}
		if rec.Type == dns.TypeDNSKEY && len(rec.Data) > 4 && rec.Data[1]&1 == 1 {
			k, _ := dnssec.Policy{}.ParseKey(rec.Data)
			ds, _ := k.DS(name, dnssec.DigestSHA256)
			if z.broken == "ds" {
				ds[10] ^= 1
			}
			z.ds = string(rdata.AppendText(nil, dns.TypeDS, ds))
		}
	}
	if z.ds == "" {
		l.t.Fatal("no key in " + out)
	}
}

func TestSameVerdictsInside(t *testing.T) {
	bin := os.Getenv("SAME_VERDICTS")
	if bin == "" {
		t.Skip("run by TestSameVerdicts")
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	l := &lab{t, dir}
	var zones []*signed
	for alg := range algorithms {
		for _, how := range []string{"nsec", "nsec3", "optout"} {
			for _, tool := range []string{"bind", "ldns", "knot"} {
				if alg == "5" && how != "nsec" || alg == "7" && how == "nsec" {
					continue // RFC 5155, section 2
				}
				zones = append(zones, &signed{name: tool + alg + how, tool: tool, alg: alg, how: how})
			}
		}
	}
	for _, broken := range []string{"expired", "ds"} {
		for _, how := range []string{"nsec", "nsec3"} {
			zones = append(zones, &signed{name: broken + how, tool: "ldns", alg: "13", how: how, broken: broken})
		}
	}
	zones = append(zones, &signed{name: "plain", tool: "none"})
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, z := range zones {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			l.sign(z, body(z.name+"."))
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	rootText := "$TTL 3600\n. IN SOA ns. hostmaster. 1 3600 900 604800 3600\n. IN NS ns.\nns. A 127.1.0.1\n"
	nsd := "server:\n  ip-address: 127.1.0.1\n  zonesdir: \"" + dir + "\"\n  username: \"\"\n  database: \"\"\n  pidfile: \"" + dir +
		"/nsd.pid\"\n  zonelistfile: \"" + dir + "/list\"\n  xfrdfile: \"\"\n  xfrdir: \"" + dir + "\"\n  server-count: 1\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n"
	zone := func(origin, file string) { nsd += "zone:\n  name: \"" + origin + "\"\n  zonefile: \"" + file + "\"\n" }
	for _, z := range zones {
		rootText += z.name + ". NS ns." + z.name + ".\nns." + z.name + ". A 127.1.0.1\n"
		if z.ds != "" {
			rootText += z.name + ". DS " + z.ds + "\n"
		}
		zone(z.name, z.name+".zone")
		// an unsigned child of each
		l.write("ins/"+z.name, strings.ReplaceAll("$TTL 300\n@ IN SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.1.0.1\nwww A 192.0.2.9\n", "@", "@"))
		zone("ins."+z.name, "ins/"+z.name)
		zone("deep.er.ins2."+z.name, "ins/"+z.name)
	}
	root := &signed{name: "root", tool: "bind", alg: "13", how: "nsec"}
	l.sign(root, rootText)
	zone(".", "root.zone")

	start := func(env []string, name string, args ...string) *bytes.Buffer {
		cmd := exec.Command(name, args...)
		cmd.Env = env
		cmd.Dir = dir
		var log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				text := log.Bytes()
				t.Logf("%s: %s", name, text[max(0, len(text)-1000):])
			}
		})
		return &log
	}
	peer := testbin.PeerEnv()
	start(peer, testbin.Peer(t, "usr/sbin/nsd"), "-d", "-c", l.write("nsd.conf", nsd))
	l.write("key", ". IN DS "+root.ds+"\n")
	start(peer, testbin.Peer(t, "usr/sbin/unbound"), "-d", "-c", l.write("unbound.conf", "server:\n  interface: 127.2.0.1\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n"+
		"  use-syslog: no\n  directory: \""+dir+"\"\n  access-control: 0.0.0.0/0 allow\n  do-not-query-localhost: no\n  do-ip6: no\n  module-config: \"validator iterator\"\n"+
		"  trust-anchor: \". DS "+root.ds+"\"\n  root-hints: \""+l.write("hints", ". 3600 NS ns.\nns. 3600 A 127.1.0.1\n")+"\"\n  trust-anchor-signaling: no\nremote-control:\n  control-enable: no\n"))
	// knot-resolver looks for its modules below /usr/lib and for a key below
	// /usr/share: in this process's own view of the file system they are there.
	l.write("share/dns/root.key", ". IN DS "+root.ds+"\n")
	over := func(lower, at string) {
		if out, err := exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+lower+":"+at, at).CombinedOutput(); err != nil {
			t.Logf("mount %s: %v %s", at, err, out)
		}
	}
	if lib, _ := filepath.Glob(testbin.PeersDir() + "/usr/lib/*-linux-gnu"); len(lib) == 1 {
		over(lib[0], "/usr/lib/"+filepath.Base(lib[0]))
	}
	over(dir+"/share", "/usr/share")
	kdir := filepath.Join(dir, "kresd")
	os.MkdirAll(kdir, 0o755)
	kresd := start(peer, testbin.Peer(t, "usr/sbin/kresd"), "-n", "-c", l.write("kresd.conf",
		"net.listen('127.2.0.2', 53)\nnet.ipv6 = false\nmodules = {'hints'}\nhints.root({['ns.'] = '127.1.0.1'})\ntrust_anchors.remove('.')\ntrust_anchors.add('. DS "+root.ds+"')\ncache.size = 50*MB\n"), kdir)
	l.write("cache/root/servers/@", "127.1.0.1\n")
	l.write("cache/root/ip/127", "")
	l.write("cache/root/trust-anchors", ". IN DS "+root.ds+"\n")
	start(append(os.Environ(), "IP=127.2.0.3", "IPSEND=0.0.0.0", "CACHESIZE=20000000", "ROOT="+dir+"/cache/root", "UID=65534", "GID=65534", "LOCALZONES=0", "VALIDATE_SHA1=1"), filepath.Join(bin, "dnscache"))

	servers := []string{"127.2.0.3", "127.2.0.1", "127.2.0.2"}
	alive := make([]bool, len(servers))
	for i, s := range servers {
		for range 50 {
			if r := askPeer(s, "ns.", dns.TypeA); !strings.Contains(r, "no answer") {
				alive[i] = true
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if !alive[0] || !alive[1] {
		t.Fatal("servers do not answer: ", alive)
	}
	if !alive[2] {
		t.Logf("knot-resolver does not start here; compared with unbound alone: %s", kresd.String())
		servers = servers[:2]
	}
	names := []string{"", "www.", "mx.", "x.wild.", "y.x.wild.", "exact.wild.", "z.exact.wild.", "wild.", "*.wild.", "ent.", "c.ent.", "b.c.ent.", "a.b.c.ent.",
		"n.b.c.ent.", "cn.", "cnx.", "cnw.", "far.", "a.dn.", "dn.", "ins.", "www.ins.", "nx.ins.", "er.ins2.", "ins2.", "deep.er.ins2.", "www.deep.er.ins2.", "upper.case.",
		"case.", "many.", "\\042odd.", "srv._tcp.", "_tcp.", "nothing.", "0.", "zzzz.", "a.very.long.way.down."}
	types := []dns.Type{dns.TypeA, dns.TypeTXT, dns.TypeDS, dns.TypeMX, dns.TypeSOA}
	every := delvEvery
	if v := os.Getenv("DELV"); v != "" {
		var err error
		if every, err = strconv.Atoi(v); err != nil || every < 1 {
			t.Fatalf("DELV=%s: not a number above 0", v)
		}
	}
	type question struct {
		z    *signed
		name string // below the zone
		t    dns.Type
		got  []string // of servers
		delv string   // "" where not asked
	}
	var questions []*question
	rnd := rand.New(rand.NewPCG(1, 2))
	n, delvs := 0, 0
	for _, z := range zones {
		for _, name := range append(names, fmt.Sprintf("r%d.", rnd.IntN(1000)), fmt.Sprintf("r%d.wild.", rnd.IntN(1000))) {
			for _, ty := range types {
				n++
				q := &question{z: z, name: name, t: ty}
				if n%every == 0 {
					q.delv = "not asked yet"
					delvs++
				}
				questions = append(questions, q)
			}
		}
	}
	each := func(workers int, do func(q *question)) {
		next := make(chan *question)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for q := range next {
					do(q)
				}
			})
		}
		for _, q := range questions {
			next <- q
		}
		close(next)
		wg.Wait()
	}
	each(4, func(q *question) { // more, and knot-resolver gives up now and then
		for _, s := range servers {
			q.got = append(q.got, askPeer(s, q.name+q.z.name+".", q.t))
		}
	})
	// delv validates by itself what dnscache brings with CD
	f := strings.Fields(root.ds)
	anchor := l.write("delv.key", fmt.Sprintf("trust-anchors { . static-ds %s %s %s \"%s\"; };\n", f[0], f[1], f[2], strings.Join(f[3:], "")))
	delv := testbin.Peer(t, "usr/bin/delv")
	each(4, func(q *question) {
		if q.delv == "" {
			return
		}
		cmd := exec.Command(delv, "@"+servers[0], "-a", anchor, "+root=.", q.name+q.z.name+".", q.t.String())
		cmd.Env = peer
		out, _ := cmd.CombinedOutput()
		q.delv = delvSays(string(out))
		// dnscache once more: what it has seen meanwhile may have decided
		q.got[0] = askPeer(servers[0], q.name+q.z.name+".", q.t)
	})
	same, differ, shapes := 0, map[string]int{}, map[string]int{}
	for _, q := range questions {
		why := explained(q.z, q.name, q.t, q.got)
		if why == "" && q.delv != "" && q.delv != inWords(q.got[0]) {
			if why = delvExplained(q.z, q.name, q.t, q.delv, inWords(q.got[0])); why == "" {
				why = "unexplained: delv"
			}
		}
		if why == "" {
			same++
			continue
		}
		differ[why]++
		if strings.HasPrefix(why, "unexplained") {
			t.Errorf("%s: %s%s %v (%s): %v, delv %s", why, q.name, q.z.name, q.t, q.z.how, q.got, q.delv)
		}
		name := q.name
		if len(name) > 1 && name[0] == 'r' && '0' <= name[1] && name[1] <= '9' {
			name = "r*" + name[strings.IndexByte(name, '.'):]
		}
		shapes[fmt.Sprintf("%s: %sZONE %v, %s%s: %s, delv %s", why, name, q.t, q.z.how, q.z.broken, strings.Join(q.got, ", "), q.delv)]++
	}
	for _, s := range slices.Sorted(maps.Keys(shapes)) {
		t.Logf("%4d times %s", shapes[s], s)
	}
	t.Logf("%d questions, %d zones: %d answered alike by dnscache, unbound and knot-resolver (delv, asked %d of them, included), others %v",
		len(questions), len(zones), same, delvs, differ)
	if len(questions) < 10000 {
		t.Errorf("only %d questions", len(questions))
	}
}

// delvEvery says which questions delv gets too: a prime, so that it meets all
// kinds of names, types and zones.
const delvEvery = 83

// inWords is what an answer's code and AD say of it.
func inWords(got string) string {
	switch {
	case strings.HasSuffix(got, " AD"):
		return "secure"
	case got == "SERVFAIL":
		return "bogus"
	}
	return "insecure"
}

// explained names known differences between the resolvers.
func explained(z *signed, name string, t dns.Type, got []string) string {
	alike := true
	for _, g := range got {
		alike = alike && g == got[0]
	}
	if alike {
		return ""
	}
	if len(got) == 3 && got[0] == got[1] {
		return "knot-resolver alone differs"
	}
	if len(got) == 3 && got[0] == got[2] {
		return "unbound alone differs"
	}
	if z.how == "optout" && (name == "www.deep.er.ins2." || name == "deep.er.ins2.") && got[0] == "NOERROR" {
		// An unsigned delegation below names that opt-out leaves without records:
		// NSD's answer about DS does not prove them, what was seen before does.
		// unbound has them bogus always, knot-resolver whenever it is asked for
		// the SOA of the delegation, signed zone or not.
		return "found with proofs of other answers"
	}
	return "unexplained"
}

// delvSays gives the lowest verdict of delv's output.
func delvSays(out string) string {
	switch { // it calls what does not exist a failure too, with a verdict
	case strings.Contains(out, "unsigned answer"):
		return "insecure"
	case strings.Contains(out, "fully validated"):
		return "secure"
	case strings.Contains(out, "resolution failed"):
		return "bogus"
	}
	return "nothing"
}

// delvExplained names known differences between delv and dnscache.
func delvExplained(z *signed, name string, t dns.Type, delv, ours string) string {
	if z.how == "optout" && delv == "secure" && ours == "insecure" {
		return "what opt-out passes over is secure to delv"
	}
	return ""
}

// askPeer gives code and AD of an answer.
func askPeer(server, name string, t dns.Type) string {
	n, err := dnsname.ParseMaster(name, dnsname.Root)
	if err != nil {
		return err.Error()
	}
	var b wire.Builder
	id := uint16(rand.Uint32())
	b.Reset(nil, 512, id, wire.BitRD)
	b.Question([]byte(n), t, dns.ClassIN)
	b.OPT(1232, 0, true, nil)
	msg := b.Finish()
	c, err := net.Dial("udp", net.JoinHostPort(server, strconv.Itoa(dns.Port)))
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer c.Close()
	buf := make([]byte, 4096)
	for range 3 {
		c.Write(msg)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			if strings.Contains(err.Error(), "refused") {
				return "no answer: refused"
			}
			continue
		}
		h, ok := wire.ParseHeader(buf[:n])
		if !ok || h.ID != id {
			continue
		}
		s := h.RCode().String()
		if h.Bits&wire.BitAD != 0 {
			s += " AD"
		}
		return s
	}
	return "no answer"
}
