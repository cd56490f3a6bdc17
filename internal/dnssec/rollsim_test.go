package dnssec

import (
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkhead/internal/dnsname"
)

// Every state and every event of RFC 5011, section 4, and what a key that was
// revoked, or never known, does again.
func TestRolloverTable(t *testing.T) {
	a, b := ksk(t), ksk(t) // b is the one that is followed; a is always trusted
	rb := b.WithFlags(FlagZone | FlagSEP | FlagRevoke)
	zsk, _ := Generate(rand.Reader, ECDSAP256SHA256, FlagZone, 0)
	const now = int64(1800000000)
	sets := map[string]func() *RRset{
		"present":          func() *RRset { return keySet(t, now, []*PrivateKey{a, b, zsk}, a) },
		"gone":             func() *RRset { return keySet(t, now, []*PrivateKey{a, zsk}, a) },
		"revoked":          func() *RRset { return keySet(t, now, []*PrivateKey{a, rb}, a, rb) },
		"revoked alone":    func() *RRset { return keySet(t, now, []*PrivateKey{rb}, rb) },
		"revoked, unsaid":  func() *RRset { return keySet(t, now, []*PrivateKey{a, rb}, a) },
		"present, unsound": func() *RRset { return keySet(t, now, []*PrivateKey{a, b}, zsk) },
		"gone, unsound":    func() *RRset { return keySet(t, now, []*PrivateKey{a}, zsk) },
		"long TTL": func() *RRset {
			s := keySet(t, now, []*PrivateKey{a, b}, a)
			s.TTL = 100 * day
			sig, _ := a.Sign(rand.Reader, s, dnsname.Root, uint32(now-day), uint32(now+10*day))
			s.Sigs = [][]byte{sig}
			return s
		},
	}
	const start = -1
	for _, c := range []struct {
		state KeyState
		age   int64 // days in that state
		event string
		want  int
		since int64 // days ago, of the state afterwards
	}{
		// Start
		{9, 0, "present", int(KeyAddPend), 0},
		{9, 0, "gone", start, 0},
		{9, 0, "revoked", start, 0},
		{9, 0, "present, unsound", start, 0},
		{9, 0, "long TTL", int(KeyAddPend), 0},
		// AddPend
		{KeyAddPend, 1, "present", int(KeyAddPend), 1},
		{KeyAddPend, 30, "present", int(KeyValid), 0},
		{KeyAddPend, 400, "present", int(KeyValid), 0},
		{KeyAddPend, 400, "present, unsound", int(KeyAddPend), 400},
		{KeyAddPend, 400, "gone", start, 0},
		{KeyAddPend, 1, "gone", start, 0},
		{KeyAddPend, 1, "gone, unsound", int(KeyAddPend), 1},
		{KeyAddPend, 400, "revoked", start, 0},
		{KeyAddPend, 400, "revoked, unsaid", start, 0},
		{KeyAddPend, -400, "present", int(KeyAddPend), 0}, // the clock was ahead
		// Valid
		{KeyValid, 1, "present", int(KeyValid), 1},
		{KeyValid, 1, "gone", int(KeyMissing), 0},
		{KeyValid, 1, "gone, unsound", int(KeyValid), 1},
		{KeyValid, 1, "revoked", int(KeyRevoked), 0},
		{KeyValid, 1, "revoked alone", int(KeyRevoked), 0},
		{KeyValid, 1, "revoked, unsaid", int(KeyMissing), 0},
		// Missing
		{KeyMissing, 5, "present", int(KeyValid), 0},
		{KeyMissing, 5, "gone", int(KeyMissing), 5},
		{KeyMissing, 4000, "gone", int(KeyMissing), 4000},
		{KeyMissing, 5, "gone, unsound", int(KeyMissing), 5},
		{KeyMissing, 5, "revoked", int(KeyRevoked), 0},
		{KeyMissing, 5, "revoked alone", int(KeyRevoked), 0},
		// Revoked
		{KeyRevoked, 5, "present", int(KeyRevoked), 0},
		{KeyRevoked, 5, "revoked", int(KeyRevoked), 0},
		{KeyRevoked, 29, "gone", int(KeyRevoked), 29},
		{KeyRevoked, 30, "gone", start, 0},
		{KeyRevoked, 400, "present", int(KeyRevoked), 0},
		{KeyRevoked, 400, "revoked", int(KeyRevoked), 0}, // it has not been missing
		{KeyRevoked, 400, "gone, unsound", int(KeyRevoked), 400},
		{KeyRevoked, -400, "gone", int(KeyRevoked), 0},
	} {
		p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}}}
		if c.state < 9 {
			p.Keys = append(p.Keys, TrackedKey{Data: b.Data, State: c.state, Since: now - c.age*day, Hold: AddHoldDown})
		}
		was := FormatPoints([]*TrustPoint{p})
		anchor := p.Anchor()
		set := sets[c.event]()
		var v Verifier
		bud := NewBudget()
		valid := v.VerifyKeys(Policy{}, set, anchor.DS, Policy{}.ParseKeys(anchor.Keys), uint32(now), &bud).Status == Secure
		changed, _ := p.Observe(set, valid, now, &bud)
		got, since := start, int64(0)
		if i := p.find(b.Data); i >= 0 {
			got, since = int(p.Keys[i].State), (now-p.Keys[i].Since)/day
		}
		name := fmt.Sprintf("state %d, %d days, %s", c.state, c.age, c.event)
		if got != c.want || since != c.since {
			t.Errorf("%s: %d since %d days, want %d since %d", name, got, since, c.want, c.since)
		}
		if same := string(FormatPoints([]*TrustPoint{p})) == string(was); same == changed {
			t.Errorf("%s: changed is %v", name, changed)
		}
		if p.find(zsk.Data) >= 0 {
			t.Errorf("%s: a key without SEP is followed", name)
		}
	}
	// The hold-down is 30 days or the TTL of the set that brought the key (RFC
	// 5011, section 2.4.1), even if later ones are shorter.
	p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}}}
	bud := NewBudget()
	p.Observe(sets["long TTL"](), true, now, &bud)
	for _, c := range []struct {
		days int64
		want string
	}{{99, "addpend"}, {100, "valid"}} {
		text := FormatPoints([]*TrustPoint{p})
		ps, err := ParsePoints(text)
		if err != nil {
			t.Fatal(err)
		}
		p = ps[0]
		p.Observe(sets["present"](), true, now+c.days*day, &bud)
		if got := states(p, b); got != c.want {
			t.Errorf("after %d days %s, want %s", c.days, got, c.want)
		}
	}
}

