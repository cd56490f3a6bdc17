package rblsmtpd

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/stub"
)

type fake map[string]string

func (f fake) Text(n dnsname.Name) ([]byte, bool, error) {
	v, ok := f[n.Text()]
	if v == "fail" {
		return nil, false, errors.New("temporary failure")
	}
	return []byte(v), ok, nil
}

func (f fake) Addresses(n string, _ stub.Family) ([]netip.Addr, error) {
	switch v, ok := f[n]; {
	case v == "fail":
		return nil, errors.New("temporary failure")
	case ok:
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	}
	return nil, nil
}

func TestDecisions(t *testing.T) {
	dns := fake{"4.3.2.1.list": "listed", "4.3.2.1.empty": "", "4.3.2.1.broken": "fail", "4.3.2.1.good": "x"}
	for _, c := range []struct {
		steps string // b B c C, r:BASE, a:BASE, !PRESET
		want  decision
		code  string
	}{
		{"r:list", temporary, "451 listed"}, {"b r:list", permanent, "553 listed"}, {"b B r:list", temporary, "451 listed"},
		{"r:none", undecided, ""}, {"r:empty", undecided, ""}, {"a:good r:list", accept, ""}, {"r:list a:good", temporary, "451 listed"},
		{"r:broken", undecided, ""}, {"c r:broken", temporary, "451 temporary RBL lookup error"}, {"a:broken", accept, ""}, {"c a:broken b r:list", permanent, "451 listed"},
		{"r:broken b r:list", permanent, "451 listed"}, {"! r:list", accept, ""}, {"!-no r:none", permanent, "553 no"}, {"!later a:good", temporary, "451 later"},
		{"!-" + strings.Repeat("x", 300), permanent, "553 " + strings.Repeat("x", 200)}, {"!a\x01\xffb", temporary, "451 a??b"},
	} {
		s := &state{dns: dns, reversed: Reverse("1.2.3.4")}
		for _, step := range strings.Split(c.steps, " ") {
			switch {
			case step == "b":
				s.bounce = true
			case step == "B":
				s.bounce = false
			case step == "c":
				s.failClosed = true
			case step[0] == '!':
				s.preset(step[1:])
			case step[:2] == "r:":
				s.ask(step[2:])
			case step[:2] == "a:":
				s.askAnti(step[2:])
			}
		}
		if s.decided != c.want || s.decided >= temporary && s.message() != c.code {
			t.Errorf("%.40s: %d %q", c.steps, s.decided, s.message())
		}
	}
}

func TestReverse(t *testing.T) {
	for in, want := range map[string]string{"1.2.3.4": "4.3.2.1", "": "", "::ffff:1.2.3.4": "4.3.2.1", "2001:db8::1": "1." + strings.Repeat("0.", 23) + "8.b.d.0.1.0.0.2"} {
		if got := Reverse(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
