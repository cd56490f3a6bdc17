package server

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"bulkhead/internal/auth"
	"bulkhead/internal/content"
	"bulkhead/internal/listen"
	"bulkhead/internal/qlog"
	"bulkhead/internal/zindex"
)

// engine is tinydns without its files.
type engine struct {
	a auth.Answerer
	d *auth.Data
}

func (e *engine) Begin(time.Time)                         {}
func (e *engine) End()                                    {}
func (e *engine) Prepare(q []content.Question, ok []bool) { e.d.Prepare(q, ok) }
func (e *engine) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	return e.a.Answer(dst, e.d, q)
}

func testData(t testing.TB, names int) *auth.Data {
	c := make([]byte, 2048)
	add := func(key, data string) {
		c = binary.LittleEndian.AppendUint32(c, uint32(len(key)))
		c = binary.LittleEndian.AppendUint32(c, uint32(len(data)))
		c = append(append(c, key...), data...)
	}
	const zone = "\x05bench\x04test\x00"
	head := func(typ string) string { return "\x00" + typ + "=\x00\x00\x0e\x10\x00\x00\x00\x00\x00\x00\x00\x00" }
	add(zone, head("\x06")+"\x03ns1"+zone+"\x0ahostmaster"+zone+"\x00\x00\x00\x01\x00\x00\x40\x00\x00\x00\x08\x00\x00\x10\x00\x00\x00\x00\x0a\x00")
	add(zone, head("\x02")+"\x03ns1"+zone)
	add("\x03ns1"+zone, head("\x01")+"\xc0\x00\x02\x01")
	for i := range names {
		add(fmt.Sprintf("\x09h%08x", i)+zone, head("\x01")+"\xc0\x00\x02\x02")
	}
	for i := range 256 {
		binary.LittleEndian.PutUint32(c[i*8:], uint32(len(c)))
	}
	d, err := auth.NewData(c, nil, zindex.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func query(label string, qtype byte) []byte {
	q := []byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	q = append(q, byte(len(label)))
	q = append(q, label...)
	return append(q, "\x05bench\x04test\x00\x00"+string(rune(qtype))+"\x00\x01"...)
}

func testHandler(t testing.TB, d *auth.Data) *handler {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Name: "test", Log: qlog.NewTo("test", func(b []byte) { null.Write(b) })}
	return s.handler(&engine{d: d})
}

// Nothing is allocated for a packet, whatever it asks.
func TestNoAllocations(t *testing.T) {
	h := testHandler(t, testData(t, 100))
	var batch [8]listen.Packet
	var w listen.Worker
	packets := [][]byte{query("h00000001", 1), query("nx", 1), query("h00000002", 28), query("ns1", 1), {1, 2, 3},
		query("h00000001", 255), append(query("h00000003", 1)[:11], append([]byte{1}, append(query("h00000003", 1)[12:], 0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0)...)...),
		[]byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05other\x00\x00\x01\x00\x01")}
	ask := func() {
		for i := range batch {
			batch[i] = listen.Packet{Data: packets[i]}
		}
		h.Handle(&w, batch[:])
		h.s.Log.Flush()
	}
	ask()
	if n := testing.AllocsPerRun(1000, ask); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	for k := range packets {
		if n := testing.AllocsPerRun(1000, func() {
			batch[0] = listen.Packet{Data: packets[k]}
			h.Handle(&w, batch[:1])
			h.s.Log.Flush()
		}); n != 0 {
			t.Errorf("packet %d: %v allocations", k, n)
		}
	}
	for i := range batch {
		if (batch[i].Reply == nil) != (i == 4) {
			t.Errorf("packet %d: reply %x", i, batch[i].Reply)
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	for _, n := range []int{1000, 1000000} {
		d := testData(b, n)
		for _, kind := range []string{"hit", "miss"} {
			b.Run(fmt.Sprint(n, kind), func(b *testing.B) {
				h := testHandler(b, d)
				const total = 1 << 14
				qs := make([][]byte, total)
				for i := range qs {
					qs[i] = query(fmt.Sprintf("h%08x", i*7919%n), 1)
					if kind == "miss" {
						qs[i] = query(fmt.Sprintf("x%08x", i*7919%n), 1)
					}
				}
				var batch [64]listen.Packet
				var w listen.Worker
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += 64 {
					for j := range batch {
						batch[j] = listen.Packet{Data: qs[(i+j)%total]}
					}
					h.Handle(&w, batch[:])
					if i%(64*64) == 0 {
						h.s.Log.Flush()
					}
				}
			})
		}
	}
}