// When a look is due (RFC 5011, section 2.3).
func TestRolloverTimes(t *testing.T) {
	a := ksk(t)
	const now = int64(1800000000)
	for _, c := range []struct {
		ttl  uint32
		life int64
		ok   bool
		want int64
	}{
		{172800, 10 * day, true, day}, {100 * day, 400 * day, true, maxProbe / 2}, {172800, day / 2, true, day / 4}, {60, day, true, minProbe},
		{172800, 10 * day, false, 17280}, {100 * day, 400 * day, false, day}, {60, day, false, minProbe}, {1 << 31, 10 * day, true, minProbe},
	} {
		set := &RRset{Name: dnsname.Root, TTL: c.ttl, Data: [][]byte{a.Data}}
		set.Type = 48
		sig, _ := a.Sign(rand.Reader, set, dnsname.Root, uint32(now-day), uint32(now+c.life))
		set.Sigs = [][]byte{sig}
		p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}}}
		b := NewBudget()
		if _, again := p.Observe(set, c.ok, now, &b); again != c.want {
			t.Errorf("TTL %d, %d s left, %v: again in %d s, want %d", c.ttl, c.life, c.ok, again, c.want)
		}
	}
}

// zoneKeys is a zone that rolls its key by the book, over and over (RFC 5011,
// section 6): a new key is announced, signs, the old one revokes itself, goes.
type zoneKeys struct {
	keys []*PrivateKey
	from []int64 // announced; the key before signs alone until from+announce
}

