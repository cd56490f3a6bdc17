package logscript

import (
	"bytes"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, line string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"abc", "abc", true}, {"abc", "abcd", false}, {"abc", "ab", false},
		{"a*", "abc", true}, {"*c", "abc", true}, {"*c", "cc", false}, {"*cc", "ccc", false}, {"*bc", "abbc", false}, {"*b*", "abc", true},
		{"**", "a*", true}, {"**", "a", false}, {"**b", "a*b", true}, {"*: ok", "x: ok", true}, {"*: ok", "x: y: ok", false},
		{"a?c", "abc", false}, {"[a]", "a", false}, {"\\*", "*", false}, {"*\x00", "a\x00", true},
	} {
		if got := Match(c.pattern, []byte(c.line)); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.line, got)
		}
	}
}

// FuzzMatch compares with the definition: '*' before c is "everything but c,
// then c".
func FuzzMatch(f *testing.F) {
	f.Add("*a*b", []byte("xxaxxb"))
	f.Add("**", []byte("*"))
	f.Fuzz(func(t *testing.T, pattern string, line []byte) {
		want := true
		rest := line
		for i := 0; i < len(pattern); i++ {
			if pattern[i] == '*' && i == len(pattern)-1 {
				rest = nil
				break
			}
			c := pattern[i]
			if c == '*' {
				i++
				c = pattern[i]
				j := bytes.IndexByte(rest, c)
				if j < 0 {
					want = false
					break
				}
				rest = rest[j:]
			}
			if len(rest) == 0 || rest[0] != c {
				want = false
				break
			}
			rest = rest[1:]
		}
		want = want && len(rest) == 0
		if got := Match(pattern, line); got != want {
			t.Fatalf("%q on %q: %v", pattern, line, got)
		}
	})
}

func TestParse(t *testing.T) {
	s := Parse([]string{"t", "s1", "n1", "./a", "s99999999999", "n0", "!", "./b", "sx", "n20junk", "!cmd", "/c", "", "unknown", "-x", "+y", "e", "=f", "t", "S100", "R60", "wz", "./d", "wu", "w/", "./e"})
	if s.Stamp != TAI64N {
		t.Error("no stamp")
	}
	var dirs []Dir
	kinds := ""
	for _, a := range s.Actions {
		kinds += string("-+e=d"[a.Kind])
		if a.Kind == Directory {
			dirs = append(dirs, a.Dir)
		}
	}
	if kinds != "ddd-+e=dd" {
		t.Errorf("actions %q", kinds)
	}
	want := []Dir{{Size: 4096, Num: 2, Code: "s"}, {Size: 16777215, Num: 2, Code: "s", Process: true},
		{Size: 4096, Num: 20, Code: "s", Process: true, Processor: "cmd"},
		{Size: 4096, Num: 20, Code: "z", Process: true, Processor: "cmd", Total: 100, Period: 60},
		{Size: 4096, Num: 20, Code: "z", Process: true, Processor: "cmd", Total: 100, Period: 60}}
	for i, w := range want {
		if i >= len(dirs) || dirs[i] != w {
			t.Errorf("directory %d: %+v, want %+v", i, dirs[i], w)
		}
	}
	if Parse([]string{"x", "t", "./a"}).Stamp != NoStamp || Parse([]string{"tai"}).Stamp != TAI64N || Parse([]string{"T"}).Stamp != ISO8601 || Parse([]string{"Tu"}).Stamp != Unix {
		t.Error("stamps")
	}
}
