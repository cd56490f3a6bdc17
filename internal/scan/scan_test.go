package scan

import "testing"

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    uint64
		used int
	}{{"", 0, 0}, {"12abc", 12, 2}, {"-5", 0, 0}, {" 60", 0, 0}, {"007", 7, 3},
		{"18446744073709551616", 0, 20}, {"18446744073709551617x", 1, 20}} {
		if n, used := Number(c.in); n != c.n || used != c.used {
			t.Errorf("Number(%q) = %d, %d; want %d, %d", c.in, n, used, c.n, c.used)
		}
	}
}

func TestIP4(t *testing.T) {
	for _, c := range []struct {
		in   string
		ip   [4]byte
		used int
		ok   bool
	}{
		{"1.2.3.4", [4]byte{1, 2, 3, 4}, 7, true},
		{"127.555.0.1", [4]byte{127, 43, 0, 1}, 11, true}, // modulo 256: compat 2.3
		{"01.002.3.4 junk", [4]byte{1, 2, 3, 4}, 10, true},
		{"1.2.3", [4]byte{1, 2, 3}, 5, false},
		{"1..2.3.4", [4]byte{1}, 2, false},
		{"", [4]byte{}, 0, false},
		{" 1.2.3.4", [4]byte{}, 0, false},
	} {
		if ip, used, ok := IP4(c.in); ip != c.ip || used != c.used || ok != c.ok {
			t.Errorf("IP4(%q) = %v, %d, %v", c.in, ip, used, ok)
		}
	}
}
