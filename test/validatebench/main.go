// Validatebench measures validating resolvers over a signed tree of its own:
// ours beside unbound, knot-resolver, pdns-recursor and named. The tree (root,
// 20 TLDs, thousands of zones, ECDSA P-256, NSEC) is signed by package dnssec
// and served by nsd. scripts/bench-validate starts it in namespaces of its own.
//
// Every name is asked once, of an empty cache: what counts is the processor
// time of the server per question, on one core. nsd and the load share the
// other one. The rounds take all servers in turn.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/wire"
)

const (
	tlds      = 20
	perZone   = 2 // names asked of each zone: 20,000 names and 8,100 zones in the project's other figures
	window    = 50
	authority = "127.1.0.1"
	server    = "127.2.0.1"
)

var (
	binDir  = flag.String("bin", "bin", "folder of our programs")
	peerDir = flag.String("peers", "", "folder that scripts/peers printed")
	rounds  = flag.Int("rounds", 3, "rounds")
	zones   = flag.Int("zones", 2500, "zones below the TLDs")
	only    = flag.String("only", "", "servers, separated by commas")
	hostile = flag.Bool("hostile", false, "hostile zones instead: KeyTrap, SigJam, NSEC3")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "validatebench: fatal:", err)
		os.Exit(111)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "validatebench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %s (run through scripts/bench-validate)", out)
	}
	ds, err := tree(dir)
	if err != nil {
		return err
	}
	overlay(dir, ds)
	nsd, err := start(dir, 1, "usr/sbin/nsd", "-d", "-c", dir+"/nsd.conf")
	if err != nil {
		return err
	}
	defer nsd.stop()
	if !answers(authority, "www.d00001.t1.", 30*time.Second) {
		return fmt.Errorf("nsd does not answer: %s", nsd.log())
	}
	if *hostile {
		return attacks(dir, ds)
	}
	var names []string
	for z := range *zones {
		for k := range perZone {
			names = append(names, fmt.Sprintf("w%d.d%05d.t%d.", k, z, z%tlds))
		}
	}
	figures := map[string][]float64{}
	packets := map[string]float64{}
	var order []string
	for range *rounds {
		for _, p := range peers() {
			if *only != "" && !strings.Contains(","+*only+",", ","+p.name+",") {
				continue
			}
			us, upstream, good, err := one(dir, ds, p, names)
			if err != nil {
				fmt.Printf("%-16s %v\n", p.name, err)
				continue
			}
			if figures[p.name] == nil {
				order = append(order, p.name)
			}
			figures[p.name] = append(figures[p.name], us)
			packets[p.name] = upstream
			fmt.Printf("%-16s %7.0f us a question, %.1f %% with AD\n", p.name, us, 100*good)
		}
	}
	fmt.Printf("\nmedian of %d rounds, %d questions, %d signed zones\n", *rounds, len(names), *zones)
	for _, n := range order {
		f := figures[n]
		sort.Float64s(f)
		m := f[len(f)/2]
		fmt.Printf("%-16s %7.0f us CPU a question = %6.0f a second on one core; spread %.0f to %.0f\n", n, m, 1e6/m, f[0], f[len(f)-1])
	}
	return nil
}

// tree writes the zones and nsd's configuration; the DS of the root.
func tree(dir string) (string, error) {
	t := signedtree.New(uint32(time.Now().Unix()))
	o := signedtree.Options{Algorithm: dnssec.ECDSAP256SHA256}
	conf := "server:\n  ip-address: " + authority + "\n  zonesdir: \"" + dir + "\"\n  username: \"\"\n  database: \"\"\n  pidfile: \"" + dir +
		"/nsd.pid\"\n  zonelistfile: \"" + dir + "/list\"\n  xfrdfile: \"\"\n  xfrdir: \"" + dir +
		"\"\n  server-count: 1\n  rrl-ratelimit: 0\n  minimal-responses: yes\nremote-control:\n  control-enable: no\n"
	write := func(z *signedtree.Zone, name string) error {
		var b []byte
		for k, s := range z.Sets {
			owner := dnsname.AppendMaster(nil, k.Name)
			for _, d := range s.Data {
				if k.Type == dns.TypeA && k.Name[0] == 2 && k.Name[1:3] == "ns" { // all servers are one
					d = net.ParseIP(authority).To4()
				}
				b = fmt.Appendf(b, "%s %d IN %s %s\n", owner, s.TTL, k.Type, rdata.AppendText(nil, k.Type, d))
			}
			for _, d := range s.Sigs {
				b = fmt.Appendf(b, "%s %d IN RRSIG %s\n", owner, s.TTL, rdata.AppendText(nil, dns.TypeRRSIG, d))
			}
		}
		file := strings.TrimSuffix(name, ".") + ".zone"
		conf += "zone:\n  name: \"" + name + "\"\n  zonefile: \"" + file + "\"\n"
		return os.WriteFile(filepath.Join(dir, file), b, 0o644)
	}
	// the server's address is signed as what it is
	edit := func(z *signedtree.Zone) {
		ns := signedtree.Key{Name: "\x02ns" + z.Name, Type: dns.TypeA}
		if s := z.Sets[ns]; s != nil {
			s.Data = [][]byte{net.ParseIP(authority).To4()}
		}
	}
	o.Edit = edit
	delegations := make([][]string, tlds)
	for z := range *zones {
		name := fmt.Sprintf("d%05d.t%d.", z, z%tlds)
		if err := write(t.Add(name, o, "www A 192.0.2.1", "w0 A 192.0.2.2", "w1 A 192.0.2.3"), name); err != nil {
			return "", err
		}
		delegations[z%tlds] = append(delegations[z%tlds], fmt.Sprintf("d%05d NS x", z))
	}
	if *hostile {
		if err := evil(t, o, write, &delegations[0]); err != nil {
			return "", err
		}
	}
	var top []string
	for k := range tlds {
		name := fmt.Sprintf("t%d.", k)
		if err := write(t.Add(name, o, delegations[k]...), name); err != nil {
			return "", err
		}
		top = append(top, fmt.Sprintf("t%d NS x", k))
	}
	root := t.Add(".", o, top...)
	if err := write(root, "."); err != nil {
		return "", err
	}
	os.WriteFile(dir+"/hints", []byte(". 3600 IN NS ns.\nns. 3600 IN A "+authority+"\n"), 0o644)
	return string(rdata.AppendText(nil, dns.TypeDS, root.DS[0])), os.WriteFile(dir+"/nsd.conf", []byte(conf), 0o644)
}

