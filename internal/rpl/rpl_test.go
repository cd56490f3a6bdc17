package rpl

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

var only = flag.String("scenario", "", "play this one alone and show what happens")

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

func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "scenarios/deckard"), "*.rpl"))
	sort.Strings(files)
	must := consensus(t)
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
		p := &Player{Trace: trace}
		r := p.Play(name, sc)
		mark := ""
		if must[name] {
			mark = " CONSENSUS"
		}
		switch {
		case r.Skip != "":
			skipped++
			t.Logf("SKIP%s %s: %s", mark, name, r.Skip)
		case r.Fail != "":
			failed++
			t.Logf("FAIL%s %s: %s", mark, name, r.Fail)
		default:
			passed++
		}
	}
	t.Logf("%d passed, %d failed, %d skipped", passed, failed, skipped)
}
