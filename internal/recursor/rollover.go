package recursor

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/prog"
	"bulkhead/internal/publish"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
)

// Trust anchors follow their zones (RFC 5011): the first worker asks for their
// DNSKEY RRsets from time to time and writes down what changes, in
// ROOT/state/trust-anchors: the account can not write in ROOT itself, and
// ROOT/trust-anchors is the administrator's. Both are read together.
const (
	learntFile = stateDir + "/" + anchorsFile
	rollTicket = 1 << 62 // marks its questions among the tickets
	// firstProbe is when it asks first after a start, in seconds: those who
	// wait for the first answers come first.
	firstProbe = 30
	// retryProbe is when it asks again after no answer at all (RFC 5011,
	// section 2.3: at least an hour).
	retryProbe = 3600
)

type rollover struct {
	policy dnssec.Policy
	names  []dnsname.Name
	next   []int64 // seconds since 1970, of each
	asking int     // index, -1 none

	text    []byte // of the anchors as they count
	unsaved bool   // and text is not in the file
}

// follow starts to follow the anchors of a configuration.
func (w *worker) follow(c *resolver.Config) {
	old := w.roll
	w.roll = nil
	v, ok := c.Validator.(*validator.Validator)
	if !ok || w != w.s.workers[0] {
		return
	}
	r := &rollover{policy: v.Config().Policy, asking: -1}
	if old != nil && old.unsaved {
		// what could not be written is known here alone
		r.text, r.unsaved = old.text, true
	}
	var err error
	if r.text, err = anchorsText(publicRoot(c), r.unsaved, r.text); err != nil {
		return // said by addValidator
	}
	points, err := parsePoints(r.text)
	if err != nil {
		return
	}
	for _, p := range points {
		if a := p.Anchor(); len(a.DS)+len(a.Keys) > 0 {
			r.names = append(r.names, p.Name)
			r.next = append(r.next, w.now.Seconds()+firstProbe)
		}
	}
	w.roll = r
	if r.unsaved {
		go w.s.useAnchors(v.Config(), points)
	}
}

// probe asks for the keys of an anchor when it is time.
func (w *worker) probe() {
	r := w.roll
	if r == nil || r.asking >= 0 {
		return
	}
	for i, name := range r.names {
		if w.now.Seconds() < r.next[i] {
			continue
		}
		r.asking = i
		r.next[i] = w.now.Seconds() + retryProbe
		// CD: these are to be seen whatever they are
		q := resolver.Question{Name: []byte(name), Type: dns.TypeDNSKEY, DO: true, CD: true, Fresh: true, Ticket: rollTicket}
		w.guard(func() { w.eng.Ask(w.now, &q) })
		return
	}
}

// probed takes the answer. The files are read again first: somebody may have
// changed them.
func (w *worker) probed(a *resolver.Answer) {
	r := w.roll
	if r == nil || r.asking < 0 {
		return
	}
	i := r.asking
	r.asking = -1
	set := dnssec.RRset{Name: r.names[i], Type: dns.TypeDNSKEY}
	for k := range a.RRs {
		s := &a.RRs[k]
		if s.Type != set.Type || !dnsname.Equal(s.Owner, set.Name) {
			continue
		}
		set.TTL = s.TTL
		for d, rest, ok := s.Records.Next(); ok; d, rest, ok = rest.Next() {
			set.Data = append(set.Data, d)
		}
		for d, rest, ok := s.Sigs.Next(); ok; d, rest, ok = rest.Next() {
			set.Sigs = append(set.Sigs, d)
		}
	}
	if len(set.Data) == 0 {
		return
	}
	text, err := anchorsText(publicRoot(w.cfg), r.unsaved, r.text)
	var points []*dnssec.TrustPoint
	if err == nil {
		points, err = parsePoints(text)
	}
	if err != nil {
		// A file that is being edited, or damaged, is left alone; what counted
		// before goes on to count.
		prog.Warn("trust anchors: "+strings.TrimPrefix(err.Error(), "fatal: "), nil)
		text = r.text
		if points, err = parsePoints(text); err != nil {
			return
		}
	}
	var p *dnssec.TrustPoint
	for _, q := range points {
		if q.Name == set.Name {
			p = q
		}
	}
	if p == nil {
		return // its lines are gone; SIGHUP will say so
	}
	now := w.now.Seconds()
	anchor := p.Anchor()
	keys := r.policy.ParseKeys(anchor.Keys)
	var v dnssec.Verifier
	b := dnssec.NewBudget()
	valid := v.VerifyKeys(r.policy, &set, anchor.DS, keys, uint32(now), &b).Status == dnssec.Secure
	changed, again := p.Observe(&set, valid, now, &b)
	r.next[i] = now + again
	if changed {
		text = dnssec.UpdateAnchors(text, points)
	}
	if changed || r.unsaved {
		err := publish.File(learntFile, learntFile+".tmp", func(f *bufio.Writer) error {
			_, err := f.Write(text)
			return err
		})
		if r.unsaved = err != nil; r.unsaved {
			prog.Warn("trust anchors have changed: unable to write "+learntFile, err)
		}
	}
	r.text = text
	if changed {
		w.log.Note("trust anchors of " + p.Name.Text() + " have changed")
		if a := p.Anchor(); len(a.DS)+len(a.Keys) == 0 {
			prog.Warn("all trust anchors of "+p.Name.Text()+" are revoked: it is not validated any more", nil)
		}
		go w.s.useAnchors(w.cfg.Validator.(*validator.Validator).Config(), points)
	}
}

