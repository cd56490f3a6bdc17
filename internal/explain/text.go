package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// AppendText appends the explanation for people.
func (d *Document) AppendText(dst []byte) []byte {
	o := func(format string, a ...any) { dst = fmt.Appendf(dst, format, a...) }
	o("%s %s\n", d.Name, d.Type)
	section := func(title string, es []Entry) {
		if len(es) == 0 {
			return
		}
		o("\n%s\n", title)
		for _, e := range es {
			o("  %-10s %s %s: %s, %s, %s of %d s left, %d bytes, asked for %d\n", e.Kind, e.Name, e.Type, e.Rank, e.Status,
				left(e.Left), e.TTL, e.Bytes, e.Asked)
		}
	}
	section("in the cache before", d.Before)
	o("\nsteps\n")
	if len(d.Steps) == 0 {
		o("  none: answered without asking anybody\n")
	}
	for i := range d.Steps {
		s := &d.Steps[i]
		o("  %9.3f ms  %s%s\n", s.At, strings.Repeat("  ", min(max(s.Level, 0), 16)), s.Sentence())
	}
	if d.Dropped > 0 {
		o("  (%d more steps left out)\n", d.Dropped)
	}
	o("\nanswer after %.3f ms: %s, %s", d.Answer.At, d.Answer.RCode, d.Answer.Status)
	if d.Answer.AD {
		o(", AD")
	}
	if d.Answer.Stale {
		o(", stale")
	}
	if d.Answer.EDE != "" {
		o(" (%s)", d.Answer.EDE)
	}
	o("\n")
	for _, r := range d.Records {
		o("  %s %s %d %s %s (%s)\n", r.Section, r.Name, r.TTL, r.Type, r.Data, r.Status)
	}
	o("\ncost\n")
	for _, k := range costs {
		if v, ok := d.Cost[k]; ok {
			o("  %s: %d\n", k, v)
		}
	}
	section("in the cache now", d.After)
	return dst
}

func left(n int64) string {
	if n < 0 {
		return "expired " + strconv.FormatInt(-n, 10) + " s ago, none"
	}
	return strconv.FormatInt(n, 10)
}

// Sentence says in words what a step is.
func (s *Step) Sentence() string {
	because := ""
	if s.Reason != "" {
		because = ": " + s.Reason
	}
	switch s.What {
	case "tx":
		return "ask " + strings.Join(s.Servers, " ") + " of zone " + s.Zone + " for " + s.Name + " " + s.Type + because
	case "cached":
		return "cache has " + s.Name + " " + s.Type
	case "cached cname":
		return "cache has alias " + s.Name + " -> " + s.Target
	case "cached ns":
		return "cache has delegation of " + s.Zone + " to " + s.Target
	case "cached nxdomain":
		return "cache knows that " + s.Name + " does not exist"
	case "rr":
		return s.Server + " says " + s.Name + " " + strconv.FormatUint(uint64(s.TTL), 10) + " " + s.Type + " " + s.Data + because
	case "nxdomain":
		return s.Server + " says that " + s.Name + " does not exist (" + strconv.FormatUint(uint64(s.TTL), 10) + " s)"
	case "nodata":
		return s.Server + " says that " + s.Name + " has no " + s.Type + " (" + strconv.FormatUint(uint64(s.TTL), 10) + " s)"
	case "lame":
		return s.Server + " is lame for " + s.Zone + ": it refers to " + s.Target
	case "accept", "drop":
		t := s.What
		if s.Server != "" {
			t += " from " + s.Server
		}
		if s.Name != "" {
			t += " " + s.Name + " " + s.Type
		}
		return t + because
	case "choose":
		if s.Name == "" {
			return "choose " + s.Server + rtt(s.RTT) + because
		}
		return "send " + s.Name + " " + s.Type + " to " + s.Server + rtt(s.RTT) + because
	case "timeout":
		return "no answer from " + s.Server + rtt(s.RTT)
	case "retry":
		return "ask " + s.Server + " again" + because
	case "minimised":
		return "ask for no more than " + s.Name + " " + s.Type
	case "local":
		return s.Name + " " + s.Type + " is served locally: special-use and private names are asked of nobody (LOCALZONES)"
	case "policy":
		return "policy zone " + s.Zone + because
	case "validate":
		return "validate " + s.Name + " " + s.Type + because
	}
	t := s.What
	if s.Name != "" {
		t += " " + s.Name + " " + s.Type
	}
	return strings.TrimRight(t, " ") + because
}

func rtt(ms float64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.3f ms)", ms)
}
