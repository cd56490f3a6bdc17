package relay

import "testing"

func TestCRFixer(t *testing.T) {
	var c CRFixer
	out := ""
	for _, in := range []string{"a\nb\r", "\nc", "\r\r\n", "\n", "x"} { // state is kept from read to read
		out += string(c.Data([]byte(in)))
	}
	if want := "a\r\nb\r\nc\r\r\n\r\nx"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
}
