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

// KeyState is a state of RFC 5011, section 4.2. Start is no state of a key
// that is known, and Removed is a key that is forgotten.
type KeyState uint8

const (
	KeyAddPend KeyState = iota // seen, waiting for the hold-down time
	KeyValid                   // a trust anchor
	KeyMissing                 // a trust anchor that was not in the last set
	KeyRevoked                 // never to be trusted again
)

var keyStates = [...]string{"addpend", "valid", "missing", "revoked"}

func (s KeyState) String() string { return keyStates[s&3] }

// TrackedKey is a key that RFC 5011 follows.
type TrackedKey struct {
	Data  []byte // DNSKEY data, the REVOKE bit clear
	State KeyState
	Since int64 // when the state began, seconds since 1970
}

// Times of RFC 5011, sections 2.3 and 2.4.1, in seconds.
const (
	AddHoldDown    = 30 * 86400
	RemoveHoldDown = 30 * 86400
	minProbe       = 3600
	maxProbe       = 15 * 86400
	maxProbeRetry  = 86400
	// maxTracked bounds the keys of one trust point: an attacker who holds a
	// zone's key may announce any number.
	maxTracked = 16
)

// TrustPoint is a name whose anchors follow its zone (RFC 5011).
type TrustPoint struct {
	Name dnsname.Name
	DS   [][]byte // configured, not yet met as keys
	Keys []TrackedKey
}

// Anchor is what of the point is trusted now.
func (p *TrustPoint) Anchor() Anchor {
	a := Anchor{Name: p.Name, DS: p.DS}
	for _, k := range p.Keys {
		if k.State == KeyValid || k.State == KeyMissing {
			a.Keys = append(a.Keys, k.Data)
		}
	}
	return a
}

// Observe takes a DNSKEY RRset fetched from the point's zone. valid says that
// VerifyKeys found it secure by the point's present anchors. It reports whether
// a state changed, and in how many seconds to look again (RFC 5011, section
// 2.3). now is in seconds since 1970.
func (p *TrustPoint) Observe(set *RRset, valid bool, now int64, b *Budget) (changed bool, again int64) {
	if p.revocations(set, now, b) {
		changed = true
	}
	origTTL, life := int64(set.TTL), int64(maxProbe)
	for _, data := range set.Sigs {
		if s, ok := ParseRRSIG(data); ok && int64(s.Expiration-uint32(now)) < life {
			life = int64(s.Expiration - uint32(now))
		}
	}
	if !valid {
		return changed, max(minProbe, min(maxProbeRetry, origTTL/10, life/10))
	}
	again = max(minProbe, min(maxProbe, origTTL/2, life/2))
	seen := make([]bool, len(p.Keys))
	for _, data := range set.Data {
		k, ok := Policy{SHA1: true}.ParseKey(data)
		if !ok || k.ZoneKey() != ReasonNone || k.Flags&FlagSEP == 0 {
			continue // RFC 5011, section 3: only keys with SEP are followed
		}
		i := p.find(data)
		if i < 0 {
			if len(p.Keys) >= maxTracked {
				continue
			}
			state := KeyAddPend
			if p.takeDS(k) {
				state = KeyValid
			}
			p.Keys = append(p.Keys, TrackedKey{Data: slices.Clone(data), State: state, Since: now})
			seen = append(seen, true)
			changed = true
			continue
		}
		seen[i] = true
		t := &p.Keys[i]
		if p.takeDS(k) && t.State == KeyAddPend {
			*t = TrackedKey{t.Data, KeyValid, now}
			changed = true
		}
		switch {
		case t.State == KeyMissing, t.State == KeyAddPend && now-t.Since >= max(AddHoldDown, origTTL):
			*t = TrackedKey{t.Data, KeyValid, now}
			changed = true
		}
	}
	n := 0
	for i, t := range p.Keys {
		if !seen[i] {
			switch {
			case t.State == KeyAddPend: // section 4.2: back to Start
				changed = true
				continue
			case t.State == KeyValid:
				t.State, t.Since = KeyMissing, now
				changed = true
			case t.State == KeyRevoked && now-t.Since >= RemoveHoldDown:
				changed = true
				continue
			}
		}
		p.Keys[n] = t
		n++
	}
	p.Keys = p.Keys[:n]
	return changed, again
}

// revocations handles keys that carry the REVOKE bit and have signed the set
// themselves (RFC 5011, section 2.1); such a set needs no other signature.
func (p *TrustPoint) revocations(set *RRset, now int64, b *Budget) (changed bool) {
	var v Verifier
	for _, data := range set.Data {
		k, ok := Policy{SHA1: true}.ParseKey(data)
		if !ok || k.Flags&FlagRevoke == 0 || k.Flags&FlagZone == 0 {
			continue
		}
		plain := slices.Clone(data)
		plain[1] &^= FlagRevoke
		i := p.find(plain)
		old, _ := Policy{SHA1: true}.ParseKey(plain)
		ds := p.matchDS(old)
		if i >= 0 && p.Keys[i].State == KeyRevoked || i < 0 && ds < 0 {
			continue
		}
		if v.Verify(set, p.Name, []*Key{k}, uint32(now), b).Status != Secure {
			continue
		}
		changed = true
		for ; ds >= 0; ds = p.matchDS(old) {
			p.DS = slices.Delete(p.DS, ds, ds+1)
		}
		if i < 0 {
			p.Keys = append(p.Keys, TrackedKey{Data: plain})
			i = len(p.Keys) - 1
		}
		if p.Keys[i].State == KeyAddPend && len(p.Keys[i].Data) > 0 && p.Keys[i].Since != 0 {
			p.Keys = slices.Delete(p.Keys, i, i+1) // never was trusted
			continue
		}
		p.Keys[i].State, p.Keys[i].Since = KeyRevoked, now
	}
	return changed
}

