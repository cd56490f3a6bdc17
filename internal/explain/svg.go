package explain

import (
	"fmt"
	"html"
	"strings"
)

// Geometry of the picture, in pixels.
const (
	rowHeight = 18
	indent    = 18
	timeWidth = 220 // the column of bars
	textLeft  = timeWidth + 30
	maxRows   = 5000
	maxChars  = 150
)

// colours by kind of step, chosen to differ for the colour-blind (Okabe and
// Ito's palette).
var colours = map[string]string{
	"tx": "#0072B2", "rr": "#009E73", "accept": "#009E73", "drop": "#D55E00", "timeout": "#D55E00", "lame": "#D55E00",
	"cached": "#56B4E9", "cached cname": "#56B4E9", "cached ns": "#56B4E9", "cached nxdomain": "#56B4E9",
	"validate": "#CC79A7", "security": "#CC79A7", "budget": "#E69F00", "retry": "#E69F00",
}

// AppendSVG appends the explanation as a picture: time runs to the right in the
// left column, the tree of questions is indented in the right one.
func (d *Document) AppendSVG(dst []byte) []byte {
	rows := min(len(d.Steps), maxRows)
	height := (rows + len(d.Records) + 5) * rowHeight
	total := max(d.Answer.At, 0.001)
	widest := 60
	text := make([]string, rows)
	for i := range rows {
		text[i] = cut(d.Steps[i].Sentence())
		widest = max(widest, len(text[i])+3*d.Steps[i].Level)
	}
	o := func(format string, a ...any) { dst = fmt.Appendf(dst, format, a...) }
	o(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" font-size="12">`+"\n", textLeft+widest*8, height)
	o(`<rect width="100%%" height="100%%" fill="white"/>` + "\n")
	o(`<text x="10" y="%d" font-size="14" font-weight="bold">%s</text>`+"\n", rowHeight, esc(d.Name+" "+d.Type))
	y := 2 * rowHeight
	for i := range rows {
		s := &d.Steps[i]
		c := colours[s.What]
		if c == "" {
			c = "#555555"
		}
		// a question's bar lasts until the next thing heard
		width := 3.0
		if s.What == "tx" {
			end := d.Answer.At
			for _, n := range d.Steps[i+1 : rows] {
				if n.What != "tx" && n.What != "choose" && n.What != "minimised" {
					end = n.At
					break
				}
			}
			width = max(3, (end-s.At)/total*timeWidth)
		}
		x := 10 + min(max(s.At/total, 0), 1)*timeWidth
		o(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%.3f ms</title></rect>`+"\n", x, y-11, min(width, 10+timeWidth-x+3), 12, c, s.At)
		o(`<text x="%d" y="%d" fill="%s">%s</text>`+"\n", textLeft+min(max(s.Level, 0), 16)*indent, y, c, esc(text[i]))
		y += rowHeight
	}
	a := fmt.Sprintf("%s, %s after %.3f ms", d.Answer.RCode, d.Answer.Status, d.Answer.At)
	if d.Answer.EDE != "" {
		a += " (" + d.Answer.EDE + ")"
	}
	y += rowHeight / 2
	o(`<text x="10" y="%d" font-weight="bold">%s</text>`+"\n", y, esc(cut(a)))
	for _, r := range d.Records {
		y += rowHeight
		o(`<text x="%d" y="%d">%s</text>`+"\n", 30, y, esc(cut(fmt.Sprintf("%s %s %d %s %s", r.Section, r.Name, r.TTL, r.Type, r.Data))))
	}
	return append(dst, "</svg>\n"...)
}

func cut(s string) string {
	if len(s) > maxChars {
		return s[:maxChars-3] + "..."
	}
	return s
}

// esc makes text safe in SVG: XML allows neither control characters nor bytes
// that are no UTF-8.
func esc(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 32 || r == 127 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return html.EscapeString(s)
}
