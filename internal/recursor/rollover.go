package recursor

import (
	"bufio"
	"os"
	"path/filepath"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/prog"
	"bulkhead/internal/publish"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
)

// Trust anchors follow their zones (RFC 5011): the first worker asks for their
// DNSKEY RRsets from time to time and writes down what changes. The file is
// ROOT/trust-anchors; where the account may not write in ROOT it is
// ROOT/state/trust-anchors, and of the two the newer counts.
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
	points []*dnssec.TrustPoint
	next   []int64 // seconds since 1970, of each
	asking int     // index, -1 none
}

// follow starts to follow the anchors of a configuration.
func (w *worker) follow(c *resolver.Config) {
	w.roll = nil
	v, ok := c.Validator.(*validator.Validator)
	if !ok || w != w.s.workers[0] {
		return
	}
	points, err := readPoints(c)
	if err != nil {
		return // said by addValidator
	}
	r := &rollover{policy: v.Config().Policy, points: points, next: make([]int64, len(points)), asking: -1}
	for i := range r.next {
		r.next[i] = w.now.Seconds() + firstProbe
	}
	w.roll = r
}

// probe asks for the keys of an anchor when it is time.
func (w *worker) probe() {
	r := w.roll
	if r == nil || r.asking >= 0 {
		return
	}
	for i, p := range r.points {
		if w.now.Seconds() < r.next[i] {
			continue
		}
		r.asking = i
		r.next[i] = w.now.Seconds() + retryProbe
		w.store.Delete(resolver.KindRRset, dns.TypeDNSKEY, []byte(p.Name))
		// CD: these are to be seen whatever they are
		q := resolver.Question{Name: []byte(p.Name), Type: dns.TypeDNSKEY, DO: true, CD: true, Ticket: rollTicket}
		w.guard(func() { w.eng.Ask(w.now, &q) })
		return
	}
}

// probed takes the answer.
func (w *worker) probed(a *resolver.Answer) {
	r := w.roll
	if r == nil || r.asking < 0 {
		return
	}
	i := r.asking
	r.asking = -1
	p := r.points[i]
	now := w.now.Seconds()
	var set dnssec.RRset
	for k := range a.RRs {
		s := &a.RRs[k]
		if s.Type != dns.TypeDNSKEY || !dnsname.Equal(s.Owner, p.Name) {
			continue
		}
		set = dnssec.RRset{Name: p.Name, Type: s.Type, TTL: s.TTL}
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
	anchor := p.Anchor()
	var keys []*dnssec.Key
	for _, d := range anchor.Keys {
		if k, ok := r.policy.ParseKey(d); ok {
			keys = append(keys, k)
		}
	}
	var v dnssec.Verifier
	b := dnssec.NewBudget()
	valid := v.VerifyKeys(r.policy, &set, anchor.DS, keys, uint32(now), &b).Status == dnssec.Secure
	changed, again := p.Observe(&set, valid, now, &b)
	r.next[i] = now + again
	if !changed {
		return
	}
	text := dnssec.FormatPoints(r.points)
	write := func(name string) error {
		return publish.File(name, name+".tmp", func(f *bufio.Writer) error {
			_, err := f.Write(text)
			return err
		})
	}
	if write(anchorsFile) != nil {
		if err := write(learntFile); err != nil {
			prog.Warn("trust anchors have changed", err)
			return
		}
	}
	w.log.Note("trust anchors of " + p.Name.Text() + " have changed")
	go w.s.reload()
}

// anchorsPath is the file of trust anchors to read: the newer one.
func anchorsPath() string {
	a, err := os.Stat(anchorsFile)
	b, err2 := os.Stat(learntFile)
	if err2 == nil && (err != nil || b.ModTime().After(a.ModTime())) {
		return learntFile
	}
	return anchorsFile
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
