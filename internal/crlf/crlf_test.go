package crlf

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func run(t *testing.T, in string, f Filter, bytewise bool) string {
	t.Helper()
	var r io.Reader = strings.NewReader(in)
	if bytewise {
		r = iotest.OneByteReader(r)
	}
	var out bytes.Buffer
	if err := Copy(r.Read, out.Write, f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestFilters(t *testing.T) {
	for _, c := range []struct{ in, add, del string }{
		{"", "", ""}, {"a\nb", "a\r\nb", "a\nb"}, {"a\r\n", "a\r\r\n", "a\n"}, {"\r\r\n\r", "\r\r\r\n\r", "\r\n\r"},
		{"\r", "\r", "\r"}, {"a\rb\n\n", "a\rb\r\n\r\n", "a\rb\n\n"}, {strings.Repeat("x\r\n", 9000), strings.Repeat("x\r\r\n", 9000), strings.Repeat("x\n", 9000)},
	} {
		for _, bytewise := range []bool{false, true} {
			if got := run(t, c.in, Adder{}, bytewise); got != c.add {
				t.Errorf("addcr %.20q: %.20q", c.in, got)
			}
			if got := run(t, c.in, &Deleter{}, bytewise); got != c.del {
				t.Errorf("delcr %.20q: %.20q", c.in, got)
			}
		}
	}
	bad := errors.New("bad")
	if err := Copy(iotest.ErrReader(bad).Read, io.Discard.Write, Adder{}); err != bad {
		t.Error(err)
	}
}
