// Package explain is what dnscache tells about one question, and how that is
// shown: as text, as JSON, as a picture. The server writes lines, the tool
// reads them back (docs/format-control.md); this package has both ends.
//
//	explain.go  the document and its lines
//	text.go     for people
//	svg.go      for people with a browser; JSON is encoding/json's
package explain

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Document is the explanation of one question. Names are in the text form of
// dnsname.Name.Text; times are milliseconds since the question came.
type Document struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Before  []Entry           `json:"cache_before"`
	Steps   []Step            `json:"steps"`
	Answer  Answer            `json:"answer"`
	Records []Record          `json:"records"`
	After   []Entry           `json:"cache_after"`
	Cost    map[string]uint64 `json:"cost"`
	Dropped int               `json:"steps_left_out,omitempty"`
}

// Step is one event of the resolution or the validation.
type Step struct {
	At      float64  `json:"ms"`
	Level   int      `json:"level"` // 0 the question, more: what had to be known for it
	What    string   `json:"what"`  // tx, rr, cached, accept, drop, choose, ... as in dnscache's log
	Type    string   `json:"type,omitempty"`
	Name    string   `json:"name,omitempty"`
	Zone    string   `json:"zone,omitempty"`
	Target  string   `json:"target,omitempty"`
	Server  string   `json:"server,omitempty"`
	Servers []string `json:"servers,omitempty"`
	TTL     uint32   `json:"ttl,omitempty"`
	RTT     float64  `json:"rtt_ms,omitempty"`
	Data    string   `json:"data,omitempty"`
	Reason  string   `json:"reason,omitempty"`
}

// Entry is a cache entry for the question's name or an ancestor.
type Entry struct {
	Kind   string `json:"kind"` // rrset, nodata, nxdomain, delegation, failure
	Name   string `json:"name"`
	Type   string `json:"type,omitempty"`
	Rank   string `json:"rank"`
	Status string `json:"status"`
	TTL    uint32 `json:"ttl"`
	Left   int64  `json:"left"` // seconds; below 0 expired
	Bytes  int    `json:"bytes"`
	Asked  int    `json:"asked"` // 0 to 3, lately
}

// Answer is the outcome.
type Answer struct {
	RCode  string  `json:"rcode"`
	Status string  `json:"status"`
	AD     bool    `json:"ad"`
	Stale  bool    `json:"stale"`
	EDE    string  `json:"ede,omitempty"`
	At     float64 `json:"ms"`
}

// Record is a record of the answer.
type Record struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	TTL     uint32 `json:"ttl"`
	Type    string `json:"type"`
	Data    string `json:"data"`
	Status  string `json:"status"`
}

// A line is words separated by tabs; the first says what it is.
func line(dst []byte, words ...string) []byte {
	for i, w := range words {
		if i > 0 {
			dst = append(dst, '\t')
		}
		dst = appendPlain(dst, w)
	}
	return append(dst, '\n')
}

