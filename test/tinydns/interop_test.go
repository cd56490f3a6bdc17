package tinydns_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
	"bulkhead/internal/zonefile"
)

// zones is how many generated zones are compared: $INTEROP, or enough for every run.
func zones(t *testing.T) int {
	if v := os.Getenv("INTEROP"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 120
}

const perServer = 60 // zones loaded at once

// Generated zones, unsigned and signed with NSEC, NSEC3 and NSEC3 with
// opt-out, in nsd, knotd, named and ours: where those agree we agree. What we
// say about signed zones satisfies delv.
func TestInterop(t *testing.T) {
	testbin.NeedRoot(t)
	tools := []string{"usr/sbin/nsd", "usr/sbin/knotd", "usr/sbin/named", "usr/bin/delv", "usr/bin/dig", "usr/bin/ldns-verify-zone", "usr/bin/ldns-signzone", "usr/bin/ldns-keygen"}
	for _, p := range tools {
		testbin.Peer(t, p)
	}
	seed := *seedFlag
	if seed == 0 {
		seed = defaultSeed("INTEROP")
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	asked, agreed, split := 0, 0, 0
	for done := 0; done < zones(t) && !t.Failed(); done += perServer {
		t.Run(fmt.Sprint(done), func(t *testing.T) {
			a, g, s := interopRound(t, r, done, min(perServer, zones(t)-done), seed)
			asked, agreed, split = asked+a, agreed+g, split+s
		})
	}
	t.Logf("%d questions: nsd, knotd and named agree on %d, there we agree; they differ on %d", asked, agreed, split)
}

type genZone struct {
	origin, text string
	signed       int // 0 no, 1 NSEC, 2 NSEC3, 3 NSEC3 with opt-out
	names        []string
}

func interopRound(t *testing.T, r *rand.Rand, round, n int, seed uint64) (asked, agreed, split int) {
	dir := tempRoot(t)
	keys := makeKey(t, dir)
	var list []*genZone
	for i := 0; len(list) < n; i++ {
		z := makeZone(r, fmt.Sprintf("zone%d.test", i))
		z.signed = i % 4
		list = append(list, z)
		// A child that lives on the same servers: which of the two answers is
		// most of what can go wrong about DS.
		if len(list) < n && r.IntN(8) == 0 {
			c := makeZone(r, "sub."+z.origin)
			c.signed = r.IntN(4)
			z.text += "sub NS ns.sub\nns.sub A 192.0.2.1\n"
			if r.IntN(2) == 0 {
				z.text += fmt.Sprintf("sub DS 1 13 2 %064x\n", r.Uint64())
			}
			z.names = append(z.names, c.names[:2]...)
			c.names = append(c.names, c.origin, z.origin)
			list = append(list, c)
		}
	}
	for _, z := range list {
		fn := filepath.Join(dir, z.origin+".zone")
		os.WriteFile(fn, []byte(z.text), 0o644)
		if z.signed > 0 {
			signZone(t, dir, keys, z, fn)
		}
	}
	ours := startOurs(t, dir, list)
	nsd := startNSD(t, dir, list)
	knot := startKnot(t, dir, list)
	k := socket(t, "127.0.0.1:0")
	defer k.Close()
	named := startNamed(t, dir, list)
	for _, s := range []string{ours, nsd, knot, named} {
		for _, z := range list {
			waitFor(t, k, s, z.origin, dir)
		}
	}
	types := []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeNS, dns.TypeDS, dns.TypeSOA, dns.TypeCNAME, dns.TypeTXT, dns.TypeDNAME,
		dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeNSEC3PARAM}
	for _, z := range list {
		for range 60 {
			name := z.names[r.IntN(len(z.names))]
			for range r.IntN(3) {
				name = pick(r, "a", "b", "*", "ns", "www", "zz") + "." + name
			}
			typ := types[r.IntN(len(types))]
			do := r.IntN(2) == 0
			q := makeQuery(name, typ, do, uint16(r.IntN(1<<16)))
			if q == nil {
				continue
			}
			asked++
			va, vb, vd := view(exchange(t, k, nsd, q), typ), view(exchange(t, k, knot, q), typ), view(exchange(t, k, named, q), typ)
			vc := view(exchange(t, k, ours, q), typ)
			if va != vb || va != vd {
				split++
				continue
			}
			agreed++
			if va != vc {
				t.Errorf("seed %d: %s %s do=%v signed=%d\nnsd, knotd and named\n%sours\n%szone\n%s", seed, name, typ, do, z.signed, va, vc, z.text)
				return
			}
		}
	}
	// Every signed zone, as a transfer of ours carries it, is whole.
	for _, z := range list {
		if z.signed > 0 {
			verifyZone(t, dir, ours, z)
		}
	}
	// One of each kind of signing, in every round.
	for _, z := range list[:min(len(list), 6)] {
		if z.signed > 0 && !strings.HasPrefix(z.origin, "sub.") {
			validate(t, dir, z)
		}
	}
	return
}

// verifyZone transfers a zone from our axfrdns and lets ldns-verify-zone judge
// signatures and chain.
func verifyZone(t *testing.T, dir, server string, z *genZone) {
	cmd := exec.Command(testbin.Peer(t, "usr/bin/dig"), "@127.0.0.55", "+tcp", "+noall", "+answer", "+onesoa", z.origin, "AXFR")
	cmd.Env = testbin.PeerEnv()
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("RRSIG")) {
		t.Errorf("transfer of %s: %v\n%s", z.origin, err, out)
		return
	}
	fn := filepath.Join(dir, z.origin+".axfr")
	if err := os.WriteFile(fn, out, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(testbin.Peer(t, "usr/bin/ldns-verify-zone"), "-V1", fn)
	cmd.Env = testbin.PeerEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ldns-verify-zone of %s, signed=%d: %v\n%s%s", z.origin, z.signed, err, out, z.text)
	}
}

