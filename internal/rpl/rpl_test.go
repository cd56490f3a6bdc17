package rpl

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/testbin"
	"bulkhead/internal/validator"
)

var (
	only   = flag.String("scenario", "", "play this one alone and show what happens")
	folder = flag.String("folder", "", "play the scenarios of this folder and say how each went")
)

// TestFolder plays scenarios that are not in the tree: unbound's testdata, say.
func TestFolder(t *testing.T) {
	if *folder == "" {
		t.Skip("-folder names none")
	}
	files, _ := filepath.Glob(filepath.Join(*folder, "*.rpl"))
	sort.Strings(files)
	passed, failed, skipped := 0, 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".rpl")
		p := &Player{Validator: newValidator}
		if *only != "" {
			if name != *only {
				continue
			}
			p.Trace = os.Stdout
		}
		sc, err := Load(f)
		if err != nil {
			t.Logf("SKIP %s: %v", name, err)
			skipped++
			continue
		}
		r := p.Play(name, sc)
		switch {
		case r.Skip != "":
			skipped++
			t.Logf("SKIP %s: %s", name, r.Skip)
		case r.Fail != "":
			failed++
			t.Logf("FAIL %s: %s", name, r.Fail)
		default:
			passed++
		}
		if len(r.EDE) > 0 {
			t.Logf("EDE  %s: %s", name, strings.Join(r.EDE, "; "))
		}
	}
	t.Logf("%d passed, %d failed, %d skipped", passed, failed, skipped)
}

func consensus(t *testing.T) map[string]bool {
	text, err := os.ReadFile(testbin.Shared(t, "scenarios/consensus.txt"))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]bool{}
	for _, l := range strings.Fields(string(text)) {
		m[strings.TrimPrefix(l, "deckard/")] = true
	}
	return m
}

// TestOwn plays the scenarios of this project: each shows one rule and names
// where it stands.
func TestOwn(t *testing.T) {
	files, _ := filepath.Glob("testdata/own/*.rpl")
	if len(files) < 70 {
		t.Fatalf("%d scenarios", len(files))
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".rpl")
		sc, err := Load(f)
		if err != nil {
			t.Error(err)
			continue
		}
		r := (&Player{Validator: newValidator}).Play(name, sc)
		if r.Skip != "" || r.Fail != "" || len(r.EDE) > 0 {
			t.Errorf("%s: %s", name, strings.Join(append(r.EDE, r.Skip, r.Fail), " "))
		}
		if q, n := r.left(); q+n > 0 {
			t.Errorf("%s: %d questions and %d packets are left behind", name, q, n)
		}
	}
}

// exceptions are the scenarios that do not pass, with the reason: the first
// table of the section Deckard.
func exceptions(t *testing.T) map[string]string {
	text, err := os.ReadFile(filepath.Join(testbin.Root(), "docs/scenarios.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	_, table, _ := strings.Cut(string(text), "## Deckard\n")
	table = strings.TrimLeft(table, "\n")
	for _, l := range strings.Split(table, "\n") {
		if !strings.HasPrefix(l, "|") {
			break // the end of the table
		}
		f := strings.Split(l, "|")
		name, reason := strings.TrimSpace(f[1]), strings.TrimSpace(f[2])
		if name == "scenario" || strings.HasPrefix(name, "---") {
			continue
		}
		if reason == "" {
			t.Errorf("scenarios.md gives no reason for %s", name)
		}
		m[name] = reason
	}
	if len(m) == 0 {
		t.Fatal("scenarios.md has no table")
	}
	return m
}

func newValidator(anchors []RR, negative []dnsname.Name) resolver.Validator {
	var cfg validator.Config
	for _, rr := range anchors {
		a := dnssec.Anchor{Name: rr.Name.Lower()}
		if rr.Type == dns.TypeDS {
			a.DS = [][]byte{rr.Data}
		} else {
			a.Keys = [][]byte{rr.Data}
		}
		cfg.Anchors = append(cfg.Anchors, a)
	}
	for _, n := range negative {
		cfg.NTAs = append(cfg.NTAs, dnssec.NTA{Name: n.Lower()})
	}
	return validator.New(cfg)
}

func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "scenarios/deckard"), "*.rpl"))
	sort.Strings(files)
	if len(files) == 0 {
		t.Fatal("no scenarios")
	}
	must := consensus(t)
	excepted := exceptions(t)
	passed, failed, skipped := 0, 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".rpl")
		var trace io.Writer
		if *only != "" {
			if name != *only {
				continue
			}
			trace = os.Stdout
		}
		sc, err := Load(f)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		p := &Player{Trace: trace, Validator: newValidator}
		r := p.Play(name, sc)
		reason, listed := excepted[name]
		delete(excepted, name)
		switch {
		case r.Skip != "":
			skipped++
			if !listed {
				t.Errorf("%s was not played (%s) and is not in scenarios.md", name, r.Skip)
			}
		case r.Fail != "":
			failed++
			if must[name] {
				t.Errorf("%s: %s (most resolvers pass this one)", name, r.Fail)
			} else if !listed {
				t.Errorf("%s: %s (not in scenarios.md)", name, r.Fail)
			}
		default:
			passed++
			if listed {
				t.Errorf("%s passes, although scenarios.md says: %s", name, reason)
			}
		}
		if q, n := r.left(); q+n > 0 {
			t.Errorf("%s: %d questions and %d packets are left behind", name, q, n)
		}
	}
	if *only == "" {
		for name := range excepted {
			t.Errorf("scenarios.md lists %s, which does not exist", name)
		}
	}
	t.Logf("%d passed, %d failed, %d skipped", passed, failed, skipped)
}
