package svstatus

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestLines(t *testing.T) {
	const now = 1<<62 + 10 + 1000
	l := MakeLabel(990, 5)
	for _, c := range []struct {
		s    Status
		down bool
		want string
	}{
		{Status{Stamp: l, PID: 7, Want: 'u'}, false, "up (pid 7) 10 seconds"},
		{Status{Stamp: l, PID: 7, Want: 'u'}, true, "up (pid 7) 10 seconds, normally down"},
		{Status{Stamp: l, PID: 7, Want: 'd', Paused: true}, true, "up (pid 7) 10 seconds, normally down, paused, want down"},
		{Status{Stamp: l, PID: 7}, false, "up (pid 7) 10 seconds"},
		{Status{Stamp: l, Want: 'u', Paused: true}, false, "down 10 seconds, normally up, want up"},
		{Status{Stamp: l, Want: 'd'}, true, "down 10 seconds"},
		{Status{Stamp: MakeLabel(2000, 0)}, false, "down 0 seconds, normally up"},
		{Status{Stamp: MakeLabel(999, 999999999), PID: 4294967295}, false, "up (pid 4294967295) 1 seconds"},
	} {
		if got := string(c.s.AppendLine(nil, c.down, now)); got != c.want {
			t.Errorf("got %q\nwant %q", got, c.want)
		}
		b := c.s.Append(nil)
		back, err := Parse(b)
		if err != nil || len(b) != Len || string(back.AppendLine(nil, c.down, now)) != c.want {
			t.Errorf("%x does not read back: %+v %v", b, back, err)
		}
	}
}

// TestBytes pins the layout (compat: daemontools.md section 2.1).
func TestBytes(t *testing.T) {
	s := Status{Stamp: MakeLabel(0x3dd73a1a, 0x1f16d2c4), PID: 0x01020304, Paused: true, Want: 'd'}
	const want = "400000003dd73a24" + "1f16d2c4" + "04030201" + "01" + "64"
	if got := hex.EncodeToString(s.Append(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for n := 0; n < Len; n++ {
		if _, err := Parse(make([]byte, n)); err != ErrFormat {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	e := append(s.Append(nil), byte(Stopping), 0)
	if got, err := Parse(e); err != nil || got.State != Stopping || got.PID != s.PID {
		t.Errorf("20 bytes of encore: %+v %v", got, err)
	}
}

func TestExtendedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Status{Stamp: MakeLabel(rapid.Int64Range(0, 1<<40).Draw(t, "sec"), rapid.Uint32Range(0, 999999999).Draw(t, "nano")),
			PID: rapid.Uint32Min(1).Draw(t, "pid"), Paused: rapid.Bool().Draw(t, "paused"), Want: rapid.SampledFrom([]byte{'u', 'd', 0}).Draw(t, "want"),
			Extended: true, State: State(rapid.IntRange(0, 5).Draw(t, "state")), Ready: rapid.Bool().Draw(t, "ready"),
			Death: rapid.Uint8Range(0, 2).Draw(t, "death"), Code: rapid.Uint8().Draw(t, "code"), DeathTime: MakeLabel(rapid.Int64Range(0, 1<<40).Draw(t, "dsec"), 1),
			ReadyTime: MakeLabel(1, 2), Starts: rapid.Uint32().Draw(t, "starts"), FinishPID: rapid.Uint32().Draw(t, "fpid")}
		b := s.AppendExtended(nil)
		if len(b) != ExtendedLen || !bytes.Equal(b[:Len], s.Append(nil)) {
			t.Fatalf("state does not begin with status: %x", b)
		}
		if back, err := Parse(b); err != nil || back != s {
			t.Fatalf("%+v\n%+v %v", s, back, err)
		}
	})
}

// FuzzParse: any bytes give an error or lines and JSON that are sound.
func FuzzParse(f *testing.F) {
	f.Add([]byte{}, "dir")
	f.Add(make([]byte, 18), "a\"b\\c\x00\xff")
	f.Add(make([]byte, 56), "")
	f.Fuzz(func(t *testing.T, b []byte, dir string) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		s.AppendVerbose(nil, false, 1<<62)
		j := s.AppendJSON(nil, dir, true, 1<<62)
		if !json.Valid(j) {
			t.Fatalf("no JSON: %s", j)
		}
		if !json.Valid(AppendJSONError(nil, dir, "x")) {
			t.Fatal("no JSON for an error")
		}
	})
}

func TestSignals(t *testing.T) {
	for in, want := range map[string]int{"TERM": 15, "SIGTERM": 15, "15": 15, "USR1": 10, "": 0, "SIG": 0, "term": 0, "65": 0, "0": 0, "9x": 0, "WINCH": 28, "64": 64} {
		if got := ParseSignal(in); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}
