package trace

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/internal/dnsname"
)

// Sizes of the picture, in SVG user units (pixels at scale 1).
const (
	boxWidth  = 300
	lineHigh  = 18
	gapX      = 30
	gapY      = 46
	margin    = 24
	maxShown  = 13 // servers a box lists; the root has as many
	textWidth = 44 // characters that fit into a box
)

// Colours by state: text and bar of a server's line.
const (
	colourGood = "#1a7f37"
	colourSlow = "#b26a00"
	colourBad  = "#c62828"
	colourLine = "#57606a"
)

type node struct {
	*Zone
	children []*node
	x, y     int // of the upper left corner
	width    int // of the whole subtree
}

// SVG draws the zones that were met as a tree of boxes, the root on top, with
// each zone's servers: good, slow, lame or failing. title says what was asked.
func (t *Trace) SVG(title string) string {
	nodes := map[dnsname.Name]*node{}
	var root *node
	for _, z := range t.Zones() {
		n := &node{Zone: z}
		nodes[z.Name] = n
		if root == nil {
			root = n
		} else if p := nodes[z.Parent]; p != nil && p != n {
			p.children = append(p.children, n)
		}
	}
	if root == nil {
		root = &node{Zone: &Zone{Name: dnsname.Root}}
	}
	root.measure()
	root.place(margin, margin+2*lineHigh)
	w, h := max(root.width, 640)+2*margin, root.bottom()+margin+2*lineHigh
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="monospace" font-size="12">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", escape(title))
	fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="15" font-weight="bold">%s</text>`+"\n", margin, margin, escape(title))
	root.draw(&b)
	x := margin
	for _, l := range []struct{ colour, text string }{{colourGood, "answers"}, {colourSlow, "slow: over 1 second"}, {colourBad, "lame or failing"}} {
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="8" height="8" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			x, h-margin-8, l.colour, x+14, h-margin, l.text)
		x += 60 + 8*len(l.text)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (n *node) measure() {
	n.width = 0
	for i, c := range n.children {
		c.measure()
		if i > 0 {
			n.width += gapX
		}
		n.width += c.width
	}
	n.width = max(n.width, boxWidth)
}

func (n *node) place(x, y int) {
	n.x, n.y = x+(n.width-boxWidth)/2, y
	for _, c := range n.children {
		c.place(x, y+n.height()+gapY)
		x += c.width + gapX
	}
}

func (n *node) height() int {
	lines := 1 + min(len(n.Servers), maxShown)
	if len(n.Servers) > maxShown {
		lines++
	}
	if n.Chain != "" {
		lines++
	}
	return lines*lineHigh + 10
}

func (n *node) bottom() int {
	y := n.y + n.height()
	for _, c := range n.children {
		y = max(y, c.bottom())
	}
	return y
}

func (n *node) draw(b *strings.Builder) {
	for _, c := range n.children {
		fmt.Fprintf(b, `<path d="M%d %d V%d H%d V%d" fill="none" stroke="%s"/>`+"\n",
			n.x+boxWidth/2, n.y+n.height(), n.y+n.height()+gapY/2, c.x+boxWidth/2, c.y, colourLine)
		c.draw(b)
	}
	stroke := colourLine
	if n.Broken {
		stroke = colourBad
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="#f6f8fa" stroke="%s"/>`+"\n", n.x, n.y, boxWidth, n.height(), stroke)
	y := n.y + lineHigh
	text := func(colour, weight, s string) {
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s" font-weight="%s">%s</text>`+"\n", n.x+20, y, colour, weight, escape(s))
		y += lineHigh
	}
	text("#000000", "bold", n.Name.Text())
	if n.Chain != "" {
		c := colourLine
		switch {
		case n.Broken:
			c = colourBad
		case n.Chain == "secure":
			c = colourGood
		}
		text(c, "normal", "DNSSEC: "+n.Chain)
	}
	for i, s := range n.Servers {
		if i == maxShown {
			text(colourLine, "normal", fmt.Sprintf("and %d more", len(n.Servers)-maxShown))
			break
		}
		c, state := colourGood, s.Slowest.Round(time.Millisecond).String()
		switch {
		case s.Lame:
			c, state = colourBad, "LAME"
		case s.Failure != "":
			c, state = colourBad, s.Failure
		case s.Slow():
			c = colourSlow
		}
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="6" height="10" fill="%s"/>`+"\n", n.x+8, y-9, c)
		line := s.IP.String()
		if s.Name != "" {
			line += " " + s.Name.Text()
		}
		if room := textWidth - len(state) - 1; len(line) > room {
			line = line[:max(room-1, 0)] + "…"
		}
		text(c, "normal", line+" "+state)
	}
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// escape makes text safe inside an element: names come from strangers, but
// their text form has only letters, digits and backslashes.
func escape(s string) string { return escaper.Replace(s) }
