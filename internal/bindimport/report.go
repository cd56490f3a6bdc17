package bindimport

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
)

// What a report keeps of its cases; counts are always complete.
const (
	maxDifferent = 10_000
	maxExamples  = 20 // of each explained cause
)

// Case is one question whose answers differ.
type Case struct {
	Question string `json:"question"`
	Verdict  string `json:"verdict"` // "explained" or "different"
	Cause    string `json:"cause"`
	Old      string `json:"old"`
	New      string `json:"new"`
	order    int
}

// Report is the result of a check.
type Report struct {
	Old       string         `json:"old"`
	New       string         `json:"new"`
	Asked     int            `json:"asked"`
	Equal     int            `json:"equal"`
	Explained map[string]int `json:"explained"`
	Different int            `json:"different"`
	Cases     []Case         `json:"cases"`
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// String is the question as for dig.
func (q *Question) String() string {
	s := q.Name.String() + " " + q.Type.String()
	if q.raw != nil {
		s += " recorded"
	}
	if q.TCP {
		s += " TCP"
	} else {
		s += " UDP"
	}
	if q.DO {
		s += " DO"
	}
	return s
}

// text is a reply as lines.
func (r reply) text() string {
	switch {
	case r.err != nil:
		return "error: " + r.err.Error()
	case r.silent:
		return "no answer"
	}
	var b strings.Builder
	b.WriteString(r.a.RCode.String())
	for _, f := range []struct {
		on   bool
		name string
	}{{r.a.AA, " AA"}, {r.a.TC, " TC"}, {r.a.OPT, " OPT"}} {
		if f.on {
			b.WriteString(f.name)
		}
	}
	for i, s := range r.a.Sections {
		lines := make([]string, 0, len(s))
		for _, rr := range s {
			lines = append(lines, "\n"+[3]string{"answer: ", "authority: ", "additional: "}[i]+rr.String())
		}
		slices.Sort(lines)
		if len(lines) > maxDifferent {
			lines = lines[:maxDifferent]
		}
		b.WriteString(strings.Join(lines, ""))
	}
	return b.String()
}

func (r *Report) add(order int, q *Question, v Verdict, cause string, pair [2]reply) {
	r.Asked++
	c := Case{Question: q.String(), Cause: cause, order: order}
	switch v {
	case Equal:
		r.Equal++
		return
	case Explained:
		if r.Explained == nil {
			r.Explained = map[string]int{}
		}
		r.Explained[cause]++
		if r.Explained[cause] > maxExamples {
			return
		}
		c.Verdict = "explained"
	case Different:
		r.Different++
		if r.Different > maxDifferent {
			return
		}
		c.Verdict = "different"
	}
	c.Old, c.New = pair[0].text(), pair[1].text()
	r.Cases = append(r.Cases, c)
}

func (r *Report) sort() {
	slices.SortFunc(r.Cases, func(a, b Case) int {
		if a.Verdict != b.Verdict {
			return strings.Compare(a.Verdict, b.Verdict) // different, explained
		}
		return a.order - b.order
	})
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) {
	n := 0
	for _, k := range r.Explained {
		n += k
	}
	for _, c := range r.Cases {
		if c.Verdict != "different" {
			continue
		}
		fmt.Fprintf(w, "\n%s: %s\n  old: %s\n  new: %s\n", c.Question, c.Cause, indent(c.Old), indent(c.New))
	}
	causes := make([]string, 0, len(r.Explained))
	for c := range r.Explained {
		causes = append(causes, c)
	}
	slices.Sort(causes)
	fmt.Fprintf(w, "\nold %s, new %s: %d questions\n%8d answers equal\n%8d differ for a known reason\n", r.Old, r.New, r.Asked, r.Equal, n)
	for _, c := range causes {
		fmt.Fprintf(w, "%16d %s\n", r.Explained[c], c)
	}
	fmt.Fprintf(w, "%8d differ\n", r.Different)
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n       ") }

// JSON writes it for programs.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Page writes one HTML page, differences side by side.
func (r *Report) Page(w io.Writer) error { return page.Execute(w, r) }

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Old}} and {{.New}}</title>
<style>
body{font:15px/1.4 sans-serif;margin:2em auto;max-width:90em;padding:0 1em}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1px;background:#999;border:1px solid #999;margin:.3em 0 1.5em}
.pair>*{background:#fff;padding:.4em;color:#000}
.different h3{color:#a00}
h3{margin:0;font-size:1em}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}.pair>*{background:#1a1a1a;color:#ddd}.different h3{color:#f66}}
</style>
<h1>Answers of {{.Old}} (old) and {{.New}} (new)</h1>
<p>{{.Asked}} questions: {{.Equal}} answers equal, <b>{{.Different}} differ</b>.</p>
<ul>{{range $c,$n := .Explained}}<li>{{$n}} differ for a known reason: {{$c}}</li>{{end}}</ul>
{{range .Cases}}<section class="{{.Verdict}}"><h3>{{.Question}}</h3><p>{{.Verdict}}: {{.Cause}}</p>
<div class="pair"><pre>{{.Old}}</pre><pre>{{.New}}</pre></div></section>
{{end}}</html>
`))
