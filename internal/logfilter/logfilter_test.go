package logfilter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func filter(name func(netip.Addr) (string, bool, error)) *Filter {
	return &Filter{Lookups: 3, Lines: 5, Name: name, Now: func() time.Time { return time.Unix(0, 0) }}
}

func TestLines(t *testing.T) {
	f := filter(func(a netip.Addr) (string, bool, error) {
		switch a.String() {
		case "192.0.2.1", "2001:db8::1":
			return "host", true, nil
		case "192.0.2.9":
			return "", false, syscall.EAGAIN
		}
		return "", false, nil
	})
	for in, want := range map[string]string{
		"192.0.2.1 x\n":              "192.0.2.1=host x\n",
		"192.0.2.1":                  "192.0.2.1=host",
		"192.0.2.1:80\tx\n":          "192.0.2.1:80=host\tx\n",
		"192.0.2.2 x\n":              "192.0.2.2 x\n",
		"192.0.2.9 x\n":              "192.0.2.9:temporary-failure x\n",
		" 192.0.2.1\n\n10\n":         " 192.0.2.1\n\n10\n",
		"2001:db8::1 x\n":            "2001:db8::1=host x\n",
		"12:30:05 x\nbad:cafe::zz\n": "12:30:05 x\nbad:cafe::zz\n",
		"":                           "",
	} {
		var out bytes.Buffer
		if err := f.Run(strings.NewReader(in), &out); err != nil || out.String() != want {
			t.Errorf("%q -> %q, %v; want %q", in, out.String(), err, want)
		}
	}
}

// Order is kept whatever order the answers come in, each address is asked
// once at a time, and never more than Lookups at once.
func TestOrderAndBounds(t *testing.T) {
	var now, most, asked atomic.Int32
	var mu sync.Mutex
	active := map[netip.Addr]bool{}
	f := filter(func(a netip.Addr) (string, bool, error) {
		asked.Add(1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		mu.Lock()
		if active[a] {
			t.Error("asked twice at once")
		}
		active[a] = true
		mu.Unlock()
		time.Sleep(time.Duration(a.As4()[3]%7) * 100 * time.Microsecond)
		mu.Lock()
		active[a] = false
		mu.Unlock()
		now.Add(-1)
		return "n" + a.String(), true, nil
	})
	f.Lines = 100
	var in, want strings.Builder
	for i := range 2000 {
		a := fmt.Sprintf("10.0.0.%d", i*7%50)
		fmt.Fprintf(&in, "%s line %d\n", a, i)
		fmt.Fprintf(&want, "%s=n%s line %d\n", a, a, i)
	}
	var out bytes.Buffer
	if err := f.Run(strings.NewReader(in.String()), &out); err != nil || out.String() != want.String() {
		t.Fatalf("order lost: %v", err)
	}
	if most.Load() > 3 {
		t.Errorf("%d look-ups at once", most.Load())
	}
	if asked.Load() != 50 {
		t.Errorf("%d look-ups for 50 addresses", asked.Load())
	}
}

func TestLongLineIsKeptWhole(t *testing.T) {
	f := filter(func(netip.Addr) (string, bool, error) { return "h", true, nil })
	long := strings.Repeat("x", 3*pieceLen) + " 192.0.2.1 y\n192.0.2.1\n"
	var out bytes.Buffer
	if err := f.Run(strings.NewReader("192.0.2.1 "+long), &out); err != nil || out.String() != "192.0.2.1=h "+strings.Replace(long, "y\n192.0.2.1", "y\n192.0.2.1=h", 1) {
		t.Fatal("long line changed")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestWriteErrorEnds(t *testing.T) {
	f := filter(func(netip.Addr) (string, bool, error) { return "h", true, nil })
	endless := io.MultiReader(strings.NewReader(strings.Repeat("192.0.2.1 x\n", 100000)))
	if err := f.Run(endless, broken{}); err == nil {
		t.Fatal("no error")
	}
}
