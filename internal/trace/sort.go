package trace

import (
	"bufio"
	"io"
	"sort"
	"strings"
)

// Sort reads lines of dnstrace and writes them grouped by name, readable on a
// terminal (compat: djbdns.md section 12.3): questions themselves are left
// out, what servers say about other names becomes "glue", duplicates vanish.
func Sort(in io.Reader, out *bufio.Writer) error {
	r := bufio.NewReader(in)
	var lines []sortable
	seen := map[string]bool{}
	for {
		l, err := r.ReadString('\n')
		if l = strings.TrimSuffix(l, "\n"); l != "" {
			if s, ok := parseLine(l); ok && !seen[s.key] {
				seen[s.key] = true
				lines = append(lines, s)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i].key < lines[j].key })
	last := ""
	for i, l := range lines {
		// a new name begins a new paragraph
		if i == 0 || l.name != last {
			out.WriteByte('\n')
			last = l.name
		}
		out.WriteString(l.typ + " " + underline(l.name, l.zone) + " " + pad(l.ip, 16) + " " + l.result + "\n")
	}
	return nil
}

// sortable is one output line before it is laid out.
type sortable struct {
	typ, name, zone, ip string
	result              string
	key                 string // fields 1-2, 5 and the rest, 4, 3, in this order
}

func parseLine(line string) (s sortable, ok bool) {
	f := strings.SplitN(line, ":", 5)
	for len(f) < 5 {
		f = append(f, "")
	}
	s = sortable{typ: f[0], name: f[1], zone: f[2], ip: f[3]}
	event := f[4]
	word, rest, _ := strings.Cut(event, ":")
	switch word {
	case "tx":
		return s, false
	case "A", "AAAA", "NS":
		owner, data, _ := strings.Cut(rest, ":")
		s.typ, s.name = "glue", owner
		s.result = word + " " + data
		event = "answer:" + owner + " " + s.result
	case "ALERT":
		s.result = bold("ALERT:") + " " + rest
	case "answer":
		s.result = strings.TrimPrefix(rest, s.name+" ")
	default: // CNAME, see: word and name; NXDOMAIN, NODATA: the word
		s.result = word
		if rest != "" {
			s.result += " " + rest
		}
	}
	s.key = strings.Join([]string{s.typ, s.name, event, s.ip, s.zone}, ":")
	return s, true
}

// bold overstrikes: each byte, backspace, the byte again.
func bold(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteString(s[i:i+1] + "\b" + s[i:i+1])
	}
	return b.String()
}

// underline puts "_", backspace before each byte of the zone's part of name.
func underline(name, zone string) string {
	if zone == "." || !strings.HasSuffix(name, zone) {
		return name
	}
	var b strings.Builder
	b.WriteString(name[:len(name)-len(zone)])
	for i := len(name) - len(zone); i < len(name); i++ {
		b.WriteString("_\b" + name[i:i+1])
	}
	return b.String()
}

func pad(s string, width int) string {
	if len(s) < width {
		s += strings.Repeat(" ", width-len(s))
	}
	return s
}