// appendPlain leaves printable ASCII, which is all that names and data in
// presentation form need. Both ends do it: who reads shows it on a terminal,
// and the one who wrote may have been taken over.
func appendPlain(dst []byte, w string) []byte {
	for _, c := range []byte(w) {
		if c < ' ' || c > '~' {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

func f(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }
func u(x uint64) string  { return strconv.FormatUint(x, 10) }
func b(x bool) string    { return strconv.FormatBool(x) }

// Append appends the lines of d.
func (d *Document) Append(dst []byte) []byte {
	dst = line(dst, "question", d.Name, d.Type)
	for _, e := range d.Before {
		dst = e.append(dst, "before")
	}
	for _, s := range d.Steps {
		dst = line(dst, "step", f(s.At), strconv.Itoa(s.Level), s.What, s.Type, s.Name, s.Zone, s.Target, s.Server,
			strings.Join(s.Servers, " "), u(uint64(s.TTL)), f(s.RTT), s.Data, s.Reason)
	}
	a := d.Answer
	dst = line(dst, "answer", a.RCode, a.Status, b(a.AD), b(a.Stale), a.EDE, f(a.At))
	for _, r := range d.Records {
		dst = line(dst, "record", r.Section, r.Name, u(uint64(r.TTL)), r.Type, r.Data, r.Status)
	}
	for _, e := range d.After {
		dst = e.append(dst, "after")
	}
	for _, k := range costs {
		if v, ok := d.Cost[k]; ok {
			dst = line(dst, "cost", k, u(v))
		}
	}
	dst = line(dst, "left-out", strconv.Itoa(d.Dropped))
	return line(dst, "end")
}

// costs are the names of Cost's entries, in the order they are shown.
var costs = []string{"packets sent", "names asked", "timeouts", "records seen", "levels", "milliseconds"}

func (e *Entry) append(dst []byte, word string) []byte {
	return line(dst, word, e.Kind, e.Name, e.Type, e.Rank, e.Status, u(uint64(e.TTL)), strconv.FormatInt(e.Left, 10), strconv.Itoa(e.Bytes), strconv.Itoa(e.Asked))
}

// ErrFormat says that lines are not those of Append.
var ErrFormat = errors.New("protocol error")

// limits of what the tool reads, to survive whatever answers at the socket
const (
	maxLine  = 1 << 20
	maxLines = 1 << 20
)

// Read reads the lines of one document. A line "error TEXT" is an error.
func Read(r io.Reader) (*Document, error) {
	// an empty list is a list in JSON too
	d := &Document{Before: []Entry{}, Steps: []Step{}, Records: []Record{}, After: []Entry{}, Cost: map[string]uint64{}}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	for n := 0; sc.Scan() && n < maxLines; n++ {
		w := strings.Split(sc.Text(), "\t")
		p := parser{w: w[1:]}
		switch w[0] {
		case "question":
			d.Name, d.Type = p.s(), p.s()
		case "before":
			d.Before = append(d.Before, p.entry())
		case "after":
			d.After = append(d.After, p.entry())
		case "step":
			s := Step{At: p.f(), Level: p.i(), What: p.s(), Type: p.s(), Name: p.s(), Zone: p.s(), Target: p.s(), Server: p.s()}
			if l := p.s(); l != "" {
				s.Servers = strings.Split(l, " ")
			}
			s.TTL, s.RTT, s.Data, s.Reason = uint32(p.u()), p.f(), p.s(), p.s()
			d.Steps = append(d.Steps, s)
		case "answer":
			d.Answer = Answer{p.s(), p.s(), p.b(), p.b(), p.s(), p.f()}
		case "record":
			d.Records = append(d.Records, Record{p.s(), p.s(), uint32(p.u()), p.s(), p.s(), p.s()})
		case "cost":
			d.Cost[p.s()] = p.u()
		case "left-out":
			d.Dropped = p.i()
		case "end":
			return d, nil
		case "error":
			return nil, errors.New(p.s())
		}
		if p.bad {
			return nil, ErrFormat
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	return nil, ErrFormat
}

type parser struct {
	w   []string
	bad bool
}

func (p *parser) s() string {
	if len(p.w) == 0 {
		p.bad = true
		return ""
	}
	s := p.w[0]
	p.w = p.w[1:]
	return string(appendPlain(nil, s))
}

func (p *parser) f() float64 {
	x, err := strconv.ParseFloat(p.s(), 64)
	p.bad = p.bad || err != nil || x != x || x > 1e12 || x < -1e12
	return x
}

func (p *parser) u() uint64 {
	x, err := strconv.ParseUint(p.s(), 10, 64)
	p.bad = p.bad || err != nil
	return x
}

func (p *parser) i() int {
	x, err := strconv.Atoi(p.s())
	p.bad = p.bad || err != nil
	return x
}

func (p *parser) b() bool {
	s := p.s()
	p.bad = p.bad || s != "true" && s != "false"
	return s == "true"
}

func (p *parser) entry() Entry {
	e := Entry{Kind: p.s(), Name: p.s(), Type: p.s(), Rank: p.s(), Status: p.s(), TTL: uint32(p.u())}
	left, err := strconv.ParseInt(p.s(), 10, 64)
	p.bad = p.bad || err != nil
	e.Left, e.Bytes, e.Asked = left, p.i(), p.i()
	return e
}
