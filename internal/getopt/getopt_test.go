package getopt

import (
	"slices"
	"testing"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		args string
		want string // letters, arguments in parentheses
		rest []string
	}{
		{"-ab x -c", "ab", []string{"x", "-c"}},
		{"-o50 -o 60 y", "o(50)o(60)", []string{"y"}},
		{"-ao50 -- -b", "ao(50)", []string{"-b"}},
		{"- -a", "", []string{"-", "-a"}},
		{"-a --bc -b", "a", []string{"-b"}}, // as daemontools does
		{"-a-", "a?", nil},
		{"-ax", "a?", nil},
		{"-o", "?", nil},
		{"-:", "?", nil},
	} {
		var args []string
		for w := ""; len(c.args) > 0; {
			w, c.args, _ = cut(c.args)
			args = append(args, w)
		}
		g := New(args, "abo:c")
		got := ""
		for {
			o := g.Next()
			if o == 0 {
				break
			}
			got += string(o)
			if o == '?' {
				break
			}
			if o == 'o' {
				got += "(" + g.Arg + ")"
			}
		}
		if got != c.want || c.rest != nil && !slices.Equal(g.Args(), c.rest) {
			t.Errorf("%v: %s %v, want %s %v", args, got, g.Args(), c.want, c.rest)
		}
	}
}

func cut(s string) (string, string, bool) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