// validate asks delv, which knows the zone's key, about names that exist and
// names that do not.
func validate(t *testing.T, dir string, z *genZone) {
	raw, err := os.ReadFile(filepath.Join(dir, keyName(dir, z.origin)))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(raw)) // owner IN DNSKEY flags protocol algorithm key ...
	for f[0] != "DNSKEY" {
		f = f[1:]
	}
	anchor := filepath.Join(dir, z.origin+".anchor")
	os.WriteFile(anchor, []byte(fmt.Sprintf("trust-anchors { %s. static-key %s %s %s %q; };\n", z.origin, f[1], f[2], f[3], f[4])), 0o644)
	validated := 0
	for _, name := range append([]string{"nx." + z.origin, "nx.ns." + z.origin}, z.names[:min(len(z.names), 8)]...) {
		// The DS of children is made up.
		if strings.HasPrefix(name, "outside") || strings.Contains(name, "\\") || strings.HasSuffix("."+name, ".sub."+z.origin) {
			continue
		}
		for _, typ := range []string{"A", "TXT"} {
			cmd := exec.Command(testbin.Peer(t, "usr/bin/delv"), "@127.0.0.55", "-a", anchor, "+root="+z.origin, name, typ)
			cmd.Env = testbin.PeerEnv()
			out, _ := cmd.CombinedOutput()
			// Referrals, and aliases that lead away, can not be followed here.
			if s := string(out); strings.Contains(s, "broken trust chain") || strings.Contains(s, "no valid") || strings.Contains(s, "got insecure") || strings.Contains(s, "unsigned") && !strings.Contains(s, "validated") {
				t.Errorf("delv %s %s, signed=%d: %s", name, typ, z.signed, s)
			} else if strings.Contains(s, "fully validated") {
				validated++
			}
		}
	}
	if validated < 5 {
		t.Errorf("%s: delv validated only %d answers", z.origin, validated)
	}
}

func keyName(dir, origin string) string {
	m, _ := filepath.Glob(filepath.Join(dir, "K"+origin+".+*.key"))
	if len(m) == 0 {
		m, _ = filepath.Glob(filepath.Join(dir, "K"+origin+"+*.key"))
	}
	if len(m) == 0 {
		return "no key of " + origin
	}
	return filepath.Base(m[0])
}

