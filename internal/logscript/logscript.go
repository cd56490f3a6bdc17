// Package logscript reads multilog's script and matches its patterns (compat:
// daemontools.md section 9).
package logscript

import (
	"bytes"
	"strings"

	"bulkhead/internal/scan"
)

// Stamp is what stands before each line.
type Stamp uint8

const (
	NoStamp Stamp = iota
	TAI64N        // t: @ and 24 hex digits
	ISO8601       // T: 2026-01-31T23:59:59.123456Z
	Unix          // Tu: seconds.microseconds, as daemontools-encore's T
)

// Len is the length of a stamp with its space, in bytes.
func (s Stamp) Len() int { return [...]int{0, 26, 28, 18}[s] }

// Kind of an action.
type Kind uint8

const (
	Deselect  Kind = iota // -pattern
	Select                // +pattern
	Alert                 // e
	Status                // =file
	Directory             // .dir or /dir
)

// Action is one word of the script that acts on lines.
type Action struct {
	Kind Kind
	Text string // pattern, file or directory
	Dir  Dir    // for Directory
}

// Dir is how a directory is kept: what stood before it in the script.
type Dir struct {
	Size      int    // bytes at which current is rotated
	Num       int    // files, current among them
	Processor string // shell command
	Process   bool   // whether there is one: "!" alone is an empty command
	Code      string // suffix of finished logs
	Total     int64  // bytes of old logs, 0 = no limit
	Period    int    // seconds after which current is rotated, 0 = never
}

// Gzip reports whether full logs are compressed by multilog itself: their suffix
// says so, and no processor does something else with them. No action letter
// of its own, since 0.76 ignores unknown words and old scripts may have some
// (compat: daemontools.md section 19.4, 10).
func (d *Dir) Gzip() bool {
	return !d.Process && (d.Code == "gz" || strings.HasSuffix(d.Code, ".gz"))
}

// Defaults and bounds (compat: daemontools.md section 9).
const (
	DefaultSize = 99999
	MinSize     = 4096
	MaxSize     = 16777215
	DefaultNum  = 10
	MinNum      = 2
	// MaxNum keeps a count that is in effect unbounded within an int.
	MaxNum = 1 << 30
	// MaxPeriod is ten years of seconds; chosen as "for ever".
	MaxPeriod = 10 * 366 * 86400
)

// MaxMatch is how much of a line patterns, e and = look at, in bytes.
const MaxMatch = 1000

// Script is a whole command line.
type Script struct {
	Stamp   Stamp
	Actions []Action
}

// Parse reads the words of the command line. There are no errors: unknown
// actions are ignored.
func Parse(words []string) Script {
	var s Script
	d := Dir{Size: DefaultSize, Num: DefaultNum, Code: "s"}
	for i, w := range words {
		if w == "" {
			continue
		}
		rest := w[1:]
		switch w[0] {
		case 't':
			if i == 0 {
				s.Stamp = TAI64N
			}
		case 'T':
			if i == 0 {
				s.Stamp = ISO8601
				if rest == "u" {
					s.Stamp = Unix
				}
			}
		case '-':
			s.Actions = append(s.Actions, Action{Kind: Deselect, Text: rest})
		case '+':
			s.Actions = append(s.Actions, Action{Kind: Select, Text: rest})
		case 'e':
			s.Actions = append(s.Actions, Action{Kind: Alert})
		case '=':
			s.Actions = append(s.Actions, Action{Kind: Status, Text: rest})
		case 's':
			d.Size = clamp(rest, MinSize, MaxSize)
		case 'n':
			d.Num = clamp(rest, MinNum, MaxNum)
		case '!':
			d.Processor, d.Process = rest, true
		case 'w':
			if validCode(rest) {
				d.Code = rest
			}
		case 'S':
			d.Total = int64(clamp(rest, 0, 1<<62))
		case 'R':
			d.Period = clamp(rest, 0, MaxPeriod)
		case '.', '/':
			s.Actions = append(s.Actions, Action{Kind: Directory, Text: w, Dir: d})
		}
	}
	return s
}

// clamp reads a number; what is none counts as 0.
func clamp(s string, lo, hi int) int {
	n, _ := scan.Number(s)
	if n > uint64(hi) {
		return hi
	}
	return max(int(n), lo)
}

// validCode keeps suffixes to what is a harmless part of a file name. "u" is
// the mark of logs that a crash cut off.
func validCode(s string) bool {
	if s == "" || s == "u" || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if c == '/' || c == 0 {
			return false
		}
	}
	return true
}

// Match reports whether the whole line fits the pattern: a byte other than
// '*' fits itself; '*' at the end fits any rest; '*' before c skips to the
// first c, and fails if there is none. Then the pattern goes on with c, which
// may be a star again: "**" fits every line that has a star in it.
func Match(pattern string, line []byte) bool {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '*' {
			if len(line) == 0 || line[0] != pattern[i] {
				return false
			}
			line = line[1:]
			continue
		}
		if i+1 == len(pattern) {
			return true
		}
		next := bytes.IndexByte(line, pattern[i+1])
		if next < 0 {
			return false
		}
		line = line[next:]
	}
	return len(line) == 0
}
