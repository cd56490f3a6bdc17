package main

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// The differential run: the same questions to every server, the codes and
// answer sections compared. Every difference is printed, by its class.

type question struct {
	name string
	t    uint16
}

func (q question) String() string { return q.name + " " + dns.TypeToString[q.t] }

// differentQuestions are about all that the closed network has, and much that
// it has not: addresses, aliases, delegations, apexes, names of name servers,
// names that do not exist at each level, in either case of letters.
func differentQuestions(n int) []question {
	rng := rand.New(rand.NewPCG(9, 9))
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeNS, dns.TypeSOA, dns.TypeCNAME, dns.TypePTR}
	out := make([]question, 0, n)
	for i := range n {
		zone := zoneName(rng.IntN(zones))
		var name string
		switch rng.IntN(16) {
		case 0, 1, 2, 3, 4:
			name = "www." + zone
		case 5, 6, 7:
			name = fmt.Sprintf("h%06d.%s", i, zone)
		case 8, 9:
			name = fmt.Sprintf("nx%06d.%s", i, zone)
		case 10:
			name = zone
		case 11:
			name = "ns1." + zone
		case 12:
			name = fmt.Sprintf("deep.h%06d.%s", i, zone)
		case 13:
			name = fmt.Sprintf("d%05d.t%02d", zones+rng.IntN(zones), rng.IntN(tlds)) // no such zone
		case 14:
			name = fmt.Sprintf("t%02d", rng.IntN(tlds))
		case 15:
			name = fmt.Sprintf("h%03d.hoster", rng.IntN(hosters))
		}
		if rng.IntN(4) == 0 {
			name = strings.ToUpper(name[:1]) + name[1:]
		}
		out = append(out, question{name, types[rng.IntN(len(types))]})
	}
	return out
}

// answersOf asks them all and gives a line for each answer.
func answersOf(qs []question) []string {
	out := make([]string, len(qs))
	next := make(chan int)
	var wg sync.WaitGroup
	addr := fmt.Sprintf("127.0.0.1:%d", target.Port)
	for range 20 {
		wg.Go(func() {
			c := dns.Client{Timeout: 10 * time.Second}
			for i := range next {
				m := new(dns.Msg)
				m.SetQuestion(qs[i].name+".", qs[i].t)
				r, _, err := c.Exchange(m, addr)
				for range 2 { // a busy machine loses packets
					if err != nil {
						r, _, err = c.Exchange(m, addr)
					}
				}
				if err == nil && r.Truncated {
					r, _, err = (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).Exchange(m, addr)
				}
				if err != nil {
					out[i] = "none: " + err.Error()
					continue
				}
				out[i] = summary(r)
			}
		})
	}
	for i := range qs {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

func summary(r *dns.Msg) string {
	var rrs []string
	for _, rr := range r.Answer {
		f := strings.Fields(strings.ToLower(rr.String()))
		rrs = append(rrs, f[0]+" "+strings.Join(f[3:], " ")) // without TTL and class
	}
	sort.Strings(rrs)
	return dns.RcodeToString[r.Rcode] + " " + strings.Join(rrs, ", ")
}

// differential asks every server the same and compares with ours, the first.
func differential(list []*peer) error {
	qs := differentQuestions(*names)
	all := map[string][]string{}
	for _, p := range list {
		s, err := p.start()
		if err != nil {
			return err
		}
		all[p.name] = answersOf(qs)
		s.stop()
	}
	ours := list[0].name
	codes := map[string]int{}
	for _, a := range all[ours] {
		codes[code(a)]++
	}
	fmt.Printf("%s: %v\n", ours, codes)
	for _, p := range list[1:] {
		classes := map[string][]int{}
		for i := range qs {
			if a, b := all[ours][i], all[p.name][i]; a != b {
				class := fmt.Sprintf("%s: %s, %s %s", dns.TypeToString[qs[i].t], ours, code(a), p.name+" "+code(b))
				classes[class] = append(classes[class], i)
			}
		}
		total := 0
		for _, v := range classes {
			total += len(v)
		}
		fmt.Printf("%s: %d of %d answers differ from %s's\n", p.name, total, len(qs), ours)
		for class, v := range classes {
			i := v[0]
			fmt.Printf("  %d x %s; first: %s\n    %s: %s\n    %s: %s\n", len(v), class, qs[i], ours, all[ours][i], p.name, all[p.name][i])
		}
	}
	return nil
}

// code is an answer without its records' data.
func code(s string) string {
	c, rest, _ := strings.Cut(s, " ")
	if rest == "" {
		return c
	}
	return fmt.Sprintf("%s with %d records", c, 1+strings.Count(rest, ", "))
}
