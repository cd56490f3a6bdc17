package labels

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func local(t *testing.T, in string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Local(&out, strings.NewReader(in), time.UTC); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLocal(t *testing.T) {
	for in, want := range map[string]string{
		"@4000000037c219bf2ef02e94 mark\n":       "1999-08-24 04:04:05.787492500 mark\n",
		"@400000000000000a00000000\n":            "1970-01-01 00:00:00.000000000\n",
		"@4000000037c219bf3b9aca00 n\n":          "1999-08-24 04:04:05.1000000000 n\n",
		"x @4000000037c219bf2ef02e94\n":          "x @4000000037c219bf2ef02e94\n",
		"@4000000037c219bf2ef02e94":              "",
		"@\n":                                    "@\n",
		"@foo\n":                                 "@foo\n",
		"@00000000000000000000000000000000000 x": "@00000000000000000000000000000000000 x",
		"@ffffffffffffffffffffffff\n":            "@ffffffffffffffffffffffff\n",
		"":                                       "",
		"\n\n":                                   "\n\n",
	} {
		if got := local(t, in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzLocal: how the input is cut into reads makes no difference, and lines
// without a label come through unchanged.
func FuzzLocal(f *testing.F) {
	f.Add("@4000000037c219bf2ef02e94 a\nb\n@\n")
	f.Add("@@@\n@4")
	f.Fuzz(func(t *testing.T, in string) {
		var byByte bytes.Buffer
		if err := Local(&byByte, iotest.OneByteReader(strings.NewReader(in)), time.UTC); err != nil {
			t.Fatal(err)
		}
		if got := local(t, in); got != byByte.String() {
			t.Fatalf("%q: %q in one, %q by byte", in, got, byByte.String())
		}
		if !strings.Contains(in, "@") && byByte.String() != in {
			t.Fatalf("%q changed to %q", in, byByte.String())
		}
	})
}

func TestStamp(t *testing.T) {
	var out bytes.Buffer
	now := func() time.Time { return time.Unix(935467445, 787492500) }
	if err := Stamp(&out, iotest.OneByteReader(strings.NewReader("a\n\nb")), now); err != nil {
		t.Fatal(err)
	}
	const l = "@4000000037c219bf2ef02e94 "
	if got, want := out.String(), l+"a\n"+l+"\n"+l+"b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
