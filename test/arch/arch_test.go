// Package arch checks the rules about the code itself: who imports whom, what
// a program may link. The rules are in policy.txt.
package arch

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	cmd.Dir = testbin.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

type policy struct {
	layer map[string]int
	edge  map[[2]string]bool // [imported, importer]
	used  map[[2]string]bool
	pure  map[string]bool
	deny  map[string]map[string]string // program -> package -> reason
}

const prefix = "bulkhead/internal/"

func read(t *testing.T) *policy {
	t.Helper()
	b, err := os.ReadFile("policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := &policy{map[string]int{}, map[[2]string]bool{}, map[[2]string]bool{}, map[string]bool{}, map[string]map[string]string{}}
	for i, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "because:" || strings.HasPrefix(line, "#"):
		case f[0] == "layer":
			for _, n := range f[2:] {
				if _, twice := p.layer[n]; twice {
					t.Errorf("policy.txt:%d: %s stands twice", i+1, n)
				}
				p.layer[n] = int(f[1][0] - '0')
			}
		case len(f) == 3 && f[1] == "<":
			p.edge[[2]string{f[0], f[2]}] = true
		case f[0] == "pure":
			for _, n := range f[2:] {
				p.pure[n] = true
			}
		case f[0] == "deny":
			list, reason, ok := strings.Cut(line, " because: ")
			if !ok {
				t.Errorf("policy.txt:%d: no reason", i+1)
			}
			f = strings.Fields(list)
			for _, program := range strings.Split(strings.TrimSuffix(f[1], ":"), ",") {
				if p.deny[program] == nil {
					p.deny[program] = map[string]string{}
				}
				for _, d := range f[2:] {
					p.deny[program][d] = reason
				}
			}
		default:
			t.Errorf("policy.txt:%d: not understood: %s", i+1, line)
		}
	}
	return p
}

func TestImports(t *testing.T) {
	p := read(t)
	seen := map[string]bool{}
	for _, pk := range list(t, "bulkhead/internal/...") {
		name := strings.TrimPrefix(pk.ImportPath, prefix)
		seen[name] = true
		layer, ok := p.layer[name]
		if !ok {
			t.Errorf("%s stands in no layer of policy.txt", name)
			continue
		}
		for _, imp := range pk.Imports {
			if strings.HasPrefix(imp, "bulkhead/cmd/") {
				t.Errorf("%s imports the program %s", name, imp)
			}
			if layer <= 3 && p.pure[imp] {
				t.Errorf("%s (layer %d) imports %s: deciding code has no sockets, clock or processes", name, layer, imp)
			}
			in, ok := strings.CutPrefix(imp, prefix)
			if !ok {
				continue
			}
			switch l := p.layer[in]; {
			case l > layer:
				t.Errorf("%s (layer %d) imports %s (layer %d), which is above it", name, layer, in, l)
			case l == layer:
				e := [2]string{in, name}
				if !p.edge[e] {
					t.Errorf("%s imports %s of its own layer without a line %q in policy.txt", name, in, in+" < "+name)
				}
				p.used[e] = true
			}
		}
	}
	for n := range p.layer {
		if !seen[n] {
			t.Errorf("policy.txt names %s, which does not exist", n)
		}
	}
	for e := range p.edge {
		if !p.used[e] {
			t.Errorf("policy.txt allows %s < %s, which no import uses", e[0], e[1])
		}
	}
}

func TestPrograms(t *testing.T) {
	p := read(t)
	linked := map[string]map[string]bool{}
	for _, pk := range list(t, "bulkhead/cmd/...") {
		name := strings.TrimPrefix(pk.ImportPath, "bulkhead/cmd/")
		linked[name] = map[string]bool{}
		for _, d := range pk.Deps {
			linked[name][d] = true
		}
		if linked[name]["testing"] || linked[name]["bulkhead/internal/testbin"] {
			t.Errorf("%s links test code", name)
		}
	}
	for name := range linked {
		if p.deny[name] == nil {
			t.Errorf("policy.txt says nothing of what %s must not link", name)
		}
	}
	everyone := p.deny["*"]
	delete(p.deny, "*")
	for _, denied := range p.deny {
		for d, reason := range everyone {
			if denied[d] == "" {
				denied[d] = reason
			}
		}
	}
	for program, denied := range p.deny {
		deps, ok := linked[program]
		if !ok {
			t.Errorf("policy.txt denies something to %s, which does not exist", program)
		}
		for d, reason := range denied {
			if deps[d] {
				t.Errorf("%s links %s: %s", program, d, reason)
			}
		}
	}
}
