package qlog

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

// Lines come out whole and in order of each thread; what does not fit is
// counted; Flush leaves nothing behind.
func TestLinesAndLosses(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	block := make(chan struct{})
	var once sync.Once
	w := NewTo("prog", func(b []byte) {
		once.Do(func() { <-block }) // a log that stalls at its first write
		mu.Lock()
		out.Write(b)
		mu.Unlock()
	})
	const lines, threads = 60000, 3
	line := strings.Repeat("q", 38) + "\n"
	lost := make([]int, threads)
	var wg sync.WaitGroup
	logs := make([]*Log, threads) // made before the log stalls
	for i := range logs {
		logs[i] = w.Log()
	}
	for i, l := range logs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range lines {
				b := l.Begin()
				if l.Fits(b, len(line)) {
					b = append(b, line...)
				} else {
					lost[i]++
				}
				l.End(b)
			}
		}()
	}
	wg.Wait()
	close(block)
	for w.Flush() {
	}
	mu.Lock()
	defer mu.Unlock()
	kept := strings.Count(out.String(), line)
	total := lost[0] + lost[1] + lost[2]
	if kept+total != lines*threads || total == 0 {
		t.Errorf("%d lines and %d losses of %d", kept, total, lines*threads)
	}
	if !strings.Contains(out.String(), "prog: warning: ") {
		t.Error("losses are not mentioned")
	}
	for _, l := range strings.SplitAfter(out.String(), "\n") {
		if l != "" && l != line && !strings.HasPrefix(l, "prog: ") {
			t.Fatalf("torn line %q", l)
		}
	}
}
