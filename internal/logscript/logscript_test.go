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
		{"**", "a*", true}, {"**", "a", false}, {"**b", "a*b", true}, {"**", "a*b", true}, {"**a*", "x*yaz", true}, {"***", "*", true}, {"* **", "a b", false}, {"* **", "a b*c", true}, {"*: ok", "x: ok", true}, {"*: ok", "x: y: ok", false},
		{"a?c", "abc", false}, {"[a]", "a", false}, {"\\*", "*", false}, {"*\x00", "a\x00", true},
	} {
		if got := Match(c.pattern, []byte(c.line)); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.line, got)
		}
	}
}

// fits is the definition, written as one.
func fits(pattern string, line []byte) bool {
	switch {
	case pattern == "":
		return len(line) == 0
	case pattern == "*":
		return true
	case pattern[0] == '*':
		i := bytes.IndexByte(line, pattern[1])
		return i >= 0 && fits(pattern[1:], line[i:])
	}
	return len(line) > 0 && line[0] == pattern[0] && fits(pattern[1:], line[1:])
}

func FuzzMatch(f *testing.F) {
	f.Add("*a*b", []byte("xxaxxb"))
	f.Add("**", []byte("*"))
	f.Add("**a*", []byte("*xab"))
	f.Fuzz(func(t *testing.T, pattern string, line []byte) {
		if got, want := Match(pattern, line), fits(pattern, line); got != want {
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

func TestGzip(t *testing.T) {
	for script, want := range map[string]bool{"wgz": true, "ws.gz": true, "ws": false, "wgzip": false, "wxgz": false, "!gzip": false} {
		if d := Parse([]string{script, "./a"}).Actions[0].Dir; d.Gzip() != want {
			t.Errorf("%s: %v", script, d.Gzip())
		}
	}
	if d := Parse([]string{"!gzip", "wgz", "./a"}).Actions[0].Dir; d.Gzip() {
		t.Error("compressed twice")
	}
}
