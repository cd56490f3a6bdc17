package makecdb

import (
	"io"
	"os"
	"testing"
	"time"

	"bulkhead/internal/tinydata"
)

func TestProgress(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = w
	start := time.Unix(1000, 0)
	p := &progress{size: 1000, start: start, last: start, tty: true}
	p.stepAt(start.Add(progressAfter/2), tinydata.Stats{Lines: 1, Bytes: 10})                   // too early
	p.stepAt(start.Add(progressAfter), tinydata.Stats{Lines: 12, Bytes: 250})                   // shown
	p.stepAt(start.Add(progressAfter+progressEvery/2), tinydata.Stats{Lines: 13, Bytes: 260})   // too soon
	p.stepAt(start.Add(progressAfter+2*progressEvery), tinydata.Stats{Lines: 99, Bytes: 99999}) // data grew
	p.end()
	quiet := &progress{size: 1000, start: start, last: start}
	quiet.stepAt(start.Add(time.Hour), tinydata.Stats{Lines: 5, Bytes: 5})
	quiet.end()
	os.Stderr = old
	w.Close()
	got, _ := io.ReadAll(r)
	want := "\rtinydns-data: 25% 12 lines\rtinydns-data: 100% 99 lines\r\x1b[K"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}