// overlay shows knot-resolver its modules and a key where it looks for them,
// below /usr, in this process's own view of the file system.
func overlay(dir, ds string) {
	os.MkdirAll(dir+"/share/dns", 0o755)
	os.WriteFile(dir+"/share/dns/root.key", []byte(". IN DS "+ds+"\n"), 0o644)
	exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+dir+"/share:/usr/share", "/usr/share").Run()
	if lib, _ := filepath.Glob(*peerDir + "/usr/lib/*-linux-gnu"); len(lib) == 1 {
		at := "/usr/lib/" + filepath.Base(lib[0])
		exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+lib[0]+":"+at, at).Run()
	}
}

type peer struct {
	name, program string
	prepare       func(dir, ds string) (args, env []string)
}

func file(name, text string) string {
	os.MkdirAll(filepath.Dir(name), 0o755)
	os.WriteFile(name, []byte(text), 0o644)
	return name
}

func peers() []peer {
	return []peer{
		{"bulkhead", "", func(dir, ds string) ([]string, []string) {
			file(dir+"/root/servers/@", authority+"\n")
			file(dir+"/root/ip/127", "")
			file(dir+"/root/trust-anchors", ". IN DS "+ds+"\n")
			return nil, []string{"IP=" + server, "IPSEND=0.0.0.0", "CACHESIZE=100000000", "ROOT=" + dir + "/root", "UID=65534", "GID=65534", "LOCALZONES=0", "CACHEDUMP=0"}
		}},
		{"unbound", "usr/sbin/unbound", func(dir, ds string) ([]string, []string) {
			return []string{"-d", "-c", file(dir+"/unbound.conf", "server:\n  interface: "+server+"\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  directory: \""+dir+
				"\"\n  access-control: 0.0.0.0/0 allow\n  do-not-query-localhost: no\n  do-ip6: no\n  module-config: \"validator iterator\"\n  trust-anchor: \". DS "+ds+"\"\n  root-hints: \""+dir+
				"/hints\"\n  trust-anchor-signaling: no\n  num-threads: 1\n  msg-cache-size: 100m\n  rrset-cache-size: 200m\n  key-cache-size: 50m\n  neg-cache-size: 10m\n  outgoing-range: 8192\n  num-queries-per-thread: 4096\n  minimal-responses: yes\n  verbosity: 0\nremote-control:\n  control-enable: no\n")}, nil
		}},
		{"knot-resolver", "usr/sbin/kresd", func(dir, ds string) ([]string, []string) {
			os.MkdirAll(dir+"/k", 0o755)
			return []string{"-n", "-c", file(dir+"/kresd.conf", "net.listen('"+server+"', 53)\nnet.ipv6 = false\nmodules = {'hints'}\nhints.root({['ns.'] = '"+authority+"'})\ncache.size = 200*MB\nlog_level('crit')\nmodules.unload('ta_update') modules.unload('ta_signal_query') modules.unload('detect_time_skew') modules.unload('priming') modules.unload('detect_time_jump')\n"), dir + "/k"}, nil
		}},
		{"pdns-recursor", "usr/sbin/pdns_recursor", func(dir, ds string) ([]string, []string) {
			file(dir+"/recursor.lua", "clearTA()\naddTA('.', \""+ds+"\")\n")
			file(dir+"/recursor.conf", "local-address="+server+"\nlocal-port=53\nhint-file="+dir+"/hints\nsocket-dir="+dir+"\ndaemon=no\nthreads=1\npdns-distributes-queries=no\ndont-query=\nallow-from=0.0.0.0/0\nmax-cache-entries=4000000\nmax-mthreads=4096\nquiet=yes\nloglevel=0\ndisable-syslog=yes\nsecurity-poll-suffix=\ndnssec=validate\nlua-config-file="+dir+"/recursor.lua\n")
			return []string{"--config-dir=" + dir}, nil
		}},
		{"named", "usr/sbin/named", func(dir, ds string) ([]string, []string) {
			f := strings.Fields(ds)
			file(dir+"/named.conf", "options { directory \""+dir+"\"; pid-file \""+dir+"/pid\"; session-keyfile \""+dir+"/skey\"; listen-on { "+server+"; }; listen-on-v6 { none; }; recursion yes; allow-recursion { any; }; allow-query-cache { any; }; empty-zones-enable no; minimal-responses yes; querylog no; dnssec-validation yes; max-cache-size 300m; recursive-clients 5000; prefetch 0; };\ncontrols {};\nlogging { category default { null; }; };\ntrust-anchors { . static-ds "+f[0]+" "+f[1]+" "+f[2]+" \""+strings.Join(f[3:], "")+"\"; };\nzone \".\" { type hint; file \""+dir+"/hints\"; };\n")
			return []string{"-g", "-4", "-n", "1", "-c", dir + "/named.conf"}, nil
		}},
	}
}

