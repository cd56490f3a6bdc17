package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// Paths of the tree that documents name must exist: a tour past rooms that are
// gone is worse than none.
func TestDocumentsNameWhatExists(t *testing.T) {
	named := regexp.MustCompile("`((?:cmd|internal|test|scripts|docs|man)/[A-Za-z0-9_./-]+)`")
	links := regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)
	docs, err := filepath.Glob(filepath.Join(testbin.Root(), "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(docs, filepath.Join(testbin.Root(), "README.md")) {
		b, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		exists := func(base, p string) {
			if strings.ContainsAny(p, "*…") {
				return
			}
			if _, err := os.Stat(filepath.Join(base, p)); err != nil {
				t.Errorf("%s names %s, which does not exist", filepath.Base(d), p)
			}
		}
		for _, m := range named.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "PROGRAM") || strings.Contains(m[1], "NAME") {
				continue
			}
			exists(testbin.Root(), m[1])
		}
		for _, m := range links.FindAllStringSubmatch(string(b), -1) {
			exists(filepath.Dir(d), m[1])
		}
	}
}
