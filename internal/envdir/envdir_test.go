package envdir

import (
	"testing"

	"bulkhead/internal/child"
)

func TestEdit(t *testing.T) {
	for in, want := range map[string]child.Edit{
		"":              {Name: "X", Unset: true},
		"\n":            {Name: "X"},
		" \t":           {Name: "X"},
		"a":             {Name: "X", Value: "a"},
		"a\nb\n":        {Name: "X", Value: "a"},
		"a \t \nb":      {Name: "X", Value: "a"},
		" a\r\n":        {Name: "X", Value: " a\r"},
		"one\x00two\n":  {Name: "X", Value: "one\ntwo"},
		"\x00":          {Name: "X", Value: "\n"},
		"=value=":       {Name: "X", Value: "=value="},
		"trailing\x00 ": {Name: "X", Value: "trailing\n"},
		"\nsecond line": {Name: "X"},
	} {
		if got := edit("X", []byte(in)); got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

// FuzzEdit: never more than the first line, never a NUL, no blank at the end
// but one that stood for NUL.
func FuzzEdit(f *testing.F) {
	f.Add([]byte("a \nb"))
	f.Add([]byte("\x00 \x00\t"))
	f.Fuzz(func(t *testing.T, b []byte) {
		empty := len(b) == 0
		e := edit("X", b)
		if e.Unset != empty {
			t.Fatal(e)
		}
		for i := 0; i < len(e.Value); i++ {
			if e.Value[i] == 0 {
				t.Fatal("a NUL")
			}
		}
		if n := len(e.Value); n > 0 && (e.Value[n-1] == ' ' || e.Value[n-1] == '\t') {
			t.Fatal("a blank at the end")
		}
	})
}