const (
	// A validator that looks at least once in every 30 days sees a new key at
	// 30 days the latest and again, after its hold-down, at 90.
	announce = 91 * day
	both     = 10 * day // then both sign
	revoking = 35 * day // then the old one is revoked
)

// set is what the zone publishes at now.
func (z *zoneKeys) set(t *testing.T, now int64) *RRset {
	var keys, signers []*PrivateKey
	for i, k := range z.keys {
		if now < z.from[i] {
			break
		}
		old := i+1 < len(z.keys) && now >= z.from[i+1]
		since := int64(0)
		if old {
			since = now - z.from[i+1]
		}
		switch {
		case !old && i > 0 && now-z.from[i] < announce:
			keys = append(keys, k)
		case since < announce+both:
			keys, signers = append(keys, k), append(signers, k)
		case since < announce+both+revoking:
			r := k.WithFlags(FlagZone | FlagSEP | FlagRevoke)
			keys, signers = append(keys, r), append(signers, r)
		}
	}
	return keySet(t, now, keys, signers...)
}

// Years of rolls at random times, seen by a validator that is down at random,
// whose file is edited by hand and whose clock may jump, while somebody sends
// sets of his own. It never trusts a key that is not the zone's, nor one whose
// revocation it has seen; and if it was up once in each 30 days and its clock
// right, the zone is never bogus to it. ROLLS=n plays n of them.
func TestRolloverYears(t *testing.T) {
	runs := 40
	if s := os.Getenv("ROLLS"); s != "" {
		runs, _ = strconv.Atoi(s)
	}
	const begin = int64(1700000000)
	pool := make([]*PrivateKey, 60)
	for i := range pool {
		pool[i], _ = Generate(rand.Reader, ED25519, FlagZone|FlagSEP, 0)
	}
	looks, rolls, down := 0, 0, 0
	for seed := range runs {
		rnd := mrand.New(mrand.NewPCG(uint64(seed), 7))
		z := &zoneKeys{keys: pool[:1], from: []int64{begin - 400*day}}
		until := begin + 10*365*day
		for at := begin; at < until; {
			at += announce + both + revoking + int64(rnd.IntN(700*day))
			z.keys = append(z.keys, pool[len(z.keys)])
			z.from = append(z.from, at)
			rolls++
		}
		rogues := pool[50:]
		steady := seed%2 == 0 // always up once in a window, with a right clock
		ds, _ := z.keys[0].Key.DS(dnsname.Root, DigestSHA256)
		text := UpdateAnchors(nil, []*TrustPoint{{Name: dnsname.Root, DS: [][]byte{ds}}})
		text = append([]byte("; by hand: keep me\n"), text...)
		var learnt []byte
		var hand []string
		revoked := map[string]bool{}
		for now := begin; now < until; {
			gap := int64(rnd.IntN(30 * day))
			if !steady && rnd.IntN(10) == 0 {
				gap = int64(rnd.IntN(800 * day))
				down++
			}
			now += gap
			if rnd.IntN(20) == 0 { // somebody edits the file
				line := fmt.Sprintf("; remark %d", len(hand))
				if rnd.IntN(2) == 0 {
					line = fmt.Sprintf("island%d.example. IN DS 1 8 2 %s ; mine", len(hand), strings.Repeat("AB", 32))
				}
				hand = append(hand, line)
				text = append(text, line+"\n"...)
			}
			clock := now
			if !steady && rnd.IntN(10) == 0 {
				clock += int64(rnd.IntN(8000*day)) - 4000*day
			}
			true_, evil := z.set(t, now), rnd.IntN(4) == 0 && !steady
			set := true_
			rogue := rogues[rnd.IntN(len(rogues))]
			if evil || rnd.IntN(4) == 0 {
				switch rnd.IntN(4) {
				case 0: // a key slipped in
					set = &RRset{Name: true_.Name, Type: true_.Type, TTL: true_.TTL, Sigs: true_.Sigs, Data: append(slices.Clone(true_.Data), rogue.Data)}
				case 1: // a set of his own
					set = keySet(t, now, []*PrivateKey{rogue, z.keys[rnd.IntN(len(z.keys))]}, rogue)
				case 2: // a revocation that the key has not made
					d := slices.Clone(true_.Data[0])
					d[1] |= FlagRevoke
					set = &RRset{Name: true_.Name, Type: true_.Type, TTL: true_.TTL, Sigs: true_.Sigs, Data: [][]byte{d, rogue.Data}}
				case 3: // an old set whose signatures still hold
					set = z.set(t, now-int64(rnd.IntN(9*day)))
				}
			}
			both := CombineAnchors(text, learnt)
			points, err := ParsePoints(both)
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, both)
			}
			p := points[slices.IndexFunc(points, func(p *TrustPoint) bool { return p.Name == dnsname.Root })]
			judge := func(s *RRset, at int64) bool {
				a := p.Anchor()
				var v Verifier
				b := NewBudget()
				return v.VerifyKeys(Policy{}, s, a.DS, Policy{}.ParseKeys(a.Keys), uint32(at), &b).Status == Secure
			}
			looks++
			if steady && !judge(true_, now) {
				t.Fatalf("seed %d, day %d: bogus\n%s", seed, (now-begin)/day, both)
			}
			b := NewBudget()
			p.Observe(set, judge(set, clock), clock, &b)
			if set != true_ && steady { // the true one comes with the next look, a day later
				now += day
				if judge(z.set(t, now), now) != true {
					t.Fatalf("seed %d, day %d: bogus after a forged set", seed, (now-begin)/day)
				}
				p.Observe(z.set(t, now), true, now, &b)
			}
			for _, k := range p.Keys {
				mine := slices.ContainsFunc(z.keys, func(o *PrivateKey) bool { return sameKey(o.Data, k.Data) })
				if !mine {
					t.Fatalf("seed %d, day %d: a stranger's key is %v", seed, (now-begin)/day, k.State)
				}
				if k.State == KeyRevoked {
					revoked[string(k.Data)] = true
				} else if revoked[string(k.Data)] && k.trusted() {
					t.Fatalf("seed %d, day %d: a revoked key is trusted", seed, (now-begin)/day)
				}
			}
			learnt = UpdateAnchors(both, points)
			for _, h := range append(hand, "; by hand: keep me") {
				if !strings.Contains(string(learnt), h+"\n") {
					t.Fatalf("seed %d: line %q is gone:\n%s", seed, h, learnt)
				}
			}
		}
	}
	t.Logf("%d runs, %d looks, %d rolls, down for long %d times", runs, looks, rolls, down)
}