// view reduces an answer to what servers must agree on: the RCODE, AA, the
// answer section, and of the authority section the SOA, DS, delegations and
// the kinds of proof. Which optional records come along is each one's choice.
func view(msg []byte, typ dns.Type) string {
	c, err := wire.Parse(msg)
	if err != nil || c.SkipQuestions() != nil {
		return "malformed\n"
	}
	if c.Header.Bits&wire.BitTC != 0 {
		return "truncated\n"
	}
	var lines []string
	aa := c.Header.Bits&wire.BitAA != 0
	var r wire.RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			return "malformed\n"
		}
		if !ok {
			break
		}
		if r.Type == dns.TypeOPT || r.Section == wire.Additional || r.Section == wire.Authority && r.Type == dns.TypeNS && aa {
			continue
		}
		owner, _, _ := wire.AppendName(nil, msg, r.Owner)
		data, err := rdata.AppendUncompressed(nil, msg, r.Type, r.Data, r.Len)
		if err != nil {
			return "malformed\n"
		}
		if r.Section == wire.Authority && r.Type == dns.TypeRRSIG && dns.Type(binary.BigEndian.Uint16(data)) == dns.TypeNS {
			continue
		}
		dnsname.Lower(owner)
		lines = append(lines, fmt.Sprintf("%d %s %d %s %x\n", r.Section, dnsname.AppendText(nil, owner), r.TTL, r.Type, dnsname.Lower(data)))
	}
	// Both send a record twice when an alias at a wildcard leads to itself.
	sort.Strings(lines)
	lines = slices.Compact(lines)
	return fmt.Sprintf("%s aa=%v\n%s", c.Header.RCode(), aa, strings.Join(lines, ""))
}

func makeQuery(name string, typ dns.Type, do bool, id uint16) []byte {
	n, err := dnsname.ParseDot(name)
	if err != nil {
		return nil
	}
	q := binary.BigEndian.AppendUint16(nil, id)
	q = append(q, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1)
	q = append(q, n...)
	q = append(q, byte(typ>>8), byte(typ), 0, 1)
	q = append(q, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0)
	if do {
		q[len(q)-4] = 0x80
	}
	return q
}

func exchange(t *testing.T, k *net.UDPConn, server string, q []byte) []byte {
	to, _ := net.ResolveUDPAddr("udp4", server)
	buf := make([]byte, 4096)
	for range 5 {
		k.WriteTo(q, to)
		k.SetReadDeadline(time.Now().Add(4 * time.Second))
		for {
			n, _, err := k.ReadFromUDP(buf)
			if err != nil {
				break
			}
			if n >= 2 && buf[0] == q[0] && buf[1] == q[1] {
				return bytes.Clone(buf[:n])
			}
		}
	}
	t.Errorf("%s does not answer %x", server, q)
	return nil
}

// waitFor waits until a server answers for a zone.
func waitFor(t *testing.T, k *net.UDPConn, server, origin, dir string) {
	to, _ := net.ResolveUDPAddr("udp4", server)
	q := makeQuery(origin, dns.TypeSOA, false, 77)
	buf := make([]byte, 4096)
	for range 400 {
		k.WriteTo(q, to)
		k.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := k.Read(buf); err == nil && n > 12 && buf[1] == 77 && buf[3]&15 == 0 && buf[7] > 0 {
			return
		}
	}
	for _, log := range []string{"nsd", "knotd", "named"} {
		raw, _ := os.ReadFile(filepath.Join(dir, log+".log"))
		for _, l := range strings.Split(string(raw), "\n") {
			if strings.Contains(l, origin) {
				t.Logf("%s: %s", log, l)
			}
		}
	}
	t.Fatalf("%s does not serve %s", server, origin)
}

