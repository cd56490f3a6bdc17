// Package getopt parses command line options the classic way (compat:
// daemontools.md section 1.4): one letter each, letters may be bundled, an
// argument may be glued or be the next word, parsing stops at the first
// operand, at a word that begins with "--" (consumed) or at a lone "-" (an
// operand).
package getopt

import (
	"os"
	"strings"
)

// Getopt walks through the options of a command line.
type Getopt struct {
	Arg  string // argument of the option that Next gave
	args []string
	spec string
	rest string // letters still to come in the present word
	base string
}

// New starts on args (without the program's name). spec lists the letters; one
// followed by ':' takes an argument.
func New(args []string, spec string) *Getopt {
	base := os.Args[0]
	base = base[strings.LastIndexByte(base, '/')+1:]
	return &Getopt{args: args, spec: spec, base: base}
}

// Next gives the next option letter; 0 when there are no more, '?' after it
// has printed the complaint about an illegal option (the caller prints usage).
func (g *Getopt) Next() byte {
	if g.rest == "" {
		if len(g.args) == 0 {
			return 0
		}
		w := g.args[0]
		if len(w) < 2 || w[0] != '-' {
			return 0
		}
		g.args = g.args[1:]
		if w[1] == '-' { // "--" and every word that begins so
			return 0
		}
		g.rest = w[1:]
	}
	c := g.rest[0]
	g.rest = g.rest[1:]
	i := strings.IndexByte(g.spec, c)
	if c == ':' || i < 0 {
		g.complain("illegal option", c)
		return '?'
	}
	if i+1 < len(g.spec) && g.spec[i+1] == ':' {
		switch {
		case g.rest != "":
			g.Arg, g.rest = g.rest, ""
		case len(g.args) > 0:
			g.Arg, g.args = g.args[0], g.args[1:]
		default:
			g.complain("option requires an argument", c)
			return '?'
		}
	}
	return c
}

// Args gives the operands, after Next has returned 0.
func (g *Getopt) Args() []string { return g.args }

func (g *Getopt) complain(what string, c byte) {
	os.Stderr.WriteString(g.base + ": " + what + " -- " + string([]byte{c}) + "\n")
}

// Peek gives the next letter of the present word, 0 when it has none: for
// options whose argument is optional and can only be glued.
func (g *Getopt) Peek() byte {
	if g.rest == "" {
		return 0
	}
	return g.rest[0]
}

// Take takes the letter that Peek shows.
func (g *Getopt) Take() []byte {
	c := g.rest[:1]
	g.rest = g.rest[1:]
	return []byte(c)
}
