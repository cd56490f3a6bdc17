package cookie

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func unhex(s string) []byte { b, _ := hex.DecodeString(s); return b }

// The vectors of RFC 9018, appendices A.1 and A.4.
func TestParseSecrets(t *testing.T) {
	const a, b = "000102030405060708090a0b0c0d0e0f", "F0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
	for s, want := range map[string]int{a: 1, a + "," + b: 2, " " + a + " , " + b: 2, "": 0, a[1:]: 0, a + "0": 0, a + ",": 0, "g" + a[1:]: 0} {
		got, ok := ParseSecrets(s)
		if len(got) != want || ok != (want > 0) || want > 0 && got[0][15] != 15 || want > 1 && got[1][0] != 0xf0 {
			t.Errorf("%q: %x %v", s, got, ok)
		}
	}
}

func TestVectors(t *testing.T) {
	for _, x := range []struct {
		secret, client, addr, cookie string
		time                         uint32
	}{
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985},
		{"dd3bdf9344b678b185a6f5cb60fca715", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741817},
		{"445536bcd2513298075a5d379663c962", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c609a6bb79d16625507a", 1559741961},
	} {
		var s Secret
		copy(s[:], unhex(x.secret))
		addr := netip.MustParseAddr(x.addr).AsSlice()
		got := s.Append(nil, unhex(x.client), addr, x.time)
		if hex.EncodeToString(got) != x.cookie {
			t.Errorf("%s: got %x, want %s", x.addr, got, x.cookie)
		}
		for _, y := range []struct {
			now  uint32
			want Verdict
		}{{x.time, Good}, {x.time + 1801, Stale}, {x.time + 3601, Bad}, {x.time - 299, Good}, {x.time - 301, Bad}} {
			if v := s.Check(got, addr, y.now); v != y.want {
				t.Errorf("%s at %d: %v, want %v", x.addr, int(y.now)-int(x.time), v, y.want)
			}
		}
		for i := range got {
			bad := append([]byte(nil), got...)
			bad[i] ^= 1
			if v := s.Check(bad, addr, x.time); v == Good || v == Stale {
				t.Errorf("%s: byte %d changed: %v", x.addr, i, v)
			}
		}
		if v := s.Check(got, netip.MustParseAddr("192.0.2.1").AsSlice(), x.time); v != Bad {
			t.Errorf("other client: %v", v)
		}
	}
}

func TestLengths(t *testing.T) {
	var s Secret
	for n := range 60 {
		want := Malformed
		switch {
		case n == 8:
			want = None
		case n == 24:
			want = Bad
		case n >= 16 && n <= 40:
			want = None
		}
		o := make([]byte, n)
		if n > 8 {
			o[8] = 1
		}
		if got := s.Check(o, []byte{127, 0, 0, 1}, 5); got != want {
			t.Errorf("%d bytes: %v, want %v", n, got, want)
		}
	}
}

// The vector of the SipHash paper, appendix A.
func TestSipHash(t *testing.T) {
	var k Secret
	for i := range k {
		k[i] = byte(i)
	}
	if h := SipHash(&k, unhex("000102030405060708090a0b0c0d0e")); h != 0xa129ca6149be45e5 {
		t.Errorf("got %x", h)
	}
}

func TestAllocations(t *testing.T) {
	var s Secret
	buf := make([]byte, 0, 64)
	addr := []byte{127, 0, 0, 1}
	if n := testing.AllocsPerRun(100, func() {
		c := s.Append(buf, addr[:0], addr, 7)
		s.Check(c, addr, 7)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