// makeZone writes a small zone: cuts, wildcards, empty non-terminals, aliases,
// DNAMEs, odd bytes. Data that a primary would refuse to load are avoided.
func makeZone(r *rand.Rand, origin string) *genZone {
	z := &genZone{origin: origin}
	b := new(strings.Builder)
	fmt.Fprintf(b, "$ORIGIN %s.\n$TTL 300\n@ IN SOA ns.%s. host.%s. 1 3600 600 86400 %d\n@ NS ns\nns A 192.0.2.1\n", origin, origin, origin, 60+r.IntN(600))
	word := func() string { return pick(r, "a", "b", "c", "www", "x-y", "\\001", "\\255", "UP", "n1", "n2") }
	used := map[string]byte{"@": 'x', "ns": 'x'}
	var stops []string // cuts and DNAMEs: nothing else may lie below
	z.names = []string{origin, "ns." + origin, "outside.example"}
	octal := strings.NewReplacer("\\255", "\\377")
	for range 3 + r.IntN(20) {
		n := word()
		for range r.IntN(3) {
			if r.IntN(12) == 0 {
				n += ".*" // RFC 4592, section 4.9: perhaps an empty non-terminal
			}
			n += "." + word()
		}
		if r.IntN(5) == 0 {
			n = "*." + n
		}
		low := strings.ToLower(n)
		if used[low] != 0 {
			continue
		}
		bad := false
		for _, s := range stops {
			bad = bad || strings.HasSuffix(low, "."+s)
		}
		if bad {
			continue
		}
		star := strings.HasPrefix(n, "*")
		target := func() string {
			return pick(r, word(), word()+"."+word(), "ns", origin+".", "outside.example.", "*."+word())
		}
		below := false
		for u := range used {
			below = below || strings.HasSuffix(u, "."+low)
		}
		kind := r.IntN(10)
		switch {
		case kind == 0 && !star && !below:
			fmt.Fprintf(b, "%s NS ns.%s\n%s NS outside.example.\nns.%s A 192.0.2.9\n", n, n, n, n)
			if r.IntN(2) == 0 {
				fmt.Fprintf(b, "%s DS 1 13 2 %064x\n", n, r.Uint64())
			}
			stops = append(stops, low)
		case kind == 1 && !star && !below:
			fmt.Fprintf(b, "%s DNAME %s\n", n, target())
			stops = append(stops, low)
		case kind == 2 || kind == 3:
			fmt.Fprintf(b, "%s CNAME %s\n", n, target())
		case kind == 4:
			fmt.Fprintf(b, "%s MX 5 %s\n%s TXT \"text\"\n", n, target(), n)
		case kind == 5:
			fmt.Fprintf(b, "%s AAAA 2001:db8::%x\n", n, r.IntN(9))
		default:
			fmt.Fprintf(b, "%s A 192.0.2.%d\n", n, r.IntN(250))
		}
		used[low] = 'x'
		z.names = append(z.names, octal.Replace(n)+"."+origin)
	}
	z.text = b.String()
	return z
}

func peer(t *testing.T, dir, program string, args ...string) []byte {
	cmd := exec.Command(testbin.Peer(t, program), args...)
	cmd.Dir, cmd.Env = dir, testbin.PeerEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return out
}