func (p *TrustPoint) find(data []byte) int {
	return slices.IndexFunc(p.Keys, func(t TrackedKey) bool { return sameKey(t.Data, data) })
}

func (p *TrustPoint) matchDS(k *Key) int {
	return slices.IndexFunc(p.DS, func(d []byte) bool {
		ds, ok := ParseDS(d)
		if !ok || ds.KeyTag != k.Tag || ds.Algorithm != k.Algorithm {
			return false
		}
		digest, known := AppendDigest(nil, ds.DigestType, p.Name, k.Data)
		return known && bytes.Equal(digest, ds.Digest)
	})
}

// takeDS replaces the DS records of k, if there are any, by the key itself.
func (p *TrustPoint) takeDS(k *Key) (any bool) {
	for i := p.matchDS(k); i >= 0; i = p.matchDS(k) {
		p.DS = slices.Delete(p.DS, i, i+1)
		any = true
	}
	return any
}

// The file root/trust-anchors holds what ParseAnchors reads. Keys that RFC 5011
// follows have their state in a comment; those not (or no more) trusted stand
// wholly in one, so that any reader of zone files sees only what is trusted:
//
//	. IN DNSKEY 257 3 8 AwEA... ; rfc5011 valid 1700000000 key 20326
//	;rfc5011 addpend 1700000000 key 38696 . IN DNSKEY 257 3 8 AwEA...

// FormatPoints gives the text of the file.
func FormatPoints(points []*TrustPoint) []byte {
	var b []byte
	b = append(b, "; Trust anchors. dnscache follows the keys of these zones (RFC 5011) and\n"+
		"; writes this file again when they change. DS and DNSKEY lines may be added.\n"...)
	for _, p := range points {
		owner := dnsname.AppendMaster(nil, p.Name)
		for _, d := range p.DS {
			b = fmt.Appendf(b, "%s IN DS %s\n", owner, rdata.AppendText(nil, dns.TypeDS, d))
		}
		for _, trusted := range [...]bool{true, false} {
			for _, k := range p.Keys {
				if (k.State == KeyValid || k.State == KeyMissing) != trusted {
					continue
				}
				text := rdata.AppendText(nil, dns.TypeDNSKEY, k.Data)
				if trusted {
					b = fmt.Appendf(b, "%s IN DNSKEY %s ; rfc5011 %s %d key %d\n", owner, text, k.State, k.Since, KeyTag(k.Data))
				} else {
					b = fmt.Appendf(b, ";rfc5011 %s %d key %d %s IN DNSKEY %s\n", k.State, k.Since, KeyTag(k.Data), owner, text)
				}
			}
		}
	}
	return b
}

// ParsePoints reads the file: anchors as ParseAnchors, states from comments. A
// key without a state is valid since ever.
func ParsePoints(text []byte) ([]*TrustPoint, error) {
	as, err := ParseAnchors(text)
	if err != nil {
		return nil, err
	}
	var points []*TrustPoint
	at := map[dnsname.Name]*TrustPoint{}
	point := func(n dnsname.Name) *TrustPoint {
		p := at[n]
		if p == nil {
			p = &TrustPoint{Name: n}
			at[n] = p
			points = append(points, p)
		}
		return p
	}
	for _, a := range as {
		p := point(a.Name)
		p.DS = a.DS
		for _, k := range a.Keys {
			p.Keys = append(p.Keys, TrackedKey{Data: k, State: KeyValid})
		}
	}
	for line := range strings.Lines(string(text)) {
		head, state, ok := strings.Cut(line, "rfc5011 ")
		if !ok {
			continue
		}
		f := strings.Fields(state)
		if len(f) < 4 || f[2] != "key" {
			continue
		}
		s := slices.Index(keyStates[:], f[0])
		since, err := strconv.ParseInt(f[1], 10, 64)
		if s < 0 || err != nil {
			continue
		}
		record := strings.TrimSuffix(strings.TrimRight(head, " "), ";")
		hidden := len(f) > 4
		if hidden { // the record stands behind
			record = strings.Join(f[4:], " ")
		}
		one, err := ParseAnchors([]byte(record))
		if err != nil || len(one) != 1 || len(one[0].Keys) != 1 {
			continue
		}
		p := point(one[0].Name)
		if i := p.find(one[0].Keys[0]); i >= 0 {
			if !hidden && (KeyState(s) == KeyValid || KeyState(s) == KeyMissing) {
				p.Keys[i].State, p.Keys[i].Since = KeyState(s), since
			}
		} else if hidden && len(p.Keys) < maxTracked {
			p.Keys = append(p.Keys, TrackedKey{one[0].Keys[0], KeyState(s), since})
		}
	}
	return points, nil
}
