package explain

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"
)

func sample() *Document {
	return &Document{
		Name: "www.example.test", Type: "A",
		Before: []Entry{{"delegation", "test", "", "referral", "insecure", 3600, 1800, 64, 2}, {"rrset", "www.example.test", "A", "answer", "unchecked", 60, -5, 48, 0}},
		Steps: []Step{
			{At: 0.01, What: "cached ns", Zone: "test", Target: "ns.test"},
			{At: 0.02, What: "tx", Type: "A", Name: "www.example.test", Zone: "test", Servers: []string{"192.0.2.1", "2001:db8::1"}},
			{At: 12, Level: 1, What: "rr", Server: "192.0.2.1", Type: "NS", Name: "example.test", TTL: 3600, Data: "ns.example.test"},
			{At: 13, What: "drop", Server: "192.0.2.1", Name: "evil.test", Type: "A", Reason: "outside <the zone> & \"glue\""},
			{At: 14, What: "timeout", Server: "192.0.2.2", RTT: 50.5},
		},
		Answer:  Answer{"NOERROR", "insecure", false, true, "3: stale", 20.5},
		Records: []Record{{"answer", "www.example.test", 60, "A", "192.0.2.9", "insecure"}},
		After:   []Entry{{"rrset", "www.example.test", "A", "answer", "insecure", 60, 60, 48, 0}},
		Cost:    map[string]uint64{"packets sent": 2, "timeouts": 1},
		Dropped: 3,
	}
}

func TestLinesComeBack(t *testing.T) {
	d := sample()
	got, err := Read(bytes.NewReader(d.Append(nil)))
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, d)
	}
	for _, bad := range []string{"", "end", "step\t1", "answer\tNOERROR\tx\tmaybe\tfalse\t\t1\nend\n", "error\tno such thing\n", "cost\tx\t-1\nend\n"} {
		if d, err := Read(strings.NewReader(bad)); err == nil && bad != "end" {
			t.Errorf("%q read as %+v", bad, d)
		}
	}
}

func TestForms(t *testing.T) {
	d := sample()
	text := string(d.AppendText(nil))
	for _, want := range []string{
		"www.example.test A\n",
		"expired 5 s ago",
		"0.020 ms  ask 192.0.2.1 2001:db8::1 of zone test for www.example.test A\n",
		"12.000 ms    192.0.2.1 says example.test 3600 NS ns.example.test\n",
		"drop from 192.0.2.1 evil.test A: outside <the zone>",
		"no answer from 192.0.2.2 (50.500 ms)",
		"(3 more steps left out)",
		"answer after 20.500 ms: NOERROR, insecure, stale (3: stale)\n",
		"packets sent: 2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	j, err := json.Marshal(d)
	var back Document
	if err != nil || json.Unmarshal(j, &back) != nil || !reflect.DeepEqual(&back, d) {
		t.Errorf("JSON does not come back: %v %s", err, j)
	}
	wellFormed(t, d)
}

func wellFormed(t *testing.T, d *Document) {
	t.Helper()
	x := xml.NewDecoder(bytes.NewReader(d.AppendSVG(nil)))
	for {
		if _, err := x.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("SVG: %v", err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		// nothing that a terminal obeys
		if i := bytes.IndexFunc(d.AppendText(nil), func(r rune) bool { return r < ' ' && r != '\n' || 127 <= r && r < 160 }); i >= 0 {
			t.Fatalf("byte %d of the text is a control character", i)
		}
		wellFormed(t, d)
		again, err := Read(bytes.NewReader(d.Append(nil)))
		if err != nil || again.Name != d.Name || len(again.Steps) != len(d.Steps) {
			t.Fatalf("lines do not come back: %v", err)
		}
	})
}

// TestEmptyLists: who reads the JSON need not know null.
func TestEmptyLists(t *testing.T) {
	d, err := Read(strings.NewReader("question\tx\tA\nend\n"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(d); err != nil || strings.Contains(string(b), "null") {
		t.Errorf("%v %s", err, b)
	}
}