// makeKey makes one key pair, named for the first zone; the file is copied for
// the others.
func makeKey(t *testing.T, dir string) string {
	return strings.TrimSpace(string(peer(t, dir, "usr/bin/ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "zone0.test")))
}

func signZone(t *testing.T, dir, key string, z *genZone, fn string) {
	own := "K" + z.origin + strings.TrimPrefix(key, "Kzone0.test")
	for _, ext := range []string{".key", ".private"} {
		raw, err := os.ReadFile(filepath.Join(dir, key+ext))
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, own+ext), bytes.ReplaceAll(raw, []byte("zone0.test"), []byte(z.origin)), 0o600)
	}
	args := []string{"-o", z.origin, "-f", fn + ".signed"}
	switch z.signed {
	case 2:
		args = append(args, "-n", "-t", "0", "-s", "-")
	case 3:
		args = append(args, "-n", "-p", "-t", "1", "-s", "abcd")
	}
	if z.signed == 2 {
		args = []string{"-o", z.origin, "-f", fn + ".signed", "-n", "-t", "0"}
	}
	peer(t, dir, "usr/bin/ldns-signzone", append(args, fn, own)...)
	if err := os.Rename(fn+".signed", fn); err != nil {
		t.Fatal(err)
	}
}

func startOurs(t *testing.T, dir string, list []*genZone) string {
	root := tempRoot(t)
	f, err := os.Create(filepath.Join(root, "data.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	w := cdb.NewWriter(f)
	for _, z := range list {
		text, err := os.ReadFile(filepath.Join(dir, z.origin+".zone"))
		if err != nil {
			t.Fatal(err)
		}
		origin, _ := dnsname.ParseDot(z.origin)
		for rec, err := range zonefile.NewReader(text, zonefile.Options{Origin: origin}).All() {
			if err != nil {
				t.Fatal(err)
			}
			key, mark := dnsname.Lower(bytes.Clone(rec.Owner)), byte('=')
			if dnsname.IsWildcard(key) {
				key, mark = key[2:], '*'
			}
			d := binary.BigEndian.AppendUint16(nil, uint16(rec.Type))
			d = binary.BigEndian.AppendUint32(append(d, mark), rec.TTL)
			d = append(append(d, 0, 0, 0, 0, 0, 0, 0, 0), rec.Data...)
			if err := w.Add(key, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s := start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.55", root)
	s.discard()
	cmd := exec.Command(testbin.Dir(t, "axfrdns") + "/axfrdns")
	cmd.Dir = dir
	cmd.Env = []string{"ROOT=" + root, "UID=61950", "GID=61951", "IP=127.0.0.55", "AXFR="}
	for _, z := range list {
		cmd.Env[len(cmd.Env)-1] += z.origin + "/"
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return "127.0.0.55:53"
}

func daemon(t *testing.T, dir, program string, args ...string) {
	cmd := exec.Command(testbin.Peer(t, program), args...)
	cmd.Dir, cmd.Env = dir, testbin.PeerEnv()
	log, _ := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		gone := make(chan struct{})
		go func() { cmd.Wait(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-gone
		}
		log.Close()
	})
}

func startNSD(t *testing.T, dir string, list []*genZone) string {
	c := new(strings.Builder)
	fmt.Fprintf(c, "server:\n ip-address: 127.0.0.56\n port: 53\n username: \"\"\n chroot: \"\"\n zonesdir: %q\n pidfile: \"\"\n database: \"\"\n xfrdfile: %q\n zonelistfile: %q\n server-count: 1\n minimal-responses: no\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n", dir, dir+"/xfrd", dir+"/zonelist")
	for _, z := range list {
		fmt.Fprintf(c, "zone:\n name: %s\n zonefile: %s.zone\n", z.origin, z.origin)
	}
	os.WriteFile(dir+"/nsd.conf", []byte(c.String()), 0o644)
	daemon(t, dir, "usr/sbin/nsd", "-d", "-c", dir+"/nsd.conf")
	return "127.0.0.56:53"
}

func startNamed(t *testing.T, dir string, list []*genZone) string {
	c := new(strings.Builder)
	fmt.Fprintf(c, "options { directory %q; listen-on { 127.0.0.59; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; dnssec-validation no; minimal-responses no; };\ncontrols {};\n", dir)
	for _, z := range list {
		fmt.Fprintf(c, "zone %q { type primary; file \"%s.zone\"; check-names ignore; check-mx ignore; check-integrity no; masterfile-format text; };\n", z.origin, z.origin)
	}
	os.WriteFile(dir+"/named.conf", []byte(c.String()), 0o644)
	// named listens only on addresses that an interface has
	exec.Command("ip", "addr", "add", "127.0.0.59/32", "dev", "lo").Run()
	daemon(t, dir, "usr/sbin/named", "-g", "-n", "1", "-c", dir+"/named.conf")
	return "127.0.0.59:53"
}

func startKnot(t *testing.T, dir string, list []*genZone) string {
	c := new(strings.Builder)
	os.MkdirAll(dir+"/kdb", 0o755)
	fmt.Fprintf(c, "server:\n  rundir: %q\n  listen: 127.0.0.57@53\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: warning\ndatabase:\n  storage: %q\ntemplate:\n  - id: default\n    storage: %q\n    file: \"%%s.zone\"\n    zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\nzone:\n", dir, dir+"/kdb", dir)
	for _, z := range list {
		fmt.Fprintf(c, "  - domain: %s\n", z.origin)
	}
	os.WriteFile(dir+"/knot.conf", []byte(c.String()), 0o644)
	daemon(t, dir, "usr/sbin/knotd", "-c", dir+"/knot.conf")
	return "127.0.0.57:53"
}