// The key that was pending when the server went down is the only one left when
// it comes back, its predecessor revoked and gone: that is never trusted by
// itself. Nor does a pending key become valid by a set that a revoked one signs.
func TestPredecessorRevokedWhileDown(t *testing.T) {
	a, b := ksk(t), ksk(t)
	now := int64(1800000000)
	start := func() *TrustPoint {
		p := &TrustPoint{Name: dnsname.Root, Keys: []TrackedKey{{Data: a.Data, State: KeyValid}}}
		p, _ = observe(t, p, keySet(t, now, []*PrivateKey{a, b}, a), now)
		return p
	}
	ra := a.WithFlags(FlagZone | FlagSEP | FlagRevoke)
	late := now + 60*day
	p, valid := observe(t, start(), keySet(t, late, []*PrivateKey{ra, b}, ra, b), late)
	if valid || states(p, a, b) != "revoked addpend" {
		t.Error(valid, states(p, a, b))
	}
	if n := p.Anchor(); len(n.Keys)+len(n.DS) != 0 {
		t.Error("something is trusted")
	}
	p, valid = observe(t, start(), keySet(t, late, []*PrivateKey{b}, b), late)
	if valid || states(p, a, b) != "valid addpend" {
		t.Error(valid, states(p, a, b))
	}
	// with the successor's DS built in, as the root's are, all goes on
	db, _ := b.Key.DS(dnsname.Root, DigestSHA256)
	p = start()
	p.DS = [][]byte{db}
	p, valid = observe(t, p, keySet(t, late, []*PrivateKey{ra, b}, ra, b), late)
	if !valid || states(p, a, b) != "revoked valid" {
		t.Error(valid, states(p, a, b))
	}
}
