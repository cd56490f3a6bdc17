package rlimit

import (
	"syscall"
	"testing"
)

func TestAdd(t *testing.T) {
	for _, c := range []struct {
		letter byte
		arg    string
		n      int
		ok     bool
	}{
		{'o', "20", 1, true}, {'m', "3000000", 4, true}, {'o', "=", 1, true}, {'o', "", 1, true},
		{'o', "1x", 0, false}, {'o', "-1", 0, false}, {'o', " 1", 0, false},
	} {
		var l Limits
		err := l.Add(c.letter, c.arg)
		if (err == nil) != c.ok || len(l.list) != c.n {
			t.Errorf("-%c %q: %v, %d limits", c.letter, c.arg, err, len(l.list))
		}
	}
	var l Limits
	l.Add('o', "=")
	var v syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &v)
	if l.list[0].value.Cur != v.Max || l.list[0].value.Max != v.Max {
		t.Errorf("= gives %+v, the hard limit is %d", l.list[0].value, v.Max)
	}
	l = Limits{}
	l.Add('o', "18446744073709551615")
	if l.list[0].value.Cur != v.Max {
		t.Error("a number above the hard limit is not cut to it")
	}
}

func TestProbe(t *testing.T) {
	if Probe([]string{"-d", "1"}) || Probe(nil) || !Probe([]string{probeArg}) {
		t.Error("the probe is not told from users")
	}
	if isGo("/bin/sh") || isGo("/nonexistent") || !isGo("/proc/self/exe") {
		t.Error("Go programs are not told from others")
	}
}
