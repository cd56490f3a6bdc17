// Cachebench measures recursive servers over a closed network of authorities
// that it makes itself: ours beside unbound, knot-resolver, pdns-recursor,
// named and the original dnscache. scripts/bench-cache starts it in a network
// namespace of its own.
//
//	main.go       the order of runs, the table
//	peers.go      how each server is configured and started
//	authority.go  the Internet: 2 roots, 50 TLDs, 10,000 zones on 600 addresses
//	load.go       questions, answers, latencies
//	differential.go  the same questions to all, the answers compared
//
// Authorities and load run on one core, the server alone on the other. Every
// figure is taken of all servers in turn before the next round begins, so that
// a busy neighbour meets all alike; compare within a round.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

var (
	binDir  = flag.String("bin", "bin", "folder of our programs")
	peerDir = flag.String("peers", "", "folder that scripts/peers printed")
	rounds  = flag.Int("rounds", 3, "rounds")
	names   = flag.Int("names", 20000, "names of a cold run")
	sets    = flag.Int("rrsets", 250000, "RRsets of the memory run")
	window  = flag.Int("window", 100, "questions outstanding")
	seconds = flag.Int("seconds", 2, "length of a hit run")
	only    = flag.String("only", "", "servers, separated by commas")
	tests   = flag.String("tests", "hit,cold,delay,loss,memory,restart", "tests, separated by commas; soak or differential alone")
	soak    = flag.Duration("soak", 30*time.Minute, "length of the test soak")
	role    = flag.String("role", "", "internal")
	quick   = flag.Bool("quick", false, "a smoke test: ours only, one small round")
)

// result is what one run of one server gave.
type result map[string]float64

func main() {
	flag.Parse()
	if d, err := filepath.Abs(*binDir); err == nil {
		*binDir = d // servers start in folders of their own
	}
	if *role == "authority" {
		authority()
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cachebench: fatal:", err)
		os.Exit(111)
	}
}

func run() error {
	if *quick {
		*rounds, *names, *sets, *seconds, *only = 1, 2000, 2000, 1, "bulkhead"
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"route", "add", "local", "10.53.0.0/16", "dev", "lo"},
		{"route", "add", "local", "10.54.0.0/16", "dev", "lo"}, {"route", "add", "local", "10.55.0.0/16", "dev", "lo"}, {"route", "add", "local", "10.56.0.0/16", "dev", "lo"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %s (run through scripts/bench-cache)", strings.Join(args, " "), out)
		}
	}
	net, err := startAuthority()
	if err != nil {
		return err
	}
	defer net.stop()
	pin(loadCPU)
	var list []*peer
	for _, p := range allPeers() {
		if *only == "" || strings.Contains(","+*only+",", ","+p.name+",") {
			if p.available() {
				list = append(list, p)
			} else {
				fmt.Printf("%s is not here\n", p.name)
			}
		}
	}
	defer func() {
		for _, p := range list {
			os.RemoveAll(p.dir)
		}
	}()
	if *tests == "differential" {
		return differential(list)
	}
	all := map[string]map[string][]result{}
	for round := 1; round <= *rounds; round++ {
		for _, test := range strings.Split(*tests, ",") {
			for _, p := range list {
				r, err := one(p, test, net)
				if err != nil {
					fmt.Printf("round %d %-8s %-15s %v\n", round, test, p.name, err)
					continue
				}
				if all[test] == nil {
					all[test] = map[string][]result{}
				}
				all[test][p.name] = append(all[test][p.name], r)
				fmt.Printf("round %d %-8s %-15s %s\n", round, test, p.name, r)
			}
		}
	}
	fmt.Printf("\nmedians of %d rounds, %d CPUs; below them of ours in the same round: median, lowest, highest\n", *rounds, runtime.NumCPU())
	for _, test := range strings.Split(*tests, ",") {
		fmt.Printf("\n%s\n", test)
		for _, p := range list {
			if rs := all[test][p.name]; len(rs) > 0 {
				fmt.Printf("  %-15s %s\n", p.name, median(rs))
				if ours := all[test][list[0].name]; p != list[0] && len(ours) > 0 {
					fmt.Printf("  %-15s %s\n", "", ratios(rs, ours))
				}
			}
		}
	}
	return nil
}

