package dns

import "testing"

func TestTypeNames(t *testing.T) {
	for n := 0; n < 65536; n++ {
		typ := Type(n)
		if back, ok := ParseType(typ.String()); !ok || back != typ {
			t.Fatalf("%d -> %s -> %d %v", n, typ, back, ok)
		}
	}
	for s, want := range map[string]Type{"aaaa": TypeAAAA, "type65280": 65280, "TYPE1": TypeA, "*": TypeANY, "Nsap-Ptr": TypeNSAPPTR} {
		if got, ok := ParseType(s); !ok || got != want {
			t.Errorf("%s: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "1", "TYPE", "TYPE65536", "TYPE-1", "BOGUS", "TYPE1x"} {
		if got, ok := ParseType(s); ok {
			t.Errorf("%q accepted as %v", s, got)
		}
	}
}

func TestClassNames(t *testing.T) {
	for n := 0; n < 65536; n++ {
		c := Class(n)
		if back, ok := ParseClass(c.String()); !ok || back != c {
			t.Fatalf("%d -> %s -> %d %v", n, c, back, ok)
		}
	}
}
