package stub

import (
	"os"
	"strings"
)

// Rules gives the rewriting rules in force for host (compat: djbdns.md section
// 11.4).
func (r *Resolver) Rules() ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rules.get(r.loadRules)
}

func (r *Resolver) loadRules() ([]string, error) {
	file := r.Rewrite
	if file == "" {
		if file = os.Getenv("DNSREWRITEFILE"); file == "" {
			file = "/etc/dnsrewrite"
		}
	}
	b, err := os.ReadFile(file)
	if err == nil {
		var rules []string
		for _, line := range strings.Split(string(b), "\n") {
			rules = append(rules, strings.TrimRight(line, " \t\r"))
		}
		return rules, nil
	}
	if !os.IsNotExist(err) {
		return nil, reason(err)
	}
	if v, ok := os.LookupEnv("LOCALDOMAIN"); ok {
		return searchRules(strings.Split(v, " ")), nil
	}
	text, err := readConf(r.resolvConf())
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(text, "\n") {
		for _, word := range []string{"search", "domain"} {
			if rest, ok := keyword(line, word); ok {
				return searchRules(strings.FieldsFunc(rest, func(c rune) bool { return c == ' ' || c == '\t' })), nil
			}
		}
	}
	if host, err := os.Hostname(); err == nil {
		if i := strings.IndexByte(host, '.'); i >= 0 {
			return []string{"?:" + host[i:], "*.:"}, nil
		}
	}
	return []string{"*.:"}, nil
}

// searchRules makes the rules of a search list: names without a dot get each
// domain in turn, a final dot goes.
func searchRules(domains []string) []string {
	rule := "?:"
	for _, d := range domains {
		if d != "" {
			rule += "+." + d
		}
	}
	if rule == "?:" {
		return []string{"*.:"}
	}
	return []string{rule, "*.:"}
}

// Rewrite applies each rule once, in order. The result may hold "+"; see
// Alternatives.
func Rewrite(rules []string, name string) string {
	for _, rule := range rules {
		if rule == "" {
			continue
		}
		match, to, ok := strings.Cut(rule[1:], ":")
		if !ok {
			continue
		}
		head, ok := cutSuffixFold(name, match)
		if !ok {
			continue
		}
		switch rule[0] {
		case '=':
			if head == "" {
				name = to
			}
		case '*':
			name = head + to
		case '?':
			if !strings.ContainsAny(head, ".[]") {
				name = head + to
			}
		case '-':
			name = to
		}
	}
	return name
}

// cutSuffixFold is strings.CutSuffix without regard to ASCII letter case.
func cutSuffixFold(s, suffix string) (string, bool) {
	if len(suffix) > len(s) {
		return "", false
	}
	head, tail := s[:len(s)-len(suffix)], s[len(s)-len(suffix):]
	for i := 0; i < len(tail); i++ {
		x, y := tail[i], suffix[i]
		if x != y && lower(x) != lower(y) {
			return "", false
		}
	}
	return head, true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Alternatives splits a rewritten name at its plus signs: the part before the
// first is the prefix of each alternative after it.
func Alternatives(name string) []string {
	prefix, rest, ok := strings.Cut(name, "+")
	if !ok {
		return []string{name}
	}
	var out []string
	for _, alt := range strings.Split(rest, "+") {
		out = append(out, prefix+alt)
	}
	return out
}