func (r result) String() string {
	var ks []string
	for k := range r {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	var b strings.Builder
	for _, k := range ks {
		v := fmt.Sprintf("%.2f", r[k])
		if r[k] >= 100 {
			v = fmt.Sprintf("%.0f", r[k])
		}
		fmt.Fprintf(&b, "%s %s  ", k, v)
	}
	return strings.TrimSpace(b.String())
}

func median(rs []result) result {
	m := result{}
	for k := range rs[0] {
		var v []float64
		for _, r := range rs {
			v = append(v, r[k])
		}
		sort.Float64s(v)
		m[k] = v[len(v)/2]
	}
	return m
}

// ratios are those of a server's figures to ours of the same round: median,
// lowest and highest.
func ratios(rs, ours []result) string {
	var ks []string
	for k := range rs[0] {
		if !strings.Contains(k, "%") && k != "entries" {
			ks = append(ks, k)
		}
	}
	sort.Strings(ks)
	var b strings.Builder
	for _, k := range ks {
		var v []float64
		for i := range min(len(rs), len(ours)) {
			if ours[i][k] > 0 {
				v = append(v, rs[i][k]/ours[i][k])
			}
		}
		if len(v) > 0 {
			sort.Float64s(v)
			fmt.Fprintf(&b, "%s %.2f (%.2f to %.2f)  ", k, v[len(v)/2], v[0], v[len(v)-1])
		}
	}
	return strings.TrimSpace(b.String())
}

// one runs one test of one server, from its start with an empty cache.
func one(p *peer, test string, net *network) (result, error) {
	net.set(0, 0, 0)
	s, err := p.start()
	if err != nil {
		return nil, err
	}
	defer s.stop()
	r := result{}
	switch test {
	case "hit":
		hot := questions(1000, 0)
		load(hot, 1, *window, 0)
		cpu := s.cpu()
		l := load(hot, 0, 64, time.Duration(*seconds)*time.Second)
		r["answers/s"] = float64(l.answered) / l.took.Seconds()
		r["cpu us"] = float64((s.cpu() - cpu).Microseconds()) / float64(max(1, l.answered))
		// what the server's core could do, when the load's core could keep it busy
		r["answers/s of its core"] = 1e6 / max(r["cpu us"], 1e-9)
		r["success %"] = l.success()
	case "cold", "delay", "loss":
		switch test {
		case "delay":
			net.set(10*time.Millisecond, 5*time.Millisecond, 0)
		case "loss":
			net.set(0, 0, 0.01)
		}
		asked := net.asked()
		cpu := s.cpu()
		l := load(questions(*names, 1), 1, *window, 0)
		n := float64(max(1, l.answered))
		r["questions/s"] = float64(l.answered) / l.took.Seconds()
		r["cpu us"] = float64((s.cpu() - cpu).Microseconds()) / n
		r["packets"] = float64(net.asked()-asked) / n
		r["p50 ms"], r["p99 ms"] = l.quantile(0.5), l.quantile(0.99)
		r["success %"] = l.success()
	case "memory":
		load(questions(100, 0), 1, *window, 0)
		before := s.memory()
		l := load(questions(*sets, 2), 1, *window, 0)
		r["MB per million"] = float64(s.memory()-before) / float64(max(1, l.answered))
		r["success %"] = l.success()
	case "restart":
		r["first answer ms"] = float64(s.ready.Microseconds()) / 1000
		if p.persistent {
			kept := questions(*sets, 2)
			l := load(kept, 1, *window, 0)
			// from the signal that ends it to the new process's first answer
			// from the old one's cache: what svc -t costs
			began := time.Now()
			s.stop()
			r["end ms"] = float64(time.Since(began).Microseconds()) / 1000
			if s, err = p.restart(kept[17], began); err != nil {
				return nil, err
			}
			defer s.stop()
			r["end and restart ms"] = float64(s.ready.Microseconds()) / 1000
			r["entries"] = float64(l.answered)
			asked := net.asked()
			l = load(questions(1000, 2), 1, *window, 0)
			r["kept %"] = 100 * (1 - float64(net.asked()-asked)/1000)
		}
	case "soak":
		soakRun(s, net, r)
	default:
		return nil, fmt.Errorf("no such test")
	}
	return r, nil
}

// soakRun is a day compressed: questions for names in the cache at half of the
// highest rate, and beside them new ones, while servers lose packets, are slow,
// or are all dead for a while. Memory must be flat, and the success rate as at
// the start. What the process holds is printed about every -soak/60.
func soakRun(s *server, net *network, r result) {
	phase := []func(){
		func() { net.set(0, 0, 0) },
		func() { net.set(2*time.Millisecond, time.Millisecond, 0.01) },
		func() { net.set(0, 0, 1) }, // dead
		func() { net.set(0, 0, 0.3) },
	}
	hot := questions(1000, 0)
	load(hot, 1, *window, 0)
	l := load(hot, 0, 64, 3*time.Second)
	rate := float64(l.answered) / l.took.Seconds() / 2
	r["hits/s"] = rate
	background := make(chan loadResult, 1)
	go func() { background <- loadAt(rate, hot, 0, 64, *soak) }()
	start := time.Now()
	end := start.Add(*soak)
	var first, last, most float64
	var healthy, answered int
	var due time.Duration
	fmt.Println("     s      RSS MB  heap MB  goroutines  files  entries  questions  cpu s  success %")
	for i := 0; time.Now().Before(end); i++ {
		phase[i%len(phase)]()
		began := time.Now()
		n := 2000
		if i%len(phase) == 2 {
			n = 100 // each takes seconds
		}
		load(questions(n, 100+i), 1, *window/2, 0)
		if i%len(phase) == 0 {
			l := load(questions(2000, 5000+i), 1, *window/2, 0)
			healthy += l.answered + l.failed + l.lost
			answered += l.answered
			mb := float64(s.memory()) / 1e6
			if i == 4*len(phase) || i == 0 {
				r["MB after the first rounds"] = mb
			}
			if i == 0 {
				first = l.success()
			}
			last = l.success()
			most = max(most, mb)
			r["MB at the end"] = mb
			if since := time.Since(start); since >= due {
				due += *soak / 60
				st := s.stats()
				fmt.Printf("%6.0f  %9.1f  %7.1f  %10.0f  %5d  %7.0f  %9.0f  %5.1f  %9.2f\n", since.Seconds(), mb, st["heap-bytes"]/1e6,
					st["goroutines"], s.files(), st["cache-entries"], st["questions"], s.cpu().Seconds(), last)
			}
		}
		time.Sleep(max(time.Second-time.Since(began), 0)) // a phase has a second at least
		r["rounds"] = float64(i + 1)
	}
	r["success % at the start"], r["success % at the end"], r["MB at most"] = first, last, most
	h := <-background
	r["hits answered %"], r["hits"] = h.success(), float64(h.answered)
	r["success % of all healthy phases"] = 100 * float64(answered) / float64(max(1, healthy))
}

// The two cores.
const (
	loadCPU   = 0
	serverCPU = 1
)

func pin(cpu int) {
	var set unix.CPUSet
	set.Set(cpu % runtime.NumCPU())
	unix.SchedSetaffinity(0, &set)
}
