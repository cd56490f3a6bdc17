package cdb

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		in  string
		out string // what AppendText gives back
		err error
	}{
		{"\n", "", nil},
		{"+1,2:a->bc\n\n", "+1,2:a->bc\n", nil},
		{"+0,0:->\n+3,1:a\nb->:\n\nrest is not read", "+0,0:->\n+3,1:a\nb->:\n", nil},
		{"+,:->\n\n", "+0,0:->\n", nil},
		{"", "", ErrText},
		{"+1,2:a->bc\n", "+1,2:a->bc\n", ErrText}, // no end mark
		{"+1,3:a->b\n\n", "", ErrText},
		{"+1,1:a=>b\n\n", "", ErrText},
		{"-1,1:a->b\n\n", "", ErrText},
		{"+x,1:a->b\n\n", "", ErrText},
		{"+1,1:a->bc\n\n", "", ErrText},
		{"+4294967296,1:a->b\n\n", "", ErrFull},
		{"+4294967295,1:a->b\n\n", "", ErrText}, // a claim that costs nothing
	} {
		var out []byte
		err := ReadText(bufio.NewReader(strings.NewReader(c.in)), func(k, d []byte) error {
			out = AppendText(out, k, d)
			return nil
		})
		if err != c.err || string(out) != c.out {
			t.Errorf("%q: %q, %v; want %q, %v", c.in, out, err, c.out, c.err)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("+1,2:a->bc\n\n"))
	f.Add([]byte("+0,0:->\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out []byte
		err := ReadText(bufio.NewReader(bytes.NewReader(b)), func(k, d []byte) error {
			out = AppendText(out, k, d)
			return nil
		})
		if err != nil {
			return
		}
		var again []byte
		if err := ReadText(bufio.NewReader(bytes.NewReader(append(out, '\n'))), func(k, d []byte) error {
			again = AppendText(again, k, d)
			return nil
		}); err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%q -> %q -> %q, %v", b, out, again, err)
		}
	})
}
