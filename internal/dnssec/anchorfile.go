package dnssec

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// A file of trust anchors holds lines of the administrator's, which ParseAnchors
// reads, and lines of ours with the states of RFC 5011. What is not (or no more)
// trusted stands wholly in a comment, so that any reader of zone files sees only
// what is:
//
//	. IN DS 20326 8 2 E06D...
//	. IN DNSKEY 257 3 8 AwEA... ; rfc5011 valid 1700000000 key 20326
//	;rfc5011 addpend 1700000000+2592000 key 38696 . IN DNSKEY 257 3 8 AwEA...
//
// The number is when the state began, in seconds since 1970, behind the plus
// sign how long a pending key has to wait.
//
// Lines of the administrator's are never changed but in one case: one that names
// a key which has revoked itself becomes a comment.

const (
	stateMark   = "rfc5011 "
	revokedMark = "; revoked: "
	anchorHead  = "; Trust anchors. dnscache follows the keys of these zones (RFC 5011): lines\n" +
		"; with \"rfc5011\" are its own, all others the administrator's, who may add some.\n"
)

// anchorLine is one line of a file.
type anchorLine struct {
	owner dnsname.Name
	ds    []byte     // DS data of the administrator's
	key   TrackedKey // or a key, with its state if state is set
	state bool
	shown bool // not in a comment
}

// parseLine reads one line; false if it holds neither an anchor nor a state.
func parseLine(line string) (l anchorLine, ok bool) {
	record := line
	if head, state, found := strings.Cut(line, stateMark); found && strings.Contains(head, ";") {
		f := strings.Fields(state)
		if len(f) < 4 || f[2] != "key" {
			return l, false
		}
		s := slices.Index(keyStates[:], f[0])
		at, hold, held := strings.Cut(f[1], "+")
		since, err := strconv.ParseInt(at, 10, 64)
		if s < 0 || err != nil || since < 0 {
			return l, false
		}
		l.state, l.key.State, l.key.Since = true, KeyState(s), since
		if l.key.State == KeyAddPend {
			l.key.Hold = AddHoldDown
			if held {
				if l.key.Hold, err = strconv.ParseInt(hold, 10, 64); err != nil || l.key.Hold < 0 {
					return l, false
				}
			}
		}
		record = strings.TrimRight(head, " ;")
		if len(f) > 4 { // the record stands behind
			if strings.TrimSpace(record) != "" {
				return l, false
			}
			record = strings.Join(f[4:], " ")
		} else if l.shown = true; !l.key.trusted() {
			return l, false
		}
	} else {
		l.shown = true
	}
	as, err := ParseAnchors([]byte(record))
	if err != nil || len(as) != 1 {
		return l, false
	}
	l.owner = as[0].Name
	switch {
	case len(as[0].Keys) == 1:
		l.key.Data = as[0].Keys[0]
		if !l.state {
			l.key.State = KeyValid
		}
		return l, true
	case !l.state && len(as[0].DS) == 1:
		l.ds = as[0].DS[0]
		return l, true
	}
	return l, false
}

// ParsePoints reads a file: anchors as ParseAnchors, states from comments. A key
// without a state is valid since ever; a DS of a key that is known adds nothing,
// and one of a revoked key, or the key itself, does not bring it back.
func ParsePoints(text []byte) ([]*TrustPoint, error) {
	if _, err := ParseAnchors(text); err != nil {
		return nil, err
	}
	var points []*TrustPoint
	at := map[dnsname.Name]*TrustPoint{}
	lines := map[*TrustPoint][]anchorLine{}
	for line := range strings.Lines(string(text)) {
		l, ok := parseLine(line)
		if !ok {
			continue
		}
		p := at[l.owner]
		if p == nil {
			p = &TrustPoint{Name: l.owner}
			at[l.owner] = p
			points = append(points, p)
		}
		lines[p] = append(lines[p], l)
	}
	for _, p := range points {
		for _, l := range lines[p] {
			if l.ds != nil {
				p.DS = append(p.DS, l.ds)
				continue
			}
			i := p.find(l.key.Data)
			switch {
			case i < 0:
				if l.shown || len(p.Keys) < maxTracked {
					p.Keys = append(p.Keys, l.key)
				}
			case l.state && (l.key.State == KeyRevoked || p.Keys[i].State != KeyRevoked):
				// what is shown without a state is trusted, whatever waits
				if was := &p.Keys[i]; l.key.State != KeyAddPend || was.State == KeyAddPend {
					*was = TrackedKey{Data: was.Data, State: l.key.State, Since: l.key.Since, Hold: l.key.Hold}
				}
			case !l.state && p.Keys[i].State == KeyAddPend:
				p.Keys[i] = TrackedKey{Data: p.Keys[i].Data, State: KeyValid}
			}
		}
		for i := range p.Keys {
			t := &p.Keys[i]
			k, _ := Policy{}.ParseKey(t.Data)
			if t.State == KeyAddPend {
				continue // a DS that came by hand makes it valid at the next sight
			}
			t.Named = p.takeDS(k)
			for _, l := range lines[p] {
				t.Named = t.Named || l.ds == nil && l.shown && sameKey(l.key.Data, t.Data)
			}
			t.Named = t.Named && t.State == KeyRevoked
		}
	}
	return points, nil
}

// FormatPoints gives the text of a file of its own.
func FormatPoints(points []*TrustPoint) []byte { return UpdateAnchors(nil, points) }