type process struct {
	cmd  *exec.Cmd
	file string
}

// start runs a program on a core: 0 is the measured server's.
func start(dir string, cpu int, program string, args ...string) (*process, error) {
	return startEnv(dir, cpu, filepath.Join(*peerDir, program), nil, args...)
}

func startEnv(dir string, cpu int, program string, env []string, args ...string) (*process, error) {
	p := &process{exec.Command("taskset", append([]string{"-c", strconv.Itoa(cpu), program}, args...)...), filepath.Join(dir, filepath.Base(program)+".log")}
	log, err := os.Create(p.file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, append(os.Environ(), env...), log, log
	return p, p.cmd.Start()
}

func (p *process) stop() { p.cmd.Process.Kill(); p.cmd.Wait() }
func (p *process) log() string {
	b, _ := os.ReadFile(p.file)
	return string(b[max(0, len(b)-300):])
}

// cpu is the processor time of all threads.
func (p *process) cpu() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	u, _ := strconv.Atoi(f[11])
	k, _ := strconv.Atoi(f[12])
	return time.Duration(u+k) * 10 * time.Millisecond // USER_HZ is 100
}

func one(dir, ds string, p peer, names []string) (us, upstream, good float64, err error) {
	sub, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return 0, 0, 0, err
	}
	os.Chmod(sub, 0o755)
	defer os.RemoveAll(sub)
	b, _ := os.ReadFile(dir + "/hints")
	os.WriteFile(sub+"/hints", b, 0o644)
	args, env := p.prepare(sub, ds)
	program := filepath.Join(*peerDir, p.program)
	if p.program == "" {
		program, _ = filepath.Abs(filepath.Join(*binDir, "dnscache"))
	}
	s, err := startEnv(sub, 0, program, append(env, "GOMAXPROCS=1"), args...)
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.stop()
	if !answers(server, "www.d00000.t0.", 15*time.Second) {
		return 0, 0, 0, fmt.Errorf("does not answer: %s", s.log())
	}
	before := s.cpu()
	n := load(names)
	return float64((s.cpu() - before).Microseconds()) / float64(len(names)), 0, float64(n) / float64(len(names)), nil
}

func packet(id uint16, name string) []byte {
	var b wire.Builder
	b.Reset(nil, 512, id, wire.BitRD)
	b.Question([]byte(signedtree.Name(name)), dns.TypeA, dns.ClassIN)
	b.OPT(1232, 0, true, nil)
	return b.Finish()
}

func answers(at, name string, limit time.Duration) bool {
	c, err := net.Dial("udp", at+":53")
	if err != nil {
		return false
	}
	defer c.Close()
	buf := make([]byte, 4096)
	for end := time.Now().Add(limit); time.Now().Before(end); {
		c.Write(packet(7, name))
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if n, err := c.Read(buf); err == nil && n > 12 && buf[3]&15 == 0 {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// load asks each name once and counts the answers with AD.
func load(names []string) int {
	c, err := net.Dial("udp", server+":53")
	if err != nil {
		return 0
	}
	defer c.Close()
	var idb [2]byte
	rand.Read(idb[:])
	base := binary.BigEndian.Uint16(idb[:])
	buf := make([]byte, 4096)
	next, open, good := 0, 0, 0
	waiting := map[uint16]bool{}
	for next < len(names) || open > 0 {
		for open < window && next < len(names) {
			id := base + uint16(next)
			c.Write(packet(id, names[next]))
			waiting[id] = true
			next++
			open++
		}
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			open = 0 // lost
			clear(waiting)
			continue
		}
		if n < 12 || !waiting[binary.BigEndian.Uint16(buf)] {
			continue
		}
		delete(waiting, binary.BigEndian.Uint16(buf))
		open--
		if buf[3]&15 == 0 && buf[3]&0x20 != 0 {
			good++
		}
	}
	return good
}
