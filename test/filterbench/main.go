// Filterbench measures dnsfilter and rbldns beside the originals. It runs in a
// network namespace of its own (scripts/bench-filter) and prints ratios with
// their spread; it asserts nothing.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"

	"golang.org/x/sys/unix"
)

const (
	lines     = 100_000
	addresses = 10_000
	entries   = 1_000_000 // of the block list
	questions = 100_000   // to each list server in one run
	window    = 32        // questions outstanding
)

var (
	bin   = flag.String("bin", "", "folder of our programs")
	peers = flag.String("peers", "", "folder of the unpacked originals")
	runs  = flag.Int("runs", 5, "pairs")
	dir   = flag.String("dir", "", "scratch folder")
)

func main() {
	flag.Parse()
	loopbackUp()
	go names()
	cache := startCache()
	defer stop(cache)
	filter()
	list()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "filterbench: fatal:", err)
		os.Exit(111)
	}
}

func loopbackUp() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	check(err)
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	check(err)
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	check(unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r))
}

// names is the server behind the cache: every address has a name.
func names() {
	c, err := net.ListenPacket("udp", "127.0.0.2:53")
	check(err)
	b := make([]byte, 4096)
	for {
		n, from, err := c.ReadFrom(b)
		check(err)
		q, err := wire.Parse(b[:n])
		if err != nil {
			continue
		}
		name, t, class, err := q.Question(nil)
		if err != nil {
			continue
		}
		var a wire.Builder
		a.Reset(nil, dns.MaxMessage, q.Header.ID, wire.BitQR|wire.BitAA|wire.BitRA)
		a.Question(name, t, class)
		if t == dns.TypePTR {
			host, _ := dnsname.ParseDot("host-" + strings.ReplaceAll(dnsname.Name(name).Text(), ".", "-")[:8] + ".example")
			a.RR(wire.Answer, name, t, dns.ClassIN, 3600, []byte(host))
		}
		c.WriteTo(a.Finish(), from)
	}
}

func startCache() *exec.Cmd {
	root := *dir + "/cache"
	for _, d := range []string{root, root + "/ip", root + "/servers"} {
		check(os.MkdirAll(d, 0o755))
	}
	check(os.WriteFile(root+"/ip/127", nil, 0o644))
	check(os.WriteFile(root+"/servers/@", []byte("127.0.0.2\n"), 0o644))
	return server(*bin+"/dnscache", root, "IPSEND=0.0.0.0", "CACHESIZE=20000000", "FORWARDONLY=1", "VALIDATE=0", "LOCALZONES=0", "IP=127.0.0.1")
}

// server starts a server and waits for its first log line.
func server(program, root string, env ...string) *exec.Cmd {
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), "ROOT="+root, "UID=65534", "GID=65534"), env...)
	r, w, err := os.Pipe()
	check(err)
	cmd.Stderr = w
	check(cmd.Start())
	w.Close()
	b := make([]byte, 4096)
	n, err := r.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), "starting") {
		check(fmt.Errorf("%s did not start: %s", program, b[:n]))
	}
	go func() { // the log goes nowhere, but it must go
		for {
			if _, err := r.Read(b); err != nil {
				return
			}
		}
	}()
	return cmd
}

func stop(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

func filter() {
	log := *dir + "/log"
	var b strings.Builder
	x := uint32(1)
	for range lines {
		x = x*1664525 + 1013904223
		a := x >> 8 % addresses
		fmt.Fprintf(&b, "10.1.%d.%d GET /index.html 200\n", a/250, a%250)
	}
	check(os.WriteFile(log, []byte(b.String()), 0o644))
	run := func(program string) float64 {
		in, err := os.Open(log)
		check(err)
		defer in.Close()
		cmd := exec.Command(program, "-c", "50", "-l", "10000")
		cmd.Env = append(os.Environ(), "DNSCACHEIP=127.0.0.1")
		cmd.Stdin = in
		start := time.Now()
		out, err := cmd.Output()
		check(err)
		if n := strings.Count(string(out), "="); n != lines {
			check(fmt.Errorf("%s named %d of %d lines", program, n, lines))
		}
		return lines / time.Since(start).Seconds()
	}
	ours, theirs := *bin+"/dnsfilter", *peers+"/usr/bin/dnsfilter"
	run(ours) // fills the cache
	pairs("dnsfilter -c 50, lines/s", func() float64 { return run(ours) }, func() float64 { return run(theirs) })
}

// pairs runs both in turn and prints medians and the ratio pair by pair.
func pairs(what string, ours, theirs func() float64) {
	var a, b, ratio []float64
	for range *runs {
		x, y := ours(), theirs()
		a, b, ratio = append(a, x), append(b, y), append(ratio, x/y)
	}
	fmt.Printf("%-28s ours %.0f, original %.0f, ratio %.2f (%.2f to %.2f in %d pairs)\n",
		what, median(a), median(b), median(ratio), ratio[0], ratio[len(ratio)-1], *runs)
}

// median sorts its argument.
func median(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}

func list() {
	root := *dir + "/rbl"
	check(os.MkdirAll(root, 0o755))
	var b strings.Builder
	b.WriteString(":127.0.0.2:listed $\n")
	for i := range entries {
		fmt.Fprintf(&b, "%d.%d.%d.%d\n", 1+i>>20, i>>12&255, i>>4&255, i<<4&255|i&7)
	}
	check(os.WriteFile(root+"/data", []byte(b.String()), 0o644))
	data := exec.Command(*bin + "/rbldns-data")
	data.Dir = root
	out, err := data.CombinedOutput()
	if err != nil {
		check(fmt.Errorf("%v: %s", err, out))
	}
	st, err := os.Stat(root + "/data.cdb")
	check(err)
	ours := server(*bin+"/rbldns", root, "IP=127.0.0.3", "BASE=rbl.example")
	defer stop(ours)
	theirs := server(*peers+"/usr/sbin/rbldns", root, "IP=127.0.0.4", "BASE=rbl.example")
	defer stop(theirs)
	pairs("rbldns, 1 M entries, answers/s", func() float64 { return ask("127.0.0.3:53") }, func() float64 { return ask("127.0.0.4:53") })
	fmt.Printf("%-28s data.cdb %.1f bytes an entry for both; resident: ours %d kB, original %d kB\n", "", float64(st.Size())/entries,
		resident(ours.Process.Pid), resident(theirs.Process.Pid))
}

func ask(addr string) float64 {
	c, err := net.Dial("udp", addr)
	check(err)
	defer c.Close()
	base, _ := dnsname.ParseDot("rbl.example")
	buf := make([]byte, 4096)
	start := time.Now()
	sent, got := 0, 0
	for got < questions {
		for sent < questions && sent-got < window {
			i := uint32(sent) * 2654435761 % (2 * entries) // half are listed
			n, _ := dnsname.ParseDot(fmt.Sprintf("%d.%d.%d.%d", i<<4&255|i&7, i>>4&255, i>>12&255, 1+i>>20))
			name, _ := dnsname.Join(n, base)
			var b wire.Builder
			b.Reset(nil, 512, uint16(sent), 0)
			b.Question([]byte(name), dns.TypeA, dns.ClassIN)
			c.Write(b.Finish())
			sent++
		}
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, err := c.Read(buf)
		check(err)
		if n < dns.HeaderLen || binary.BigEndian.Uint16(buf[2:])&wire.BitQR == 0 {
			check(fmt.Errorf("no answer from %s", addr))
		}
		got++
	}
	return questions / time.Since(start).Seconds()
}

func resident(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	check(err)
	for _, l := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(l, "RssAnon:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}