// useAnchors gives new anchors to all workers.
func (s *Server) useAnchors(old validator.Config, points []*dnssec.TrustPoint) {
	t := validator.Config{Policy: old.Policy, Anchors: trusted(points), NTAs: old.NTAs, Private: old.Private}
	for {
		was := s.claims.Load()
		if s.claims.CompareAndSwap(was, &claims{was.zones, keyIDs(t.Anchors)}) {
			break
		}
	}
	// one to make the others from: they share what it remembers of proofs
	first := validator.New(t)
	for _, w := range s.workers {
		w.call(func(w *worker) {
			own := *w.cfg
			own.Validator = first
			w.cfg = forWorker(&own, w.step)
			w.eng.SetConfig(w.now, w.cfg)
		})
	}
}

// trusted gives the anchors of those points that have any.
func trusted(points []*dnssec.TrustPoint) (out []dnssec.Anchor) {
	for _, p := range points {
		if a := p.Anchor(); len(a.DS)+len(a.Keys) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// anchorsText joins the administrator's file, or what is built in for the public
// root, with what was learnt: the file's, or text where that has not been
// written yet. Nothing at all: no validation.
func anchorsText(public, unsaved bool, text []byte) ([]byte, error) {
	learnt := text
	if !unsaved {
		var err error
		if learnt, err = readLimited(learntFile, maxTrustBytes); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, prog.Fatal("unable to read "+learntFile, err)
		}
	}
	own, err := os.Stat(anchorsFile)
	if errors.Is(err, fs.ErrNotExist) {
		own = nil
	} else if err != nil {
		return nil, prog.Fatal("unable to read "+anchorsFile, err)
	} else if other, err := os.Stat(learntFile); err == nil && os.SameFile(own, other) {
		own = nil // the link that linkAnchors made
	}
	if own == nil {
		if public {
			learnt = dnssec.AddBuiltIn(learnt, dnssec.RootAnchors)
		}
		return learnt, nil
	}
	admin, err := readLimited(anchorsFile, maxTrustBytes)
	if err != nil {
		return nil, prog.Fatal("unable to read "+anchorsFile, err)
	}
	if _, err := dnssec.ParseAnchors(admin); err != nil {
		return nil, prog.Permanent("unable to parse "+anchorsFile, err)
	}
	if _, err := dnssec.ParseAnchors(learnt); err != nil {
		return nil, prog.Permanent("unable to parse "+learntFile, err)
	}
	return dnssec.CombineAnchors(admin, learnt), nil
}

// linkAnchors makes ROOT/trust-anchors, where there is none, a link to the file
// that the server can write. It is called while still privileged.
func linkAnchors(root string) {
	name := filepath.Join(root, anchorsFile)
	if _, err := os.Lstat(name); os.IsNotExist(err) {
		if _, err := os.Stat(filepath.Join(root, learntFile)); err == nil {
			os.Symlink(learntFile, name)
		}
	}
}