// UpdateAnchors brings a file to the state of points, which was read from it:
// our lines follow the states, the administrator's stay as they are.
func UpdateAnchors(text []byte, points []*TrustPoint) []byte {
	at := map[dnsname.Name]*TrustPoint{}
	written := map[*TrackedKey]bool{}
	for _, p := range points {
		at[p.Name] = p
	}
	var out []byte
	if !bytes.Contains(text, []byte(anchorHead)) {
		out = append(out, anchorHead...)
	}
	named := map[string]bool{} // DS that have a line
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		l, ok := parseLine(line)
		if !ok {
			out = append(out, line...)
			continue
		}
		p := at[l.owner]
		var t *TrackedKey
		if p != nil {
			for i := range p.Keys {
				k, _ := Policy{}.ParseKey(p.Keys[i].Data)
				if l.ds == nil && sameKey(l.key.Data, k.Data) || l.ds != nil && dsOf(l.owner, k, l.ds) {
					t = &p.Keys[i]
				}
			}
		}
		switch {
		case l.state:
			if t != nil && !written[t] {
				written[t] = true
				out = appendState(out, p.Name, t)
			}
		case t != nil && t.State == KeyRevoked:
			out = append(append(out, revokedMark...), line...)
		default:
			out = append(out, line...)
			named[string(l.owner)+string(l.ds)] = true
			if l.ds == nil && t != nil && !written[t] {
				written[t] = true
				if t.State != KeyValid || t.Since != 0 {
					out = appendHidden(out, p.Name, t)
				}
			}
		}
	}
	for _, p := range points {
		for _, d := range p.DS {
			if !named[string(p.Name)+string(d)] {
				out = fmt.Appendf(out, "%s IN DS %s\n", dnsname.AppendMaster(nil, p.Name), rdata.AppendText(nil, dns.TypeDS, d))
			}
		}
		for i := range p.Keys {
			if t := &p.Keys[i]; !written[t] {
				written[t] = true
				out = appendState(out, p.Name, t)
			}
		}
	}
	return out
}

func appendState(out []byte, owner dnsname.Name, t *TrackedKey) []byte {
	if !t.trusted() {
		return appendHidden(out, owner, t)
	}
	return fmt.Appendf(out, "%s IN DNSKEY %s ; %s%s %d key %d\n", dnsname.AppendMaster(nil, owner),
		rdata.AppendText(nil, dns.TypeDNSKEY, t.Data), stateMark, t.State, t.Since, KeyTag(t.Data))
}

func appendHidden(out []byte, owner dnsname.Name, t *TrackedKey) []byte {
	hold := ""
	if t.State == KeyAddPend && t.Hold != AddHoldDown {
		hold = fmt.Sprintf("+%d", t.Hold)
	}
	return fmt.Appendf(out, ";%s%s %d%s key %d %s IN DNSKEY %s\n", stateMark, t.State, t.Since, hold, KeyTag(t.Data),
		dnsname.AppendMaster(nil, owner), rdata.AppendText(nil, dns.TypeDNSKEY, t.Data))
}

// CombineAnchors joins the administrator's file with what was learnt: a file
// that UpdateAnchors made of an older state of it. The administrator's lines
// count as they are now. States are kept, except that taking away a line of a
// name starts that name anew: then only its revoked keys stay known.
func CombineAnchors(admin, learnt []byte) []byte {
	// anchors are told apart by owner and data; a DS is never data of a DNSKEY
	id := func(l *anchorLine) string { return string(l.owner) + string(l.ds) + string(l.key.Data) }
	now := map[string]bool{}
	for text := range strings.Lines(string(admin)) {
		if l, ok := parseLine(text); ok && !l.state {
			now[id(&l)] = true
		}
	}
	anew := map[dnsname.Name]bool{}
	for text := range strings.Lines(string(learnt)) {
		if l, ok := parseLine(text); ok && !l.state && !now[id(&l)] {
			anew[l.owner] = true
		}
	}
	var states []byte
	kept := map[string]bool{}
	for text := range strings.Lines(string(learnt)) {
		if l, ok := parseLine(text); ok && l.state && (!anew[l.owner] || l.key.State == KeyRevoked) {
			kept[id(&l)] = true
			states = append(append(states, strings.TrimSuffix(text, "\n")...), '\n')
		}
	}
	var out []byte
	for text := range strings.Lines(string(admin)) {
		// a file that was copied from a learnt one has states of that time
		if l, ok := parseLine(text); !ok || !l.state || l.key.State == KeyRevoked || !kept[id(&l)] {
			out = append(append(out, strings.TrimSuffix(text, "\n")...), '\n')
		}
	}
	return append(out, states...)
}

// AddBuiltIn adds those of the lines of builtin (RootAnchors) to a learnt file
// that it does not mention, not even in a comment: a new release brings its keys
// along, and what was taken out stays out.
func AddBuiltIn(learnt []byte, builtin string) []byte {
	var have []anchorLine
	for text := range strings.Lines(string(learnt)) {
		text = strings.TrimPrefix(text, revokedMark)
		l, ok := parseLine(text)
		if !ok {
			l, ok = parseLine(strings.TrimLeft(text, "; #"))
		}
		if ok {
			have = append(have, l)
		}
	}
	out := slices.Clone(learnt)
	for text := range strings.Lines(builtin) {
		b, ok := parseLine(text)
		if !ok {
			continue
		}
		if !slices.ContainsFunc(have, func(l anchorLine) bool {
			if l.owner != b.owner {
				return false
			}
			if l.ds != nil {
				return bytes.Equal(l.ds, b.ds)
			}
			k, _ := Policy{}.ParseKey(l.key.Data)
			return dsOf(l.owner, k, b.ds)
		}) {
			out = append(out, text...)
		}
	}
	return out
}
